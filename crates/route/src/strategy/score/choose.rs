//! How the score strategy chooses.

use std::cmp::Reverse;
use std::sync::Arc;

use lockgate_core::decision::{Alternative, Exclusion, Exploration, Held, MILLION, Sticky, Terms};
use lockgate_core::Money;

use super::table::{self, millionths};
use super::{Dollars, Explore, Missing, Mode, Score, Weigh};
use crate::draw::{draw, share};
use crate::estimate::Size;
use crate::rank::{Chooser, Heat, Scene};
use crate::route::Branch;
use crate::strategy::Choose;

/// A price of a million tokens that is worth half, in nano-dollars: fixed, so that no candidate's worth depends on another's.
const MIDDLE_PRICE: f64 = 2e9;

/// What is settled once for a request.
struct Rating<'a> {
    score: &'a Score,
    table: &'a table::Table,
    weights: table::Weights,
    /// The shares of the four terms in the mode `Sum`.
    weigh: [i64; 4],
    /// Tokens that costs are spread over.
    tokens: f64,
    /// What is worth half of the speed, in microseconds.
    target_us: f64,
}

/// The branches that are compared, in the order of the route, with what speaks for each.
struct Field {
    heats: Vec<Heat>,
    /// A row for each heat.
    terms: Vec<Terms>,
    /// What was measured of each one's tool calls in place of the table's, where that is weighed and any were.
    live: Vec<Option<u32>>,
    /// Places in `heats`, the best first.
    order: Vec<u16>,
}

impl Choose for Score {
    fn branches(&self) -> Vec<&Branch> {
        self.candidates.iter().collect()
    }

    fn compares(&self) -> bool {
        true
    }

    fn rank(&self, chooser: &Chooser, scene: &mut Scene<'_>, out: &mut Vec<u16>) {
        let Some(table) = &chooser.prepared else { return };
        let rating = Rating::of(self, table, scene);
        let mut field = Field::of(&rating, scene.heats(&chooser.nodes), scene);
        scene.choice.best_single = field.best_single(table, scene);
        let settled = self.stick(&mut field, scene);
        if !settled {
            self.vary(&mut field, chooser.number, scene);
        }
        scene.choice.values = table.sheet(&field.terms, &field.live);
        scene.choice.weights = rating.weights.told;
        scene.choice.terms = field.terms;
        for at in field.order {
            field.heats[usize::from(at)].run(out);
        }
    }
}

// === impl Score ===

impl Score {
    /// Keeps a session with its target: inside a turn always, at the start of one unless another leads by enough. Whether
    /// it was kept.
    fn stick(&self, field: &mut Field, scene: &mut Scene<'_>) -> bool {
        let (Some(threshold), Some(memory)) = (self.stickiness, scene.memory.clone()) else { return false };
        let tree = scene.tree;
        let is = |spot: u16| tree.spots[usize::from(spot)].endpoint.target == memory.target;
        let Some(at) = (0..field.order.len()).find(|at| is(field.terms(*at).candidate)) else {
            let former = (0..).zip(&scene.looked).find(|(spot, look)| is(*spot) && look.is_excluded());
            if let Some((candidate, _)) = former {
                scene.choice.sticky = Some(Sticky { candidate, held: Held::Excluded, needed: 0 });
            }
            return false;
        };
        let former = field.terms(at);
        let unit = match self.mode {
            Mode::Sum(_) => f64::from(MILLION),
            Mode::Dollars(_) => 1e9,
        };
        let needed = ((threshold * unit) as i64).max(self.cache_loss(former, scene));
        let lead = field.terms(0).score.saturating_sub(former.score);
        let held = if scene.ask.mid_turn() {
            Held::Pinned
        } else if lead > needed {
            Held::Outbid
        } else {
            Held::Kept
        };
        scene.choice.sticky = Some(Sticky { candidate: former.candidate, held, needed });
        if held == Held::Outbid {
            return false;
        }
        field.order[..=at].rotate_right(1);
        true
    }

