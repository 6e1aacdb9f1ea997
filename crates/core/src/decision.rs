//! How a model name became a list of targets: kept with every request.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codes::codes;

/// The decision that a request was routed by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The version of the snapshot that it was made under.
    pub snapshot: u64,
    /// What the name in the request was taken for.
    pub matched: Matched,
    /// Every target that was looked at, in the order of preference.
    pub candidates: Vec<Candidate>,
}

/// A target that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The provider's name in the config.
    pub provider: Arc<str>,
    /// The model's name at that provider.
    pub model: Arc<str>,
    /// Whether it may be used.
    pub standing: Standing,
}

/// Whether a target may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It may.
    Eligible,
    /// It may not, for this reason.
    Excluded(Exclusion),
}

codes! {
    /// Why a target may not be used.
    pub enum Exclusion {
        /// The key may not use it.
        NotAllowed = "not_allowed",
        /// Its breaker is open.
        BreakerOpen = "breaker_open",
    }
}

codes! {
    /// What the name in a request was taken for.
    pub enum Matched {
        /// A route of the config.
        Route = "route",
        /// A provider and a model, written `provider/model`.
        Direct = "direct",
        /// The plain name of a model that a provider offers.
        Plain = "plain",
    }
}
