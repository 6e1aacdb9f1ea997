//! How the score strategy chooses.

use std::cmp::Reverse;
use std::sync::Arc;

use lockgate_core::decision::{Alternative, Exclusion, Exploration, Held, MILLION, Sticky, Terms, Weight};
use lockgate_core::Money;

use super::table::{self, millionths};
use super::{Dollars, Explore, Missing, Mode, Score, Weigh};
use crate::draw::{draw, share};
use crate::rank::{Chooser, Heat, Scene};
use crate::route::Branch;
use crate::strategy::Choose;

/// A price of a million tokens that is worth half, in nano-dollars: fixed, so that no candidate's worth depends on another's.
const MIDDLE_PRICE: f64 = 2e9;

/// What is settled once for a request.
struct Rating<'a> {
    score: &'a Score,
    table: &'a table::Table,
    weights: Vec<Weight>,
    /// The shares of the four terms in the mode `Sum`.
    weigh: [i64; 4],
    /// Tokens that costs are spread over.
    tokens: f64,
    /// What is worth half of the speed, in microseconds.
    target_us: f64,
}

/// A branch with what speaks for it.
struct Entry {
    heat: Heat,
    terms: Terms,
    hash: u64,
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
        let heats = scene.heats(&chooser.nodes);
        let mut values = Vec::with_capacity(heats.len() * rating.weights.len());
        let mut entries = Vec::with_capacity(heats.len());
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
            let terms = rating.terms(scene, heat.lead, &mut values);
            let hash = scene.tree.spots[usize::from(heat.lead)].hash;
            entries.push(Entry { heat, terms, hash });
        }
        scene.choice.terms = entries.iter().map(|entry| entry.terms.clone()).collect();
        scene.choice.values = values.as_slice().into();
        scene.choice.best_single = best_single(&entries, table, scene);
        scene.choice.weights = rating.weights;
        entries.sort_unstable_by_key(|Entry { terms, hash, .. }| {
            let cost = terms.cost.unwrap_or(Money::from_nanos(i64::MAX));
            (Reverse(terms.score), cost, terms.whole_us, Reverse(terms.coverage), *hash)
        });
        let settled = self.stick(&mut entries, scene);
        if !settled {
            self.vary(&mut entries, chooser.number, scene);
        }
        entries.into_iter().for_each(|entry| entry.heat.run(out));
    }
}

// === impl Score ===

impl Score {
    /// Keeps a session with its target: inside a turn always, at the start of one unless another leads by enough. Whether
    /// it was kept.
    fn stick(&self, entries: &mut [Entry], scene: &mut Scene<'_>) -> bool {
        let (Some(threshold), Some(memory)) = (self.stickiness, scene.memory.clone()) else { return false };
        let tree = scene.tree;
        let is = |spot: u16| tree.spots[usize::from(spot)].endpoint.target == memory.target;
        let Some(at) = entries.iter().position(|entry| is(entry.heat.lead)) else {
            let former = (0..).zip(&scene.looked).find(|(spot, look)| is(*spot) && look.is_excluded());
            if let Some((candidate, _)) = former {
                scene.choice.sticky = Some(Sticky { candidate, held: Held::Excluded, needed: 0 });
            }
            return false;
        };
        let former = &entries[at].terms;
        let unit = match self.mode {
            Mode::Sum(_) => f64::from(MILLION),
            Mode::Dollars(_) => 1e9,
        };
        let needed = ((threshold * unit) as i64).max(self.cache_loss(former, scene));
        let lead = entries[0].terms.score.saturating_sub(former.score);
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
        entries[..=at].rotate_right(1);
        true
    }

