//! What the tests of this crate share: a table over models that are described in a few words, and requests for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lockgate_core::decision::Class;
use lockgate_core::money::Price;
use lockgate_core::record::Target;
use lockgate_core::upstream::{Reach, Timeouts};
use lockgate_core::{Attribution, Decision, Key, KeyHash, Tick, Upstream};

use crate::view::{Abilities, Card, Facts, Knowledge, Scale, Scales, Score};
use crate::{Ask, Branch, Moment, Plan, Policy, Refused, Registry, Route, Settings, Strategy, Table, Told};

/// What is known in a test: facts by `provider/model`.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) facts: HashMap<String, Facts>,
    pub(crate) scales: Vec<Scale>,
}

impl Knowledge for Known {
    fn models(&self, upstream: &Upstream, pattern: &str) -> Vec<Arc<str>> {
        let mut models: Vec<Arc<str>> = self
            .facts
            .keys()
            .filter_map(|name| name.strip_prefix(&*upstream.name)?.strip_prefix('/'))
            .filter(|model| crate::fits(pattern, model))
            .map(Arc::from)
            .collect();
        models.sort();
        models
    }

    fn facts(&self, upstream: &Upstream, model: &str) -> Facts {
        self.facts.get(&format!("{}/{model}", upstream.name)).cloned().unwrap_or_default()
    }

    fn scales(&self) -> Scales {
        Scales { version: "b1".into(), all: self.scales.as_slice().into() }
    }

    fn version(&self) -> Arc<str> {
        "c1".into()
    }
}

/// A table and what is beside it.
pub(crate) struct House {
    pub(crate) table: Table,
    pub(crate) registry: Arc<Registry>,
    pub(crate) key: Key,
    pub(crate) attribution: Attribution,
    pub(crate) settings: Settings,
}

pub(crate) fn upstream(name: &str) -> Arc<Upstream> {
    Arc::new(Upstream {
        name: name.into(),
        catalog: name.into(),
        speaks: Vec::new(),
        reach: Reach::Demo,
        timeouts: Timeouts::default(),
        max_answer: 1 << 20,
        models: Vec::new(),
        claims: &[],
        credentials: Vec::new(),
    })
}

pub(crate) fn target(name: &str) -> Target {
    let (provider, model) = name.split_once('/').unwrap();
    Target { provider: provider.into(), model: model.into() }
}

pub(crate) fn branch(name: &str) -> Branch {
    if name.contains('*') { Branch::wildcard(name) } else { Branch::target(target(name)) }
}

pub(crate) fn branches(names: &[&str]) -> Vec<Branch> {
    names.iter().map(|name| branch(name)).collect()
}

/// Dollars a million tokens, for input and output.
pub(crate) fn price(input: f64, output: f64) -> Card {
    let nanos = |dollars: f64| Price((dollars * 1e9) as u64);
    Card { input: nanos(input), output: nanos(output), ..Card::default() }
}

pub(crate) fn facts(family: &str, input: f64, output: f64, scores: &[Option<f64>]) -> Facts {
    Facts {
        known: true,
        family: family.into(),
        cards: [price(input, output)].into(),
        abilities: Some(Abilities::default()),
        scores: scores.iter().map(|score| score.map(|value| Score { value, samples: None })).collect(),
        ..Facts::default()
    }
}

pub(crate) fn scale(name: &str, class: Option<Class>) -> Scale {
    Scale { name: name.into(), class, median: 0.5, spread: 0.3 }
}

impl House {
    pub(crate) fn of(facts: &[(&str, Facts)], scales: &[Scale], routes: Vec<Route>) -> Self {
        Self::under(facts, scales, routes, None)
    }

    pub(crate) fn under(
        facts: &[(&str, Facts)],
        scales: &[Scale],
        routes: Vec<Route>,
        policy: Option<Arc<dyn Policy>>,
    ) -> Self {
        let mut providers: Vec<&str> =
            facts.iter().map(|(name, _)| name.split('/').next().unwrap()).collect();
        providers.sort_unstable();
        providers.dedup();
        let upstreams = providers.into_iter().map(upstream).collect();
        let facts = facts.iter().map(|(name, facts)| ((*name).to_owned(), facts.clone())).collect();
        let known = Known { facts, scales: scales.to_vec() };
        let registry = Arc::new(Registry::default());
        let table = Table::informed(1, upstreams, routes, Arc::clone(&registry), Arc::new(known), policy);
        let key = Key {
            id: "k".into(),
            name: "n".into(),
            hint: String::new(),
            hash: KeyHash([0; 32]),
            created_ms: 0,
            expires_ms: None,
            revoked_ms: None,
            models: Vec::new(),
            metadata: BTreeMap::new(),
        };
        Self { table, registry, key, attribution: Attribution::default(), settings: Settings::default() }
    }

    /// One route, `r`, that is a strategy over what is known.
    pub(crate) fn with(facts: &[(&str, Facts)], scales: &[Scale], strategy: Strategy) -> Self {
        Self::of(facts, scales, vec![Route::of("r", Branch::strategy(strategy))])
    }

    /// A request of a thousand tokens in and two hundred out.
    pub(crate) fn ask(&self) -> Ask<'_> {
        let told = Told { input_tokens: Some(1_000), output_ceiling: Some(200), ..Told::default() };
        Ask::new("r", &self.key, &self.attribution).told(told)
    }

    pub(crate) fn plan(&self, ask: &Ask<'_>) -> Result<Plan, Refused> {
        let moment = Moment { now: Tick(1), breakers: &self.settings, dry: false };
        Plan::make(&self.table.resolve(&ask.model.into()).unwrap(), ask, &moment)
    }

    /// The order for a request, as `provider/model`.
    pub(crate) fn order(&self, ask: &Ask<'_>) -> Vec<String> {
        self.plan(ask).map(|plan| names(&plan)).unwrap_or_default()
    }

    /// The decision for a request, good or bad.
    pub(crate) fn decision(&self, ask: &Ask<'_>) -> Arc<Decision> {
        self.plan(ask).map_or_else(|refused| refused.decision, |plan| plan.decision)
    }
}

pub(crate) fn names(plan: &Plan) -> Vec<String> {
    plan.endpoints.iter().map(|e| format!("{}/{}", e.target.provider, e.target.model)).collect()
}
