//! Budgets as they stand, for whoever looks after them: what the commands print and the endpoints answer, read from the store
//! that blocks. Amounts are dollars as text, exact; times are those of RFC 3339, in UTC.

pub mod key;
pub mod uncertain;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use lockgate_core::{Error, Money, RequestId};
use serde::{Serialize, Serializer};

use crate::budget::{Budget, Increase};
use crate::draft::Draft;
use crate::forecast;
use crate::port::{AccountFilter, Budgets, LeaseRow, LedgerStore, NodeRow};
use crate::rows::{AccountKey, AccountRow, Entry, Epoch, minus, plus};
use crate::window::Span;

/// An amount that is written as dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(pub Money);

/// A moment in Unix milliseconds that is written as in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// A budget, and what is spent of it.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetReport {
    /// Its id.
    pub id: Arc<str>,
    /// What it says.
    #[serde(flatten)]
    pub says: Draft,
    /// The limit in force, increases included. With `per` it is that of each account.
    pub limit_now: Dollars,
    /// What is spent in the open window, what is uncertain included; of all accounts.
    pub spent: Dollars,
    /// What of it is uncertain.
    pub uncertain: Dollars,
    /// What nodes have leased beside it.
    pub leased: Dollars,
    /// How many accounts are open.
    pub open_accounts: u64,
    /// The account that has used most of the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fullest: Option<AccountReport>,
    /// When spending begins to count anew; absent for rolling windows and all time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Moment>,
    /// The temporary increases that are not over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub increases: Vec<IncreaseReport>,
}

/// An account that is open.
#[derive(Clone, Debug, Serialize)]
pub struct AccountReport {
    /// The value of the budget's dimension; empty where the budget has none, or the requests no value.
    pub value: Arc<str>,
    /// When its window began; absent for rolling windows and all time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins_at: Option<Moment>,
    /// When its window ends; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Moment>,
    /// The limit in force.
    pub limit: Dollars,
    /// What counts as spent: what was settled and what is uncertain.
    pub spent: Dollars,
    /// What is left of the limit; below zero when it was overspent.
    pub left: Dollars,
    /// What was journaled.
    pub settled: Dollars,
    /// What nodes that died had leased and not journaled.
    pub uncertain: Dollars,
    /// What living nodes may spend without asking.
    pub leased: Dollars,
    /// What is spent in percent of the limit, rounded down.
    pub percent: u64,
    /// When the limit will be reached if spending goes on as it did on average in this window; absent when it will not be in this
    /// window, or too little is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hits_limit_at: Option<Moment>,
    /// What each node has of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeReport>,
}

/// What a node has of an account.
#[derive(Clone, Debug, Serialize)]
pub struct NodeReport {
    /// The number of the node's life.
    pub node: i64,
    /// The node's name.
    pub name: String,
    /// Whether it is alive.
    pub alive: bool,
    /// How much.
    pub amount: Dollars,
    /// Whether it is uncertain.
    pub uncertain: bool,
}

/// A temporary increase.
#[derive(Clone, Debug, Serialize)]
pub struct IncreaseReport {
    /// Its id.
    pub id: Arc<str>,
    /// How much more may be spent.
    pub amount: Dollars,
    /// From when on.
    pub from_at: Moment,
    /// Until when.
    pub until_at: Moment,
    /// Why.
    pub reason: String,
    /// Who granted it.
    pub by: String,
    /// Whether it is in force.
    pub in_force: bool,
}

/// A line of the journal.
#[derive(Clone, Debug, Serialize)]
pub struct EntryReport {
    /// The request, or the id that a correction stands under.
    pub request: String,
    /// Which of its attempts, from 1; 0 for what was uncertain and is resolved.
    pub attempt: u32,
    /// 0 for the charge, from 1 for its adjustments.
    pub line: u32,
    /// How much.
    pub amount: Dollars,
    /// When.
    pub at: Moment,
    /// Whether it rests on an estimate of the gateway.
    pub estimated: bool,
    /// The version of the prices that it was charged by; absent for corrections without one.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub price: Arc<str>,
    /// Why, for a correction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
    /// What it counts on.
    pub accounts: Vec<AccountName>,
}

/// Which account.
#[derive(Clone, Debug, Serialize)]
pub struct AccountName {
    /// The id of the budget.
    pub budget: Arc<str>,
    /// Its name; absent when it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    /// The value of the budget's dimension.
    pub value: Arc<str>,
    /// When the window began; absent for rolling windows and all time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins_at: Option<Moment>,
}

