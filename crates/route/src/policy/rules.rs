//! Policies as rules: whom each applies to, what it permits, forbids and demands.

use std::sync::Arc;

use lockgate_core::decision::Incident;
use lockgate_core::money::Bill;
use lockgate_core::record::Target;

use super::{Applying, Judgement, Policy};
use crate::ask::Ask;
use crate::condition::Condition;
use crate::preferences::MaxPrice;
use crate::route::Require;
use crate::tree::fits;
use crate::view::Facts;

/// The policies of a snapshot. Each that applies must be fulfilled; what one forbids, no other permits.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    rules: Vec<PolicyRule>,
}

/// One policy.
#[derive(Clone, Debug)]
pub struct PolicyRule {
    /// Its name.
    pub name: Arc<str>,
    /// Whom it applies to.
    pub audience: Audience,
    /// A further condition. Where it cannot be evaluated the policy applies: in doubt, nothing leaves the house.
    pub condition: Option<Arc<dyn Condition>>,
    /// What alone may be used; empty: anything.
    pub allow: Selection,
    /// What may not be used.
    pub deny: Selection,
    /// What must hold of what is used. What is not known does not hold.
    pub require: Require,
    /// Whether it is only told what it would forbid.
    pub on_trial: bool,
}

/// Callers, by patterns with `*`. What is empty fits everybody; all that is not must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Names or ids of keys.
    pub keys: Vec<Arc<str>>,
    /// Teams.
    pub teams: Vec<Arc<str>>,
    /// Projects.
    pub projects: Vec<Arc<str>>,
    /// Customers.
    pub customers: Vec<Arc<str>>,
    /// Users.
    pub users: Vec<Arc<str>>,
    /// Features.
    pub features: Vec<Arc<str>>,
    /// Tags, of which the request has one at least.
    pub tags: Vec<Arc<str>>,
}

/// Targets, by patterns with `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// `PROVIDER/MODEL`.
    pub models: Vec<Arc<str>>,
    /// Providers.
    pub providers: Vec<Arc<str>>,
    /// Regions, each with those inside it.
    pub regions: Vec<Arc<str>>,
}

// === impl Policies ===

