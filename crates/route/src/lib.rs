//! How a model name becomes an ordered plan of targets, and when an endpoint is healthy enough to be in it.
//!
//! Invariant: pure. Time comes in as a [`Tick`](lockgate_core::Tick), nothing goes out.

mod breaker;
mod endpoint;
mod plan;
mod table;

pub use breaker::{Breaker, Settings, State};
pub use endpoint::{Endpoint, Registry};
pub use plan::Plan;
pub use table::{Patience, Resolution, Route, Table};
