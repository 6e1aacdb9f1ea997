//! Points in time: RFC 3339 in UTC, to the second.

/// Unix seconds of `2026-04-02T17:03:50.399550Z`; `None` for what is written otherwise.
pub(in super::super) fn from_text(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let plausible = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61
        && text.ends_with('Z');
    // Days since the first of March of the year 0, in months that begin with March (H. Hinnant, "chrono-compatible
    // low-level date algorithms").
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + of_year;
    plausible.then(|| (days - EPOCH) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The same the other way.
pub(in super::super) fn to_text(seconds: u64) -> String {
    // The year 9999 ends the form.
    let seconds = seconds.min(253_402_300_799);
    let (days, rest) = (seconds / 86_400 + EPOCH, seconds % 86_400);
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = year_of_era + era * 400 + u64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The first of January 1970 in days since the first of March of the year 0.
const EPOCH: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        assert_eq!(from_text("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(from_text("2024-02-29T12:34:56.399550Z"), Some(1_709_210_096));
        assert_eq!(to_text(1_709_210_096), "2024-02-29T12:34:56Z");
        for text in ["", "2024-13-01T00:00:00Z", "2024-02-29T12:34:56+02:00", "yesterday, at noon, in Rome"] {
            assert_eq!(from_text(text), None);
        }
        for day in 0..40_000 {
            assert_eq!(from_text(&to_text(day * 86_400 + 1)), Some(day * 86_400 + 1));
        }
    }
}