/// Rows that are read at once.
const PAGE: usize = 1_000;
/// Spending of a shorter time says nothing about what is to come: ten minutes.
const SHORTEST_MS: u64 = 600_000;

// === reading the store ===

/// The budget of this id, else of this name.
pub fn find<'b>(budgets: &'b Budgets, named: &str) -> Option<&'b Budget> {
    let of = |what: fn(&Budget) -> &str| budgets.budgets.iter().find(move |budget| what(budget) == named);
    of(|budget| &budget.id).or_else(|| of(|budget| &budget.name))
}

/// A budget with what is spent of it. Reads all of its open accounts.
///
/// # Errors
/// When the store cannot be read; so in all that follows.
pub fn budget(
    store: &dyn LedgerStore,
    budgets: &Budgets,
    budget: &Budget,
    now_ms: u64,
) -> Result<BudgetReport, Error> {
    let span = budget.window.span(now_ms);
    let limit = budget.limit_at(&budgets.increases, now_ms);
    let (mut spent, mut uncertain, mut leased) = (Money::ZERO, Money::ZERO, Money::ZERO);
    let (mut accounts, mut fullest) = (0, None::<AccountRow>);
    each_open(store, budget, None, None, now_ms, |row| {
        spent = plus(spent, row.spent());
        uncertain = plus(uncertain, row.uncertain);
        leased = plus(leased, row.leased);
        accounts += 1;
        if fullest.as_ref().is_none_or(|most| row.spent() > most.spent()) {
            fullest = Some(row);
        }
        true
    })?;
    let increases = budgets.increases.iter();
    let increases = increases.filter(|increase| increase.budget == budget.id && increase.until_ms > now_ms);
    Ok(BudgetReport {
        id: Arc::clone(&budget.id),
        says: Draft::of(budget),
        limit_now: Dollars(limit),
        spent: Dollars(spent),
        uncertain: Dollars(uncertain),
        leased: Dollars(leased),
        open_accounts: accounts,
        fullest: fullest.map(|row| account(&row, span, limit, now_ms)),
        resets_at: span.resets_ms().map(Moment),
        increases: increases.map(|increase| IncreaseReport::new(increase, now_ms)).collect(),
    })
}

/// The open accounts of a budget in the order of their values, behind `after`, at most `most`; of `value` alone, where that is
/// given. Each with what nodes have of it.
///
/// # Errors
/// As above.
pub fn accounts(
    store: &dyn LedgerStore,
    budgets: &Budgets,
    budget: &Budget,
    (after, value): (Option<&str>, Option<&str>),
    most: usize,
    now_ms: u64,
) -> Result<Vec<AccountReport>, Error> {
    let span = budget.window.span(now_ms);
    let limit = budget.limit_at(&budgets.increases, now_ms);
    let mut rows = Vec::new();
    each_open(store, budget, after, value, now_ms, |row| {
        rows.push(row);
        rows.len() < most
    })?;
    let holders = Holders::read(store)?;
    let report =
        |row: &AccountRow| AccountReport { nodes: holders.of(&row.key), ..account(row, span, limit, now_ms) };
    Ok(rows.iter().map(report).collect())
}

/// What the journal has of a request.
///
/// # Errors
/// As above.
pub fn journal(store: &dyn LedgerStore, request: RequestId) -> Result<Vec<EntryReport>, Error> {
    let budgets = store.budgets()?;
    Ok(store.journal(request)?.iter().map(|entry| EntryReport::new(entry, &budgets)).collect())
}

/// Hands over every account of a budget whose window is the open one, until it is told that this is enough.
fn each_open(
    store: &dyn LedgerStore,
    budget: &Budget,
    after: Option<&str>,
    value: Option<&str>,
    now_ms: u64,
    mut take: impl FnMut(AccountRow) -> bool,
) -> Result<(), Error> {
    let span = budget.window.span(now_ms);
    let behind =
        |value: &str| AccountKey { budget: Arc::clone(&budget.id), value: value.into(), start: i64::MAX };
    let mut filter = AccountFilter {
        budget: Some(Arc::clone(&budget.id)),
        value: value.map(Arc::from),
        open_at_ms: Some(now_ms),
        after: after.map(behind),
        now_ms,
        limit: PAGE,
    };
    loop {
        let rows = store.accounts(&filter)?;
        let last = rows.last().filter(|_| rows.len() == PAGE).map(|row| row.key.clone());
        for row in rows {
            // An account of a window that the budget had before may be open as well.
            if row.key.start == span.start && !take(row) {
                return Ok(());
            }
        }
        match last {
            Some(last) => filter.after = Some(last),
            None => return Ok(()),
        }
    }
}

