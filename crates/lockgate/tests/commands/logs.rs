//! `lockgate logs` and `lockgate explain`, on a store with records.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use lockgate_core::decision::{Candidate, Decision, Exclusion, Matched, Standing};
use lockgate_core::port::RecordStore as _;
use lockgate_core::record::{Attempt, Outcome, Record, Target};
use lockgate_core::usage::{Source, Usage};
use lockgate_core::{Attribution, Kind, RequestId};

use crate::{Place, Started};

fn target(provider: &str) -> Target {
    Target { provider: provider.into(), model: "gpt-5".into() }
}

/// A request that failed at one provider and was answered by another.
fn record(wall_ms: u64) -> Box<Record> {
    let candidate = |provider: &str, standing| Candidate {
        provider: provider.into(),
        model: "gpt-5".into(),
        standing,
        note: None,
    };
    let attempt = |provider, at_us, status, error| Attempt {
        took_us: 2_000,
        status: Some(status),
        error,
        detail: error.map(|_| "busy".to_owned()),
        ..Attempt::begun(target(provider), at_us)
    };
    Box::new(Record {
        id: RequestId::new(wall_ms),
        dialect: "openai.chat".into(),
        key: "key_0123456789abcdef".into(),
        key_name: "checkout".into(),
        attribution: Attribution { customer: Some("acme".into()), ..Attribution::default() },
        asked: "support-bot".into(),
        stream: false,
        target: Some(target("azure")),
        outcome: Outcome::Ok,
        status: 200,
        error: None,
        detail: None,
        usage: Some(Usage { input: 812, output: 154, source: Source::Estimated, ..Usage::default() }),
        cost: None,
        took_us: 1_204_000,
        first_content_us: Some(310_000),
        overhead_us: 41,
        decision: Some(Arc::new(Decision {
            snapshot: 1,
            matched: Matched::Route,
            candidates: [
                candidate("openai", Standing::Eligible),
                candidate("azure", Standing::Eligible),
                candidate("groq", Standing::Excluded(Exclusion::BreakerOpen)),
            ]
            .into(),
            choice: None,
        })),
        losses: Vec::new(),
        attempts: vec![
            attempt("openai", 41, 503, Some(Kind::UpstreamOverloaded)),
            attempt("azure", 2_060, 200, None),
        ],
    })
}

fn now_ms() -> u64 {
    let now = jiff::Timestamp::now().as_millisecond();
    u64::try_from(now).unwrap()
}

#[test]
fn logs_are_searched_and_shown_for_people_and_programs() {
    let place = Place::new();
    let (old, new, other) = (record(now_ms() - 7_200_000), record(now_ms() - 1_000), record(now_ms()));
    let mut other = other;
    (other.outcome, other.error, other.usage) = (Outcome::Error, Some(Kind::UpstreamTimeout), None);
    other.attribution.customer = None;
    place.store().append(&[old.clone(), new.clone(), other.clone()]).unwrap();

    let ids = |args: &[&str]| -> Vec<String> {
        let run = place.run(&[&["logs", "--json"], args].concat());
        assert_eq!(run.code, 0, "{}", run.err);
        let line = |line: &str| serde_json::from_str::<Record>(line).unwrap().id.to_string();
        run.out.lines().map(line).collect()
    };
    let (old_id, new_id, other_id) = (old.id.to_string(), new.id.to_string(), other.id.to_string());
    assert_eq!(ids(&[]), [&*old_id, &new_id, &other_id]);
    assert_eq!(ids(&["--since", "1h"]), [&*new_id, &other_id]);
    assert_eq!(ids(&["--until", "1h"]), [&*old_id]);
    assert_eq!(ids(&["--outcome", "error"]), [&*other_id]);
    assert_eq!(ids(&["--error", "upstream_timeout"]), [&*other_id]);
    assert_eq!(ids(&["--limit", "1"]), [&*other_id]);
    assert_eq!(ids(&["--customer", "acme", "--since", "1h"]), [&*new_id]);
    assert_eq!(ids(&["--model", "gpt-*", "--provider", "azure", "--key", "checkout"]).len(), 3);
    assert!(ids(&["--key", "nobody"]).is_empty());

    let shown = place.run(&["logs", "--customer", "acme", "--since", "1h"]).out;
    for part in ["checkout", "support-bot → azure/gpt-5", "≈812", "≈154", " 310 ", " 1204 ", &new_id] {
        assert!(shown.contains(part), "{part:?}: {shown}");
    }
    assert_eq!(shown.lines().count(), 2);
    assert!(!shown.contains('\x1b'), "colours without a terminal");
    assert!(place.run(&["logs", "--key", "nobody"]).out.contains("No request fits"));
}

#[test]
fn following_shows_each_new_request_once() {
    let place = Place::new();
    let store = place.store();
    let start = now_ms();
    store.append(&[record(start - 60_000)]).unwrap();
    let mut child =
        Started(place.command(&["logs", "--follow", "--json"]).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Record>(&lines.next().unwrap().unwrap()).unwrap().id;
    assert_eq!(next().wall_ms(), start - 60_000);
    // Written in another order than they came, and the last one long after it came.
    let (first, second, third, long) =
        (record(start), record(start + 1), record(start + 2), record(start - 300_000));
    store.append(std::slice::from_ref(&second)).unwrap();
    assert_eq!(next(), second.id);
    store.append(&[first.clone(), third.clone()]).unwrap();
    assert_eq!((next(), next()), (first.id, third.id));
    store.append(std::slice::from_ref(&long)).unwrap();
    assert_eq!(next(), long.id);
}

#[test]
fn a_request_is_explained() {
    let place = Place::new();
    let record = record(now_ms());
    place.store().append(std::slice::from_ref(&record)).unwrap();
    let id = record.id.to_string();
    let drawn = place.run(&["explain", &id]).out;
    for part in [
        &id,
        "support-bot",
        "excluded, breaker_open",
        "upstream_overloaded",
        "azure/gpt-5 was called",
        "acme",
    ] {
        assert!(drawn.contains(part), "{part:?}: {drawn}");
    }
    let json = place.json(&["explain", &id]);
    assert_eq!(serde_json::from_value::<Record>(json).unwrap(), *record);
    let missing = place.run(&["explain", &RequestId::new(1).to_string()]);
    assert_eq!(missing.code, 4);
}
