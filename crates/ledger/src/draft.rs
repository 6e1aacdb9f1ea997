//! Budgets, increases and corrections as somebody asks for them: in JSON and in arguments, in the same words. All that is wrong
//! with one is found at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use lockgate_core::key::{Key, find};
use lockgate_core::{Money, id};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::budget::{AtLimit, Budget, Increase, Mistake, Mode, OnOutage, Selector};
use crate::subject::{DIMENSIONS, Dimension};
use crate::window::Window;

/// A budget in words. The first three must be there; the rest has a default. Amounts are dollars.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Draft {
    /// What a person calls it; unique.
    pub name: Option<String>,
    /// How much may be spent in a window.
    #[serde(deserialize_with = "amount")]
    pub limit: Option<String>,
    /// When spending begins to count anew; see [`WINDOWS`](crate::words::WINDOWS).
    pub window: Option<String>,
    /// The IANA name of the time zone that a calendar window is read in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Where a calendar window begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// Which requests it counts: values or patterns by dimension. Keys by id or name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, Vec<String>>,
    /// The dimension of which every value has an account of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
    /// `strict` or `expected`.
    pub mode: Option<String>,
    /// See [`AT_LIMITS`](crate::words::AT_LIMITS).
    pub at_limit: Option<String>,
    /// An amount below the limit that only raises an alert.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "amount")]
    pub soft: Option<String>,
    /// Percentages of the limit that raise an alert.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<u16>,
    /// `closed` or `open`.
    pub on_outage: Option<String>,
}

/// A temporary increase in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IncreaseDraft {
    /// How much more may be spent, in dollars.
    #[serde(deserialize_with = "amount")]
    pub amount: Option<String>,
    /// From when on, as in RFC 3339; without it from now on.
    pub from: Option<String>,
    /// Until when.
    pub until: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// What budgets are called by: these begin an id, so no name may.
const PREFIX: &str = "bud_";
const LONGEST_NAME: usize = 128;
/// The most values of one dimension of a selector.
const MOST_VALUES: usize = 1_000;

// === impl Draft ===

impl Draft {
    /// A budget in words.
    pub fn of(budget: &Budget) -> Self {
        let window = &budget.window;
        let texts = |patterns: &[Arc<str>]| patterns.iter().map(ToString::to_string).collect();
        Self {
            name: Some(budget.name.to_string()),
            limit: Some(budget.limit.to_string()),
            window: Some(window.word()),
            zone: window.zone().map(str::to_owned),
            anchor: window.anchor(),
            selector: budget
                .selector
                .iter()
                .map(|(dimension, patterns)| (dimension.code().to_owned(), texts(patterns)))
                .collect(),
            per: budget.per.map(|dimension| dimension.code().to_owned()),
            mode: Some(budget.mode.word().to_owned()),
            at_limit: Some(budget.at_limit.word()),
            soft: budget.soft.map(|soft| soft.to_string()),
            thresholds: budget.thresholds.clone(),
            on_outage: Some(budget.on_outage.word().to_owned()),
        }
    }

    /// The budget under an id.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn budget(&self, id: &str, keys: &[Key], wall_ms: u64) -> Result<Budget, Vec<Mistake>> {
        let mut found = Found::default();
        let window = found.must("window", self.window.as_deref(), |text| {
            Window::read(text, self.zone.as_deref(), self.anchor.as_deref())
        });
        let money = |member| move |text: &str| read_money(member, text);
        let budget = Budget {
            id: id.into(),
            name: found.must("name", self.name.as_deref(), read_name).unwrap_or_else(|| "-".into()),
            limit: found.must("limit", self.limit.as_deref(), money("limit")).unwrap_or(Money::ZERO),
            window: window.unwrap_or(Window::Lifetime),
            selector: read_selector(&self.selector, keys, wall_ms, &mut found),
            per: found.may(self.per.as_deref(), |text| dimension("per", text)),
            mode: found.may(self.mode.as_deref(), Mode::read).unwrap_or_default(),
            at_limit: found.may(self.at_limit.as_deref(), AtLimit::read).unwrap_or_default(),
            soft: found.may(self.soft.as_deref(), money("soft")),
            thresholds: self.thresholds.clone(),
            on_outage: found.may(self.on_outage.as_deref(), OnOutage::read).unwrap_or_default(),
        };
        // What could not be read says nothing further: its stand-in is none of the caller's.
        let unread: Vec<&str> = found.0.iter().map(|mistake| mistake.member).collect();
        let further = budget.mistakes().into_iter().filter(|mistake| {
            !(unread.contains(&mistake.member) || mistake.member == "soft" && unread.contains(&"limit"))
        });
        let further: Vec<Mistake> = further.collect();
        found.0.extend(further);
        if found.0.is_empty() { Ok(budget) } else { Err(found.0) }
    }
}

// === impl IncreaseDraft ===

