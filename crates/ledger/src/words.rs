//! Windows and what happens at a limit as people write them: in arguments, in JSON.
//!
//! A window is a word (`month`, `rolling:24h`), and where it follows the calendar a zone and an anchor: when it begins.

use std::sync::Arc;

use crate::budget::{AtLimit, Mistake, Mode, OnOutage};
use crate::window::{Place, Window};

/// The words for windows.
pub const WINDOWS: &str = "hour, day, week, month, quarter, year, rolling:24h, rolling:7d or lifetime";
/// The words for what happens at the limit.
pub const AT_LIMITS: &str = "block, alert, throttle:10 (so many requests a minute) or downgrade:ROUTE";

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

// === windows ===

impl Window {
    /// Reads a window. Without a zone it is UTC, without an anchor it begins as the calendar does.
    ///
    /// # Errors
    /// What is wrong, and with which of the three.
    pub fn read(window: &str, zone: Option<&str>, anchor: Option<&str>) -> Result<Self, Mistake> {
        let wrong = |member, text: String| Mistake { member, text };
        let place = |minute| Place { zone: zone.unwrap_or("UTC").to_owned(), minute };
        let nowhere = |window: Self| match (zone, anchor) {
            (None, None) => Ok(window),
            (Some(_), _) => Err(wrong("zone", format!("a window of {} has no zone", window.word()))),
            (_, Some(_)) => Err(wrong("anchor", format!("a window of {} has no anchor", window.word()))),
        };
        let anchored = |form: &str| wrong("anchor", format!("write {form}"));
        let window = match window {
            "hour" => {
                if zone.is_some() {
                    return Err(wrong("zone", "hours are those of UTC".to_owned()));
                }
                let minute = anchor.map_or(Some(0), |text| text.trim_start_matches(':').parse().ok());
                Self::Hour { minute: minute.ok_or_else(|| anchored("the minute of the hour, such as :15"))? }
            }
            "day" => {
                let minute = anchor.map_or(Some(0), time);
                Self::Day(place(minute.ok_or_else(|| anchored("a time of day such as 06:00"))?))
            }
            "week" => {
                let (weekday, minute) = split(anchor, |day| {
                    let day = day.to_ascii_lowercase();
                    let at = WEEKDAYS.iter().position(|known| day.starts_with(known))?;
                    u8::try_from(at + 1).ok()
                })
                .ok_or_else(|| anchored("a day of the week, a time or both, such as \"sun 18:00\""))?;
                Self::Week { weekday: weekday.unwrap_or(1), place: place(minute) }
            }
            "month" => {
                let (day, minute) = split(anchor, |day| day.parse().ok())
                    .ok_or_else(|| anchored("a day of the month, a time or both, such as \"15 06:00\""))?;
                Self::Month { day: day.unwrap_or(1), place: place(minute) }
            }
            "quarter" | "year" => {
                let (date, minute) = split(anchor, |date| {
                    let (month, day) = date.split_once('-')?;
                    Some((month.parse().ok()?, day.parse().ok()?))
                })
                .ok_or_else(|| anchored("month and day, a time or both, such as \"04-01 06:00\""))?;
                let ((month, day), place) = (date.unwrap_or((1, 1)), place(minute));
                if window == "year" {
                    Self::Year { month, day, place }
                } else {
                    Self::Quarter { month, day, place }
                }
            }
            "lifetime" => nowhere(Self::Lifetime)?,
            other => match other.strip_prefix("rolling:") {
                Some(span) => nowhere(Self::Rolling {
                    hours: hours(span).ok_or_else(|| {
                        wrong(
                            "window",
                            "write hours or days behind \"rolling:\", such as rolling:24h".to_owned(),
                        )
                    })?,
                })?,
                None => return Err(wrong("window", format!("\"{other}\" is no window; write {WINDOWS}"))),
            },
        };
        window.check().map_err(|text| {
            let member = if text.contains("zone") {
                "zone"
            } else if matches!(window, Self::Rolling { .. }) {
                "window"
            } else {
                "anchor"
            };
            wrong(member, text)
        })?;
        Ok(window)
    }

    /// The word for it, as [`Window::read`] takes it.
    pub fn word(&self) -> String {
        match self {
            Self::Rolling { hours } => format!("rolling:{hours}h"),
            window => window.name().to_owned(),
        }
    }

    /// The zone that its calendar is read in; `None` where it has none.
    pub fn zone(&self) -> Option<&str> {
        self.place().map(|place| place.zone.as_str())
    }

    /// Where it begins, as [`Window::read`] takes it; `None` where that is the usual.
    pub fn anchor(&self) -> Option<String> {
        let day = match self {
            Self::Hour { minute: 0 } => None,
            Self::Hour { minute } => Some(format!(":{minute:02}")),
            Self::Week { weekday, .. } if *weekday != 1 => {
                WEEKDAYS.get(usize::from(*weekday).wrapping_sub(1)).map(|day| (*day).to_owned())
            }
            Self::Month { day, .. } if *day != 1 => Some(day.to_string()),
            Self::Quarter { month, day, .. } | Self::Year { month, day, .. } if (*month, *day) != (1, 1) => {
                Some(format!("{month:02}-{day:02}"))
            }
            _ => None,
        };
        let minute = self.place().map_or(0, |place| place.minute);
        let time = (minute != 0).then(|| format!("{:02}:{:02}", minute / 60, minute % 60));
        match (day, time) {
            (Some(day), Some(time)) => Some(format!("{day} {time}")),
            (day, time) => day.or(time),
        }
    }
}

