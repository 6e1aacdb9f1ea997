//! The walk of a request, and the rooms that it passes.
//!
//! Invariant: works on ports alone: no database, no socket, no HTTP server; the whole of it runs in a unit test with a
//! scripted transport and a clock wound by hand.

pub mod admit;
pub mod alert;
mod chat;
mod dispatch;
mod engine;
mod explain;
mod inbound;
mod knowledge;
pub mod ledger;
pub mod record;
mod relay;
mod reply;
mod route;
mod simple;
mod snapshot;

pub use admit::attribute::Rules as AttributionRules;
pub use chat::chat;
pub use engine::{Engine, KeyHasher, State};
pub use explain::{Question, Verdict, decide, explain};
pub use inbound::Inbound;
pub use knowledge::{House, Known};
pub use relay::Relay;
pub use reply::{Reply, ReplyBody};
pub use simple::{Errand, Hail, Passage, Talk, Task, realtime, simple};
pub use snapshot::{KeyTable, Snapshot};
