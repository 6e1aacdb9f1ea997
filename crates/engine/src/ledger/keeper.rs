//! Between the accounts in memory and the store: leases ahead of need, charges into the journal, new budgets into force.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lockgate_core::port::EventSink;
use lockgate_core::{Clock, Error, Event, Money, Tick};
use lockgate_ledger::rows::{Answer, Exchange};
use lockgate_ledger::{Fences, LedgerStore, Teller};

use super::Purse;

/// How often things are done.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// An exchange with the store, while there is anything to say.
    pub exchange: Duration,
    /// A sign of life when there is not, and a look for nodes that give none.
    pub heartbeat: Duration,
    /// How long a closing node waits for requests under way and a store that fails.
    pub closing: Duration,
    /// How long charges stay in the journal; zero: for ever.
    pub journal: Duration,
    /// When silent nodes are given up.
    pub fences: Fences,
}

/// One life of a node in the ledger. It goes to the store whenever [`Clerk::step`] is called.
pub struct Clerk {
    purse: Arc<Purse>,
    store: Arc<dyn LedgerStore>,
    events: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    name: String,
    pace: Pace,
    teller: Option<Teller>,
    /// When the store was last spoken to, when it was last told of life, and when silent nodes were last looked for.
    spoken: Option<Tick>,
    fenced: Option<Tick>,
    swept: Option<Tick>,
    failing: bool,
}

/// The thread that has a [`Clerk`] go to the store.
pub struct Keeper {
    call: Arc<Call>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Call {
    rung: Mutex<Rung>,
    bell: Condvar,
}

#[derive(Default)]
struct Rung {
    wanted: bool,
    closed: bool,
}

/// How often new budgets are looked for.
const LOOK: Duration = Duration::from_millis(250);
/// Pause before a store that failed is asked again.
const RETRY: Duration = Duration::from_millis(250);
/// How often accounts that nobody uses are forgotten, and old entries of the journal.
const SWEEP: Duration = Duration::from_secs(3_600);

// === impl Pace ===

impl Default for Pace {
    fn default() -> Self {
        Self {
            exchange: Duration::from_millis(50),
            heartbeat: Duration::from_secs(5),
            closing: Duration::from_secs(5),
            journal: Duration::from_secs(400 * 86_400),
            fences: Fences::default(),
        }
    }
}

// === impl Clerk ===

impl Clerk {
    /// A node of this name that has not spoken to the store yet.
    pub fn new(
        purse: Arc<Purse>,
        store: Arc<dyn LedgerStore>,
        events: Arc<dyn EventSink>,
        clock: Arc<dyn Clock>,
        name: String,
        pace: Pace,
    ) -> Self {
        Self {
            purse,
            store,
            events,
            clock,
            name,
            pace,
            teller: None,
            spoken: None,
            fenced: None,
            swept: None,
            failing: false,
        }
    }

    /// Puts new budgets in force and makes an exchange, if there is anything to say. Whether the store answered.
    pub fn step(&mut self) -> bool {
        let done = self.go(false);
        self.told(done)
    }

