//! `use`: how a route picks among models. Strategies stand in each other as deep as one likes.
//!
//! A branch is a target, a pattern for models, a list of branches in order, or a mapping with the name of one strategy.
//! Each strategy is one line in [`STRATEGIES`].

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::context::Context;
use crate::decimal::Factor;
use crate::declare::{choices, settings};
use crate::diagnostic::{Complaint, did_you_mean, quoted};
use crate::document::{Node, Value};
use crate::route::score::Score;
use crate::route::target::{PATTERN, Target, Wildcard, halves};
use crate::setting::{Field, Fields, Place, Setting, Shape};

/// How a route, or a branch of one, picks. No list in it is empty.
#[derive(Debug, Clone, PartialEq)]
pub enum Use {
    /// One model at one provider.
    Target(Target),
    /// Every known model that fits.
    Wildcard(Wildcard),
    /// The first that answers, in this order. Written as a list, or `ordered:` and a list.
    Ordered(Vec<Self>),
    /// By lot.
    Weighted(Vec<Share>),
    /// The cheapest for the request first.
    Cost(Vec<Self>),
    /// The one that is expected to answer soonest first.
    Latency(Box<Latency>),
    /// The one with the fewest requests under way first.
    LeastBusy(Vec<Self>),
    /// The one with the best score first.
    Score(Box<Score>),
    /// By how hard the request looks.
    Complexity(Box<Complexity>),
    /// The same one for the same caller.
    Sticky(Box<Sticky>),
    /// As another route does; its name.
    Route(String),
}

settings! {
    /// A branch and how often it is drawn.
    pub struct Share, listed in_order, check Share::check {
        /// What is drawn.
        branch as "use": Use => required;
        /// Its weight; it is drawn as often as its share of all weights says.
        weight: Factor => required;
    }
}

settings! {
    /// Branches by how hard a request looks, from 0 to 1. Behind the branch of its degree come the harder ones, then the easier.
    pub struct Complexity, check Complexity::check {
        /// For simple requests.
        simple: Use => required;
        /// For those between.
        medium: Option<Use> = None, shown "`complex`";
        /// For complex requests.
        complex: Use => required;
        /// Up to here a request is simple.
        simple_below: Factor = Factor(330_000), within Factor(1)..=Factor::ONE;
        /// From here on it is complex.
        complex_from: Factor = Factor(660_000), within Factor(1)..=Factor::ONE;
    }
}

settings! {
    /// The one that is expected to answer soonest first. A list is short for `candidates` alone.
    pub struct Latency, shorthand "candidates", check Latency::check {
        /// What is compared.
        candidates: Vec<Use> => required;
        /// Which time counts.
        by: LatencyBy = LatencyBy::Whole;
    }
}

settings! {
    /// One choice for one caller, kept.
    pub struct Sticky {
        /// Who keeps a choice.
        by: StickyBy = StickyBy::Session;
        /// How long it is kept after it was last used.
        keep: Option<Duration> = None, shown "as long as the provider's prompt cache keeps a prompt, or 5m", within Some(Duration::from_secs(1))..=Some(Duration::from_secs(30 * 86_400));
        /// What is chosen from.
        branch as "use": Use => required;
    }
}

choices! {
    /// Who keeps a choice.
    pub enum StickyBy {
        /// A conversation or agent run.
        Session = "session",
        /// The person at the end.
        User = "user",
        /// The tenant of our tenant.
        Customer = "customer",
        /// A virtual key.
        Key = "key",
    }
}

choices! {
    /// Which time counts.
    pub enum LatencyBy {
        /// To the end of a typical answer.
        Whole = "whole",
        /// To the first token.
        FirstToken = "first_token",
    }
}

