//! Looks at the ledger for budgets whose limit will be reached before their window ends.

use std::sync::Arc;

use lockgate_core::{Error, Money};
use lockgate_ledger::port::AccountFilter;
use lockgate_ledger::{LedgerStore, forecast};

/// An account whose limit will be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forecast {
    /// The budget's id.
    pub(super) id: Arc<str>,
    /// The budget's name.
    pub(super) budget: Arc<str>,
    /// Whose account it is; empty when it is that of the whole budget.
    pub(super) value: Arc<str>,
    pub(super) spent: Money,
    pub(super) limit: Money,
    /// When the window began, when the limit will be reached, when the window ends; Unix milliseconds.
    pub(super) begins_ms: u64,
    pub(super) hits_ms: u64,
    pub(super) resets_ms: u64,
}

/// Accounts that are read at once.
const PAGE: usize = 1_000;
/// Accounts of one budget that are looked at; a look must not last.
const MOST: usize = 20_000;
/// This part of a window must have passed: before that one large request would foretell anything.
const PART: u64 = 20;

/// Every account whose limit is not reached yet and will be before its window ends. Reads the store.
pub(super) fn look(store: &dyn LedgerStore, now_ms: u64) -> Result<Vec<Forecast>, Error> {
    let mut found = Vec::new();
    let all = store.budgets()?;
    for budget in &all.budgets {
        let span = budget.window.span(now_ms);
        let (Ok(begins_ms), Some(resets_ms)) = (u64::try_from(span.start), span.resets_ms()) else {
            continue;
        };
        if now_ms.saturating_sub(begins_ms) < resets_ms.saturating_sub(begins_ms) / PART {
            continue;
        }
        let limit = budget.limit_at(&all.increases, now_ms);
        let mut filter = AccountFilter {
            budget: Some(Arc::clone(&budget.id)),
            value: None,
            open_at_ms: Some(now_ms),
            after: None,
            now_ms,
            limit: PAGE,
        };
        for _ in 0..MOST / PAGE {
            let rows = store.accounts(&filter)?;
            for row in rows.iter().filter(|row| row.key.start == span.start && row.spent() < limit) {
                let spent = row.spent();
                let hits = forecast::by_average((begins_ms, now_ms), spent, limit, resets_ms);
                found.extend(hits.map(|hits_ms| Forecast {
                    id: Arc::clone(&budget.id),
                    budget: Arc::clone(&budget.name),
                    value: Arc::clone(&row.key.value),
                    spent,
                    limit,
                    begins_ms,
                    hits_ms,
                    resets_ms,
                }));
            }
            match rows.last().filter(|_| rows.len() == PAGE) {
                Some(last) => filter.after = Some(last.key.clone()),
                None => break,
            }
        }
    }
    Ok(found)
}
