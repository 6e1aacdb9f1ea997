//! The thread between the rules and the channels: gathers alerts, delivers them, tries again, and says what became of them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lockgate_core::alert::Channel;
use lockgate_core::{Alert, Clock, Digest, Error, Event, Kind, Money, Tick};
use lockgate_ledger::LedgerStore;
use lockgate_ledger::report::Moment;
use lockgate_route::{Registry, Settings as Breakers};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::forecast::{self, Forecast};
use super::outbox::{Delivery, Outbox, State, Try, new_id, test_digest};
use super::rules::Rules;
use super::signal::Watch;

/// What the thread works by.
pub struct Plan {
    /// Where signals come from.
    pub watch: Arc<Watch>,
    /// Who carries messages; at least one.
    pub channels: Vec<Arc<dyn Channel>>,
    /// What comes within this time goes out as one message.
    pub digest: Duration,
    /// An hour that costs less is never unusual.
    pub anomaly_floor: Money,
    /// Which endpoints are in rotation.
    pub registry: Arc<Registry>,
    /// When endpoints leave rotation.
    pub breakers: Breakers,
    /// Budgets, for forecasts.
    pub ledger: Arc<dyn LedgerStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What messages call this gateway.
    pub node: Arc<str>,
}

/// The thread.
pub struct Desk {
    orders: mpsc::Sender<Order>,
    thread: JoinHandle<()>,
}

/// What doors see of alerts: what was delivered, and a way to try a channel.
pub struct Alerts {
    orders: mpsc::Sender<Order>,
    list: Arc<Mutex<Vec<Delivery>>>,
}

/// What a test of a channel came to.
#[derive(Clone, Debug, Serialize)]
pub struct Tested {
    /// The channel's name.
    pub channel: Arc<str>,
    /// Whether it took the message.
    pub ok: bool,
    /// What the other side said, or what went wrong.
    pub said: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

enum Order {
    /// Try this channel, or all; without one of this name the answer is empty.
    Test(Option<String>, oneshot::Sender<Vec<Tested>>),
    Close,
}

/// What work beside the loop came to.
enum Done {
    Sent(Arc<str>, Arc<Digest>, Try),
    Foreseen(Vec<Forecast>),
    Tested(Vec<(Delivery, Arc<Digest>)>, oneshot::Sender<Vec<Tested>>),
}

/// How often the loop looks at the clock.
const LOOK: Duration = Duration::from_millis(250);
/// How often the rules are asked what time brings, and how often the ledger is looked at.
const TICK: Duration = Duration::from_secs(60);
const FORESEE: Duration = Duration::from_secs(300);
/// Alerts of one message.
const MOST_ALERTS: usize = 100;
/// Messages under way at once.
const MOST_UNDER_WAY: usize = 8;
/// How long an end waits for what is not delivered.
const LAST: Duration = Duration::from_secs(2);
/// Orders that wait.
const MOST_ORDERS: usize = 16;

// === impl Desk ===

impl Desk {
    /// Starts the thread; the other half is for the doors.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub fn spawn(plan: Plan) -> io::Result<(Self, Arc<Alerts>)> {
        let (orders, taken) = mpsc::channel(MOST_ORDERS);
        let list = Arc::default();
        let alerts = Arc::new(Alerts { orders: orders.clone(), list: Arc::clone(&list) });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("alerts".into()).spawn(move || {
            runtime.block_on(Work::new(plan, list).run(taken));
            // A mail server that does not answer must not keep the process.
            runtime.shutdown_background();
        })?;
        Ok((Self { orders, thread }, alerts))
    }

    /// Tries once more what is not delivered, for two seconds, and ends the thread.
    pub fn close(self) {
        // Where the queue is full of tests the thread ends with the last of its senders instead.
        let _ = self.orders.try_send(Order::Close);
        drop(self.orders);
        // A panic in the thread was reported by the panic hook already.
        let _ = self.thread.join();
    }
}

// === impl Alerts ===

impl Alerts {
    /// The latest deliveries with their tries, the newest first; at most 200, since the start of the process.
    pub fn list(&self) -> Vec<Delivery> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a test message by one channel or by all, and says what came of it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such channel; [`Kind::Unavailable`] when too many tests wait.
    pub async fn test(&self, channel: Option<&str>) -> Result<Vec<Tested>, Error> {
        let (answer, heard) = oneshot::channel();
        let busy = || {
            Error::gateway(Kind::Unavailable, "Alerts are being tested already. Try again in some seconds.")
        };
        self.orders.try_send(Order::Test(channel.map(str::to_owned), answer)).map_err(|_| busy())?;
        let tested = heard.await.map_err(|_| busy())?;
        if tested.is_empty() {
            let named: String = channel.unwrap_or_default().chars().take(64).collect();
            let message =
                format!("There is no alert channel \"{named}\". The config has them under alerts.channels.");
            return Err(Error::client(Kind::NotFound, message));
        }
        Ok(tested)
    }
}

