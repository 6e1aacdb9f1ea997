//! The store of the ledger as a plain value: what a transaction does, without one. It is the measure of every real store (the
//! exam compares them with it), the store of tests, and what the model check explores.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lockgate_core::{Error, Money, RequestId};

use crate::budget::{Budget, Increase};
use crate::port::{
    AccountFilter, Adjustment, Budgets, LeaseRow, LedgerStore, NodeRow, Reconcile, budget_name_is_taken,
    no_such_budget, not_uncertain, out_of_order, unknown_node,
};
use crate::rows::{AccountKey, AccountRow, Answer, Crossing, Entry, Epoch, Exchange, Terms, minus, plus};

/// All rows.
#[derive(Clone, Debug, Default)]
pub struct Vault {
    budgets: Budgets,
    accounts: BTreeMap<AccountKey, AccountRow>,
    /// What rolling windows count, by slot.
    slots: BTreeMap<(AccountKey, i64), Money>,
    nodes: BTreeMap<Epoch, Node>,
    leases: BTreeMap<(AccountKey, Epoch), Money>,
    journal: BTreeMap<(RequestId, u32, u32), Entry>,
    crossings: Vec<Crossing>,
    last_epoch: i64,
}

/// A life of a node.
#[derive(Clone, Debug)]
struct Node {
    name: String,
    opened_ms: u64,
    heard_ms: u64,
    number: u64,
    state: State,
    /// Since when what it has leased is uncertain.
    fenced_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Alive,
    Fenced,
    Closed,
}

// === impl Vault ===

impl Vault {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes rolling windows forget, in a copy.
    fn looked_at(&self, row: &AccountRow, now_ms: u64) -> AccountRow {
        let mut row = row.clone();
        if let Some(before) = Terms::rolling_of(&row.key).and_then(|terms| terms.forgotten_before(now_ms)) {
            let old = self.slots.range((row.key.clone(), i64::MIN)..(row.key.clone(), before));
            row.settled = old.fold(row.settled, |settled, (_, amount)| minus(settled, *amount));
        }
        row
    }

    fn terms(&self, id: &str, now_ms: u64) -> Option<Terms> {
        let budget = self.budgets.budgets.iter().find(|budget| *budget.id == *id)?;
        Some(Terms::of(budget, &self.budgets.increases, now_ms))
    }

