//! What the names in requests stand for.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use lockgate_core::key::matches;
use lockgate_core::record::Target;
use lockgate_core::{Candidate, Decision, Exclusion, Matched, Upstream};

use crate::ask::Ask;
use crate::endpoint::{Endpoint, Registry};
use crate::plan::Detours;
use crate::policy::{Judgement, Policy};
use crate::route::{Branch, Route, RouteSettings};
use crate::tree::{Grower, Tree};
use crate::view::{Knowledge, Nothing};

/// All names of one snapshot.
#[derive(Debug)]
pub struct Table {
    version: u64,
    upstreams: Vec<Arc<Upstream>>,
    routes: HashMap<Arc<str>, Route>,
    registry: Arc<Registry>,
    knowledge: Arc<dyn Knowledge>,
    policy: Option<Arc<dyn Policy>>,
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
    /// How they are called.
    pub settings: Arc<RouteSettings>,
    /// Where a request goes on after a failure.
    pub detours: Arc<Detours>,
    /// What chooses among them.
    pub tree: Arc<Tree>,
}

const REMEMBERED: usize = 4_096;
/// Rounds over the targets, where a route does not say.
const ROUNDS: u32 = 1;

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
        Self::informed(version, upstreams, routes, registry, Arc::new(Nothing), None)
    }

    /// The same with what is known of models, and with policies.
    pub fn informed(
        version: u64,
        upstreams: Vec<Arc<Upstream>>,
        routes: impl IntoIterator<Item = Route>,
        registry: Arc<Registry>,
        knowledge: Arc<dyn Knowledge>,
        policy: Option<Arc<dyn Policy>>,
    ) -> Self {
        let routes = routes.into_iter().map(|route| (Arc::clone(&route.name), route)).collect();
        Self { version, upstreams, routes, registry, knowledge, policy, seen: RwLock::default() }
    }

    /// What is known of models.
    pub fn knowledge(&self) -> &dyn Knowledge {
        &*self.knowledge
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

    /// What the policies, and the region that a request asks for, say of one model at one provider, `*` for any of its models:
    /// for what is asked of a provider and not by a name.
    pub fn permits(&self, upstream: &Upstream, model: &Arc<str>, ask: &Ask<'_>) -> Candidate {
        let target = Target { provider: Arc::clone(&upstream.name), model: Arc::clone(model) };
        let candidate = Candidate::eligible(&target);
        let policy = self.policy.as_ref().map(|policy| (policy, policy.applying(ask)));
        let policy = policy.filter(|(_, applying)| !applying.is_empty());
        if policy.is_none() && ask.region.is_none() {
            return candidate;
        }
        let facts = self.knowledge.facts(upstream, model);
        let note = match policy.map(|(policy, applying)| policy.judge(&applying, ask, &target, &facts)) {
            Some(Judgement::Blocked(note)) => return candidate.excluded(Exclusion::NotAllowed, Some(note)),
            Some(Judgement::OnTrial(note)) => Some(note),
            Some(Judgement::Allowed) | None => None,
        };
        if ask.region.is_some_and(|region| !facts.is_in(region)) {
            return candidate.excluded(Exclusion::Region, facts.region);
        }
        Candidate { note, ..candidate }
    }

    fn look_up(&self, name: &str) -> Option<Resolution> {
        if let Some(route) = self.routes.get(name) {
            return self.resolution(Matched::Route, route);
        }
        let direct = |matched, upstream: &Arc<Upstream>, model: &str| {
            let target = Target { provider: Arc::clone(&upstream.name), model: model.into() };
            self.resolution(matched, &Route::of(name, Branch::target(target)))
        };
        if let Some((provider, model)) = name.split_once('/')
            && !model.is_empty()
            && let Some(upstream) = self.upstreams.iter().find(|upstream| *upstream.name == *provider)
        {
            return direct(Matched::Direct, upstream, model);
        }
        let lists = |upstream: &&Arc<Upstream>| upstream.models.iter().any(|model| **model == *name);
        let claims = |upstream: &&Arc<Upstream>| upstream.claims.iter().any(|pattern| matches(pattern, name));
        let upstream = self.upstreams.iter().find(lists).or_else(|| self.upstreams.iter().find(claims))?;
        direct(Matched::Plain, upstream, name)
    }

    fn endpoint(&self, upstream: &Arc<Upstream>, model: &str) -> Arc<Endpoint> {
        let target = Target { provider: Arc::clone(&upstream.name), model: model.into() };
        let facts = Arc::new(self.knowledge.facts(upstream, model));
        Arc::new(Endpoint::new(target, Arc::clone(upstream), facts, &self.registry))
    }

    fn resolution(&self, matched: Matched, route: &Route) -> Option<Resolution> {
        let endpoint = |upstream: &Arc<Upstream>, model: &str| self.endpoint(upstream, model);
        let grower = Grower::new(&self.upstreams, &self.routes, &*self.knowledge, &endpoint);
        let tree = grower.grow(route, self.policy.clone(), &self.registry);
        let endpoints = tree.endpoints();
        if endpoints.is_empty() {
            return None;
        }
        let candidates = endpoints.iter().map(|endpoint| Candidate::eligible(&endpoint.target)).collect();
        let decision = Arc::new(Decision { snapshot: self.version, matched, candidates, choice: None });
        let settings = Arc::clone(&tree.spots[0].settings);
        Some(Resolution {
            patience: Patience::of(&settings),
            decision,
            settings,
            detours: Arc::new(Detours::declared(&tree)),
            endpoints,
            tree: Arc::new(tree),
        })
    }
}

// === impl Patience ===

impl Patience {
    /// What settings say of it.
    pub fn of(settings: &RouteSettings) -> Self {
        let rounds = settings.rounds.unwrap_or(ROUNDS);
        Self { rounds, attempt: settings.attempt_timeout, total: settings.timeout }
    }
}
