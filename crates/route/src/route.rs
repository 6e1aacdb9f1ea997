//! What a route is: a virtual model with rules, a tree of strategies, and what holds for all of it.

use std::sync::Arc;
use std::time::Duration;

use lockgate_core::decision::Fallback;
use lockgate_core::record::Target;

use crate::condition::Condition;
use crate::preferences::MaxPrice;
use crate::strategy::{Ordered, Strategy};
use crate::view::Abilities;

/// A virtual model: a name, and what it stands for.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// Its rules; the first that holds decides.
    pub when: Vec<Rule>,
    /// What is used where no rule holds.
    pub then: Branch,
    /// Where a request falls whose rule cannot be evaluated and has no branch of its own for that; `None`: to `then`.
    pub on_error: Option<Branch>,
    /// Where a request goes on after a failure, by its class.
    pub fallback: Vec<(Fallback, Vec<Branch>)>,
    /// What every target must be.
    pub require: Require,
    /// How targets are called; what is not set is inherited from the route that led here.
    pub settings: RouteSettings,
    /// A tree on trial: it is decided by as well, and only told.
    pub shadow: Option<Branch>,
}

/// A rule of a route.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name; without one its place, `when[0]`.
    pub name: Arc<str>,
    /// When it holds.
    pub condition: Arc<dyn Condition>,
    /// What is used then.
    pub then: Branch,
    /// Where a request falls for which it cannot be evaluated; `None`: to the route's.
    pub on_error: Option<Branch>,
}

/// What a strategy chooses among.
#[derive(Clone, Debug)]
pub struct Branch {
    /// What it is.
    pub pick: Pick,
    /// What holds for it and is not inherited.
    pub settings: Option<Arc<RouteSettings>>,
}

/// What a branch stands for.
#[derive(Clone, Debug)]
pub enum Pick {
    /// A model at a provider.
    Target(Target),
    /// Every model of a configured provider whose `provider/model` fits a pattern with `*`.
    Wildcard(Arc<str>),
    /// Whatever a strategy picks.
    Strategy(Box<Strategy>),
}

/// What every target of a route must be. A route within a route can only add to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Require {
    /// It processes in one of these regions; empty: anywhere.
    pub regions: Vec<Arc<str>>,
    /// It keeps nothing of what it is sent.
    pub zero_retention: bool,
    /// It does not train on what it is sent.
    pub no_training: bool,
    /// It is known to be able to do this.
    pub abilities: Abilities,
    /// It costs no more.
    pub max_price: MaxPrice,
    /// So many tokens fit.
    pub context: Option<u32>,
}

/// How targets are called. `None`: inherited, and at last the default that stands with each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RouteSettings {
    /// How often all targets are gone through again after all have failed; 1 for a route, 1 for a direct name.
    pub rounds: Option<u32>,
    /// How long one attempt may take up to its answer or its first content; none beside the provider's own.
    pub attempt_timeout: Option<Duration>,
    /// How long until the head of an answer; the provider's own.
    pub first_byte_timeout: Option<Duration>,
    /// How long until the first content of a stream; none.
    pub first_token_timeout: Option<Duration>,
    /// How long between two pieces of an answer; the provider's own.
    pub between_timeout: Option<Duration>,
    /// How long a request may take in all; as long as the provider's own limit.
    pub timeout: Option<Duration>,
    /// What happens when a stream breaks after its first content; [`OnBreak::Error`].
    pub on_break: Option<OnBreak>,
    /// Whether what a translation cannot carry is an error; no.
    pub strict: Option<bool>,
    /// When a second attempt starts beside a slow first; [`Hedge::Off`].
    pub hedge: Option<Hedge>,
}

/// What happens when a stream breaks after its first content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBreak {
    /// It ends with an error.
    #[default]
    Error,
    /// It goes on from another endpoint.
    Continue,
}

/// When a second attempt starts beside a first that has not said anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hedge {
    /// Never.
    #[default]
    Off,
    /// After this time.
    After(Duration),
    /// After the endpoint's 95th percentile of the time to the first token, as far as that is known.
    P95,
}

// === impl Route ===

impl Route {
    /// A route that tries targets in order, with nothing else set.
    pub fn ordered(name: &str, targets: impl IntoIterator<Item = Target>) -> Self {
        let branches = targets.into_iter().map(Branch::target).collect();
        Self::of(name, Branch::strategy(Strategy::Ordered(Ordered { branches })))
    }

    /// A route that is a branch, with nothing else set.
    pub fn of(name: &str, then: Branch) -> Self {
        Self {
            name: name.into(),
            when: Vec::new(),
            then,
            on_error: None,
            fallback: Vec::new(),
            require: Require::default(),
            settings: RouteSettings::default(),
            shadow: None,
        }
    }
}

// === impl Branch ===

impl Branch {
    /// One target.
    pub fn target(target: Target) -> Self {
        Self { pick: Pick::Target(target), settings: None }
    }

    /// All targets that fit a pattern.
    pub fn wildcard(pattern: &str) -> Self {
        Self { pick: Pick::Wildcard(pattern.into()), settings: None }
    }

    /// What a strategy picks.
    pub fn strategy(strategy: Strategy) -> Self {
        Self { pick: Pick::Strategy(Box::new(strategy)), settings: None }
    }
}

// === impl Require ===

impl Require {
    /// Whether it asks for nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, outer: &Self) -> Self {
        Self {
            regions: both(&outer.regions, &self.regions),
            zero_retention: self.zero_retention || outer.zero_retention,
            no_training: self.no_training || outer.no_training,
            abilities: self.abilities.union(outer.abilities),
            max_price: self.max_price.and(outer.max_price),
            context: self.context.max(outer.context),
        }
    }
}

/// The regions that are in one of each list: the smaller of every two of which one holds the other.
fn both(a: &[Arc<str>], b: &[Arc<str>]) -> Vec<Arc<str>> {
    if a.is_empty() || b.is_empty() {
        return [a, b].concat();
    }
    let mut inner: Vec<Arc<str>> = Vec::new();
    for (one, other) in a.iter().flat_map(|one| b.iter().map(move |other| (one, other))) {
        let smaller = if is_within(one, other) { one } else { other };
        if (is_within(one, other) || is_within(other, one)) && !inner.contains(smaller) {
            inner.push(Arc::clone(smaller));
        }
    }
    if inner.is_empty() {
        // No region has this name, so nothing is in it.
        inner.push("(none)".into());
    }
    inner
}

/// Whether a region is another or inside it: `eu-west-1` is within `eu`.
pub(crate) fn is_within(region: &str, of: &str) -> bool {
    region.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

// === impl RouteSettings ===

impl RouteSettings {
    /// These, and where one is not set, the outer one's.
    #[must_use]
    pub fn within(&self, outer: &Self) -> Self {
        Self {
            rounds: self.rounds.or(outer.rounds),
            attempt_timeout: self.attempt_timeout.or(outer.attempt_timeout),
            first_byte_timeout: self.first_byte_timeout.or(outer.first_byte_timeout),
            first_token_timeout: self.first_token_timeout.or(outer.first_token_timeout),
            between_timeout: self.between_timeout.or(outer.between_timeout),
            timeout: self.timeout.or(outer.timeout),
            on_break: self.on_break.or(outer.on_break),
            strict: self.strict.or(outer.strict),
            hedge: self.hedge.or(outer.hedge),
        }
    }
}
