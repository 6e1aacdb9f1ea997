//! An account as one node has it in memory: a few atomic numbers.
//!
//! `lease = free + held + unbooked` at every quiescent moment: what is leased is free, held for requests, or spent and not yet
//! in the journal. `free` may be below zero, where spending was not to be refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use lockgate_core::{Money, Tick};

use crate::rows::{AccountKey, Standing};
use crate::window::Span;

/// One account on one node.
#[derive(Debug)]
pub struct Account {
    /// Which it is.
    pub key: AccountKey,
    /// The end of its window, as [`Span::end_ms`](crate::window::Span::end_ms).
    pub end_ms: i64,
    /// Accounts are taken from in the order of their numbers, so that of two requests that want the last money of several
    /// accounts one gets it.
    pub(crate) number: u64,
    free: AtomicI64,
    held: AtomicI64,
    /// The most that was held at once since the last exchange.
    peak: AtomicI64,
    unbooked: AtomicI64,
    /// What requests wait for.
    wanted: AtomicI64,
    /// In which exchange it was answered last, and when.
    answered: AtomicU64,
    answered_at: AtomicU64,
    /// As the store said then.
    lease: AtomicI64,
    left: AtomicI64,
    limit: AtomicI64,
    spent: AtomicI64,
    known: AtomicBool,
    /// Whether it is among those that the next exchange looks at.
    touched: AtomicBool,
    /// When a throttled request may pass next.
    gate: AtomicU64,
    /// The smoothed demand of one exchange, and how many exchanges in a row had none. Written by the teller alone.
    demand: AtomicI64,
    quiet: AtomicU64,
}

/// What a node knows of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// What may be spent here and now.
    pub free: Money,
    /// What is held for requests under way.
    pub held: Money,
    /// What was spent and is not journaled yet.
    pub unbooked: Money,
    /// What the store has leased to this node.
    pub lease: Money,
    /// What the store could lease more, when it was asked last.
    pub left: Money,
    /// The limit, when the store was asked last.
    pub limit: Money,
    /// What was spent, when the store was asked last, and here since.
    pub spent: Money,
}

// === impl Account ===

impl Account {
    pub(crate) fn new(key: AccountKey, end_ms: i64, number: u64) -> Self {
        let zero = || AtomicI64::new(0);
        Self {
            key,
            end_ms,
            number,
            free: zero(),
            held: zero(),
            peak: zero(),
            unbooked: zero(),
            wanted: zero(),
            answered: AtomicU64::new(0),
            answered_at: AtomicU64::new(0),
            lease: zero(),
            left: zero(),
            limit: zero(),
            spent: zero(),
            known: AtomicBool::new(true),
            touched: AtomicBool::new(false),
            gate: AtomicU64::new(0),
            demand: zero(),
            quiet: AtomicU64::new(0),
        }
    }

    /// What is known here.
    pub fn view(&self) -> View {
        let get = |number: &AtomicI64| number.load(Ordering::Acquire);
        let unbooked = get(&self.unbooked);
        View {
            free: Money::from_nanos(get(&self.free)),
            held: Money::from_nanos(get(&self.held)),
            unbooked: Money::from_nanos(unbooked),
            lease: Money::from_nanos(get(&self.lease)),
            left: Money::from_nanos(get(&self.left)),
            limit: Money::from_nanos(get(&self.limit)),
            spent: Money::from_nanos(get(&self.spent).saturating_add(unbooked)),
        }
    }

    /// What could be spent by this node at most, by what is known here.
    pub fn remaining(&self) -> Money {
        let view = self.view();
        Money::from_nanos(view.free.nanos().saturating_add(view.left.nanos().max(0)))
    }

    /// When its window ends, in Unix milliseconds.
    pub fn resets_ms(&self) -> Option<u64> {
        Span { start: self.key.start, end_ms: self.end_ms }.resets_ms()
    }

