use std::sync::Arc;

use lockgate_core::usage::Source;
use lockgate_core::{Attribution, Candidate, Exclusion, Matched, Money, RequestId, Standing};

use super::*;

fn target(provider: &str, model: &str) -> Target {
    Target { provider: provider.into(), model: model.into() }
}

fn candidate(provider: &str, standing: Standing) -> Candidate {
    Candidate { provider: provider.into(), model: "m".into(), standing, note: None }
}

fn attempt(provider: &str, at_us: u32, took_us: u32, error: Option<Kind>) -> Attempt {
    let status = if error.is_some() { 503 } else { 200 };
    Attempt { took_us, status: Some(status), error, ..Attempt::begun(target(provider, "m"), at_us) }
}

/// Three candidates, one excluded; the first fails, the second answers.
fn record() -> Record {
    Record {
        id: RequestId::new(1_790_000_000_000),
        dialect: "openai.chat".into(),
        key: "key_1".into(),
        key_name: "ci".into(),
        attribution: Attribution { customer: Some("acme".into()), ..Attribution::default() },
        asked: "support-bot".into(),
        stream: true,
        target: Some(target("b", "m")),
        outcome: Outcome::Ok,
        status: 200,
        error: None,
        detail: None,
        usage: Some(Usage { input: 800, cache_read: 12, output: 154, ..Usage::default() }),
        cost: Some(Money::from_nanos(511_000)),
        took_us: 1_204_311,
        first_content_us: Some(310_220),
        overhead_us: 41,
        decision: Some(Arc::new(Decision {
            snapshot: 7,
            matched: Matched::Route,
            candidates: [
                candidate("a", Standing::Eligible),
                candidate("b", Standing::Eligible),
                candidate("c", Standing::Excluded(Exclusion::BreakerOpen)),
            ]
            .into(),
            choice: None,
        })),
        losses: Vec::new(),
        attempts: vec![
            Attempt {
                detail: Some("overloaded\nplease wait".into()),
                ..attempt("a", 41, 12_000, Some(Kind::UpstreamOverloaded))
            },
            attempt("b", 12_060, 298_000, None),
        ],
    }
}

