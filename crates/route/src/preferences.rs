//! What a request itself prefers, in the form that OpenRouter's clients send.

mod read;

use std::sync::Arc;

use lockgate_core::money::{Money, Price};

pub use crate::preferences::read::{read, unheeded, without};

/// Preferences of one request. They narrow and order what its policy allows, and never widen it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// Providers to try first, in this order.
    pub order: Vec<Arc<str>>,
    /// Providers to use and no others; empty: any.
    pub only: Vec<Arc<str>>,
    /// Providers not to use.
    pub ignore: Vec<Arc<str>>,
    /// What to order by.
    pub sort: Option<Sort>,
    /// The most that it may cost.
    pub max_price: MaxPrice,
    /// Whether anything but the first may be tried.
    pub no_fallbacks: bool,
    /// Whether an endpoint must take every parameter of the request.
    pub require_parameters: bool,
    /// Whether an endpoint may not train on the request or keep it for that.
    pub deny_collection: bool,
    /// Whether an endpoint may keep nothing.
    pub zero_retention: bool,
}

/// What to order by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The cheapest first.
    Price,
    /// The one with the most tokens a second first.
    Throughput,
    /// The one with the shortest time to the first token first.
    Latency,
}

/// The most that something may cost; `None`: any price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxPrice {
    /// Fresh input.
    pub input: Option<Price>,
    /// Output.
    pub output: Option<Price>,
    /// A request, by what it is expected to cost.
    pub request: Option<Money>,
}

impl Preferences {
    /// Whether a provider is left out.
    pub fn leave_out(&self, provider: &str) -> bool {
        let has = |list: &[Arc<str>]| list.iter().any(|name| is(name, provider));
        has(&self.ignore) || (!self.only.is_empty() && !has(&self.only))
    }

    /// The place of a provider in the wished order; those that it does not name come last.
    pub fn place(&self, provider: &str) -> usize {
        self.order.iter().position(|name| is(name, provider)).unwrap_or(self.order.len())
    }
}

/// Whether a name in a request is a provider: letters count alike, and what stands behind a slash (a region, a
/// quantisation) is not looked at.
fn is(name: &str, provider: &str) -> bool {
    name.split('/').next().is_some_and(|name| name.eq_ignore_ascii_case(provider))
}

impl MaxPrice {
    /// Whether anything costs too much.
    pub const fn is_any(&self) -> bool {
        self.input.is_none() && self.output.is_none() && self.request.is_none()
    }

    /// The tighter of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Self {
            input: least(self.input, other.input),
            output: least(self.output, other.output),
            request: least(self.request, other.request),
        }
    }
}
