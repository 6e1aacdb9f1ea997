//! What a key may know of the budgets that count it.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockgate_core::{Attribution, Error, KeyId, Money};
use serde::Serialize;

use super::{Dollars, Moment};
use crate::budget::{Budget, Selector};
use crate::port::{AccountFilter, Budgets, LedgerStore};
use crate::rows::minus;
use crate::subject::{Dimension, Subject};

/// A budget that counts the requests of a key, as far as it counts them.
#[derive(Clone, Debug, Serialize)]
pub struct KeyBudget {
    /// What a person calls it.
    pub name: Arc<str>,
    /// The limit in force.
    pub limit: Dollars,
    /// What is spent of it.
    pub spent: Dollars,
    /// What is left; at least zero.
    pub remaining: Dollars,
    /// When spending begins to count anew.
    pub window: String,
    /// When that is next; absent for rolling windows and all time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Moment>,
    /// What happens at the limit.
    pub at_limit: String,
    /// The dimension of which every value has an account of its own, and the value that this one is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<&'static str>,
    /// See above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Arc<str>>,
    /// Of these routes, models and providers alone; all where it is absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub only: BTreeMap<&'static str, Vec<Arc<str>>>,
}

/// An account that counts a key: the budget, the value of its dimension, and what of its selector only a request decides.
pub struct Seat<'b> {
    budget: &'b Budget,
    value: Arc<str>,
    only: BTreeMap<&'static str, Vec<Arc<str>>>,
}

/// What a request decides, not its key.
const OF_REQUEST: [Dimension; 3] = [Dimension::Route, Dimension::Model, Dimension::Provider];

/// The accounts that count the requests of a key that are attributed so.
pub fn seats<'b>(budgets: &'b Budgets, key: &KeyId, whose: &Attribution) -> Vec<Seat<'b>> {
    let subject = Subject::of(key, whose);
    let mut seats = Vec::new();
    for budget in &budgets.budgets {
        let is_of_request = |dimension: &Dimension| OF_REQUEST.contains(dimension);
        let (later, now): (Vec<_>, Vec<_>) = budget
            .selector
            .iter()
            .map(|(dimension, patterns)| (dimension, patterns.to_vec()))
            .partition(|(dimension, _)| is_of_request(dimension));
        // By model or provider every request may count on another account: that is not the key's to know beforehand.
        if !Selector::new(now).fits(&subject) || budget.per.as_ref().is_some_and(is_of_request) {
            continue;
        }
        let only: BTreeMap<_, _> =
            later.into_iter().map(|(dimension, patterns)| (dimension.code(), patterns)).collect();
        let values: Vec<Arc<str>> = match budget.per {
            None => vec![Arc::default()],
            Some(dimension) => {
                let values: Vec<Arc<str>> = subject.values(dimension).map(Arc::from).collect();
                if values.is_empty() { vec![Arc::default()] } else { values }
            }
        };
        seats.extend(values.into_iter().map(|value| Seat { budget, value, only: only.clone() }));
    }
    seats
}

impl Seat<'_> {
    /// How it stands by the store, which blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn by_store(
        &self,
        store: &dyn LedgerStore,
        budgets: &Budgets,
        now_ms: u64,
    ) -> Result<KeyBudget, Error> {
        let span = self.budget.window.span(now_ms);
        let rows = store.accounts(&AccountFilter {
            budget: Some(Arc::clone(&self.budget.id)),
            value: Some(Arc::clone(&self.value)),
            open_at_ms: Some(now_ms),
            after: None,
            now_ms,
            limit: 0,
        })?;
        let spent = rows
            .iter()
            .find(|row| row.key.start == span.start)
            .map_or(Money::ZERO, crate::rows::AccountRow::spent);
        Ok(self.report(spent, self.budget.limit_at(&budgets.increases, now_ms), now_ms))
    }

    /// How it stands when so much is spent of the limit.
    pub fn report(&self, spent: Money, limit: Money, now_ms: u64) -> KeyBudget {
        let budget = self.budget;
        KeyBudget {
            name: Arc::clone(&budget.name),
            limit: Dollars(limit),
            spent: Dollars(spent),
            remaining: Dollars(minus(limit, spent).max(Money::ZERO)),
            window: budget.window.word(),
            resets_at: budget.window.span(now_ms).resets_ms().map(Moment),
            at_limit: budget.at_limit.word(),
            per: budget.per.map(Dimension::code),
            value: budget.per.map(|_| Arc::clone(&self.value)),
            only: self.only.clone(),
        }
    }
}
