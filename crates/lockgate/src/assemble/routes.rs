//! Routes and policies of a config as the router takes them.

use std::sync::Arc;

use lockgate_config::{
    self as config, Config, Factor, Fallback as Fallbacks, LatencyBy, Missing as ConfigMissing,
    OnBreak as ConfigOnBreak, PolicyMode, ScoreMode, StickyBy, Use,
};
use lockgate_core::Money;
use lockgate_core::decision::{Fallback, Incident};
use lockgate_core::money::Price;
use lockgate_core::record::Target;
use lockgate_route::condition::Expression;
use lockgate_route::policy::{Audience, Policies, PolicyRule, Selection};
use lockgate_route::strategy::{
    By, Complexity, Cost, Dollars, Explore, Latency, LeastBusy, Missing, Mode, Named, Ordered, Score, Sticky,
    Tiers, Weigh, Weighted,
};
use lockgate_route::{
    Abilities, Ability, Ask, Branch, Condition, Hedge, MaxPrice, OnBreak, Policy, Require, Route,
    RouteSettings, Rule, Strategy,
};

/// The routes of a config, in its order.
pub(crate) fn routes(config: &Config) -> Vec<Route> {
    config.routes.iter().map(route).collect()
}

/// The policies of a config; `None` if it has none.
pub(crate) fn policies(config: &Config) -> Option<Arc<dyn Policy>> {
    let policies = Policies::new(config.policies.iter().map(policy));
    (!policies.is_empty()).then(|| Arc::new(policies) as _)
}

/// Everything that is wrong with a condition, as the grammar takes it.
pub(crate) fn condition_faults(text: &str) -> Vec<config::ConditionFault> {
    let faults = lockgate_route::condition::faults(text).into_iter();
    faults
        .map(|fault| config::ConditionFault { at: fault.at, message: fault.message, hint: fault.hint })
        .collect()
}

// === routes ===

fn route(route: &config::Route) -> Route {
    let rule = |(at, rule): (usize, &config::Rule)| {
        let name: Arc<str> =
            rule.name.as_deref().map_or_else(|| format!("rule {}", at + 1).into(), Arc::from);
        Rule {
            condition: condition(&name, &rule.condition),
            name,
            then: branch(&rule.branch),
            on_error: rule.on_error.as_ref().map(branch),
        }
    };
    Route {
        name: route.name.as_str().into(),
        when: route.when.iter().enumerate().map(rule).collect(),
        then: branch(&route.branch),
        on_error: route.on_error.as_ref().map(branch),
        fallback: fallbacks(&route.fallback),
        require: require(&route.require),
        settings: settings(route),
        shadow: route.shadow.as_ref().map(branch),
    }
}

fn settings(route: &config::Route) -> RouteSettings {
    let times = &route.timeouts;
    RouteSettings {
        rounds: route.retries.map(u32::from),
        attempt_timeout: times.attempt,
        first_byte_timeout: times.first_byte,
        first_token_timeout: times.first_token,
        between_timeout: times.between,
        timeout: times.total,
        on_break: route.stream.on_break.map(|on_break| match on_break {
            ConfigOnBreak::Error => OnBreak::Error,
            ConfigOnBreak::Continue => OnBreak::Continue,
        }),
        strict: route.strict,
        hedge: route.hedge.as_ref().map(|hedge| match (hedge.enabled, hedge.after) {
            (false, _) => Hedge::Off,
            (true, Some(after)) => Hedge::After(after),
            (true, None) => Hedge::P95,
        }),
    }
}

fn fallbacks(said: &Fallbacks) -> Vec<(Fallback, Vec<Branch>)> {
    let lists = [
        (Fallback::Any, &said.any),
        (Fallback::ContextWindow, &said.context_window),
        (Fallback::ContentPolicy, &said.content_policy),
        (Fallback::RateLimit, &said.rate_limit),
        (Fallback::Budget, &said.budget),
    ];
    let lists = lists.into_iter();
    lists.filter_map(|(class, list)| Some((class, list.as_ref()?.iter().map(branch).collect()))).collect()
}

fn require(said: &config::Require) -> Require {
    Require {
        regions: texts(&said.region.0),
        zero_retention: said.zero_retention,
        no_training: said.no_training,
        abilities: abilities(&said.capabilities),
        max_price: MaxPrice {
            input: said.max_price.input.map(|most| Price(most.0)),
            output: said.max_price.output.map(|most| Price(most.0)),
            request: said.max_price.request.map(money),
        },
        context: said.context,
    }
}

fn abilities(said: &[config::Ability]) -> Abilities {
    said.iter().filter_map(|ability| Ability::from_name(ability.as_str())).collect()
}

fn condition(name: &Arc<str>, said: &config::Condition) -> Arc<dyn Condition> {
    match Expression::compile(name, &said.0) {
        Ok(expression) => Arc::new(expression),
        // The config's check has refused it; should one come here by another way, it is an incident at every request.
        Err(faults) => {
            let why = faults.into_iter().next().map(|fault| fault.message).unwrap_or_default();
            Arc::new(Broken(Incident { at: Arc::clone(name), why: why.into() }))
        }
    }
}

/// A condition that cannot be evaluated.
#[derive(Debug)]
struct Broken(Incident);

impl Condition for Broken {
    fn evaluate(&self, _: &Ask<'_>) -> Result<bool, Incident> {
        Err(self.0.clone())
    }
}

