use lockgate_core::decision::{Class, Exclusion, Held, MILLION, Standing, Task};
use lockgate_core::record::Target;
use lockgate_core::{Money, Tick};
use proptest::prelude::*;

use super::*;
use crate::Strategy as Way;
use crate::health::{Ended, Sample, Tally};
use crate::testing::{House, branches, facts, scale};
use crate::view::{Card, Facts, Score as Value};
use crate::{Ask, Told};

const SEED: u64 = 7;

fn score(names: &[&str]) -> Score {
    Score { candidates: branches(names), benchmarks: vec![("x".into(), 1.0)], ..Score::default() }
}

fn house(of: &[(&str, Facts)], score: Score) -> House {
    House::with(of, &[scale("x", Some(Class::Coding)), scale("y", Some(Class::Mathematics))], Way::Score(score))
}

/// Models of provider `p` by one score each, at a price.
fn models(scores: &[f64]) -> Vec<(String, Facts)> {
    let of = |(at, value): (usize, &f64)| (format!("p/m{at}"), facts(&format!("f{at}"), 1.0, 2.0, &[Some(*value), None]));
    scores.iter().enumerate().map(of).collect()
}

fn named(models: &[(String, Facts)]) -> Vec<(&str, Facts)> {
    models.iter().map(|(name, facts)| (name.as_str(), facts.clone())).collect()
}

#[test]
fn the_best_score_wins_and_every_term_is_told() {
    let all = named_house();
    let mut ask = all.ask();
    ask.seed = SEED;
    let plan = all.plan(&ask).unwrap();
    let choice = plan.decision.choice.as_ref().unwrap();
    assert_eq!(crate::testing::names(&plan), ["p/m1", "p/m2", "p/m0"]);
    assert_eq!(choice.weights.len(), 1);
    assert_eq!(choice.weights[0].share, MILLION);
    let terms = &choice.terms[1];
    assert_eq!((terms.candidate, terms.quality, terms.coverage), (1, 900_000, MILLION));
    // 1,000 tokens in at $1 and 200 out at $2 a million.
    assert_eq!(terms.cost, Some(Money::from_nanos(1_400_000)));
    assert_eq!(choice.scores(1).next().map(|(_, value, _)| value), Some(900_000));
    assert_eq!(choice.margin, Some(300_000));
    assert_eq!(choice.runner_up.map(|other| other.candidate), Some(2));
    assert_eq!(choice.best_single.map(|other| other.candidate), Some(1));
    assert_eq!(choice.path.iter().map(|step| &**step).collect::<Vec<_>>(), ["r", "score"]);
    assert_eq!((&*choice.catalog, &*choice.benchmarks), ("c1", "b1"));
}

fn named_house() -> House {
    let models = models(&[0.2, 0.9, 0.6]);
    house(&named(&models), score(&["p/*"]))
}

#[test]
fn what_is_weighed_moves_the_winner() {
    let dear = facts("a", 50.0, 100.0, &[Some(0.8), None]);
    let cheap = facts("b", 0.1, 0.2, &[Some(0.7), None]);
    let of = |mode| house(&[("p/dear", dear.clone()), ("p/cheap", cheap.clone())], Score { mode, ..score(&["p/*"]) });
    let winner = |house: &House| house.order(&house.ask())[0].clone();
    assert_eq!(winner(&of(Mode::Sum(Weigh::default()))), "p/dear");
    assert_eq!(winner(&of(Mode::Sum(Weigh { cost: 0.5, ..Weigh::default() }))), "p/cheap");
    let dollars = |value: i64| {
        let value = Money::from_nanos(value * 1_000_000_000);
        Mode::Dollars(Dollars { value, second: Money::ZERO, failure: Money::ZERO })
    };
    // The dear one costs seven cents more, and is better by a tenth.
    assert_eq!(winner(&of(dollars(10))), "p/dear");
    assert_eq!(winner(&of(dollars(0))), "p/cheap");
}

