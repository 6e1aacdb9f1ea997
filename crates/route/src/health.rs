//! How an endpoint has done lately: times, successes, rate limits. Fed by the engine, one call at a time, and kept across
//! reloads.
//!
//! Times are averages that decay (a call counts half after five minutes), apart for small and large prompts. Successes are
//! counted in five minutes and in an hour. A rate-limited answer is counted apart: it says that we call too often, and not
//! that the endpoint fails.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lockgate_core::Tick;
use lockgate_core::decision::MILLION;

/// The health of one endpoint. All methods are a few instructions, those that change it under an uncontended lock.
#[derive(Debug, Default)]
pub struct Health {
    in_flight: AtomicU32,
    inner: Mutex<Inner>,
}

/// How a call went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// How it ended.
    pub ended: Ended,
    /// Input tokens, estimated or reported.
    pub input_tokens: u64,
    /// From the start of the call to its first content, where any came.
    pub first: Option<Duration>,
    /// Output tokens and the time from the first content to the last, of a stream that came whole.
    pub streamed: Option<(u64, Duration)>,
}

/// How a call ended, as far as it speaks for or against the endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// Well.
    #[default]
    Well,
    /// In a way that speaks against the endpoint.
    Badly,
    /// In a rate limit.
    Limited,
    /// In a way that says nothing: the client left, or the request was wrong.
    Unsaid,
}

/// A reading of the health.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pulse {
    /// Calls under way.
    pub in_flight: u32,
    /// The expected time to the first content, in microseconds; `None`: nothing was measured in the last hour.
    pub first_us: Option<f64>,
    /// Expected output tokens a second, likewise.
    pub tokens_per_second: Option<f64>,
    /// Good and bad calls in five minutes.
    pub recent: Tally,
    /// Good and bad calls in an hour.
    pub hour: Tally,
    /// Rate-limited answers in five minutes.
    pub limited: u32,
    /// Tool calls in an hour, those that were wrong (not JSON, an unknown name, not after the schema) as `bad`.
    pub tool_calls: Tally,
}

/// Counts of good and bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Good ones.
    pub ok: u32,
    /// Bad ones.
    pub bad: u32,
}

/// Sizes of prompts that are measured apart: below so many tokens, and above the last.
const SIZES: [u64; 3] = [2_000, 16_000, 64_000];
/// After this time a measurement counts half.
const HALF_LIFE: Duration = Duration::from_secs(300);
/// After this time without a measurement nothing is known any more.
const FAINT: Duration = Duration::from_secs(3_600);
/// How long a reading is taken for the present.
const FRESH: Duration = Duration::from_millis(100);
/// The slots of five minutes.
const SHORT: Duration = Duration::from_secs(30);
/// The slots of an hour.
const LONG: Duration = Duration::from_secs(300);
const SHORT_SLOTS: usize = 10;
const LONG_SLOTS: usize = 12;

#[derive(Debug, Default)]
struct Inner {
    first: [Decaying; SIZES.len() + 1],
    speed: [Decaying; SIZES.len() + 1],
    recent: Ring<SHORT_SLOTS>,
    hour: Ring<LONG_SLOTS>,
    tools: Ring<LONG_SLOTS>,
    limited: Ring<SHORT_SLOTS>,
    /// The last reading.
    cached: Option<Cached>,
}

/// A reading that was made.
#[derive(Clone, Copy, Debug, Default)]
struct Cached {
    at: Tick,
    /// For which size of prompts.
    size: usize,
    pulse: Pulse,
    /// [`Pulse::reliability`], in millionths.
    reliability: u32,
}

/// A part of a [`Pulse`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    pub(crate) in_flight: u32,
    pub(crate) first_us: Option<f64>,
    pub(crate) tokens_per_second: Option<f64>,
    /// In millionths.
    pub(crate) reliability: u32,
    pub(crate) tool_calls: Tally,
}

/// An average whose parts fade.
#[derive(Clone, Copy, Debug, Default)]
struct Decaying {
    sum: f64,
    weight: f64,
    at: Tick,
}

/// Counts of the latest spans of time.
#[derive(Debug)]
struct Ring<const N: usize> {
    slots: [(u64, Tally); N],
}

// === impl Health ===

