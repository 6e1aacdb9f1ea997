//! The walk through a tree for one request.

use std::sync::Arc;
use std::time::Duration;

use lockgate_core::decision::{Choice, Exclusion, Fired, Terms, Verdict};
use lockgate_core::{Money, Tick};

use crate::affinity::Memory;
use crate::ask::Ask;
use crate::estimate::{Estimate, Size};
use crate::gate::{Gate, Moment};
use crate::strategy::{Prepared, Strategy};
use crate::tree::{Ready, Spot, Tree};
use crate::view::Scales;

/// A place in a tree.
#[derive(Debug)]
pub(crate) enum Node {
    /// An endpoint.
    Leaf(u16),
    /// Endpoints in order.
    Group(Vec<u16>),
    /// What a strategy chooses among.
    Choose(Box<Chooser>),
    /// A route with its rules.
    Route(Box<Ready>),
}

/// A strategy with its branches made ready.
#[derive(Debug)]
pub(crate) struct Chooser {
    pub(crate) strategy: Strategy,
    /// Its name, for the path of a decision.
    pub(crate) name: Arc<str>,
    pub(crate) nodes: Vec<Node>,
    /// What it has worked out beforehand.
    pub(crate) prepared: Option<Prepared>,
    /// Tells its draws from those of others.
    pub(crate) number: u64,
}

/// What a walk through a tree sees, and what it leaves behind.
pub(crate) struct Scene<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) ask: &'a Ask<'a>,
    pub(crate) moment: &'a Moment<'a>,
    pub(crate) choice: Choice,
    pub(crate) looked: Vec<Look>,
    /// What is remembered of the session, where the tree asks.
    pub(crate) memory: Option<Memory>,
    /// What an exploration costs.
    pub(crate) pay_exploring: Option<Money>,
    /// The sessions that are to remember what serves this request.
    pub(crate) remember: Vec<u64>,
    gate: Gate<'a>,
    estimates: Vec<Option<Estimate>>,
    size: Option<Size>,
}

/// What is known of a spot so far.
#[derive(Clone, Debug, Default)]
pub(crate) enum Look {
    /// Nobody has looked.
    #[default]
    Unseen,
    /// It may be used; a policy on trial would forbid it.
    Eligible(Option<Arc<str>>),
    /// It may not.
    Excluded(Exclusion, Option<Arc<str>>),
}

/// A branch in a comparison: its spots in order, of which the first stands for it.
pub(crate) struct Heat {
    pub(crate) lead: u16,
    rest: Vec<u16>,
}

/// How long a session is remembered whose provider does not say how long it keeps prompts.
const USUAL_KEEP: Duration = Duration::from_secs(300);

// === impl Node ===

impl Node {
    pub(crate) fn group(mut spots: Vec<u16>) -> Self {
        match spots.len() {
            1 => Self::Leaf(spots.remove(0)),
            _ => Self::Group(spots),
        }
    }

    pub(crate) fn choose(
        strategy: &Strategy,
        nodes: Vec<Self>,
        spots: &[Spot],
        scales: &Scales,
        number: u64,
    ) -> Self {
        let mut below = Vec::new();
        nodes.iter().for_each(|node| node.spots(&mut below));
        let prepared = strategy.prepare(&below, spots, scales);
        let name = strategy.name().into();
        Self::Choose(Box::new(Chooser { strategy: strategy.clone(), name, nodes, prepared, number }))
    }

    /// Whether anything in it weighs targets.
    pub(crate) fn weighs(&self) -> bool {
        match self {
            Self::Leaf(_) | Self::Group(_) => false,
            Self::Choose(chooser) => {
                chooser.strategy.choose().compares() || chooser.nodes.iter().any(Self::weighs)
            }
            Self::Route(ready) => ready.weighs(),
        }
    }

    /// All its spots.
    pub(crate) fn spots(&self, out: &mut Vec<u16>) {
        match self {
            Self::Leaf(spot) => out.push(*spot),
            Self::Group(spots) => out.extend(spots),
            Self::Choose(chooser) => chooser.nodes.iter().for_each(|node| node.spots(out)),
            Self::Route(ready) => {
                let rules = ready.rules.iter().flat_map(|rule| [Some(&rule.then), rule.on_error.as_ref()]);
                let rest = [Some(&ready.then), ready.on_error.as_ref()];
                rules.chain(rest).flatten().for_each(|node| node.spots(out));
            }
        }
    }

