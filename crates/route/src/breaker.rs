//! When an endpoint leaves rotation, and how it returns.
//!
//! Closed: all calls pass; failures are counted. It opens after a run of failures, after a shorter run of refused
//! connections, or when too large a share of the calls in a window failed. Open: no call passes until a pause is over. Half
//! open: one call a second passes as a probe; its success closes the breaker, a failure opens it again for twice as long, up
//! to a limit. Limited: the provider has said when it takes calls again; that is not a failure, and nothing is probed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lockgate_core::Tick;

/// The health of one endpoint. All methods are a few instructions under an uncontended lock; what a healthy endpoint is asked,
/// once for each candidate of each decision, takes none.
#[derive(Debug, Default)]
pub struct Breaker {
    inner: Mutex<Inner>,
    /// Whether it is anything but closed. Written under the lock.
    troubled: AtomicBool,
}

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Opens after so many failures in a row.
    pub run: u32,
    /// Opens after so many connections in a row that did not come about.
    pub refused: u32,
    /// Opens when at least this share of the calls in a window failed, in percent.
    pub share: u32,
    /// Calls that a window must have before the share counts.
    pub least: u32,
    /// Length of a window.
    pub window: Duration,
    /// First pause.
    pub pause: Duration,
    /// Longest pause.
    pub longest: Duration,
    /// Time between two probes.
    pub probe_every: Duration,
}

/// What a breaker lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every call.
    Closed,
    /// This call, as a probe.
    Probe,
    /// No call before this time.
    Open(Tick),
    /// The provider takes no call before this time, as it said itself.
    Limited(Tick),
}

/// What a breaker has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What a call would be told.
    pub state: State,
    /// Calls that ended in the window under way.
    pub calls: u32,
    /// How many of them failed.
    pub failures: u32,
    /// Failures since the last success.
    pub run: u32,
    /// How often it opened since it was last closed; 0 when closed.
    pub opened: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Inner {
    run: u32,
    /// Of these the last ones in a row that had no connection.
    refused: u32,
    window_start: Tick,
    calls: u32,
    failures: u32,
    /// How often it opened since it was last closed; 0 when closed.
    opened: u32,
    /// From when on a probe may pass.
    next_probe: Tick,
    /// A probe is under way, so a success may be its own.
    probing: bool,
    /// No call before this time.
    limited: Tick,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            run: 5,
            refused: 3,
            share: 50,
            least: 20,
            window: Duration::from_secs(30),
            pause: Duration::from_secs(5),
            longest: Duration::from_secs(60),
            probe_every: Duration::from_secs(1),
        }
    }
}

// === impl State ===

impl State {
    /// Until when no call passes; `None` when one does.
    pub const fn out_until(self) -> Option<Tick> {
        match self {
            Self::Closed | Self::Probe => None,
            Self::Open(until) | Self::Limited(until) => Some(until),
        }
    }

    /// Its stable word: `closed`, `half_open`, `open`, `limited`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Probe => "half_open",
            Self::Open(_) => "open",
            Self::Limited(_) => "limited",
        }
    }
}

// === impl Breaker ===

impl Breaker {
    /// Whether a call may pass now. A [`State::Probe`] is handed out once for each interval.
    pub fn admit(&self, now: Tick, settings: &Settings) -> State {
        if !self.troubled.load(Ordering::Acquire) {
            return State::Closed;
        }
        let mut inner = self.lock();
        let state = inner.state(now);
        if state == State::Probe {
            inner.next_probe = now.plus(settings.probe_every);
            inner.probing = true;
        }
        state
    }

    /// A call is made although the breaker is open, as there is no other: it counts as a probe.
    pub fn insist(&self) {
        self.lock().probing = true;
    }

    /// What a call would be told now, without taking a probe.
    pub fn state(&self, now: Tick) -> State {
        if !self.troubled.load(Ordering::Acquire) {
            return State::Closed;
        }
        self.lock().state(now)
    }

