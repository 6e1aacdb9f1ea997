//! The metrics of one target, found without a formatted label and without an allocation.
//!
//! Model names come from clients, through `provider/anything`, so only so many are told apart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use lockgate_core::record::{Outcome, Target};
use lockgate_core::{Kind, Money, Record, Usage};
use prometheus_client::metrics::counter::{Atomic, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::book::Book;

/// A label and its value.
type Label = (&'static str, Arc<str>);
type OfTarget<M> = Family<[Label; 2], M>;
type OfSeconds = Family<[Label; 2], Histogram, fn() -> Histogram>;
/// Dollars, counted in nano-dollars.
type Dollars = Counter<f64, Nanos>;

/// How many targets are told apart; the models beyond are [`OTHER`].
const TARGETS: usize = 500;
/// The model of all targets beyond [`TARGETS`].
pub(crate) const OTHER: &str = "other";
/// The value of a label where there is nothing to say.
pub(crate) const NONE: &str = "none";

/// The counts of a usage that are tokens.
const TOKENS: &[&str] = Usage::COUNTS.split_at(Usage::COUNTS.len() - 1).0;
const PROVIDER_MODEL: &[&str] = &["provider", "model"];
/// The codes of errors, and that of none.
const KINDS: usize = Kind::ALL.len() + 1;
const OUTCOMES: usize = Outcome::ALL.len();

/// All metrics that are told apart by target.
#[derive(Debug)]
pub(crate) struct Targets {
    requests: Family<[Label; 4], Counter>,
    attempts: Family<[Label; 3], Counter>,
    tokens: Family<[Label; 3], Counter>,
    cost: OfTarget<Dollars>,
    unpriced: OfTarget<Counter>,
    duration: OfSeconds,
    first_content: OfSeconds,
    breaker: OfTarget<Gauge>,
    known: RwLock<Known>,
    nothing: Arc<Series>,
}

#[derive(Debug, Default)]
struct Known {
    targets: HashMap<Target, Arc<Series>>,
    /// By provider: what stands for its models beyond the limit.
    others: HashMap<Arc<str>, Arc<Series>>,
}

/// The metrics of one target.
#[derive(Debug)]
pub(crate) struct Series {
    target: Target,
    /// By outcome and kind; made when first needed, as most never are.
    requests: [[OnceLock<Counter>; KINDS]; OUTCOMES],
    attempts: [OnceLock<Counter>; KINDS],
    tokens: [OnceLock<Counter>; TOKENS.len()],
    cost: Dollars,
    unpriced: Counter,
    duration: Histogram,
    first_content: Histogram,
}

/// An exact sum of money that is shown in dollars.
#[derive(Debug, Default)]
pub(crate) struct Nanos(AtomicU64);

// === impl Targets ===

impl Targets {
    pub(crate) fn new(book: &mut Book) -> Self {
        let requests = book.enter(
            "lockgate_requests",
            &["provider", "model", "outcome", "kind"],
            "Requests that ended, by the target that answered or was tried last, how they ended, and the kind of \
             their error",
            Family::default(),
        );
        let attempts = book.enter(
            "lockgate_attempts",
            &["provider", "model", "kind"],
            "Calls to providers, by the kind of their error; `none` is a success",
            Family::default(),
        );
        let tokens = book.enter(
            "lockgate_tokens",
            &["provider", "model", "bucket"],
            "Tokens consumed, in buckets that do not overlap",
            Family::default(),
        );
        let cost = book.enter(
            "lockgate_cost_dollars",
            PROVIDER_MODEL,
            "What requests cost in US dollars, where a price is known",
            Family::default(),
        );
        let unpriced = book.enter(
            "lockgate_unpriced_requests",
            PROVIDER_MODEL,
            "Requests that consumed tokens whose price is not known: their cost is missing in the sum",
            Family::default(),
        );
        let duration = book.enter(
            "lockgate_request_duration_seconds",
            PROVIDER_MODEL,
            "Time from the arrival of a request to the end of its answer",
            Family::new_with_constructor(seconds as fn() -> Histogram),
        );
        let first_content = book.enter(
            "lockgate_first_content_seconds",
            PROVIDER_MODEL,
            "Time from the arrival of a request to the first content that went to the client",
            Family::new_with_constructor(seconds as fn() -> Histogram),
        );
        let breaker = book.enter(
            "lockgate_breaker_open",
            PROVIDER_MODEL,
            "Whether the endpoint is out of rotation (1) or was and came back (0)",
            Family::default(),
        );
        let mut targets = Self {
            requests,
            attempts,
            tokens,
            cost,
            unpriced,
            duration,
            first_content,
            breaker,
            known: RwLock::default(),
            nothing: Arc::new(Series::unregistered()),
        };
        targets.nothing =
            Arc::new(targets.open(Target { provider: Arc::from(NONE), model: Arc::from(NONE) }));
        targets
    }

    /// A request ended.
    pub(crate) fn finished(&self, record: &Record) {
        let series =
            record.target.as_ref().map_or_else(|| Arc::clone(&self.nothing), |target| self.of(target));
        series.request(self, record.outcome, record.error).inc();
        series.duration.observe(from_micros(record.took_us));
        if let Some(first) = record.first_content_us {
            series.first_content.observe(from_micros(first));
        }
        if let Some(usage) = &record.usage {
            series.used(self, usage);
        }
        match record.cost {
            Some(cost) => series.cost.inner().add(cost),
            None if record.usage.is_some() => {
                series.unpriced.inc();
            }
            None => {}
        }
        for attempt in &record.attempts {
            if record.target.as_ref() == Some(&attempt.target) {
                series.attempt(self, attempt.error).inc();
            } else {
                self.of(&attempt.target).attempt(self, attempt.error).inc();
            }
        }
    }

    /// An endpoint left or came back.
    pub(crate) fn breaker(&self, provider: &str, model: &str, open: bool) {
        let target = Target { provider: Arc::from(provider), model: Arc::from(model) };
        self.breaker.get_or_create_owned(&labels(&self.of(&target).target)).set(i64::from(open));
    }

    /// The series of a target.
    fn of(&self, target: &Target) -> Arc<Series> {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let full = known.targets.len() >= TARGETS;
            let beyond = || if full { known.others.get(&target.provider) } else { None };
            if let Some(series) = known.targets.get(target).or_else(beyond) {
                return Arc::clone(series);
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.targets.len() < TARGETS {
            let series =
                known.targets.entry(target.clone()).or_insert_with(|| Arc::new(self.open(target.clone())));
            return Arc::clone(series);
        }
        if let Some(series) = known.targets.get(target) {
            return Arc::clone(series);
        }
        let other = || self.open(Target { provider: Arc::clone(&target.provider), model: Arc::from(OTHER) });
        Arc::clone(known.others.entry(Arc::clone(&target.provider)).or_insert_with(|| Arc::new(other())))
    }

    fn open(&self, target: Target) -> Series {
        let labels = labels(&target);
        Series {
            cost: self.cost.get_or_create_owned(&labels),
            unpriced: self.unpriced.get_or_create_owned(&labels),
            duration: self.duration.get_or_create_owned(&labels),
            first_content: self.first_content.get_or_create_owned(&labels),
            target,
            ..Series::unregistered()
        }
    }
}

// === impl Series ===

impl Series {
    fn unregistered() -> Self {
        Self {
            target: Target { provider: Arc::from(NONE), model: Arc::from(NONE) },
            requests: Default::default(),
            attempts: Default::default(),
            tokens: Default::default(),
            cost: Dollars::default(),
            unpriced: Counter::default(),
            duration: seconds(),
            first_content: seconds(),
        }
    }

    fn request(&self, all: &Targets, outcome: Outcome, kind: Option<Kind>) -> &Counter {
        self.requests[outcome as usize][place(kind)].get_or_init(|| {
            let [provider, model] = labels(&self.target);
            let kind = Arc::from(kind.map_or(NONE, Kind::code));
            all.requests.get_or_create_owned(&[
                provider,
                model,
                ("outcome", Arc::from(outcome.code())),
                ("kind", kind),
            ])
        })
    }

    fn attempt(&self, all: &Targets, kind: Option<Kind>) -> &Counter {
        self.attempts[place(kind)].get_or_init(|| {
            let [provider, model] = labels(&self.target);
            let kind = Arc::from(kind.map_or(NONE, Kind::code));
            all.attempts.get_or_create_owned(&[provider, model, ("kind", kind)])
        })
    }

    fn used(&self, all: &Targets, usage: &Usage) {
        // The last count is of searches and not of tokens.
        let tokens = usage.counts().into_iter().zip(TOKENS.iter().copied());
        for ((count, bucket), counter) in tokens.zip(&self.tokens) {
            if count > 0 {
                let make = || {
                    let [provider, model] = labels(&self.target);
                    all.tokens.get_or_create_owned(&[provider, model, ("bucket", Arc::from(bucket))])
                };
                counter.get_or_init(make).inc_by(count);
            }
        }
    }
}

fn labels(target: &Target) -> [Label; 2] {
    [("provider", Arc::clone(&target.provider)), ("model", Arc::clone(&target.model))]
}

const fn place(kind: Option<Kind>) -> usize {
    match kind {
        None => 0,
        Some(kind) => kind as usize + 1,
    }
}

fn from_micros(micros: u32) -> f64 {
    f64::from(micros) / 1e6
}

/// From the quickest answer of a small model near by to the longest wait for a long one.
fn seconds() -> Histogram {
    Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0, 300.0, 600.0])
}

// === impl Nanos ===

impl Nanos {
    /// A counter never falls: a cost below zero is a correction, which the ledger shows and the sum here does not.
    fn add(&self, cost: Money) {
        self.0.fetch_add(u64::try_from(cost.nanos()).unwrap_or(0), Ordering::Relaxed);
    }
}

impl Atomic<f64> for Nanos {
    fn inc(&self) -> f64 {
        self.inc_by(1.0)
    }

    fn inc_by(&self, dollars: f64) -> f64 {
        // The cast rounds towards zero and ends at the borders.
        self.0.fetch_add((dollars * 1e9) as u64, Ordering::Relaxed) as f64 / 1e9
    }

    fn get(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use lockgate_core::Event;

    use super::*;
    use crate::metrics::Metrics;
    use crate::samples::record;

    #[test]
    fn models_beyond_the_limit_are_counted_together() {
        let metrics = Metrics::new(0);
        let named = |number: usize| {
            let model = Arc::from(format!("model-{number}"));
            let target = Target { provider: Arc::from("openai"), model };
            Record { target: Some(target), attempts: Vec::new(), ..record() }
        };
        for number in 0..TARGETS + 50 {
            metrics.note(&Event::RequestFinished(&named(number)));
        }
        metrics.note(&Event::RequestFinished(&named(3)));
        let text = metrics.render();
        let count = |model: &str| {
            let start = format!("lockgate_requests_total{{provider=\"openai\",model=\"{model}\"");
            text.lines().find(|line| line.starts_with(&start)).and_then(|line| line.rsplit(' ').next())
        };
        assert_eq!(count("model-3"), Some("2"));
        assert_eq!(count(&format!("model-{}", TARGETS + 1)), None);
        assert_eq!(count(OTHER), Some("50"));
    }

    #[test]
    fn money_is_summed_exactly() {
        let nanos = Nanos::default();
        for _ in 0..10 {
            nanos.add(Money::from_nanos(100_000_001));
        }
        nanos.add(Money::from_nanos(-5));
        assert_eq!(nanos.get(), 1.000_000_01);
    }
}
