//! Upstreams: profiles as data, and the transport that reaches them.
//!
//! Invariant: knows where providers are and how they are spoken to; decides nothing about routing. A built-in provider
//! is one file in `profile/` and one line in its list.

mod compile;
mod profile;
mod transport;

pub use compile::{CompileError, DEMO, compile, demo, discovered};
pub use profile::{ALL, Auth, Profile, by_name};
pub use transport::HttpTransport;
