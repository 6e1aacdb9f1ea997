//! A model at a provider, and what is known of its health.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lockgate_core::record::Target;
use lockgate_core::{Kind, Money, Tick, Upstream};

use crate::account::{Account, Accounts};
use crate::affinity::Sessions;
use crate::allowance::Allowance;
use crate::breaker::{Breaker, Settings, State};
use crate::health::Health;
use crate::tempo::Tempo;
use crate::view::Facts;

/// A model at a provider, ready to be called.
#[derive(Debug)]
pub struct Endpoint {
    /// Its names.
    pub target: Target,
    /// How it is reached.
    pub upstream: Arc<Upstream>,
    /// Whether it is in rotation; kept across reloads of the config.
    pub breaker: Arc<Breaker>,
    /// How it has done lately; kept as well.
    pub health: Arc<Health>,
    /// What is known of it in this snapshot.
    pub facts: Arc<Facts>,
    /// How long its first content usually takes.
    pub tempo: Arc<Tempo>,
    /// What it has in common with the provider's other models.
    pub site: Arc<Site>,
}

/// What is known of a provider as a whole.
#[derive(Debug)]
pub struct Site {
    /// Sees nothing but connections: a host that refuses them refuses them for every model.
    pub host: Breaker,
    /// How often a target is called again for the same request.
    pub retries: Allowance,
    /// Its credentials, where there are several.
    pub accounts: Option<Accounts>,
}

/// The health of every endpoint that was ever called, by name. It outlives snapshots.
#[derive(Debug, Default)]
pub struct Registry {
    endpoints: Mutex<HashMap<Target, Vitals>>,
    sites: Mutex<HashMap<Arc<str>, Arc<Site>>>,
    sessions: Sessions,
    /// The day, counted from 1970, and what explorations were expected to cost in it.
    explored: Mutex<(u64, Money)>,
}

/// What is kept of an endpoint.
#[derive(Clone, Debug, Default)]
struct Vitals {
    breaker: Arc<Breaker>,
    health: Arc<Health>,
    tempo: Arc<Tempo>,
}

const DAY_MS: u64 = 86_400_000;

/// Model names come from clients, so their number has a bound; beyond it a provider's further models share one breaker.
const MOST: usize = 10_000;
/// Repeated calls for a thousand first ones, and how many at once.
const RETRIES: (u64, u64) = (200, 10);

// === impl Endpoint ===

impl Endpoint {
    /// A model at a provider, with what the registry knows of both.
    pub fn new(target: Target, upstream: Arc<Upstream>, facts: Arc<Facts>, registry: &Registry) -> Self {
        let Vitals { breaker, health, tempo } = registry.vitals(&target);
        let site = registry.site(&upstream);
        Self { target, upstream, breaker, health, facts, tempo, site }
    }

    /// Whether a call may pass now: by its own breaker, and by that of its host.
    pub fn admit(&self, now: Tick, settings: &Settings) -> State {
        match self.site.host.state(now) {
            State::Closed => self.breaker.admit(now, settings),
            out @ (State::Open(_) | State::Limited(_)) => out,
            State::Probe => match self.breaker.admit(now, settings) {
                State::Closed | State::Probe => self.site.host.admit(now, settings),
                out => out,
            },
        }
    }

    /// What a call would be told now, without taking a probe.
    pub fn state(&self, now: Tick) -> State {
        match self.site.host.state(now) {
            out @ (State::Open(_) | State::Limited(_)) => out,
            host => match self.breaker.state(now) {
                State::Closed => host,
                own => own,
            },
        }
    }

    /// A call is made although the endpoint is out of rotation, as there is no other.
    pub fn insist(&self) {
        self.breaker.insist();
        self.site.host.insist();
    }

    /// A call succeeded. Returns whether that brought the endpoint back into rotation.
    pub fn succeeded(&self, now: Tick, settings: &Settings) -> bool {
        // Not `||`: both must hear of it.
        self.site.host.success(now, settings) | self.breaker.success(now, settings)
    }

    /// A call failed in a way that speaks against the endpoint. Returns whether that took it out of rotation.
    pub fn failed(&self, kind: Kind, now: Tick, settings: &Settings) -> bool {
        if kind == Kind::UpstreamUnreachable {
            return self.site.host.refused(now, settings) | self.breaker.refused(now, settings);
        }
        self.breaker.failure(now, settings)
    }
}