    /// Puts its eligible spots in order of preference behind what is in `out`.
    pub(crate) fn rank(&self, scene: &mut Scene<'_>, out: &mut Vec<u16>) {
        match self {
            Self::Leaf(spot) => {
                if scene.may_use(*spot) {
                    out.push(*spot);
                }
            }
            Self::Group(spots) => out.extend(spots.iter().filter(|spot| scene.may_use(**spot))),
            Self::Choose(chooser) => {
                scene.choice.path.push(Arc::clone(&chooser.name));
                chooser.strategy.choose().rank(chooser, scene, out);
            }
            Self::Route(ready) => ready.rank(scene, out),
        }
    }
}

// === impl Ready ===

impl Ready {
    /// Its first rule that holds decides.
    pub(crate) fn rank(&self, scene: &mut Scene<'_>, out: &mut Vec<u16>) {
        scene.choice.path.push(Arc::clone(&self.name));
        for rule in &self.rules {
            let fired = |verdict| Fired { rule: Arc::clone(&rule.name), verdict };
            let node = match rule.condition.evaluate(scene.ask) {
                Ok(false) => {
                    scene.choice.rules.push(fired(Verdict::Passed));
                    continue;
                }
                Ok(true) => {
                    scene.choice.rules.push(fired(Verdict::Matched));
                    &rule.then
                }
                Err(incident) => {
                    scene.choice.rules.push(fired(Verdict::Incident));
                    scene.choice.incidents.push(incident);
                    rule.on_error.as_ref().or(self.on_error.as_ref()).unwrap_or(&self.then)
                }
            };
            scene.choice.path.push(Arc::clone(&rule.name));
            return node.rank(scene, out);
        }
        self.then.rank(scene, out);
    }
}

// === impl Scene ===

impl<'a> Scene<'a> {
    pub(crate) fn new(tree: &'a Tree, ask: &'a Ask<'a>, moment: &'a Moment<'a>) -> Self {
        let mut choice = Choice {
            catalog: Arc::clone(&tree.catalog),
            benchmarks: Arc::clone(&tree.scales.version),
            seed: ask.seed,
            ..Choice::default()
        };
        let policy = tree.policy.as_deref().map(|policy| (policy, policy.applying(ask)));
        let policy = policy.filter(|(_, applying)| !applying.is_empty());
        let doubts = policy.iter().flat_map(|(_, applying)| applying);
        choice.incidents.extend(doubts.filter_map(|it| it.incident.clone()));
        let count = tree.spots.len();
        let mut scene = Self {
            tree,
            ask,
            moment,
            choice,
            looked: vec![Look::Unseen; count],
            memory: None,
            pay_exploring: None,
            remember: Vec::new(),
            gate: Gate { ask, moment, policy, needs: tree.weighs },
            estimates: Vec::new(),
            size: None,
        };
        if tree.weighs {
            scene.estimates = vec![None; count];
            if let Some(session) = ask.session() {
                scene.memory = scene.recall(session, None);
                scene.remember.push(session);
            }
        }
        scene
    }

    /// What is remembered of a session that was used within `keep`, or as long as its provider keeps prompts.
    pub(crate) fn recall(&self, session: u64, keep: Option<Duration>) -> Option<Memory> {
        let tree = self.tree;
        tree.registry.sessions().recall(session, self.moment.now, |memory| {
            keep.unwrap_or_else(|| {
                let spot = tree.spots.iter().find(|spot| spot.endpoint.target == memory.target);
                let seconds = spot.and_then(|spot| spot.endpoint.facts.cache_seconds);
                seconds.map_or(USUAL_KEEP, |seconds| Duration::from_secs(u64::from(seconds)))
            })
        })
    }

    /// Whether a spot may be used; it has been looked at from here on.
    pub(crate) fn may_use(&mut self, spot: u16) -> bool {
        let at = usize::from(spot);
        if matches!(self.looked[at], Look::Unseen) {
            self.looked[at] = self.gate.look(&self.tree.spots[at], self.cached(spot));
        }
        matches!(self.looked[at], Look::Eligible(_))
    }

    /// Takes a spot out that had been eligible.
    pub(crate) fn exclude(&mut self, spot: u16, why: Exclusion, note: Option<Arc<str>>) {
        self.looked[usize::from(spot)] = Look::Excluded(why, note);
    }

    /// The part of the session's input that is expected in the prompt cache of a spot, in millionths.
    pub(crate) fn cached(&self, spot: u16) -> u32 {
        let target = &self.tree.spots[usize::from(spot)].endpoint.target;
        self.memory.as_ref().filter(|memory| memory.target == *target).map_or(0, |memory| memory.cached)
    }

