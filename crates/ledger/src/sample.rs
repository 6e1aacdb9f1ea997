//! Plain budgets for tests here and above.

use lockgate_core::Money;

use crate::budget::{AtLimit, Budget, Mode, OnOutage, Selector};
use crate::window::Window;

/// A strict budget over all time that counts everything: `limit` nano-dollars.
pub fn budget(id: &str, limit: i64) -> Budget {
    Budget {
        id: id.into(),
        name: format!("budget {id}").into(),
        limit: Money::from_nanos(limit),
        window: Window::Lifetime,
        selector: Selector::default(),
        per: None,
        mode: Mode::Strict,
        at_limit: AtLimit::Block,
        soft: None,
        thresholds: Vec::new(),
        on_outage: OnOutage::Closed,
    }
}
