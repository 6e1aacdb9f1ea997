//! The language of routes as commands see it: tests of a config, requests in files, records under another config.

use std::sync::Arc;

use lockgate_core::decision::{Candidate, Choice, Decision, Matched};
use lockgate_core::port::RecordStore as _;
use lockgate_core::record::{Outcome, Record, Target};
use lockgate_core::{Attribution, RequestId};
use serde_json::{Value, json};

use crate::Place;

/// Rules by tier, feature, region and use case; a policy; a test of each.
const CONFIG: &str = r#"
providers:
  near: { type: openai-compatible, base_url: "http://127.0.0.1:8000/v1", region: eu, zero_retention: true, training: false }
  far: { type: openai-compatible, base_url: "http://127.0.0.1:8001/v1", region: us }
  demo: {}
routes:
  support-bot:
    when:
      - name: free tier
        if: customer.tier == "free"
        use: [near/small, far/small]
      - name: long
        if: request.input_tokens > 1000 || "long" in tags
        use: { route: long-context }
      - name: mail
        if: feature == "mail" && region == "eu"
        use: [near/mail]
      - name: gold
        if: key.metadata.plan == "gold"
        use: [far/gold]
        on_error: [near/large, far/large]
    use: [far/large, near/large]
  long-context: { use: [far/long, near/long], require: { region: eu } }
policies:
  acme stays here:
    for: { customers: [acme] }
    require: { region: eu, zero_retention: true }
  far is on trial:
    deny: { providers: [far] }
    mode: shadow
tests:
  free: { request: { model: support-bot }, metadata: { tier: free }, expect: { winner: near/small, rule: free tier } }
  tagged: { request: { model: support-bot }, tags: [long], expect: { winner: near/long, rule: long, excluded: { far/long: region } } }
  mail: { request: { model: support-bot }, headers: { x-lockgate-region: eu }, feature: mail, expect: { winner: near/mail } }
  an incident falls to its branch:
    { request: { model: support-bot }, expect: { order: [near/large, far/large], rule: none } }
  gold: { request: { model: support-bot }, metadata: { plan: gold }, expect: { winner: far/gold } }
  acme: { request: { model: support-bot }, metadata: { plan: no }, customer: acme, expect: { order: [near/large], excluded: { far/large: not_allowed } } }
  acme may not go there by name either: { request: { model: far/large }, customer: acme, expect: { error: permission_denied } }
  broken: { request: { model: support-bot }, metadata: { plan: no }, state: { far/large: { breaker: open } }, expect: { winner: near/large, excluded: { far/large: breaker_open } } }
  nothing: { request: { model: nothing }, expect: { error: model_not_found } }
"#;