// === the loop ===

struct Work {
    plan: Plan,
    rules: Rules,
    outbox: Outbox,
    list: Arc<Mutex<Vec<Delivery>>>,
    /// Alerts that wait for their digest, since when, and how many there was no room for.
    pending: Vec<Alert>,
    since: Tick,
    left_out: u32,
    ticked: Tick,
    foreseen: Tick,
    beside: JoinSet<Done>,
    under_way: usize,
}

impl Work {
    fn new(plan: Plan, list: Arc<Mutex<Vec<Delivery>>>) -> Self {
        let (rules, now) = (Rules::new(plan.anomaly_floor), plan.clock.now());
        Self {
            plan,
            rules,
            outbox: Outbox::new(),
            list,
            pending: Vec::new(),
            since: now,
            left_out: 0,
            ticked: now,
            foreseen: now,
            beside: JoinSet::new(),
            under_way: 0,
        }
    }

    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tick();
        loop {
            let watch = Arc::clone(&self.plan.watch);
            tokio::select! {
                () = watch.bell.notified() => {}
                _ = looks.tick() => {}
                Some(done) = self.beside.join_next() => self.done(done),
                order = orders.recv() => match order {
                    Some(Order::Test(channel, answer)) => self.test(channel.as_deref(), answer),
                    Some(Order::Close) | None => break,
                },
            }
            self.step();
        }
        self.hear();
        self.gather(true);
        self.outbox.hurry(self.plan.clock.now());
        self.send();
        let rest = async {
            while let Some(done) = self.beside.join_next().await {
                self.done(done);
                self.send();
            }
        };
        let _ = timeout(LAST, rest).await;
    }

    fn step(&mut self) {
        self.hear();
        let now = self.plan.clock.now();
        if now >= self.ticked.plus(TICK) {
            self.ticked = now;
            self.tick();
        }
        if now >= self.foreseen.plus(FORESEE) {
            self.foreseen = now;
            let (ledger, wall_ms) = (Arc::clone(&self.plan.ledger), self.plan.clock.wall_ms());
            // A store that fails says so by events of its own.
            self.beside.spawn_blocking(move || {
                Done::Foreseen(forecast::look(&*ledger, wall_ms).unwrap_or_default())
            });
        }
        self.gather(false);
        self.send();
    }

    /// Judges what was signalled.
    fn hear(&mut self) {
        let now_ms = self.plan.clock.wall_ms();
        for signal in self.plan.watch.take() {
            let is_out = |provider: &str| {
                is_out(&self.plan.registry, &self.plan.breakers, self.plan.clock.now(), provider)
            };
            let alert = self.rules.judge(signal, now_ms, &is_out);
            self.take(alert);
        }
    }

    fn tick(&mut self) {
        let watch = &self.plan.watch;
        let alerts = self.rules.tick(self.plan.clock.wall_ms(), watch.spent(), watch.budgets());
        self.take(alerts);
    }

    fn take(&mut self, alerts: impl IntoIterator<Item = Alert>) {
        for alert in alerts {
            if self.pending.is_empty() {
                self.since = self.plan.clock.now();
            }
            if self.pending.len() < MOST_ALERTS {
                self.pending.push(alert);
            } else {
                self.left_out = self.left_out.saturating_add(1);
            }
        }
    }

    /// Makes messages of what was gathered, when it is time or `at_once`.
    fn gather(&mut self, at_once: bool) {
        let now = self.plan.clock.now();
        if self.pending.is_empty() || !(at_once || now >= self.since.plus(self.plan.digest)) {
            return;
        }
        let at_ms = self.plan.clock.wall_ms();
        let (alerts, left_out) = (std::mem::take(&mut self.pending), std::mem::take(&mut self.left_out));
        let (id, node) = (new_id(at_ms), Arc::clone(&self.plan.node));
        for channel in &self.plan.channels {
            let alerts: Vec<Alert> = alerts.iter().filter(|alert| channel.wants(alert)).cloned().collect();
            if alerts.is_empty() {
                continue;
            }
            let digest = Digest { id: Arc::clone(&id), node: Arc::clone(&node), at_ms, alerts, left_out };
            if let Some(lost) = self.outbox.put(channel.name(), &Arc::new(digest), now) {
                let detail = "too many messages wait";
                self.plan.watch.next().emit(&Event::AlertFailed { channel: &lost, detail, lost: true });
            }
        }
        self.show();
    }

    /// Begins to send what is due.
    fn send(&mut self) {
        let now = self.plan.clock.now();
        while self.under_way < MOST_UNDER_WAY {
            let Some((name, digest)) = self.outbox.next(now) else { return };
            let Some(channel) =
                self.plan.channels.iter().find(|channel| channel.name() == &*name).map(Arc::clone)
            else {
                return;
            };
            self.under_way += 1;
            let clock = Arc::clone(&self.plan.clock);
            self.beside.spawn(async move {
                let tried = attempt(&*channel, &digest, &*clock).await;
                Done::Sent(name, digest, tried)
            });
        }
    }

    /// Tries channels beside the loop, which goes on.
    fn test(&mut self, named: Option<&str>, answer: oneshot::Sender<Vec<Tested>>) {
        let wanted = |channel: &&Arc<dyn Channel>| named.is_none_or(|name| channel.name() == name);
        let channels: Vec<_> = self.plan.channels.iter().filter(wanted).map(Arc::clone).collect();
        let clock = Arc::clone(&self.plan.clock);
        let digest = Arc::new(test_digest(&self.plan.node, clock.wall_ms()));
        self.beside.spawn(async move {
            let mut tested = Vec::new();
            for channel in channels {
                let tried = attempt(&*channel, &digest, &*clock).await;
                let state = if tried.ok { State::Sent } else { State::Lost };
                let delivery = Delivery::of(channel.name(), &digest);
                tested.push((Delivery { state, tries: vec![tried], ..delivery }, Arc::clone(&digest)));
            }
            Done::Tested(tested, answer)
        });
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        let now = self.plan.clock.now();
        match done {
            Ok(Done::Sent(channel, digest, tried)) => {
                self.under_way = self.under_way.saturating_sub(1);
                let (ok, said) = (tried.ok, tried.said.clone());
                let state = self.outbox.done(&channel, &digest.id, tried, now);
                self.tell(&channel, ok, &said, state == Some(State::Lost));
            }
            Ok(Done::Foreseen(forecasts)) => {
                let alerts = self.rules.foresee(forecasts, self.plan.clock.wall_ms());
                self.take(alerts);
                return;
            }
            Ok(Done::Tested(tested, answer)) => {
                let mut answers = Vec::new();
                for (delivery, digest) in tested {
                    if let Some(tried) = delivery.tries.first() {
                        let Try { took_ms, ok, said, .. } = tried.clone();
                        self.tell(&delivery.channel, ok, &said, !ok);
                        answers.push(Tested { channel: Arc::clone(&delivery.channel), ok, said, took_ms });
                    }
                    self.outbox.keep_done(delivery, digest, now);
                }
                // Shown before it is answered: whoever asks next sees it.
                self.show();
                // Whoever asked may have left.
                let _ = answer.send(answers);
                return;
            }
            // A panic in a channel was reported by the panic hook already. Its message stays under way and is not tried again.
            Err(_) => self.under_way = self.under_way.saturating_sub(1),
        }
        self.show();
    }

    fn tell(&self, channel: &str, ok: bool, said: &str, lost: bool) {
        let event = if ok {
            Event::AlertSent { channel }
        } else {
            Event::AlertFailed { channel, detail: said, lost }
        };
        self.plan.watch.next().emit(&event);
    }

    fn show(&self) {
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = self.outbox.list();
    }
}

/// One try, and what came of it.
async fn attempt(channel: &dyn Channel, digest: &Digest, clock: &dyn Clock) -> Try {
    let (at, began) = (Moment(clock.wall_ms()), clock.now());
    let sent = channel.send(digest).await;
    let took_ms = u64::try_from(clock.now().since(began).as_millis()).unwrap_or(u64::MAX);
    let ok = sent.is_ok();
    let said = sent.unwrap_or_else(|error| match error.private() {
        Some(detail) => format!("{} ({detail})", error.public()),
        None => error.public().to_owned(),
    });
    Try { at, took_ms, ok, said }
}

/// Whether nothing of a provider is in rotation: its host is out, or each of its endpoints that was called.
fn is_out(registry: &Registry, breakers: &Breakers, now: Tick, provider: &str) -> bool {
    let sites = registry.sites();
    if sites.iter().any(|(name, site)| &**name == provider && site.host.seen(now, breakers).opened > 0) {
        return true;
    }
    let endpoints = registry.all();
    let mut own = endpoints.iter().filter(|(target, _)| &*target.provider == provider).peekable();
    own.peek().is_some() && own.all(|(_, breaker)| breaker.seen(now, breakers).opened > 0)
}
