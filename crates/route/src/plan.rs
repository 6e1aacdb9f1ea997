//! The targets of one request in the order in which they will be tried.

use std::sync::Arc;

use lockgate_core::{Decision, Exclusion, Standing, Tick};

use crate::breaker::{Settings, State};
use crate::endpoint::Endpoint;
use crate::table::{Patience, Resolution};

/// What will be tried, and why.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The endpoints in order; at least one.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// How often they are gone through again, and how long that may take.
    pub patience: Patience,
    /// How it came about.
    pub decision: Arc<Decision>,
}

impl Plan {
    /// The ordered strategy: as declared, less what is out of rotation. When all of it is, the one that returns first
    /// is tried all the same: a likely failure is better than a sure one.
    pub fn ordered(resolution: &Resolution, now: Tick, settings: &Settings) -> Self {
        let states: Vec<State> =
            resolution.endpoints.iter().map(|endpoint| endpoint.breaker.admit(now, settings)).collect();
        let patience = resolution.patience;
        if states.iter().all(|state| !matches!(state, State::Open(_))) {
            let endpoints = resolution.endpoints.clone();
            return Self { endpoints, patience, decision: Arc::clone(&resolution.decision) };
        }
        let mut decision = Decision::clone(&resolution.decision);
        for (candidate, state) in decision.candidates.iter_mut().zip(&states) {
            if matches!(state, State::Open(_)) {
                candidate.standing = Standing::Excluded(Exclusion::BreakerOpen);
            }
        }
        let mut endpoints: Vec<_> = resolution
            .endpoints
            .iter()
            .zip(&states)
            .filter(|(_, state)| !matches!(state, State::Open(_)))
            .map(|(endpoint, _)| Arc::clone(endpoint))
            .collect();
        if endpoints.is_empty() {
            let first_back = resolution.endpoints.iter().zip(&states).min_by_key(|(_, state)| match state {
                State::Open(until) => *until,
                _ => Tick::default(),
            });
            endpoints.extend(first_back.map(|(endpoint, _)| Arc::clone(endpoint)));
        }
        Self { endpoints, patience, decision: Arc::new(decision) }
    }
}

#[cfg(test)]
mod tests;