    /// In which exchange it was answered last; 0 for never.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Acquire)
    }

    /// When it was answered last.
    pub(crate) fn answered_at(&self) -> Tick {
        Tick(self.answered_at.load(Ordering::Acquire))
    }

    pub(crate) fn free(&self) -> i64 {
        self.free.load(Ordering::Acquire)
    }

    pub(crate) fn left(&self) -> i64 {
        self.left.load(Ordering::Acquire)
    }

    /// Holds `amount` if that much is free. What costs nothing always passes.
    pub(crate) fn take(&self, amount: i64) -> bool {
        if amount <= 0 {
            return true;
        }
        let taken = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| {
            (free >= amount).then(|| free - amount)
        });
        if taken.is_ok() {
            self.hold(amount);
        }
        taken.is_ok()
    }

    /// Holds `amount` whatever is free.
    pub(crate) fn take_anyway(&self, amount: i64) {
        if amount > 0 {
            self.free.fetch_sub(amount, Ordering::AcqRel);
            self.hold(amount);
        }
    }

    fn hold(&self, amount: i64) {
        let held = self.held.fetch_add(amount, Ordering::AcqRel).saturating_add(amount);
        // Most holds raise no peak, and a look costs less than a write.
        if held > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(held, Ordering::Relaxed);
        }
    }

    /// Gives back a part of what is held.
    pub(crate) fn put_back(&self, amount: i64) {
        if amount > 0 {
            self.held.fetch_sub(amount, Ordering::AcqRel);
            self.free.fetch_add(amount, Ordering::AcqRel);
        }
    }

    /// Spends `amount` and ends a hold of `held`.
    pub(crate) fn spend(&self, held: i64, amount: i64) {
        // First what makes less, so that nobody sees more than there is.
        self.unbooked.fetch_add(amount, Ordering::AcqRel);
        self.held.fetch_sub(held, Ordering::AcqRel);
        self.free.fetch_add(held.saturating_sub(amount), Ordering::AcqRel);
    }

    /// Notes that a request waits for `amount`.
    pub(crate) fn want(&self, amount: i64) {
        self.wanted.fetch_add(amount.max(0), Ordering::AcqRel);
    }

    /// Whether a throttled request may pass now; the next one after `pause` nanoseconds.
    pub(crate) fn pass_gate(&self, now: Tick, pause: u64) -> Result<(), Tick> {
        self.gate
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |next| {
                (next <= now.0).then(|| now.0.saturating_add(pause))
            })
            .map(drop)
            .map_err(Tick)
    }

    /// Puts it among those that the next exchange looks at; whether it was not.
    pub(crate) fn touch(&self) -> bool {
        !self.touched.load(Ordering::Relaxed) && !self.touched.swap(true, Ordering::AcqRel)
    }
}

// === the teller's side: one caller at a time ===

impl Account {
    pub(crate) fn untouch(&self) {
        self.touched.store(false, Ordering::Release);
    }

    /// What requests wait for; none after.
    pub(crate) fn take_wanted(&self) -> i64 {
        self.wanted.swap(0, Ordering::AcqRel)
    }

    /// Smooths in what was held at once, booked and waited for since the last exchange: up at once, down by a quarter.
    pub(crate) fn measure(&self, booked: i64, wanted: i64) -> i64 {
        let peak = self.peak.swap(self.held.load(Ordering::Acquire), Ordering::AcqRel);
        // Whoever waits needs what is free as well.
        let waiting = if wanted > 0 { wanted.saturating_add(self.free().max(0)) } else { 0 };
        let used = peak.saturating_add(booked).saturating_add(waiting).max(0);
        let before = self.demand.load(Ordering::Relaxed);
        let demand = used.max(before - before / 4 - 1).max(0);
        self.demand.store(demand, Ordering::Relaxed);
        let quiet = if used > 0 { 0 } else { self.quiet.load(Ordering::Relaxed) + 1 };
        self.quiet.store(quiet, Ordering::Relaxed);
        demand
    }

    /// For how many exchanges in a row nothing was taken.
    pub(crate) fn quiet(&self) -> u64 {
        self.quiet.load(Ordering::Relaxed)
    }

    /// Takes up to `most` out of what is free, to give it back to the store.
    pub(crate) fn withdraw(&self, most: i64) -> i64 {
        let mut taken = 0;
        let _ = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| {
            taken = most.min(free).max(0);
            (taken > 0).then(|| free - taken)
        });
        taken
    }

    /// Takes the store's answer to an exchange that journaled `booked` and gave `back`, and moves what is free to where the
    /// store's number says that it is.
    pub(crate) fn answer(&self, standing: &Standing, booked: i64, back: i64, number: u64, now: Tick) {
        let before = self.lease.swap(standing.lease.nanos(), Ordering::AcqRel);
        let expected = before.saturating_sub(booked).saturating_sub(back);
        let rest = standing.limit.nanos().saturating_sub(standing.settled.nanos());
        let rest = rest.saturating_sub(standing.leased.nanos()).saturating_sub(standing.uncertain.nanos());
        self.left.store(rest, Ordering::Release);
        self.limit.store(standing.limit.nanos(), Ordering::Release);
        let spent = standing.settled.nanos().saturating_add(standing.uncertain.nanos());
        self.spent.store(spent, Ordering::Release);
        self.unbooked.fetch_sub(booked, Ordering::AcqRel);
        self.free.fetch_add(standing.lease.nanos().saturating_sub(expected), Ordering::AcqRel);
        self.known.store(standing.known, Ordering::Release);
        self.answered_at.store(now.0, Ordering::Release);
        self.answered.store(number, Ordering::Release);
    }

    /// Whether nothing is going on here and nothing is leased.
    pub(crate) fn is_idle(self: &Arc<Self>) -> bool {
        let view = self.view();
        let zero =
            [view.free, view.held, view.unbooked, view.lease].iter().all(|money| *money == Money::ZERO);
        zero && self.wanted.load(Ordering::Acquire) == 0
    }
}
