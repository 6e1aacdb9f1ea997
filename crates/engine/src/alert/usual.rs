//! What is usually spent in an hour, and when an hour is far above it.
//!
//! An hour is unusual when its modified z-score is above 3.5: `0.6745 × (x − median) / MAD`, where MAD is the median of the
//! distances from the median. The score and its bound are those of Iglewicz and Hoaglin, *How to Detect and Handle Outliers*,
//! ASQC 1993. Median and MAD are not moved by the few hours that were unusual themselves. Spending is often the same for
//! hours and its MAD then near zero, so a MAD below a tenth of the median counts as that, and an hour must also be at least twice the
//! median and at least the floor of the config.

use std::collections::VecDeque;

use lockgate_core::Money;

/// What was spent in the hours of the last two weeks, of one budget or of all requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Usual {
    /// Whole hours, the oldest first, in nano-dollars.
    hours: VecDeque<i64>,
    /// The number of the hour under way since 1970, and what was spent in it so far.
    hour: Option<u64>,
    spent: i64,
    /// Whether the hour under way was seen from its beginning.
    whole: bool,
    /// The sum at the last look.
    last: Option<Money>,
}

/// Hours that are remembered: two weeks.
const MOST: usize = 14 * 24;
/// Fewer say nothing.
const FEWEST: usize = 24;
pub(super) const HOUR_MS: u64 = 3_600_000;

// === impl Usual ===

impl Usual {
    /// Notes how a sum stands. One below the last began anew, as that of a budget with its window. The first is where counting begins.
    pub(super) fn note(&mut self, now_ms: u64, sum: Money) {
        let hour = now_ms / HOUR_MS;
        let grown = match self.last.replace(sum) {
            None => 0,
            Some(last) if sum < last => sum.nanos(),
            Some(last) => sum.nanos().saturating_sub(last.nanos()),
        };
        match self.hour {
            Some(current) if current >= hour => {}
            Some(current) => {
                self.close(hour - current);
                (self.hour, self.spent, self.whole) = (Some(hour), 0, true);
            }
            None => self.hour = Some(hour),
        }
        self.spent = self.spent.saturating_add(grown.max(0));
    }

    /// The hour under way is over, and so many began since.
    fn close(&mut self, passed: u64) {
        if self.whole {
            self.hours.push_back(self.spent);
        }
        let idle = usize::try_from(passed - 1).unwrap_or(MOST).min(MOST);
        self.hours.extend(std::iter::repeat_n(0, idle));
        let surplus = self.hours.len().saturating_sub(MOST);
        self.hours.drain(..surplus);
    }

    /// What was spent in this hour so far and what is usual in one, when it is far above that and above `floor`.
    pub(super) fn is_exceeded(&self, floor: Money) -> Option<(Money, Money)> {
        if self.hours.len() < FEWEST {
            return None;
        }
        let usual = median(self.hours.iter().map(|hour| i128::from(*hour)));
        let distance = median(self.hours.iter().map(|hour| (i128::from(*hour) - usual).abs()));
        let distance = distance.max(usual / 10);
        let spent = i128::from(self.spent);
        let far = 6_745 * (spent - usual) > 35_000 * distance && spent >= 2 * usual;
        let usual = Money::from_nanos(i64::try_from(usual).unwrap_or(i64::MAX));
        (far && self.spent >= floor.nanos().max(1)).then_some((Money::from_nanos(self.spent), usual))
    }

    /// How many hours are known.
    pub(super) fn hours(&self) -> usize {
        self.hours.len()
    }
}

/// The middle one; of an even number the lower of the two.
fn median(values: impl Iterator<Item = i128>) -> i128 {
    let mut values: Vec<i128> = values.collect();
    let middle = values.len().saturating_sub(1) / 2;
    if values.is_empty() {
        return 0;
    }
    *values.select_nth_unstable(middle).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dollars(cents: i64) -> Money {
        Money::from_nanos(cents * 10_000_000)
    }

    /// Hours with these cents, seen once at the end of each; what the last hour is said to be.
    fn after(hours: &[i64], floor: i64) -> Option<(Money, Money)> {
        let mut usual = Usual::default();
        let mut sum = 0;
        usual.note(0, Money::ZERO);
        for (hour, cents) in (1..).zip(hours) {
            usual.note(hour * HOUR_MS, dollars(sum));
            sum += cents;
            usual.note(hour * HOUR_MS + HOUR_MS - 1, dollars(sum));
        }
        usual.is_exceeded(dollars(floor))
    }

    #[test]
    fn an_hour_far_above_the_usual_is_told() {
        let mut hours: Vec<i64> = (0..48).map(|hour| 100 + hour % 7 * 5).collect();
        hours.push(120);
        assert_eq!(after(&hours, 0), None, "as usual");
        hours.push(500);
        assert_eq!(after(&hours, 0), Some((dollars(500), dollars(115))));
        assert_eq!(after(&hours, 501), None, "below the floor");
    }

    #[test]
    fn one_unusual_hour_does_not_make_the_next_usual() {
        let mut hours = vec![100; 30];
        hours.extend([5_000, 5_000, 5_000]);
        assert!(after(&hours, 0).is_some());
    }

    #[test]
    fn where_nothing_is_usual_the_floor_decides() {
        let mut hours = vec![0; 30];
        hours.push(99);
        assert_eq!(after(&hours, 100), None);
        hours.push(100);
        assert_eq!(after(&hours, 100), Some((dollars(100), Money::ZERO)));
    }

    #[test]
    fn less_than_a_day_says_nothing() {
        let mut hours = vec![1; 23];
        hours.push(1_000_000);
        assert_eq!(after(&hours, 0), None);
    }

    #[test]
    fn a_window_that_begins_anew_is_no_spending() {
        let mut usual = Usual::default();
        for hour in 0..40 {
            usual.note(hour * HOUR_MS, dollars(hour as i64 * 10));
        }
        usual.note(40 * HOUR_MS, dollars(3));
        assert_eq!(usual.is_exceeded(Money::ZERO), None);
        assert_eq!(usual.spent, dollars(3).nanos());
    }

    #[test]
    fn a_clock_that_jumps_years_ahead_costs_no_memory() {
        let mut usual = Usual::default();
        usual.note(0, Money::ZERO);
        usual.note(u64::MAX, dollars(1));
        assert_eq!(usual.hours(), MOST);
    }
}
