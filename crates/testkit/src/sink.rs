//! Sinks that keep everything.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lockgate_core::port::{EventSink, RecordSink};
use lockgate_core::{Event, Kind, Record};

/// Keeps every record.
#[derive(Debug, Default)]
pub struct KeptRecords(Mutex<Vec<Record>>);

/// Keeps every event.
#[derive(Debug, Default)]
pub struct KeptEvents(Mutex<Vec<Noted>>);

/// An event, kept. Those that no test looks into are kept as their debug text.
#[derive(Clone, Debug, PartialEq)]
pub enum Noted {
    /// `RequestStarted`.
    Started,
    /// `RequestRefused`, with what was wrong.
    Refused(Kind),
    /// `RequestFinished`.
    Finished(Box<Record>),
    /// `RecordsDropped`.
    Dropped(u64),
    /// `RecordsWritten`: how many.
    Written(usize),
    /// `StoreFailed`.
    StoreFailed,
    /// `BreakerChanged`: provider, model, whether it is open now.
    Breaker(String, String, bool),
    /// Any other.
    Other(String),
}

// === impl KeptRecords ===

impl KeptRecords {
    /// All records so far, in the order of their coming; none is kept any longer.
    pub fn take(&self) -> Vec<Record> {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl RecordSink for KeptRecords {
    fn offer(&self, record: Box<Record>) {
        lock(&self.0).push(*record);
    }
}

// === impl KeptEvents ===

impl KeptEvents {
    /// All events so far, in the order of their coming; none is kept any longer.
    pub fn take(&self) -> Vec<Noted> {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl EventSink for KeptEvents {
    fn emit(&self, event: &Event<'_>) {
        let noted = match event {
            Event::RequestStarted => Noted::Started,
            Event::RequestRefused(error) => Noted::Refused(error.kind()),
            Event::RequestFinished(record) => Noted::Finished(Box::new((*record).clone())),
            Event::RecordsDropped(count) => Noted::Dropped(*count),
            Event::RecordsWritten { count, .. } => {
                Noted::Written(usize::try_from(*count).unwrap_or(usize::MAX))
            }
            Event::StoreFailed { .. } => Noted::StoreFailed,
            Event::BreakerChanged { provider, model, open } => {
                Noted::Breaker((*provider).into(), (*model).into(), *open)
            }
            other => Noted::Other(format!("{other:?}")),
        };
        lock(&self.0).push(noted);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that failed elsewhere must not hide its own message behind this one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
