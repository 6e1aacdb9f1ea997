//! End to end: the real binary, real sockets, real clients.
//!
//! [`Gateway`] is the program as an operator runs it, in a folder of its own; [`Connection`] and [`Reply`] are a client
//! that sees how an answer came as well as what it says. The provider is `lockgate_demo::DemoUpstream`,
//! or an [`Upstream`] whose answers the test writes.
//!
//! Invariant: knows the product by its command line, its sockets and its files, and nothing of its insides.

mod ask;
mod client;
mod gateway;
mod page;
mod process;
mod program;
mod upstream;
mod wait;

pub use ask::{ask, ask_for};
pub use client::{Answer, Connection, Ending, Reply, Request, talk};
pub use gateway::{ADMIN_TOKEN, Gateway};
pub use page::{Page, docs};
pub use process::{binary, folder_of_results, resident_kib};
pub use program::program;
pub use upstream::{Heard, Said, Upstream};
pub use wait::{PATIENCE, eventually};
