//! How a request stands with the limits that count it, and how a refusal is said.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use lockgate_core::{Error, Kind};

use super::limit::Count;
use super::rules::Rule;

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How much may pass at once after a pause.
    pub limit: u64,
    /// How much of that is left.
    pub remaining: u64,
    /// The time until all of it is there again, if nothing passes.
    pub reset: Duration,
}

/// How the tightest limits of a request stand: those with the least left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// Of those that count requests.
    pub requests: Option<Standing>,
    /// Of those that count tokens of any sort.
    pub tokens: Option<Standing>,
}

/// A limit that does not let a request pass.
#[derive(Clone, Debug)]
pub struct Refused {
    pub(super) rule: Arc<Rule>,
    /// The value of its `per` that is counted.
    pub(super) value: Arc<str>,
    /// When it could pass, if nothing else does; at least a millisecond.
    pub(super) wait: Duration,
    /// How all limits stand that count the request.
    pub standings: Standings,
}

// === impl Standings ===

impl Standings {
    /// Takes another limit into account.
    pub(super) fn meet(&mut self, count: Count, standing: Standing) {
        let place = match count {
            Count::Requests => &mut self.requests,
            Count::Concurrent => return,
            _ => &mut self.tokens,
        };
        let key = |standing: &Standing| (standing.remaining, std::cmp::Reverse(standing.reset));
        if place.as_ref().is_none_or(|known| key(&standing) < key(known)) {
            *place = Some(standing);
        }
    }

    /// Whether no limit of requests or tokens counts the request.
    pub const fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }
}

// === impl Refused ===

impl Refused {
    /// The name of the limit.
    pub fn name(&self) -> &str {
        &self.rule.limit.name
    }

    /// The refusal as a client gets it: which limit, what it lets pass, and when to come back.
    pub fn error(&self) -> Error {
        let limit = &self.rule.limit;
        let mut text = format!("The limit \"{}\"", limit.name);
        match (limit.per, &*self.value) {
            (Some(dimension), "") => _ = write!(text, " without a {}", dimension.code()),
            (Some(dimension), value) => _ = write!(text, " of {} \"{value}\"", dimension.code()),
            (None, _) => {}
        }
        let (amount, what) = (limit.amount, limit.count.called());
        match limit.every {
            Some(every) => {
                let wait = span(self.wait);
                _ = write!(text, " is used up: {amount} {what} {}. Try again in {wait}.", every.said());
            }
            None => _ = write!(text, " is used up: {amount} {what}. Try again when one has ended."),
        }
        Error::gateway(Kind::RateLimited, text).retry_after(Some(self.wait))
    }
}

/// A time as the field writes it in `x-ratelimit-reset-*`: `17ms`, `8.64s`, `6m0s`, `1h0m5s`. Rounded up to a millisecond.
pub fn span(time: Duration) -> String {
    let ms = time.as_nanos().div_ceil(1_000_000);
    let (minutes, rest) = (ms / 60_000, ms % 60_000);
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let mut seconds = (rest / 1_000).to_string();
    if rest % 1_000 > 0 {
        let digits = format!("{:03}", rest % 1_000);
        seconds = format!("{seconds}.{}", digits.trim_end_matches('0'));
    }
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}
