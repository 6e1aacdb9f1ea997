//! Everything that a request is decided by, in one version. A request holds one snapshot from its start to its end.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use lockgate_catalog::Catalog;
use lockgate_core::{Key, KeyHash};
use lockgate_route::Table;

use crate::admit::attribute::Rules;

/// One version of everything that requests are decided by.
#[derive(Debug)]
pub struct Snapshot {
    /// Routes and providers.
    pub table: Arc<Table>,
    /// Who may come in.
    pub keys: Arc<KeyTable>,
    /// What is known of models, and what they cost.
    pub catalog: Arc<Catalog>,
    /// What clients may say of whom a request is for, and what they must.
    pub attribution: Arc<Rules>,
}

/// Virtual keys by their hash.
#[derive(Debug, Default)]
pub struct KeyTable(HashMap<KeyHash, Arc<Key>, BuildHasherDefault<Leading>>);

/// The hash of a key is random already, and nobody but the installation's secret can steer it: its first bytes will do.
#[derive(Debug, Default)]
struct Leading(u64);

impl Hasher for Leading {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 ^= u64::from_ne_bytes(*first);
        }
    }
}

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
