//! `when`: conditions that send a request to a branch, and the text of a condition.

use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::declare::settings;
use crate::diagnostic::{Complaint, Position};
use crate::document::{Node, Value};
use crate::route::strategy::Use;
use crate::setting::{Setting, Shape};

settings! {
    /// A condition, and what the requests use that fulfil it.
    pub struct Rule, listed in_order {
        /// What it is called in decisions.
        name: Option<String> = None, shown "`rule N`, from 1";
        /// The condition.
        condition as "if": Condition => required;
        /// What requests use that fulfil it.
        branch as "use": Use => required;
        /// What a request uses for which the condition cannot be evaluated; that is counted as an incident.
        on_error: Option<Use> = None, shown "the route's `on_error`";
    }
}

/// An expression in CEL that is true or false of a request. It was checked when the file was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition(pub String);

/// Something that is wrong with a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionFault {
    /// Where in its text, in characters from 0.
    pub at: usize,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Setting for Condition {
    fn shape() -> Shape {
        Shape::plain("condition", json!({ "type": ["string", "boolean"] }))
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let scalar = cx.text(node, "a condition")?;
        let Value::Text(shared) = &node.value else { return None };
        let faults = (cx.known.conditions)(&scalar.text);
        // What came from the environment is not shown, and has no place in the file.
        let in_place = !scalar.from_environment && !scalar.text.contains('\n');
        for ConditionFault { at, message, hint } in faults {
            let column = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(u32::from(shared.quoted));
            let place = if in_place {
                Position { line: node.at.line, column: node.at.column.saturating_add(column) }
            } else {
                node.at
            };
            let complaint = if scalar.from_environment {
                Complaint::new(format!("{} is no condition", scalar.shown()))
            } else {
                Complaint { message, hint }
            };
            cx.error(place, complaint);
        }
        Some(Self(scalar.text.clone()))
    }

    fn spell(&self) -> Json {
        self.0.as_str().into()
    }
}