impl IncreaseDraft {
    /// The increase of a budget, granted by somebody now.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn increase(&self, budget: &Budget, by: &str, wall_ms: u64) -> Result<Increase, Vec<Mistake>> {
        let mut found = Found::default();
        let amount = found.must("amount", self.amount.as_deref(), |text| match read_money("amount", text) {
            Ok(amount) if amount <= Money::ZERO => {
                Err(Mistake { member: "amount", text: "must be above zero".to_owned() })
            }
            read => read,
        });
        let from = found.may(self.from.as_deref(), |text| read_time("from", text)).unwrap_or(wall_ms);
        let until = found.must("until", self.until.as_deref(), |text| match read_time("until", text)? {
            until if until <= wall_ms.max(from) => {
                Err(Mistake { member: "until", text: "must lie ahead, and behind its begin".to_owned() })
            }
            until => Ok(until),
        });
        let reason = found.must("reason", self.reason.as_deref(), |text| match text.trim() {
            "" => Err(Mistake { member: "reason", text: "must say why".to_owned() }),
            text => Ok(text.to_owned()),
        });
        match (amount, until, reason) {
            (Some(amount), Some(until_ms), Some(reason)) if found.0.is_empty() => Ok(Increase {
                id: new_id("inc_"),
                budget: Arc::clone(&budget.id),
                amount,
                from_ms: from,
                until_ms,
                reason,
                by: by.to_owned(),
            }),
            _ => Err(found.0),
        }
    }
}

/// A new id of a budget.
pub fn new_budget_id() -> Arc<str> {
    new_id(PREFIX)
}

/// An id of 60 bits of chance.
fn new_id(prefix: &str) -> Arc<str> {
    const BASE_32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let chance = id::chance();
    let digits = (0..12).map(|place| char::from(BASE_32[(chance >> (place * 5)) as usize & 31]));
    prefix.chars().chain(digits).collect::<String>().into()
}

// === reading ===

/// What is wrong, so far.
#[derive(Default)]
pub(crate) struct Found(pub(crate) Vec<Mistake>);

impl Found {
    fn add(&mut self, member: &'static str, text: impl Into<String>) {
        self.0.push(Mistake { member, text: text.into() });
    }

    /// Reads what may be missing.
    pub(crate) fn may<T>(
        &mut self,
        text: Option<&str>,
        read: impl FnOnce(&str) -> Result<T, Mistake>,
    ) -> Option<T> {
        match read(text?) {
            Ok(value) => Some(value),
            Err(mistake) => {
                self.0.push(mistake);
                None
            }
        }
    }

    /// Reads what must be there.
    pub(crate) fn must<T>(
        &mut self,
        member: &'static str,
        text: Option<&str>,
        read: impl FnOnce(&str) -> Result<T, Mistake>,
    ) -> Option<T> {
        if text.is_none() {
            self.add(member, "is missing");
        }
        self.may(text, read)
    }
}

/// Values and patterns by dimension; keys by id or name.
pub(crate) fn read_selector(
    said: &BTreeMap<String, Vec<String>>,
    keys: &[Key],
    wall_ms: u64,
    found: &mut Found,
) -> Selector {
    let mut patterns = Vec::new();
    for (name, values) in said {
        let Some(dimension) = found.may(Some(name.as_str()), |text| dimension("selector", text)) else {
            continue;
        };
        if values.len() > MOST_VALUES {
            found.add("selector", format!("{name} has more than {MOST_VALUES} values"));
        }
        let mut read: Vec<Arc<str>> = Vec::new();
        for value in values {
            if dimension == Dimension::Key && !value.ends_with('*') {
                match find(keys, value, wall_ms) {
                    Some(key) => read.push(Arc::clone(&key.id)),
                    None => found.add("selector", format!("there is no key \"{}\"", short(value))),
                }
            } else {
                read.push(value.as_str().into());
            }
        }
        // Where keys were missing that was said already.
        if read.is_empty() && !values.is_empty() {
            continue;
        }
        patterns.push((dimension, read));
    }
    Selector::new(patterns)
}

fn read_name(text: &str) -> Result<Arc<str>, Mistake> {
    let length = text.chars().count();
    let odd = text.trim() != text || text.chars().any(char::is_control) || text.contains('/');
    if length == 0 || length > LONGEST_NAME || odd || text.starts_with(PREFIX) {
        let text = format!(
            "has 1 to {LONGEST_NAME} characters, no slash, no control character, no space at its ends, and does not begin with {PREFIX}"
        );
        return Err(Mistake { member: "name", text });
    }
    Ok(text.into())
}

/// Dollars.
///
/// # Errors
/// What is wrong, said of this member.
pub fn read_money(member: &'static str, text: &str) -> Result<Money, Mistake> {
    text.parse().map_err(|wrong: lockgate_core::money::NotMoney| Mistake { member, text: wrong.to_string() })
}

fn read_time(member: &'static str, text: &str) -> Result<u64, Mistake> {
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let at = text.parse::<Timestamp>().ok().or_else(|| Some(day()?.timestamp()));
    at.and_then(|at| u64::try_from(at.as_millisecond()).ok()).ok_or_else(|| Mistake {
        member,
        text: "must be a time such as 2027-01-31 or 2027-01-31T18:00:00Z".to_owned(),
    })
}

