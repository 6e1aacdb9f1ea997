//! What the score strategy works out once for a snapshot: the value of each candidate in each benchmark, with what stands
//! for the missing ones. All shares are in millionths, so that a score can be added up again from its record.

use std::sync::Arc;

use lockgate_core::decision::{Class, MILLION, Task, Terms, Weight};

use super::{Missing, Score};
use crate::health::Tally;
use crate::tree::Spot;
use crate::view::{Scale, Scales};

/// Values of candidates, a row each, by the benchmarks that are weighed, a column each.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    /// The row of a spot, and `u16::MAX` for one that has none.
    rows: Vec<u16>,
    marks: Vec<Mark>,
    /// Shared with the decisions that compare all of its rows.
    values: Arc<[u32]>,
    /// The sum of each row by the weights of a request whose class raises none.
    sums: Vec<u64>,
    /// Those weights.
    plain: Weights,
    /// The column of tool calls, which changes with each.
    live: Option<usize>,
}

/// What the benchmarks weigh in a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weights {
    /// As the decision tells it.
    pub(crate) told: Vec<Weight>,
    /// The shares alone; empty where no class raised any, as the table has the sums.
    raised: Vec<u32>,
}

#[derive(Debug)]
struct Column {
    name: Arc<str>,
    class: Option<Class>,
    weight: f64,
}

/// What is known of a row as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    /// The part of the weight that it has scores for.
    pub(crate) coverage: u32,
    /// Bit i is set where a value is assumed.
    pub(crate) assumed: u64,
}

/// The benchmark that needs no table.
const LIVE: &str = "tool-calls";
/// The part of tool calls that is taken to be sound before any was seen.
const LIVE_PRIOR: u32 = 900_000;
/// Columns that a mark has bits for.
const MOST: usize = 64;

// === impl Table ===

impl Table {
    pub(crate) fn of(score: &Score, below: &[u16], spots: &[Spot], scales: &Scales) -> Self {
        let weighed = || score.benchmarks.iter().filter(|(_, weight)| *weight > 0.0).take(MOST);
        let column = |name: &Arc<str>, weight: f64| {
            let place = scales.place(name);
            let class = match place {
                Some(place) => scales.all[place].class,
                None => (**name == *LIVE).then_some(Class::Agentic),
            };
            Column { name: Arc::clone(name), class, weight }
        };
        let columns: Vec<Column> = weighed().map(|(name, weight)| column(name, *weight)).collect();
        let places: Vec<Option<usize>> = weighed().map(|(name, _)| scales.place(name)).collect();
        let live = columns.iter().position(|column| *column.name == *LIVE);
        let mut values = Vec::with_capacity(below.len() * columns.len());
        let mut table = Self {
            rows: vec![u16::MAX; spots.len()],
            marks: Vec::new(),
            values: Arc::default(),
            sums: Vec::new(),
            plain: Weights::default(),
            live,
            columns,
        };
        for spot in below {
            let place = usize::from(*spot);
            if table.rows[place] == u16::MAX {
                table.rows[place] = table.marks.len() as u16;
                table.row(score, &spots[place], &places, scales, &mut values);
            }
        }
        table.plain = Weights { told: table.weigh(None, 1.0), raised: Vec::new() };
        let shares: Vec<u32> = table.plain.told.iter().map(|weight| weight.share).collect();
        table.sums = match shares.len() {
            0 => Vec::new(),
            columns => values.chunks_exact(columns).map(|row| sum(row, &shares)).collect(),
        };
        table.values = values.into();
        table
    }

    fn row(
        &mut self,
        score: &Score,
        spot: &Spot,
        places: &[Option<usize>],
        scales: &Scales,
        values: &mut Vec<u32>,
    ) {
        let scores = &spot.endpoint.facts.scores;
        let own = |place: usize| {
            let scale = &scales.all[place];
            let score_of = scores.get(place).copied().flatten()?;
            Some(match score_of.samples {
                None => score_of.value,
                // A mean of few trials is drawn to the median, as if so many trials had come out as that.
                Some(n) => {
                    let (n, k) = (f64::from(n), score.prior_trials.max(0.0));
                    if n + k > 0.0 { (n * score_of.value + k * scale.median) / (n + k) } else { scale.median }
                }
            })
        };
        let total: f64 = self.columns.iter().map(|column| column.weight).sum();
        let (mut covered, mut above, mut mark) = (0.0, 0.0, Mark::default());
        for (at, (column, place)) in self.columns.iter().zip(places).enumerate() {
            match place.and_then(|place| Some((own(place)?, &scales.all[place]))) {
                Some((value, scale)) => {
                    covered += column.weight;
                    above += column.weight * (value - scale.median);
                }
                None if Some(at) == self.live => covered += column.weight,
                None => mark.assumed |= 1 << at,
            }
        }
        mark.coverage = millionths(if total > 0.0 { covered / total } else { 1.0 });
        // By how much it is above the medians where it has scores; what is missing is expected to be as far, the surer the
        // more is known.
        let lead = if total > 0.0 { above / total } else { 0.0 };
        for (at, place) in places.iter().enumerate() {
            let value = match place {
                _ if Some(at) == self.live => f64::from(LIVE_PRIOR) / f64::from(MILLION),
                Some(place) => own(*place).unwrap_or_else(|| assumed(score.missing, &scales.all[*place], lead)),
                None => 0.0,
            };
            values.push(millionths(value));
        }
        self.marks.push(mark);
    }

    /// What is known of a spot as a whole.
    pub(crate) fn mark(&self, spot: u16) -> Mark {
        self.at(spot).and_then(|row| self.marks.get(row)).copied().unwrap_or_default()
    }