// === impl Site ===

impl Site {
    fn new(accounts: Option<Accounts>) -> Self {
        Self { host: Breaker::default(), retries: Allowance::new(RETRIES.0, RETRIES.1), accounts }
    }

    /// Whether these are its credentials.
    fn has(&self, upstream: &Upstream) -> bool {
        let own = self.accounts.as_ref().map_or(&[][..], Accounts::all);
        own.len() == upstream.credentials.len()
            && own.iter().zip(&upstream.credentials).all(|(own, theirs)| own.name == theirs.name)
    }
}

// === impl Registry ===

impl Registry {
    /// The breaker of a target.
    pub fn breaker(&self, target: &Target) -> Arc<Breaker> {
        self.vitals(target).breaker
    }

    /// How a target has done lately.
    pub fn health(&self, target: &Target) -> Arc<Health> {
        self.vitals(target).health
    }

    fn vitals(&self, target: &Target) -> Vitals {
        let mut endpoints = lock(&self.endpoints);
        if let Some(known) = endpoints.get(target) {
            return known.clone();
        }
        let key = if endpoints.len() < MOST {
            target.clone()
        } else {
            Target { provider: Arc::clone(&target.provider), model: "*".into() }
        };
        endpoints.entry(key).or_default().clone()
    }

    /// What is known of a provider. Credentials that it had before keep what is known of them.
    fn site(&self, upstream: &Upstream) -> Arc<Site> {
        let mut sites = lock(&self.sites);
        let known = sites.get(&upstream.name);
        if let Some(site) = known.filter(|site| site.has(upstream)) {
            return Arc::clone(site);
        }
        let before = known.and_then(|site| site.accounts.as_ref()).map_or(&[][..], Accounts::all);
        let accounts: Vec<Arc<Account>> = upstream
            .credentials
            .iter()
            .map(|credential| {
                let same = before.iter().find(|account| account.name == credential.name);
                same.map_or_else(|| Arc::new(Account::new(Arc::clone(&credential.name))), Arc::clone)
            })
            .collect();
        let site = Arc::new(Site::new((!accounts.is_empty()).then(|| Accounts::new(accounts))));
        sites.insert(Arc::clone(&upstream.name), Arc::clone(&site));
        site
    }

    /// What sessions were served by.
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// What explorations were expected to cost so far on this day (UTC).
    pub fn explored(&self, wall_ms: u64) -> Money {
        let explored = lock(&self.explored);
        if explored.0 == wall_ms / DAY_MS { explored.1 } else { Money::ZERO }
    }

    /// An exploration is made that is expected to cost so much.
    pub(crate) fn explore(&self, wall_ms: u64, cost: Money) {
        let mut explored = lock(&self.explored);
        let before = if explored.0 == wall_ms / DAY_MS { explored.1 } else { Money::ZERO };
        *explored = (wall_ms / DAY_MS, before.checked_add(cost).unwrap_or(before));
    }

    /// Every target that was ever called, with its breaker.
    pub fn all(&self) -> Vec<(Target, Arc<Breaker>)> {
        let all = lock(&self.endpoints).iter().map(|(t, it)| (t.clone(), Arc::clone(&it.breaker))).collect();
        sorted(all, |(target, _)| (Arc::clone(&target.provider), Arc::clone(&target.model)))
    }

    /// How long the first content of a target usually takes, if it was ever called.
    pub fn tempo(&self, target: &Target) -> Option<Arc<Tempo>> {
        lock(&self.endpoints).get(target).map(|known| Arc::clone(&known.tempo))
    }

    /// Every provider that was ever called.
    pub fn sites(&self) -> Vec<(Arc<str>, Arc<Site>)> {
        let all = lock(&self.sites).iter().map(|(name, site)| (Arc::clone(name), Arc::clone(site))).collect();
        sorted(all, |(name, _)| Arc::clone(name))
    }
}

fn sorted<T, K: Ord + Hash>(mut all: Vec<T>, key: impl FnMut(&T) -> K) -> Vec<T> {
    all.sort_by_key(key);
    all
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps that are only added to: a panic elsewhere cannot leave them half written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
