//! A store that forgets everything at the end of the process: for tests, and for trying things out.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lockgate_core::port::{Filter, KeyStore, RecordStore};
use lockgate_core::{Error, Key, Kind, Record, RequestId};

use crate::filter;

/// Keys and records in memory. Nothing bounds it.
#[derive(Debug, Default)]
pub struct Memory {
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    records: BTreeMap<RequestId, Record>,
    keys: Vec<Key>,
    revision: u64,
}

// === impl Memory ===

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        // Every change below is complete before anything can panic, so a poisoned lock guards good data.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordStore for Memory {
    fn append(&self, records: &[Box<Record>]) -> Result<(), Error> {
        let mut shelves = self.shelves();
        for record in records {
            shelves.records.entry(record.id).or_insert_with(|| Record::clone(record));
        }
        Ok(())
    }

    fn find(&self, filter: &Filter) -> Result<Vec<Record>, Error> {
        let shelves = self.shelves();
        let fitting = shelves.records.values().filter(|record| filter::fits(filter, record)).cloned();
        let limit = filter::limit(filter);
        if filter.latest {
            let mut all: Vec<Record> = fitting.collect();
            all.drain(..all.len().saturating_sub(limit));
            Ok(all)
        } else {
            Ok(fitting.take(limit).collect())
        }
    }

    fn get(&self, id: RequestId) -> Result<Option<Record>, Error> {
        Ok(self.shelves().records.get(&id).cloned())
    }

    fn forget_before(&self, wall_ms: u64) -> Result<u64, Error> {
        let mut shelves = self.shelves();
        let before = shelves.records.len();
        shelves.records.retain(|id, _| id.wall_ms() >= wall_ms);
        Ok((before - shelves.records.len()) as u64)
    }
}

impl KeyStore for Memory {
    fn keys(&self) -> Result<Vec<Key>, Error> {
        Ok(self.shelves().keys.clone())
    }

    fn add(&self, key: &Key) -> Result<(), Error> {
        let mut shelves = self.shelves();
        if shelves.keys.iter().any(|other| other.id == key.id) {
            return Err(Error::gateway(Kind::Internal, "a key of this id exists already"));
        }
        refuse_second_name(&shelves.keys, key)?;
        shelves.keys.push(key.clone());
        shelves.revision += 1;
        Ok(())
    }

    fn update(&self, key: &Key) -> Result<bool, Error> {
        let mut shelves = self.shelves();
        let Some(at) = shelves.keys.iter().position(|other| other.id == key.id) else { return Ok(false) };
        let old = &shelves.keys[at];
        let new = Key { name: old.name.clone(), created_ms: old.created_ms, ..key.clone() };
        refuse_second_name(&shelves.keys, &new)?;
        shelves.keys[at] = new;
        shelves.revision += 1;
        Ok(true)
    }

    fn revision(&self) -> Result<u64, Error> {
        Ok(self.shelves().revision)
    }
}

fn refuse_second_name(keys: &[Key], key: &Key) -> Result<(), Error> {
    let taken = |other: &Key| other.id != key.id && other.revoked_ms.is_none() && other.name == key.name;
    if key.revoked_ms.is_none() && keys.iter().any(taken) {
        return Err(name_is_taken(&key.name));
    }
    Ok(())
}

/// The refusal of a second key of one name.
pub(crate) fn name_is_taken(name: &str) -> Error {
    Error::client(Kind::InvalidRequest, format!("a key named \"{name}\" exists already")).param("name")
}

#[cfg(test)]
mod tests {
    crate::store_exam!(|_| crate::Memory::new());
}