#[test]
fn what_is_missing_is_told_and_treated_as_declared() {
    let of = |missing, min_coverage| {
        let two = vec![("x".into(), 0.5), ("y".into(), 0.5)];
        let half = facts("a", 1.0, 1.0, &[Some(0.9), None]);
        let whole = facts("b", 1.0, 1.0, &[Some(0.5), Some(0.5)]);
        let score = Score { benchmarks: two, missing, min_coverage, ..score(&["p/half", "p/whole"]) };
        house(&[("p/half", half), ("p/whole", whole)], score)
    };
    let first = |missing| {
        let house = of(missing, 0.0);
        let decision = house.decision(&house.ask());
        let terms = decision.choice.as_ref().unwrap().terms[0].clone();
        (terms.quality, terms.coverage, terms.assumed)
    };
    // The median 0.5 less half the spread 0.3; nothing; as far above the median as it is elsewhere, by half.
    assert_eq!(first(Missing::Median), (625_000, 500_000, 0b10));
    assert_eq!(first(Missing::Zero), (450_000, 500_000, 0b10));
    assert_eq!(first(Missing::Impute), (800_000, 500_000, 0b10));
    for house in [of(Missing::Exclude, 0.0), of(Missing::Median, 0.6)] {
        let decision = house.decision(&house.ask());
        assert_eq!(decision.candidates[0].standing, Standing::Excluded(Exclusion::Coverage));
        assert_eq!(decision.candidates[0].note.as_deref(), Some("y"));
        assert_eq!(house.order(&house.ask()), ["p/whole"]);
    }
}

#[test]
fn few_trials_of_ones_own_are_drawn_to_the_median() {
    let of = |samples| {
        let scores = [Some(Value { value: 0.9, samples: Some(samples) }), None];
        let house = house(&[("p/m", Facts { scores: scores.into(), ..facts("f", 1.0, 1.0, &[]) })], score(&["p/m"]));
        house.decision(&house.ask()).choice.as_ref().unwrap().terms[0].quality
    };
    assert_eq!(of(20), 700_000);
    assert_eq!(of(180), 860_000);
    assert!(of(1) < of(20));
}

#[test]
fn a_benchmark_of_the_requests_class_counts_more_and_what_is_unknown_changes_nothing() {
    let of = |task: Task| {
        let two = vec![("x".into(), 1.0), ("y".into(), 1.0)];
        let house = house(
            &[("p/coder", facts("a", 1.0, 1.0, &[Some(0.9), Some(0.4)])), ("p/mathematician", facts("b", 1.0, 1.0, &[Some(0.4), Some(0.91)]))],
            Score { benchmarks: two, ..score(&["p/*"]) },
        );
        let ask = Ask::new("r", &house.key, &house.attribution).told(Told { task: Some(task), ..Told::default() });
        let decision = house.decision(&ask);
        let choice = decision.choice.clone().unwrap();
        (decision.winner().unwrap().model.to_string(), choice.weights[0].boost, choice.weights[0].share, choice.best_single)
    };
    let class = |class| Task { classes: vec![(class, MILLION)], complexity: 0, told: true };
    let (winner, boost, share, single) = of(class(Class::Coding));
    assert_eq!((&*winner, boost, share), ("coder", 2 * MILLION, 666_667));
    assert_eq!(single.map(|other| other.candidate), Some(1), "the mathematician, were nothing boosted");
    let (winner, boost, share, _) = of(class(Class::Unknown));
    assert_eq!((&*winner, boost, share), ("mathematician", MILLION, 500_000));
}

#[test]
fn tool_calls_are_a_benchmark_that_needs_no_table() {
    let models = models(&[0.5, 0.5]);
    let score = Score { benchmarks: vec![("tool-calls".into(), 1.0)], ..score(&["p/m0", "p/m1"]) };
    let house = house(&named(&models), score);
    let target = Target { provider: "p".into(), model: "m1".into() };
    house.registry.health(&target).tool_calls(Tick(1), Tally { ok: 98, bad: 0 });
    assert_eq!(house.order(&house.ask()), ["p/m1", "p/m0"]);
    let decision = house.decision(&house.ask());
    let terms = &decision.choice.as_ref().unwrap().terms;
    assert_eq!((terms[1].quality, terms[1].assumed), (990_000, 0));
    assert_eq!((terms[0].quality, terms[0].assumed), (900_000, 1));
}