    /// What it has seen so far.
    pub fn seen(&self, now: Tick, settings: &Settings) -> Seen {
        let mut inner = *self.lock();
        inner.roll(now, settings);
        let Inner { calls, failures, run, opened, .. } = inner;
        Seen { state: inner.state(now), calls, failures, run, opened }
    }

    /// A call succeeded. Returns whether that closed the breaker: a call that began before it opened does not.
    pub fn success(&self, now: Tick, settings: &Settings) -> bool {
        let mut inner = self.lock();
        if inner.opened > 0 {
            if inner.probing {
                *inner = Inner { window_start: now, ..Inner::default() };
                self.publish(&inner);
            }
            return inner.opened == 0;
        }
        inner.roll(now, settings);
        (inner.run, inner.refused) = (0, 0);
        inner.calls = inner.calls.saturating_add(1);
        if inner.limited > Tick::default() && inner.limited <= now {
            inner.limited = Tick::default();
            self.publish(&inner);
        }
        false
    }

    /// A call failed in a way that speaks against the endpoint. Returns whether that opened the breaker from closed.
    pub fn failure(&self, now: Tick, settings: &Settings) -> bool {
        self.failed(false, now, settings)
    }

    /// A call failed as there was no connection. Returns whether that opened the breaker from closed.
    pub fn refused(&self, now: Tick, settings: &Settings) -> bool {
        self.failed(true, now, settings)
    }

    /// The provider takes no calls before `until`. Returns whether it was in rotation until now.
    pub fn limit(&self, until: Tick, now: Tick) -> bool {
        let mut inner = self.lock();
        let was_in = inner.limited <= now;
        inner.limited = inner.limited.max(until);
        self.publish(&inner);
        was_in && inner.limited > now
    }

    fn failed(&self, refused: bool, now: Tick, settings: &Settings) -> bool {
        let mut inner = self.lock();
        let opened = inner.failed(refused, now, settings);
        self.publish(&inner);
        opened
    }