    /// What is lost with the prompt cache of the former target, in the unit of the score.
    fn cache_loss(&self, former: &Terms, scene: &Scene<'_>) -> i64 {
        if former.cached == 0 {
            return 0;
        }
        let facts = &scene.tree.spots[usize::from(former.candidate)].endpoint.facts;
        let (Some(with), Some(without)) = (former.cost, crate::estimate::cost(facts, Size::of(scene.ask), 0)) else { return 0 };
        match &self.mode {
            Mode::Dollars(_) => without.nanos().saturating_sub(with.nanos()).max(0),
            Mode::Sum(weigh) => {
                let tokens = tokens(scene);
                let lost = cheapness(Some(with), tokens).saturating_sub(cheapness(Some(without), tokens));
                i64::from(lost) * shares(weigh)[1] / i64::from(MILLION)
            }
        }
    }

    /// Spreads requests over endpoints of the winner's model, and now and then tries another candidate.
    fn vary(&self, field: &mut Field, number: u64, scene: &mut Scene<'_>) {
        if field.order.is_empty() {
            return;
        }
        let pulls = self.pulls(field, scene);
        let total: f64 = pulls.iter().sum();
        let spread_of =
            |at: usize| if total > 0.0 { pulls.get(at).map_or(0.0, |pull| pull / total) } else { f64::from(at == 0) };
        let mut taken = 0;
        if total > 0.0 {
            let mut rest = share(draw(scene.ask.seed, number << 16 | 0xfffe)) * total;
            // The last that pulls, should rounding leave something over.
            taken = pulls.iter().rposition(|pull| *pull > 0.0).unwrap_or(0);
            for (at, pull) in pulls.iter().enumerate().filter(|(_, pull)| **pull > 0.0) {
                if rest < *pull {
                    taken = at;
                    break;
                }
                rest -= pull;
            }
        }
        if let Some(Explore { share: part, per_day }) = &self.explore {
            let count = field.order.len();
            let drawn = (draw(scene.ask.seed, number << 16 | 0xffff) % count as u64) as usize;
            let open = scene.may_explore(field.terms(drawn).cost, *per_day);
            let part = if open { part.clamp(0.0, 1.0) } else { 0.0 };
            let explored = share(draw(scene.ask.seed, number << 16 | 0xfffd)) < part;
            if explored {
                taken = drawn;
                scene.pay_exploring = field.terms(drawn).cost;
            }
            let propensity = (1.0 - part) * spread_of(taken) + part / count as f64;
            scene.choice.exploration = Some(Exploration { explored, propensity: millionths(propensity) });
        }
        field.order[..=taken].rotate_right(1);
    }

    /// How much each of the first draws requests to itself: those of the winner's model within the spread of its score.
    /// (1/price)² × availability⁴: a cheaper endpoint takes more, an unreliable one much less.
    fn pulls(&self, field: &Field, scene: &Scene<'_>) -> Vec<f64> {
        let spots = &scene.tree.spots;
        let family = |terms: &Terms| &*spots[usize::from(terms.candidate)].endpoint.facts.family;
        let (top, of) = (field.terms(0).score, family(field.terms(0)));
        if self.spread <= 0.0 || of.is_empty() {
            return Vec::new();
        }
        let least = top.saturating_sub((top.unsigned_abs() as f64 * self.spread) as i64);
        let near = (0..field.order.len()).map(|at| field.terms(at)).take_while(|terms| terms.score >= least);
        let pull = |terms: &Terms| {
            let price = terms.cost.map_or(f64::INFINITY, |cost| cost.nanos().max(1) as f64);
            let pull = price.powi(-2) * (f64::from(terms.reliability) / f64::from(MILLION)).powi(4);
            if family(terms) == of { pull } else { 0.0 }
        };
        near.map(pull).collect()
    }
}

// === impl Field ===

