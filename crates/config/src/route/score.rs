//! `score`: the options of the strategy that weighs quality, cost, latency and reliability.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::decimal::{Dollars, Factor, Percent};
use crate::declare::{choices, settings};
use crate::diagnostic::{Complaint, did_you_mean, quoted};
use crate::document::Node;
use crate::route::strategy::{Use, refuse_empty};
use crate::setting::{Fields, Place, Setting, Shape};

const STEP: Duration = Duration::from_millis(10);
const HOUR: Duration = Duration::from_secs(3_600);

settings! {
    /// The best first, by weighted benchmarks, cost, latency and reliability.
    pub struct Score, check Score::check {
        /// What is compared: targets, patterns such as `anthropic/*`, or branches.
        candidates: Vec<Use> => required;
        /// The benchmarks that quality is measured by, each with its weight. The weights are scaled to a sum of one.
        benchmarks: Benchmarks;
        /// What counts how much.
        weigh: Weigh;
        /// How the parts become one number.
        mode: ScoreMode = ScoreMode::Weighted;
        /// What full quality (1 instead of 0) of one answer is worth in dollars; for `mode: dollars`.
        value: Option<Dollars> = None, shown "none", within Some(Dollars(1))..=Some(Dollars(1_000_000_000_000));
        /// What a second of waiting costs in dollars; for `mode: dollars`.
        second: Dollars = Dollars(0), within Dollars(0)..=Dollars(1_000_000_000_000);
        /// What a failed attempt costs in dollars; for `mode: dollars`.
        failure: Dollars = Dollars(0), within Dollars(0)..=Dollars(1_000_000_000_000);
        /// What a model counts for on a benchmark that it has no score on.
        missing: Missing = Missing::Median;
        /// The least share of the benchmarks' weight that a model must have scores on.
        min_coverage: Factor = Factor(0), within Factor(0)..=Factor::ONE;
        /// How much more a benchmark counts that measures what the request is about, where that is certain; 1 is no more.
        class_boost: Factor = Factor(2_000_000), within Factor::ONE..=Factor(10_000_000);
        /// Trials from which on an own score counts more than the median of its benchmark, towards which it is drawn.
        prior_trials: Factor = Factor(20_000_000), within Factor(0)..=Factor(1_000_000_000);
        /// The time to the end of the answer that counts for half.
        latency_target: Duration = Duration::from_secs(10), within STEP..=HOUR;
        /// When a conversation changes its model.
        stickiness: Stickiness;
        /// Trying others than the best now and then, to learn how they do.
        exploration: Exploration;
        /// How close to the best, in score, another provider of the same model must be to share its requests; 0% is off.
        spread: Percent = Percent(20_000), within Percent(0)..=Percent(1_000_000);
    }
}

settings! {
    /// What counts how much. All are relative to each other; 0 leaves a part out.
    pub struct Weigh {
        /// Scores on the benchmarks.
        quality: Factor = Factor::ONE, within Factor(0)..=Factor(1_000_000_000);
        /// What the request is expected to cost.
        cost: Factor = Factor(0), within Factor(0)..=Factor(1_000_000_000);
        /// How long the answer is expected to take.
        latency: Factor = Factor(0), within Factor(0)..=Factor(1_000_000_000);
        /// How often calls succeed.
        reliability: Factor = Factor(0), within Factor(0)..=Factor(1_000_000_000);
    }
}

settings! {
    /// When a conversation changes its model.
    pub struct Stickiness {
        /// Whether it stays with what it has unless another is better by the threshold, or by the prompt cache that would be lost.
        enabled: bool = true;
        /// How much better another must be, in score (in dollars, for `mode: dollars`).
        threshold: Factor = Factor(50_000), within Factor(0)..=Factor(1_000_000_000);
    }
}

