//! What the names in requests stand for.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use lockgate_core::key::matches;
use lockgate_core::record::Target;
use lockgate_core::{Candidate, Decision, Matched, Standing, Upstream};

use crate::endpoint::{Endpoint, Registry};

/// A virtual model: a name that stands for targets in order.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// Its targets in the order of preference.
    pub targets: Vec<Target>,
    /// How often the targets are gone through again after all have failed.
    pub rounds: u32,
    /// How long one attempt may take up to its answer or its first content; `None`: the provider's own limit.
    pub attempt_timeout: Option<Duration>,
    /// How long a request of this route may take in all; `None`: as long as the provider's own limit.
    pub timeout: Option<Duration>,
}

/// All names of one snapshot.
#[derive(Debug)]
pub struct Table {
    version: u64,
    upstreams: Vec<Arc<Upstream>>,
    routes: HashMap<Arc<str>, Route>,
    registry: Arc<Registry>,
    /// What was looked up before. Bounded by [`REMEMBERED`], as names come from clients.
    seen: RwLock<HashMap<Arc<str>, Arc<Resolution>>>,
}

/// How long and how often targets are tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often all targets are gone through again after all have failed.
    pub rounds: u32,
    /// How long one attempt may take up to its answer or its first content.
    pub attempt: Option<Duration>,
    /// How long a request may take in all.
    pub total: Option<Duration>,
}

/// What a name stands for.
#[derive(Debug)]
pub struct Resolution {
    /// The endpoints in the order of preference; at least one.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// How often they are gone through again, and how long that may take.
    pub patience: Patience,
    /// The decision when all of them are eligible.
    pub decision: Arc<Decision>,
}

const REMEMBERED: usize = 4_096;
/// For a name that is not a route.
const DIRECT: Patience = Patience { rounds: 1, attempt: None, total: None };

// === impl Table ===

impl Table {
    /// The table of a snapshot. A route's target whose provider is not among `upstreams` is left out; the config's
    /// check has reported it.
    pub fn new(
        version: u64,
        upstreams: Vec<Arc<Upstream>>,
        routes: impl IntoIterator<Item = Route>,
        registry: Arc<Registry>,
    ) -> Self {
        let routes = routes.into_iter().map(|route| (Arc::clone(&route.name), route)).collect();
        Self { version, upstreams, routes, registry, seen: RwLock::default() }
    }

    /// The version of the snapshot.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The providers in the order of the config.
    pub fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    /// The names of the routes, sorted.
    pub fn routes(&self) -> Vec<&Route> {
        let mut routes: Vec<_> = self.routes.values().collect();
        routes.sort_by(|a, b| a.name.cmp(&b.name));
        routes
    }

    /// What a name stands for: a route, else `provider/model`, else the plain name of a model that a provider lists
    /// or claims, the first in the order of the config. `None` when it stands for nothing.
    pub fn resolve(&self, name: &Arc<str>) -> Option<Arc<Resolution>> {
        if let Some(known) = self.seen.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Some(Arc::clone(known));
        }
        let found = Arc::new(self.look_up(name)?);
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < REMEMBERED {
            seen.insert(Arc::clone(name), Arc::clone(&found));
        }
        Some(found)
    }

    fn look_up(&self, name: &str) -> Option<Resolution> {
        if let Some(route) = self.routes.get(name) {
            let endpoints =
                route.targets.iter().filter_map(|t| self.endpoint(&t.provider, &t.model)).collect();
            let patience =
                Patience { rounds: route.rounds, attempt: route.attempt_timeout, total: route.timeout };
            return self.resolution(Matched::Route, endpoints, patience);
        }
        if let Some((provider, model)) = name.split_once('/')
            && !model.is_empty()
            && let Some(endpoint) = self.endpoint(provider, model)
        {
            return self.resolution(Matched::Direct, vec![endpoint], DIRECT);
        }
        let lists = |upstream: &&Arc<Upstream>| upstream.models.iter().any(|model| **model == *name);
        let claims = |upstream: &&Arc<Upstream>| upstream.claims.iter().any(|pattern| matches(pattern, name));
        let upstream = self.upstreams.iter().find(lists).or_else(|| self.upstreams.iter().find(claims))?;
        let endpoint = self.endpoint(&upstream.name, name)?;
        self.resolution(Matched::Plain, vec![endpoint], DIRECT)
    }

    fn endpoint(&self, provider: &str, model: &str) -> Option<Arc<Endpoint>> {
        let upstream = self.upstreams.iter().find(|upstream| *upstream.name == *provider)?;
        let target = Target { provider: Arc::clone(&upstream.name), model: model.into() };
        let breaker = self.registry.breaker(&target);
        Some(Arc::new(Endpoint { target, upstream: Arc::clone(upstream), breaker }))
    }

    fn resolution(
        &self,
        matched: Matched,
        endpoints: Vec<Arc<Endpoint>>,
        patience: Patience,
    ) -> Option<Resolution> {
        if endpoints.is_empty() {
            return None;
        }
        let candidates = endpoints
            .iter()
            .map(|endpoint| Candidate {
                provider: Arc::clone(&endpoint.target.provider),
                model: Arc::clone(&endpoint.target.model),
                standing: Standing::Eligible,
            })
            .collect();
        let decision = Arc::new(Decision { snapshot: self.version, matched, candidates });
        Some(Resolution { endpoints, patience, decision })
    }
}