#[test]
fn tells_the_whole_story_in_order() {
    let drawn = draw(&record(), Paint::OFF);
    let parts = [
        "answered, status 200, in 1.20 s",
        "model     support-bot",
        "key       ci (key_1)",
        "customer  acme",
        "a route of the config (config version 7)",
        "├─ a/m  eligible",
        "└─ c/m  excluded, breaker_open: it had failed too often",
        "├─ 1. a/m  at 41 µs",
        "status 503, upstream_overloaded after 12 ms",
        "│     overloaded",
        "│     please wait",
        "→ this can pass, and nothing had gone to the client: b/m was called",
        "└─ 2. b/m  at 12 ms",
        "answered, status 200, after 298 ms",
        "target    b/m",
        "812 in (fresh 800, read from cache 12), 154 out; reported by the provider",
        "$0.000511",
        "41 µs in the gateway before the first attempt, first content after 310 ms, 1.20 s in all",
    ];
    let mut rest = drawn.as_str();
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is not (in this order) in\n{drawn}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn says_why_an_attempt_was_or_was_not_followed_by_another() {
    let said = |attempts: Vec<Attempt>, outcome| {
        let record = Record { outcome, attempts, ..record() };
        draw(&record, Paint::OFF)
    };
    let again = said(
        vec![attempt("a", 0, 1_000, Some(Kind::UpstreamError)), attempt("a", 81_000, 9, None)],
        Outcome::Ok,
    );
    assert!(again.contains("called again after a pause of 80 ms"), "{again}");
    let elsewhere = said(
        vec![attempt("a", 0, 1_000, Some(Kind::UpstreamAuth)), attempt("b", 1_010, 9, None)],
        Outcome::Ok,
    );
    assert!(elsewhere.contains("would say the same again, and nothing had gone"), "{elsewhere}");
    let never = said(vec![attempt("a", 0, 1, Some(Kind::InvalidRequest))], Outcome::Error);
    assert!(never.contains("no other target would say anything else"), "{never}");
    let over = said(vec![attempt("a", 0, 1, Some(Kind::UpstreamTimeout))], Outcome::Error);
    assert!(over.contains("no target, round or time was left"), "{over}");
    let left = Attempt { status: None, took_us: 0, ..attempt("a", 41, 0, None) };
    let left = said(vec![left], Outcome::Cancelled);
    assert!(left.contains("under way when the client left"), "{left}");
}

#[test]
fn an_early_failure_has_neither_decision_nor_attempts() {
    let early = Record {
        outcome: Outcome::Error,
        error: Some(Kind::InvalidRequest),
        detail: Some("no model [byte 7]".into()),
        usage: None,
        cost: None,
        target: None,
        decision: None,
        losses: Vec::new(),
        attempts: Vec::new(),
        ..record()
    };
    let drawn = draw(&early, Paint::OFF);
    for part in [
        "failed before a target",
        "no provider was called",
        "invalid_request (the caller's doing)",
        "not known",
    ] {
        assert!(drawn.contains(part), "{part}: {drawn}");
    }
}

#[test]
fn an_estimate_is_shown_as_one() {
    let estimated = Usage { source: Source::Estimated, input: 5, output: 6, ..Usage::default() };
    assert_eq!(usage(&estimated), "≈5 in, ≈6 out; estimated by the gateway");
}

#[test]
fn what_clients_and_providers_write_cannot_command_the_terminal() {
    let mut record = record();
    record.asked = "\x1b[2J".into();
    record.attempts[0].detail = Some("\x1b]0;title\x07".into());
    assert!(!draw(&record, Paint::OFF).contains('\x1b'));
}

#[test]
fn a_choice_is_drawn_with_rules_terms_margin_and_what_others_would_have_cost() {
    use lockgate_core::decision::{Alternative, Choice, Fired, Incident, Terms, Verdict, Weight};

    let mut record = record();
    let mut decision = Decision::clone(record.decision.as_ref().unwrap());
    let terms = |candidate, score, quality| Terms {
        candidate,
        score,
        quality,
        coverage: 1_000_000,
        cost: Some(Money::from_nanos(2_500_000)),
        first_us: 400_000,
        whole_us: 3_000_000,
        reliability: 990_000,
        ..Terms::default()
    };
    decision.choice = Some(Box::new(Choice {
        path: vec!["support-bot".into(), "free tier".into(), "score".into()],
        rules: vec![
            Fired { rule: "large".into(), verdict: Verdict::Passed },
            Fired { rule: "free tier".into(), verdict: Verdict::Matched },
        ],
        incidents: vec![Incident { at: "odd".into(), why: "No such key: plan".into() }],
        order: vec![1, 0],
        weights: vec![Weight { name: "gpqa-diamond".into(), share: 1_000_000, boost: 1_500_000 }],
        terms: vec![terms(0, 610_000, 700_000), terms(1, 730_000, 812_000)],
        values: [700_000, 812_000].into(),
        margin: Some(120_000),
        runner_up: Some(Alternative { candidate: 0, cost: Some(Money::from_nanos(4_000_000)) }),
        expected: Some(Money::from_nanos(2_500_000)),
        ..Choice::default()
    }));
    record.decision = Some(Arc::new(decision));
    let drawn = draw(&record, Paint::OFF);
    let parts = [
        "way       support-bot → free tier → score",
        "rule      large: passed",
        "rule      free tier: matched",
        "incident  odd: No such key: plan",
        "gpqa-diamond 100.0% (×1.50)",
        "1. b/m",
        "0.730",
        "2. a/m",
        "excluded, breaker_open",
        "margin    0.120",
        "expected  $0.0025",
        "runner-up a/m, $0.004",
    ];
    let mut rest = drawn.as_str();
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part} is not, or not in its place, in\n{drawn}"));
        rest = &rest[at + part.len()..];
    }
}
