//! What an installation keeps its rows in.

use lockgate_core::port::{DocumentStore, KeyStore, RecordStore};
use lockgate_ledger::LedgerStore;

/// All that an installation keeps, behind one address: what holds every port.
pub trait Backend: KeyStore + RecordStore + DocumentStore + LedgerStore {}

impl<B: KeyStore + RecordStore + DocumentStore + LedgerStore> Backend for B {}
