//! The targets of one request in the order in which they will be tried.

use std::collections::HashSet;
use std::sync::Arc;

use lockgate_core::decision::{Alternative, Candidate, Decision, Exclusion, Fallback, Shadow, Standing};
use lockgate_core::{Error, Kind, Tick};

use crate::ask::Ask;
use crate::breaker::{Settings, State};
use crate::calls;
use crate::endpoint::Endpoint;
use crate::gate::Moment;
use crate::health::Tally;
use crate::preferences::{Preferences, Sort};
use crate::rank::{Look, Node, Scene};
use crate::route::RouteSettings;
use crate::table::{Patience, Resolution};
use crate::tree::Tree;

/// What will be tried, and why.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The endpoints in order; at least one.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// How often they are gone through again, and how long that may take.
    pub patience: Patience,
    /// How it came about.
    pub decision: Arc<Decision>,
    /// How the first is called; the others too, unless `apart` has something of their own.
    pub settings: Arc<RouteSettings>,
    /// How each of the endpoints is called, where they differ; else empty.
    pub apart: Vec<Arc<RouteSettings>>,
    /// Where the request goes on after a failure.
    pub detours: Arc<Detours>,
    /// The sessions that are to remember what serves this request: [`crate::Sessions::note`].
    pub remember: Vec<u64>,
}

/// Where a request goes on after a failure, by its class. All of it is within policy.
#[derive(Clone, Debug, Default)]
pub struct Detours {
    lists: [Option<Vec<Arc<Endpoint>>>; Fallback::ALL.len()],
}

/// No target may be used.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Every target with the reason.
    pub decision: Arc<Decision>,
}

// === impl Plan ===

impl Plan {
    /// The plan of a request.
    ///
    /// # Errors
    /// [`Refused`] when there is nothing that may be used.
    pub fn make(resolution: &Resolution, ask: &Ask<'_>, moment: &Moment<'_>) -> Result<Self, Refused> {
        let concerned =
            || resolution.tree.policy.as_ref().is_some_and(|policy| !policy.applying(ask).is_empty());
        let unasked = ask.preferences.is_none() && ask.region.is_none() && !concerned();
        if resolution.tree.plain && unasked && !moment.dry {
            return Ok(Self::ordered(resolution, moment.now, moment.breakers));
        }
        Self::chosen(resolution, ask, moment)
    }

    /// The ordered strategy: as declared, less what is out of rotation. When all of it is, the one that returns first
    /// is tried all the same: a likely failure is better than a sure one.
    pub fn ordered(resolution: &Resolution, now: Tick, settings: &Settings) -> Self {
        let mut states: Vec<State> =
            resolution.endpoints.iter().map(|endpoint| endpoint.state(now)).collect();
        // Whoever is called first is admitted now, as that may be a probe; the others when their turn comes.
        for (endpoint, state) in resolution.endpoints.iter().zip(&mut states) {
            if state.out_until().is_none() {
                *state = endpoint.admit(now, settings);
                if state.out_until().is_none() {
                    break;
                }
            }
        }
        let plan = |endpoints, decision| Self {
            endpoints,
            patience: resolution.patience,
            decision,
            settings: Arc::clone(&resolution.settings),
            apart: Vec::new(),
            detours: Arc::clone(&resolution.detours),
            remember: Vec::new(),
        };
        if states.iter().all(|state| state.out_until().is_none()) {
            return plan(resolution.endpoints.clone(), Arc::clone(&resolution.decision));
        }
        let candidates = resolution.decision.candidates.iter().zip(&states);
        let candidates = candidates.map(|(candidate, state)| {
            let standing = out_for(*state).map_or(candidate.standing, Standing::Excluded);
            Candidate { standing, ..candidate.clone() }
        });
        let decision = Decision { candidates: candidates.collect(), ..Decision::clone(&resolution.decision) };
        let mut endpoints: Vec<_> = resolution
            .endpoints
            .iter()
            .zip(&states)
            .filter(|(_, state)| state.out_until().is_none())
            .map(|(endpoint, _)| Arc::clone(endpoint))
            .collect();
        if endpoints.is_empty() {
            let first_back =
                resolution.endpoints.iter().zip(&states).min_by_key(|(_, state)| state.out_until());
            endpoints.extend(first_back.map(|(endpoint, _)| {
                endpoint.insist();
                Arc::clone(endpoint)
            }));
        }
        plan(endpoints, Arc::new(decision))
    }

