//! What may be used by whom.

mod rules;

use std::fmt;
use std::sync::Arc;

use lockgate_core::decision::Incident;
use lockgate_core::record::Target;

use crate::ask::Ask;
use crate::view::Facts;

pub use crate::policy::rules::{Audience, Policies, PolicyRule, Selection};

/// The policies of a snapshot.
pub trait Policy: Send + Sync + fmt::Debug {
    /// The policies that concern the request, settled once for it. Where none does, nothing is asked target by target, and a
    /// plain route costs nothing more.
    fn applying(&self, ask: &Ask<'_>) -> Vec<Applying>;

    /// Whether a target may be used for the request, by those that concern it.
    fn judge(&self, applying: &[Applying], ask: &Ask<'_>, target: &Target, facts: &Facts) -> Judgement;
}

/// A policy that concerns a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applying {
    /// Its place among the policies.
    pub rule: usize,
    /// Why its condition could not be evaluated: then it applies, as in doubt nothing leaves the house.
    pub incident: Option<Incident>,
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
