//! How a model name became a list of targets: kept with every request.
//!
//! A decision that is the same for every request of its name (a direct name, a plain ordered route) is one shared value
//! without a [`Choice`]. Whatever depends on the request stands in the choice. All shares are integers, in millionths, so
//! that a record reads back as it was written and two decisions can be compared.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codes::codes;
use crate::money::Money;
use crate::record::Target;

/// The decision that a request was routed by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The version of the snapshot that it was made under.
    pub snapshot: u64,
    /// What the name in the request was taken for.
    pub matched: Matched,
    /// Every target that was looked at: in the order of preference, unless there is a choice, which has that order. Shared
    /// by the requests that exclude none.
    pub candidates: Arc<[Candidate]>,
    /// What was weighed for this very request; absent where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Box<Choice>>,
}

/// A target that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The provider's name in the config.
    pub provider: Arc<str>,
    /// The model's name at that provider.
    pub model: Arc<str>,
    /// Whether it may be used.
    pub standing: Standing,
    /// What is behind an exclusion: the policy's name, the region, the limit. A fact of the target or of the config, never
    /// of the request, so that records of many requests share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Arc<str>>,
}

/// Whether a target may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It may.
    Eligible,
    /// It may not, for this reason.
    Excluded(Exclusion),
}

/// What was weighed for one request. The places in it count `Decision::candidates` from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// What led to the winner, outermost first: the route, the rule, the strategies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Arc<str>>,
    /// The version of the catalogue that prices and limits are from.
    pub catalog: Arc<str>,
    /// The version of the benchmark table.
    pub benchmarks: Arc<str>,
    /// Every rule that was looked at, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Fired>,
    /// What could not be evaluated, and where it fell to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<Incident>,
    /// What kind of work the request is, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Estimated input tokens, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Output tokens that costs and times were estimated with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// The eligible candidates in the order of preference; the first is the winner.
    pub order: Vec<u16>,
    /// What the benchmarks weighed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<Weight>,
    /// The terms of each candidate that was compared, in the order of the route.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<Terms>,
    /// Benchmark values in millionths: a row for each of `terms`, a column for each of `weights`.
    #[serde(skip_serializing_if = "is_empty")]
    pub values: Arc<[u32]>,
    /// By how much the winner leads the runner-up, in the unit of [`Terms::score`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<i64>,
    /// The second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner_up: Option<Alternative>,
    /// The eligible one that costs least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cheapest: Option<Alternative>,
    /// The eligible one of the highest quality with no class boosted: what whoever uses one model for all would use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_single: Option<Alternative>,
    /// What the winner is expected to cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Money>,
    /// Makes every draw of the decision repeatable.
    pub seed: u64,
    /// Whether the winner was drawn to learn about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exploration: Option<Exploration>,
    /// What an earlier request of the session counted for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// What another policy, on trial, would have chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// The list that the order comes from where the route's own candidates are all excluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

/// A rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fired {
    /// Its name; without one its place, `when[0]`.
    pub rule: Arc<str>,
    /// How it came out.
    pub verdict: Verdict,
}

/// Something that could not be evaluated. It is counted, and the request falls to a declared branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Where: the rule's or the setting's name.
    pub at: Arc<str>,
    /// Why, for the operator.
    pub why: Arc<str>,
}

/// The kind of work a request is: how much speaks for each class, in millionths that sum to a million, `unknown` included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The classes that anything speaks for, the likeliest first.
    pub classes: Vec<(Class, u32)>,
    /// How hard it looks, in millionths.
    pub complexity: u32,
    /// Whether the application said so by a tag.
    #[serde(default)]
    pub told: bool,
}

/// What a benchmark weighed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// The benchmark's name.
    pub name: Arc<str>,
    /// Its share of quality in this request, in millionths; all sum to a million.
    pub share: u32,
    /// The factor by which the request's class raised it, in millionths; 1,000,000 is none.
    pub boost: u32,
}

/// What speaks for a candidate. Shares are in millionths, higher is better.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Which one.
    pub candidate: u16,
    /// The sum: in millionths, or in nano-dollars in the mode `dollars`.
    pub score: i64,
    /// Quality.
    pub quality: u32,
    /// The part of the benchmarks' weight for which it has scores of its own.
    pub coverage: u32,
    /// Bit i is set where it has no score in `Choice::weights[i]` and one was assumed.
    #[serde(default)]
    pub assumed: u64,
    /// Cost on its scale; half where no price is known.
    pub cheapness: u32,
    /// The expected cost; `None`: no price is known.
    pub cost: Option<Money>,
    /// The part of the input that is expected from the provider's prompt cache.
    #[serde(default)]
    pub cached: u32,
    /// Speed against the target.
    pub speed: u32,
    /// The expected time to the first token, in microseconds.
    pub first_us: u64,
    /// The expected time to the end, in microseconds.
    pub whole_us: u64,
    /// Whether the times are assumed, as it was not called lately.
    #[serde(default)]
    pub unmeasured: bool,
    /// The part of calls that is expected to succeed.
    pub reliability: u32,
    /// Calls under way.
    #[serde(default)]
    pub in_flight: u32,
}

