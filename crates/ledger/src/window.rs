//! Windows: when spending begins to count anew. A pure function of the time of day, so that every node agrees, and a clock
//! that steps leads into another window but never counts a request twice.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// When spending begins to count anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Sixty minutes from a minute past each hour of UTC.
    Hour {
        /// The minute, 0 to 59.
        #[serde(default)]
        minute: u16,
    },
    /// A day.
    Day(Place),
    /// Seven days.
    Week {
        /// The day that it begins with: 1 is Monday, 7 is Sunday.
        #[serde(default = "one")]
        weekday: u8,
        /// Where, and at which time of day.
        #[serde(flatten)]
        place: Place,
    },
    /// A month.
    Month {
        /// The day that it begins with, 1 to 31; in a shorter month its last day.
        #[serde(default = "one")]
        day: u8,
        /// Where, and at which time of day.
        #[serde(flatten)]
        place: Place,
    },
    /// Three months.
    Quarter {
        /// The month that the first one begins with, 1 to 12.
        #[serde(default = "one")]
        month: u8,
        /// The day, as in a month.
        #[serde(default = "one")]
        day: u8,
        /// Where, and at which time of day.
        #[serde(flatten)]
        place: Place,
    },
    /// A year.
    Year {
        /// The month that it begins with, 1 to 12.
        #[serde(default = "one")]
        month: u8,
        /// The day, as in a month.
        #[serde(default = "one")]
        day: u8,
        /// Where, and at which time of day.
        #[serde(flatten)]
        place: Place,
    },
    /// The hours that lie behind, at any moment. Spending is forgotten by the slot ([`Window::slot_ms`]), never too early.
    Rolling {
        /// How many, 1 to 8784 (a year). A day is 24.
        hours: u32,
    },
    /// All time.
    Lifetime,
}

/// Where a calendar is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The time zone by its IANA name: `UTC`, `Europe/Berlin`.
    pub zone: String,
    /// The minute of the day at which a window begins, 0 to 1439. Where clocks skip it, the window begins as they have
    /// skipped; where they show it twice, it begins at the first.
    pub minute: u16,
}

/// One window: from its start up to but not including its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// What tells windows of one budget apart: the start in Unix milliseconds; 0 for all time; for rolling windows their
    /// length in hours, below zero.
    pub start: i64,
    /// The end in Unix milliseconds; `i64::MAX` where there is none.
    pub end_ms: i64,
}

/// The longest rolling window.
pub const MOST_HOURS: u32 = 8_784;

const HOUR_MS: i64 = 3_600_000;
/// A rolling window is forgotten in so many steps.
const SLOTS: i64 = 60;
const MINUTE_MS: i64 = 60_000;

const fn one() -> u8 {
    1
}

// === impl Window ===