    fn chosen(resolution: &Resolution, ask: &Ask<'_>, moment: &Moment<'_>) -> Result<Self, Refused> {
        let tree = &*resolution.tree;
        let mut scene = Scene::new(tree, ask, moment);
        let mut order = Vec::new();
        tree.root.rank(&mut scene, &mut order);
        if order.is_empty() {
            order = instead(&mut scene);
        }
        let mut order = once_each(tree, order);
        if let Some(wishes) = ask.preferences.as_deref() {
            wish(&mut scene, wishes, &mut order);
        }
        if !moment.dry {
            take_probe(&mut scene, &mut order);
            hear_of_calls(&scene);
            if let Some(cost) = scene.pay_exploring {
                tree.registry.explore(ask.wall_ms, cost);
            }
        }
        let alone = ask.preferences.as_deref().is_some_and(|wishes| wishes.no_fallbacks);
        let detours = if alone || tree.fallback.is_empty() {
            Arc::default()
        } else {
            Arc::new(Detours::within(tree, &mut scene))
        };
        compare(&mut scene, &order);
        if let Some(shadow) = &tree.shadow {
            scene.choice.shadow = Some(tried(tree, shadow, ask, moment));
        }
        let spot = |spot: &u16| &tree.spots[usize::from(*spot)];
        let endpoints: Vec<_> = order.iter().map(|at| Arc::clone(&spot(at).endpoint)).collect();
        let first = order.first().map(|first| Arc::clone(&spot(first).settings));
        let alike = |at: &u16| {
            let own = &spot(at).settings;
            first.as_ref().is_some_and(|first| Arc::ptr_eq(own, first) || own == first)
        };
        let apart = if order.iter().all(alike) {
            Vec::new()
        } else {
            order.iter().map(|at| Arc::clone(&spot(at).settings)).collect()
        };
        let remember = std::mem::take(&mut scene.remember);
        let decision = Arc::new(told(resolution, scene, order));
        let Some(settings) = first else { return Err(Refused { decision }) };
        Ok(Self {
            endpoints,
            patience: Patience::of(&settings),
            decision,
            settings,
            apart,
            detours,
            remember,
        })
    }

    /// How the endpoint at a place is called.
    pub fn settings(&self, at: usize) -> &RouteSettings {
        self.apart.get(at).unwrap_or(&self.settings)
    }
}

/// Why an endpoint is out of rotation, if it is.
pub(crate) const fn out_for(state: State) -> Option<Exclusion> {
    match state {
        State::Closed | State::Probe => None,
        State::Open(_) => Some(Exclusion::BreakerOpen),
        State::Limited(_) => Some(Exclusion::RateHeadroom),
    }
}

/// What is tried when none of a route's own targets may be used: its list for any failure, and at last the target that
/// returns first to rotation, as a likely failure is better than a sure one.
fn instead(scene: &mut Scene<'_>) -> Vec<u16> {
    let mut order = Vec::new();
    for class in [Fallback::Budget, Fallback::RateLimit, Fallback::ContextWindow, Fallback::Any] {
        let Some((_, spots)) = scene.tree.fallback.iter().find(|(known, _)| *known == class) else {
            continue;
        };
        if class != Fallback::Any && !all_for(scene, class) {
            continue;
        }
        order.extend(spots.iter().filter(|spot| scene.may_use(**spot)));
        if !order.is_empty() {
            scene.choice.fallback = Some(class);
            return order;
        }
    }
    let resting =
        |look: &Look| matches!(look, Look::Excluded(Exclusion::BreakerOpen | Exclusion::RateHeadroom, _));
    let first_back = (0..scene.looked.len())
        .filter(|spot| resting(&scene.looked[*spot]))
        .min_by_key(|spot| scene.back(*spot).unwrap_or_default());
    if let Some(spot) = first_back {
        if !scene.moment.dry {
            scene.tree.spots[spot].endpoint.insist();
        }
        order.extend(u16::try_from(spot).ok());
    }
    order
}

/// Whether all that was looked at is excluded for reasons of one class.
fn all_for(scene: &Scene<'_>, class: Fallback) -> bool {
    scene.looked.iter().all(|look| {
        matches!(
            (look, class),
            (Look::Unseen, _)
                | (Look::Excluded(Exclusion::Budget, _), Fallback::Budget)
                | (Look::Excluded(Exclusion::RateHeadroom, _), Fallback::RateLimit)
                | (Look::Excluded(Exclusion::ContextWindow, _), Fallback::ContextWindow)
        )
    })
}

/// The same order, each target once.
fn once_each(tree: &Tree, order: Vec<u16>) -> Vec<u16> {
    if !tree.repeats {
        return order;
    }
    let mut seen = HashSet::with_capacity(order.len());
    order.into_iter().filter(|spot| seen.insert(tree.spots[usize::from(*spot)].hash)).collect()
}