    fn alive(&self) -> u32 {
        let count = self.nodes.values().filter(|node| node.state == State::Alive).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Turns what a node has leased from leased into uncertain, or back.
    fn turn(&mut self, epoch: Epoch, uncertain: bool) {
        for ((key, _), amount) in self.leases.iter().filter(|((_, whose), _)| *whose == epoch) {
            let Some(row) = self.accounts.get_mut(key) else { continue };
            let (from, to) = if uncertain {
                (&mut row.leased, &mut row.uncertain)
            } else {
                (&mut row.uncertain, &mut row.leased)
            };
            *from = minus(*from, *amount);
            *to = plus(*to, *amount);
        }
    }

    /// Adds to what an account has settled, in the right slot.
    fn settle(&mut self, key: &AccountKey, amount: Money, at_ms: u64) {
        let Some(row) = self.accounts.get_mut(key) else { return };
        row.settled = plus(row.settled, amount);
        if let Some(slot) = Terms::rolling_of(key).and_then(|terms| terms.slot(at_ms)) {
            let counted = self.slots.entry((key.clone(), slot)).or_default();
            *counted = plus(*counted, amount);
        }
    }

    fn exchange(&mut self, exchange: &Exchange) -> Result<Answer, Error> {
        let node = self.nodes.get_mut(&exchange.epoch).filter(|node| node.state != State::Closed);
        let node = node.ok_or_else(|| unknown_node(exchange.epoch))?;
        let again = exchange.number == node.number;
        if !again && exchange.number != node.number + 1 {
            return Err(out_of_order(exchange.number, node.number));
        }
        node.number = exchange.number;
        node.heard_ms = node.heard_ms.max(exchange.now_ms);
        if node.state == State::Fenced {
            node.state = State::Alive;
            self.turn(exchange.epoch, false);
        }
        let mut charged: BTreeMap<&AccountKey, Money> = BTreeMap::new();
        if !again {
            for entry in &exchange.entries {
                let place = (entry.request, entry.attempt, entry.line);
                if self.journal.contains_key(&place) {
                    continue;
                }
                self.journal.insert(place, entry.clone());
                for key in &entry.accounts {
                    let sum = charged.entry(key).or_default();
                    *sum = plus(*sum, entry.amount);
                    if let Some(slot) = Terms::rolling_of(key).and_then(|terms| terms.slot(entry.at_ms)) {
                        let counted = self.slots.entry((key.clone(), slot)).or_default();
                        *counted = plus(*counted, entry.amount);
                    }
                }
            }
        }
        let nodes = self.alive();
        let mut answer = Answer { revision: self.budgets.revision, ..Answer::default() };
        for ask in &exchange.accounts {
            let terms = self.terms(&ask.key.budget, exchange.now_ms);
            let row = self.accounts.entry(ask.key.clone());
            let mut row = row.or_insert_with(|| AccountRow::new(ask.key.clone(), ask.end_ms)).clone();
            let mut lease = self.leases.get(&(ask.key.clone(), exchange.epoch)).copied().unwrap_or_default();
            if let Some(before) =
                Terms::rolling_of(&ask.key).and_then(|terms| terms.forgotten_before(exchange.now_ms))
            {
                let old: Vec<_> = self
                    .slots
                    .range((ask.key.clone(), i64::MIN)..(ask.key.clone(), before))
                    .map(|(k, _)| k.clone())
                    .collect();
                for place in old {
                    row.settled = minus(row.settled, self.slots.remove(&place).unwrap_or_default());
                }
            }
            if !again {
                let charged = charged.get(&ask.key).copied().unwrap_or_default();
                row.exchange(&mut lease, charged, ask, terms.as_ref(), nodes);
                if let Some(terms) = &terms {
                    for mut crossing in row.cross(terms, exchange.now_ms) {
                        crossing.number = self.crossings.last().map_or(1, |last| last.number + 1);
                        self.crossings.push(crossing.clone());
                        answer.crossings.push(crossing);
                    }
                }
            }
            answer.accounts.push(row.standing(lease, terms.as_ref()));
            self.accounts.insert(ask.key.clone(), row);
            if lease == Money::ZERO {
                self.leases.remove(&(ask.key.clone(), exchange.epoch));
            } else {
                self.leases.insert((ask.key.clone(), exchange.epoch), lease);
            }
        }
        Ok(answer)
    }

    fn fence(&mut self, silent_since_ms: u64, now_ms: u64) -> Vec<Epoch> {
        let silent: Vec<Epoch> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.state == State::Alive && node.heard_ms < silent_since_ms)
            .map(|(epoch, _)| *epoch)
            .collect();
        for epoch in &silent {
            self.end(*epoch, State::Fenced, now_ms);
        }
        // What a rolling window has left behind is uncertain no longer.
        let over: Vec<_> =
            self.leases.keys().filter(|(key, epoch)| self.is_over(key, *epoch, now_ms)).cloned().collect();
        for place in over {
            let amount = self.leases.remove(&place).unwrap_or_default();
            if let Some(row) = self.accounts.get_mut(&place.0) {
                row.uncertain = minus(row.uncertain, amount);
            }
        }
        silent
    }

    fn is_over(&self, key: &AccountKey, epoch: Epoch, now_ms: u64) -> bool {
        let Some(before) = Terms::rolling_of(key).and_then(|terms| terms.forgotten_before(now_ms)) else {
            return false;
        };
        let gone = |node: &Node| {
            node.state != State::Alive && i64::try_from(node.fenced_ms).unwrap_or(i64::MAX) < before
        };
        self.nodes.get(&epoch).is_some_and(gone)
    }

    fn end(&mut self, epoch: Epoch, state: State, now_ms: u64) {
        let Some(node) = self.nodes.get_mut(&epoch) else { return };
        let was_alive = node.state == State::Alive;
        node.state = state;
        if was_alive {
            node.fenced_ms = now_ms;
            self.turn(epoch, true);
        }
    }