impl Policies {
    /// These policies.
    pub fn new(rules: impl IntoIterator<Item = PolicyRule>) -> Self {
        Self { rules: rules.into_iter().collect() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Policy for Policies {
    fn applying(&self, ask: &Ask<'_>) -> Vec<Applying> {
        let rules = self.rules.iter().enumerate();
        rules.filter_map(|(rule, it)| Some(Applying { rule, incident: it.applies(ask)? })).collect()
    }

    fn judge(&self, applying: &[Applying], ask: &Ask<'_>, target: &Target, facts: &Facts) -> Judgement {
        let mut trial = None;
        for Applying { rule, incident } in applying {
            let Some(rule) = self.rules.get(*rule) else { continue };
            let doubt = match incident {
                Some(_) => " (its condition cannot be evaluated, so it applies)",
                None => "",
            };
            let Some(why) = rule.refuses(ask, target, facts) else { continue };
            let note = || -> Arc<str> { format!("{}: {why}{doubt}", rule.name).into() };
            if !rule.on_trial {
                return Judgement::Blocked(note());
            }
            trial = trial.or_else(|| Some(note()));
        }
        trial.map_or(Judgement::Allowed, Judgement::OnTrial)
    }
}

// === impl PolicyRule ===

impl PolicyRule {
    /// Whether it applies; if so, why that is in doubt, if it is.
    fn applies(&self, ask: &Ask<'_>) -> Option<Option<Incident>> {
        if !self.audience.holds(ask) {
            return None;
        }
        match self.condition.as_ref().map(|condition| condition.evaluate(ask)) {
            None | Some(Ok(true)) => Some(None),
            Some(Ok(false)) => None,
            Some(Err(incident)) => Some(Some(incident)),
        }
    }

    /// Why it does not let a target be used.
    fn refuses(&self, ask: &Ask<'_>, target: &Target, facts: &Facts) -> Option<&'static str> {
        let deny = &self.deny;
        if deny.names(target)
            || deny.may_mean(target)
            || deny.regions.iter().any(|region| facts.is_in(region))
        {
            return Some("it is denied");
        }
        // Where a place is denied, what might be there is too.
        if !deny.regions.is_empty() && facts.region.is_none() {
            return Some("its region is not known");
        }
        let allow = &self.allow;
        let named = allow.models.is_empty() && allow.providers.is_empty() || allow.names(target);
        let placed = allow.regions.is_empty() || allow.regions.iter().any(|region| facts.is_in(region));
        if !named || !placed {
            return Some("it is not among what is allowed");
        }
        let require = &self.require;
        if !require.regions.is_empty() && !require.regions.iter().any(|region| facts.is_in(region)) {
            return Some("it is not in the region");
        }
        if require.zero_retention && facts.zero_retention != Some(true) {
            return Some("it keeps what it is sent, or is not known not to");
        }
        if require.no_training && facts.trains != Some(false) {
            return Some("it trains on what it is sent, or is not known not to");
        }
        if !require.abilities.without(facts.abilities.unwrap_or_default()).is_empty() {
            return Some("it is not known to be able to do what is demanded");
        }
        if let Some(least) = require.context
            && facts.context.or(facts.input).is_none_or(|most| most < least)
        {
            return Some("its context window is too small, or not known");
        }
        (!require.max_price.is_any() && !affordable(&require.max_price, ask, facts))
            .then_some("it costs too much, or its price is not known")
    }
}

/// Whether a target's price is known and within limits.
fn affordable(most: &MaxPrice, ask: &Ask<'_>, facts: &Facts) -> bool {
    let Some(card) = facts.card(ask.input_tokens(), ask.wall_ms) else { return false };
    let within = most.input.is_none_or(|most| card.input <= most)
        && most.output.is_none_or(|most| card.output <= most);
    within
        && most.request.is_none_or(|most| {
            let mut bill = Bill::default();
            bill.add(ask.input_tokens(), card.input);
            bill.add(ask.output_tokens(), card.output);
            bill.total().and_then(|cost| cost.checked_add(card.request)).is_some_and(|cost| cost <= most)
        })
}

// === impl Selection ===

impl Selection {
    /// Whether a target is one of its models or of its providers.
    fn names(&self, target: &Target) -> bool {
        let of_provider = self.providers.iter().any(|provider| fits(provider, &target.provider));
        of_provider
            || self.models.iter().any(|pattern| {
                let halves = pattern.split_once('/');
                halves.is_some_and(|(provider, model)| {
                    fits(provider, &target.provider) && fits(model, &target.model)
                })
            })
    }
}

impl Selection {
    /// Whether one of its models may be meant by a target that stands for all of a provider's: what passes through to it
    /// says nowhere which it uses.
    fn may_mean(&self, target: &Target) -> bool {
        let of_it = |pattern: &Arc<str>| {
            pattern.split_once('/').is_some_and(|(provider, _)| fits(provider, &target.provider))
        };
        &*target.model == "*" && self.models.iter().any(of_it)
    }
}

// === impl Audience ===

impl Audience {
    fn holds(&self, ask: &Ask<'_>) -> bool {
        let one = |patterns: &[Arc<str>], value: Option<&str>| {
            patterns.is_empty()
                || value.is_some_and(|value| patterns.iter().any(|pattern| fits(pattern, value)))
        };
        let whose = ask.attribution;
        (one(&self.keys, Some(&ask.key.name)) || one(&self.keys, Some(&ask.key.id)))
            && one(&self.teams, ask.team())
            && one(&self.projects, whose.project.as_deref())
            && one(&self.customers, whose.customer.as_deref())
            && one(&self.users, whose.user.as_deref())
            && one(&self.features, whose.feature.as_deref())
            && (self.tags.is_empty() || whose.tags.iter().any(|tag| one(&self.tags, Some(tag))))
    }
}

#[cfg(test)]
mod tests;
