//! `score`: quality by weighted benchmarks against cost, time and reliability.

mod choose;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use lockgate_core::Money;

pub(crate) use table::Table;

use crate::route::Branch;

/// The score strategy. Deterministic for a seed, and every term of it is in the decision.
#[derive(Clone, Debug)]
pub struct Score {
    /// What is compared. A branch that is no target is worth what its first target is.
    pub candidates: Vec<Branch>,
    /// Benchmarks with weights above 0; they are made to sum to one. Empty: quality counts as equal. The name `tool-calls`
    /// stands for the part of tool calls that were sound in the last hour. At most 64.
    pub benchmarks: Vec<(Arc<str>, f64)>,
    /// How the sum is made.
    pub mode: Mode,
    /// What stands for a score that is not there.
    pub missing: Missing,
    /// The least part of the benchmarks' weight that a candidate must have scores for, from 0 to 1. Default 0.
    pub min_coverage: f64,
    /// By how much a benchmark of the request's own class counts more, at full certainty of the class. Default 2; 1: not.
    pub boost: f64,
    /// The time to the end of an answer that is worth half. Default 10 s.
    pub latency_target: Duration,
    /// Trials at which an own eval score counts as much as the median of its benchmark. Default 20.
    pub prior_trials: f64,
    /// The lead that another candidate needs to take over a session, in the unit of the score: a share in the mode `Sum`
    /// (default 0.05), dollars in the mode `Dollars`. `None`: sessions are not kept.
    pub stickiness: Option<f64>,
    /// Endpoints of the winner's model share its requests if they are within this part of its score. Default 0.02; 0: not.
    pub spread: f64,
    /// Draws to learn about candidates that would not have won. Off by default.
    pub explore: Option<Explore>,
}

/// How the sum is made.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// The weighted sum of four shares, by weights that are made to sum to one.
    Sum(Weigh),
    /// Everything in dollars.
    Dollars(Dollars),
}

/// What each term weighs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weigh {
    /// Quality. Default 1.
    pub quality: f64,
    /// Cost. Default 0.
    pub cost: f64,
    /// Time. Default 0.
    pub latency: f64,
    /// Reliability. Default 0.
    pub reliability: f64,
}

/// What each term is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dollars {
    /// A request answered in full quality rather than in none.
    pub value: Money,
    /// A second of waiting.
    pub second: Money,
    /// A failed call.
    pub failure: Money,
}

/// What stands for a score that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: the candidate is excluded.
    Exclude,
    /// The median of all models, less half the distance of the quartiles.
    #[default]
    Median,
    /// Zero.
    Zero,
    /// What its other scores let expect.
    Impute,
}

/// Draws to learn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Explore {
    /// The part of requests, from 0 to 1.
    pub share: f64,
    /// What such requests may cost in a day.
    pub per_day: Money,
}

impl Default for Score {
    fn default() -> Self {
        Self {
            candidates: Vec::new(),
            benchmarks: Vec::new(),
            mode: Mode::Sum(Weigh::default()),
            missing: Missing::default(),
            min_coverage: 0.0,
            boost: 2.0,
            latency_target: Duration::from_secs(10),
            prior_trials: 20.0,
            stickiness: Some(0.05),
            spread: 0.02,
            explore: None,
        }
    }
}

impl Default for Weigh {
    fn default() -> Self {
        Self { quality: 1.0, cost: 0.0, latency: 0.0, reliability: 0.0 }
    }
}
