//! What stands in the store, and the one step that changes it: an exchange with a node. Every store loads the rows of an
//! exchange, takes this step, and writes them back in one transaction, so that all of them do the same.

use std::sync::Arc;

use lockgate_core::{Money, RequestId};

use crate::budget::{Budget, Increase};
use crate::lease;
use crate::window::{MOST_HOURS, Window};

/// The number of one life of one node. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

/// Which account: of a budget, for a value of the budget's dimension, in a window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// The id of the budget.
    pub budget: Arc<str>,
    /// The value; empty where the budget has no dimension, or the request no value.
    pub value: Arc<str>,
    /// The start of the window, as [`Span::start`](crate::window::Span::start).
    pub start: i64,
}

/// An account as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// Which it is.
    pub key: AccountKey,
    /// The end of its window in Unix milliseconds; `i64::MAX` where there is none.
    pub end_ms: i64,
    /// What was journaled.
    pub settled: Money,
    /// What living nodes may spend.
    pub leased: Money,
    /// What nodes that died had leased and not journaled. It stays charged.
    pub uncertain: Money,
    /// The highest threshold that was crossed, in per cent; 0 before the first.
    pub crossed: u16,
    /// Whether the soft limit was crossed.
    pub softened: bool,
}

/// One charge, as the journal keeps it. Identified by request, attempt and line, so that writing it twice is once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The request.
    pub request: RequestId,
    /// Which of its attempts, from 1.
    pub attempt: u32,
    /// 0 for the charge, from 1 for its adjustments.
    pub line: u32,
    /// How much.
    pub amount: Money,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// The accounts that it counts on.
    pub accounts: Vec<AccountKey>,
    /// The version of the prices that it was charged by.
    pub price: Arc<str>,
    /// Whether the amount rests on an estimate of the gateway.
    pub estimated: bool,
    /// Why, for an adjustment.
    pub reason: Option<Arc<str>>,
}

/// What a node brings to the store and asks of it. Taken whole or not at all, and once: of two with the same number the second
/// changes nothing and is answered all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Who.
    pub epoch: Epoch,
    /// The number of this exchange in the node's life, from 1.
    pub number: u64,
    /// The node's time of day in Unix milliseconds: its heartbeat.
    pub now_ms: u64,
    /// What was settled.
    pub entries: Vec<Entry>,
    /// The accounts that are concerned, each once, in the order of their keys: every account of an entry is among them.
    pub accounts: Vec<Ask>,
}

/// What a node asks about one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which.
    pub key: AccountKey,
    /// The end of its window, should it have to be made.
    pub end_ms: i64,
    /// What the node gives back of its lease.
    pub give_back: Money,
    /// What it needs now.
    pub at_least: Money,
    /// What it would like to have, what it needs included.
    pub wish: Money,
}

/// The store's answer. All its numbers are absolute, so that an answer that was lost can be asked for again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The accounts in the order of the exchange.
    pub accounts: Vec<Standing>,
    /// The revision of the budgets.
    pub revision: u64,
    /// What was crossed by this exchange, each once in a window whoever crosses it.
    pub crossings: Vec<Crossing>,
}

/// How an account stands after an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether there is such a budget still.
    pub known: bool,
    /// What this node has leased.
    pub lease: Money,
    /// The limit in force.
    pub limit: Money,
    /// What was journaled.
    pub settled: Money,
    /// What all nodes have leased.
    pub leased: Money,
    /// What is uncertain.
    pub uncertain: Money,
}

/// A threshold that an account's spending reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Counts up over all crossings of the store.
    pub number: i64,
    /// Which account.
    pub account: AccountKey,
    /// The threshold in per cent of the limit; 0 for the soft limit.
    pub percent: u16,
    /// What was spent then, what is uncertain included.
    pub spent: Money,
    /// The limit then.
    pub limit: Money,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
}

/// What a store must know of a budget to take an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The limit in force, increases included.
    pub limit: Money,
    /// Whether the limit binds leases.
    pub enforced: bool,
    /// The soft limit.
    pub soft: Option<Money>,
    /// The thresholds in per cent.
    pub thresholds: Vec<u16>,
    /// The length and the slot of a rolling window in milliseconds.
    pub rolling: Option<(i64, i64)>,
}

// === impl Exchange ===

impl Exchange {
    /// Whether it is a heartbeat and nothing else.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.accounts.is_empty()
    }
}

// === impl Terms ===

impl Terms {
    /// The terms of a budget at a moment.
    pub fn of(budget: &Budget, increases: &[Increase], now_ms: u64) -> Self {
        Self {
            limit: budget.limit_at(increases, now_ms),
            enforced: budget.enforces(),
            soft: budget.soft,
            thresholds: budget.thresholds.clone(),
            rolling: budget.window.rolling_ms().zip(budget.window.slot_ms()),
        }
    }

