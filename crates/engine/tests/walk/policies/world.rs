//! Worlds that are drawn: what is known of models, policies, routes, keys and requests. A world is made of plain values, which
//! become the router's types here and are judged in [`super::plain`].

use std::collections::HashMap;
use std::sync::Arc;

use lockgate_core::Upstream;
use lockgate_core::decision::{Class, Fallback};
use lockgate_core::money::Price;
use lockgate_core::record::Target;
use lockgate_route::condition::Expression;
use lockgate_route::policy::{Audience, PolicyRule, Selection};
use lockgate_route::strategy::{
    Complexity, Cost, Latency, LeastBusy, Named, Ordered, Score, Sticky, Tiers, Weighted,
};
use lockgate_route::view::{Card, Facts, Knowledge, Scale, Scales, Score as Value};
use lockgate_route::{Branch, Hedge, OnBreak, Require, Route, RouteSettings, Rule, Strategy, fits};
use lockgate_testkit::chunking::Dice;

pub(super) const PROVIDERS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
pub(super) const MODELS: [&str; 4] = ["small", "large", "large-2", "vision"];
pub(super) const ROUTES: [&str; 3] = ["bot", "draft", "archive"];
pub(super) const REGIONS: [&str; 4] = ["eu", "eu-west-1", "us", "us-east-1"];
pub(super) const WORDS: [&str; 4] = ["acme", "beat", "chat", "dev"];
/// Conditions of policies and rules; what each means is said again in [`super::plain`].
pub(super) const CONDITIONS: [&str; 3] =
    ["feature == \"chat\"", "\"dev\" in tags && team != \"acme\"", "customer.name.startsWith(\"b\")"];
const BENCHMARKS: [&str; 2] = ["one", "two"];

/// What is true of a model at a provider.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) region: Option<&'static str>,
    pub(super) zero_retention: Option<bool>,
    pub(super) trains: Option<bool>,
    price: u64,
    scores: [Option<u32>; 2],
}

/// Facts by provider and model.
#[derive(Clone, Debug)]
pub(super) struct Truth(pub(super) HashMap<(&'static str, &'static str), Fact>);

/// A policy before it is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Plain {
    pub(super) name: String,
    /// Patterns by what they are of: keys, teams, projects, customers, users, features, tags.
    pub(super) audience: [Vec<String>; 7],
    pub(super) condition: Option<usize>,
    pub(super) allow: Lists,
    pub(super) deny: Lists,
    pub(super) regions: Vec<&'static str>,
    pub(super) zero_retention: bool,
    pub(super) no_training: bool,
    pub(super) on_trial: bool,
}

/// Models, providers and regions.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    pub(super) models: Vec<String>,
    pub(super) providers: Vec<String>,
    pub(super) regions: Vec<&'static str>,
}

/// A request before it is one. What stands in the key cannot be said by a header.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) model: String,
    /// By what they are of, as in [`Plain::audience`]; the first two are always the key's.
    pub(super) who: [Option<&'static str>; 6],
    pub(super) tags: Vec<&'static str>,
    pub(super) region: Option<&'static str>,
    /// Members of the body's `provider`.
    pub(super) only: Vec<&'static str>,
    pub(super) ignore: Vec<&'static str>,
    pub(super) order: Vec<&'static str>,
    pub(super) alone: bool,
    pub(super) zero_retention: bool,
    pub(super) no_training: bool,
    pub(super) stream: bool,
}

/// Draws.
pub(super) struct Draw(pub(super) Dice);

// === impl Draw ===

impl Draw {
    pub(super) fn of(seed: u64) -> Self {
        // Neighbouring seeds begin far from each other.
        Self(Dice(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Whether one of `n` came up.
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.0.below(n) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.below(of.len())]
    }

    /// Up to `most` of them.
    fn some<T: Copy>(&mut self, most: usize, of: &[T]) -> Vec<T> {
        (0..self.0.below(most + 1)).map(|_| self.pick(of)).collect()
    }

    pub(super) fn maybe<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        (!self.one_in(3)).then(|| self.pick(of))
    }