#[test]
fn the_tests_of_a_config_are_run_by_check() {
    let place = Place::with_config(CONFIG);
    let run = place.run(&["check"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert!(run.out.contains("test free: passed, near/small"), "{}", run.out);
    assert!(run.out.contains("rule \"long\""), "{}", run.out);
    assert!(run.out.contains("incident at gold: No such key: plan"), "{}", run.out);
    let report = place.json(&["check"]);
    assert_eq!(report["tests"].as_array().map(Vec::len), Some(9));
    assert!(report["tests"].as_array().is_some_and(|tests| tests.iter().all(|test| test["passed"] == true)));
}

#[test]
fn a_test_that_fails_says_what_was_found_instead() {
    let place = Place::with_config(
        &CONFIG.replace("winner: near/small, rule: free tier", "winner: far/small, rule: long"),
    );
    let run = place.run(&["check"]);
    assert_eq!(run.code, 3);
    for part in [
        "test free: FAILED, near/small",
        "expected the winner far/small, found near/small, far/small",
        "expected the rule \"long\", found \"free tier\"",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    assert!(run.err.contains("1 test of the config failed"), "{}", run.err);
    let run = place.run(&["check", "--json"]);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((run.code, &report["ok"]), (3, &json!(false)));
}

#[test]
fn a_condition_that_is_wrong_is_found_in_its_place() {
    let place = Place::with_config(&CONFIG.replace("customer.tier == \"free\"", "custmer.tier == 5"));
    let run = place.run(&["check"]);
    assert_eq!(run.code, 3);
    let part = "lockgate.yaml:10:13: error: routes.support-bot.when[0].if: there is no variable custmer";
    assert!(run.out.contains(part) && run.out.contains("did you mean customer?"), "{}", run.out);
}

#[test]
fn a_request_in_a_file_is_decided_on_without_a_call() {
    let place = Place::with_config(CONFIG);
    let put = |name: &str, text: &str| std::fs::write(place.0.path().join(name), text).unwrap();
    put("body.json", r#"{"model": "support-bot", "messages": []}"#);
    put(
        "two.json",
        r#"{"requests": [
            {"request": {"model": "support-bot", "messages": []}, "metadata": {"tier": "free"}},
            {"request": {"model": "far/large", "messages": []}, "attribution": {"customer": "acme"}}]}"#,
    );
    let one = place.json(&["explain", "--request", "body.json"]);
    assert_eq!(one["winner"], "near/large");
    assert_eq!(one["decision"]["choice"]["incidents"][0]["at"], "gold");
    let two = place.json(&["explain", "--request", "two.json"]);
    assert_eq!(two["results"][0]["winner"], "near/small");
    assert_eq!(two["results"][1]["winner"], Value::Null);
    assert_eq!(two["results"][1]["error"]["type"], "permission_denied");
    let drawn = place.run(&["explain", "--request", "two.json"]);
    for part in ["rule      free tier: matched", "1. near/small", "not_allowed", "acme stays here"] {
        assert!(drawn.out.contains(part), "{part}: {}", drawn.out);
    }
    assert_eq!(place.run(&["explain", "--request", "absent.json"]).code, 4);
    assert_eq!(place.run(&["explain"]).code, 2);
}

#[test]
fn a_pattern_that_fits_no_model_is_doubted() {
    let place = Place::with_config(
        "providers: { openai: { api_key: '${KEY:-x}' } }\nroutes:\n  r:\n    use:\n      cost: [openai/gpt-4*, openai/gtp-*]\n",
    );
    let run = place.run(&["check"]);
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(
        run.out
            .contains("lockgate.yaml:5:29: warning: routes.r.use.cost[1]: no known model fits openai/gtp-*"),
        "{}",
        run.out
    );
    assert!(!run.out.contains("gpt-4*"), "{}", run.out);
}

/// A request that was routed by the config above.
fn record(decision: Decision) -> Box<Record> {
    let target = Target { provider: "far".into(), model: "large".into() };
    Box::new(Record {
        id: RequestId::new(1_790_000_000_000),
        dialect: "openai.chat".into(),
        key: "key_0123456789abcdef".into(),
        key_name: "checkout".into(),
        attribution: Attribution { customer: Some("initech".into()), ..Attribution::default() },
        asked: "plain".into(),
        stream: false,
        target: Some(target),
        outcome: Outcome::Ok,
        status: 200,
        error: None,
        detail: None,
        usage: None,
        cost: None,
        took_us: 1_000,
        first_content_us: None,
        overhead_us: 41,
        decision: Some(Arc::new(decision)),
        losses: Vec::new(),
        attempts: Vec::new(),
    })
}

#[test]
fn a_record_is_decided_on_again_under_the_same_and_under_another_config() {
    const BEFORE: &str = "
providers:
  near: { type: openai-compatible, base_url: 'http://127.0.0.1:8000/v1', region: eu }
  far: { type: openai-compatible, base_url: 'http://127.0.0.1:8001/v1', region: us }
routes:
  plain: [far/large, near/large]
";
    let place = Place::with_config(BEFORE);
    std::fs::create_dir(place.0.path().join(".lockgate")).unwrap();
    let target = |provider: &str| Target { provider: provider.into(), model: "large".into() };
    let decision = Decision {
        snapshot: 3,
        matched: Matched::Route,
        candidates: [Candidate::eligible(&target("far")), Candidate::eligible(&target("near"))].into(),
        choice: Some(Box::new(Choice { order: vec![0, 1], seed: 7, ..Choice::default() })),
    };
    let record = record(decision);
    let id = record.id.to_string();
    place.store().append(&[record]).unwrap();

    let same = place.json(&["explain", &id, "--under", "lockgate.yaml"]);
    assert_eq!(same["same"], true, "{same}");
    let edited = BEFORE.to_owned()
        + "policies: { initech: { for: { customers: [initech] }, require: { region: eu } } }\n";
    std::fs::write(place.0.path().join("other.yaml"), edited).unwrap();
    let other = place.json(&["explain", &id, "--under", "other.yaml"]);
    assert_eq!(other["same"], false);
    assert_eq!(other["under"]["winner"], "near/large");
    let drawn = place.run(&["explain", &id, "--under", "other.yaml"]);
    assert!(drawn.out.contains("different: was far/large, would be near/large"), "{}", drawn.out);
    assert!(
        drawn.out.contains("not_allowed") && drawn.out.contains("initech: it is not in the region"),
        "{}",
        drawn.out
    );
}

#[test]
fn scores_of_ones_own_change_the_winner_and_a_test_pins_it() {
    const SCORED: &str = "
providers:
  near: { type: openai-compatible, base_url: 'http://127.0.0.1:8000/v1' }
catalog: { scores: evals.csv }
routes:
  best:
    use:
      score: { candidates: [near/a, near/b], benchmarks: { my-evals: 1 } }
tests:
  best by our own evals: { request: { model: best }, expect: { winner: near/b } }
";
    let place = Place::with_config(SCORED);
    let put = |text: &str| std::fs::write(place.0.path().join("evals.csv"), text).unwrap();
    let table = |a: u8, b: u8| {
        let others: String =
            (0..8).map(|at| format!("my-evals,m{at},{},percent,500\n", 30 + at * 5)).collect();
        format!(
            "benchmark,model,value,unit,samples\nmy-evals,a,{a},percent,500\nmy-evals,b,{b},percent,500\n{others}"
        )
    };
    put(&table(40, 60));
    let run = place.run(&["check"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    put(&table(60, 40));
    let run = place.run(&["check"]);
    assert_eq!(run.code, 3, "{}", run.out);
    assert!(run.out.contains("expected the winner near/b, found near/a"), "{}", run.out);
    put("benchmark,model\n");
    assert!(place.run(&["check"]).out.contains("catalog.scores: "), "a table that is wrong is a mistake");
}