/// A candidate that did not win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// Which one.
    pub candidate: u16,
    /// What it would have cost; `None`: no price is known.
    pub cost: Option<Money>,
}

/// A draw to learn about candidates that would not have won.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exploration {
    /// Whether this request was one.
    pub explored: bool,
    /// With which probability the target that was used would be, in millionths: what corrects a later evaluation.
    pub propensity: u32,
}

/// What an earlier request of the session counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sticky {
    /// The candidate that served the session before.
    pub candidate: u16,
    /// Whether it stays.
    pub held: Held,
    /// The lead that another needed, in the unit of [`Terms::score`].
    pub needed: i64,
}

/// What a policy on trial would have chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// Its winner; `None`: nothing was eligible.
    pub winner: Option<Target>,
    /// What that would have cost; `None`: no price is known.
    pub cost: Option<Money>,
}

codes! {
    /// Why a target may not be used, in the order in which it is asked.
    pub enum Exclusion {
        /// The catalogue or the provider does not know the model.
        Unknown = "unknown",
        /// It is switched off, or retired.
        Disabled = "disabled",
        /// A policy or the key forbids it.
        NotAllowed = "not_allowed",
        /// The request's own preferences leave it out.
        Preference = "preference",
        /// It is not in the region that is asked for.
        Region = "region",
        /// It keeps what it is sent, or is not known not to.
        Retention = "retention",
        /// It trains on what it is sent, or is not known not to.
        Training = "training",
        /// It does not take a kind of content that the request has.
        Modality = "modality",
        /// It does not call tools.
        Tools = "tools",
        /// It does not answer by a schema.
        Schema = "schema",
        /// It lacks another ability that is asked for.
        Capability = "capability",
        /// The request does not fit into its context window.
        ContextWindow = "context_window",
        /// It does not take a parameter of the request.
        Parameters = "parameters",
        /// The conversation holds reasoning that only another provider can read.
        BoundState = "bound_state",
        /// It costs more than the most that is allowed, or its price is not known.
        MaxPrice = "max_price",
        /// Its expected cost is more than what is left of a budget.
        Budget = "budget",
        /// The provider's rate limit leaves no room.
        RateHeadroom = "rate_headroom",
        /// Its breaker is open.
        BreakerOpen = "breaker_open",
        /// It has too few of the scores that are weighed.
        Coverage = "coverage",
    }
}

codes! {
    /// What the name in a request was taken for.
    pub enum Matched {
        /// A route of the config.
        Route = "route",
        /// A provider and a model, written `provider/model`.
        Direct = "direct",
        /// The plain name of a model that a provider offers.
        Plain = "plain",
    }
}

codes! {
    /// How a rule came out.
    pub enum Verdict {
        /// It holds, and its branch was taken.
        Matched = "matched",
        /// It does not hold.
        Passed = "passed",
        /// It could not be evaluated, and the declared branch was taken.
        Incident = "incident",
    }
}

codes! {
    /// Kinds of work. Benchmarks name the one that they measure.
    pub enum Class {
        /// Writes or mends programs.
        Coding = "coding",
        /// Acts by tools over several turns.
        Agentic = "agentic",
        /// Calculates and proves.
        Mathematics = "mathematics",
        /// Draws conclusions.
        Reasoning = "reasoning",
        /// Works on tables, logs and other data, or answers in a form.
        Data = "data",
        /// Writes, translates, summarises.
        Language = "language",
        /// Answers questions of fact.
        Knowledge = "knowledge",
        /// Talks.
        Conversation = "conversation",
        /// Follows many instructions to the letter.
        Instructions = "instructions",
        /// Cannot be said.
        Unknown = "unknown",
    }
}

codes! {
    /// Classes of failure that a route has lists of further targets for.
    pub enum Fallback {
        /// Any failure that another target may mend and that has no list of its own.
        Any = "any",
        /// The input did not fit.
        ContextWindow = "context_window",
        /// The provider refused the content.
        ContentPolicy = "content_policy",
        /// The provider limits the rate.
        RateLimit = "rate_limit",
        /// A budget is used up.
        Budget = "budget",
    }
}

codes! {
    /// What became of a session's former target.
    pub enum Held {
        /// It stays, as nothing leads it by enough.
        Kept = "kept",
        /// It stays, as the turn is not over.
        Pinned = "pinned",
        /// Another leads by more than was needed.
        Outbid = "outbid",
        /// It may not be used any more.
        Excluded = "excluded",
    }
}

