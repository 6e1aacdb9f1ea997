//! A budget: how much, of what, for how long, and what happens at the limit.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use lockgate_core::Money;
use serde::{Deserialize, Serialize};

use crate::subject::{DIMENSIONS, Dimension, Subject};
use crate::window::Window;

/// A limit on what may be spent in a window by whatever its selector fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Its id: stable, unique, at most 64 bytes.
    pub id: Arc<str>,
    /// What a person calls it.
    pub name: Arc<str>,
    /// How much may be spent in one window, in nano-dollars.
    pub limit: Money,
    /// When spending begins to count anew.
    pub window: Window,
    /// Which requests it counts. Empty: all.
    #[serde(default, skip_serializing_if = "Selector::is_empty")]
    pub selector: Selector,
    /// Every distinct value of this dimension gets an account of its own, all under this limit. A request without a value
    /// counts on the account of the empty value. A request with several tags counts on each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Dimension>,
    /// What a request reserves.
    #[serde(default)]
    pub mode: Mode,
    /// What happens to a request that the rest cannot pay for.
    #[serde(default)]
    pub at_limit: AtLimit,
    /// An amount below the limit that only raises an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft: Option<Money>,
    /// Percentages of the limit that raise an alert, once a window each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<u16>,
    /// What happens when the store cannot be reached and the node's lease is used up.
    #[serde(default)]
    pub on_outage: OnOutage,
}

/// What a request reserves before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The worst case: the limit cannot be overshot.
    #[default]
    Strict,
    /// What is likely: the limit may be overshot by the error of the estimate.
    Expected,
}

/// What happens at the limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtLimit {
    /// The request is refused.
    #[default]
    Block,
    /// The request goes on by a cheaper route, outside this budget's limit but counted by it.
    Downgrade {
        /// The name of that route.
        route: Arc<str>,
    },
    /// Requests go on at a slow pace.
    Throttle {
        /// So many a minute for each account, on each node.
        per_minute: u32,
    },
    /// Nothing but alerts.
    Alert,
}

/// What happens when a node can get no lease because the store is out of reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnOutage {
    /// Requests are refused: the limit holds.
    #[default]
    Closed,
    /// Requests go on and are booked later: the limit may be overshot.
    Open,
}

/// A temporary increase of a budget's limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Increase {
    /// Its id: unique, at most 64 bytes.
    pub id: Arc<str>,
    /// The budget.
    pub budget: Arc<str>,
    /// How much more may be spent.
    pub amount: Money,
    /// From when on, in Unix milliseconds.
    pub from_ms: u64,
    /// Until when, exclusively, in Unix milliseconds.
    pub until_ms: u64,
    /// Why.
    pub reason: String,
    /// Who granted it.
    pub by: String,
}

/// A conjunction over dimensions: each that is named must fit by one of its patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Selector(BTreeMap<Dimension, Vec<Arc<str>>>);

/// What is wrong with a budget: the member, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The member, such as `limit`.
    pub member: &'static str,
    /// What is wrong and what to do.
    pub text: String,
}

/// The longest id of a budget or an increase, in bytes.
pub const LONGEST_ID: usize = 64;
/// The highest threshold, in per cent of the limit.
pub const HIGHEST_THRESHOLD: u16 = 1_000;

// === impl Budget ===

impl Budget {
    /// Whether a request that cannot be paid for is kept from going on as it is.
    pub const fn enforces(&self) -> bool {
        !matches!(self.at_limit, AtLimit::Alert)
    }

    /// The limit at a moment: its own and the increases in force.
    pub fn limit_at<'a>(&self, increases: impl IntoIterator<Item = &'a Increase>, wall_ms: u64) -> Money {
        let extra = increases.into_iter().filter(|i| *i.budget == *self.id && i.holds(wall_ms));
        let nanos = extra.fold(self.limit.nanos(), |sum, i| sum.saturating_add(i.amount.nanos()));
        Money::from_nanos(nanos)
    }

    /// Everything that is wrong with it.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut found = Vec::new();
        let mut wrong = |member, text: &str| found.push(Mistake { member, text: text.to_owned() });
        if self.id.is_empty() || self.id.len() > LONGEST_ID {
            wrong("id", "must have 1 to 64 bytes");
        }
        if self.name.trim().is_empty() {
            wrong("name", "must not be empty");
        }
        if self.limit < Money::ZERO {
            wrong("limit", "must not be below zero");
        }
        if self.soft.is_some_and(|soft| soft <= Money::ZERO || soft > self.limit) {
            wrong("soft", "must be above zero and at most the limit");
        }
        if self.thresholds.iter().any(|percent| *percent == 0 || *percent > HIGHEST_THRESHOLD) {
            wrong("thresholds", "must be percentages from 1 to 1000");
        }
        if let AtLimit::Throttle { per_minute: 0 } = self.at_limit {
            wrong("at_limit", "throttle needs at least one request a minute; use block to stop all");
        }
        if let AtLimit::Downgrade { route } = &self.at_limit
            && route.is_empty()
        {
            wrong("at_limit", "downgrade needs the name of a route");
        }
        if self
            .selector
            .0
            .values()
            .any(|patterns| patterns.is_empty() || patterns.iter().any(|p| p.is_empty()))
        {
            wrong("selector", "each dimension needs at least one value or pattern, and none may be empty");
        }
        if let Err(text) = self.window.check() {
            wrong("window", &text);
        }
        found
    }
}