impl Field {
    /// What can be compared of these branches, rated and in order.
    fn of(rating: &Rating<'_>, heats: Vec<Heat>, scene: &mut Scene<'_>) -> Self {
        let mut field = Self {
            terms: Vec::with_capacity(heats.len()),
            live: Vec::new(),
            order: Vec::with_capacity(heats.len()),
            heats: Vec::with_capacity(heats.len()),
        };
        for mut heat in heats {
            while let Some(why) = rating.excluded(scene, heat.lead) {
                scene.exclude(heat.lead, why.0, why.1);
                match heat.next() {
                    Some(next) => heat = next,
                    None => break,
                }
            }
            if !scene.may_use(heat.lead) {
                continue;
            }
            let (terms, live) = rating.terms(scene, heat.lead);
            if rating.table.live().is_some() {
                field.live.push(live);
            }
            field.terms.push(terms);
            field.heats.push(heat);
        }
        field.sort(scene);
        field
    }

    /// The best first; ties by lower cost, lower latency, higher coverage, then a stable hash. Never the name.
    fn sort(&mut self, scene: &Scene<'_>) {
        const PLACE: u32 = u16::BITS;
        // Score and place in one number: what moves in sorting is small, and ties are rare.
        let mut keys: Vec<u128> =
            (0_u16..).zip(&self.terms).map(|(at, terms)| descending(terms.score) << PLACE | u128::from(at)).collect();
        keys.sort_unstable();
        self.order.extend(keys.iter().map(|key| *key as u16));
        let terms = &self.terms;
        let tie = |at: &u16| {
            let terms = &terms[usize::from(*at)];
            let cost = terms.cost.unwrap_or(Money::from_nanos(i64::MAX));
            let hash = scene.tree.spots[usize::from(terms.candidate)].hash;
            (cost, terms.whole_us, Reverse(terms.coverage), hash)
        };
        let score = |at: &u16| terms[usize::from(*at)].score;
        for tied in self.order.chunk_by_mut(|a, b| score(a) == score(b)).filter(|tied| tied.len() > 1) {
            tied.sort_unstable_by_key(tie);
        }
    }

    /// The terms of what is at this place of the order.
    fn terms(&self, at: usize) -> &Terms {
        &self.terms[usize::from(self.order[at])]
    }

    /// The candidate of the highest quality with no class boosted.
    fn best_single(&self, table: &table::Table, scene: &Scene<'_>) -> Option<Alternative> {
        let live = |at: usize| self.live.get(at).copied().flatten();
        let key = |(at, terms): &(usize, &Terms)| {
            let cost = terms.cost.unwrap_or(Money::from_nanos(i64::MAX));
            let hash = scene.tree.spots[usize::from(terms.candidate)].hash;
            (table.plain_quality(terms.candidate, live(*at)), Reverse(cost), Reverse(hash))
        };
        let (_, best) = self.terms.iter().enumerate().max_by_key(key)?;
        Some(Alternative { candidate: best.candidate, cost: best.cost })
    }
}

/// A key that grows as a score falls.
const fn descending(score: i64) -> u128 {
    // Flipping all bits but the sign's turns the order of signed numbers round, and makes them unsigned.
    (score as u64 ^ (u64::MAX >> 1)) as u128
}

// === impl Rating ===

impl<'a> Rating<'a> {
    fn of(score: &'a Score, table: &'a table::Table, scene: &mut Scene<'_>) -> Self {
        let boosts = table.has_classes() && score.boost != 1.0;
        let task = boosts.then(|| scene.ask.task());
        let weights = table.weights(task, score.boost);
        scene.choice.task = task.cloned();
        let weigh = match &score.mode {
            Mode::Sum(weigh) => shares(weigh),
            Mode::Dollars(_) => [0; 4],
        };
        let target_us = score.latency_target.as_micros() as f64;
        Self { score, table, weights, weigh, tokens: tokens(scene), target_us }
    }

