//! When an endpoint leaves rotation, and how it returns.
//!
//! Closed: all calls pass; failures are counted. It opens after a run of failures, or when too large a share of the
//! calls in a window failed. Open: no call passes until a pause is over. Half open: one call a second passes as a probe;
//! a success closes it, a failure opens it again for twice as long, up to a limit.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lockgate_core::Tick;

/// The health of one endpoint. All methods are a few instructions under an uncontended lock.
#[derive(Debug, Default)]
pub struct Breaker {
    inner: Mutex<Inner>,
}

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Opens after so many failures in a row.
    pub run: u32,
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
}

#[derive(Clone, Copy, Debug, Default)]
struct Inner {
    run: u32,
    window_start: Tick,
    calls: u32,
    failures: u32,
    /// How often it opened since it was last closed; 0 when closed.
    opened: u32,
    /// From when on a probe may pass.
    next_probe: Tick,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            run: 5,
            share: 50,
            least: 20,
            window: Duration::from_secs(30),
            pause: Duration::from_secs(5),
            longest: Duration::from_secs(60),
            probe_every: Duration::from_secs(1),
        }
    }
}

// === impl Breaker ===

impl Breaker {
    /// Whether a call may pass now. A [`State::Probe`] is handed out once for each interval.
    pub fn admit(&self, now: Tick, settings: &Settings) -> State {
        let mut inner = self.lock();
        if inner.opened == 0 {
            return State::Closed;
        }
        if now < inner.next_probe {
            return State::Open(inner.next_probe);
        }
        inner.next_probe = now.plus(settings.probe_every);
        State::Probe
    }

    /// What a call would be told now, without taking a probe.
    pub fn state(&self, now: Tick) -> State {
        let inner = self.lock();
        match inner.opened {
            0 => State::Closed,
            _ if now < inner.next_probe => State::Open(inner.next_probe),
            _ => State::Probe,
        }
    }

    /// A call succeeded. Returns whether that closed the breaker.
    pub fn success(&self, now: Tick, settings: &Settings) -> bool {
        let mut inner = self.lock();
        if inner.opened > 0 {
            *inner = Inner { window_start: now, ..Inner::default() };
            return true;
        }
        inner.roll(now, settings);
        inner.run = 0;
        inner.calls = inner.calls.saturating_add(1);
        false
    }

    /// A call failed in a way that speaks against the endpoint. Returns whether that opened the breaker from closed.
    pub fn failure(&self, now: Tick, settings: &Settings) -> bool {
        let mut inner = self.lock();
        inner.roll(now, settings);
        inner.run = inner.run.saturating_add(1);
        inner.calls = inner.calls.saturating_add(1);
        inner.failures = inner.failures.saturating_add(1);
        let was_closed = inner.opened == 0;
        let shares = u64::from(inner.failures) * 100 >= u64::from(inner.calls) * u64::from(settings.share);
        let opens = inner.run >= settings.run || (inner.calls >= settings.least && shares);
        if !was_closed || opens {
            let factor = 2_u32.saturating_pow(inner.opened.min(16));
            inner.opened = inner.opened.saturating_add(1);
            inner.next_probe = now.plus(settings.pause.saturating_mul(factor).min(settings.longest));
        }
        was_closed && opens
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Plain numbers: a panic elsewhere cannot leave them half written.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
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
    fn old_failures_are_forgotten() {
        let (breaker, settings) = (Breaker::default(), Settings::default());
        for minute in 0..30 {
            assert!(!breaker.failure(S(minute * 60), &settings));
            breaker.success(S(minute * 60 + 1), &settings);
        }
    }
}