    fn reconcile(&mut self, reconcile: &Reconcile) -> Result<Money, Error> {
        let place = (reconcile.account.clone(), reconcile.epoch);
        let dead = self.nodes.get(&reconcile.epoch).is_none_or(|node| node.state != State::Alive);
        let uncertain = self.leases.get(&place).copied().filter(|_| dead).unwrap_or_default();
        if uncertain <= Money::ZERO || reconcile.spent < Money::ZERO || reconcile.spent > uncertain {
            return Err(not_uncertain(uncertain));
        }
        self.leases.remove(&place);
        if let Some(row) = self.accounts.get_mut(&reconcile.account) {
            row.uncertain = minus(row.uncertain, uncertain);
        }
        self.settle(&reconcile.account, reconcile.spent, reconcile.at_ms);
        let entry = reconcile.entry();
        self.journal.entry((entry.request, entry.attempt, entry.line)).or_insert(entry);
        Ok(uncertain)
    }

    fn adjust(&mut self, adjustment: &Adjustment) -> bool {
        let (request, attempt) = (adjustment.request, adjustment.attempt);
        let mut lines = self.journal.range((request, attempt, 0)..=(request, attempt, u32::MAX));
        let Some(charge) = lines.next().map(|(_, entry)| entry.clone()).filter(|entry| entry.line == 0)
        else {
            return false;
        };
        let last = lines.next_back().map_or(0, |((_, _, line), _)| *line);
        for key in &charge.accounts {
            self.settle(key, adjustment.amount, charge.at_ms);
        }
        let entry = adjustment.entry(&charge, last + 1);
        self.journal.insert((request, attempt, entry.line), entry);
        true
    }

    fn put_budget(&mut self, budget: &Budget) -> Result<bool, Error> {
        let Budgets { budgets, revision, .. } = &mut self.budgets;
        if budgets.iter().any(|other| other.id != budget.id && other.name == budget.name) {
            return Err(budget_name_is_taken(&budget.name));
        }
        *revision += 1;
        match budgets.binary_search_by(|other| other.id.cmp(&budget.id)) {
            Ok(at) => {
                budgets[at] = budget.clone();
                Ok(false)
            }
            Err(at) => {
                budgets.insert(at, budget.clone());
                Ok(true)
            }
        }
    }

    fn remove_budget(&mut self, id: &str) -> bool {
        let Budgets { budgets, increases, revision } = &mut self.budgets;
        let before = budgets.len();
        budgets.retain(|budget| *budget.id != *id);
        increases.retain(|increase| *increase.budget != *id);
        let removed = budgets.len() < before;
        *revision += u64::from(removed);
        removed
    }

    fn put_increase(&mut self, increase: &Increase) -> Result<(), Error> {
        let Budgets { budgets, increases, revision } = &mut self.budgets;
        if budgets.iter().all(|budget| budget.id != increase.budget) {
            return Err(no_such_budget(&increase.budget));
        }
        *revision += 1;
        match increases.binary_search_by(|other| other.id.cmp(&increase.id)) {
            Ok(at) => increases[at] = increase.clone(),
            Err(at) => increases.insert(at, increase.clone()),
        }
        Ok(())
    }

    fn remove_increase(&mut self, id: &str) -> bool {
        let before = self.budgets.increases.len();
        self.budgets.increases.retain(|increase| *increase.id != *id);
        let removed = self.budgets.increases.len() < before;
        self.budgets.revision += u64::from(removed);
        removed
    }

    fn forget(&mut self, wall_ms: u64) -> u64 {
        let before = self.journal.len();
        self.journal.retain(|_, entry| entry.at_ms >= wall_ms);
        let ended = i64::try_from(wall_ms).unwrap_or(i64::MAX);
        let leases = &self.leases;
        let in_use = |key: &AccountKey| {
            leases.range((key.clone(), Epoch(i64::MIN))..=(key.clone(), Epoch(i64::MAX))).next().is_some()
        };
        self.accounts.retain(|key, row| row.end_ms > ended || in_use(key));
        // An account of the same key that is made later is another one: old entries do not count on it.
        let accounts = &self.accounts;
        for entry in self.journal.values_mut() {
            entry.accounts.retain(|key| accounts.contains_key(key));
        }
        self.nodes.retain(|epoch, node| {
            node.state == State::Alive
                || node.fenced_ms >= wall_ms
                || leases.keys().any(|(_, whose)| whose == epoch)
        });
        (before - self.journal.len()) as u64
    }
}

// === a vault behind a lock is a store ===

