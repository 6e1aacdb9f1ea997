//! Moments and spans of time as people write and read them. Everything is UTC.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// A moment in an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// So many milliseconds away from now; in which direction, the argument knows.
    Away(u64),
    /// At these Unix milliseconds.
    At(u64),
}

impl Moment {
    /// Reads a span (`90s`, `1h`, `30d`), a day (`2027-01-31`, its beginning), or a day and a time.
    ///
    /// # Errors
    /// What is accepted.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let at = |timestamp: Timestamp| u64::try_from(timestamp.as_millisecond()).ok().map(Self::At);
        let utc = |time: DateTime| time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
        span(text)
            .map(Self::Away)
            .or_else(|| text.parse().ok().and_then(at))
            .or_else(|| text.parse().ok().and_then(utc).and_then(at))
            .ok_or_else(|| {
                "write a span such as 90s, 1h or 30d, or a time such as 2027-01-31 or 2027-01-31T18:00Z"
                    .into()
            })
    }

    /// The moment in Unix milliseconds, where a span reaches into the past.
    pub(crate) fn past(self, now_ms: u64) -> u64 {
        match self {
            Self::Away(span) => now_ms.saturating_sub(span),
            Self::At(at) => at,
        }
    }

    /// The moment in Unix milliseconds, where a span reaches into the future.
    pub(crate) fn coming(self, now_ms: u64) -> u64 {
        match self {
            Self::Away(span) => now_ms.saturating_add(span),
            Self::At(at) => at,
        }
    }
}

/// Milliseconds of a span that is not negative. A day has 24 hours; months and years have no length.
fn span(text: &str) -> Option<u64> {
    let span: Span = text.parse().ok()?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    u64::try_from(length.as_millis()).ok()
}

/// A moment to the millisecond: `2027-01-31 18:00:00.000`.
pub(crate) fn exactly(wall_ms: u64) -> String {
    format(wall_ms, "%Y-%m-%d %H:%M:%S%.3f")
}

/// A moment to the minute: `2027-01-31 18:00`.
pub(crate) fn to_the_minute(wall_ms: u64) -> String {
    format(wall_ms, "%Y-%m-%d %H:%M")
}

fn format(wall_ms: u64, form: &str) -> String {
    let timestamp = i64::try_from(wall_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    timestamp
        .map_or_else(|| "after the year 9999".to_owned(), |timestamp| timestamp.strftime(form).to_string())
}

/// A span in the unit that suits it: `41 µs`, `3.2 ms`, `310 ms`, `1.20 s`.
pub(crate) fn spell_us(us: u32) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", f64::from(us) / 1e3),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{:.2} s", f64::from(us) / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    #[test]
    fn spans_and_times_are_read() {
        for (text, moment) in [
            ("250ms", Moment::Away(250)),
            ("1h", Moment::Away(3_600_000)),
            ("5m", Moment::Away(300_000)),
            ("30d", Moment::Away(30 * DAY)),
            ("2w", Moment::Away(14 * DAY)),
            ("1970-01-02", Moment::At(DAY)),
            ("1970-01-02T01:00", Moment::At(DAY + 3_600_000)),
            ("1970-01-02T01:00Z", Moment::At(DAY + 3_600_000)),
            ("1970-01-02T01:00:00+01:00", Moment::At(DAY)),
        ] {
            assert_eq!(Moment::read(text), Ok(moment), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "soon", "-1h", "1h ago", "1 year", "5", "1960-01-01", "2027-13-01"] {
            assert!(Moment::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_span_reaches_both_ways() {
        assert_eq!(Moment::Away(10).past(100), 90);
        assert_eq!(Moment::Away(10).coming(100), 110);
        assert_eq!((Moment::At(7).past(100), Moment::At(7).coming(100)), (7, 7));
    }

    #[test]
    fn moments_and_spans_are_spelled() {
        assert_eq!(exactly(DAY + 1), "1970-01-02 00:00:00.001");
        assert_eq!(to_the_minute(DAY), "1970-01-02 00:00");
        assert_eq!(to_the_minute(u64::MAX), "after the year 9999");
        let spelled = [41, 3_240, 310_999, 1_204_311].map(spell_us);
        assert_eq!(spelled, ["41 µs", "3.2 ms", "310 ms", "1.20 s"]);
    }
}