    /// A word, or a pattern that may fit several.
    fn pattern(&mut self, of: &[&'static str]) -> String {
        let word = self.pick(of);
        match self.0.below(6) {
            0 => "*".to_owned(),
            1 => format!("{}*", &word[..2]),
            2 => format!("*{}", &word[word.len() - 2..]),
            _ => word.to_owned(),
        }
    }

    fn target(&mut self) -> String {
        format!("{}/{}", self.pattern(&PROVIDERS), self.pattern(&MODELS))
    }

    pub(super) fn facts(&mut self) -> Truth {
        let mut all = HashMap::new();
        for provider in PROVIDERS {
            for model in MODELS {
                let truth = [Some(true), Some(true), Some(false), None];
                let fact = Fact {
                    region: self.maybe(&REGIONS),
                    zero_retention: self.pick(&truth),
                    trains: self.pick(&truth).map(|it| !it),
                    price: self.0.below(9_000_000) as u64,
                    scores: [0, 1].map(|_| self.maybe(&[100_000, 500_000, 900_000])),
                };
                all.insert((provider, model), fact);
            }
        }
        Truth(all)
    }

    pub(super) fn policy(&mut self, number: usize) -> Plain {
        let mut audience: [Vec<String>; 7] = Default::default();
        for patterns in &mut audience {
            if self.one_in(5) {
                *patterns = (0..=self.0.below(2)).map(|_| self.pattern(&WORDS)).collect();
            }
        }
        Plain {
            name: format!("policy {number}"),
            audience,
            condition: self.one_in(4).then(|| self.0.below(CONDITIONS.len())),
            allow: if self.one_in(2) { self.lists() } else { Lists::default() },
            deny: if self.one_in(2) { self.lists() } else { Lists::default() },
            regions: if self.one_in(5) { self.some(2, &REGIONS) } else { Vec::new() },
            zero_retention: self.one_in(6),
            no_training: self.one_in(6),
            on_trial: self.one_in(6),
        }
    }

    fn lists(&mut self) -> Lists {
        Lists {
            models: (0..self.0.below(3)).map(|_| self.target()).collect(),
            providers: (0..self.0.below(2)).map(|_| self.pattern(&PROVIDERS)).collect(),
            regions: if self.one_in(3) { self.some(2, &REGIONS) } else { Vec::new() },
        }
    }

    pub(super) fn require(&mut self) -> Require {
        Require {
            regions: if self.one_in(6) { vec![self.pick(&REGIONS).into()] } else { Vec::new() },
            zero_retention: self.one_in(8),
            no_training: self.one_in(8),
            ..Require::default()
        }
    }

    pub(super) fn route(&mut self, name: &str) -> Route {
        let rule = |draw: &mut Self| Rule {
            name: "rule".into(),
            condition: Arc::new(Expression::compile("rule", draw.pick(&CONDITIONS)).unwrap()),
            then: draw.branch(2),
            on_error: None,
        };
        let classes = [Fallback::Any, Fallback::ContextWindow, Fallback::ContentPolicy, Fallback::RateLimit];
        Route {
            when: (0..self.0.below(3)).map(|_| rule(self)).collect(),
            fallback: (0..self.0.below(3))
                .map(|at| (classes[at], vec![self.branch(1), self.branch(0)]))
                .collect(),
            require: self.require(),
            settings: RouteSettings {
                rounds: Some(u32::from(self.one_in(3))),
                on_break: Some(if self.one_in(2) { OnBreak::Continue } else { OnBreak::Error }),
                hedge: self.one_in(8).then_some(Hedge::After(std::time::Duration::from_millis(1))),
                ..RouteSettings::default()
            },
            shadow: self.one_in(6).then(|| self.branch(1)),
            ..Route::of(name, self.branch(3))
        }
    }

    /// A branch that holds no more than so many others in one another.
    fn branch(&mut self, depth: usize) -> Branch {
        let several =
            |draw: &mut Self| (0..=draw.0.below(3)).map(|_| draw.branch(depth.saturating_sub(1))).collect();
        match self.0.below(if depth == 0 { 3 } else { 12 }) {
            0 | 1 => {
                let (provider, model) = (self.pick(&PROVIDERS).into(), self.pick(&MODELS).into());
                Branch::target(Target { provider, model })
            }
            2 => Branch::wildcard(&self.target()),
            3 => Branch::strategy(Strategy::Ordered(Ordered { branches: several(self) })),
            4 => Branch::strategy(Strategy::Cost(Cost { branches: several(self) })),
            5 => Branch::strategy(Strategy::Latency(Latency { branches: several(self), first_token: true })),
            6 => Branch::strategy(Strategy::LeastBusy(LeastBusy { branches: several(self) })),
            7 => {
                let branches: Vec<Branch> = several(self);
                let branches =
                    branches.into_iter().map(|branch| (branch, 1 + self.0.below(3) as u32)).collect();
                Branch::strategy(Strategy::Weighted(Weighted { branches }))
            }
            8 => Branch::strategy(Strategy::Named(Named { route: self.pick(&ROUTES).into() })),
            9 => {
                let (by, keep, branch) = (Default::default(), None, self.branch(depth - 1));
                Branch::strategy(Strategy::Sticky(Sticky { by, keep, branch }))
            }
            10 => Branch::strategy(Strategy::Complexity(Complexity {
                tiers: Tiers { simple: self.branch(depth - 1), medium: None, complex: self.branch(0) },
                simple_below: 300_000,
                complex_from: 600_000,
            })),
            _ => {
                let benchmarks = BENCHMARKS.iter().map(|name| (Arc::from(*name), 1.0)).collect();
                let score = Score { candidates: several(self), benchmarks, ..Score::default() };
                Branch::strategy(Strategy::Score(score))
            }
        }
    }

    pub(super) fn said(&mut self, model: String) -> Said {
        let few = |draw: &mut Self| if draw.one_in(6) { draw.some(2, &PROVIDERS) } else { Vec::new() };
        Said {
            model,
            who: [(); 6].map(|()| self.maybe(&WORDS)),
            tags: self.some(2, &WORDS),
            region: self.one_in(6).then(|| self.pick(&REGIONS)),
            only: few(self),
            ignore: few(self),
            order: few(self),
            alone: self.one_in(8),
            zero_retention: self.one_in(10),
            no_training: self.one_in(10),
            stream: self.one_in(3),
        }
    }

    /// What a request names: a route, a model at a provider, or a model.
    pub(super) fn model(&mut self) -> String {
        match self.0.below(4) {
            0 | 1 => self.pick(&ROUTES).to_owned(),
            2 => format!("{}/{}", self.pick(&PROVIDERS), self.pick(&MODELS)),
            _ => self.pick(&MODELS).to_owned(),
        }
    }
}

// === impl Plain ===

impl Plain {
    pub(super) fn rule(&self) -> PolicyRule {
        let texts = |list: &[String]| list.iter().map(|text| Arc::from(text.as_str())).collect::<Vec<_>>();
        let places = |list: &[&'static str]| list.iter().map(|text| Arc::from(*text)).collect::<Vec<_>>();
        let selection = |lists: &Lists| Selection {
            models: texts(&lists.models),
            providers: texts(&lists.providers),
            regions: places(&lists.regions),
        };
        let of = |at: usize| texts(&self.audience[at]);
        let condition = |at: usize| Expression::compile("policy", CONDITIONS[at]).unwrap();
        PolicyRule {
            name: self.name.as_str().into(),
            audience: Audience {
                keys: of(0),
                teams: of(1),
                projects: of(2),
                customers: of(3),
                users: of(4),
                features: of(5),
                tags: of(6),
            },
            condition: self.condition.map(|at| Arc::new(condition(at)) as _),
            allow: selection(&self.allow),
            deny: selection(&self.deny),
            require: Require {
                regions: places(&self.regions),
                zero_retention: self.zero_retention,
                no_training: self.no_training,
                ..Require::default()
            },
            on_trial: self.on_trial,
        }
    }
}

// === impl Truth ===

impl Knowledge for Truth {
    fn models(&self, upstream: &Upstream, pattern: &str) -> Vec<Arc<str>> {
        let _ = upstream;
        MODELS.iter().filter(|model| fits(pattern, model)).map(|model| Arc::from(*model)).collect()
    }

    fn facts(&self, upstream: &Upstream, model: &str) -> Facts {
        let found = self.0.iter().find(|((p, m), _)| **p == *upstream.name && **m == *model);
        let Some((_, fact)) = found else { return Facts::default() };
        Facts {
            known: true,
            family: model.into(),
            cards: [Card { input: Price(fact.price), output: Price(fact.price), ..Card::default() }].into(),
            region: fact.region.map(Into::into),
            zero_retention: fact.zero_retention,
            trains: fact.trains,
            scores: fact
                .scores
                .map(|score| score.map(|score| Value { value: f64::from(score) / 1e6, samples: None }))
                .into(),
            ..Facts::default()
        }
    }

    fn scales(&self) -> Scales {
        let scale =
            |name: &str| Scale { name: name.into(), class: Some(Class::Coding), median: 0.5, spread: 0.3 };
        Scales { version: "b".into(), all: BENCHMARKS.iter().map(|name| scale(name)).collect() }
    }

    fn version(&self) -> Arc<str> {
        "c".into()
    }
}