    /// What is lost with the prompt cache of the former target, in the unit of the score.
    fn cache_loss(&self, former: &Terms, scene: &Scene<'_>) -> i64 {
        if former.cached == 0 {
            return 0;
        }
        let facts = &scene.tree.spots[usize::from(former.candidate)].endpoint.facts;
        let (Some(with), Some(without)) = (former.cost, crate::estimate::cost(facts, scene.ask, 0)) else { return 0 };
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
    fn vary(&self, entries: &mut [Entry], number: u64, scene: &mut Scene<'_>) {
        let Some(best) = entries.first() else { return };
        let tree = scene.tree;
        let family = |entry: &Entry| Arc::clone(&tree.spots[usize::from(entry.heat.lead)].endpoint.facts.family);
        let (top, of) = (best.terms.score, family(best));
        let least = top.saturating_sub((top.unsigned_abs() as f64 * self.spread) as i64);
        // (1/price)² × availability⁴: a cheaper endpoint takes more, an unreliable one much less.
        let pull = |entry: &Entry| {
            let near = self.spread > 0.0 && !of.is_empty() && entry.terms.score >= least && family(entry) == of;
            let price = entry.terms.cost.map_or(f64::INFINITY, |cost| cost.nanos().max(1) as f64);
            let pull = price.powi(-2) * (f64::from(entry.terms.reliability) / f64::from(MILLION)).powi(4);
            if near { pull } else { 0.0 }
        };
        let pulls: Vec<f64> = if self.spread > 0.0 { entries.iter().map(pull).collect() } else { Vec::new() };
        let total: f64 = pulls.iter().sum();
        let spread_of = |at: usize| if total > 0.0 { pulls[at] / total } else { f64::from(at == 0) };
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
            let count = entries.len();
            let drawn = (draw(scene.ask.seed, number << 16 | 0xffff) % count as u64) as usize;
            let open = scene.may_explore(entries[drawn].terms.cost, *per_day);
            let part = if open { part.clamp(0.0, 1.0) } else { 0.0 };
            let explored = share(draw(scene.ask.seed, number << 16 | 0xfffd)) < part;
            if explored {
                taken = drawn;
                scene.pay_exploring = entries[drawn].terms.cost;
            }
            let propensity = (1.0 - part) * spread_of(taken) + part / count as f64;
            scene.choice.exploration = Some(Exploration { explored, propensity: millionths(propensity) });
        }
        entries[..=taken].rotate_right(1);
    }
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
            let missing = self.weights.iter().enumerate().find(|(at, _)| mark.assumed >> at & 1 == 1);
            return Some((Exclusion::Coverage, missing.map(|(_, weight)| Arc::clone(&weight.name))));
        }
        let unpriced = matches!(self.score.mode, Mode::Dollars(_)) && scene.estimate(spot).cost.is_none();
        unpriced.then(|| (Exclusion::MaxPrice, Some("its price is not known".into())))
    }

    fn terms(&self, scene: &mut Scene<'_>, spot: u16, values: &mut Vec<u32>) -> Terms {
        let mark = self.table.mark(spot);
        let from = values.len();
        values.extend_from_slice(self.table.values(spot));
        let mut assumed = mark.assumed;
        if let Some(live) = self.table.live() {
            match table::sound(scene.estimate(spot).tool_calls) {
                Some(sound) => values[from + live] = sound,
                None => assumed |= 1 << live,
            }
        }
        let quality = if self.weights.is_empty() { MILLION } else { table::quality(&values[from..], &self.weights) };
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
        Terms { score, quality, coverage: mark.coverage, assumed, cheapness, speed, ..plain }
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

/// The candidate of the highest quality with no class boosted.
fn best_single(entries: &[Entry], table: &table::Table, scene: &Scene<'_>) -> Option<Alternative> {
    let weights = table.weights(None, 1.0);
    let columns = weights.len();
    let quality = |at: usize| match scene.choice.values.get(at * columns..(at + 1) * columns) {
        Some(values) if columns > 0 => table::quality(values, &weights),
        _ => 0,
    };
    let best = (0..entries.len()).max_by_key(|at| {
        let Entry { terms, hash, .. } = &entries[*at];
        (quality(*at), Reverse(terms.cost.unwrap_or(Money::from_nanos(i64::MAX))), Reverse(*hash))
    });
    best.map(|at| Alternative { candidate: entries[at].terms.candidate, cost: entries[at].terms.cost })
}
