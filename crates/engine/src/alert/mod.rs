//! Alerts: events become signals, rules make alerts of signals, digests gather alerts, the outbox takes them to channels.
//!
//! A [`Watch`] stands before the event sink and lets all pass; it keeps what the rules need in a queue with a bound. A thread of
//! its own, the [`Desk`], does the rest. Without a channel in the config neither exists.

mod desk;
mod forecast;
mod outbox;
mod rules;
mod signal;
mod usual;

pub use desk::{Alerts, Desk, Plan, Tested};
pub use outbox::{Delivery, State, Try, test_digest};
pub use rules::Rules;
pub use signal::{Part, Signal, Watch};
