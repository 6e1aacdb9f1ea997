//! What the score strategy works out once for a snapshot: the value of each candidate in each benchmark, with what stands
//! for the missing ones. All shares are in millionths, so that a score can be added up again from its record.

use std::sync::Arc;

use lockgate_core::decision::{Class, MILLION, Task, Weight};

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
    values: Vec<u32>,
    /// The column of tool calls, which changes with each.
    live: Option<usize>,
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
        let mut table = Self {
            rows: vec![u16::MAX; spots.len()],
            marks: Vec::new(),
            values: Vec::with_capacity(below.len() * columns.len()),
            live,
            columns,
        };
        for spot in below {
            let place = usize::from(*spot);
            if table.rows[place] == u16::MAX {
                table.rows[place] = table.marks.len() as u16;
                table.row(score, &spots[place], &places, scales);
            }
        }
        table
    }

    fn row(&mut self, score: &Score, spot: &Spot, places: &[Option<usize>], scales: &Scales) {
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
            self.values.push(millionths(value));
        }
        self.marks.push(mark);
    }

    /// What is known of a spot as a whole.
    pub(crate) fn mark(&self, spot: u16) -> Mark {
        self.at(spot).and_then(|row| self.marks.get(row)).copied().unwrap_or_default()
    }

    /// The values of a spot.
    pub(crate) fn values(&self, spot: u16) -> &[u32] {
        let columns = self.columns.len();
        self.at(spot).and_then(|row| self.values.get(row * columns..(row + 1) * columns)).unwrap_or_default()
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
    pub(crate) fn weights(&self, task: Option<&Task>, boost: f64) -> Vec<Weight> {
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

/// The sum of values by their weights, in millionths.
pub(crate) fn quality(values: &[u32], weights: &[Weight]) -> u32 {
    let sum: u64 = values.iter().zip(weights).map(|(value, weight)| u64::from(*value) * u64::from(weight.share)).sum();
    (sum / u64::from(MILLION)) as u32
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
    (share.clamp(0.0, 1.0) * f64::from(MILLION)).round() as u32
}

/// A factor in millionths.
fn wide(factor: f64) -> u32 {
    (factor.clamp(0.0, 4_000.0) * f64::from(MILLION)).round() as u32
}