    /// What of the terms of an account with a rolling window follows from its key: all that is needed to forget.
    pub fn rolling_of(key: &AccountKey) -> Option<Self> {
        let hours =
            u32::try_from(key.start.checked_neg()?).ok().filter(|hours| (1..=MOST_HOURS).contains(hours))?;
        let window = Window::Rolling { hours };
        let rolling = window.rolling_ms().zip(window.slot_ms());
        Some(Self { limit: Money::ZERO, enforced: false, soft: None, thresholds: Vec::new(), rolling })
    }

    /// The start of the slot that a moment is counted in, for rolling windows.
    pub fn slot(&self, at_ms: u64) -> Option<i64> {
        let (_, slot) = self.rolling?;
        Some(i64::try_from(at_ms).unwrap_or(i64::MAX).div_euclid(slot) * slot)
    }

    /// Slots that begin before this moment have left a rolling window at `now_ms`.
    pub fn forgotten_before(&self, now_ms: u64) -> Option<i64> {
        let (length, slot) = self.rolling?;
        Some(i64::try_from(now_ms).unwrap_or(i64::MAX).saturating_sub(length).saturating_sub(slot) + 1)
    }
}

// === impl AccountRow ===

impl AccountRow {
    /// An account that nothing happened to.
    pub fn new(key: AccountKey, end_ms: i64) -> Self {
        Self {
            key,
            end_ms,
            settled: Money::ZERO,
            leased: Money::ZERO,
            uncertain: Money::ZERO,
            crossed: 0,
            softened: false,
        }
    }

    /// What counts as spent: what was journaled and what is uncertain.
    pub fn spent(&self) -> Money {
        plus(self.settled, self.uncertain)
    }

    /// What may still be leased under a limit; below zero when it was overspent.
    pub fn left(&self, limit: Money) -> Money {
        minus(minus(limit, self.spent()), self.leased)
    }

    /// Takes charges and a return of a node that has `lease` leased, and leases what it asks for. The lease covers charges as
    /// far as it goes; what goes beyond is settled all the same.
    pub fn exchange(
        &mut self,
        lease: &mut Money,
        charged: Money,
        ask: &Ask,
        terms: Option<&Terms>,
        nodes: u32,
    ) {
        let covered = charged.min(*lease).max(Money::ZERO);
        let back = ask.give_back.min(minus(*lease, covered)).max(Money::ZERO);
        *lease = minus(minus(*lease, covered), back);
        self.leased = minus(minus(self.leased, covered), back);
        self.settled = plus(self.settled, charged);
        let Some(terms) = terms else { return };
        let grant = if terms.enforced {
            lease::grant(self.left(terms.limit), ask.at_least, ask.wish, nodes)
        } else {
            ask.wish.max(ask.at_least).max(Money::ZERO)
        };
        *lease = plus(*lease, grant);
        self.leased = plus(self.leased, grant);
    }

    /// The thresholds that spending has reached and that were not noted yet; notes them. Without number and time.
    pub fn cross(&mut self, terms: &Terms, now_ms: u64) -> Vec<Crossing> {
        let spent = self.spent();
        let reached = |percent: u16| {
            i128::from(spent.nanos()) * 100 >= i128::from(terms.limit.nanos()) * i128::from(percent)
        };
        let mut crossed = Vec::new();
        let mut note = |percent| {
            crossed.push(Crossing {
                number: 0,
                account: self.key.clone(),
                percent,
                spent,
                limit: terms.limit,
                at_ms: now_ms,
            });
        };
        if !self.softened && terms.soft.is_some_and(|soft| spent >= soft) {
            self.softened = true;
            note(0);
        }
        let mut new: Vec<u16> = terms
            .thresholds
            .iter()
            .copied()
            .filter(|percent| *percent > self.crossed && reached(*percent))
            .collect();
        new.sort_unstable();
        new.dedup();
        new.iter().for_each(|percent| note(*percent));
        self.crossed = new.last().copied().unwrap_or(self.crossed);
        crossed
    }

    /// How it stands for a node that has `lease` leased.
    pub fn standing(&self, lease: Money, terms: Option<&Terms>) -> Standing {
        Standing {
            known: terms.is_some(),
            lease,
            limit: terms.map_or(Money::ZERO, |terms| terms.limit),
            settled: self.settled,
            leased: self.leased,
            uncertain: self.uncertain,
        }
    }
}

// === money that saturates ===

/// The sum, at most what can be represented: nine billion dollars are nobody's budget, and a wrap would be.
pub(crate) fn plus(a: Money, b: Money) -> Money {
    Money::from_nanos(a.nanos().saturating_add(b.nanos()))
}

/// The difference, in the same way.
pub(crate) fn minus(a: Money, b: Money) -> Money {
    Money::from_nanos(a.nanos().saturating_sub(b.nanos()))
}
