//! `tests`: requests, and what is to become of them. `lockgate check` runs them, so that a route is reviewed like code.

use std::time::Duration;

use lockgate_core::{Exclusion, Kind};
use serde_json::{Map, Value as Json, json};

use crate::context::Context;
use crate::decimal::Percent;
use crate::declare::{choices, settings};
use crate::diagnostic::{Complaint, did_you_mean, quoted};
use crate::document::{Node, Value};
use crate::policy::refuse_name;
use crate::route::target::Target;
use crate::setting::{Fields, Place, Setting, Shape};

settings! {
    /// A request, the state that it meets, and what is expected.
    pub struct Case named name by refuse_name {
        /// The body of the request, at least its `model`.
        request: Body => required;
        /// The dialect that the body is in.
        dialect: String = "openai.chat".to_owned();
        /// Headers of the request, in lower case; those of attribution are better written as below.
        headers: Pairs;
        /// The name of the key that is shown.
        key: Option<String> = None, shown "none";
        /// The metadata of that key.
        metadata: Pairs;
        /// The team.
        team: Option<String> = None, shown "none";
        /// The customer.
        customer: Option<String> = None, shown "none";
        /// The project.
        project: Option<String> = None, shown "none";
        /// The user.
        user: Option<String> = None, shown "none";
        /// The feature.
        feature: Option<String> = None, shown "none";
        /// The session.
        session: Option<String> = None, shown "none";
        /// The tags.
        tags: Vec<String>;
        /// The hour that it is asked in, in UTC: a date and a time such as `2026-11-22T08:30:00Z`.
        at: Option<String> = None, shown "2026-01-01T12:00:00Z";
        /// How targets do; of what is not named nothing is known yet.
        state: States;
        /// What is to become of it.
        expect: Expect => required;
    }
}

settings! {
    /// How a target does.
    pub struct CaseState {
        /// Its breaker.
        breaker: CaseBreaker = CaseBreaker::Closed;
        /// Its time to first token.
        first_token: Option<Duration> = None, shown "not known";
        /// Its output tokens a second.
        tokens_per_second: Option<u32> = None, shown "not known", within Some(1)..=Some(1_000_000);
        /// How many of its last hundred calls succeeded.
        success: Option<Percent> = None, shown "not known", within Some(Percent(0))..=Some(Percent(1_000_000));
        /// Requests under way at it.
        in_flight: u32 = 0;
        /// Whether its provider limits the rate for now.
        rate_limited: bool = false;
    }
}

settings! {
    /// What is expected of a decision; at least one thing.
    pub struct Expect, check Expect::check {
        /// The target that is called first.
        winner: Option<Target> = None, shown "any";
        /// The first targets, in the order in which they are called.
        order: Vec<Target>;
        /// Targets that must not be called, each with why (`any` for whatever reason).
        excluded: Exclusions;
        /// The rule that is fulfilled; `none` for none.
        rule: Option<String> = None, shown "any";
        /// The error that the request ends in.
        error: Option<KindName> = None, shown "none";
    }
}

choices! {
    /// The state of a breaker.
    pub enum CaseBreaker {
        /// Calls pass.
        Closed = "closed",
        /// No call passes.
        Open = "open",
    }
}

/// A JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body(pub Map<String, Json>);

/// Texts by name, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairs(pub Vec<(String, String)>);

/// States of targets, in the order of the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct States(pub Vec<(Target, CaseState)>);

/// Targets with the code of their exclusion; `None` for any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exclusions(pub Vec<(Target, Option<Exclusion>)>);

/// A kind of error, by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindName(pub Kind);

// === reading ===

impl Expect {
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        let said = ["winner", "order", "excluded", "rule", "error"].into_iter().any(|field| from.has(field));
        if !said {
            let complaint = Complaint::new("expects nothing");
            cx.error(from.at("winner"), complaint.hint("add winner, order, excluded, rule or error"));
        }
        if self.error.is_some() && (self.winner.is_some() || !self.order.is_empty()) {
            let complaint = Complaint::new("a request that ends in an error has no winner");
            cx.inside(Place::Key("error".to_owned()), |cx| cx.error(from.at("error"), complaint));
        }
    }
}