    fn publish(&self, inner: &Inner) {
        // A limit that is over is trouble until the next success: whether it is takes a look at the clock.
        self.troubled.store(inner.opened > 0 || inner.limited > Tick::default(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Plain numbers: a panic elsewhere cannot leave them half written.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn state(&self, now: Tick) -> State {
        if now < self.limited {
            return State::Limited(self.limited);
        }
        match self.opened {
            0 => State::Closed,
            _ if now < self.next_probe => State::Open(self.next_probe),
            _ => State::Probe,
        }
    }

    fn failed(&mut self, refused: bool, now: Tick, settings: &Settings) -> bool {
        self.roll(now, settings);
        self.run = self.run.saturating_add(1);
        self.refused = if refused { self.refused.saturating_add(1) } else { 0 };
        self.calls = self.calls.saturating_add(1);
        self.failures = self.failures.saturating_add(1);
        let was_closed = self.opened == 0;
        let shares = u64::from(self.failures) * 100 >= u64::from(self.calls) * u64::from(settings.share);
        let opens = self.run >= settings.run
            || self.refused >= settings.refused
            || (self.calls >= settings.least && shares);
        // A call that began before the breaker opened must not make the pause longer; a probe does.
        if (was_closed && opens) || self.probing {
            let factor = 2_u32.saturating_pow(self.opened.min(16));
            self.opened = self.opened.saturating_add(1);
            self.probing = false;
            self.next_probe = now.plus(settings.pause.saturating_mul(factor).min(settings.longest));
        }
        was_closed && opens
    }

    fn roll(&mut self, now: Tick, settings: &Settings) {
        if now.since(self.window_start) >= settings.window {
            self.window_start = now;
            self.calls = 0;
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Tick = |seconds| Tick(seconds * 1_000_000_000);

    #[test]
    fn a_run_of_failures_opens_it_and_a_probe_closes_it() {
        let (breaker, settings) = (Breaker::default(), Settings::default());
        for i in 0..4 {
            assert!(!breaker.failure(S(i), &settings));
        }
        assert!(breaker.failure(S(4), &settings), "the fifth opens");
        assert_eq!(breaker.admit(S(5), &settings), State::Open(S(9)));
        assert_eq!(breaker.admit(S(9), &settings), State::Probe);
        assert_eq!(breaker.admit(S(9), &settings), State::Open(S(10)), "one probe at a time");
        assert!(breaker.success(S(9), &settings));
        assert_eq!(breaker.admit(S(9), &settings), State::Closed);
    }

    #[test]
    fn a_failed_probe_doubles_the_pause_up_to_the_limit() {
        let (breaker, settings) = (Breaker::default(), Settings::default());
        for _ in 0..5 {
            breaker.failure(S(0), &settings);
        }
        let mut now = 0;
        for pause in [5, 10, 20, 40, 60, 60] {
            assert_eq!(breaker.state(S(now)), State::Open(S(now + pause)));
            now += pause;
            assert_eq!(breaker.admit(S(now), &settings), State::Probe);
            assert!(!breaker.failure(S(now), &settings), "it was open already");
        }
    }

    #[test]
    fn a_share_of_failures_opens_it_although_others_succeed() {
        let (breaker, settings) = (Breaker::default(), Settings::default());
        let mut opened = false;
        for _ in 0..12 {
            breaker.success(S(1), &settings);
            opened |= breaker.failure(S(1), &settings);
        }
        assert!(opened);
    }

    #[test]
    fn refused_connections_open_it_sooner() {
        let (breaker, settings) = (Breaker::default(), Settings::default());
        assert!(!breaker.refused(S(0), &settings));
        assert!(!breaker.failure(S(0), &settings), "another failure breaks the run");
        assert!(!breaker.refused(S(1), &settings));
        assert!(!breaker.success(S(1), &settings), "and so does a success");
        assert!(!breaker.refused(S(2), &settings) && !breaker.refused(S(2), &settings));
        assert!(breaker.refused(S(2), &settings));
        assert_eq!(breaker.state(S(3)), State::Open(S(7)));
    }

    #[test]
    fn calls_that_began_before_it_opened_neither_close_it_nor_lengthen_its_pause() {
        let (breaker, settings) = (Breaker::default(), Settings::default());
        for _ in 0..5 {
            breaker.failure(S(0), &settings);
        }
        breaker.failure(S(1), &settings);
        assert!(!breaker.success(S(1), &settings));
        assert_eq!(breaker.state(S(2)), State::Open(S(5)));
        assert_eq!(breaker.admit(S(5), &settings), State::Probe);
        assert!(breaker.success(S(5), &settings), "the probe's own");
    }

    #[test]
    fn a_limit_is_kept_to_its_end_and_is_no_failure() {
        let (breaker, settings) = (Breaker::default(), Settings::default());
        assert!(breaker.limit(S(9), S(0)));
        assert!(!breaker.limit(S(7), S(1)), "it is out already, and the later one holds");
        assert_eq!(breaker.admit(S(8), &settings), State::Limited(S(9)));
        assert_eq!(breaker.admit(S(9), &settings), State::Closed);
        assert_eq!(breaker.seen(S(9), &settings).failures, 0);
    }

    #[test]
    fn the_only_endpoint_there_is_closes_its_breaker_with_the_first_good_answer() {
        let (breaker, settings) = (Breaker::default(), Settings::default());
        for _ in 0..5 {
            breaker.failure(S(0), &settings);
        }
        breaker.insist();
        assert!(breaker.success(S(1), &settings));
    }

    #[test]
    fn old_failures_are_forgotten() {
        let (breaker, settings) = (Breaker::default(), Settings::default());
        for minute in 0..30 {
            assert!(!breaker.failure(S(minute * 60), &settings));
            breaker.success(S(minute * 60 + 1), &settings);
        }
    }
}
