//! What requests share of the ledger.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use lockgate_ledger::book::{Now, Seat};
use lockgate_ledger::{Book, Expectations, Settings};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::engine::State;

/// The accounts in memory, what is known of the length of answers, and the way to whoever keeps both in touch with the store.
pub struct Purse {
    book: Arc<Book>,
    expectations: Expectations,
    /// The store has answered, or has failed to.
    news: Notify,
    /// The store was asked last and did not answer.
    outage: AtomicBool,
    bell: OnceLock<Bell>,
}

/// Calls whoever goes to the store.
type Bell = Box<dyn Fn() + Send + Sync>;

// === impl Purse ===

impl Purse {
    /// A purse without budgets.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            book: Book::new(Settings::default()),
            expectations: Expectations::default(),
            news: Notify::new(),
            outage: AtomicBool::new(false),
            bell: OnceLock::new(),
        })
    }

    /// The accounts.
    pub const fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// How long answers are.
    pub(crate) const fn expectations(&self) -> &Expectations {
        &self.expectations
    }

    /// Who is called when a request waits for a lease. Only the first counts.
    pub fn attended_by(&self, bell: Bell) {
        let _ = self.bell.set(bell);
    }

    /// Whether the store is out of reach.
    pub fn is_cut_off(&self) -> bool {
        self.outage.load(Ordering::Acquire)
    }

    /// The store has answered, or has not.
    pub(crate) fn heard(&self, answered: bool) {
        self.outage.store(!answered, Ordering::Release);
        self.news.notify_waiters();
    }

    /// The world as reservations see it.
    pub(crate) fn now(&self, state: &State) -> Now {
        Now { tick: state.clock.now(), wall_ms: state.clock.wall_ms(), outage: self.is_cut_off() }
    }

    /// Has the store asked for leases, and waits for its next answer. `false`: in vain until `deadline`.
    pub(crate) async fn await_news(&self, deadline: Instant) -> bool {
        let mut news = std::pin::pin!(self.news.notified());
        // Before the call, so that an answer in between is not missed.
        news.as_mut().enable();
        if let Some(bell) = self.bell.get() {
            bell();
        }
        timeout_at(deadline, news).await.is_ok()
    }

    /// Whether any of these accounts can refuse.
    pub(crate) fn binds(seats: &[Seat]) -> bool {
        seats.iter().any(Seat::binds)
    }
}
