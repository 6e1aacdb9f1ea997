//! How long and how often a route tries, and what happens when all of it failed.

use std::time::Duration;

use crate::context::Context;
use crate::declare::{choices, settings};
use crate::diagnostic::Complaint;
use crate::route::strategy::Use;
use crate::setting::{Fields, Place};

pub(crate) const STEP: Duration = Duration::from_millis(10);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

settings! {
    /// Time limits of a route. The provider's own hold besides.
    pub struct RouteTimeouts {
        /// Time for one attempt, to its whole answer or the first content of its stream.
        attempt: Option<Duration> = None, shown "none", within Some(STEP)..=Some(DAY);
        /// Time from the call to the first byte of the answer.
        first_byte: Option<Duration> = None, shown "the provider's", within Some(STEP)..=Some(DAY);
        /// Time for one attempt to its first content, in a stream.
        first_token: Option<Duration> = None, shown "none", within Some(STEP)..=Some(DAY);
        /// Longest silence inside an answer.
        between: Option<Duration> = None, shown "none", within Some(STEP)..=Some(DAY);
        /// Time for the whole request over all attempts.
        total: Option<Duration> = None, shown "none", within Some(STEP)..=Some(DAY);
    }
}

settings! {
    /// A second attempt while the first has not said anything; the first content wins, the other is cancelled and paid for.
    pub struct Hedge, check Hedge::check {
        /// Whether there is one.
        enabled: bool = true;
        /// When it begins, after the first.
        after: Option<Duration> = None, shown "the p95 of the endpoint's time to first token", within Some(STEP)..=Some(DAY);
    }
}

settings! {
    /// What happens to streams.
    pub struct StreamRules {
        /// When a stream breaks after its first content.
        on_break: Option<OnBreak> = None, shown "`error`";
    }
}

choices! {
    /// What happens to a stream that breaks after its first content.
    pub enum OnBreak {
        /// It ends with an error of the client's dialect.
        Error = "error",
        /// Another target continues it.
        Continue = "continue",
    }
}

settings! {
    /// What is tried after the route's own targets have failed, by the last failure. An empty list: nothing.
    pub struct Fallback {
        /// After any failure that has no list of its own.
        any: Option<Vec<Use>> = None, shown "none";
        /// The prompt was too long.
        context_window: Option<Vec<Use>> = None, shown "`any`";
        /// The content was refused.
        content_policy: Option<Vec<Use>> = None, shown "`any`";
        /// The rate was limited.
        rate_limit: Option<Vec<Use>> = None, shown "`any`";
        /// A budget is used up.
        budget: Option<Vec<Use>> = None, shown "none";
    }
}

impl Hedge {
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        if !self.enabled && from.has("after") {
            let complaint = Complaint::new("is said of something that is not enabled");
            cx.inside(Place::Key("after".to_owned()), |cx| cx.warn(from.at("after"), complaint));
        }
    }
}