fn in_session<'a>(house: &'a House, session: u64) -> Ask<'a> {
    let told = Told { input_tokens: Some(10_000), output_ceiling: Some(100), session: Some(session), ..Told::default() };
    Ask::new("r", &house.key, &house.attribution).told(told)
}

#[test]
fn a_session_stays_unless_another_leads_by_enough() {
    let of = |other: f64, stickiness| {
        let models = models(&[0.6, other]);
        let house = house(&named(&models), Score { stickiness, ..score(&["p/m0", "p/m1"]) });
        let target = Target { provider: "p".into(), model: "m0".into() };
        house.registry.sessions().note(9, &target, Tick(0), None);
        let plan = house.plan(&in_session(&house, 9)).unwrap();
        assert_eq!(plan.remember, [9]);
        let sticky = plan.decision.choice.as_ref().unwrap().sticky;
        (crate::testing::names(&plan)[0].clone(), sticky.map(|sticky| sticky.held))
    };
    assert_eq!(of(0.64, Some(0.05)), ("p/m0".to_owned(), Some(Held::Kept)));
    assert_eq!(of(0.66, Some(0.05)), ("p/m1".to_owned(), Some(Held::Outbid)));
    assert_eq!(of(0.64, None), ("p/m1".to_owned(), None));
}

#[test]
fn what_the_prompt_cache_saves_keeps_a_session() {
    let card = Card { cache_read: Some(lockgate_core::money::Price(100_000_000)), ..crate::testing::price(3.0, 15.0) };
    let warm = Facts { cards: [card].into(), ..facts("a", 0.0, 0.0, &[Some(0.5), None]) };
    let other = facts("b", 2.5, 15.0, &[Some(0.5), None]);
    let dollars = Mode::Dollars(Dollars { value: Money::ZERO, second: Money::ZERO, failure: Money::ZERO });
    let score = Score { mode: dollars, stickiness: Some(0.0), ..score(&["p/warm", "p/other"]) };
    let house = house(&[("p/warm", warm), ("p/other", other)], score);
    assert_eq!(house.order(&in_session(&house, 9))[0], "p/other");
    let target = Target { provider: "p".into(), model: "warm".into() };
    house.registry.sessions().note(9, &target, Tick(0), Some(900_000));
    let plan = house.plan(&in_session(&house, 9)).unwrap();
    let terms = plan.decision.choice.as_ref().unwrap().terms[0].clone();
    // 1,000 fresh at $3, 9,000 read at $0.10, 100 out at $15 a million.
    assert_eq!((terms.cached, terms.cost), (900_000, Some(Money::from_nanos(5_400_000))));
    assert_eq!(crate::testing::names(&plan)[0], "p/warm");
}

#[test]
fn an_excluded_target_does_not_keep_its_session() {
    let models = models(&[0.9, 0.2]);
    let house = house(&named(&models), score(&["p/m0", "p/m1"]));
    let target = Target { provider: "p".into(), model: "m0".into() };
    house.registry.sessions().note(9, &target, Tick(0), None);
    let breaker = house.registry.breaker(&target);
    (0..5).for_each(|_| { breaker.failure(Tick(0), &house.settings); });
    let plan = house.plan(&in_session(&house, 9)).unwrap();
    assert_eq!(crate::testing::names(&plan), ["p/m1"]);
    assert_eq!(plan.decision.choice.as_ref().unwrap().sticky.map(|sticky| sticky.held), Some(Held::Excluded));
}

