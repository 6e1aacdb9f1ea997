//! What all requests share, and what one worker thread has for itself.

use std::sync::Arc;

use arc_swap::ArcSwap;
use lockgate_core::port::{EventSink, RecordSink, Transport};
use lockgate_core::{Clock, KeyHash};
use lockgate_ledger::Limiter;
use lockgate_route::{Registry, Settings};

use crate::ledger::Purse;
use crate::snapshot::Snapshot;

/// Hashes a virtual key as the store does.
pub type KeyHasher = Box<dyn Fn(&str) -> KeyHash + Send + Sync>;

/// What all requests of a process share.
pub struct State {
    /// What is in force. Swapped whole.
    pub snapshot: ArcSwap<Snapshot>,
    /// The health of every endpoint; outlives snapshots.
    pub registry: Arc<Registry>,
    /// When endpoints leave rotation.
    pub breakers: Settings,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Sees every event.
    pub events: Arc<dyn EventSink>,
    /// Takes finished records.
    pub records: Arc<dyn RecordSink>,
    /// What may be spent; `None`: nobody counts.
    pub purse: Option<Arc<Purse>>,
    /// How many requests and tokens may pass.
    pub limits: Arc<Limiter>,
    /// Hashes virtual keys.
    pub hasher: KeyHasher,
}

impl State {
    /// Whether there is any budget.
    pub(crate) fn counts_money(&self) -> bool {
        self.purse.as_ref().is_some_and(|purse| !purse.book().is_empty())
    }
}

/// The engine of one worker thread: the shared state, and connections of its own.
#[derive(Clone)]
pub struct Engine {
    /// What all workers share.
    pub state: Arc<State>,
    /// Reaches providers.
    pub transport: Arc<dyn Transport>,
}
