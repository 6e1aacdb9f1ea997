//! What may be used by whom.

mod rules;

use std::fmt;
use std::sync::Arc;

use lockgate_core::record::Target;

use crate::ask::Ask;
use crate::view::Facts;

pub use crate::policy::rules::{Audience, Policies, PolicyRule, Selection};

/// The policies of a snapshot.
pub trait Policy: Send + Sync + fmt::Debug {
    /// Whether any policy concerns the request. Where none does, nothing is asked target by target, and a plain route costs
    /// nothing more.
    fn concerns(&self, ask: &Ask<'_>) -> bool;

    /// Whether a target may be used for the request.
    fn judge(&self, ask: &Ask<'_>, target: &Target, facts: &Facts) -> Judgement;
}

/// What policies say of a target. Whatever blocks it wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing speaks against it.
    Allowed,
    /// The policy of this name forbids it.
    Blocked(Arc<str>),
    /// The policy of this name, on trial, would forbid it.
    OnTrial(Arc<str>),
}