/// Orders by the request's own preferences.
fn wish(scene: &mut Scene<'_>, wishes: &Preferences, order: &mut Vec<u16>) {
    match wishes.sort {
        None => {}
        Some(Sort::Price) => order.sort_by_key(|spot| scene.tie(*spot)),
        Some(Sort::Latency) => order.sort_by_key(|spot| scene.estimate(*spot).first_us),
        Some(Sort::Throughput) => order.sort_by_key(|spot| {
            let estimate = scene.estimate(*spot);
            estimate.whole_us.saturating_sub(estimate.first_us)
        }),
    }
    let tree = scene.tree;
    order.sort_by_key(|spot| wishes.place(&tree.spots[usize::from(*spot)].endpoint.target.provider));
    if wishes.no_fallbacks {
        order.truncate(1);
    }
}

/// A half-open breaker lets one call pass as a probe. Whoever is too late for it goes to the next target, if there is one.
fn take_probe(scene: &mut Scene<'_>, order: &mut Vec<u16>) {
    while let Some(first) = order.first().copied() {
        let endpoint = &scene.tree.spots[usize::from(first)].endpoint;
        let Some(why) = out_for(endpoint.admit(scene.moment.now, scene.moment.breakers)) else { return };
        if order.len() == 1 {
            endpoint.insist();
            return;
        }
        scene.exclude(first, why, None);
        order.remove(0);
    }
}

/// What became of the calls of tools that the session's target made is heard when their results come: in the request that goes
/// on with the turn, in any dialect, and however the answer was sent.
fn hear_of_calls(scene: &Scene<'_>) {
    let Some(memory) = scene.memory.as_ref().filter(|_| scene.ask.mid_turn()) else { return };
    let seen = scene.ask.payload().map(calls::tally).unwrap_or_default();
    if seen != Tally::default() {
        scene.tree.registry.health(&memory.target).tool_calls(scene.moment.now, seen);
    }
}

/// The winner beside the second and the cheapest.
fn compare(scene: &mut Scene<'_>, order: &[u16]) {
    if !scene.tree.weighs {
        return;
    }
    scene.choice.input_tokens = Some(scene.ask.input_tokens());
    scene.choice.output_tokens = Some(scene.ask.output_tokens());
    let Some(winner) = order.first() else { return };
    scene.choice.expected = scene.estimate(*winner).cost;
    let mut other = |spot: u16| Alternative { candidate: spot, cost: scene.estimate(spot).cost };
    let runner_up = order.get(1).map(|spot| other(*spot));
    let priced = order.iter().map(|spot| other(*spot)).filter(|other| other.cost.is_some());
    let cheapest = priced.min_by_key(|other| other.cost);
    let score =
        |spot: u16| scene.choice.terms.iter().find(|terms| terms.candidate == spot).map(|terms| terms.score);
    let margin = runner_up.and_then(|second| Some(score(*winner)?.saturating_sub(score(second.candidate)?)));
    (scene.choice.runner_up, scene.choice.cheapest, scene.choice.margin) = (runner_up, cheapest, margin);
}

/// What a tree on trial would choose.
fn tried(tree: &Tree, shadow: &Node, ask: &Ask<'_>, moment: &Moment<'_>) -> Shadow {
    let moment = Moment { dry: true, ..*moment };
    let mut scene = Scene::new(tree, ask, &moment);
    let mut order = Vec::new();
    shadow.rank(&mut scene, &mut order);
    let winner = order.first().map(|spot| tree.spots[usize::from(*spot)].endpoint.target.clone());
    Shadow { winner, cost: order.first().and_then(|spot| scene.estimate(*spot).cost) }
}

/// The decision of a walk that is over: what was looked at, renumbered.
fn told(resolution: &Resolution, scene: Scene<'_>, order: Vec<u16>) -> Decision {
    let Scene { tree, mut choice, looked, .. } = scene;
    let decision = |candidates, choice| Decision {
        snapshot: resolution.decision.snapshot,
        matched: resolution.decision.matched,
        candidates,
        choice: Some(Box::new(choice)),
    };
    let (own, others) = looked.split_at(tree.own);
    let all_eligible = own.iter().all(|look| matches!(look, Look::Eligible(None)))
        && others.iter().all(|look| matches!(look, Look::Unseen));
    if all_eligible {
        // Every spot stands at its own place, so nothing is renumbered, and all such requests share one list.
        choice.order = order;
        return decision(Arc::clone(&tree.candidates), choice);
    }
    let mut places = vec![u16::MAX; looked.len()];
    let mut candidates = Vec::with_capacity(looked.len());
    for ((look, spot), place) in looked.into_iter().zip(&tree.spots).zip(&mut places) {
        let candidate = Candidate::eligible(&spot.endpoint.target);
        let candidate = match look {
            Look::Unseen => continue,
            Look::Eligible(note) => Candidate { note, ..candidate },
            Look::Excluded(why, note) => candidate.excluded(why, note),
        };
        *place = candidates.len() as u16;
        candidates.push(candidate);
    }
    let place = |spot: u16| places.get(usize::from(spot)).copied().unwrap_or(u16::MAX);
    choice.order = order.iter().map(|spot| place(*spot)).collect();
    choice.terms.iter_mut().for_each(|terms| terms.candidate = place(terms.candidate));
    for other in [&mut choice.runner_up, &mut choice.cheapest, &mut choice.best_single].into_iter().flatten()
    {
        other.candidate = place(other.candidate);
    }
    if let Some(sticky) = &mut choice.sticky {
        sticky.candidate = place(sticky.candidate);
    }
    decision(candidates.into(), choice)
}

