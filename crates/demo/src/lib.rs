//! A provider that needs no network: believable answers, and every fault on demand.
//!
//! [`Demo`] answers in process; [`serve`] and [`DemoUpstream`] put the same behind a socket, where they can also
//! misbehave as only a socket can. [`Fault::ALL`] lists the ways.
//!
//! Faults that happen before a server is reached are not made here: for a refused connection there is
//! [`refused_addr`]; a name that does not resolve (`demo.invalid`) and a TLS handshake with this plain-text server
//! give the failures of DNS and TLS.
//!
//! Invariant: imports nothing of ours. It stands where a foreign company would, so it must share no code, and hence
//! no mistake, with the gateway that it tests.

mod answer;
mod body;
mod chunks;
mod fault;
mod id;
mod pattern;
mod performance;
mod reply;
mod request;
mod schema;
mod server;
mod session;
mod stats;
mod tools;
mod twist;
mod wire;
mod words;

pub use answer::Demo;
pub use body::{Body, Pace};
pub use fault::{Fault, Injection};
pub use server::{DemoUpstream, Options, refused_addr, serve};
pub use stats::{Cancelled, Recorded, Stats};