/// A strategy as it is written: its name, what it does, what may stand behind its name.
struct Strategy {
    name: &'static str,
    about: &'static str,
    shape: fn() -> Shape,
    read: fn(&Node, &mut Context<'_>) -> Option<Use>,
}

/// All strategies. A new one is one line here.
const STRATEGIES: &[Strategy] = &[
    Strategy {
        name: "ordered",
        about: "The first that answers, in this order.",
        shape: Vec::<Use>::shape,
        read: |node, cx| branches(node, cx).map(Use::Ordered),
    },
    Strategy {
        name: "weighted",
        about: "By lot: a mapping of targets to weights, or a list of `use` and `weight`. The others follow by lot.",
        shape: weighted_shape,
        read: |node, cx| weighted(node, cx).map(Use::Weighted),
    },
    Strategy {
        name: "cost",
        about: "The cheapest for the request first, by its estimated tokens and what is read from the prompt cache.",
        shape: Vec::<Use>::shape,
        read: |node, cx| branches(node, cx).map(Use::Cost),
    },
    Strategy {
        name: "latency",
        about: "The one first that is expected to answer soonest, by its own recent times.",
        shape: Latency::shape,
        read: |node, cx| Latency::read(node, cx).map(|latency| Use::Latency(Box::new(latency))),
    },
    Strategy {
        name: "least-busy",
        about: "The one with the fewest requests under way first.",
        shape: Vec::<Use>::shape,
        read: |node, cx| branches(node, cx).map(Use::LeastBusy),
    },
    Strategy {
        name: "score",
        about: "The best first, by weighted benchmarks, cost, latency and reliability.",
        shape: Score::shape,
        read: |node, cx| Score::read(node, cx).map(|score| Use::Score(Box::new(score))),
    },
    Strategy {
        name: "complexity",
        about: "By how hard the request looks, from 0 to 1.",
        shape: Complexity::shape,
        read: |node, cx| Complexity::read(node, cx).map(|degrees| Use::Complexity(Box::new(degrees))),
    },
    Strategy {
        name: "sticky",
        about: "The same for the same caller.",
        shape: Sticky::shape,
        read: |node, cx| Sticky::read(node, cx).map(|sticky| Use::Sticky(Box::new(sticky))),
    },
    Strategy {
        name: "route",
        about: "As another route does, with its conditions; what that route does not set holds as set here.",
        shape: || Shape::text("route"),
        read: |node, cx| {
            let name = cx.text(node, "the name of a route")?.text.clone();
            cx.mention_route(&name, node);
            Some(Use::Route(name))
        },
    },
];

// === reading ===

/// A list of branches that is not empty.
pub(crate) fn branches(node: &Node, cx: &mut Context<'_>) -> Option<Vec<Use>> {
    let branches = Vec::<Use>::read(node, cx)?;
    if branches.is_empty() {
        cx.error(node.at, Complaint::new("needs at least one target"));
    }
    Some(branches)
}

fn weighted_shape() -> Shape {
    let share = json!({ "type": "number", "exclusiveMinimum": 0 });
    let by_name = json!({ "type": "object", "minProperties": 1, "additionalProperties": share });
    let listed = json!({
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": { "use": { "$ref": format!("#/$defs/{NAME}") }, "weight": share },
            "required": ["use", "weight"],
            "additionalProperties": false,
        },
    });
    Shape::plain(
        "mapping of target to weight, or list of `use` and `weight`",
        json!({ "anyOf": [by_name, listed] }),
    )
}

fn weighted(node: &Node, cx: &mut Context<'_>) -> Option<Vec<Share>> {
    let shares = match &node.value {
        Value::Map(entries) => {
            let mut shares = Vec::new();
            for entry in entries.iter() {
                cx.inside(Place::Key(entry.key.clone()), |cx| {
                    let key = Node { at: entry.at, value: Value::plain(&entry.key) };
                    let branch = Use::read(&key, cx);
                    let weight = Factor::read(&entry.value, cx);
                    if let (Some(branch), Some(weight)) = (branch, weight) {
                        if weight.0 == 0 {
                            cx.error(entry.value.at, not_positive());
                        }
                        shares.push(Share { branch, weight });
                    }
                });
            }
            shares
        }
        _ => Vec::<Share>::read(node, cx)?,
    };
    if matches!(&node.value, Value::Map(entries) if entries.is_empty())
        || shares.is_empty() && is_empty_list(node)
    {
        cx.error(node.at, Complaint::new("needs at least one target"));
    }
    Some(shares)
}

fn is_empty_list(node: &Node) -> bool {
    matches!(&node.value, Value::List(items) if items.is_empty())
}

fn not_positive() -> Complaint {
    Complaint::new("a weight must be larger than 0").hint("leave out what is never to be used")
}

