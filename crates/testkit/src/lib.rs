//! What tests share: a player of recorded exchanges, a scripted provider, a hand-wound clock, builders, sinks that keep.
//!
//! Invariant: a dev-dependency only. It knows the core's words and ports and nothing above them, so that every crate
//! may be tested with it.

pub mod builder;
pub mod chunking;
pub mod clock;
pub mod script;
pub mod sink;
mod skip;
pub mod vectors;

pub use clock::HandClock;
pub use script::{Play, Script};
pub use sink::{KeptEvents, KeptRecords, Noted};
pub use skip::skip;