/// A whole, in millionths.
pub const MILLION: u32 = 1_000_000;

// === impl Decision ===

impl Decision {
    /// The candidates in the order of preference, as far as they are eligible.
    pub fn ranked(&self) -> impl Iterator<Item = &Candidate> {
        let order = self.choice.as_ref().map(|choice| &*choice.order);
        let plain = if order.is_none() { &*self.candidates } else { &[] };
        let chosen = order.unwrap_or_default().iter();
        let chosen = chosen.filter_map(|place| self.candidates.get(usize::from(*place)));
        chosen.chain(plain.iter().filter(|candidate| candidate.standing == Standing::Eligible))
    }

    /// The candidate that is tried first.
    pub fn winner(&self) -> Option<&Candidate> {
        self.ranked().next()
    }
}

// === impl Candidate ===

impl Candidate {
    /// A target that may be used.
    pub fn eligible(target: &Target) -> Self {
        Self {
            provider: Arc::clone(&target.provider),
            model: Arc::clone(&target.model),
            standing: Standing::Eligible,
            note: None,
        }
    }

    /// The same target, excluded.
    #[must_use]
    pub fn excluded(self, why: Exclusion, note: Option<Arc<str>>) -> Self {
        Self { standing: Standing::Excluded(why), note, ..self }
    }
}

// === impl Choice ===

impl Choice {
    /// The benchmark values of the candidate whose terms stand at `row`: what was weighed, the value in millionths, and
    /// whether it was assumed.
    pub fn scores(&self, row: usize) -> impl Iterator<Item = (&Weight, u32, bool)> {
        let columns = self.weights.len();
        let values = self.values.get(row * columns..(row + 1) * columns).unwrap_or_default();
        let assumed = self.terms.get(row).map_or(0, |terms| terms.assumed);
        self.weights
            .iter()
            .zip(values)
            .enumerate()
            .map(move |(at, (weight, value))| (weight, *value, at < 64 && assumed >> at & 1 == 1))
    }
}

// === impl Task ===

impl Task {
    /// How much speaks for a class, in millionths.
    pub fn share(&self, class: Class) -> u32 {
        self.classes.iter().find(|(known, _)| *known == class).map_or(0, |(_, share)| *share)
    }

    /// The likeliest class; `Unknown` where nothing is said.
    pub fn likeliest(&self) -> Class {
        self.classes.first().map_or(Class::Unknown, |(class, _)| *class)
    }
}

fn is_empty(values: &Arc<[u32]>) -> bool {
    values.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(model: &str) -> Target {
        Target { provider: "p".into(), model: model.into() }
    }

    #[test]
    fn a_decision_of_before_reads_as_one_without_a_choice() {
        let text = r#"{"snapshot":3,"matched":"route","candidates":[
            {"provider":"p","model":"a","standing":{"excluded":"breaker_open"}},
            {"provider":"p","model":"b","standing":"eligible"}]}"#;
        let decision: Decision = serde_json::from_str(text).unwrap();
        assert_eq!(decision.choice, None);
        assert_eq!(decision.winner().map(|winner| &*winner.model), Some("b"));
    }

    #[test]
    fn a_choice_says_the_order() {
        let choice = Choice { order: vec![2, 0], ..Choice::default() };
        let decision = Decision {
            snapshot: 1,
            matched: Matched::Route,
            candidates: ["a", "b", "c"].map(|model| Candidate::eligible(&target(model))).into(),
            choice: Some(Box::new(choice)),
        };
        assert_eq!(decision.ranked().map(|it| &*it.model).collect::<Vec<_>>(), ["c", "a"]);
        let text = serde_json::to_string(&decision).unwrap();
        assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision);
    }

    #[test]
    fn a_choice_without_members_reads() {
        assert_eq!(serde_json::from_str::<Choice>("{}").unwrap(), Choice::default());
    }

    #[test]
    fn rows_of_values_belong_to_terms() {
        let weight = |name: &str| Weight { name: name.into(), share: 500_000, boost: MILLION };
        let choice = Choice {
            weights: vec![weight("x"), weight("y")],
            terms: vec![Terms::default(), Terms { candidate: 1, assumed: 2, ..Terms::default() }],
            values: [1, 2, 3, 4].into(),
            ..Choice::default()
        };
        let row: Vec<_> =
            choice.scores(1).map(|(weight, value, assumed)| (&*weight.name, value, assumed)).collect();
        assert_eq!(row, [("x", 3, false), ("y", 4, true)]);
        assert_eq!(choice.scores(2).count(), 0);
    }
}
