//! Whether a request may pass, asked of all limits at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use lockgate_core::Tick;

use super::cell::Cell;
use super::grant::{Grant, Seat, standing};
use super::limit::{Count, Limit, Measure};
use super::rules::{Rule, Rules};
use super::standing::{Refused, Standings};
use crate::expect::Expectations;
use crate::subject::Subject;

/// The limits of a process and how they stand. Each process counts for itself.
#[derive(Debug, Default)]
pub struct Limiter {
    any: AtomicBool,
    rules: ArcSwap<Rules>,
    expectations: Expectations,
}

/// How long to wait for a request to end: nobody knows.
const SHORTLY: Duration = Duration::from_secs(1);
/// A refusal never says to come back at once.
const SOON: Duration = Duration::from_millis(1);
/// So often a request tries again that found room on every limit and was overtaken on one.
const TRIES: usize = 16;

// === impl Limiter ===

impl Limiter {
    /// Whether there is no limit: what a request pays that none counts.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// Puts these limits in force. One that was there under its name goes on from where it stands, also where its amount is
    /// another, but not where it counts something else; what a request under way has taken of a limit whose amount changes
    /// stays as it was taken.
    pub fn replace(&self, limits: Vec<Limit>, now: Tick) {
        let before = self.rules.load();
        if before.all.iter().map(|rule| &rule.limit).eq(&limits) {
            return;
        }
        let rules = Rules::new(limits, &before, now);
        let any = !rules.all.is_empty();
        self.rules.store(Arc::new(rules));
        self.any.store(any, Ordering::Release);
    }

    /// How long answers to what is asked by this name are.
    pub const fn expectations(&self) -> &Expectations {
        &self.expectations
    }

    /// Lets a request pass, or not. What it takes it takes of all limits that count it, or of none; `None` where none does.
    /// `measure` is what it is likely to use.
    ///
    /// Never does more pass than may. Of requests that race for the last places of several limits at once, one may be refused
    /// that would just have fitted.
    ///
    /// # Errors
    /// The limit that keeps it out the longest.
    pub fn admit(
        &self,
        subject: &Subject<'_>,
        measure: impl FnOnce() -> Measure,
        now: Tick,
    ) -> Result<Option<Grant>, Refused> {
        if self.is_empty() {
            return Ok(None);
        }
        let mut wanted: Vec<(Arc<Rule>, Arc<Cell>)> = Vec::new();
        self.rules.load().fitting(subject, |rule| {
            rule.cells(subject, now, |cell| wanted.push((Arc::clone(rule), cell)));
        });
        if wanted.is_empty() {
            return Ok(None);
        }
        let measure = measure();
        for _ in 0..TRIES {
            let full = wanted.iter().filter(|(rule, cell)| {
                !cell.has_room(rule.scale, units(rule, &measure), rule.limit.burst, now)
            });
            let longest = full.max_by_key(|(rule, cell)| wait(rule, cell, &measure, now));
            if let Some(seat) = longest {
                return Err(refused(seat, &wanted, &measure, now));
            }
            if let Some(grant) = take(&wanted, &measure, now) {
                return Ok(Some(grant));
            }
        }
        match wanted.first() {
            Some(seat) => Err(refused(seat, &wanted, &measure, now)),
            None => Ok(None),
        }
    }

    /// The number of values that a limit tells apart at the moment, beside the empty one.
    #[cfg(test)]
    pub(super) fn values(&self, name: &str) -> usize {
        let rules = self.rules.load();
        rules.all.iter().find(|rule| &*rule.limit.name == name).map_or(0, |rule| rule.values())
    }
}

/// Takes of all, or of none.
fn take(wanted: &[(Arc<Rule>, Arc<Cell>)], measure: &Measure, now: Tick) -> Option<Grant> {
    let mut seats: Vec<Seat> = Vec::with_capacity(wanted.len());
    for (rule, cell) in wanted {
        let Some(taken) = cell.take(rule.scale, units(rule, measure), rule.limit.burst, now) else {
            for Seat { rule, cell, taken } in &seats {
                cell.settle(rule.scale, *taken, 0, now);
            }
            return None;
        };
        seats.push(Seat { rule: Arc::clone(rule), cell: Arc::clone(cell), taken });
    }
    Some(Grant { seats })
}

/// What a request takes of a limit: never nothing, so that one whose size is not known does not pass where nothing is left.
fn units(rule: &Rule, measure: &Measure) -> u64 {
    rule.limit.count.of(measure).max(1)
}

fn wait(rule: &Rule, cell: &Cell, measure: &Measure, now: Tick) -> Duration {
    if rule.limit.count == Count::Concurrent {
        return SHORTLY;
    }
    cell.wait(rule.scale, units(rule, measure), rule.limit.burst, now).max(SOON)
}

fn refused(
    (rule, cell): &(Arc<Rule>, Arc<Cell>),
    all: &[(Arc<Rule>, Arc<Cell>)],
    measure: &Measure,
    now: Tick,
) -> Refused {
    let mut standings = Standings::default();
    for (rule, cell) in all {
        standings.meet(rule.limit.count, standing(rule, cell, now));
    }
    Refused {
        rule: Arc::clone(rule),
        value: Arc::clone(&cell.value),
        wait: wait(rule, cell, measure, now),
        standings,
    }
}
