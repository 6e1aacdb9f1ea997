//! Windows against an independent calculation: days counted by arithmetic, zones by the rules of their laws.

use proptest::prelude::*;

use super::*;

const DAY_MS: i64 = 86_400_000;

/// A zone as its law says: standard offset in minutes, and when an hour is added.
#[derive(Clone, Copy, Debug)]
enum Law {
    Fixed(i64),
    /// From the last Sunday of March to the last of October, both at 01:00 UTC (Directive 2000/84/EC).
    Europe(i64),
    /// From the second Sunday of March to the first of November, both at 02:00 by the clock (Energy Policy Act of 2005).
    America(i64),
    /// From the first Sunday of October to the first of April, both at 02:00 standard time (New South Wales, since 2008).
    Sydney(i64),
}

const ZONES: [(&str, Law); 6] = [
    ("UTC", Law::Fixed(0)),
    ("Asia/Kolkata", Law::Fixed(330)),
    ("Europe/Berlin", Law::Europe(60)),
    ("Europe/London", Law::Europe(0)),
    ("America/New_York", Law::America(-300)),
    ("Australia/Sydney", Law::Sydney(600)),
];

/// Days since 1970-01-01 of a date of the Gregorian calendar, counted year by year and month by month.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let years: i64 = (1970..year).map(|y| 365 + i64::from(leap(y))).sum();
    years + (1..month).map(|m| month_length(year, m)).sum::<i64>() + day - 1
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// 0 is Monday; 1970-01-01 was a Thursday.
fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// The n-th Sunday of a month; from the end where `n` is 0.
fn sunday(year: i64, month: i64, n: i64) -> i64 {
    if n == 0 {
        let last = day_number(year, month, month_length(year, month));
        return last - (weekday(last) + 1) % 7;
    }
    let first = day_number(year, month, 1);
    first + (6 - weekday(first)) + 7 * (n - 1)
}

impl Law {
    /// Minutes that clocks are ahead of UTC at a moment.
    fn offset(self, at_ms: i64) -> i64 {
        // No year has more than 366 days.
        let guess = 1970 + at_ms / (366 * DAY_MS);
        let year = (guess..).find(|y| day_number(y + 1, 1, 1) * DAY_MS > at_ms).unwrap();
        let moment = |day: i64, minute: i64| day * DAY_MS + minute * 60_000;
        match self {
            Self::Fixed(offset) => offset,
            Self::Europe(offset) => {
                let (on, off) = (moment(sunday(year, 3, 0), 60), moment(sunday(year, 10, 0), 60));
                offset + 60 * i64::from(on <= at_ms && at_ms < off)
            }
            Self::America(offset) => {
                let on = moment(sunday(year, 3, 2), 120 - offset);
                let off = moment(sunday(year, 11, 1), 120 - offset - 60);
                offset + 60 * i64::from(on <= at_ms && at_ms < off)
            }
            Self::Sydney(offset) => {
                let on = moment(sunday(year, 10, 1), 120 - offset);
                let off = moment(sunday(year, 4, 1), 120 - offset);
                offset + 60 * i64::from(at_ms < off || on <= at_ms)
            }
        }
    }

    /// The first moment at which clocks show this minute of this day or later: found by trying every quarter of an hour around.
    fn first_instant(self, day: i64, minute: i64) -> i64 {
        let civil = day * DAY_MS + minute * 60_000;
        let shown = |at: i64| at + self.offset(at) * 60_000;
        let mut at = civil - 15 * 3_600_000;
        // Clocks do not show the minute yet; the first step that does is near.
        while shown(at) < civil {
            at += 900_000;
        }
        // Back by minutes to the first that does.
        while shown(at - 60_000) >= civil {
            at -= 60_000;
        }
        at
    }
}