impl Window {
    /// What is wrong with it, in words that complete "window:".
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), String> {
        let day =
            |day: u8| if (1..=31).contains(&day) { Ok(()) } else { Err("day must be 1 to 31".to_owned()) };
        let month =
            |m: u8| if (1..=12).contains(&m) { Ok(()) } else { Err("month must be 1 to 12".to_owned()) };
        match self {
            Self::Hour { minute } if *minute > 59 => Err("minute must be 0 to 59".to_owned()),
            Self::Week { weekday, .. } if !(1..=7).contains(weekday) => {
                Err("weekday must be 1 (Monday) to 7 (Sunday)".to_owned())
            }
            Self::Month { day: d, .. } => day(*d),
            Self::Quarter { month: m, day: d, .. } | Self::Year { month: m, day: d, .. } => {
                month(*m).and_then(|()| day(*d))
            }
            Self::Rolling { hours } if *hours == 0 || *hours > MOST_HOURS => {
                Err(format!("a rolling window has 1 to {MOST_HOURS} hours"))
            }
            _ => Ok(()),
        }?;
        let Some(place) = self.place() else { return Ok(()) };
        if place.minute >= 1_440 {
            return Err("minute must be 0 to 1439".to_owned());
        }
        match zone(&place.zone) {
            Some(_) => Ok(()),
            None => Err(format!("\"{}\" is no IANA time zone; write it as in \"Europe/Berlin\"", place.zone)),
        }
    }

    /// The window that a moment (Unix milliseconds) lies in. A zone that is not known is read as UTC; [`Window::check`]
    /// refuses it before.
    pub fn span(&self, wall_ms: u64) -> Span {
        let at = i64::try_from(wall_ms).unwrap_or(i64::MAX);
        match self {
            Self::Lifetime => Span { start: 0, end_ms: i64::MAX },
            Self::Rolling { hours } => Span { start: -i64::from(*hours), end_ms: i64::MAX },
            Self::Hour { minute } => {
                let anchor = i64::from(*minute) * MINUTE_MS;
                let start = at.saturating_sub(anchor).div_euclid(HOUR_MS) * HOUR_MS + anchor;
                Span { start, end_ms: start.saturating_add(HOUR_MS) }
            }
            Self::Day(place)
            | Self::Week { place, .. }
            | Self::Month { place, .. }
            | Self::Quarter { place, .. }
            | Self::Year { place, .. } => self.calendar(place, at),
        }
    }

    /// The length of a rolling window in milliseconds.
    pub fn rolling_ms(&self) -> Option<i64> {
        match self {
            Self::Rolling { hours } => Some(i64::from(*hours) * HOUR_MS),
            _ => None,
        }
    }

    /// The step by which a rolling window forgets: a sixtieth of it, at least a minute.
    pub fn slot_ms(&self) -> Option<i64> {
        self.rolling_ms().map(|length| (length / SLOTS).max(MINUTE_MS))
    }

    /// What a person calls it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hour { .. } => "hour",
            Self::Day(_) => "day",
            Self::Week { .. } => "week",
            Self::Month { .. } => "month",
            Self::Quarter { .. } => "quarter",
            Self::Year { .. } => "year",
            Self::Rolling { .. } => "rolling",
            Self::Lifetime => "lifetime",
        }
    }

    pub(crate) const fn place(&self) -> Option<&Place> {
        match self {
            Self::Day(place)
            | Self::Week { place, .. }
            | Self::Month { place, .. }
            | Self::Quarter { place, .. }
            | Self::Year { place, .. } => Some(place),
            Self::Hour { .. } | Self::Rolling { .. } | Self::Lifetime => None,
        }
    }

    fn calendar(&self, place: &Place, at: i64) -> Span {
        let zone = zone(&place.zone).unwrap_or(TimeZone::UTC);
        let now = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
        let at = now.as_millisecond();
        let boundary =
            |number: i64| self.first_day(number).map(|day| first_instant(&zone, day, place.minute));
        // The civil date leads to the window or to its neighbour: the time of day and skipped hours decide.
        let mut number = self.number(zone.to_datetime(now).date());
        while let Some(start) = boundary(number)
            && start > at
        {
            number -= 1;
        }
        while let Some(next) = boundary(number + 1)
            && next <= at
        {
            number += 1;
        }
        Span { start: boundary(number).unwrap_or(i64::MIN), end_ms: boundary(number + 1).unwrap_or(i64::MAX) }
    }

    /// The number of a window near a date; consecutive windows have consecutive numbers.
    fn number(&self, date: Date) -> i64 {
        let months = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
        match self {
            Self::Week { weekday, .. } => (days(date) - (i64::from(*weekday) - 1) + 3).div_euclid(7),
            Self::Month { .. } => months,
            Self::Quarter { month, .. } => (months - (i64::from(*month) - 1)).div_euclid(3),
            Self::Year { month, .. } => (months - (i64::from(*month) - 1)).div_euclid(12),
            _ => days(date),
        }
    }

    /// The date that a window of this number begins on; `None` beyond the calendar.
    fn first_day(&self, number: i64) -> Option<Date> {
        let of_month = |months: i64, day: u8| {
            let year = i16::try_from(months.div_euclid(12)).ok()?;
            let month = i8::try_from(months.rem_euclid(12) + 1).ok()?;
            let first = Date::new(year, month, 1).ok()?;
            first.with().day(i8::try_from(day).ok()?.min(first.days_in_month())).build().ok()
        };
        match self {
            Self::Week { weekday, .. } => date(number * 7 - 3 + i64::from(*weekday) - 1),
            Self::Month { day, .. } => of_month(number, *day),
            Self::Quarter { month, day, .. } => of_month(number * 3 + i64::from(*month) - 1, *day),
            Self::Year { month, day, .. } => of_month(number * 12 + i64::from(*month) - 1, *day),
            _ => date(number),
        }
    }
}

/// UTC, at midnight.
impl Default for Place {
    fn default() -> Self {
        Self { zone: "UTC".to_owned(), minute: 0 }
    }
}

// === impl Span ===

impl Span {
    /// Whether a moment (Unix milliseconds) lies in it. Rolling windows and all time hold every moment.
    pub fn holds(&self, wall_ms: u64) -> bool {
        i64::try_from(wall_ms).is_ok_and(|at| self.start <= at && at < self.end_ms)
    }

    /// When it ends, in Unix milliseconds; `None` for rolling windows and all time.
    pub fn resets_ms(&self) -> Option<u64> {
        (self.end_ms != i64::MAX).then(|| self.end_ms.cast_unsigned())
    }
}

// === calendar ===

/// The bundled data of time zones: the same on every machine.
fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    TimeZoneDatabase::bundled().get(name).ok()
}

/// Days since 1970-01-01.
fn days(date: Date) -> i64 {
    const EPOCH: Date = Date::constant(1970, 1, 1);
    i64::from(EPOCH.until(date).map_or(0, |span| span.get_days()))
}

fn date(days: i64) -> Option<Date> {
    Timestamp::from_second(days.checked_mul(86_400)?).ok().map(|at| TimeZone::UTC.to_datetime(at).date())
}

/// The first moment at which clocks show a minute of a date or later, in Unix milliseconds.
fn first_instant(zone: &TimeZone, day: Date, minute: u16) -> i64 {
    let (hour, minute) = (minute / 60, minute % 60);
    let civil: DateTime = day.at(i8::try_from(hour).unwrap_or(23), i8::try_from(minute).unwrap_or(59), 0, 0);
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let at = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil),
        // The offset behind the gap leads to a moment before it; the next transition is its end.
        AmbiguousOffset::Gap { after, .. } => after
            .to_timestamp(civil)
            .map(|before| zone.following(before).next().map_or(before, |transition| transition.timestamp())),
    };
    at.map_or(i64::MAX, Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests;
