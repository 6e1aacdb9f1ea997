//! What one node has in memory: the rules in force, and an account for everything that is counted.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use lockgate_core::{Money, RequestId, Tick};

use crate::account::Account;
use crate::budget::{AtLimit, Budget, Mode, OnOutage};
use crate::permit::Permit;
use crate::port::Budgets;
use crate::refusal::{Shortage, Why};
use crate::rows::{AccountKey, minus};
use crate::subject::{DIMENSIONS, Subject};
use crate::window::Span;

/// The node's memory. Requests share it; a [`Teller`](crate::Teller) takes it to the store and back.
#[derive(Debug)]
pub struct Book {
    rules: ArcSwap<Rules>,
    accounts: Box<[RwLock<Shelf>]>,
    hasher: RandomState,
    /// Numbers of accounts.
    next: AtomicU64,
    /// Accounts that the teller does not watch yet.
    touched: Mutex<Vec<Arc<Account>>>,
    /// What was settled and waits for the teller.
    settled: Mutex<Vec<Settled>>,
    /// Permits that are out, and charges that wait.
    places: AtomicUsize,
    /// Until when this node may spend.
    fence: AtomicU64,
    settings: Settings,
}

/// Bounds of a book.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most requests that may be under way or wait to be journaled.
    pub most_places: usize,
    /// How long an answer of the store that there is no more is believed without asking again.
    pub believed: Duration,
}

/// A budget in force.
#[derive(Debug)]
pub struct Rule {
    /// The budget.
    pub budget: Budget,
    /// The window that was looked up last.
    span: ArcSwap<Span>,
}

/// An account that a request counts on.
#[derive(Clone, Debug)]
pub struct Seat {
    /// By which budget.
    pub rule: Arc<Rule>,
    /// The account.
    pub account: Arc<Account>,
    /// Whether the request is counted only, not held to the limit: it was downgraded by this budget already.
    pub counted_only: bool,
}

/// What a request is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// On strict accounts: the most that it can cost.
    pub worst: Money,
    /// On the others: what it is expected to cost.
    pub likely: Money,
}

/// What is known of the world at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The monotonic clock.
    pub tick: Tick,
    /// The time of day in Unix milliseconds.
    pub wall_ms: u64,
    /// Whether the store was asked and did not answer: each budget's policy for that decides.
    pub outage: bool,
}

/// A charge that waits for the teller.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) request: RequestId,
    pub(crate) attempt: u32,
    pub(crate) amount: Money,
    pub(crate) at_ms: u64,
    pub(crate) accounts: Vec<Arc<Account>>,
    pub(crate) price: Arc<str>,
    pub(crate) estimated: bool,
}

#[derive(Debug, Default)]
struct Rules {
    revision: u64,
    all: Vec<Arc<Rule>>,
    /// Where to find those that name exact values: by dimension and value.
    exact: [HashMap<Arc<str>, Vec<usize>>; DIMENSIONS.len()],
    /// Those that do not.
    rest: Vec<usize>,
}

/// Accounts by the hash of their key.
type Shelf = HashMap<u64, Arc<Account>, BuildHasherDefault<Hashed>>;

/// What is hashed already is not hashed again.
#[derive(Debug, Default)]
struct Hashed(u64);

const SHELVES: usize = 64;
/// The step to the next place where two keys have one hash.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

// === impl Book ===

