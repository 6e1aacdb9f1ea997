//! When a limit will be hit, if spending goes on as it did.

use lockgate_core::Money;

/// What was spent on an account at some moments.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// Unix milliseconds and nano-dollars, in order of time.
    points: Vec<(u64, i64)>,
}

/// The most moments that are kept. More are thinned out, the older ones first.
const MOST: usize = 48;
/// Fewer say nothing.
const FEWEST: usize = 4;
const HOUR_MS: i128 = 3_600_000;

// === impl Trail ===

impl Trail {
    /// Notes what was spent at a moment. One before the last, or with less spent (a window that began anew, or a correction),
    /// begins the trail anew.
    pub fn note(&mut self, wall_ms: u64, spent: Money) {
        match self.points.last() {
            Some((at, _)) if *at == wall_ms => return,
            Some((at, before)) if *at > wall_ms || *before > spent.nanos() => self.points.clear(),
            _ => {}
        }
        if self.points.len() >= MOST {
            // Every other point of the older half goes: the trail reaches back far and is fine at its end.
            let mut place = 0;
            self.points.retain(|_| {
                place += 1;
                place > MOST / 2 || place % 2 == 1
            });
        }
        self.points.push((wall_ms, spent.nanos()));
    }

    /// Spending by the hour: the median of the rates between neighbouring moments, each weighed by its time. A burst, or an
    /// hour without anything, does not move it. `None` when too little is known.
    pub fn per_hour(&self) -> Option<Money> {
        if self.points.len() < FEWEST {
            return None;
        }
        let mut rates: Vec<(i128, u64)> = self
            .points
            .array_windows()
            .map(|[(from, a), (to, b)]| {
                let time = to - from;
                ((i128::from(*b) - i128::from(*a)) * HOUR_MS / i128::from(time.max(1)), time)
            })
            .collect();
        rates.sort_unstable();
        let half = rates.iter().map(|(_, time)| u128::from(*time)).sum::<u128>() / 2;
        let mut passed = 0_u128;
        let median = rates.iter().find(|(_, time)| {
            passed += u128::from(*time);
            passed > half
        });
        median.map(|(rate, _)| Money::from_nanos(i64::try_from(*rate).unwrap_or(i64::MAX)))
    }

    /// When `limit` will be reached, in Unix milliseconds, if that is before `end_ms`; the last moment if it is reached already.
    pub fn hits(&self, limit: Money, end_ms: u64) -> Option<u64> {
        let (at, spent) = *self.points.last()?;
        let rest = i128::from(limit.nanos()) - i128::from(spent);
        if rest <= 0 {
            return Some(at);
        }
        let rate = i128::from(self.per_hour()?.nanos());
        if rate <= 0 {
            return None;
        }
        let hit = at.checked_add(u64::try_from(rest * HOUR_MS / rate).ok()?)?;
        (hit < end_ms).then_some(hit)
    }
}

/// When `limit` will be reached, in Unix milliseconds, if spending goes on as it did on average since a window began and that is
/// before `end_ms`; now if it is reached already.
pub fn by_average((began_ms, now_ms): (u64, u64), spent: Money, limit: Money, end_ms: u64) -> Option<u64> {
    let rest = i128::from(limit.nanos()) - i128::from(spent.nanos());
    if rest <= 0 {
        return Some(now_ms);
    }
    let took = i128::from(now_ms.checked_sub(began_ms)?);
    let wait = (rest * took).checked_div(i128::from(spent.nanos())).filter(|wait| *wait >= 0)?;
    let hit = now_ms.checked_add(u64::try_from(wait).ok()?)?;
    (hit < end_ms).then_some(hit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn trail(spent: impl Fn(u64) -> i64, minutes: u64) -> Trail {
        let mut trail = Trail::default();
        for minute in 0..minutes {
            trail.note(minute * MINUTE, Money::from_nanos(spent(minute)));
        }
        trail
    }

    #[test]
    fn steady_spending_hits_the_limit_when_it_does() {
        let trail = trail(|minute| minute as i64 * 10, 11);
        assert_eq!(trail.per_hour(), Some(Money::from_nanos(600)));
        assert_eq!(trail.hits(Money::from_nanos(200), u64::MAX), Some(20 * MINUTE));
        assert_eq!(trail.hits(Money::from_nanos(200), 20 * MINUTE), None, "the window ends before");
        assert_eq!(trail.hits(Money::from_nanos(100), u64::MAX), Some(10 * MINUTE), "it is hit");
    }

    #[test]
    fn the_average_of_a_window_says_when() {
        let limit = Money::from_nanos(100);
        let hits = |spent, end| by_average((1_000, 2_000), Money::from_nanos(spent), limit, end);
        assert_eq!(hits(50, u64::MAX), Some(3_000));
        assert_eq!(hits(50, 3_000), None, "the window ends before");
        assert_eq!((hits(100, 9_000), hits(120, 9_000)), (Some(2_000), Some(2_000)), "it is hit");
        assert_eq!(hits(0, u64::MAX), None, "nothing is spent");
    }

    #[test]
    fn a_burst_does_not_move_the_rate() {
        let steady = trail(|minute| minute as i64 * 10, 200).per_hour();
        let burst =
            trail(|minute| minute as i64 * 10 + if minute > 150 { 1_000_000 } else { 0 }, 200).per_hour();
        assert_eq!(steady, burst);
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(trail(|minute| minute as i64, 3).per_hour(), None);
        assert_eq!(Trail::default().hits(Money::ZERO, u64::MAX), None);
        assert_eq!(trail(|_| 5, 100).hits(Money::from_nanos(6), u64::MAX), None, "nothing is spent");
    }

    #[test]
    fn a_new_window_begins_anew() {
        let mut trail = trail(|minute| minute as i64 * 10, 20);
        trail.note(30 * MINUTE, Money::ZERO);
        assert_eq!(trail.per_hour(), None);
    }
}