settings! {
    /// Trying others than the best now and then.
    pub struct Exploration {
        /// The share of requests; 0 is off.
        share: Percent = Percent(0), within Percent(0)..=Percent(500_000);
        /// The most that such requests may cost in a day.
        daily: Dollars = Dollars(1_000_000_000), within Dollars(0)..=Dollars(1_000_000_000_000);
    }
}

choices! {
    /// How the parts of a score become one number.
    pub enum ScoreMode {
        /// Their weighted sum.
        Weighted = "weighted",
        /// What the answer is worth, less what it costs, in dollars.
        Dollars = "dollars",
    }
}

choices! {
    /// What a model counts for on a benchmark that it has no score on.
    pub enum Missing {
        /// It is left out of the choice.
        Exclude = "exclude",
        /// The median of the others, less half of their spread.
        Median = "median",
        /// Nothing.
        Zero = "zero",
        /// What its other scores let expect.
        Impute = "impute",
    }
}

/// Benchmarks and their weights, in the order of the file; none twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Benchmarks(pub Vec<(String, Factor)>);

impl Score {
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        refuse_empty("candidates", &self.candidates, from, cx);
        let weights = [self.weigh.quality, self.weigh.cost, self.weigh.latency, self.weigh.reliability];
        if weights.iter().all(|weight| weight.0 == 0) {
            cx.inside(Place::Key("weigh".to_owned()), |cx| {
                cx.error(
                    from.at("weigh"),
                    Complaint::new("nothing counts").hint("give one part a weight above 0"),
                );
            });
        }
        if self.weigh.quality.0 > 0 && self.benchmarks.0.is_empty() && from.has("candidates") {
            let complaint =
                Complaint::new("quality counts, but \"benchmarks\" names nothing that it is measured by");
            cx.error(from.at("candidates"), complaint.hint("add benchmarks, or set weigh: { quality: 0 }"));
        }
        if (self.mode == ScoreMode::Dollars) != self.value.is_some() {
            let (field, complaint) = match self.mode {
                ScoreMode::Dollars => (
                    "mode",
                    Complaint::new("needs \"value\"")
                        .hint("say in dollars what an answer of full quality is worth"),
                ),
                ScoreMode::Weighted => (
                    "value",
                    Complaint::new("has a meaning for \"mode: dollars\" only").hint("set mode: dollars"),
                ),
            };
            cx.inside(Place::Key(field.to_owned()), |cx| cx.error(from.at(field), complaint));
        }
    }
}

impl Setting for Benchmarks {
    fn shape() -> Shape {
        let weight = json!({ "type": "number", "exclusiveMinimum": 0 });
        Shape::plain(
            "mapping of benchmark to weight",
            json!({ "type": "object", "additionalProperties": weight }),
        )
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let mut weights = Vec::new();
        for entry in cx.named(node)? {
            cx.inside(Place::Key(entry.key.clone()), |cx| {
                let known = cx.known.benchmarks;
                if !known.is_empty() && !known.contains(&entry.key.as_str()) {
                    let message = format!("no scores are known of a benchmark {}", quoted(&entry.key));
                    // A slip of the pen is a mistake; a name of one's own is a benchmark whose scores are yet to come.
                    match did_you_mean(&entry.key, known.iter().copied()) {
                        Some(hint) => cx.error(entry.at, Complaint { message, hint: Some(hint) }),
                        None => {
                            let hint =
                                format!("import them: lockgate evals import FILE --name {}", entry.key);
                            cx.warn(entry.at, Complaint { message, hint: Some(hint) });
                        }
                    }
                }
                let Some(weight) = Factor::read(&entry.value, cx) else { return };
                if weight.0 == 0 {
                    let complaint = Complaint::new("a weight must be larger than 0");
                    cx.error(entry.value.at, complaint.hint("leave out what does not count"));
                }
                weights.push((entry.key.clone(), weight));
            });
        }
        Some(Self(weights))
    }

    fn spell(&self) -> Json {
        json!({})
    }
}