impl Health {
    /// A call begins.
    pub fn began(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A call that [`Health::began`] is over, in whatever way. What is known of it comes by [`Health::saw`].
    pub fn over(&self) {
        // A call that was never begun must not make the number wrap.
        let _ = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    }

    /// What a call showed.
    pub fn saw(&self, now: Tick, sample: &Sample) {
        let mut inner = self.lock();
        inner.cached = None;
        match sample.ended {
            Ended::Well => inner.count(now, true),
            Ended::Badly => inner.count(now, false),
            Ended::Limited => inner.limited.count(now, SHORT, false),
            Ended::Unsaid => {}
        }
        let size = size(sample.input_tokens);
        if let Some(first) = sample.first {
            inner.first[size].add(now, first.as_micros() as f64);
        }
        if let Some((tokens, took)) = sample.streamed.filter(|(tokens, took)| *tokens > 1 && !took.is_zero())
        {
            inner.speed[size].add(now, tokens as f64 / took.as_secs_f64());
        }
    }

    /// What became of tool calls that the model made.
    pub fn tool_calls(&self, now: Tick, seen: Tally) {
        let mut inner = self.lock();
        inner.cached = None;
        let tally = inner.tools.slot(now, LONG);
        tally.ok = tally.ok.saturating_add(seen.ok);
        tally.bad = tally.bad.saturating_add(seen.bad);
    }

    /// How it is now, for a prompt of so many tokens. Averages and counts are read anew a hundred milliseconds after they
    /// were, or when a call has shown something since.
    pub fn pulse(&self, now: Tick, input_tokens: u64) -> Pulse {
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        Pulse { in_flight, ..self.lock().read(now, size(input_tokens)).pulse }
    }

    /// What an estimate takes of it: asked for once for each candidate of each decision.
    pub(crate) fn glance(&self, now: Tick, input_tokens: u64) -> Glance {
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        let mut inner = self.lock();
        let Cached { pulse, reliability, .. } = inner.read(now, size(input_tokens));
        Glance {
            in_flight,
            first_us: pulse.first_us,
            tokens_per_second: pulse.tokens_per_second,
            reliability: *reliability,
            tool_calls: pulse.tool_calls,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pulse ===

impl Pulse {
    /// The part of calls that is expected to succeed: `(ok + 1) / (n + 2)` (Laplace's rule of succession) of five minutes
    /// blended with that of an hour, by how much was seen in the five minutes: all of it from 20 calls on.
    pub fn reliability(&self) -> f64 {
        let share =
            |tally: Tally| (f64::from(tally.ok) + 1.0) / (f64::from(tally.ok) + f64::from(tally.bad) + 2.0);
        let seen = f64::from(self.recent.ok) + f64::from(self.recent.bad);
        let trust = (seen / 20.0).min(1.0);
        trust * share(self.recent) + (1.0 - trust) * share(self.hour)
    }
}

// === impl Inner ===

impl Inner {
    /// The last reading if it is fresh and for this size, else a new one.
    fn read(&mut self, now: Tick, size: usize) -> &Cached {
        let fresh = |cached: &Cached| cached.size == size && now.since(cached.at) < FRESH;
        if !self.cached.as_ref().is_some_and(fresh) {
            let pulse = Pulse {
                in_flight: 0,
                first_us: nearest(&self.first, size, now),
                tokens_per_second: nearest(&self.speed, size, now),
                recent: self.recent.sum(now, SHORT),
                hour: self.hour.sum(now, LONG),
                limited: self.limited.sum(now, SHORT).bad,
                tool_calls: self.tools.sum(now, LONG),
            };
            let reliability = (pulse.reliability() * f64::from(MILLION)) as u32;
            self.cached = Some(Cached { at: now, size, pulse, reliability });
        }
        self.cached.get_or_insert_default()
    }

    fn count(&mut self, now: Tick, ok: bool) {
        self.recent.count(now, SHORT, ok);
        self.hour.count(now, LONG, ok);
    }
}

fn size(tokens: u64) -> usize {
    SIZES.iter().position(|limit| tokens < *limit).unwrap_or(SIZES.len())
}

/// The average of this size; where it was not measured, that of the nearest size that was, the larger first.
fn nearest(of: &[Decaying; SIZES.len() + 1], size: usize, now: Tick) -> Option<f64> {
    let at = |place: Option<usize>| of.get(place?)?.read(now);
    (0..of.len()).find_map(|step| at(Some(size + step)).or_else(|| at(size.checked_sub(step))))
}

// === impl Decaying ===

impl Decaying {
    fn add(&mut self, now: Tick, value: f64) {
        let kept = self.kept(now);
        self.sum = self.sum * kept + value;
        self.weight = self.weight * kept + 1.0;
        self.at = now;
    }

    fn read(&self, now: Tick) -> Option<f64> {
        (self.weight > 0.0 && now.since(self.at) < FAINT).then(|| self.sum / self.weight)
    }

    fn kept(&self, now: Tick) -> f64 {
        (-now.since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
    }
}

// === impl Ring ===

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self { slots: [(0, Tally::default()); N] }
    }
}

impl<const N: usize> Ring<N> {
    fn slot(&mut self, now: Tick, span: Duration) -> &mut Tally {
        let turn = turn(now, span);
        let (of, tally) = &mut self.slots[(turn % N as u64) as usize];
        if *of != turn {
            (*of, *tally) = (turn, Tally::default());
        }
        tally
    }

    fn count(&mut self, now: Tick, span: Duration, ok: bool) {
        let tally = self.slot(now, span);
        let one = if ok { &mut tally.ok } else { &mut tally.bad };
        *one = one.saturating_add(1);
    }

    fn sum(&self, now: Tick, span: Duration) -> Tally {
        let turn = turn(now, span);
        let fresh = self.slots.iter().filter(|(of, _)| turn.saturating_sub(*of) < N as u64 && *of > 0);
        fresh.fold(Tally::default(), |sum, (_, tally)| Tally {
            ok: sum.ok.saturating_add(tally.ok),
            bad: sum.bad.saturating_add(tally.bad),
        })
    }
}

/// The number of a span of time, from 1.
fn turn(now: Tick, span: Duration) -> u64 {
    let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    now.0 / span + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::default().plus(Duration::from_secs(seconds))
    }

    fn call(ended: Ended, first_ms: u64) -> Sample {
        let first = (first_ms > 0).then(|| Duration::from_millis(first_ms));
        Sample { ended, input_tokens: 100, first, streamed: None }
    }

    #[test]
    fn what_was_never_called_is_even() {
        let pulse = Health::default().pulse(at(10_000), 0);
        assert_eq!(pulse, Pulse::default());
        assert!((pulse.reliability() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn calls_under_way_are_counted_and_never_below_none() {
        let health = Health::default();
        health.over();
        health.began();
        health.began();
        health.over();
        assert_eq!(health.pulse(at(0), 0).in_flight, 1);
    }

    #[test]
    fn a_late_time_counts_more_than_an_early_one() {
        let health = Health::default();
        health.saw(at(0), &call(Ended::Well, 1_000));
        health.saw(at(300), &call(Ended::Well, 400));
        // The first counts half after five minutes: (500 + 400) / 1.5.
        let first = health.pulse(at(300), 0).first_us.unwrap();
        assert!((first - 600_000.0).abs() < 1.0, "{first}");
        assert_eq!(health.pulse(at(300 + 3_601 + 300), 0).first_us, None, "faded");
    }

    #[test]
    fn sizes_are_measured_apart_and_stand_in_for_each_other() {
        let health = Health::default();
        health.saw(at(1), &call(Ended::Well, 200));
        health.saw(at(1), &Sample { input_tokens: 100_000, ..call(Ended::Well, 3_000) });
        let first = |tokens| health.pulse(at(1), tokens).first_us.map(|us| us as u64 / 1_000);
        assert_eq!((first(0), first(1 << 40)), (Some(200), Some(3_000)));
        assert_eq!(first(20_000), Some(3_000), "the larger first");
        assert_eq!(first(5_000), Some(200));
    }

    #[test]
    fn failures_pass_with_time() {
        let health = Health::default();
        (0..40).for_each(|_| health.saw(at(10), &call(Ended::Badly, 0)));
        let now = health.pulse(at(20), 0);
        assert_eq!((now.recent.bad, now.hour.bad), (40, 40));
        assert!(now.reliability() < 0.03);
        let later = health.pulse(at(400), 0);
        assert_eq!((later.recent.bad, later.hour.bad), (0, 40));
        assert_eq!(health.pulse(at(4_000), 0).hour.bad, 0);
    }

    #[test]
    fn a_rate_limit_is_no_failure() {
        let health = Health::default();
        health.saw(at(1), &call(Ended::Limited, 0));
        let pulse = health.pulse(at(2), 0);
        assert_eq!((pulse.recent, pulse.limited), (Tally::default(), 1));
    }

    #[test]
    fn the_last_five_minutes_count_as_far_as_they_were_busy() {
        let pulse = |recent, hour| Pulse { recent, hour, ..Pulse::default() }.reliability();
        let tally = |ok, bad| Tally { ok, bad };
        assert!((pulse(tally(20, 0), tally(0, 200)) - 21.0 / 22.0).abs() < 1e-9);
        let quiet = pulse(tally(2, 0), tally(98, 0));
        assert!((quiet - (0.1 * 0.75 + 0.9 * 0.99)).abs() < 1e-9, "{quiet}");
    }
}
