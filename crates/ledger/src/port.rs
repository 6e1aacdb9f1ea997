//! What the ledger needs from a store. Every call may block; none is made on the way of a request.

use std::sync::Arc;

use lockgate_core::{Error, Kind, Money, RequestId};

use crate::budget::{Budget, Increase};
use crate::rows::{AccountKey, AccountRow, Answer, Crossing, Entry, Epoch, Exchange};

/// Keeps budgets, accounts, leases and the journal. Each method is one transaction: all of it or nothing.
pub trait LedgerStore: Send + Sync {
    /// A new life of a node, alive from now on.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot be written; so in all methods here.
    fn open_node(&self, name: &str, now_ms: u64) -> Result<Epoch, Error>;

    /// Journals, takes back and leases, in this order; notes the heartbeat. A node that was fenced takes its leases up again by
    /// this: what of them is still uncertain is leased again. An exchange whose number is that of the node's last one
    /// changes nothing and is answered with how things stand now. An entry that is in the journal already counts for nothing.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] when the epoch is not known or closed, or the number is not
    /// the next one.
    fn exchange(&self, exchange: &Exchange) -> Result<Answer, Error>;

    /// The end of a node's life. What it had leased and not given back becomes uncertain.
    ///
    /// # Errors
    /// As above.
    fn close_node(&self, epoch: Epoch, now_ms: u64) -> Result<(), Error>;

    /// Takes what living nodes have leased that were last heard of before `silent_since_ms` as uncertain; which nodes.
    ///
    /// # Errors
    /// As above.
    fn fence(&self, silent_since_ms: u64, now_ms: u64) -> Result<Vec<Epoch>, Error>;

    /// Resolves what a dead node left uncertain on an account: `spent` of it is settled, the rest is free again; how much was
    /// uncertain. Kept in the journal with its reason. To be called only when the node can no longer spend: nothing here
    /// can know that.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] when nothing is uncertain there, or less than `spent`.
    fn reconcile(&self, reconcile: &Reconcile) -> Result<Money, Error>;

    /// Books a correction of a charge on the accounts of that charge; `false` when there is no such charge.
    ///
    /// # Errors
    /// As above.
    fn adjust(&self, adjustment: &Adjustment) -> Result<bool, Error>;

    /// Every budget and every increase, in the order of their ids, with the revision.
    ///
    /// # Errors
    /// As above.
    fn budgets(&self) -> Result<Budgets, Error>;

    /// A number that changes whenever a budget or an increase does, in any process. Cheap.
    ///
    /// # Errors
    /// As above.
    fn budget_revision(&self) -> Result<u64, Error>;

    /// Adds a budget or replaces the one of its id; whether it is new.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] when another budget has its name.
    fn put_budget(&self, budget: &Budget) -> Result<bool, Error>;

    /// Removes a budget and its increases; whether there was one. Its accounts stay, and are no longer counted on.
    ///
    /// # Errors
    /// As above.
    fn remove_budget(&self, id: &str) -> Result<bool, Error>;

    /// Adds an increase or replaces the one of its id.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] when there is no such budget.
    fn put_increase(&self, increase: &Increase) -> Result<(), Error>;

    /// Removes an increase; whether there was one.
    ///
    /// # Errors
    /// As above.
    fn remove_increase(&self, id: &str) -> Result<bool, Error>;

    /// Accounts in the order of their keys. What has left a rolling window by `filter.now_ms` is not counted.
    ///
    /// # Errors
    /// As above.
    fn accounts(&self, filter: &AccountFilter) -> Result<Vec<AccountRow>, Error>;

    /// Everything that is leased or uncertain, by node.
    ///
    /// # Errors
    /// As above.
    fn leases(&self) -> Result<Vec<LeaseRow>, Error>;

    /// Every node that is alive, or left something uncertain, in the order of their epochs.
    ///
    /// # Errors
    /// As above.
    fn nodes(&self) -> Result<Vec<NodeRow>, Error>;

    /// Crossings after a number, in order; at most `most`.
    ///
    /// # Errors
    /// As above.
    fn crossings(&self, after: i64, most: usize) -> Result<Vec<Crossing>, Error>;

    /// What the journal has of a request, in the order of attempts and lines.
    ///
    /// # Errors
    /// As above.
    fn journal(&self, request: RequestId) -> Result<Vec<Entry>, Error>;

    /// Deletes journal entries of before a moment, accounts whose window ended before it and on which nothing is leased, and
    /// nodes that are long closed. Sums do not change. How many entries.
    ///
    /// # Errors
    /// As above.
    fn forget_ledger_before(&self, wall_ms: u64) -> Result<u64, Error>;
}

