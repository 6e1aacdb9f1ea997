//! How long an endpoint usually takes to its first content: what a hedge waits for.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::allowance::Allowance;
use crate::route::Hedge;

/// Times to the first content of one endpoint, as a histogram that forgets: four steps to an octave from 1 ms to 65 s.
#[derive(Debug)]
pub struct Tempo {
    steps: [AtomicU32; STEPS],
    count: AtomicU32,
    /// Second attempts that hedges may make.
    pub hedges: Allowance,
}

const STEPS: usize = 64;
/// The whole is halved when it holds so many: what is older counts less and less.
const HALVED_AT: u32 = 1_024;
/// Below so many nothing is known.
const LEAST: u32 = 20;
/// What is usual: the time that 900 of 1,000 calls keep to, and a quarter more. In a distribution with one hump that is
/// near its 95th percentile; and where one call in twenty is slow, the 95th percentile itself would fall among the slow
/// ones every other time.
const AWAITED: u64 = 900;
/// Hedges for a thousand calls, and how many at once.
const HEDGES: (u64, u64) = (80, 5);

// === impl Tempo ===

impl Default for Tempo {
    fn default() -> Self {
        Self {
            steps: [const { AtomicU32::new(0) }; STEPS],
            count: AtomicU32::new(0),
            hedges: Allowance::new(HEDGES.0, HEDGES.1),
        }
    }
}

impl Tempo {
    /// The first content came after this time, or had not come by then: both count as so slow.
    pub fn took(&self, time: Duration) {
        if let Some(step) = self.steps.get(step_of(time)) {
            step.fetch_add(1, Ordering::Relaxed);
        }
        // Whoever reaches the limit halves; counts that come in between are lost, which moves no quantile.
        if self.count.fetch_add(1, Ordering::Relaxed) + 1 == HALVED_AT {
            let mut left = 0;
            for step in &self.steps {
                let half = step.load(Ordering::Relaxed) / 2;
                step.store(half, Ordering::Relaxed);
                left += half;
            }
            self.count.store(left, Ordering::Relaxed);
        }
    }

    /// How long nearly all calls take at most; `None` while too few are known.
    pub fn usual(&self) -> Option<Duration> {
        self.quantile(AWAITED).map(|time| time + time / 4)
    }

    /// The time that so many calls of a thousand keep to, rounded up to its step; `None` while too few are known.
    pub fn quantile(&self, of_thousand: u64) -> Option<Duration> {
        let counts: Vec<u64> =
            self.steps.iter().map(|step| u64::from(step.load(Ordering::Relaxed))).collect();
        let all: u64 = counts.iter().sum();
        if all < u64::from(LEAST) {
            return None;
        }
        let mut below = 0;
        let at = counts.iter().position(|count| {
            below += count;
            below * 1_000 >= all * of_thousand
        });
        at.map(end_of)
    }

    /// How long a first attempt is awaited before a second begins; `None`: there is no second one.
    pub fn delay(&self, hedge: Hedge) -> Option<Duration> {
        match hedge {
            Hedge::Off => None,
            Hedge::After(time) => Some(time),
            Hedge::P95 => self.usual(),
        }
    }
}

/// The end of the step in which a time falls is the first that is not below it.
fn step_of(time: Duration) -> usize {
    (0..STEPS - 1).find(|step| time <= end_of(*step)).unwrap_or(STEPS - 1)
}

/// 1 ms × 2^(step/4), in whole microseconds.
fn end_of(step: usize) -> Duration {
    const QUARTERS: [u64; 4] = [1_000, 1_189, 1_414, 1_682];
    Duration::from_micros(QUARTERS[step % 4] << (step / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn steps_go_up_and_hold_their_times() {
        assert!((1..STEPS).all(|step| end_of(step) > end_of(step - 1)));
        assert_eq!((step_of(MS(0)), step_of(MS(1)), step_of(MS(2))), (0, 0, 4));
        assert_eq!(step_of(Duration::from_secs(1_000)), STEPS - 1);
    }

    #[test]
    fn nothing_is_said_of_an_endpoint_that_is_hardly_known() {
        let tempo = Tempo::default();
        (0..19).for_each(|_| tempo.took(MS(40)));
        assert_eq!(tempo.delay(Hedge::P95), None);
        assert_eq!(tempo.delay(Hedge::After(MS(7))), Some(MS(7)));
        assert_eq!(tempo.delay(Hedge::Off), None);
    }

    #[test]
    fn a_slow_tail_of_a_twentieth_is_beyond_what_is_usual() {
        let tempo = Tempo::default();
        for call in 0..5_000_u64 {
            tempo.took(if call % 20 == 0 { MS(1_000) } else { MS(40 + call % 10) });
        }
        let usual = tempo.usual().unwrap();
        assert!(usual >= MS(53) && usual <= MS(68), "{usual:?}");
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let tempo = Tempo::default();
        (0..2_000).for_each(|_| tempo.took(MS(2_000)));
        (0..10_000).for_each(|_| tempo.took(MS(10)));
        assert!(tempo.usual().unwrap() < MS(15));
    }
}
