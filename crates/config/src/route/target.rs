//! What a branch of a route ends in: a model at a provider, or a pattern for models.

use std::fmt;

use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::diagnostic::Complaint;
use crate::document::Node;
use crate::setting::{Setting, Shape};

/// A model at a provider; written `PROVIDER/MODEL`, where the model may contain slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The name of a provider that exists.
    pub provider: String,
    /// The provider's own name for the model.
    pub model: String,
}

/// Every known model that fits; written as a target with `*` for any text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wildcard {
    /// The provider's name, or a pattern for names.
    pub provider: String,
    /// The model's name, or a pattern for names.
    pub model: String,
}

/// The pattern of a target in the schema.
pub(crate) const PATTERN: &str = "^[^/]+/.+$";

/// Whether a name fits a pattern, in which `*` stands for any text, also for none.
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| name.strip_prefix(start)) else { return false };
    let Some(end) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(end)
}

/// The two halves of `PROVIDER/MODEL`.
pub(crate) fn halves(text: &str) -> Result<(String, String), Complaint> {
    match text.split_once('/') {
        Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
            Ok((provider.to_owned(), model.to_owned()))
        }
        _ => Err(Complaint::new("is not a target").hint("write PROVIDER/MODEL, such as openai/gpt-4.1")),
    }
}

// === impl Target ===

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl Setting for Target {
    fn shape() -> Shape {
        Shape::plain("`PROVIDER/MODEL`", json!({ "type": "string", "pattern": PATTERN }))
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let target = cx.parse(node, "a target", |text| {
            let (provider, model) = halves(text)?;
            Ok(Self { provider, model })
        })?;
        cx.mention(&target.provider, node);
        Some(target)
    }

    fn spell(&self) -> Json {
        self.to_string().into()
    }
}

// === impl Wildcard ===

impl fmt::Display for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl Wildcard {
    /// Whether a model at a provider fits.
    pub fn fits(&self, provider: &str, model: &str) -> bool {
        fits(&self.provider, provider) && fits(&self.model, model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in
            [("*", ""), ("gpt-*", "gpt-5"), ("*-mini", "gpt-5-mini"), ("g*5*i", "gpt-5-mini"), ("a**b", "ab")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("gpt", "gpt-5"), ("gpt-*", "gp"), ("a*b*a", "aba-"), ("ab*ba", "aba"), ("", "a")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
