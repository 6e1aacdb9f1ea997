//! What a request that was let in has taken of limits, until it ends.

use std::sync::Arc;

use lockgate_core::Tick;

use super::cell::{Cell, Taken};
use super::limit::{Count, MOST, Measure};
use super::rules::Rule;
use super::standing::{Standing, Standings};

/// What a request has taken, of all limits that count it. It ends once: by [`Grant::end`], or by being dropped, as when nobody
/// knows what was used.
#[derive(Debug)]
pub struct Grant {
    pub(super) seats: Vec<Seat>,
}

/// What was taken of one limit.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) rule: Arc<Rule>,
    pub(super) cell: Arc<Cell>,
    pub(super) taken: Taken,
}

/// What a request that has ended did use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// This.
    Known(Measure),
    /// Nobody knows: what was taken is what counts.
    Unknown,
    /// It failed before a provider answered: nothing, it does not count as a request either.
    Nothing,
}

// === impl Grant ===

impl Grant {
    /// Gives back what was too much, owes what was too little, and is no longer under way. How the limits stand then.
    pub fn end(mut self, used: Used, now: Tick) -> Standings {
        let mut standings = Standings::default();
        for seat in self.seats.drain(..) {
            seat.end(used, now);
            standings.meet(seat.rule.limit.count, standing(&seat.rule, &seat.cell, now));
        }
        standings
    }

    /// How the limits stand that count the request.
    pub fn standings(&self, now: Tick) -> Standings {
        let mut standings = Standings::default();
        for seat in &self.seats {
            standings.meet(seat.rule.limit.count, standing(&seat.rule, &seat.cell, now));
        }
        standings
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        // What is unknown changes no rate, so the time does not matter.
        for seat in self.seats.drain(..) {
            seat.end(Used::Unknown, Tick::default());
        }
    }
}

// === impl Seat ===

impl Seat {
    fn end(&self, used: Used, now: Tick) {
        let count = self.rule.limit.count;
        let units = match used {
            _ if count == Count::Concurrent => 0,
            Used::Nothing => 0,
            Used::Unknown => self.taken.units,
            // A provider can report anything; one report must not close a limit for years.
            Used::Known(measure) => count.of(&measure).min(MOST),
        };
        self.cell.settle(self.rule.scale, self.taken, units, now);
    }
}

pub(super) fn standing(rule: &Rule, cell: &Cell, now: Tick) -> Standing {
    let burst = rule.limit.burst;
    Standing {
        limit: burst,
        remaining: cell.left(rule.scale, burst, now),
        reset: cell.reset(rule.scale, now),
    }
}
