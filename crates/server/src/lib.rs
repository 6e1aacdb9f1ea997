//! The doors: data plane, admin endpoints, start page, health, TLS, drain.
//!
//! Invariant: the only crate that knows HTTP servers; it holds no policy. A request on the data plane is turned into an
//! `Inbound`, walked by the engine, and its reply or error is sent; errors become bytes here and nowhere else.

mod admin;
mod body;
pub mod cabinet;
mod data_plane;
mod drain;
mod house;
mod key;
mod listen;
mod models;
mod page;
mod panics;
mod paths;
mod talk;
mod tls;
mod watch;

pub use admin::Sessions;
pub use drain::Drain;
pub use house::{House, Limits, MakeKey, MetricsAccess, NewKey, Probe};
pub use listen::{Doors, open};
pub use tls::{Certificates, TlsError};