/// The first days of windows around a day, in order.
fn first_days(window: &Window, around: i64) -> Vec<i64> {
    let days = around - 800..around + 800;
    let clamped = |y: i64, m: i64, d: u8| day_number(y, m, i64::from(d).min(month_length(y, m)));
    let year = 1970 + around / 366;
    let months = (year - 3..year + 6).flat_map(|y| (1..=12).map(move |m| (y.max(1970), m)));
    let mut found: Vec<i64> = match window {
        Window::Day(_) => days.collect(),
        Window::Week { weekday: first, .. } => {
            days.filter(|d| weekday(*d) + 1 == i64::from(*first)).collect()
        }
        Window::Month { day, .. } => months.map(|(y, m)| clamped(y, m, *day)).collect(),
        Window::Quarter { month, day, .. } => {
            let fits = |m: i64| (m - i64::from(*month)).rem_euclid(3) == 0;
            months.filter(|(_, m)| fits(*m)).map(|(y, m)| clamped(y, m, *day)).collect()
        }
        Window::Year { month, day, .. } => {
            months.filter(|(_, m)| *m == i64::from(*month)).map(|(y, m)| clamped(y, m, *day)).collect()
        }
        _ => unreachable!("no calendar"),
    };
    found.sort_unstable();
    found.dedup();
    found
}

fn any_window() -> impl Strategy<Value = (Window, Law)> {
    let minute = prop_oneof![2 => Just(0_u16), 2 => 60_u16..240, 1 => 0_u16..1_440];
    let place = (prop::sample::select(&ZONES[..]), minute)
        .prop_map(|((zone, law), minute)| (Place { zone: zone.to_owned(), minute }, law));
    (0..5_u8, place, 1_u8..=7, 1_u8..=12, 1_u8..=31).prop_map(|(unit, (place, law), weekday, month, day)| {
        let window = match unit {
            0 => Window::Day(place),
            1 => Window::Week { weekday, place },
            2 => Window::Month { day, place },
            3 => Window::Quarter { month, day, place },
            _ => Window::Year { month, day, place },
        };
        (window, law)
    })
}

/// Moments from 2008 to 2037, near changes of clocks more often than not.
fn any_moment() -> impl Strategy<Value = i64> {
    let any = day_number(2009, 1, 1) * DAY_MS..day_number(2036, 1, 1) * DAY_MS;
    let near = (2009_i64..2036, prop::sample::select(vec![3_i64, 4, 10, 11]), 0_i64..3, -DAY_MS..2 * DAY_MS)
        .prop_map(|(y, m, n, off)| sunday(y, m, n) * DAY_MS + off);
    prop_oneof![1 => any, 2 => near]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn windows_are_what_an_independent_calculation_says((window, law) in any_window(), at in any_moment()) {
        let minute = i64::from(window.place().unwrap().minute);
        let days = first_days(&window, at / DAY_MS);
        let near = days.iter().position(|day| *day > at / DAY_MS).unwrap();
        let starts: Vec<i64> =
            days[near.saturating_sub(3)..near + 3].iter().map(|day| law.first_instant(*day, minute)).collect();
        let start = starts.iter().rev().find(|start| **start <= at).copied();
        let end = starts.iter().find(|start| **start > at).copied();
        let span = window.span(at.cast_unsigned());
        prop_assert_eq!((Some(span.start), Some(span.end_ms)), (start, end));
    }

    #[test]
    fn every_moment_lies_in_one_window_whatever_way_the_clock_steps(
        (window, _) in any_window(), at in any_moment(), step in -40 * DAY_MS..40 * DAY_MS
    ) {
        let span = window.span(at.cast_unsigned());
        prop_assert!(span.holds(at.cast_unsigned()));
        prop_assert_eq!(window.span(span.start.cast_unsigned()), span);
        prop_assert_eq!(window.span((span.end_ms - 1).cast_unsigned()), span);
        prop_assert_eq!(window.span(span.end_ms.cast_unsigned()).start, span.end_ms, "the next one begins where it ends");
        // A clock that steps away and back comes back to the same window.
        let away = (at + step).cast_unsigned();
        prop_assert_eq!(window.span(away) == span, span.holds(away));
        prop_assert_eq!(window.span(at.cast_unsigned()), span);
    }

    #[test]
    fn no_moment_is_too_far(window in any_window(), at: u64) {
        let span = window.0.span(at);
        prop_assert!(span.start < span.end_ms);
    }
}

fn text(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap().to_string()
}

fn spans(window: &Window, at: &str) -> (String, String) {
    let at: Timestamp = at.parse().unwrap();
    let span = window.span(at.as_millisecond().cast_unsigned());
    (text(span.start), text(span.end_ms))
}

fn berlin(minute: u16) -> Place {
    Place { zone: "Europe/Berlin".to_owned(), minute }
}

