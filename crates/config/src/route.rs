//! `routes`: names that clients use as a model, and the targets they stand for.

use std::fmt;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::declare::settings;
use crate::diagnostic::{Complaint, did_you_mean, quoted};
use crate::document::{Node, Value};
use crate::setting::{Place, Setting, Shape};

const STEP: Duration = Duration::from_millis(10);
const DAY: Duration = Duration::from_secs(86_400);

/// A model at a provider; written `PROVIDER/MODEL`, where the model may contain slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The name of a provider that exists.
    pub provider: String,
    /// The provider's own name for the model.
    pub model: String,
}

/// How a route picks among its targets. There is always at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// The first one that answers, tried in this order. Written as a list, or `ordered:` and a list.
    Ordered(Vec<Target>),
}

settings! {
    /// A model name of your own. A list of targets is short for `use` alone.
    pub struct Route named name by refuse_name, shorthand "use" {
        /// The targets, `PROVIDER/MODEL` each, in the order of preference.
        targets as "use": Use = Use::Ordered(Vec::new()) => required;
        /// Further rounds over the targets after all of them have failed.
        retries: u8 = 1, within 0..=10;
        /// Time for one attempt at a target; the provider's own limits hold besides.
        attempt_timeout: Option<Duration> = None, shown "none", within Some(STEP)..=Some(DAY);
        /// Time for the whole request over all attempts.
        timeout: Option<Duration> = None, shown "none", within Some(STEP)..=Some(DAY);
    }
}

/// What is wrong with a route's name.
fn refuse_name(name: &str) -> Option<Complaint> {
    const LONGEST: usize = 128;
    if name.contains('/') {
        let complaint = Complaint::new("a route's name cannot contain \"/\"");
        return Some(complaint.hint("names with a slash are PROVIDER/MODEL"));
    }
    let good =
        (1..=LONGEST).contains(&name.len()) && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    (!good).then(|| Complaint::new(format!("a route's name has 1 to {LONGEST} bytes and no white space")))
}

// === impl Target ===

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl Target {
    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[^/]+/.+$" })
    }
}

impl Setting for Target {
    fn shape() -> Shape {
        Shape::plain("`PROVIDER/MODEL`", Self::schema())
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let target = cx.parse(node, "a target", |text| match text.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                Ok(Self { provider: provider.to_owned(), model: model.to_owned() })
            }
            _ => Err(Complaint::new("is not a target").hint("write PROVIDER/MODEL, such as openai/gpt-4.1")),
        })?;
        cx.mention(&target.provider, node);
        Some(target)
    }

    fn spell(&self) -> Json {
        self.to_string().into()
    }
}

// === impl Use ===

impl Use {
    fn ordered(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let targets = Vec::<Target>::read(node, cx)?;
        if targets.is_empty() {
            cx.error(node.at, Complaint::new("needs at least one target"));
        }
        Some(Self::Ordered(targets))
    }
}

impl Setting for Use {
    fn shape() -> Shape {
        let list = json!({ "type": "array", "items": Target::schema(), "minItems": 1 });
        let ordered = json!({
            "type": "object", "properties": { "ordered": list }, "required": ["ordered"], "additionalProperties": false,
        });
        Shape::plain(
            "list of targets, or `ordered:` and a list of targets",
            json!({ "anyOf": [list, ordered] }),
        )
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        const ORDERED: &str = "ordered";
        let Value::Map(entries) = &node.value else { return Self::ordered(node, cx) };
        let [entry] = entries.as_slice() else {
            cx.error(node.at, Complaint::new("expected one strategy").hint("write \"ordered:\" and a list"));
            return None;
        };
        if entry.key == ORDERED {
            return cx.inside(Place::Key(ORDERED.to_owned()), |cx| Self::ordered(&entry.value, cx));
        }
        let hint =
            did_you_mean(&entry.key, [ORDERED]).or_else(|| Some("the strategies are: ordered".to_owned()));
        let message = format!("{} is not a strategy", quoted(&entry.key));
        cx.error(entry.at, Complaint { message, hint });
        None
    }

    fn spell(&self) -> Json {
        let Self::Ordered(targets) = self;
        targets.spell()
    }
}