#[test]
fn endpoints_of_one_model_share_its_requests_by_price() {
    let same = |input| facts("same", input, input, &[Some(0.7), None]);
    let of = [("a/m", same(1.0)), ("b/m", same(2.0)), ("c/m", facts("other", 0.1, 0.1, &[Some(0.69), None]))];
    let house = house(&of, score(&["a/m", "b/m", "c/m"]));
    let mut firsts = std::collections::BTreeMap::new();
    for seed in 0..1_000 {
        let mut ask = house.ask();
        ask.seed = seed;
        *firsts.entry(house.order(&ask)[0].clone()).or_insert(0) += 1;
    }
    // (1/1)² to (1/2)²: four of five.
    assert!((750..850).contains(&firsts["a/m"]), "{firsts:?}");
    assert_eq!(firsts.get("c/m"), None, "another model");
}

#[test]
fn exploration_is_capped_and_says_its_propensity() {
    let models = models(&[0.9, 0.2]);
    // A request costs $0.0014; the day may cost ten of them.
    let explore = Some(Explore { share: 0.5, per_day: Money::from_nanos(14_000_000) });
    let house = house(&named(&models), Score { explore, ..score(&["p/m0", "p/m1"]) });
    let mut explored = 0;
    for seed in 0..200 {
        let mut ask = house.ask();
        ask.seed = seed;
        let plan = house.plan(&ask).unwrap();
        let told = plan.decision.choice.as_ref().unwrap().exploration.unwrap();
        explored += u32::from(told.explored);
        let second = crate::testing::names(&plan)[0] == "p/m1";
        let expected = match (explored >= 10 && !told.explored, second) {
            // The day's share may be used up from here on.
            (true, false) => [750_000, MILLION],
            (_, true) => [250_000, 250_000],
            (_, false) => [750_000, 750_000],
        };
        assert!(expected.contains(&told.propensity), "{told:?}");
    }
    assert_eq!(explored, 10);
    assert_eq!(house.registry.explored(0), Money::from_nanos(14_000_000));
    let mut tomorrow = house.ask();
    (tomorrow.wall_ms, tomorrow.seed) = (86_400_000, 3);
    assert_eq!(house.decision(&tomorrow).choice.as_ref().unwrap().exploration.map(|it| it.propensity < MILLION), Some(true));
}

#[test]
fn what_has_no_price_is_never_the_cheapest() {
    let unpriced = Facts { cards: [].into(), ..facts("a", 0.0, 0.0, &[Some(0.5), None]) };
    let of = |mode| {
        let all = [("p/unpriced", unpriced.clone()), ("p/dear", facts("b", 900.0, 900.0, &[Some(0.5), None]))];
        let house = house(&all, Score { mode, ..score(&["p/*"]) });
        house.order(&house.ask())
    };
    assert_eq!(of(Mode::Sum(Weigh { quality: 0.0, cost: 1.0, latency: 0.0, reliability: 0.0 })), ["p/dear", "p/unpriced"]);
    let dollars = Dollars { value: Money::ZERO, second: Money::ZERO, failure: Money::ZERO };
    assert_eq!(of(Mode::Dollars(dollars)), ["p/dear"]);
}

// === properties ===

fn any_models() -> impl Strategy<Value = Vec<(f64, f64, f64, u8)>> {
    prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0, 0.01_f64..80.0, 0_u8..5), 2..12)
}

fn built(models: &[(f64, f64, f64, u8)]) -> Vec<(String, Facts)> {
    let of = |(at, (x, y, price, _)): (usize, &(f64, f64, f64, u8))| {
        (format!("p/m{at}"), facts(&format!("f{at}"), *price, price * 4.0, &[Some(*x), Some(*y)]))
    };
    models.iter().enumerate().map(of).collect()
}

fn weighed(models: &[(f64, f64, f64, u8)], weigh: Weigh) -> House {
    let score = Score {
        benchmarks: vec![("x".into(), 0.7), ("y".into(), 0.3)],
        mode: Mode::Sum(weigh),
        stickiness: None,
        ..score(&["p/*"])
    };
    let house = house(&named(&built(models)), score);
    for (at, (.., failures)) in models.iter().enumerate() {
        let target = Target { provider: "p".into(), model: format!("m{at}").as_str().into() };
        // Fewer than open a breaker.
        for _ in 0..(*failures).min(4) {
            house.registry.health(&target).saw(Tick(1), &Sample { ended: Ended::Badly, ..Sample::default() });
        }
    }
    house
}