/// Every budget, in one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// Changes whenever anything of it does.
    pub revision: u64,
    /// The budgets in the order of their ids.
    pub budgets: Vec<Budget>,
    /// The increases in the order of their ids, those that are over too.
    pub increases: Vec<Increase>,
}

/// Resolves what is uncertain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// The account.
    pub account: AccountKey,
    /// The node that left it.
    pub epoch: Epoch,
    /// How much of it was spent after all.
    pub spent: Money,
    /// Under which request id this stands in the journal.
    pub request: RequestId,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// Why, and by whom.
    pub reason: Arc<str>,
}

/// A correction of a charge: a re-rating.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The request.
    pub request: RequestId,
    /// Which of its attempts.
    pub attempt: u32,
    /// How much more, or, below zero, how much less.
    pub amount: Money,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// The version of the prices that it goes by.
    pub price: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
}

/// Which accounts are wanted. Everything that is set must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// Of this budget.
    pub budget: Option<Arc<str>>,
    /// Of this value.
    pub value: Option<Arc<str>>,
    /// Whose window holds this moment, in Unix milliseconds.
    pub open_at_ms: Option<u64>,
    /// Behind this one.
    pub after: Option<AccountKey>,
    /// The time of day, in Unix milliseconds: what rolling windows look back from.
    pub now_ms: u64,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

/// What a node has of an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseRow {
    /// The account.
    pub account: AccountKey,
    /// The node.
    pub epoch: Epoch,
    /// How much.
    pub amount: Money,
    /// Whether it is uncertain.
    pub uncertain: bool,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Its life.
    pub epoch: Epoch,
    /// Its name.
    pub name: String,
    /// When it was opened, in Unix milliseconds.
    pub opened_ms: u64,
    /// When it was last heard of, in Unix milliseconds.
    pub heard_ms: u64,
    /// The number of its last exchange.
    pub number: u64,
    /// Whether it is alive: neither fenced nor closed.
    pub alive: bool,
}

// === impl AccountFilter ===

impl AccountFilter {
    /// How many rows at most.
    pub const fn most(&self) -> usize {
        if self.limit == 0 { 100 } else { self.limit }
    }

    /// Whether an account fits, but for the number of rows.
    pub fn fits(&self, row: &AccountRow) -> bool {
        let open = |at: u64| {
            let at = i64::try_from(at).unwrap_or(i64::MAX);
            row.key.start <= at && at < row.end_ms
        };
        self.budget.as_ref().is_none_or(|budget| *budget == row.key.budget)
            && self.value.as_ref().is_none_or(|value| *value == row.key.value)
            && self.open_at_ms.is_none_or(open)
            && self.after.as_ref().is_none_or(|after| row.key > *after)
    }
}

// === what every store refuses in the same words ===

/// The refusal of an exchange of a node that is not known, or whose life is over.
pub fn unknown_node(epoch: Epoch) -> Error {
    Error::gateway(Kind::InvalidRequest, format!("the ledger knows no open node of epoch {}", epoch.0))
}

/// The refusal of an exchange that is neither the next one nor the last one again.
pub fn out_of_order(number: u64, last: u64) -> Error {
    Error::gateway(Kind::InvalidRequest, format!("exchange {number} does not follow exchange {last}"))
}

/// The refusal of a second budget of one name.
pub fn budget_name_is_taken(name: &str) -> Error {
    Error::client(Kind::InvalidRequest, format!("a budget named \"{name}\" exists already")).param("name")
}

/// The refusal of an increase of nothing.
pub fn no_such_budget(id: &str) -> Error {
    Error::client(Kind::InvalidRequest, format!("there is no budget \"{id}\"")).param("budget")
}

/// The refusal to resolve what is not there.
pub fn not_uncertain(uncertain: Money) -> Error {
    let text = format!("{uncertain} dollars are uncertain there: name an amount from 0 to that");
    Error::client(Kind::InvalidRequest, text).param("spent")
}

// === what corrections leave in the journal ===

impl Reconcile {
    /// Its entry.
    pub fn entry(&self) -> Entry {
        Entry {
            request: self.request,
            attempt: 0,
            line: 0,
            amount: self.spent,
            at_ms: self.at_ms,
            accounts: vec![self.account.clone()],
            price: Arc::default(),
            estimated: true,
            reason: Some(Arc::clone(&self.reason)),
        }
    }
}

impl Adjustment {
    /// Its entry, as this line behind a charge.
    pub fn entry(&self, charge: &Entry, line: u32) -> Entry {
        Entry {
            request: self.request,
            attempt: self.attempt,
            line,
            amount: self.amount,
            at_ms: self.at_ms,
            accounts: charge.accounts.clone(),
            price: Arc::clone(&self.price),
            estimated: false,
            reason: Some(Arc::clone(&self.reason)),
        }
    }
}