/// A value as YAML means it: plain words are truth values, numbers or nothing, where they look so.
fn value(node: &Node) -> Json {
    match &node.value {
        Value::Broken | Value::Null => Json::Null,
        Value::List(items) => items.iter().map(value).collect(),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), value(&entry.value))).collect())
        }
        Value::Text(scalar) if scalar.quoted => scalar.text.as_str().into(),
        Value::Text(scalar) => match scalar.text.as_str() {
            "true" => true.into(),
            "false" => false.into(),
            text => match serde_json::from_str::<Json>(text) {
                Ok(number @ Json::Number(_)) => number,
                _ => text.into(),
            },
        },
    }
}

impl Setting for Body {
    fn shape() -> Shape {
        let schema = json!({ "type": "object", "properties": { "model": { "type": "string" } } });
        Shape::plain("body of a request", schema)
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.named(node)?;
        match value(node) {
            Json::Object(members) => Some(Self(members)),
            _ => Some(Self::default()),
        }
    }

    fn spell(&self) -> Json {
        Json::Object(self.0.clone())
    }
}

impl Setting for Pairs {
    fn shape() -> Shape {
        let schema = json!({ "type": ["object", "null"], "additionalProperties": { "type": "string" } });
        Shape::plain("mapping of name to text", schema)
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let mut pairs = Vec::new();
        for entry in cx.named(node)? {
            let value = cx.inside(Place::Key(entry.key.clone()), |cx| String::read(&entry.value, cx));
            pairs.extend(value.map(|value| (entry.key.clone(), value)));
        }
        Some(Self(pairs))
    }

    fn spell(&self) -> Json {
        json!({})
    }
}

/// The lines of a mapping whose keys are targets.
fn by_target<T>(
    node: &Node,
    cx: &mut Context<'_>,
    mut read: impl FnMut(&Node, &mut Context<'_>) -> Option<T>,
) -> Option<Vec<(Target, T)>> {
    let mut found = Vec::new();
    for entry in cx.named(node)? {
        cx.inside(Place::Key(entry.key.clone()), |cx| {
            let key = Node { at: entry.at, value: Value::plain(&entry.key) };
            let target = Target::read(&key, cx);
            let value = read(&entry.value, cx);
            found.extend(target.zip(value));
        });
    }
    Some(found)
}

impl Setting for States {
    fn shape() -> Shape {
        Shape::Named(Box::new(CaseState::shape()))
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        by_target(node, cx, CaseState::read).map(Self)
    }

    fn spell(&self) -> Json {
        json!({})
    }
}

/// The word for any reason.
const ANY: &str = "any";

impl Setting for Exclusions {
    fn shape() -> Shape {
        let codes: Vec<&str> = Exclusion::ALL.iter().map(|code| code.code()).chain([ANY]).collect();
        let schema = json!({ "type": ["object", "null"], "additionalProperties": { "enum": codes } });
        Shape::plain("mapping of target to exclusion", schema)
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        by_target(node, cx, |node, cx| {
            cx.parse(node, "the code of an exclusion", |text| {
                if text == ANY {
                    return Ok(None);
                }
                Exclusion::from_code(text).map(Some).ok_or_else(|| {
                    let codes = || Exclusion::ALL.iter().map(|code| code.code());
                    let all =
                        || format!("the codes are {} and {ANY}", codes().collect::<Vec<_>>().join(", "));
                    Complaint::new("is not the code of an exclusion")
                        .hint(did_you_mean(text, codes()).unwrap_or_else(all))
                })
            })
        })
        .map(Self)
    }

    fn spell(&self) -> Json {
        json!({})
    }
}

impl Setting for KindName {
    fn shape() -> Shape {
        let codes: Vec<&str> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        Shape::plain("kind of error", json!({ "enum": codes }))
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "a kind of error", |text| {
            Kind::from_code(text).map(Self).ok_or_else(|| {
                let complaint = Complaint::new("is not a kind of error");
                let hint = did_you_mean(text, Kind::ALL.iter().map(|kind| kind.code()));
                complaint.hint(hint.unwrap_or_else(|| format!("such as {}", quoted(Kind::NoTarget.code()))))
            })
        })
    }

    fn spell(&self) -> Json {
        self.0.code().into()
    }
}
