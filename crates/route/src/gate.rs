//! What a target must be before anything is weighed, asked in the order of [`Exclusion`].

use std::sync::Arc;

use lockgate_core::decision::Exclusion;
use lockgate_core::{Money, Tick};

use crate::ask::Ask;
use crate::breaker::Settings;
use crate::estimate::{self, Size};
use crate::plan::out_for;
use crate::policy::{Applying, Judgement, Policy};
use crate::preferences::Preferences;
use crate::rank::Look;
use crate::route::Require;
use crate::tree::Spot;
use crate::view::{Abilities, Ability, Facts};

/// When and how a decision is made.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Now.
    pub now: Tick,
    /// When endpoints leave rotation.
    pub breakers: &'a Settings,
    /// Whether nothing may be changed by it: no probe taken, no session moved, no exploration paid.
    pub dry: bool,
}

/// What is asked of every target of a request beside what its place in the tree requires.
pub(crate) struct Gate<'a> {
    pub(crate) ask: &'a Ask<'a>,
    pub(crate) moment: &'a Moment<'a>,
    /// The policies, and those of them that concern the request, if any does.
    pub(crate) policy: Option<(&'a dyn Policy, Vec<Applying>)>,
    /// Whether the request's own needs are asked: among targets that are weighed, not where the operator gave an order.
    pub(crate) needs: bool,
}

type Excluded = (Exclusion, Option<Arc<str>>);

/// Abilities that a request cannot be answered without. What else it asks for (reasoning, search) a target may leave out.
const HARD: [Ability; 6] =
    [Ability::Images, Ability::Audio, Ability::Video, Ability::Files, Ability::Tools, Ability::Schema];

// === impl Gate ===

