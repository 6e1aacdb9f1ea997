//! What a route or a policy demands of whoever answers: `require`.

use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::decimal::Dollars;
use crate::declare::settings;
use crate::diagnostic::Complaint;
use crate::document::{Node, Value};
use crate::model::Ability;
use crate::setting::{Fields, Place, Setting, Shape};

settings! {
    /// What must hold of whatever answers. What is not known of it counts as not holding.
    pub struct Require, check Require::check {
        /// Where it must work: regions such as `eu` or `eu-west-1`. A region holds those that begin with it and a dash.
        region: Regions;
        /// Whether it may keep nothing of a request, as its provider's `zero_retention` says.
        zero_retention: bool = false;
        /// Whether it may train on nothing of a request, as its provider's `training` says.
        no_training: bool = false;
        /// What it must be able to do.
        capabilities: Vec<Ability>;
        /// The most that it may cost.
        max_price: MaxPrice;
        /// Tokens of input and output that must fit at least.
        context: Option<u32> = None, shown "none", within Some(1)..=Some(u32::MAX);
    }
}

settings! {
    /// The highest list prices that are accepted. A model whose price is not known is not.
    pub struct MaxPrice {
        /// Dollars per million input tokens.
        input: Option<Dollars> = None, shown "any", within Some(Dollars(0))..=Some(Dollars(1_000_000_000_000_000));
        /// Dollars per million output tokens.
        output: Option<Dollars> = None, shown "any", within Some(Dollars(0))..=Some(Dollars(1_000_000_000_000_000));
        /// Dollars for the request as it is estimated.
        request: Option<Dollars> = None, shown "any", within Some(Dollars(0))..=Some(Dollars(1_000_000_000_000_000));
    }
}

/// Names of regions, in lower case; written as one or as a list. Empty: any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Regions(pub Vec<String>);

impl Require {
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        let free = [Ability::SystemMessages, Ability::ToolChoice];
        for ability in self.capabilities.iter().filter(|ability| free.contains(ability)) {
            let complaint = Complaint::new(format!("{} cannot be demanded", ability.as_str()));
            let complaint =
                complaint.hint("the gateway says a request so that every model of conversation takes it");
            cx.inside(Place::Key("capabilities".to_owned()), |cx| {
                cx.error(from.at("capabilities"), complaint);
            });
        }
    }
}

/// The name of a region in lower case.
fn region(text: &str) -> Result<String, Complaint> {
    let good = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !good {
        return Err(Complaint::new("is not a region").hint("write it like eu, us or eu-west-1"));
    }
    Ok(text.to_ascii_lowercase())
}

impl Setting for Regions {
    fn shape() -> Shape {
        let one = json!({ "type": "string", "pattern": "^[A-Za-z0-9-]{1,64}$" });
        let list = json!({ "type": "array", "items": one });
        Shape::plain("region, or list of regions", json!({ "anyOf": [one, list] }))
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            Value::Text(_) => cx.parse(node, "a region", region).map(|region| Self(vec![region])),
            _ => {
                let nodes = cx.list(node)?;
                let regions: Vec<_> = nodes.iter().map(|node| cx.parse(node, "a region", region)).collect();
                regions.into_iter().collect::<Option<_>>().map(Self)
            }
        }
    }

    fn spell(&self) -> Json {
        json!(self.0)
    }
}
