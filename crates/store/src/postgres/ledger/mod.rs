//! The ledger: budgets, accounts, leases, the journal. What a row of money becomes, the ledger's own rules say; here rows are
//! loaded, and written back in the same transaction.
//!
//! Several gateways write at once, and rows are locked in one order, so that nobody waits in a circle: nodes by their epochs, a
//! charge that is corrected, accounts by their keys, and last the counters in `revision`. A lease is changed only by
//! whoever has locked its account and its node. What must be read as others left it is read by a statement of its own
//! after the lock: a statement sees what was committed when it began, but for the rows that it waits for.

mod budgets;
mod exchange;
mod nodes;
mod rows;
pub(super) mod tables;

use lockgate_core::{Error, Money, RequestId};
use lockgate_ledger::budget::{Budget, Increase};
use lockgate_ledger::port::{AccountFilter, Adjustment, Budgets, LeaseRow, LedgerStore, NodeRow, Reconcile};
use lockgate_ledger::rows::{AccountRow, Answer, Crossing, Entry, Epoch, Exchange};

use super::link::Step;
use super::{Postgres, revision};

/// The state of a node.
const ALIVE: i64 = 0;
const FENCED: i64 = 1;
const CLOSED: i64 = 2;

impl LedgerStore for Postgres {
    fn open_node(&self, name: &str, now_ms: u64) -> Result<Epoch, Error> {
        self.ledger.write(&self.target, async |step: Step<'_>| nodes::open(step, name, now_ms).await)
    }

    fn exchange(&self, exchange: &Exchange) -> Result<Answer, Error> {
        self.ledger.write(&self.target, async |step: Step<'_>| exchange::exchange(step, exchange).await)
    }

    fn close_node(&self, epoch: Epoch, now_ms: u64) -> Result<(), Error> {
        self.ledger.write(&self.target, async |step: Step<'_>| nodes::close(step, epoch, now_ms).await)
    }

    fn fence(&self, silent_since_ms: u64, now_ms: u64) -> Result<Vec<Epoch>, Error> {
        self.ledger
            .write(&self.target, async |step: Step<'_>| nodes::fence(step, silent_since_ms, now_ms).await)
    }

    fn reconcile(&self, reconcile: &Reconcile) -> Result<Money, Error> {
        self.ledger.write(&self.target, async |step: Step<'_>| nodes::reconcile(step, reconcile).await)
    }

    fn adjust(&self, adjustment: &Adjustment) -> Result<bool, Error> {
        self.ledger.write(&self.target, async |step: Step<'_>| exchange::adjust(step, adjustment).await)
    }

    fn budgets(&self) -> Result<Budgets, Error> {
        self.reads.read(&self.target, async |step: Step<'_>| budgets::all(step).await)
    }

    fn budget_revision(&self) -> Result<u64, Error> {
        self.keys.read(&self.target, async |step: Step<'_>| revision(step, "budgets").await)
    }

    fn put_budget(&self, budget: &Budget) -> Result<bool, Error> {
        self.ledger.write(&self.target, async |step: Step<'_>| budgets::put(step, budget).await)
    }

    fn remove_budget(&self, id: &str) -> Result<bool, Error> {
        self.ledger.write(&self.target, async |step: Step<'_>| budgets::remove(step, id).await)
    }

    fn put_increase(&self, increase: &Increase) -> Result<(), Error> {
        self.ledger.write(&self.target, async |step: Step<'_>| budgets::put_increase(step, increase).await)
    }

    fn remove_increase(&self, id: &str) -> Result<bool, Error> {
        self.ledger.write(&self.target, async |step: Step<'_>| budgets::remove_increase(step, id).await)
    }

    fn accounts(&self, filter: &AccountFilter) -> Result<Vec<AccountRow>, Error> {
        self.reads.read(&self.target, async |step: Step<'_>| rows::accounts(step, filter).await)
    }

    fn leases(&self) -> Result<Vec<LeaseRow>, Error> {
        self.reads.read(&self.target, async |step: Step<'_>| rows::leases(step).await)
    }

    fn nodes(&self) -> Result<Vec<NodeRow>, Error> {
        self.reads.read(&self.target, async |step: Step<'_>| rows::nodes(step).await)
    }

    fn crossings(&self, after: i64, most: usize) -> Result<Vec<Crossing>, Error> {
        self.reads.read(&self.target, async |step: Step<'_>| rows::crossings(step, after, most).await)
    }

    fn journal(&self, request: RequestId) -> Result<Vec<Entry>, Error> {
        self.reads.read(&self.target, async |step: Step<'_>| rows::journal(step, request).await)
    }

    fn forget_ledger_before(&self, wall_ms: u64) -> Result<u64, Error> {
        self.ledger.write(&self.target, async |step: Step<'_>| rows::forget(step, wall_ms).await)
    }
}

/// A moment as a column keeps it.
fn millis(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn request_bytes(request: RequestId) -> [u8; 16] {
    request.as_u128().to_be_bytes()
}