// === impl Increase ===

impl Increase {
    /// Whether it is in force at a moment.
    pub const fn holds(&self, wall_ms: u64) -> bool {
        self.from_ms <= wall_ms && wall_ms < self.until_ms
    }
}

// === impl Selector ===

impl Selector {
    /// A selector of these patterns by dimension. A pattern is a value, or ends in `*` and stands for all that begin so.
    pub fn new(patterns: impl IntoIterator<Item = (Dimension, Vec<Arc<str>>)>) -> Self {
        Self(patterns.into_iter().collect())
    }

    /// Whether it fits everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its dimensions and their patterns.
    pub fn iter(&self) -> impl Iterator<Item = (Dimension, &[Arc<str>])> {
        self.0.iter().map(|(dimension, patterns)| (*dimension, &**patterns))
    }

    /// Whether it fits a request.
    pub fn fits(&self, subject: &Subject<'_>) -> bool {
        self.0.iter().all(|(dimension, patterns)| {
            patterns.iter().any(|pattern| subject.values(*dimension).any(|value| fits(pattern, value)))
                || (*dimension == Dimension::Model && fits_whole_model(patterns, subject))
        })
    }

    /// The dimension and values that a look-up should go by: the first, in the order of [`DIMENSIONS`], that has no pattern.
    pub(crate) fn handle(&self) -> Option<(Dimension, &[Arc<str>])> {
        DIMENSIONS.into_iter().find_map(|dimension| {
            let exact =
                |p: &Arc<str>| !p.ends_with('*') && (dimension != Dimension::Model || !p.contains('/'));
            let patterns = self.0.get(&dimension).filter(|patterns| patterns.iter().all(exact))?;
            Some((dimension, &**patterns))
        })
    }
}

fn fits(pattern: &str, value: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == value, |start| value.starts_with(start))
}

/// A pattern of models may name the provider as well: `openai/gpt-5*`.
fn fits_whole_model(patterns: &[Arc<str>], subject: &Subject<'_>) -> bool {
    let (Some(provider), Some(model)) = (subject.get(Dimension::Provider), subject.get(Dimension::Model))
    else {
        return false;
    };
    patterns.iter().any(|pattern| {
        pattern.split_once('/').is_some_and(|(whose, which)| whose == provider && fits(which, model))
    })
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.member, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(patterns: &[(Dimension, &[&str])]) -> Selector {
        Selector::new(patterns.iter().map(|(d, p)| (*d, p.iter().map(|p| Arc::from(*p)).collect())))
    }

    #[test]
    fn every_dimension_that_is_named_must_fit() {
        let tags = [Arc::from("beta"), Arc::from("eu")];
        let subject = Subject::new()
            .with(Dimension::Team, Some("search"))
            .with(Dimension::Provider, Some("openai"))
            .with(Dimension::Model, Some("gpt-5-mini"))
            .tagged(&tags);
        let fits = |patterns: &[(Dimension, &[&str])]| selector(patterns).fits(&subject);
        assert!(fits(&[]));
        assert!(fits(&[(Dimension::Team, &["ads", "search"])]));
        assert!(fits(&[(Dimension::Team, &["sea*"]), (Dimension::Tag, &["eu"])]));
        assert!(!fits(&[(Dimension::Team, &["search"]), (Dimension::Tag, &["us"])]));
        assert!(!fits(&[(Dimension::User, &["*"])]), "a star wants a value");
        assert!(fits(&[(Dimension::Model, &["gpt-5*"])]));
        assert!(fits(&[(Dimension::Model, &["openai/gpt-5*"])]));
        assert!(!fits(&[(Dimension::Model, &["azure/gpt-5*"])]));
    }

    #[test]
    fn increases_count_while_they_last() {
        let budget = crate::sample::budget("b", 100);
        let increase = |amount, from_ms, until_ms| Increase {
            id: "i".into(),
            budget: "b".into(),
            amount: Money::from_nanos(amount),
            from_ms,
            until_ms,
            reason: String::new(),
            by: String::new(),
        };
        let all =
            [increase(10, 5, 10), increase(7, 9, 20), Increase { budget: "c".into(), ..increase(1, 0, 99) }];
        let at = |ms| budget.limit_at(&all, ms).nanos();
        assert_eq!([4, 5, 9, 10, 19, 20].map(at), [100, 110, 117, 107, 107, 100]);
    }

    #[test]
    fn all_mistakes_come_at_once() {
        let budget = Budget {
            name: " ".into(),
            limit: Money::from_nanos(-1),
            thresholds: vec![0],
            at_limit: AtLimit::Throttle { per_minute: 0 },
            window: Window::Rolling { hours: 0 },
            ..crate::sample::budget("", 1)
        };
        let members: Vec<_> = budget.mistakes().iter().map(|m| m.member).collect();
        assert_eq!(members, ["id", "name", "limit", "thresholds", "at_limit", "window"]);
        assert_eq!(crate::sample::budget("b", 1).mistakes(), []);
    }
}
