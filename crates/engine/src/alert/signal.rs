//! What the rules are told, and the event sink that hears it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lockgate_core::port::EventSink;
use lockgate_core::record::Target;
use lockgate_core::{Clock, Event, Money, Record};
use tokio::sync::Notify;

/// Something that a rule wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A budget's spending reached a threshold; `percent` 0 is its soft limit.
    Crossed {
        /// The budget's name.
        budget: Arc<str>,
        /// The value of its dimension; empty without one.
        value: Arc<str>,
        /// The threshold in per cent.
        percent: u16,
        /// What was spent.
        spent: Money,
        /// The limit then.
        limit: Money,
    },
    /// An endpoint of this provider left rotation or is back in it.
    Breaker(Arc<str>),
    /// A model was used whose price is not known. At most once a day.
    Unpriced(Target),
    /// So many records were lost.
    Dropped(u64),
    /// A part does not work.
    Failing(Part),
    /// It works.
    Working(Part),
    /// A node of the ledger was given up.
    NodeLost(i64),
}

/// A part whose failures are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The store of records.
    Records,
    /// The ledger's store.
    Ledger,
}

/// Lets every event pass on to `next`, and keeps what the rules need. Never waits: a full queue loses signals.
pub struct Watch {
    next: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    signals: Mutex<VecDeque<Signal>>,
    /// Rung when there is a signal.
    pub(super) bell: Notify,
    /// What all requests of this process cost since its start, in nano-dollars.
    spent: AtomicI64,
    /// What is spent of budgets in their open window.
    budgets: Mutex<BTreeMap<Arc<str>, Money>>,
    /// On which day a model without a price was last told of.
    unpriced: Mutex<HashMap<Target, u64>>,
    records_failing: AtomicBool,
}

/// Signals that wait at most.
const MOST: usize = 1_024;
/// Models without a price, and budgets, that are known at most.
const MOST_NAMES: usize = 1_000;
const DAY_MS: u64 = 86_400_000;

// === impl Watch ===

impl Watch {
    /// A watch before this sink.
    pub fn new(next: Arc<dyn EventSink>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            next,
            clock,
            signals: Mutex::default(),
            bell: Notify::new(),
            spent: AtomicI64::new(0),
            budgets: Mutex::default(),
            unpriced: Mutex::default(),
            records_failing: AtomicBool::new(false),
        })
    }

    /// The sink that it stands before.
    pub const fn next(&self) -> &Arc<dyn EventSink> {
        &self.next
    }

    /// All signals that wait.
    pub fn take(&self) -> VecDeque<Signal> {
        std::mem::take(&mut *lock(&self.signals))
    }

    /// What all requests of this process cost since its start.
    pub fn spent(&self) -> Money {
        Money::from_nanos(self.spent.load(Ordering::Relaxed))
    }

    /// What is spent of each budget in its open window, as far as it was told.
    pub fn budgets(&self) -> Vec<(Arc<str>, Money)> {
        lock(&self.budgets).iter().map(|(name, spent)| (Arc::clone(name), *spent)).collect()
    }

    fn keep(&self, signal: Signal) {
        let mut signals = lock(&self.signals);
        if signals.len() < MOST {
            signals.push_back(signal);
        }
        drop(signals);
        self.bell.notify_one();
    }

    fn finished(&self, record: &Record) {
        match (record.cost, &record.target) {
            (Some(cost), _) => {
                self.spent.fetch_add(cost.nanos(), Ordering::Relaxed);
            }
            (None, Some(target)) if record.usage.is_some() => self.unpriced(target),
            _ => {}
        }
    }

    fn unpriced(&self, target: &Target) {
        let today = self.clock.wall_ms() / DAY_MS;
        let mut known = lock(&self.unpriced);
        let is_full = known.len() >= MOST_NAMES;
        match known.get_mut(target) {
            Some(day) if *day == today => return,
            Some(day) => *day = today,
            None if is_full => return,
            None => {
                known.insert(target.clone(), today);
            }
        }
        drop(known);
        self.keep(Signal::Unpriced(target.clone()));
    }

    fn stands(&self, budget: &str, spent: Money) {
        let mut budgets = lock(&self.budgets);
        if let Some(known) = budgets.get_mut(budget) {
            *known = spent;
        } else if budgets.len() < MOST_NAMES {
            budgets.insert(budget.into(), spent);
        }
    }
}

impl EventSink for Watch {
    fn emit(&self, event: &Event<'_>) {
        self.next.emit(event);
        match *event {
            Event::RequestFinished(record) => self.finished(record),
            Event::RecordsWritten { .. } if self.records_failing.load(Ordering::Relaxed) => {
                self.records_failing.store(false, Ordering::Relaxed);
                self.keep(Signal::Working(Part::Records));
            }
            // Failures come with every try; one is enough until it works again.
            Event::StoreFailed { .. } if !self.records_failing.swap(true, Ordering::Relaxed) => {
                self.keep(Signal::Failing(Part::Records));
            }
            Event::RecordsDropped(count) => self.keep(Signal::Dropped(count)),
            Event::LedgerFailed { .. } => self.keep(Signal::Failing(Part::Ledger)),
            Event::LedgerRecovered => self.keep(Signal::Working(Part::Ledger)),
            Event::BudgetSpent { budget, spent, .. } => self.stands(budget, spent),
            Event::BudgetCrossed { budget, value, percent, spent, limit } => {
                let (budget, value) = (budget.into(), value.into());
                self.keep(Signal::Crossed { budget, value, percent, spent, limit });
            }
            Event::BreakerChanged { provider, .. } => self.keep(Signal::Breaker(provider.into())),
            Event::NodeGivenUp { epoch } => self.keep(Signal::NodeLost(epoch)),
            _ => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