impl Book {
    /// A book without rules, which nobody has to wait for.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            rules: ArcSwap::default(),
            accounts: (0..SHELVES).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            next: AtomicU64::new(1),
            touched: Mutex::default(),
            settled: Mutex::default(),
            places: AtomicUsize::new(0),
            fence: AtomicU64::new(0),
            settings,
        })
    }

    /// Puts budgets in force. Accounts stay.
    pub fn rule_by(&self, budgets: &Budgets) {
        let old = self.rules.load();
        let rules = budgets.budgets.iter().map(|budget| {
            let same = old.all.iter().find(|rule| rule.budget == *budget);
            same.map_or_else(|| Arc::new(Rule::new(budget.clone())), Arc::clone)
        });
        self.rules.store(Arc::new(Rules::new(budgets.revision, rules.collect())));
    }

    /// The revision of the budgets in force.
    pub fn revision(&self) -> u64 {
        self.rules.load().revision
    }

    /// Whether there is nothing to count.
    pub fn is_empty(&self) -> bool {
        self.rules.load().all.is_empty()
    }

    /// The budgets in force.
    pub fn rules(&self) -> Vec<Arc<Rule>> {
        self.rules.load().all.clone()
    }

    /// The accounts that a request counts on, in the order of their numbers. `downgraded` are the ids of budgets that have
    /// sent it to another route already.
    pub fn seats(&self, subject: &Subject<'_>, wall_ms: u64, downgraded: &[Arc<str>]) -> Vec<Seat> {
        let rules = self.rules.load();
        let mut seats = Vec::with_capacity(8);
        if rules.all.is_empty() {
            return seats;
        }
        rules.fitting(subject, |rule| {
            let span = rule.span(wall_ms);
            let counted_only = downgraded.contains(&rule.budget.id);
            let mut seat = |value: &str| {
                let account = self.account(&rule.budget.id, value, span);
                seats.push(Seat { rule: Arc::clone(rule), account, counted_only });
            };
            let Some(dimension) = rule.budget.per else { return seat("") };
            let mut values = subject.values(dimension).peekable();
            if values.peek().is_none() {
                seat("");
            }
            values.for_each(seat);
        });
        seats.sort_unstable_by_key(|seat| seat.account.number);
        seats.dedup_by_key(|seat| seat.account.number);
        seats
    }

    /// Holds an amount on every account, or on none.
    ///
    /// # Errors
    /// The account that cannot pay, and why.
    pub fn reserve(
        self: &Arc<Self>,
        request: RequestId,
        seats: Vec<Seat>,
        amount: Amount,
        now: &Now,
    ) -> Result<Permit, Shortage> {
        if let Some(seat) = seats.first()
            && self.places.load(Ordering::Relaxed) >= self.settings.most_places
        {
            return Err(seat.short(amount, Why::Full));
        }
        let mut taken: Vec<Money> = Vec::with_capacity(seats.len());
        for seat in &seats {
            match self.take(seat, amount.on(seat), now) {
                Ok(held) => taken.push(held),
                Err(shortage) => {
                    for (seat, held) in seats.iter().zip(taken) {
                        seat.account.put_back(held.nanos());
                    }
                    self.want(&shortage, seats.iter().map(|seat| (seat, amount.on(seat))));
                    return Err(shortage);
                }
            }
        }
        let mut permit = Permit::new(Arc::clone(self), request, seats.len());
        for (seat, held) in seats.into_iter().zip(taken) {
            permit.seat(seat, held);
        }
        self.places.fetch_add(1, Ordering::Relaxed);
        permit.open();
        Ok(permit)
    }

    /// Takes `more` out of an account; how much is held then.
    pub(crate) fn take(&self, seat: &Seat, more: Money, now: &Now) -> Result<Money, Shortage> {
        let (account, budget, nanos) = (&seat.account, &seat.rule.budget, more.nanos().max(0));
        let taken = Money::from_nanos(nanos);
        let short =
            |why| Shortage { rule: Arc::clone(&seat.rule), account: Arc::clone(account), needed: more, why };
        let result = if seat.counted_only || !budget.enforces() {
            account.take_anyway(nanos);
            Ok(taken)
        } else if self.is_fenced(now.tick) || now.outage {
            match budget.on_outage {
                OnOutage::Open => {
                    account.take_anyway(nanos);
                    Ok(taken)
                }
                OnOutage::Closed if !self.is_fenced(now.tick) && account.take(nanos) => Ok(taken),
                OnOutage::Closed => Err(short(Why::Outage)),
            }
        } else if account.take(nanos) {
            Ok(taken)
        } else if !self.is_dry(account, nanos, now.tick) {
            Err(short(Why::Lease))
        } else if let AtLimit::Throttle { per_minute } = budget.at_limit {
            let pause = Duration::from_secs(60).as_nanos() / u128::from(per_minute.max(1));
            match account.pass_gate(now.tick, u64::try_from(pause).unwrap_or(u64::MAX)) {
                Ok(()) => {
                    account.take_anyway(nanos);
                    Ok(taken)
                }
                Err(until) => Err(short(Why::Throttled(until))),
            }
        } else {
            Err(short(Why::Limit))
        };
        self.touch(account);
        result
    }

    /// Whether the store said lately that it has not enough.
    fn is_dry(&self, account: &Account, nanos: i64, now: Tick) -> bool {
        account.answered() > 0
            && now <= account.answered_at().plus(self.settings.believed)
            && account.free().saturating_add(account.left().max(0)) < nanos
    }

    /// Notes that a request waits for leases: on every account that has too little, so that one exchange brings all.
    pub(crate) fn want<'s>(&self, shortage: &Shortage, needs: impl Iterator<Item = (&'s Seat, Money)>) {
        if shortage.why != Why::Lease {
            return;
        }
        for (seat, needed) in needs.filter(|(seat, _)| seat.binds()) {
            let missing = needed.nanos().saturating_sub(seat.account.free().max(0));
            if missing > 0 {
                seat.account.want(missing);
                self.touch(&seat.account);
            }
        }
    }

    /// The most that a request could hold on strict accounts now, by what is free here; `None` when none of them binds.
    pub fn affordable(&self, seats: &[Seat]) -> Option<Money> {
        let bound = seats.iter().filter(|seat| seat.binds() && seat.rule.budget.mode == Mode::Strict);
        bound.map(|seat| Money::from_nanos(seat.account.free().max(0))).min()
    }

    /// Whether every account that binds could pay an amount so many times over, by what is known here.
    pub fn is_rich(&self, seats: &[Seat], amount: Money, times: i64) -> bool {
        let wanted = amount.nanos().saturating_mul(times);
        let bound = seats.iter().filter(|seat| seat.binds());
        bound.into_iter().all(|seat| seat.account.remaining().nanos() >= wanted)
    }

    /// The least that is left on any account that binds.
    pub fn remaining(&self, seats: &[Seat]) -> Option<Money> {
        seats.iter().filter(|seat| seat.binds()).map(|seat| seat.account.remaining()).min()
    }

    /// How many permits are out or charges wait.
    pub fn places(&self) -> usize {
        self.places.load(Ordering::Relaxed)
    }

    /// Whether this node may spend no longer without word from the store.
    pub fn is_fenced(&self, now: Tick) -> bool {
        now.0 >= self.fence.load(Ordering::Acquire)
    }

    /// Every account.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.iter().flat_map(|shelf| read(shelf).values().cloned().collect::<Vec<_>>()).collect()
    }

    /// Forgets accounts that nothing happens to any more. One that anybody has in hand stays.
    pub fn sweep(&self, before: Tick) {
        for shelf in &self.accounts {
            let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
            let chained = shelf.len();
            shelf.retain(|_, account| {
                let unused =
                    Arc::strong_count(account) == 1 && account.is_idle() && account.answered_at() < before;
                !unused
            });
            // A gap in a chain of equal hashes would hide what is behind it.
            if shelf.len() < chained {
                let all: Vec<_> = shelf.drain().map(|(_, account)| account).collect();
                for account in all {
                    self.shelve(&mut shelf, account);
                }
            }
        }
    }
}

