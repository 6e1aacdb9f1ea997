//! Rows: keys, records, documents and the ledger in SQLite, behind the ports of core and ledger.
//!
//! Invariant: knows rows and secrets at rest; decides nothing about money, routing or who may do what.

mod backend;
mod codec;
mod detail;
mod document;
#[cfg(any(test, feature = "exam"))]
pub mod exam;
mod filter;
mod hash;
mod memory;
mod place;
mod postgres;
mod private;
mod secret;
mod shape;
mod sqlite;

pub use backend::Backend;
pub use hash::{Hasher, new_key, new_key_id};
pub use memory::Memory;
pub use postgres::Postgres;
pub use secret::secret_file;
pub use sqlite::Sqlite;

use lockgate_core::{Error, Kind};

/// A row that holds what this program never wrote.
fn damaged(what: &str) -> Error {
    Error::gateway(Kind::Internal, "the store is damaged").detail(what)
}