    /// The values of candidates as a decision tells them: a row for each of `terms`, with what was measured of tool calls in
    /// its place. Where that is the whole table, it is the table itself.
    pub(crate) fn sheet(&self, terms: &[Terms], live: &[Option<u32>]) -> Arc<[u32]> {
        let whole = terms.len() == self.marks.len()
            && (0..).zip(terms).all(|(row, terms)| self.at(terms.candidate) == Some(row));
        if whole && live.iter().all(Option::is_none) {
            return Arc::clone(&self.values);
        }
        let columns = self.columns.len();
        let mut sheet = Vec::with_capacity(terms.len() * columns);
        for (at, terms) in terms.iter().enumerate() {
            let from = sheet.len();
            sheet.extend_from_slice(self.values(terms.candidate));
            if let (Some(live), Some(Some(sound))) = (self.live, live.get(at))
                && let Some(place) = sheet.get_mut(from + live)
            {
                *place = *sound;
            }
        }
        sheet.into()
    }

    fn values(&self, spot: u16) -> &[u32] {
        let columns = self.columns.len();
        self.at(spot).and_then(|row| self.values.get(row * columns..(row + 1) * columns)).unwrap_or_default()
    }

    /// The quality of a spot, in millionths, with what was measured of its tool calls. Where nothing is weighed all are equal.
    pub(crate) fn quality(&self, spot: u16, weights: &Weights, live: Option<u32>) -> u32 {
        if self.columns.is_empty() {
            return MILLION;
        }
        let raised = &*weights.raised;
        let sum = if raised.is_empty() { self.plain_sum(spot) } else { sum(self.values(spot), raised) };
        self.with_live(sum, spot, &weights.told, live)
    }

    /// The same with no class raised; 0 where nothing is weighed.
    pub(crate) fn plain_quality(&self, spot: u16, live: Option<u32>) -> u32 {
        self.with_live(self.plain_sum(spot), spot, &self.plain.told, live)
    }

    fn plain_sum(&self, spot: u16) -> u64 {
        self.at(spot).and_then(|row| self.sums.get(row)).copied().unwrap_or_default()
    }

    fn with_live(&self, sum: u64, spot: u16, weights: &[Weight], live: Option<u32>) -> u32 {
        let changed = self.live.zip(live).and_then(|(column, sound)| {
            let share = u64::from(weights.get(column)?.share);
            let assumed = u64::from(*self.values(spot).get(column)?);
            Some(sum - assumed * share + u64::from(sound) * share)
        });
        (changed.unwrap_or(sum) / u64::from(MILLION)) as u32
    }

    /// The column of tool calls.
    pub(crate) const fn live(&self) -> Option<usize> {
        self.live
    }

    /// Whether a class would change any weight.
    pub(crate) fn has_classes(&self) -> bool {
        self.columns.iter().any(|column| column.class.is_some())
    }

    /// What the benchmarks weigh in a request of this kind: a benchmark of its class counts more, as far as the class is
    /// certain. What is unknown raises nothing. The shares sum to a million.
    pub(crate) fn weights(&self, task: Option<&Task>, boost: f64) -> Weights {
        let raises = |task: &Task| self.columns.iter().any(|it| it.class.is_some_and(|class| task.share(class) > 0));
        if !task.is_some_and(raises) {
            return self.plain.clone();
        }
        let told = self.weigh(task, boost);
        Weights { raised: told.iter().map(|weight| weight.share).collect(), told }
    }

    fn weigh(&self, task: Option<&Task>, boost: f64) -> Vec<Weight> {
        let factor = |column: &Column| match (task, column.class) {
            (Some(task), Some(class)) => 1.0 + (boost - 1.0) * f64::from(task.share(class)) / f64::from(MILLION),
            _ => 1.0,
        };
        let total: f64 = self.columns.iter().map(|column| column.weight * factor(column)).sum();
        let mut left = MILLION;
        let mut weights: Vec<Weight> = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let share = millionths(column.weight * factor(column) / total).min(left);
            left -= share;
            weights.push(Weight { name: Arc::clone(&column.name), share, boost: wide(factor(column)) });
        }
        // What rounding left over goes to the largest, which notices it least.
        if let Some(largest) = weights.iter_mut().max_by_key(|weight| weight.share) {
            largest.share += left;
        }
        weights
    }

    fn at(&self, spot: u16) -> Option<usize> {
        self.rows.get(usize::from(spot)).filter(|row| **row != u16::MAX).map(|row| usize::from(*row))
    }
}

/// The sum of values by their weights, in millionths of millionths.
fn sum(values: &[u32], shares: &[u32]) -> u64 {
    values.iter().zip(shares).map(|(value, share)| u64::from(*value) * u64::from(*share)).sum()
}

/// The part of tool calls that was sound, by the rule of succession; `None` before any was seen.
pub(crate) fn sound(calls: Tally) -> Option<u32> {
    let (ok, all) = (u64::from(calls.ok), u64::from(calls.ok) + u64::from(calls.bad));
    (all > 0).then(|| ((ok + 1) * u64::from(MILLION) / (all + 2)) as u32)
}

fn assumed(missing: Missing, scale: &Scale, lead: f64) -> f64 {
    match missing {
        Missing::Exclude | Missing::Median => (scale.median - scale.spread / 2.0).max(0.0),
        Missing::Zero => 0.0,
        Missing::Impute => (scale.median + lead).clamp(0.0, 1.0),
    }
}

/// A share in millionths.
pub(crate) fn millionths(share: f64) -> u32 {
    // To the nearest, without the call that rounding is on a plain x86-64.
    (share.clamp(0.0, 1.0) * f64::from(MILLION) + 0.5) as u32
}

/// A factor in millionths.
fn wide(factor: f64) -> u32 {
    (factor.clamp(0.0, 4_000.0) * f64::from(MILLION)).round() as u32
}