    /// What is expected of a spot.
    pub(crate) fn estimate(&mut self, spot: u16) -> Estimate {
        let at = usize::from(spot);
        if let Some(Some(known)) = self.estimates.get(at) {
            return *known;
        }
        let endpoint = &*self.tree.spots[at].endpoint;
        let size = *self.size.get_or_insert_with(|| Size::of(self.ask));
        let glance = endpoint.health.glance(self.moment.now, size.input);
        let estimate = Estimate::of(&endpoint.facts, size, &glance, self.cached(spot));
        if let Some(place) = self.estimates.get_mut(at) {
            *place = Some(estimate);
        }
        estimate
    }

    /// The terms of a spot as far as they do not depend on a strategy.
    pub(crate) fn terms(&mut self, spot: u16) -> Terms {
        let estimate = self.estimate(spot);
        Terms {
            candidate: spot,
            cost: estimate.cost,
            cached: estimate.cached,
            first_us: estimate.first_us,
            whole_us: estimate.whole_us,
            unmeasured: estimate.unmeasured,
            reliability: estimate.reliability,
            in_flight: estimate.in_flight,
            ..Terms::default()
        }
    }

    /// What breaks a tie: lower cost, then lower latency, then a stable hash. Never the name.
    pub(crate) fn tie(&mut self, spot: u16) -> (Money, u64, u64) {
        let estimate = self.estimate(spot);
        let cost = estimate.cost.unwrap_or(Money::from_nanos(i64::MAX));
        (cost, estimate.whole_us, self.tree.spots[usize::from(spot)].hash)
    }

    /// The branches that have anything to offer.
    pub(crate) fn heats(&mut self, nodes: &[Node]) -> Vec<Heat> {
        let mut heats = Vec::with_capacity(nodes.len());
        for node in nodes {
            if let Node::Leaf(spot) = node {
                if self.may_use(*spot) {
                    heats.push(Heat { lead: *spot, rest: Vec::new() });
                }
                continue;
            }
            let mut spots = Vec::new();
            node.rank(self, &mut spots);
            if !spots.is_empty() {
                let lead = spots.remove(0);
                heats.push(Heat { lead, rest: spots });
            }
        }
        heats
    }

    /// Puts branches in the order of a key of what stands for each, the lowest first, and keeps the terms of each.
    /// `terms` fills in the score.
    pub(crate) fn compare<K: Ord>(
        &mut self,
        nodes: &[Node],
        out: &mut Vec<u16>,
        mut terms: impl FnMut(&mut Self, u16) -> (K, i64),
    ) {
        let heats = self.heats(nodes);
        let mut keyed = Vec::with_capacity(heats.len());
        let mut all = Vec::with_capacity(heats.len());
        for heat in heats {
            let (key, score) = terms(self, heat.lead);
            all.push(Terms { score, ..self.terms(heat.lead) });
            keyed.push(((key, self.tie(heat.lead)), heat));
        }
        self.choice.weights.clear();
        self.choice.values = Arc::default();
        self.choice.terms = all;
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
        keyed.into_iter().for_each(|(_, mut heat)| heat.run(out));
    }

    /// Whether what explorations may cost in a day is not used up.
    pub(crate) fn may_explore(&self, cost: Option<Money>, per_day: Money) -> bool {
        let spent = self.tree.registry.explored(self.ask.wall_ms);
        cost.and_then(|cost| spent.checked_add(cost)).is_some_and(|sum| sum <= per_day)
    }

    /// When a spot that is out of rotation comes back.
    pub(crate) fn back(&self, spot: usize) -> Option<Tick> {
        self.tree.spots[spot].endpoint.state(self.moment.now).out_until()
    }
}

// === impl Look ===

impl Look {
    pub(crate) const fn is_excluded(&self) -> bool {
        matches!(self, Self::Excluded(..))
    }
}

// === impl Heat ===

impl Heat {
    /// The same without its first.
    pub(crate) fn next(&mut self) -> Option<Self> {
        let mut rest = std::mem::take(&mut self.rest);
        (!rest.is_empty()).then(|| Self { lead: rest.remove(0), rest })
    }

    /// Puts its spots behind what is in `out`, in order.
    pub(crate) fn run(&mut self, out: &mut Vec<u16>) {
        out.push(self.lead);
        out.append(&mut self.rest);
    }
}
