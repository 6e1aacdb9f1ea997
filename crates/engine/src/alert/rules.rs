//! The rules: which signals are worth telling people, in which words, and how often. Time is handed in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use lockgate_core::record::Target;
use lockgate_core::{Alert, Gravity, Money, Topic};
use lockgate_ledger::report::Moment;
use serde_json::{Map, Value, json};

use super::forecast::Forecast;
use super::signal::{Part, Signal};
use super::usual::{HOUR_MS, Usual};

/// What was told, and what is going on.
pub struct Rules {
    /// An hour that costs less is never unusual.
    floor: Money,
    /// Keys of what was told, and until when it is not told again.
    told: BTreeMap<String, u64>,
    failing: BTreeMap<Part, Failing>,
    /// Providers that are told to be out.
    out: BTreeSet<Arc<str>>,
    /// Records lost since that was last told.
    lost: u64,
    all: Usual,
    budgets: BTreeMap<Arc<str>, Usual>,
}

struct Failing {
    since_ms: u64,
    told: bool,
}

/// A failure that is shorter is not told.
const PATIENCE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
/// Keys that are remembered at most. When they are more, those that end first are forgotten.
const MOST_TOLD: usize = 10_000;

// === impl Rules ===

impl Rules {
    /// Rules that have told nothing. An hour that costs less than `floor` is never unusual.
    pub fn new(floor: Money) -> Self {
        Self {
            floor,
            told: BTreeMap::new(),
            failing: BTreeMap::new(),
            out: BTreeSet::new(),
            lost: 0,
            all: Usual::default(),
            budgets: BTreeMap::new(),
        }
    }

    /// What a signal is worth. `is_out` says whether nothing of a provider is in rotation now.
    pub fn judge(&mut self, signal: Signal, now_ms: u64, is_out: &dyn Fn(&str) -> bool) -> Option<Alert> {
        match signal {
            Signal::Crossed { budget, value, percent, spent, limit } => {
                Some(crossed(&budget, &value, percent, (spent, limit), now_ms))
            }
            Signal::Breaker(provider) => self.breaker(&provider, is_out(&provider), now_ms),
            Signal::Unpriced(target) => self.unpriced(&target, now_ms),
            Signal::Dropped(count) => {
                self.lost = self.lost.saturating_add(count);
                self.dropped(now_ms)
            }
            Signal::Failing(part) => {
                self.failing.entry(part).or_insert(Failing { since_ms: now_ms, told: false });
                None
            }
            Signal::Working(part) => {
                let failing = self.failing.remove(&part).filter(|failing| failing.told)?;
                let seconds = now_ms.saturating_sub(failing.since_ms) / 1_000;
                let text = format!("{part} works again, after {seconds} seconds.");
                let facts = json!({ "part": part.word(), "state": "working", "seconds": seconds });
                Some(alert(Topic::Sink, Gravity::Info, part.word(), text, facts, now_ms))
            }
            Signal::NodeLost(epoch) => {
                let text = format!(
                    "Node {epoch} of the ledger gave no sign of life. What it had leased and not journaled is uncertain and stays \
                     charged: see `lockgate budgets show`."
                );
                let facts = json!({ "node": epoch });
                Some(alert(Topic::Node, Gravity::Warning, &format!("node {epoch}"), text, facts, now_ms))
            }
        }
    }

