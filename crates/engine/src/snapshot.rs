//! Everything that a request is decided by, in one version. A request holds one snapshot from its start to its end.

use std::collections::HashMap;
use std::sync::Arc;

use lockgate_core::{Key, KeyHash};
use lockgate_route::Table;

/// One version of everything that requests are decided by.
#[derive(Debug)]
pub struct Snapshot {
    /// Routes and providers.
    pub table: Arc<Table>,
    /// Who may come in.
    pub keys: Arc<KeyTable>,
}

/// Virtual keys by their hash.
#[derive(Debug, Default)]
pub struct KeyTable(HashMap<KeyHash, Arc<Key>>);

impl KeyTable {
    /// The table of these keys.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self(keys.into_iter().map(|key| (key.hash, Arc::new(key))).collect())
    }

    /// The key with this hash.
    pub fn get(&self, hash: &KeyHash) -> Option<&Arc<Key>> {
        self.0.get(hash)
    }
}