const ALL: Weigh = Weigh { quality: 1.0, cost: 0.5, latency: 0.2, reliability: 0.3 };

fn place(house: &House, name: &str) -> usize {
    house.order(&house.ask()).iter().position(|known| known == name).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_better_score_or_a_lower_price_never_loses_a_place(models in any_models(), which: prop::sample::Index, by in 0.001_f64..0.5) {
        let at = which.index(models.len());
        let name = format!("p/m{at}");
        let before = place(&weighed(&models, ALL), &name);
        for change in 0..3 {
            let mut better = models.clone();
            match change {
                0 => better[at].0 = (better[at].0 + by).min(1.0),
                1 => better[at].1 = (better[at].1 + by).min(1.0),
                _ => better[at].2 *= 1.0 - by,
            }
            prop_assert!(place(&weighed(&better, ALL), &name) <= before, "change {}", change);
        }
    }

    #[test]
    fn a_further_candidate_does_not_reorder_the_others(models in any_models(), more in any_models()) {
        let order = |models: &[_]| { let house = weighed(models, ALL); house.order(&house.ask()) };
        let before = order(&models);
        let all: Vec<_> = models.iter().chain(&more).copied().collect();
        let after: Vec<_> = order(&all).into_iter().filter(|name| before.contains(name)).collect();
        prop_assert_eq!(before, after);
    }

    #[test]
    fn a_single_weight_is_the_leaderboard(values in prop::collection::btree_set(0_u32..MILLION, 2..12)) {
        let mut values: Vec<f64> = values.into_iter().map(|value| f64::from(value) / f64::from(MILLION)).collect();
        values.reverse();
        let models = models(&values);
        let house = house(&named(&models), score(&["p/*"]));
        let expected: Vec<_> = (0..values.len()).map(|at| format!("p/m{at}")).collect();
        prop_assert_eq!(house.order(&house.ask()), expected);
    }

    #[test]
    fn the_same_is_decided_twice_and_the_order_is_of_the_allowed(models in any_models(), seed: u64, out in prop::collection::vec(any::<bool>(), 12)) {
        let house = weighed(&models, ALL);
        for (at, _) in models.iter().enumerate().filter(|(at, _)| out[*at]) {
            let target = Target { provider: "p".into(), model: format!("m{at}").as_str().into() };
            let breaker = house.registry.breaker(&target);
            (0..5).for_each(|_| { breaker.failure(Tick(0), &house.settings); });
        }
        let decided = || { let mut ask = house.ask(); ask.seed = seed; house.decision(&ask) };
        let decision = decided();
        prop_assert_eq!(&decision, &decided());
        let mut order = decision.choice.as_ref().unwrap().order.clone();
        order.sort_unstable();
        let allowed: Vec<u16> = (0..).zip(decision.candidates.iter())
            .filter(|(_, candidate)| candidate.standing == Standing::Eligible)
            .map(|(at, _)| at)
            .collect();
        if allowed.is_empty() {
            prop_assert_eq!(order.len(), 1, "the first that comes back");
        } else {
            prop_assert_eq!(order, allowed);
        }
    }

    #[test]
    fn a_score_can_be_added_up_from_its_record(models in any_models()) {
        let house = weighed(&models, Weigh { cost: 0.0, latency: 0.0, reliability: 0.0, ..ALL });
        let decision = house.decision(&house.ask());
        let choice = decision.choice.as_ref().unwrap();
        prop_assert_eq!(choice.weights.iter().map(|weight| weight.share).sum::<u32>(), MILLION);
        for row in 0..choice.terms.len() {
            let sum: u64 = choice.scores(row).map(|(weight, value, _)| u64::from(weight.share) * u64::from(value)).sum();
            prop_assert_eq!(sum / u64::from(MILLION), u64::from(choice.terms[row].quality));
            prop_assert_eq!(choice.terms[row].score, i64::from(choice.terms[row].quality));
        }
    }
}