pub(crate) fn dimension(member: &'static str, text: &str) -> Result<Dimension, Mistake> {
    Dimension::from_code(text).ok_or_else(|| {
        let known: Vec<&str> = DIMENSIONS.iter().map(|dimension| dimension.code()).collect();
        let text = format!("\"{}\" is no dimension; there are {}", short(text), known.join(", "));
        Mistake { member, text }
    })
}

/// Enough of a text to know it by.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// An amount in JSON: text, as a number with decimals would not be exact everywhere; a whole number is.
fn amount<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    struct Amount;
    impl de::Visitor<'_> for Amount {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("dollars as text, such as \"12.50\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    from.deserialize_any(Amount)
}

#[cfg(test)]
mod tests {
    use lockgate_core::KeyHash;

    use super::*;

    fn draft(json: &str) -> Draft {
        serde_json::from_str(json).unwrap()
    }

    fn key() -> Key {
        Key {
            id: "key_1".into(),
            name: "checkout".into(),
            hint: String::new(),
            hash: KeyHash([0; 32]),
            created_ms: 0,
            expires_ms: None,
            revoked_ms: None,
            models: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    const WHOLE: &str = r#"{"name":"free","limit":"5.25","window":"month","zone":"Europe/Berlin","anchor":"15",
        "selector":{"key":["checkout"],"customer":["a","b*"]},"per":"customer","mode":"expected",
        "at_limit":"downgrade:small","soft":4,"thresholds":[50,80],"on_outage":"open"}"#;

    #[test]
    fn a_budget_is_read_and_written_alike() {
        let budget = draft(WHOLE).budget("bud_1", &[key()], 0).unwrap();
        assert_eq!(budget.limit, Money::from_nanos(5_250_000_000));
        assert_eq!(budget.soft, Some(Money::from_nanos(4_000_000_000)));
        let again = Draft::of(&budget);
        assert_eq!(again.selector["key"], ["key_1"], "keys are kept by their id");
        assert_eq!(again.budget("bud_1", &[key()], 0).unwrap(), budget);
        let json = serde_json::to_string(&again).unwrap();
        assert_eq!(draft(&json), again);
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let budget = draft(r#"{"name":"all","limit":"1","window":"day"}"#).budget("bud_1", &[], 0).unwrap();
        assert_eq!(
            (budget.mode, budget.at_limit, budget.on_outage),
            (Mode::Strict, AtLimit::Block, OnOutage::Closed)
        );
        assert_eq!((budget.per, budget.soft), (None, None));
    }

    #[test]
    fn all_mistakes_come_at_once_and_none_twice() {
        let members = |json| -> Vec<_> {
            draft(json)
                .budget("bud_1", &[key()], 0)
                .unwrap_err()
                .iter()
                .map(|mistake| mistake.member)
                .collect()
        };
        assert_eq!(members("{}"), ["window", "name", "limit"]);
        assert_eq!(
            members(
                r#"{"name":"bud_x","limit":"-1","window":"moon","selector":{"key":["chekout"],"who":["x"],"user":[]},
                "per":"all","mode":"loose","at_limit":"stop","soft":"x","thresholds":[0],"on_outage":"x"}"#
            ),
            [
                "window",
                "name",
                "selector",
                "selector",
                "per",
                "mode",
                "at_limit",
                "soft",
                "on_outage",
                "limit",
                "thresholds"
            ]
        );
    }

    #[test]
    fn amounts_are_text_or_whole_and_unknown_members_are_named() {
        let wrong = |json| serde_json::from_str::<Draft>(json).unwrap_err().to_string();
        assert!(wrong(r#"{"limit":0.1}"#).contains("dollars as text"));
        assert!(wrong(r#"{"limt":"1"}"#).contains("`limt`"));
    }

    #[test]
    fn an_increase_lies_ahead_and_has_a_reason() {
        let budget = draft(WHOLE).budget("bud_1", &[key()], 0).unwrap();
        let draft = |json: &str| serde_json::from_str::<IncreaseDraft>(json).unwrap();
        let good = draft(r#"{"amount":"20","until":"2026-12-01","reason":"launch"}"#);
        let increase = good.increase(&budget, "admin", 1_790_000_000_000).unwrap();
        assert_eq!((increase.from_ms, increase.until_ms), (1_790_000_000_000, 1_796_083_200_000));
        assert!(increase.id.starts_with("inc_") && increase.id != new_id("inc_"));
        let members = |json| -> Vec<_> {
            draft(json)
                .increase(&budget, "a", 1_790_000_000_000)
                .unwrap_err()
                .iter()
                .map(|m| m.member)
                .collect()
        };
        assert_eq!(members("{}"), ["amount", "until", "reason"]);
        assert_eq!(
            members(r#"{"amount":"0","until":"2001-01-01","reason":" "}"#),
            ["amount", "until", "reason"]
        );
        assert_eq!(
            members(r#"{"amount":"1","from":"soon","until":"never","reason":"x"}"#),
            ["from", "until"]
        );
    }
}
