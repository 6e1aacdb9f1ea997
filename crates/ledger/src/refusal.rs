//! Why a request cannot be paid for, and how that is said.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::{Error, Kind, Money, Tick};

use crate::account::Account;
use crate::book::Rule;

/// An account that cannot pay for a request.
#[derive(Clone, Debug)]
pub struct Shortage {
    /// Its budget.
    pub rule: Arc<Rule>,
    /// The account.
    pub account: Arc<Account>,
    /// What the request wants to hold there.
    pub needed: Money,
    /// Why it cannot.
    pub why: Why,
}

/// Why an account cannot pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The node's lease does not reach; the store may have more. To be asked.
    Lease,
    /// The store has no more, as far as is known.
    Limit,
    /// The account is throttled, until then.
    Throttled(Tick),
    /// The store is out of reach, and the node may not go on without it.
    Outage,
    /// As many requests are under way or wait to be journaled as the node can remember.
    Full,
}

const SHORTLY: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(1);

// === impl Shortage ===

impl Shortage {
    /// The refusal as a client gets it: which budget, its limit, what is spent, and when it resets.
    pub fn refusal(&self, now: Tick, wall_ms: u64) -> Error {
        let Self { rule, account, needed, why } = self;
        let budget = &rule.budget;
        let whose = match (budget.per, &*account.key.value) {
            (Some(dimension), "") => format!(" without a {}", dimension.code()),
            (Some(dimension), value) => format!(" of {} \"{value}\"", dimension.code()),
            (None, _) => String::new(),
        };
        let (name, view) = (&budget.name, account.view());
        let spent = format!("{} of {} dollars are spent", view.spent, view.limit);
        let mut text = match why {
            Why::Outage | Why::Full => {
                let text = format!(
                    "The budget \"{name}\"{whose} cannot be checked for the moment, and it is set to refuse then. Try again shortly."
                );
                return Error::gateway(Kind::Unavailable, text).retry_after(Some(SHORTLY));
            }
            Why::Throttled(until) => {
                let text =
                    format!("The budget \"{name}\"{whose} is used up and slows requests down: {spent}.");
                return Error::gateway(Kind::BudgetExceeded, text)
                    .retry_after(Some(until.since(now).max(SOON)));
            }
            Why::Limit | Why::Lease => {
                let rest = view.limit.nanos().saturating_sub(view.spent.nanos());
                let text = format!(
                    "The budget \"{name}\"{whose} does not cover this request: {spent}, and it may cost {needed}"
                );
                if rest >= needed.nanos() {
                    // What they do not need comes back soon.
                    let text = format!("{text}, while the rest is reserved by requests under way.");
                    return Error::gateway(Kind::BudgetExceeded, text).retry_after(Some(SHORTLY));
                }
                format!("{text}.")
            }
        };
        let resets = account.resets_ms();
        if let Some(resets_ms) = resets {
            let _ = write!(text, " It resets at {}.", moment(resets_ms));
        }
        let wait = resets.map(|resets_ms| Duration::from_millis(resets_ms.saturating_sub(wall_ms)));
        Error::gateway(Kind::BudgetExceeded, text).retry_after(wait)
    }
}

/// A moment as text: `2026-11-22T08:00:00Z`.
fn moment(wall_ms: u64) -> String {
    let at = i64::try_from(wall_ms / 1_000).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map_or_else(|| format!("{wall_ms} ms"), |at| at.to_string())
}
