//! Credentials that take turns, limits that are kept, retries under a budget, lists by class, and two attempts at once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lockgate_core::decision::{Exclusion, Fallback, Standing};
use lockgate_core::record::Target;
use lockgate_core::{Credential, Kind, Outcome, Role, Upstream};
use lockgate_route::{Branch, Hedge, Route, RouteSettings};
use lockgate_testkit::{Noted, Play, builder};

use crate::stage::{HELLO, HELLO_STREAM, Set, Stage, at_once, route};

const ANSWER: &str =
    r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
const TEXT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\n";
const STOP: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn good(stream: bool) -> Play {
    if stream { Play::stream([TEXT, STOP].map(Bytes::from)) } else { Play::json(200, ANSWER) }
}

fn both(stream: bool) -> String {
    if stream { HELLO_STREAM } else { HELLO }.replace("a/m", "both")
}

/// A provider with so many keys.
fn keyed(name: &str, keys: usize) -> Upstream {
    let upstream = builder::upstream(name);
    let key = |at| Credential { name: format!("#{at}").into(), speaks: upstream.speaks.clone() };
    Upstream { credentials: (1..=keys).map(key).collect(), ..upstream }
}

fn shown(stage: &Stage) -> Vec<String> {
    stage.record().attempts.iter().map(|it| it.credential.as_deref().unwrap_or("none").to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_refused_makes_way_for_the_next_at_once_and_rests() {
    for (status, kind) in
        [(401, Kind::UpstreamAuth), (402, Kind::UpstreamCredit), (429, Kind::UpstreamRateLimited)]
    {
        let stage = Set::of([keyed("a", 3)]).stage();
        stage.script.then("a", Play::json(status, "{}"));
        stage.script.then("a", good(false));
        assert_eq!(stage.ask(HELLO).await.status, 200, "{status}");
        let record = stage.record();
        let told: Vec<_> = record.attempts.iter().map(|it| (it.credential.as_deref(), it.error)).collect();
        assert_eq!(told, [(Some("#1"), Some(kind)), (Some("#2"), None)]);
        let rests = stage
            .events
            .take()
            .into_iter()
            .filter(|it| matches!(it, Noted::Other(text) if text.contains("CredentialRests")));
        assert_eq!(rests.count(), 1);
        for want in ["#3", "#2", "#2"] {
            stage.script.then("a", good(false));
            assert_eq!(stage.ask(HELLO).await.status, 200);
            let got = shown(&stage);
            assert!(got == [want] || got == ["#3"] || got == ["#2"], "{got:?}: the first rests");
        }
        assert!(
            !stage.events.take().iter().any(|it| matches!(it, Noted::Breaker(..))),
            "the endpoint is well"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn when_every_credential_is_refused_the_next_target_answers() {
    let stage = Set::of([keyed("a", 2), builder::upstream("b")]).route("both", &["a", "b"], 0).stage();
    stage.script.then("a", Play::json(429, "{}").header("retry-after", "60"));
    stage.script.then("a", Play::json(401, "{}"));
    stage.script.then("b", good(false));
    assert_eq!(stage.ask(both(false)).await.headers["x-lockgate-target"], "b/m");
    assert_eq!(shown(&stage), ["#1", "#2", "none"]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_names_a_time_is_kept_to_its_end() {
    let stage = Stage::two();
    stage.script.then("a", Play::json(429, "{}").header("retry-after", "7"));
    stage.script.then("b", good(false));
    assert_eq!(stage.ask(both(false)).await.status, 200);
    stage.records.take();
    stage.script.then("b", good(false));
    assert_eq!(stage.ask(both(false)).await.headers["x-lockgate-attempts"], "1");
    let decision = stage.record().decision.unwrap();
    assert_eq!(decision.candidates[0].standing, Standing::Excluded(Exclusion::RateHeadroom));
    stage.clock.advance(Duration::from_secs(7));
    stage.script.then("a", good(false));
    assert_eq!(stage.ask(both(false)).await.headers["x-lockgate-target"], "a/m");
}

#[tokio::test(start_paused = true)]
async fn repeated_calls_never_exceed_a_fifth_of_the_first_ones_and_a_burst() {
    let stage = Set::of([builder::upstream("a")]).route("both", &["a"], 3).patient().stage();
    for _ in 0..200 {
        (0..4).for_each(|_| stage.script.then("a", Play::json(503, "{}")));
        assert_eq!(stage.ask(both(false)).await.status, 503);
        stage.script.clear();
    }
    let calls = stage.script.take().len();
    assert!((240..=250).contains(&calls), "200 first calls, and 40 and a burst of 10: {calls}");
}

#[tokio::test(start_paused = true)]
async fn refused_connections_take_a_provider_out_with_all_its_models() {
    let stage = Stage::two();
    for _ in 0..3 {
        stage.script.then("a", Play::refuse(builder::unreachable()));
        stage.script.then("b", good(false));
        assert_eq!(stage.ask(both(false)).await.status, 200);
    }
    stage.script.take();
    stage.script.then("b", good(false));
    assert_eq!(stage.ask(both(false)).await.status, 200);
    assert_eq!(stage.script.take().len(), 1, "the host is passed over");
}

/// A stage with the route `both` over a and b, and a list of c for a class of failure.
fn with_list(class: Fallback, names: &[&str]) -> Stage {
    let target = |name: &&str| Branch::target(Target { provider: (**name).into(), model: "m".into() });
    let list = names.iter().map(target).collect();
    let route = Route { fallback: vec![(class, list)], ..route("both", &["a", "b"], 0) };
    let mut set = Set::of(["a", "b", "c"].map(builder::upstream));
    set.routes.push(route);
    set.stage()
}

#[tokio::test(start_paused = true)]
async fn a_class_of_failure_has_targets_of_its_own() {
    let long = r#"{"error":{"message":"maximum context length","code":"context_length_exceeded"}}"#;
    let stage = with_list(Fallback::ContextWindow, &["c"]);
    stage.script.then("a", Play::json(400, long));
    stage.script.then("c", good(false));
    assert_eq!(stage.ask(both(false)).await.headers["x-lockgate-target"], "c/m");
    let record = stage.record();
    let told: Vec<_> = record.attempts.iter().map(|it| (&*it.target.provider, it.role)).collect();
    assert_eq!(told, [("a", Role::Usual), ("c", Role::Fallback)], "b would say the same");

    let stage = with_list(Fallback::ContextWindow, &[]);
    stage.script.then("a", Play::json(400, long));
    assert_eq!(stage.ask(both(false)).await.error.map(|(kind, _)| kind), Some(Kind::ContextWindow));
    assert_eq!(stage.script.take().len(), 1, "an empty list is nowhere to go");

    let stage = with_list(Fallback::Any, &["c"]);
    stage.script.then("a", Play::json(503, "{}"));
    stage.script.then("b", Play::json(503, "{}"));
    stage.script.then("c", good(false));
    assert_eq!(stage.ask(both(false)).await.headers["x-lockgate-target"], "c/m", "behind the route's own");
}

/// A stage whose route hedges.
fn hedging(hedge: Hedge) -> Stage {
    let mut hedged = route("both", &["a", "b"], 0);
    hedged.settings = RouteSettings { hedge: Some(hedge), ..hedged.settings };
    let mut set = Set::of(["a", "b"].map(builder::upstream)).patient();
    set.routes.push(hedged);
    set.stage()
}

const MS: fn(u64) -> Duration = Duration::from_millis;

#[tokio::test(start_paused = true)]
async fn the_second_of_two_attempts_wins_if_it_speaks_first_and_both_are_accounted() {
    let stage = hedging(Hedge::After(MS(100)));
    stage.script.then("a", good(true).late(MS(900)));
    stage.script.then("b", good(true).late(MS(50)));
    let begun = tokio::time::Instant::now();
    let heard = stage.ask(both(true)).await;
    assert_eq!(begun.elapsed(), MS(150));
    assert_eq!(
        (&*heard.body, &heard.headers["x-lockgate-target"]),
        ([TEXT, STOP].concat().as_bytes(), &"b/m".parse().unwrap())
    );
    assert_eq!(stage.script.open(), 0, "the other is let go");
    let record = stage.record();
    assert_eq!(record.outcome, Outcome::Ok);
    assert_eq!(record.target.as_ref().map(|it| &*it.provider), Some("b"));
    let told: Vec<_> = record.attempts.iter().map(|it| (&*it.target.provider, it.role, it.error)).collect();
    assert_eq!(told, [("a", Role::Usual, None), ("b", Role::Hedge, None)]);
    let shares: Vec<_> = record.attempts.iter().map(|it| it.usage.unwrap()).collect();
    assert!(
        !shares[0].reported() && shares[0].input > 0 && shares[0].output == 0,
        "its prompt, as an estimate"
    );
    assert_eq!(record.usage.unwrap().counts(), shares[0].plus(&shares[1]).counts());
}

#[tokio::test(start_paused = true)]
async fn the_first_of_two_attempts_wins_if_it_speaks_first() {
    let stage = hedging(Hedge::After(MS(100)));
    stage.script.then("a", good(true).late(MS(120)));
    stage.script.then("b", good(true).late(MS(500)));
    assert_eq!(stage.ask(both(true)).await.headers["x-lockgate-target"], "a/m");
    let record = stage.record();
    assert_eq!(record.target.as_ref().map(|it| &*it.provider), Some("a"), "although b began later");
    assert!(record.attempts[1].detail.as_ref().is_some_and(|text| text.starts_with("given up")));
    assert_eq!(stage.script.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_of_two_attempts_that_fails_leaves_it_to_the_other() {
    let stage = hedging(Hedge::After(MS(100)));
    stage.script.then("a", Play::default().late(MS(150)));
    stage.script.then("b", good(true).late(MS(500)));
    assert_eq!(stage.ask(both(true)).await.headers["x-lockgate-target"], "b/m");
    let stage = hedging(Hedge::After(MS(100)));
    stage.script.then("a", good(true).late(MS(600)));
    stage.script.then("b", Play::json(500, "{}"));
    assert_eq!(stage.ask(both(true)).await.headers["x-lockgate-target"], "a/m");
    let errors: Vec<_> = stage.record().attempts.iter().map(|it| it.error).collect();
    assert_eq!(errors, [None, Some(Kind::UpstreamError)]);
}

#[tokio::test(start_paused = true)]
async fn a_quick_answer_and_a_whole_one_are_not_hedged() {
    let stage = hedging(Hedge::After(MS(100)));
    for stream in [true, false] {
        stage.script.then("a", good(stream).late(if stream { MS(90) } else { MS(900) }));
        assert_eq!(stage.ask(both(stream)).await.status, 200);
        assert_eq!(stage.record().attempts.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_tail_is_cut_off_for_few_extra_attempts() {
    let times = |stage: Arc<Stage>| async move {
        let mut times = Vec::new();
        for call in 0..2_000_u32 {
            // The last step of a hash (murmur's), so that the two providers have nothing to do with each other.
            let slow = |seed: u32| {
                let mixed = (seed ^ seed >> 16).wrapping_mul(0x85eb_ca6b);
                let mixed = (mixed ^ mixed >> 13).wrapping_mul(0xc2b2_ae35);
                if (mixed ^ mixed >> 16).is_multiple_of(20) { MS(1_000) } else { MS(40) }
            };
            stage.script.then("a", good(true).late(slow(call)));
            stage.script.then("b", good(true).late(slow(call + 50_001)));
            let begun = tokio::time::Instant::now();
            assert_eq!(stage.ask(both(true)).await.status, 200);
            times.push(begun.elapsed());
            stage.script.clear();
        }
        times.sort();
        let calls = stage.script.take().len();
        let attempts: usize = stage.records.take().iter().map(|record| record.attempts.len()).sum();
        assert_eq!(attempts, calls, "every call is in a record");
        (times[times.len() * 99 / 100], calls - times.len())
    };
    let (plain, none) = times(Arc::new(hedging(Hedge::Off))).await;
    let (hedged, extra) = times(Arc::new(hedging(Hedge::P95))).await;
    assert_eq!(none, 0);
    assert!(hedged * 2 <= plain, "p99 {plain:?} became {hedged:?} with {extra} extra attempts");
    assert!(extra * 100 <= 2_000 * 8, "{extra} extra attempts for 2000 requests");
    println!("p99 of the first token {plain:?}, hedged {hedged:?}, {extra} extra attempts for 2000 requests");
}

#[tokio::test(start_paused = true)]
async fn a_half_open_target_further_down_is_probed_by_one_request_at_a_time() {
    let upstreams = ["a", "b", "c"].map(builder::upstream);
    let stage = Set::of(upstreams).route("three", &["a", "b", "c"], 0).stage();
    for _ in 0..3 {
        (0..2).for_each(|_| stage.script.then("b", Play::json(503, "{}")));
        assert_eq!(stage.ask(HELLO.replace("a/m", "b/m")).await.status, 503);
    }
    stage.clock.advance(Duration::from_secs(5));
    stage.script.take();
    stage.script.then("a", Play::json(503, "{}"));
    stage.script.then("b", Play::silence());
    let body = || HELLO.replace("a/m", "three");
    let mut probing = Box::pin(stage.chat(body()));
    // Nothing wakes it, so it is asked until it waits for the second target.
    for _ in 0..20 {
        assert!(at_once(probing.as_mut()).is_none());
    }
    stage.script.then("a", Play::json(503, "{}"));
    stage.script.then("c", good(false));
    assert_eq!(stage.ask(body()).await.headers["x-lockgate-target"], "c/m");
    let called: Vec<String> = stage.script.take().into_iter().map(|seen| seen.upstream).collect();
    assert_eq!(called, ["a", "b", "a", "c"]);
}