// === strategies ===

fn branch(said: &Use) -> Branch {
    let all = |said: &[Use]| said.iter().map(branch).collect::<Vec<_>>();
    Branch::strategy(match said {
        Use::Target(target) => return Branch::target(named(target)),
        Use::Wildcard(wildcard) => return Branch::wildcard(&wildcard.to_string()),
        Use::Ordered(said) => Strategy::Ordered(Ordered { branches: all(said) }),
        Use::Weighted(shares) => Strategy::Weighted(weighted(shares)),
        Use::Cost(said) => Strategy::Cost(Cost { branches: all(said) }),
        Use::Latency(said) => Strategy::Latency(Latency {
            branches: all(&said.candidates),
            first_token: said.by == LatencyBy::FirstToken,
        }),
        Use::LeastBusy(said) => Strategy::LeastBusy(LeastBusy { branches: all(said) }),
        Use::Score(said) => Strategy::Score(score(said)),
        Use::Complexity(said) => Strategy::Complexity(Complexity {
            tiers: Tiers {
                simple: branch(&said.simple),
                medium: said.medium.as_ref().map(branch),
                complex: branch(&said.complex),
            },
            simple_below: millionths(said.simple_below),
            complex_from: millionths(said.complex_from),
        }),
        Use::Sticky(said) => Strategy::Sticky(Sticky {
            by: match said.by {
                StickyBy::Session => By::Session,
                StickyBy::User => By::User,
                StickyBy::Customer => By::Customer,
                StickyBy::Key => By::Key,
            },
            keep: said.keep,
            branch: branch(&said.branch),
        }),
        Use::Route(name) => Strategy::Named(Named { route: name.as_str().into() }),
    })
}

/// Weights as whole numbers that are in the same proportion, the largest a thousand million.
fn weighted(shares: &[config::Share]) -> Weighted {
    const LARGEST: u128 = 1_000_000_000;
    let most = shares.iter().map(|share| u128::from(share.weight.0)).max().unwrap_or(1).max(1);
    let weight = |weight: Factor| {
        let scaled = (u128::from(weight.0) * LARGEST / most).max(1);
        u32::try_from(scaled).unwrap_or(u32::MAX)
    };
    Weighted { branches: shares.iter().map(|share| (branch(&share.branch), weight(share.weight))).collect() }
}

fn score(said: &config::Score) -> Score {
    let mode = match said.mode {
        ScoreMode::Weighted => Mode::Sum(Weigh {
            quality: said.weigh.quality.get(),
            cost: said.weigh.cost.get(),
            latency: said.weigh.latency.get(),
            reliability: said.weigh.reliability.get(),
        }),
        ScoreMode::Dollars => Mode::Dollars(Dollars {
            value: said.value.map_or(Money::ZERO, money),
            second: money(said.second),
            failure: money(said.failure),
        }),
    };
    let explore =
        Explore { share: f64::from(said.exploration.share.0) / 1e6, per_day: money(said.exploration.daily) };
    Score {
        candidates: said.candidates.iter().map(branch).collect(),
        benchmarks: said
            .benchmarks
            .0
            .iter()
            .map(|(name, weight)| (name.as_str().into(), weight.get()))
            .collect(),
        mode,
        missing: match said.missing {
            ConfigMissing::Exclude => Missing::Exclude,
            ConfigMissing::Median => Missing::Median,
            ConfigMissing::Zero => Missing::Zero,
            ConfigMissing::Impute => Missing::Impute,
        },
        min_coverage: said.min_coverage.get(),
        boost: said.class_boost.get(),
        latency_target: said.latency_target,
        prior_trials: said.prior_trials.get(),
        stickiness: said.stickiness.enabled.then(|| said.stickiness.threshold.get()),
        spread: f64::from(said.spread.0) / 1e6,
        explore: (explore.share > 0.0).then_some(explore),
    }
}

// === policies ===

fn policy(said: &config::Policy) -> PolicyRule {
    let name: Arc<str> = said.name.as_str().into();
    let audience = &said.audience;
    let selection = |said: &config::Selection| Selection {
        models: said.models.iter().map(|model| model.0.as_str().into()).collect(),
        providers: texts(&said.providers),
        regions: texts(&said.regions.0),
    };
    PolicyRule {
        condition: said.condition.as_ref().map(|said| condition(&name, said)),
        name,
        audience: Audience {
            keys: texts(&audience.keys),
            teams: texts(&audience.teams),
            projects: texts(&audience.projects),
            customers: texts(&audience.customers),
            users: texts(&audience.users),
            features: texts(&audience.features),
            tags: texts(&audience.tags),
        },
        allow: selection(&said.allow),
        deny: selection(&said.deny),
        require: require(&said.require),
        on_trial: said.mode == PolicyMode::Shadow,
    }
}

// === small things ===

fn named(target: &config::Target) -> Target {
    Target { provider: target.provider.as_str().into(), model: target.model.as_str().into() }
}

fn texts(said: &[String]) -> Vec<Arc<str>> {
    said.iter().map(|text| text.as_str().into()).collect()
}

fn money(dollars: config::Dollars) -> Money {
    Money::from_nanos(i64::try_from(dollars.0).unwrap_or(i64::MAX))
}

fn millionths(factor: Factor) -> u32 {
    u32::try_from(factor.0).unwrap_or(u32::MAX)
}
