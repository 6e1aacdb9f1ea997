//! A limit: how much, of what, in which time, and whose.

use std::sync::Arc;
use std::time::Duration;

use crate::budget::{Mistake, Selector};
use crate::subject::Dimension;

/// A limit on the rate or the number of the requests that its selector fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What people call it; unique.
    pub name: Arc<str>,
    /// What is counted.
    pub count: Count,
    /// How much of it: in each [`every`](Self::every), or at once.
    pub amount: u64,
    /// The time in which the amount comes back; `None` exactly for [`Count::Concurrent`].
    pub every: Option<Every>,
    /// How much may pass at once after a pause. What is larger by itself passes when all of it is free, and the rest is owed.
    pub burst: u64,
    /// Which requests it counts. Empty: all.
    pub selector: Selector,
    /// Every distinct value of this dimension is counted by itself, all under this limit. A request without a value counts on
    /// the empty value, one with several tags on each.
    pub per: Option<Dimension>,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Requests.
    Requests,
    /// Tokens that go in, those read from a cache included.
    InputTokens,
    /// Tokens that come out, thinking included.
    OutputTokens,
    /// Both.
    Tokens,
    /// Requests that are under way.
    Concurrent,
}

/// The time in which a limit's amount comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// 24 hours.
    Day,
}

/// How much of each there is of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Tokens that go in.
    pub input: u64,
    /// Tokens that come out.
    pub output: u64,
}

/// The largest amount and burst: with a second that is one a nanosecond, the finest that time is known.
pub const MOST: u64 = 1_000_000_000;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 128;
/// The longest time in which a burst may come back.
const YEAR: Duration = Duration::from_secs(366 * 86_400);

// === impl Limit ===

impl Limit {
    /// Everything that is wrong with it.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut found = Vec::new();
        let mut wrong = |member, text: String| found.push(Mistake { member, text });
        if self.name.is_empty() || self.name.len() > LONGEST_NAME || self.name.contains(char::is_control) {
            wrong("name", format!("must have 1 to {LONGEST_NAME} bytes and no control characters"));
        }
        if self.amount == 0 || self.amount > MOST {
            wrong("amount", format!("must be between 1 and {MOST}"));
        }
        match (self.count, self.every) {
            (Count::Concurrent, Some(_)) => {
                wrong("every", "concurrent counts what is under way, in no time; leave it out".to_owned());
            }
            (Count::Concurrent, None) | (_, Some(_)) => {}
            (_, None) => wrong("every", "is missing: second, minute, hour or day".to_owned()),
        }
        if self.burst == 0 || self.burst > MOST {
            wrong("burst", format!("must be between 1 and {MOST}"));
        } else if self.count == Count::Concurrent && self.burst != self.amount {
            wrong(
                "burst",
                "concurrent counts what is under way, which has no burst; leave it out".to_owned(),
            );
        } else if let Some(every) = self.every
            && u128::from(self.burst) * every.time().as_nanos() > YEAR.as_nanos() * u128::from(self.amount)
        {
            wrong("burst", "would take more than a year to come back; make it less".to_owned());
        }
        for (dimension, patterns) in self.selector.iter() {
            if dimension.of_target() {
                wrong("selector", of_target(dimension));
            } else if patterns.is_empty() || patterns.iter().any(|pattern| pattern.is_empty()) {
                let text = "needs at least one value or pattern, and none may be empty";
                wrong("selector", format!("{} {text}", dimension.code()));
            }
        }
        if let Some(dimension) = self.per.filter(|per| per.of_target()) {
            wrong("per", of_target(dimension));
        }
        found
    }
}

/// A request is counted before it is known where it goes, and once however often it is tried.
fn of_target(dimension: Dimension) -> String {
    format!(
        "{} is not known yet when a request is counted, as its target is chosen behind; use route, the name that was asked for",
        dimension.code()
    )
}

// === impl Count ===

impl Count {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Requests, Self::InputTokens, Self::OutputTokens, Self::Tokens, Self::Concurrent];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent",
        }
    }

    /// How people call what it counts.
    pub const fn called(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::Tokens => "tokens",
            Self::Concurrent => "requests at once",
        }
    }

    /// Whether it counts tokens of some sort.
    pub const fn of_tokens(self) -> bool {
        matches!(self, Self::InputTokens | Self::OutputTokens | Self::Tokens)
    }

    /// How much a request of this measure counts.
    pub const fn of(self, measure: &Measure) -> u64 {
        match self {
            Self::Requests | Self::Concurrent => 1,
            Self::InputTokens => measure.input,
            Self::OutputTokens => measure.output,
            Self::Tokens => measure.input.saturating_add(measure.output),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn read(text: &str) -> Result<Self, Mistake> {
        Self::ALL.into_iter().find(|count| count.word() == text).ok_or_else(|| Mistake {
            member: "count",
            text: format!(
                "\"{text}\" is not known; write requests, input_tokens, output_tokens, tokens or concurrent"
            ),
        })
    }
}

// === impl Every ===

impl Every {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// How people say how often.
    pub const fn said(self) -> &'static str {
        match self {
            Self::Second => "a second",
            Self::Minute => "a minute",
            Self::Hour => "an hour",
            Self::Day => "a day",
        }
    }

    /// How long it is.
    pub const fn time(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn read(text: &str) -> Result<Self, Mistake> {
        Self::ALL.into_iter().find(|every| every.word() == text).ok_or_else(|| Mistake {
            member: "every",
            text: format!("\"{text}\" is not known; write second, minute, hour or day"),
        })
    }
}
