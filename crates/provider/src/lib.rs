//! Upstreams: profiles as data, authentication, and the transport that reaches them.
//!
//! Invariant: knows where providers are and how they are spoken to; decides nothing about routing. A built-in provider
//! is one file in `profile/` and one line in its list.

mod auth;
mod blanks;
mod compile;
mod profile;
mod reference;
mod transport;

pub use compile::{CompileError, DEMO, compile, demo, discovered};
pub use profile::{ALL, Auth, Blank, Profile, Spoken, by_name};
pub use reference::reference;
pub use transport::HttpTransport;