/// Complains if a list that is there holds nothing.
pub(crate) fn refuse_empty(field: &'static str, list: &[Use], from: &Fields<'_>, cx: &mut Context<'_>) {
    if list.is_empty() && from.has(field) {
        let complaint = Complaint::new("needs at least one target");
        cx.inside(Place::Key(field.to_owned()), |cx| cx.error(from.at(field), complaint));
    }
}

impl Latency {
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        refuse_empty("candidates", &self.candidates, from, cx);
    }
}

impl Complexity {
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        if self.simple_below > self.complex_from {
            let field = if from.has("simple_below") { "simple_below" } else { "complex_from" };
            let complaint = Complaint::new("simple_below is larger than complex_from");
            cx.inside(Place::Key(field.to_owned()), |cx| cx.error(from.at(field), complaint));
        }
    }
}

impl Share {
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        if self.weight.0 == 0 && from.has("weight") {
            cx.inside(Place::Key("weight".to_owned()), |cx| cx.error(from.at("weight"), not_positive()));
        }
    }
}

// === impl Use ===

/// Its name among the definitions of the schema.
pub(crate) const NAME: &str = "strategy";

impl Default for Use {
    fn default() -> Self {
        Self::Ordered(Vec::new())
    }
}

impl Use {
    /// The schema of a branch, which the schemas of strategies refer to.
    pub(crate) fn definition(of_shape: impl Fn(&Shape) -> Json) -> Json {
        let branch = json!({ "$ref": format!("#/$defs/{NAME}") });
        let properties: Map<String, Json> = STRATEGIES
            .iter()
            .map(|strategy| {
                let mut schema = of_shape(&(strategy.shape)());
                schema["description"] = strategy.about.into();
                (strategy.name.to_owned(), schema)
            })
            .collect();
        json!({
            "description": "A target, a pattern for models, a list of branches in order, or one strategy.",
            "anyOf": [
                { "type": "string", "pattern": PATTERN },
                { "type": "array", "items": branch, "minItems": 1 },
                {
                    "type": "object",
                    "properties": properties,
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": false,
                },
                { "$ref": "#/$defs/variable" },
            ],
        })
    }

    fn fields() -> Vec<Field> {
        let fields = STRATEGIES.iter().map(|strategy| Field {
            name: strategy.name,
            about: strategy.about,
            shape: (strategy.shape)(),
            default: Some(Json::Null),
            shown: None,
            bounds: None,
        });
        fields.collect()
    }

    fn leaf(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let (provider, model) = cx.parse(node, "a target", |text| {
            halves(text).map_err(|complaint| {
                let hint = "write PROVIDER/MODEL, such as openai/gpt-4.1; another route is { route: NAME }";
                complaint.hint(hint)
            })
        })?;
        if !provider.contains('*') {
            cx.mention(&provider, node);
        }
        if provider.contains('*') || model.contains('*') {
            return Some(Self::Wildcard(Wildcard { provider, model }));
        }
        Some(Self::Target(Target { provider, model }))
    }
}

impl Setting for Use {
    fn shape() -> Shape {
        Shape::Defined { word: "branch", name: NAME, fields: Self::fields }
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) => entries,
            Value::List(_) => return branches(node, cx).map(Self::Ordered),
            Value::Text(_) => return Self::leaf(node, cx),
            _ => {
                cx.mismatch(node, "a target, a list of them, or a strategy");
                return None;
            }
        };
        let names = || STRATEGIES.iter().map(|strategy| strategy.name);
        let list = || format!("the strategies are: {}", names().collect::<Vec<_>>().join(", "));
        let [entry] = entries.as_slice() else {
            cx.error(node.at, Complaint::new("expected one strategy").hint(list()));
            return None;
        };
        if let Some(strategy) = STRATEGIES.iter().find(|strategy| strategy.name == entry.key) {
            return cx.inside(Place::Key(entry.key.clone()), |cx| (strategy.read)(&entry.value, cx));
        }
        let message = format!("{} is not a strategy", quoted(&entry.key));
        let hint = did_you_mean(&entry.key.replace('_', "-"), names()).or_else(|| Some(list()));
        cx.error(entry.at, Complaint { message, hint });
        None
    }

    /// Only defaults are ever spelled, and none of them has a strategy.
    fn spell(&self) -> Json {
        Json::Null
    }
}