// === accounts ===

impl Book {
    fn hash(&self, budget: &str, value: &str, start: i64) -> u64 {
        self.hasher.hash_one((budget, value, start))
    }

    /// The account of a budget for a value in a window; made if there is none.
    pub fn account(&self, budget: &Arc<str>, value: &str, span: Span) -> Arc<Account> {
        let hash = self.hash(budget, value, span.start);
        let shelf = &self.accounts[(hash >> 32) as usize % SHELVES];
        let is = |key: &AccountKey| *key.value == *value && key.start == span.start && key.budget == *budget;
        if let Some(account) = look(&read(shelf), hash, is) {
            return account;
        }
        let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = look(&shelf, hash, is) {
            return account;
        }
        let key = AccountKey { budget: Arc::clone(budget), value: Arc::from(value), start: span.start };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let account = Arc::new(Account::new(key, span.end_ms, number));
        self.shelve(&mut shelf, Arc::clone(&account));
        account
    }

    fn shelve(&self, shelf: &mut Shelf, account: Arc<Account>) {
        let mut hash = self.hash(&account.key.budget, &account.key.value, account.key.start);
        while shelf.contains_key(&hash) {
            hash = hash.wrapping_add(STEP);
        }
        shelf.insert(hash, account);
    }
}

fn read(shelf: &RwLock<Shelf>) -> std::sync::RwLockReadGuard<'_, Shelf> {
    shelf.read().unwrap_or_else(PoisonError::into_inner)
}