/// The minute of the day of `06:00`.
fn time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// A day and a time, of which either may be missing; `None` when one of them cannot be read.
fn split<D>(anchor: Option<&str>, day: impl Fn(&str) -> Option<D>) -> Option<(Option<D>, u16)> {
    let Some(anchor) = anchor else { return Some((None, 0)) };
    match anchor.trim().split_once(' ') {
        Some((date, at)) => Some((Some(day(date)?), time(at.trim())?)),
        None => match time(anchor.trim()) {
            Some(minute) => Some((None, minute)),
            None => Some((Some(day(anchor.trim())?), 0)),
        },
    }
}

fn hours(span: &str) -> Option<u32> {
    if let Some(days) = span.strip_suffix('d') {
        return days.parse::<u32>().ok()?.checked_mul(24);
    }
    span.strip_suffix('h')?.parse().ok()
}

// === what happens at the limit ===

impl AtLimit {
    /// Reads what happens at the limit.
    ///
    /// # Errors
    /// What is wrong.
    pub fn read(text: &str) -> Result<Self, Mistake> {
        let wrong = |text| Mistake { member: "at_limit", text };
        match text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest))) {
            ("block", None) => Ok(Self::Block),
            ("alert", None) => Ok(Self::Alert),
            ("downgrade", Some(route)) => Ok(Self::Downgrade { route: Arc::from(route) }),
            ("throttle", Some(count)) => match count.parse() {
                Ok(per_minute) => Ok(Self::Throttle { per_minute }),
                Err(_) => {
                    Err(wrong("write requests a minute behind \"throttle:\", such as throttle:10".to_owned()))
                }
            },
            _ => Err(wrong(format!("\"{text}\" is not known; write {AT_LIMITS}"))),
        }
    }

    /// The word for it, as [`AtLimit::read`] takes it.
    pub fn word(&self) -> String {
        match self {
            Self::Block => "block".to_owned(),
            Self::Alert => "alert".to_owned(),
            Self::Downgrade { route } => format!("downgrade:{route}"),
            Self::Throttle { per_minute } => format!("throttle:{per_minute}"),
        }
    }
}

impl Mode {
    /// Reads a mode.
    ///
    /// # Errors
    /// What is wrong.
    pub fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "strict" => Ok(Self::Strict),
            "expected" => Ok(Self::Expected),
            _ => Err(Mistake {
                member: "mode",
                text: format!("\"{text}\" is not known; write strict or expected"),
            }),
        }
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Expected => "expected",
        }
    }
}

impl OnOutage {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "closed" => Ok(Self::Closed),
            "open" => Ok(Self::Open),
            _ => Err(Mistake {
                member: "on_outage",
                text: format!("\"{text}\" is not known; write closed or open"),
            }),
        }
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_and_written_alike() {
        let berlin = Some("Europe/Berlin");
        for (word, zone, anchor) in [
            ("hour", None, None),
            ("hour", None, Some(":15")),
            ("day", Some("UTC"), None),
            ("day", berlin, Some("06:00")),
            ("week", berlin, Some("sun")),
            ("week", berlin, Some("sun 18:30")),
            ("week", berlin, Some("18:30")),
            ("month", berlin, Some("15")),
            ("month", berlin, Some("15 06:00")),
            ("quarter", berlin, Some("02-15")),
            ("year", berlin, Some("04-01 06:00")),
            ("rolling:24h", None, None),
            ("lifetime", None, None),
        ] {
            let window = Window::read(word, zone, anchor).unwrap();
            assert_eq!((&*window.word(), window.zone(), window.anchor().as_deref()), (word, zone, anchor));
        }
        assert_eq!(Window::read("rolling:7d", None, None), Ok(Window::Rolling { hours: 168 }));
        assert_eq!(Window::read("month", None, Some("1 00:00")).unwrap().anchor(), None);
    }

    #[test]
    fn what_is_wrong_with_a_window_is_said_of_the_right_member() {
        for (word, zone, anchor, member) in [
            ("fortnight", None, None, "window"),
            ("rolling:0h", None, None, "window"),
            ("rolling:day", None, None, "window"),
            ("rolling:24h", Some("UTC"), None, "zone"),
            ("hour", Some("UTC"), None, "zone"),
            ("day", Some("Berlin"), None, "zone"),
            ("lifetime", None, Some("1"), "anchor"),
            ("day", None, Some("25:00"), "anchor"),
            ("week", None, Some("someday"), "anchor"),
            ("month", None, Some("32"), "anchor"),
            ("year", None, Some("13-01"), "anchor"),
            ("hour", None, Some(":60"), "anchor"),
        ] {
            let mistake = Window::read(word, zone, anchor).unwrap_err();
            assert_eq!(mistake.member, member, "{word} {zone:?} {anchor:?}: {mistake}");
        }
    }

    #[test]
    fn what_happens_at_the_limit_is_read_and_written_alike() {
        for word in ["block", "alert", "throttle:10", "downgrade:small"] {
            assert_eq!(AtLimit::read(word).unwrap().word(), word);
        }
        for word in ["", "stop", "throttle", "throttle:x", "block:x", "downgrade"] {
            assert!(AtLimit::read(word).is_err(), "{word}");
        }
        assert_eq!(Mode::read("expected").unwrap().word(), "expected");
        assert_eq!(OnOutage::read("open").unwrap().word(), "open");
        assert!(Mode::read("loose").is_err() && OnOutage::read("").is_err());
    }
}
