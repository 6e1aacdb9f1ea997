//! Rows: keys, records, documents and the ledger in SQLite, behind the ports of core and ledger.
//!
//! Invariant: knows rows and secrets at rest; decides nothing about money, routing or who may do what.

mod document;
#[cfg(any(test, feature = "exam"))]
pub mod exam;
mod filter;
mod hash;
mod memory;
mod private;
mod secret;
mod sqlite;

pub use hash::{Hasher, new_key, new_key_id};
pub use memory::Memory;
pub use secret::secret_file;
pub use sqlite::Sqlite;