fn look(shelf: &Shelf, mut hash: u64, is: impl Fn(&AccountKey) -> bool) -> Option<Arc<Account>> {
    loop {
        let account = shelf.get(&hash)?;
        if is(&account.key) {
            return Some(Arc::clone(account));
        }
        hash = hash.wrapping_add(STEP);
    }
}

// === the teller's side ===

impl Book {
    fn touch(&self, account: &Arc<Account>) {
        if account.touch() {
            lock(&self.touched).push(Arc::clone(account));
        }
    }

    /// Puts a charge into the queue to the teller. Its place is kept until it is journaled.
    pub(crate) fn hand_in(&self, settled: Settled) {
        settled.accounts.iter().for_each(|account| self.touch(account));
        lock(&self.settled).push(settled);
    }

    /// A further charge of a permit takes a further place.
    pub(crate) fn one_more_place(&self) {
        self.places.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave_places(&self, count: usize) {
        self.places.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn take_touched(&self) -> Vec<Arc<Account>> {
        std::mem::take(&mut lock(&self.touched))
    }

    pub(crate) fn take_settled(&self, most: usize) -> Vec<Settled> {
        let mut settled = lock(&self.settled);
        if settled.len() <= most {
            return std::mem::take(&mut settled);
        }
        settled.drain(..most).collect()
    }

    /// Whether charges wait for the teller.
    pub fn has_settled(&self) -> bool {
        !lock(&self.settled).is_empty()
    }

    pub(crate) fn fence_at(&self, tick: Tick) {
        self.fence.store(tick.0, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each use is one push or one take, so a poisoned lock guards good data.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Rule ===

impl Rule {
    fn new(budget: Budget) -> Self {
        let span = budget.window.span(0);
        Self { budget, span: ArcSwap::from_pointee(span) }
    }

    /// The window at a moment.
    pub fn span(&self, wall_ms: u64) -> Span {
        let known = **self.span.load();
        if known.end_ms == i64::MAX || known.holds(wall_ms) {
            return known;
        }
        let span = self.budget.window.span(wall_ms);
        self.span.store(Arc::new(span));
        span
    }
}

// === impl Seat ===

impl Seat {
    /// Whether the account can refuse.
    pub fn binds(&self) -> bool {
        self.rule.budget.enforces() && !self.counted_only
    }

    fn short(&self, amount: Amount, why: Why) -> Shortage {
        Shortage {
            rule: Arc::clone(&self.rule),
            account: Arc::clone(&self.account),
            needed: amount.on(self),
            why,
        }
    }
}

// === impl Amount ===

impl Amount {
    /// The same on every account.
    pub const fn exactly(amount: Money) -> Self {
        Self { worst: amount, likely: amount }
    }

    /// What is to be held on an account.
    pub(crate) fn on(&self, seat: &Seat) -> Money {
        match seat.rule.budget.mode {
            Mode::Strict => self.worst,
            Mode::Expected => self.likely.min(self.worst),
        }
    }

    /// What is missing to this amount.
    pub(crate) fn more_than(&self, held: Money, seat: &Seat) -> Money {
        minus(self.on(seat), held)
    }
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self { most_places: 1 << 18, believed: Duration::from_millis(250) }
    }
}

// === impl Rules ===

impl Rules {
    fn new(revision: u64, all: Vec<Arc<Rule>>) -> Self {
        let mut rules = Self { revision, all, ..Self::default() };
        for (place, rule) in rules.all.iter().enumerate() {
            match rule.budget.selector.handle() {
                Some((dimension, values)) => {
                    let exact = &mut rules.exact[dimension as usize];
                    values.iter().for_each(|value| exact.entry(Arc::clone(value)).or_default().push(place));
                }
                None => rules.rest.push(place),
            }
        }
        rules
    }

    fn fitting(&self, subject: &Subject<'_>, mut each: impl FnMut(&Arc<Rule>)) {
        let mut fit = |place: &usize| {
            if let Some(rule) = self.all.get(*place).filter(|rule| rule.budget.selector.fits(subject)) {
                each(rule);
            }
        };
        self.rest.iter().for_each(&mut fit);
        for (dimension, exact) in
            DIMENSIONS.into_iter().zip(&self.exact).filter(|(_, exact)| !exact.is_empty())
        {
            for value in subject.values(dimension) {
                exact.get(value).into_iter().flatten().for_each(&mut fit);
            }
        }
    }
}

// === impl Hashed ===

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only 64-bit keys are used; anything else would still be right, only slow.
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests;