    /// What only time brings: failures that last, and hours that are unusual by what was `spent` in all and of each budget.
    pub fn tick(&mut self, now_ms: u64, spent: Money, budgets: Vec<(Arc<str>, Money)>) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for (part, failing) in &mut self.failing {
            if !failing.told && now_ms.saturating_sub(failing.since_ms) >= PATIENCE_MS {
                failing.told = true;
                let text =
                    format!("{part} has failed for more than a minute; the log says why. {}", part.effect());
                let facts =
                    json!({ "part": part.word(), "state": "failing", "since": Moment(failing.since_ms) });
                alerts.push(alert(Topic::Sink, Gravity::Critical, part.word(), text, facts, now_ms));
            }
        }
        alerts.extend(self.dropped(now_ms));
        self.all.note(now_ms, spent);
        if let Some(found) = self.all.is_exceeded(self.floor) {
            let hours = self.all.hours();
            alerts.extend(self.unusual(None, found, hours, now_ms));
        }
        for (budget, spent) in budgets {
            let usual = self.budgets.entry(Arc::clone(&budget)).or_default();
            usual.note(now_ms, spent);
            if let Some(found) = usual.is_exceeded(self.floor) {
                let hours = usual.hours();
                alerts.extend(self.unusual(Some(&budget), found, hours, now_ms));
            }
        }
        alerts
    }

    /// Of these forecasts, what was not told in their window yet.
    pub(super) fn foresee(&mut self, forecasts: Vec<Forecast>, now_ms: u64) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for one in forecasts {
            let key = format!("forecast:{}:{}:{}", one.id, one.value, one.begins_ms);
            if !self.is_new(&key, now_ms, one.resets_ms) {
                continue;
            }
            let text = format!(
                "The budget {} will reach its limit of {} dollars at {}, before its window ends at {}, if spending goes on as it did \
                 ({} dollars so far).",
                named(&one.budget, &one.value),
                one.limit,
                Moment(one.hits_ms),
                Moment(one.resets_ms),
                one.spent,
            );
            let facts = json!({
                "budget": one.budget, "value": one.value, "spent": one.spent.to_string(), "limit": one.limit.to_string(),
                "hits_limit_at": Moment(one.hits_ms), "resets_at": Moment(one.resets_ms),
            });
            let made = alert(Topic::Forecast, Gravity::Warning, &one.budget, text, facts, now_ms);
            alerts.push(Alert { key, ..made });
        }
        alerts
    }

    fn breaker(&mut self, provider: &Arc<str>, is_out: bool, now_ms: u64) -> Option<Alert> {
        let (gravity, state, text) = if is_out {
            if !self.out.insert(Arc::clone(provider)) {
                return None;
            }
            (
                Gravity::Critical,
                "out",
                format!("No endpoint of the provider {provider} is in rotation: all have failed."),
            )
        } else {
            if !self.out.remove(provider) {
                return None;
            }
            (Gravity::Info, "back", format!("The provider {provider} answers again."))
        };
        let facts = json!({ "provider": provider, "state": state });
        Some(alert(Topic::Outage, gravity, provider, text, facts, now_ms))
    }

    fn unpriced(&mut self, target: &Target, now_ms: u64) -> Option<Alert> {
        let Target { provider, model } = target;
        let day = now_ms / DAY_MS;
        let key = format!("unknown_price:{provider}/{model}:{day}");
        if !self.is_new(&key, now_ms, (day + 1) * DAY_MS) {
            return None;
        }
        let text = format!(
            "The price of {provider}/{model} is not known, so what it costs counts on no budget. Give its prices under `models` in the \
             config."
        );
        let facts = json!({ "provider": provider, "model": model });
        let made =
            alert(Topic::UnknownPrice, Gravity::Warning, &format!("{provider}/{model}"), text, facts, now_ms);
        Some(Alert { key, ..made })
    }

    /// Lost records are told at once, and then once an hour how many more there are.
    fn dropped(&mut self, now_ms: u64) -> Option<Alert> {
        if self.lost == 0 || !self.is_new("sink:dropped", now_ms, now_ms.saturating_add(HOUR_MS)) {
            return None;
        }
        let lost = std::mem::take(&mut self.lost);
        let text = format!("{lost} records could not be kept: more came than the store took. They are lost.");
        let facts = json!({ "part": "records", "state": "dropped", "lost": lost });
        Some(alert(Topic::Sink, Gravity::Critical, Part::Records.word(), text, facts, now_ms))
    }

    fn unusual(
        &mut self,
        budget: Option<&str>,
        (spent, usual): (Money, Money),
        hours: usize,
        now_ms: u64,
    ) -> Option<Alert> {
        let hour = now_ms / HOUR_MS;
        let of = budget.map_or_else(|| "all".to_owned(), |budget| format!("budget:{budget}"));
        let key = format!("anomaly:{of}:{hour}");
        if !self.is_new(&key, now_ms, (hour + 1) * HOUR_MS) {
            return None;
        }
        let whom = budget.map_or_else(
            || "All requests of this gateway".to_owned(),
            |budget| format!("The requests that count on the budget \"{budget}\""),
        );
        let text = format!(
            "{whom} have cost {spent} dollars in this hour; usual are {usual} (the median of {hours} hours)."
        );
        let facts = json!({
            "budget": budget, "spent": spent.to_string(), "usual": usual.to_string(), "hours": hours,
            "hour": Moment(hour * HOUR_MS),
        });
        let made =
            alert(Topic::Anomaly, Gravity::Warning, budget.unwrap_or("all requests"), text, facts, now_ms);
        Some(Alert { key, ..made })
    }

    /// Whether this was not told yet; until `until_ms` it counts as told from now on.
    fn is_new(&mut self, key: &str, now_ms: u64, until_ms: u64) -> bool {
        if self.told.get(key).is_some_and(|until| *until > now_ms) {
            return false;
        }
        if self.told.len() >= MOST_TOLD {
            self.told.retain(|_, until| *until > now_ms);
        }
        if self.told.len() >= MOST_TOLD {
            let first = self.told.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone());
            first.and_then(|first| self.told.remove(&first));
        }
        self.told.insert(key.to_owned(), until_ms);
        true
    }
}

// === words ===

fn crossed(budget: &str, value: &str, percent: u16, (spent, limit): (Money, Money), now_ms: u64) -> Alert {
    let (what, gravity) = match percent {
        0 => ("its soft limit".to_owned(), Gravity::Warning),
        100.. => (format!("{percent} % of its limit"), Gravity::Critical),
        _ => (format!("{percent} % of its limit"), Gravity::Warning),
    };
    let text = format!(
        "The budget {} has reached {what}: {spent} of {limit} dollars are spent.",
        named(budget, value)
    );
    let facts = json!({
        "budget": budget, "value": value, "percent": percent, "spent": spent.to_string(), "limit": limit.to_string(),
    });
    alert(Topic::Budget, gravity, budget, text, facts, now_ms)
}

/// A budget in a sentence, with whose account it is.
fn named(budget: &str, value: &str) -> String {
    if value.is_empty() { format!("\"{budget}\"") } else { format!("\"{budget}\" of \"{value}\"") }
}

/// An alert whose key is its own moment.
fn alert(topic: Topic, gravity: Gravity, subject: &str, text: String, facts: Value, at_ms: u64) -> Alert {
    let facts = if let Value::Object(facts) = facts { facts } else { Map::new() };
    let key = format!("{}:{subject}:{at_ms}", topic.code());
    Alert { topic, gravity, subject: subject.into(), text, facts, key, at_ms }
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Ledger => "ledger",
        }
    }

    /// What its failure does.
    const fn effect(self) -> &'static str {
        match self {
            Self::Records => "Records wait in memory until the queue is full, and are lost then.",
            Self::Ledger => "Requests go on with what was leased; then each budget's `on_outage` decides.",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Records => "The store of records",
            Self::Ledger => "The ledger's store",
        })
    }
}

#[cfg(test)]
mod tests;
