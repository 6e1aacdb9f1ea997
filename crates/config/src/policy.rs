//! `policies`: who may use what. A refusal wins over every permission.

use crate::context::Context;
use crate::declare::{choices, settings};
use crate::diagnostic::{Complaint, quoted};
use crate::document::Node;
use crate::route::demand::{Regions, Require};
use crate::route::when::Condition;
use crate::setting::{Fields, Setting, Shape};

settings! {
    /// What some callers, or all, may use. Every policy that applies must be fulfilled; what one refuses no other permits.
    pub struct Policy named name by refuse_name, check Policy::check {
        /// Whom it applies to. All that is named must fit; without it: everybody.
        audience as "for": Audience;
        /// A further condition on the request; where it cannot be evaluated, the policy applies.
        condition as "if": Option<Condition> = None, shown "none";
        /// Nothing but this may be used.
        allow: Selection;
        /// This may not be used.
        deny: Selection;
        /// What must hold of whatever is used: data handling, region, price.
        require: Require;
        /// Whether it is in force.
        mode: PolicyMode = PolicyMode::Enforce;
    }
}

settings! {
    /// Callers, by what is known of them. `*` stands for any text. What is empty fits everybody.
    pub struct Audience {
        /// Names or ids of virtual keys.
        keys: Vec<String>;
        /// Teams.
        teams: Vec<String>;
        /// Projects.
        projects: Vec<String>;
        /// Customers.
        customers: Vec<String>;
        /// Users.
        users: Vec<String>;
        /// Features.
        features: Vec<String>;
        /// Tags, of which the request has one at least.
        tags: Vec<String>;
    }
}

settings! {
    /// Models, providers and regions. `*` stands for any text.
    pub struct Selection {
        /// `PROVIDER/MODEL`; of models that any provider has, `*/MODEL`.
        models: Vec<ModelPattern>;
        /// Providers.
        providers: Vec<String>;
        /// Regions. A region holds those that begin with it and a dash.
        regions: Regions;
    }
}

choices! {
    /// Whether a policy is in force.
    pub enum PolicyMode {
        /// What it refuses is not used.
        Enforce = "enforce",
        /// What it would refuse is written into the record, and used.
        Shadow = "shadow",
    }
}

/// `PROVIDER/MODEL`, where `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPattern(pub String);

/// What is wrong with the name of a policy, or of a test.
pub(crate) fn refuse_name(name: &str) -> Option<Complaint> {
    const LONGEST: usize = 128;
    let good = (1..=LONGEST).contains(&name.len()) && !name.contains(char::is_control);
    (!good).then(|| Complaint::new(format!("a name has 1 to {LONGEST} bytes and no control characters")))
}

impl Selection {
    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty() && self.providers.is_empty() && self.regions.0.is_empty()
    }
}

impl Policy {
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        if !["allow", "deny", "require"].into_iter().any(|field| from.has(field)) {
            let complaint = Complaint::new("refuses nothing");
            cx.warn(from.at("for"), complaint.hint("add allow, deny or require"));
        }
    }
}

impl Setting for ModelPattern {
    fn shape() -> Shape {
        Shape::plain("`PROVIDER/MODEL`", serde_json::json!({ "type": "string", "pattern": "^[^/]+/.+$" }))
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "a model", |text| match text.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => Ok(Self(text.to_owned())),
            _ => {
                let message = "is not a model of a provider".to_owned();
                let hint = format!(
                    "write PROVIDER/MODEL, such as openai/*; of any provider: {}",
                    quoted(&format!("*/{text}"))
                );
                Err(Complaint::new(message).hint(hint))
            }
        })
    }

    fn spell(&self) -> serde_json::Value {
        self.0.as_str().into()
    }
}