    /// Gives everything back and ends the node's life. Whether nothing was left behind.
    pub fn close(&mut self) -> bool {
        let until = self.clock.now().plus(self.pace.closing);
        loop {
            let done = self.go(true);
            let answered = self.told(done);
            let Some(teller) = &self.teller else { return true };
            if answered && (teller.is_done() || teller.is_waiting()) {
                let clean = teller.is_done();
                let closed = self.store.close_node(teller.epoch(), self.clock.wall_ms());
                return self.told(closed) && clean;
            }
            if self.clock.now() >= until {
                return false;
            }
            if !answered {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "it is the ledger's own thread, and nobody waits for it but the end"
                )]
                std::thread::sleep(RETRY);
            }
        }
    }

    fn told(&mut self, done: Result<(), Error>) -> bool {
        let answered = done.is_ok();
        match done {
            Err(error) => {
                self.failing = true;
                self.events.emit(&Event::LedgerFailed { detail: &format!("{error:?}") });
            }
            Ok(()) if self.failing => {
                self.failing = false;
                self.events.emit(&Event::LedgerRecovered);
            }
            Ok(()) => {}
        }
        self.purse.heard(answered);
        answered
    }

    fn go(&mut self, closing: bool) -> Result<(), Error> {
        let book = Arc::clone(self.purse.book());
        if self.store.budget_revision()? != book.revision() {
            book.rule_by(&self.store.budgets()?);
        }
        let began = self.clock.now();
        let wall_ms = self.clock.wall_ms();
        let teller = match &mut self.teller {
            Some(teller) => teller,
            // Whoever has no budgets has no ledger.
            None if book.is_empty() => return Ok(()),
            none => {
                let epoch = self.store.open_node(&self.name, wall_ms)?;
                self.spoken = Some(began);
                none.insert(Teller::new(Arc::clone(&book), epoch, self.pace.fences, began))
            }
        };
        let due = |last: Option<Tick>, every: Duration| last.is_none_or(|last| began >= last.plus(every));
        let exchange = teller.exchange(wall_ms, closing).clone();
        if !exchange.is_empty() || due(self.spoken, self.pace.heartbeat) {
            let answer = self.store.exchange(&exchange)?;
            teller.answered(&answer, began, self.clock.now());
            self.spoken = Some(began);
            self.tell(&exchange, &answer);
        } else {
            teller.put_off();
        }
        if due(self.fenced, self.pace.heartbeat) {
            self.fenced = Some(began);
            let silent = u64::try_from(self.pace.fences.others.as_millis()).unwrap_or(u64::MAX);
            for epoch in self.store.fence(wall_ms.saturating_sub(silent), wall_ms)? {
                self.events.emit(&Event::NodeGivenUp { epoch: epoch.0 });
            }
        }
        if due(self.swept, SWEEP) {
            self.swept = Some(began);
            book.sweep(Tick(began.0.saturating_sub(u64::try_from(SWEEP.as_nanos()).unwrap_or(u64::MAX))));
            if !self.pace.journal.is_zero() {
                let oldest = u64::try_from(self.pace.journal.as_millis()).unwrap_or(u64::MAX);
                self.store.forget_ledger_before(wall_ms.saturating_sub(oldest))?;
            }
        }
        Ok(())
    }

    /// Says what has become of accounts. Those of single values are too many for a metric.
    fn tell(&self, exchange: &Exchange, answer: &Answer) {
        let rules = self.purse.book().rules();
        let name = |id: &str| rules.iter().find(|rule| *rule.budget.id == *id).map(|rule| &*rule.budget.name);
        for (ask, standing) in exchange.accounts.iter().zip(&answer.accounts) {
            if let Some(budget) = name(&ask.key.budget).filter(|_| ask.key.value.is_empty()) {
                let spent = standing.settled.nanos().saturating_add(standing.uncertain.nanos());
                let (spent, limit) = (Money::from_nanos(spent), standing.limit);
                self.events.emit(&Event::BudgetSpent { budget, spent, limit });
            }
        }
        for crossing in &answer.crossings {
            let account = &crossing.account;
            self.events.emit(&Event::BudgetCrossed {
                budget: name(&account.budget).unwrap_or(&account.budget),
                value: &account.value,
                percent: crossing.percent,
                spent: crossing.spent,
                limit: crossing.limit,
            });
        }
    }
}

// === impl Keeper ===

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(purse: &Purse, mut clerk: Clerk) -> io::Result<Self> {
        let call = Arc::new(Call::default());
        let (ours, pace) = (Arc::clone(&call), clerk.pace);
        // Budgets that there are already are in force before the first request.
        clerk.step();
        let thread = std::thread::Builder::new().name("ledger".into()).spawn(move || {
            let mut answered = true;
            loop {
                let pause = if !answered {
                    RETRY
                } else if clerk.purse.book().is_empty() {
                    LOOK
                } else {
                    pace.exchange
                };
                if ours.wait(pause, answered) {
                    clerk.close();
                    return;
                }
                answered = clerk.step();
            }
        })?;
        let theirs = Arc::clone(&call);
        purse.attended_by(Box::new(move || theirs.ring(false)));
        Ok(Self { call, thread })
    }

    /// Journals what is left, gives leases back and ends the thread.
    pub fn close(self) {
        self.call.ring(true);
        // A panic in the thread was reported by the panic hook already.
        let _ = self.thread.join();
    }
}

// === impl Call ===

impl Call {
    fn ring(&self, closing: bool) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        rung.wanted = true;
        rung.closed |= closing;
        self.bell.notify_one();
    }

    /// Waits for the pause to be over, or for a ring where one is `heeded`. Whether the end has come.
    fn wait(&self, pause: Duration, heeded: bool) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = |rung: &mut Rung| !(rung.closed || heeded && rung.wanted);
        let waited = self.bell.wait_timeout_while(rung, pause, quiet);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        rung.wanted = false;
        rung.closed
    }
}
