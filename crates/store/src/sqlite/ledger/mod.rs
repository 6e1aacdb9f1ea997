//! The ledger: budgets, accounts, leases, the journal. What a row of money becomes, the ledger's own rules say; here it is
//! loaded, and written back in the same transaction.

mod budgets;
mod exchange;
mod nodes;
mod rows;
pub(super) mod tables;

use lockgate_core::{Error, Money, RequestId};
use lockgate_ledger::budget::{Budget, Increase};
use lockgate_ledger::port::{AccountFilter, Adjustment, Budgets, LeaseRow, LedgerStore, NodeRow, Reconcile};
use lockgate_ledger::rows::{AccountRow, Answer, Crossing, Entry, Epoch, Exchange};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{Sqlite, failure, lock};

/// The state of a node.
const ALIVE: i64 = 0;
const FENCED: i64 = 1;
const CLOSED: i64 = 2;

impl LedgerStore for Sqlite {
    fn open_node(&self, name: &str, now_ms: u64) -> Result<Epoch, Error> {
        write(&mut lock(&self.ledger), |step| nodes::open(step, name, now_ms))
    }

    fn exchange(&self, exchange: &Exchange) -> Result<Answer, Error> {
        write(&mut lock(&self.ledger), |step| exchange::exchange(step, exchange))
    }

    fn close_node(&self, epoch: Epoch, now_ms: u64) -> Result<(), Error> {
        write(&mut lock(&self.ledger), |step| nodes::end(step, epoch, CLOSED, now_ms))
    }

    fn fence(&self, silent_since_ms: u64, now_ms: u64) -> Result<Vec<Epoch>, Error> {
        write(&mut lock(&self.ledger), |step| nodes::fence(step, silent_since_ms, now_ms))
    }

    fn reconcile(&self, reconcile: &Reconcile) -> Result<Money, Error> {
        write(&mut lock(&self.ledger), |step| nodes::reconcile(step, reconcile))
    }

    fn adjust(&self, adjustment: &Adjustment) -> Result<bool, Error> {
        write(&mut lock(&self.ledger), |step| exchange::adjust(step, adjustment))
    }

    fn budgets(&self) -> Result<Budgets, Error> {
        write(&mut lock(&self.ledger), |step| budgets::all(step))
    }

    fn budget_revision(&self) -> Result<u64, Error> {
        budgets::revision(&lock(&self.ledger))
    }

    fn put_budget(&self, budget: &Budget) -> Result<bool, Error> {
        write(&mut lock(&self.ledger), |step| budgets::put(step, budget))
    }

    fn remove_budget(&self, id: &str) -> Result<bool, Error> {
        write(&mut lock(&self.ledger), |step| budgets::remove(step, id))
    }

    fn put_increase(&self, increase: &Increase) -> Result<(), Error> {
        write(&mut lock(&self.ledger), |step| budgets::put_increase(step, increase))
    }

    fn remove_increase(&self, id: &str) -> Result<bool, Error> {
        write(&mut lock(&self.ledger), |step| budgets::remove_increase(step, id))
    }

    fn accounts(&self, filter: &AccountFilter) -> Result<Vec<AccountRow>, Error> {
        rows::accounts(&lock(&self.ledger), filter)
    }

    fn leases(&self) -> Result<Vec<LeaseRow>, Error> {
        rows::leases(&lock(&self.ledger))
    }

    fn nodes(&self) -> Result<Vec<NodeRow>, Error> {
        rows::nodes(&lock(&self.ledger))
    }

    fn crossings(&self, after: i64, most: usize) -> Result<Vec<Crossing>, Error> {
        rows::crossings(&lock(&self.ledger), after, most)
    }

    fn journal(&self, request: RequestId) -> Result<Vec<Entry>, Error> {
        rows::journal(&lock(&self.ledger), request)
    }

    fn forget_ledger_before(&self, wall_ms: u64) -> Result<u64, Error> {
        write(&mut lock(&self.ledger), |step| rows::forget(step, wall_ms))
    }
}

/// Runs a change as one transaction, which waits for other writers before it reads.
fn write<T>(
    connection: &mut Connection,
    change: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failure)?;
    let done = change(&step)?;
    step.commit().map_err(failure)?;
    Ok(done)
}

/// A moment as a column keeps it.
fn millis(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn request_bytes(request: RequestId) -> [u8; 16] {
    request.as_u128().to_be_bytes()
}
