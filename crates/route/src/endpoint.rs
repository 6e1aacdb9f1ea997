//! A model at a provider, and what is known of its health.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lockgate_core::Upstream;
use lockgate_core::record::Target;

use crate::breaker::Breaker;

/// A model at a provider, ready to be called.
#[derive(Debug)]
pub struct Endpoint {
    /// Its names.
    pub target: Target,
    /// How it is reached.
    pub upstream: Arc<Upstream>,
    /// Its health; kept across reloads of the config.
    pub breaker: Arc<Breaker>,
}

/// The health of every endpoint that was ever called, by name. It outlives snapshots.
#[derive(Debug, Default)]
pub struct Registry {
    breakers: Mutex<HashMap<Target, Arc<Breaker>>>,
}

/// Model names come from clients, so their number has a bound; beyond it a provider's further models share one breaker.
const MOST: usize = 10_000;

// === impl Registry ===

impl Registry {
    /// The breaker of a target.
    pub fn breaker(&self, target: &Target) -> Arc<Breaker> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = breakers.get(target) {
            return Arc::clone(breaker);
        }
        let key = if breakers.len() < MOST {
            target.clone()
        } else {
            Target { provider: Arc::clone(&target.provider), model: "*".into() }
        };
        Arc::clone(breakers.entry(key).or_default())
    }

    /// Every target that was ever called, with its breaker.
    pub fn all(&self) -> Vec<(Target, Arc<Breaker>)> {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = breakers.iter().map(|(t, b)| (t.clone(), Arc::clone(b))).collect();
        all.sort_by(|(a, _), (b, _)| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
        all
    }
}
