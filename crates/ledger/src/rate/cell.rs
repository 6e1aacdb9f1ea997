//! One counter of a limit: a number that is changed by compare-and-swap, so that no race lets more pass than may.
//!
//! Rates follow the generic cell rate algorithm, in its form as virtual scheduling (ITU-T Recommendation I.371, 2004, annex A;
//! first The ATM Forum's Traffic Management Specification 4.0, 1996, section 4.4.2). One number is all that it keeps: the moment at which everything
//! will have come back (there: the theoretical arrival time). What passes moves it on, and nothing may move it further ahead of
//! the present than the burst. Nothing ticks, and there is no window at whose edge twice the amount could pass.
//!
//! Time is measured in steps that divide what one unit takes to come back, so a unit is a whole number of steps and nothing is
//! lost by rounding, however often it is taken and given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lockgate_core::Tick;

use super::limit::Limit;

/// A counter: of a rate, the step at which all has come back; of requests under way, how many there are.
#[derive(Debug)]
pub(super) struct Cell {
    /// The value of the limit's `per` that it is for; empty where it has none.
    pub(super) value: Arc<str>,
    state: AtomicU64,
}

/// How a limit's cells count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// A rate.
    Rate {
        /// Steps in which one unit comes back.
        unit: u64,
        /// Steps in a period.
        steps: u64,
        /// Nanoseconds of a period.
        period: u64,
    },
    /// Requests under way.
    Gauge,
}

/// What was taken from a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// How many units.
    pub(super) units: u64,
    /// The step at which that will have come back by itself.
    back: u64,
}

// === impl Scale ===

impl Scale {
    pub(super) fn of(limit: &Limit) -> Self {
        let Some(every) = limit.every else { return Self::Gauge };
        let period = u64::try_from(every.time().as_nanos()).unwrap_or(u64::MAX);
        // A step is a nanosecond or a little more.
        let unit = (period / limit.amount.max(1)).max(1);
        Self::Rate { unit, steps: unit.saturating_mul(limit.amount), period }
    }

    /// The present in steps.
    fn step(self, now: Tick) -> u64 {
        match self {
            Self::Gauge => 0,
            Self::Rate { steps, period, .. } if steps == period => now.0,
            Self::Rate { steps, period, .. } => {
                let step = u128::from(now.0) * u128::from(steps) / u128::from(period.max(1));
                u64::try_from(step).unwrap_or(u64::MAX)
            }
        }
    }

    /// The time that so many steps take, rounded up.
    fn time(self, count: u64) -> Duration {
        match self {
            Self::Gauge => Duration::ZERO,
            Self::Rate { steps, period, .. } => {
                let nanos = (u128::from(count) * u128::from(period)).div_ceil(u128::from(steps.max(1)));
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }

    const fn unit(self) -> u64 {
        match self {
            Self::Gauge => 1,
            Self::Rate { unit, .. } => unit,
        }
    }

    const fn is_rate(self) -> bool {
        matches!(self, Self::Rate { .. })
    }
}

// === impl Cell ===

impl Cell {
    pub(super) const fn new(value: Arc<str>) -> Self {
        Self { value, state: AtomicU64::new(0) }
    }

    /// The same as it stands, for another scale.
    pub(super) fn rescaled(&self, from: Scale, to: Scale, now: Tick) -> Self {
        let taken = self.taken(from, now);
        // Whole units and what is left of one, so that a change gives nothing away.
        let steps = u128::from(taken) * u128::from(to.unit());
        let steps = u64::try_from(steps.div_ceil(u128::from(from.unit()))).unwrap_or(u64::MAX);
        let state = if to.is_rate() { to.step(now).saturating_add(steps) } else { taken };
        Self { value: Arc::clone(&self.value), state: AtomicU64::new(state) }
    }

    /// Takes so many units, where `burst` leaves room. More than the burst are taken when all of it is free; the rest is owed.
    /// `None`: there is no room, and nothing has changed.
    pub(super) fn take(&self, scale: Scale, units: u64, burst: u64, now: Tick) -> Option<Taken> {
        let (step, cost) = (scale.step(now), units.saturating_mul(scale.unit()));
        let room = burst.saturating_mul(scale.unit());
        let next = |state: u64| {
            let base = state.max(step);
            let ahead = (base - step).saturating_add(cost.min(room));
            (ahead <= room).then(|| base.saturating_add(cost))
        };
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).ok()?;
        Some(Taken { units, back: before.max(step).saturating_add(cost) })
    }

    /// Whether [`Cell::take`] would find room now.
    pub(super) fn has_room(&self, scale: Scale, units: u64, burst: u64, now: Tick) -> bool {
        let room = burst.saturating_mul(scale.unit());
        let cost = units.saturating_mul(scale.unit()).min(room);
        self.taken(scale, now).saturating_add(cost) <= room
    }

    /// Puts what was used in place of what was taken: what was too much goes back, what was too little is owed.
    pub(super) fn settle(&self, scale: Scale, taken: Taken, used: u64, now: Tick) {
        let step = scale.step(now);
        let (more, less) = (used.saturating_sub(taken.units), taken.units.saturating_sub(used));
        let (more, less) = (more.saturating_mul(scale.unit()), less.saturating_mul(scale.unit()));
        // What has come back by itself is not given back a second time.
        let less = if scale.is_rate() { less.min(taken.back.saturating_sub(step)) } else { less };
        if more == 0 && less == 0 {
            return;
        }
        let next = |state: u64| {
            let state = if more > 0 { state.max(step).saturating_add(more) } else { state };
            Some(state.saturating_sub(less))
        };
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }

    /// Units that are free; none where some are owed.
    pub(super) fn left(&self, scale: Scale, burst: u64, now: Tick) -> u64 {
        let room = burst.saturating_mul(scale.unit());
        room.saturating_sub(self.taken(scale, now)) / scale.unit()
    }

    /// The time until everything has come back, if nothing is taken.
    pub(super) fn reset(&self, scale: Scale, now: Tick) -> Duration {
        scale.time(self.taken(scale, now))
    }

    /// The time until so many units find room, if nothing else is taken.
    pub(super) fn wait(&self, scale: Scale, units: u64, burst: u64, now: Tick) -> Duration {
        let room = burst.saturating_mul(scale.unit());
        let cost = units.saturating_mul(scale.unit()).min(room);
        scale.time(self.taken(scale, now).saturating_add(cost).saturating_sub(room))
    }

    /// Whether it stands as a new one would.
    pub(super) fn is_idle(&self, scale: Scale, now: Tick) -> bool {
        self.taken(scale, now) == 0
    }

    /// Steps that have not come back; of a gauge, requests.
    fn taken(&self, scale: Scale, now: Tick) -> u64 {
        self.state.load(Ordering::Acquire).saturating_sub(scale.step(now))
    }
}
