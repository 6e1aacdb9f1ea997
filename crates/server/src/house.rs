//! What every door of a process shares.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use lockgate_core::port::{DocumentStore, KeyStore, RecordStore};
use lockgate_core::{Error, KeyId, Secret};
use lockgate_engine::State;
use lockgate_engine::alert::Alerts;
use lockgate_ledger::LedgerStore;
use lockgate_ledger::rate::Limit;

use crate::admin::Sessions;
use crate::cabinet::Cabinet;
use crate::drain::Drain;

/// What every door shares.
pub struct House {
    /// The engine's state.
    pub state: Arc<State>,
    /// Keys, for the admin endpoints.
    pub keys: Arc<dyn KeyStore>,
    /// Makes what a new key is known by and opens with.
    pub new_key: MakeKey,
    /// Budgets and what is spent of them, for the admin endpoints.
    pub ledger: Arc<dyn LedgerStore>,
    /// Routes and scores of the store, for the admin endpoints.
    pub cabinet: Arc<dyn Cabinet>,
    /// Limits that are made through the gateway, for the admin endpoints.
    pub documents: Arc<dyn DocumentStore>,
    /// Those of the config file as it is in force.
    pub file_limits: Arc<RwLock<Vec<Limit>>>,
    /// Records, for the admin endpoints and the start page.
    pub records: Arc<dyn RecordStore>,
    /// What was told to people; `None` when nobody is told anything.
    pub alerts: Option<Arc<Alerts>>,
    /// Opens the admin endpoints.
    pub admin_token: Secret,
    /// Who may read the metrics.
    pub metrics: MetricsAccess,
    /// Prometheus text.
    pub render_metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Whether the process can serve, beyond being up.
    pub ready: Probe,
    /// What a client may ask of a door.
    pub limits: Limits,
    /// How the process ends.
    pub drain: Arc<Drain>,
    /// Where clients reach the gateway, for the start page: `http://127.0.0.1:4100`.
    pub url: String,
    /// Who is logged in on the pages.
    pub sessions: Sessions,
}

/// Makes what a new key is known by and opens with.
pub type MakeKey = Box<dyn Fn() -> Result<NewKey, Error> + Send + Sync>;

/// What a new key is known by, and opens with.
#[derive(Debug)]
pub struct NewKey {
    /// Its public name.
    pub id: KeyId,
    /// What it opens with.
    pub secret: Secret,
    /// Its last four characters.
    pub hint: String,
}

/// Says why the process cannot serve, if it cannot.
pub type Probe = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Whoever has the admin token.
    Admin,
    /// Whoever reaches the door.
    Public,
}

/// Bounds on a request and a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Bytes of a request's head.
    pub header: usize,
    /// Time for a head, from its first byte; also for the first byte of a connection.
    pub header_timeout: Duration,
    /// Time for a body.
    pub body_timeout: Duration,
    /// Time for a client to take a piece of the answer.
    pub write_timeout: Duration,
    /// Connections open at once.
    pub connections: usize,
}

impl House {
    /// Whether this is the admin token; takes the same time for every wrong one.
    pub(crate) fn is_admin(&self, token: &str) -> bool {
        use subtle::ConstantTimeEq as _;
        token.as_bytes().ct_eq(self.admin_token.expose().as_bytes()).into()
    }
}
