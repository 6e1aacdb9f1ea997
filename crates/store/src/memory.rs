//! A store that forgets everything at the end of the process: for tests, and for trying things out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lockgate_core::port::{Document, DocumentStore, Draft, Filter, KeyStore, RecordStore};
use lockgate_core::{Error, Key, Kind, Money, Record, RequestId};
use lockgate_ledger::Vault;
use lockgate_ledger::budget::{Budget, Increase};
use lockgate_ledger::port::{AccountFilter, Adjustment, Budgets, LeaseRow, LedgerStore, NodeRow, Reconcile};
use lockgate_ledger::rows::{AccountRow, Answer, Crossing, Entry, Epoch, Exchange};

use crate::document::{self, Newest};
use crate::filter;

/// Keys, records, documents and the ledger in memory. Nothing bounds it.
#[derive(Debug, Default)]
pub struct Memory {
    shelves: Mutex<Shelves>,
    vault: Mutex<Vault>,
}

#[derive(Debug, Default)]
struct Shelves {
    records: BTreeMap<RequestId, Record>,
    keys: Vec<Key>,
    revision: u64,
    /// Every version of each document, by kind and name.
    documents: BTreeMap<(Arc<str>, Arc<str>), Vec<Document>>,
    document_revision: u64,
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

impl DocumentStore for Memory {
    fn documents(&self, kind: &str) -> Result<Vec<Document>, Error> {
        let shelves = self.shelves();
        let newest = shelves.documents.values().filter_map(|versions| versions.last());
        Ok(newest.filter(|newest| *newest.kind == *kind && newest.body.is_some()).cloned().collect())
    }

    fn versions(&self, kind: &str, name: &str) -> Result<Vec<Document>, Error> {
        let place = (Arc::from(kind), Arc::from(name));
        Ok(self.shelves().documents.get(&place).cloned().unwrap_or_default())
    }

    fn put_document(&self, draft: &Draft) -> Result<u64, Error> {
        let mut shelves = self.shelves();
        let place = (draft.kind.clone(), draft.name.clone());
        let newest = shelves.documents.get(&place).and_then(|versions| versions.last());
        let newest = newest.map_or_else(Newest::default, |newest| Newest {
            version: newest.version,
            readable: newest.body.is_some(),
        });
        let version = newest.next(draft)?;
        shelves.documents.entry(place).or_default().push(document::made(draft, version));
        shelves.document_revision += 1;
        Ok(version)
    }

    fn document_revision(&self) -> Result<u64, Error> {
        Ok(self.shelves().document_revision)
    }
}

/// The ledger's own vault, behind a lock.
impl LedgerStore for Memory {
    fn open_node(&self, name: &str, now_ms: u64) -> Result<Epoch, Error> {
        self.vault.open_node(name, now_ms)
    }

    fn exchange(&self, exchange: &Exchange) -> Result<Answer, Error> {
        self.vault.exchange(exchange)
    }

    fn close_node(&self, epoch: Epoch, now_ms: u64) -> Result<(), Error> {
        self.vault.close_node(epoch, now_ms)
    }

    fn fence(&self, silent_since_ms: u64, now_ms: u64) -> Result<Vec<Epoch>, Error> {
        self.vault.fence(silent_since_ms, now_ms)
    }

    fn reconcile(&self, reconcile: &Reconcile) -> Result<Money, Error> {
        self.vault.reconcile(reconcile)
    }

    fn adjust(&self, adjustment: &Adjustment) -> Result<bool, Error> {
        self.vault.adjust(adjustment)
    }

    fn budgets(&self) -> Result<Budgets, Error> {
        self.vault.budgets()
    }

    fn budget_revision(&self) -> Result<u64, Error> {
        self.vault.budget_revision()
    }

    fn put_budget(&self, budget: &Budget) -> Result<bool, Error> {
        self.vault.put_budget(budget)
    }

    fn remove_budget(&self, id: &str) -> Result<bool, Error> {
        self.vault.remove_budget(id)
    }

    fn put_increase(&self, increase: &Increase) -> Result<(), Error> {
        self.vault.put_increase(increase)
    }

    fn remove_increase(&self, id: &str) -> Result<bool, Error> {
        self.vault.remove_increase(id)
    }

    fn accounts(&self, filter: &AccountFilter) -> Result<Vec<AccountRow>, Error> {
        self.vault.accounts(filter)
    }

    fn leases(&self) -> Result<Vec<LeaseRow>, Error> {
        self.vault.leases()
    }

    fn nodes(&self) -> Result<Vec<NodeRow>, Error> {
        self.vault.nodes()
    }

    fn crossings(&self, after: i64, most: usize) -> Result<Vec<Crossing>, Error> {
        self.vault.crossings(after, most)
    }

    fn journal(&self, request: RequestId) -> Result<Vec<Entry>, Error> {
        self.vault.journal(request)
    }

    fn forget_ledger_before(&self, wall_ms: u64) -> Result<u64, Error> {
        self.vault.forget_ledger_before(wall_ms)
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

    mod documents {
        crate::document_exam!(|_| crate::Memory::new());
    }

    mod ledger {
        crate::ledger_exam!(|_| crate::Memory::new());
    }
}