fn open(vault: &Mutex<Vault>) -> MutexGuard<'_, Vault> {
    // Nothing below can panic between two changes that belong together.
    vault.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LedgerStore for Mutex<Vault> {
    fn open_node(&self, name: &str, now_ms: u64) -> Result<Epoch, Error> {
        let mut vault = open(self);
        vault.last_epoch += 1;
        let epoch = Epoch(vault.last_epoch);
        let node = Node {
            name: name.to_owned(),
            opened_ms: now_ms,
            heard_ms: now_ms,
            number: 0,
            state: State::Alive,
            fenced_ms: 0,
        };
        vault.nodes.insert(epoch, node);
        Ok(epoch)
    }

    fn exchange(&self, exchange: &Exchange) -> Result<Answer, Error> {
        open(self).exchange(exchange)
    }

    fn close_node(&self, epoch: Epoch, now_ms: u64) -> Result<(), Error> {
        open(self).end(epoch, State::Closed, now_ms);
        Ok(())
    }

    fn fence(&self, silent_since_ms: u64, now_ms: u64) -> Result<Vec<Epoch>, Error> {
        Ok(open(self).fence(silent_since_ms, now_ms))
    }

    fn reconcile(&self, reconcile: &Reconcile) -> Result<Money, Error> {
        open(self).reconcile(reconcile)
    }

    fn adjust(&self, adjustment: &Adjustment) -> Result<bool, Error> {
        Ok(open(self).adjust(adjustment))
    }

    fn budgets(&self) -> Result<Budgets, Error> {
        Ok(open(self).budgets.clone())
    }

    fn budget_revision(&self) -> Result<u64, Error> {
        Ok(open(self).budgets.revision)
    }

    fn put_budget(&self, budget: &Budget) -> Result<bool, Error> {
        open(self).put_budget(budget)
    }

    fn remove_budget(&self, id: &str) -> Result<bool, Error> {
        Ok(open(self).remove_budget(id))
    }

    fn put_increase(&self, increase: &Increase) -> Result<(), Error> {
        open(self).put_increase(increase)
    }

    fn remove_increase(&self, id: &str) -> Result<bool, Error> {
        Ok(open(self).remove_increase(id))
    }

    fn accounts(&self, filter: &AccountFilter) -> Result<Vec<AccountRow>, Error> {
        let vault = open(self);
        let fitting = vault.accounts.values().filter(|row| filter.fits(row)).take(filter.most());
        Ok(fitting.map(|row| vault.looked_at(row, filter.now_ms)).collect())
    }

    fn leases(&self) -> Result<Vec<LeaseRow>, Error> {
        let vault = open(self);
        let alive = |epoch: &Epoch| vault.nodes.get(epoch).is_some_and(|node| node.state == State::Alive);
        let row = |((account, epoch), amount): (&(AccountKey, Epoch), &Money)| LeaseRow {
            account: account.clone(),
            epoch: *epoch,
            amount: *amount,
            uncertain: !alive(epoch),
        };
        Ok(vault.leases.iter().map(row).collect())
    }

    fn nodes(&self) -> Result<Vec<NodeRow>, Error> {
        let vault = open(self);
        let owes = |epoch: &Epoch| vault.leases.keys().any(|(_, whose)| whose == epoch);
        let shown = vault.nodes.iter().filter(|(epoch, node)| node.state == State::Alive || owes(epoch));
        Ok(shown
            .map(|(epoch, node)| NodeRow {
                epoch: *epoch,
                name: node.name.clone(),
                opened_ms: node.opened_ms,
                heard_ms: node.heard_ms,
                number: node.number,
                alive: node.state == State::Alive,
            })
            .collect())
    }

    fn crossings(&self, after: i64, most: usize) -> Result<Vec<Crossing>, Error> {
        let vault = open(self);
        Ok(vault.crossings.iter().filter(|crossing| crossing.number > after).take(most).cloned().collect())
    }

    fn journal(&self, request: RequestId) -> Result<Vec<Entry>, Error> {
        let vault = open(self);
        let entries =
            vault.journal.range((request, 0, 0)..=(request, u32::MAX, u32::MAX)).map(|(_, entry)| entry);
        let mut entries: Vec<Entry> = entries.cloned().collect();
        entries.iter_mut().for_each(|entry| entry.accounts.retain(|key| vault.accounts.contains_key(key)));
        Ok(entries)
    }

    fn forget_ledger_before(&self, wall_ms: u64) -> Result<u64, Error> {
        Ok(open(self).forget(wall_ms))
    }
}