/// An account as it is shown; what nodes have of it is not.
pub fn account(row: &AccountRow, span: Span, limit: Money, now_ms: u64) -> AccountReport {
    let (spent, settled) = (row.spent(), row.settled);
    let percent = match u128::try_from(limit.nanos()) {
        Ok(limit @ 1..) => u128::try_from(spent.nanos()).unwrap_or(0) * 100 / limit,
        _ if spent > Money::ZERO => 100,
        _ => 0,
    };
    let begins = begin(span.start);
    let hits = begins.filter(|begins| now_ms.saturating_sub(*begins) >= SHORTEST_MS).and_then(|begins| {
        forecast::by_average((begins, now_ms), spent, limit, span.resets_ms().unwrap_or(u64::MAX))
    });
    AccountReport {
        value: Arc::clone(&row.key.value),
        begins_at: begins.map(Moment),
        resets_at: span.resets_ms().map(Moment),
        limit: Dollars(limit),
        spent: Dollars(spent),
        left: Dollars(minus(limit, spent)),
        settled: Dollars(settled),
        uncertain: Dollars(row.uncertain),
        leased: Dollars(row.leased),
        percent: u64::try_from(percent).unwrap_or(u64::MAX),
        hits_limit_at: hits.map(Moment),
        nodes: Vec::new(),
    }
}

/// When a window began, from the start that its accounts have in their keys; `None` for rolling windows and all time.
fn begin(start: i64) -> Option<u64> {
    u64::try_from(start).ok().filter(|start| *start > 0)
}

/// Who has leased what.
struct Holders {
    by_account: HashMap<AccountKey, Vec<LeaseRow>>,
    nodes: HashMap<Epoch, NodeRow>,
}

impl Holders {
    fn read(store: &dyn LedgerStore) -> Result<Self, Error> {
        let mut by_account: HashMap<AccountKey, Vec<LeaseRow>> = HashMap::new();
        for lease in store.leases()? {
            by_account.entry(lease.account.clone()).or_default().push(lease);
        }
        Ok(Self { by_account, nodes: store.nodes()?.into_iter().map(|node| (node.epoch, node)).collect() })
    }

    fn of(&self, account: &AccountKey) -> Vec<NodeReport> {
        let leases = self.by_account.get(account).into_iter().flatten();
        leases
            .map(|lease| {
                let node = self.nodes.get(&lease.epoch);
                NodeReport {
                    node: lease.epoch.0,
                    name: node.map(|node| node.name.clone()).unwrap_or_default(),
                    alive: node.is_some_and(|node| node.alive),
                    amount: Dollars(lease.amount),
                    uncertain: lease.uncertain,
                }
            })
            .collect()
    }
}

// === shapes ===

impl IncreaseReport {
    /// An increase as it stands.
    pub fn new(increase: &Increase, now_ms: u64) -> Self {
        Self {
            id: Arc::clone(&increase.id),
            amount: Dollars(increase.amount),
            from_at: Moment(increase.from_ms),
            until_at: Moment(increase.until_ms),
            reason: increase.reason.clone(),
            by: increase.by.clone(),
            in_force: increase.holds(now_ms),
        }
    }
}

impl EntryReport {
    fn new(entry: &Entry, budgets: &Budgets) -> Self {
        let account = |key: &AccountKey| AccountName {
            budget: Arc::clone(&key.budget),
            name: find(budgets, &key.budget).map(|budget| Arc::clone(&budget.name)),
            value: Arc::clone(&key.value),
            begins_at: begin(key.start).map(Moment),
        };
        Self {
            request: entry.request.to_string(),
            attempt: entry.attempt,
            line: entry.line,
            amount: Dollars(entry.amount),
            at: Moment(entry.at_ms),
            estimated: entry.estimated,
            price: Arc::clone(&entry.price),
            reason: entry.reason.clone(),
            accounts: entry.accounts.iter().map(account).collect(),
        }
    }
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = i64::try_from(self.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        fmt::Display::fmt(&at.unwrap_or(Timestamp::MAX), f)
    }
}

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