impl Gate<'_> {
    /// Whether a target may be used. `cached` is the part of the input expected from its prompt cache, in millionths.
    pub(crate) fn look(&self, spot: &Spot, cached: u32) -> Look {
        match self.excluded(spot, cached) {
            Err((why, note)) => Look::Excluded(why, note),
            Ok(note) => Look::Eligible(note),
        }
    }

    fn excluded(&self, spot: &Spot, cached: u32) -> Result<Option<Arc<str>>, Excluded> {
        let (endpoint, require, ask) = (&*spot.endpoint, &*spot.require, self.ask);
        let facts = &*endpoint.facts;
        let wishes = ask.preferences.as_deref();
        if !spot.spoken {
            return Err((Exclusion::Unknown, None));
        }
        if let Some(why) = &facts.disabled {
            return Err((Exclusion::Disabled, Some(Arc::clone(why))));
        }
        let note = match self
            .policy
            .as_ref()
            .map(|(policy, applying)| policy.judge(applying, ask, &endpoint.target, facts))
        {
            Some(Judgement::Blocked(name)) => return Err((Exclusion::NotAllowed, Some(name))),
            Some(Judgement::OnTrial(name)) => Some(name),
            Some(Judgement::Allowed) | None => None,
        };
        if wishes.is_some_and(|wishes| wishes.leave_out(&endpoint.target.provider)) {
            return Err((Exclusion::Preference, None));
        }
        self.place(facts, require)?;
        data(facts, require, wishes)?;
        self.abilities(facts, require)?;
        self.size(facts, require)?;
        if let Some(wishes) = wishes.filter(|wishes| wishes.require_parameters) {
            self.parameters(facts, wishes)?;
        }
        if self.needs && ask.bound_to().is_some_and(|owner| *owner != *endpoint.target.provider) {
            return Err((Exclusion::BoundState, None));
        }
        self.price(facts, require, wishes, cached)?;
        match out_for(endpoint.state(self.moment.now)) {
            Some(why) => Err((why, None)),
            None => Ok(note),
        }
    }

    fn place(&self, facts: &Facts, require: &Require) -> Result<(), Excluded> {
        let good = (require.regions.is_empty() || require.regions.iter().any(|region| facts.is_in(region)))
            && self.ask.region.is_none_or(|region| facts.is_in(region));
        let note = || facts.region.clone().unwrap_or_else(|| "its region is not known".into());
        if good { Ok(()) } else { Err((Exclusion::Region, Some(note()))) }
    }

    fn abilities(&self, facts: &Facts, require: &Require) -> Result<(), Excluded> {
        let required = require.abilities;
        let own = if self.needs { self.ask.needs().within(HARD) } else { Abilities::default() };
        let missing = match facts.abilities {
            Some(able) => required.union(own).without(able),
            // Of a model of which nothing is known the request's own needs are not asked: most likely it can.
            None => required,
        };
        let Some(first) = missing.iter().next() else { return Ok(()) };
        let why = match first {
            Ability::Images | Ability::Audio | Ability::Video | Ability::Files => Exclusion::Modality,
            Ability::Tools => Exclusion::Tools,
            Ability::Schema => Exclusion::Schema,
            _ => Exclusion::Capability,
        };
        Err((why, Some(first.name().into())))
    }

    fn size(&self, facts: &Facts, require: &Require) -> Result<(), Excluded> {
        let short = |most: u32| Err((Exclusion::ContextWindow, Some(format!("takes {most} tokens").into())));
        if let Some(least) = require.context {
            match facts.context.or(facts.input) {
                Some(most) if most < least => return short(most),
                Some(_) => {}
                None => return Err((Exclusion::ContextWindow, Some("its size is not known".into()))),
            }
        }
        if !self.needs {
            return Ok(());
        }
        let input = self.ask.input_tokens();
        let output = self.ask.output_ceiling().unwrap_or(0);
        match (facts.context, facts.input, facts.output) {
            (Some(most), ..) if input.saturating_add(output) > u64::from(most) => short(most),
            (_, Some(most), _) if input > u64::from(most) => short(most),
            (.., Some(most)) if output > u64::from(most) => {
                Err((Exclusion::ContextWindow, Some(format!("answers with {most} tokens").into())))
            }
            _ => Ok(()),
        }
    }

    fn parameters(&self, facts: &Facts, _: &Preferences) -> Result<(), Excluded> {
        let Some(payload) = self.ask.payload() else { return Ok(()) };
        match facts.refuses.iter().find(|name| payload.get(name).is_some()) {
            Some(name) => Err((Exclusion::Parameters, Some(Arc::from(&**name)))),
            None => Ok(()),
        }
    }

    fn price(
        &self,
        facts: &Facts,
        require: &Require,
        wishes: Option<&Preferences>,
        cached: u32,
    ) -> Result<(), Excluded> {
        let most = wishes.map_or(require.max_price, |wishes| require.max_price.and(wishes.max_price));
        let budget = self.ask.budget.left;
        if most.is_any() && budget.is_none() {
            return Ok(());
        }
        let card = facts.card(self.ask.input_tokens(), self.ask.wall_ms);
        let cost = estimate::cost(facts, Size::of(self.ask), cached);
        if !most.is_any() {
            let (Some(card), Some(cost)) = (card, cost) else {
                return Err((Exclusion::MaxPrice, Some("its price is not known".into())));
            };
            let dear = most.input.is_some_and(|most| card.input > most)
                || most.output.is_some_and(|most| card.output > most)
                || most.request.is_some_and(|most| cost > most);
            if dear {
                return Err((Exclusion::MaxPrice, None));
            }
        }
        // What has no known price is for the ledger to judge, which knows what to do with it.
        match budget {
            Some(left) if left <= Money::ZERO || cost.is_some_and(|cost| cost > left) => {
                Err((Exclusion::Budget, None))
            }
            _ => Ok(()),
        }
    }
}

fn data(facts: &Facts, require: &Require, wishes: Option<&Preferences>) -> Result<(), Excluded> {
    let keeps_nothing = require.zero_retention || wishes.is_some_and(|wishes| wishes.zero_retention);
    if keeps_nothing && facts.zero_retention != Some(true) {
        let note = if facts.zero_retention.is_none() { "not known" } else { "keeps it" };
        return Err((Exclusion::Retention, Some(note.into())));
    }
    let trains_not = require.no_training || wishes.is_some_and(|wishes| wishes.deny_collection);
    if trains_not && facts.trains != Some(false) {
        let note = if facts.trains.is_none() { "not known" } else { "trains on it" };
        return Err((Exclusion::Training, Some(note.into())));
    }
    Ok(())
}