    /// Why a candidate cannot be compared.
    fn excluded(&self, scene: &mut Scene<'_>, spot: u16) -> Option<(Exclusion, Option<Arc<str>>)> {
        let mark = self.table.mark(spot);
        let lacking = self.score.missing == Missing::Exclude && mark.assumed != 0;
        if lacking || mark.coverage < millionths(self.score.min_coverage) {
            let missing = self.weights.told.iter().enumerate().find(|(at, _)| mark.assumed >> at & 1 == 1);
            return Some((Exclusion::Coverage, missing.map(|(_, weight)| Arc::clone(&weight.name))));
        }
        let unpriced = matches!(self.score.mode, Mode::Dollars(_)) && scene.estimate(spot).cost.is_none();
        unpriced.then(|| (Exclusion::MaxPrice, Some("its price is not known".into())))
    }

    /// The terms of a candidate, and what was measured of its tool calls where that is weighed.
    fn terms(&self, scene: &mut Scene<'_>, spot: u16) -> (Terms, Option<u32>) {
        let mark = self.table.mark(spot);
        let mut assumed = mark.assumed;
        let mut sound = None;
        if let Some(live) = self.table.live() {
            sound = table::sound(scene.estimate(spot).tool_calls);
            assumed |= u64::from(sound.is_none()) << live;
        }
        let quality = self.table.quality(spot, &self.weights, sound);
        let plain = scene.terms(spot);
        let cheapness = cheapness(plain.cost, self.tokens);
        let speed = millionths(self.target_us / (self.target_us + plain.whole_us as f64));
        let score = match &self.score.mode {
            Mode::Sum(_) => {
                let terms = [quality, cheapness, speed, plain.reliability];
                let sum: i64 = terms.iter().zip(self.weigh).map(|(term, weigh)| i64::from(*term) * weigh).sum();
                sum / i64::from(MILLION)
            }
            Mode::Dollars(dollars) => worth(dollars, quality, &plain),
        };
        (Terms { score, quality, coverage: mark.coverage, assumed, cheapness, speed, ..plain }, sound)
    }
}

/// Tokens of a request, at least one.
fn tokens(scene: &Scene<'_>) -> f64 {
    (scene.ask.input_tokens().saturating_add(scene.ask.output_tokens())).max(1) as f64
}

/// Cost as a share: the logistic of the logarithm of the price of a million of the request's tokens, half at a fixed price.
/// Falls with every rise, and is nothing where no price is known.
fn cheapness(cost: Option<Money>, tokens: f64) -> u32 {
    let Some(cost) = cost else { return 0 };
    let price = cost.nanos().max(0) as f64 / tokens * 1e6;
    millionths(1.0 / (1.0 + (price / MIDDLE_PRICE).sqrt()))
}

/// Weights in millionths that sum to a million. Nothing weighed: quality alone.
fn shares(weigh: &Weigh) -> [i64; 4] {
    let all = [weigh.quality, weigh.cost, weigh.latency, weigh.reliability].map(|weight| weight.max(0.0));
    let total: f64 = all.iter().sum();
    if total <= 0.0 {
        return [i64::from(MILLION), 0, 0, 0];
    }
    all.map(|weight| i64::from(millionths(weight / total)))
}

/// Value × quality − cost − waiting − failure, in nano-dollars.
fn worth(dollars: &Dollars, quality: u32, terms: &Terms) -> i64 {
    let part = |of: Money, share: u64| {
        let part = i128::from(of.nanos()) * i128::from(share) / i128::from(MILLION);
        i64::try_from(part).unwrap_or(i64::MAX)
    };
    let failing = u64::from(MILLION.saturating_sub(terms.reliability));
    part(dollars.value, u64::from(quality))
        .saturating_sub(terms.cost.map_or(0, Money::nanos))
        .saturating_sub(part(dollars.second, terms.whole_us))
        .saturating_sub(part(dollars.failure, failing))
}