// === impl Detours ===

impl Detours {
    /// Where a failure of this class goes: its own list, else that for any. `None`: there is neither, and the plan's next
    /// target is what there is. An empty list: nowhere.
    pub fn of(&self, class: Fallback) -> Option<&[Arc<Endpoint>]> {
        self.own(class).or_else(|| self.own(Fallback::Any))
    }

    /// The list that was declared for this very class.
    pub fn own(&self, class: Fallback) -> Option<&[Arc<Endpoint>]> {
        self.lists[class as usize].as_deref()
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.lists.iter().all(Option::is_none)
    }

    /// The class of a failure.
    pub const fn class(kind: Kind) -> Fallback {
        match kind {
            Kind::ContextWindow => Fallback::ContextWindow,
            Kind::ContentPolicy => Fallback::ContentPolicy,
            Kind::UpstreamRateLimited | Kind::RateLimited => Fallback::RateLimit,
            Kind::BudgetExceeded => Fallback::Budget,
            _ => Fallback::Any,
        }
    }

    /// As declared.
    pub(crate) fn declared(tree: &Tree) -> Self {
        let mut detours = Self::default();
        for (class, spots) in &tree.fallback {
            let endpoints = spots.iter().map(|spot| Arc::clone(&tree.spots[usize::from(*spot)].endpoint));
            detours.lists[*class as usize] = Some(endpoints.collect());
        }
        detours
    }

    /// As declared, less what may not be used. An open breaker is no reason: it may have closed until then.
    fn within(tree: &Tree, scene: &mut Scene<'_>) -> Self {
        let mut detours = Self::default();
        for (class, spots) in &tree.fallback {
            let mut endpoints = Vec::new();
            for spot in spots {
                let unseen = matches!(scene.looked[usize::from(*spot)], Look::Unseen);
                let may = scene.may_use(*spot)
                    || matches!(
                        scene.looked[usize::from(*spot)],
                        Look::Excluded(Exclusion::BreakerOpen | Exclusion::RateHeadroom, _)
                    );
                if may {
                    endpoints.push(Arc::clone(&tree.spots[usize::from(*spot)].endpoint));
                }
                if unseen {
                    scene.looked[usize::from(*spot)] = Look::Unseen;
                }
            }
            detours.lists[*class as usize] = Some(endpoints);
        }
        detours
    }
}

// === impl Refused ===

impl Refused {
    /// What the client is told: every target with the reason why it may not be used.
    pub fn error(&self, model: &str) -> Error {
        let shown: String = model.chars().take(100).collect();
        let mut kind = Kind::NoTarget;
        let mut reasons = self.decision.candidates.iter().filter_map(|candidate| match candidate.standing {
            Standing::Excluded(why) => Some(why),
            Standing::Eligible => None,
        });
        if let Some(first) = reasons.next()
            && reasons.all(|why| why == first)
        {
            kind = match first {
                Exclusion::NotAllowed => Kind::PermissionDenied,
                Exclusion::ContextWindow => Kind::ContextWindow,
                Exclusion::Budget => Kind::BudgetExceeded,
                _ => Kind::NoTarget,
            };
        }
        let mut text = format!("No target of \"{shown}\" may be used for this request:");
        for candidate in self.decision.candidates.iter().take(SHOWN) {
            let Standing::Excluded(why) = candidate.standing else { continue };
            text.push_str(&format!(" {}/{}: {}", candidate.provider, candidate.model, why.code()));
            if let Some(note) = &candidate.note {
                text.push_str(&format!(" ({note})"));
            }
            text.push(';');
        }
        let more = self.decision.candidates.len().saturating_sub(SHOWN);
        if more > 0 {
            text.push_str(&format!(" and {more} more;"));
        }
        text.pop();
        text.push('.');
        Error::gateway(kind, text).param("model").candidates(self.decision.candidates.to_vec())
    }
}

/// Targets that an error's text names.
const SHOWN: usize = 8;

#[cfg(test)]
mod tests;