#[test]
fn days_with_a_change_of_clocks_have_23_and_25_hours() {
    let check = |at, start: &str, end: &str| {
        assert_eq!(spans(&Window::Day(berlin(0)), at), (start.to_owned(), end.to_owned()));
    };
    check("2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    check("2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    // 02:30 is skipped in March, and shown twice in October.
    let at = |time| spans(&Window::Day(berlin(150)), time).0;
    assert_eq!(at("2026-03-29T02:00:00Z"), "2026-03-29T01:00:00Z");
    assert_eq!(at("2026-10-25T01:45:00Z"), "2026-10-25T00:30:00Z");
}

#[test]
fn months_begin_on_their_last_day_where_they_are_too_short() {
    let month = Window::Month { day: 31, place: Place::default() };
    let check = |at, start: &str, end: &str| {
        assert_eq!(spans(&month, at), (format!("{start}T00:00:00Z"), format!("{end}T00:00:00Z")));
    };
    check("2027-02-27T23:59:59Z", "2027-01-31", "2027-02-28");
    check("2027-02-28T00:00:00Z", "2027-02-28", "2027-03-31");
    check("2028-02-29T00:00:00Z", "2028-02-29", "2028-03-31");
    check("2027-04-30T05:00:00Z", "2027-04-30", "2027-05-31");
}

#[test]
fn hours_begin_at_their_minute() {
    let at = spans(&Window::Hour { minute: 30 }, "2026-11-22T08:29:59Z");
    assert_eq!(at, ("2026-11-22T07:30:00Z".to_owned(), "2026-11-22T08:30:00Z".to_owned()));
}

#[test]
fn a_day_that_an_island_skipped_is_no_window() {
    // Samoa had no 30 December 2011.
    let window = Window::Day(Place { zone: "Pacific/Apia".to_owned(), minute: 0 });
    let before =
        window.span("2011-12-30T09:59:59Z".parse::<Timestamp>().unwrap().as_millisecond().cast_unsigned());
    let after =
        window.span("2011-12-30T10:00:00Z".parse::<Timestamp>().unwrap().as_millisecond().cast_unsigned());
    assert_eq!(before.end_ms, after.start);
    assert_eq!(text(after.start), "2011-12-30T10:00:00Z");
    assert_eq!(text(after.end_ms), "2011-12-31T10:00:00Z");
}

#[test]
fn windows_without_a_calendar_hold_every_moment() {
    for window in [Window::Lifetime, Window::Rolling { hours: 24 }] {
        assert_eq!(window.span(0), window.span(u64::MAX));
        assert_eq!(window.span(0).resets_ms(), None);
    }
    assert_ne!(Window::Lifetime.span(0).start, Window::Rolling { hours: 1 }.span(0).start);
    assert_eq!(Window::Rolling { hours: 24 }.slot_ms(), Some(24 * 60_000));
}

#[test]
fn what_is_wrong_is_said() {
    let place = || Place { zone: "Europe/Berln".to_owned(), minute: 0 };
    assert!(Window::Day(place()).check().unwrap_err().contains("Europe/Berln"));
    assert!(Window::Week { weekday: 0, place: Place::default() }.check().is_err());
    assert!(Window::Day(Place { minute: 1_440, ..Place::default() }).check().is_err());
    assert!(Window::Month { day: 32, place: Place::default() }.check().is_err());
    assert!(Window::Year { month: 13, day: 1, place: Place::default() }.check().is_err());
    assert_eq!(Window::Quarter { month: 12, day: 31, place: Place::default() }.check(), Ok(()));
}

#[test]
fn a_window_is_written_as_people_write_it() {
    let read = |json: &str| serde_json::from_str::<Window>(json).unwrap();
    assert_eq!(read(r#""lifetime""#), Window::Lifetime);
    assert_eq!(read(r#"{"rolling":{"hours":24}}"#), Window::Rolling { hours: 24 });
    assert_eq!(read(r#"{"month":{}}"#), Window::Month { day: 1, place: Place::default() });
    let quarter = Window::Quarter { month: 2, day: 31, place: berlin(90) };
    assert_eq!(read(&serde_json::to_string(&quarter).unwrap()), quarter);
    let day = read(r#"{"day":{"zone":"Europe/Berlin"}}"#);
    assert_eq!(day, Window::Day(berlin(0)));
}
