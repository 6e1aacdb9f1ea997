//! Targets that fail: what is tried again, what is passed over, and what the client is told.

use std::time::Duration;

use bytes::Bytes;
use lockgate_core::{Exclusion, Fault, Kind, Outcome, Standing};
use lockgate_testkit::{Noted, Play, builder};
use tokio::time::Instant;

use crate::stage::{HELLO, HELLO_STREAM, Set, Stage, route};

const ANSWER: &str =
    r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
const ROLE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const TEXT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\n";
const STOP: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const BUSY: &str = r#"{"error":{"message":"busy","code":503}}"#;

fn good(stream: bool) -> Play {
    if stream { Play::stream([ROLE, TEXT, STOP].map(Bytes::from)) } else { Play::json(200, ANSWER) }
}

fn both(stream: bool) -> String {
    if stream { HELLO_STREAM } else { HELLO }.replace("a/m", "both")
}

/// What a provider can do wrong before it has said anything.
fn faults(stream: bool) -> Vec<(&'static str, Play, Kind)> {
    let mut faults = vec![
        ("no connection", Play::refuse(builder::unreachable()), Kind::UpstreamUnreachable),
        ("401", Play::json(401, "{}"), Kind::UpstreamAuth),
        ("402", Play::json(402, "{}"), Kind::UpstreamCredit),
        ("404", Play::json(404, "{}"), Kind::ModelNotFound),
        ("408", Play::json(408, "{}"), Kind::UpstreamTimeout),
        ("413", Play::json(413, "{}"), Kind::RequestTooLarge),
        ("429", Play::json(429, "{}"), Kind::UpstreamRateLimited),
        ("500", Play::json(500, "{}"), Kind::UpstreamError),
        (
            "502 in HTML",
            Play::status(502).header("content-type", "text/html").piece("<html>"),
            Kind::UpstreamError,
        ),
        ("503", Play::json(503, "{}"), Kind::UpstreamOverloaded),
        ("529 that breaks off", Play::json(529, "{").fail(builder::broken()), Kind::UpstreamOverloaded),
        ("302", Play::status(302), Kind::UpstreamBadAnswer),
        ("an empty 200", Play::status(200), Kind::UpstreamBadAnswer),
        ("HTML in a 200", Play::status(200).piece("<html></html>"), Kind::UpstreamBadAnswer),
        ("another JSON", Play::json(200, r#"{"ok":true}"#), Kind::UpstreamBadAnswer),
        ("an error in a 200", Play::json(200, BUSY), Kind::UpstreamOverloaded),
        ("gzip", good(stream).header("content-encoding", "gzip"), Kind::UpstreamBadAnswer),
        ("a head and no body", Play::status(200).fail(builder::broken()), Kind::UpstreamBroken),
    ];
    if stream {
        let event = format!("data: {BUSY}\n\n");
        faults.extend([
            ("a whole answer", Play::json(200, ANSWER), Kind::UpstreamBadAnswer),
            ("an error event", Play::stream([event.clone().into()]), Kind::UpstreamOverloaded),
            (
                "an error event behind the role",
                Play::stream([ROLE.into(), event.into()]),
                Kind::UpstreamOverloaded,
            ),
            ("pings and an end", Play::stream([": ping\n\n".into()]), Kind::UpstreamBroken),
            ("an end mark alone", Play::stream(["data: [DONE]\n\n".into()]), Kind::UpstreamBadAnswer),
            ("a role and an end", Play::stream([ROLE.into()]), Kind::UpstreamBroken),
            ("nonsense", Play::stream(["data: nonsense\n\n".into()]), Kind::UpstreamBadAnswer),
        ]);
    } else {
        faults.extend([
            ("half an answer", Play::json(200, &ANSWER[..30]), Kind::UpstreamBadAnswer),
            (
                "an answer that breaks off",
                Play::json(200, &ANSWER[..30]).fail(builder::broken()),
                Kind::UpstreamBroken,
            ),
        ]);
    }
    faults
}

#[tokio::test(start_paused = true)]
async fn a_fault_before_the_first_content_is_another_targets_work_and_leaves_no_trace() {
    for stream in [false, true] {
        for (name, fault, kind) in faults(stream) {
            let stage = Stage::two();
            stage.script.then("a", fault);
            stage.script.then("b", good(stream));
            let heard = stage.ask(both(stream)).await;
            assert_eq!((heard.status, heard.error), (200, None), "{name}");
            let expected = if stream { [ROLE, TEXT, STOP].concat() } else { ANSWER.to_owned() };
            assert_eq!(heard.body, expected, "{name}");
            assert_eq!(heard.headers["x-lockgate-target"], "b/m");
            assert_eq!(heard.headers["x-lockgate-attempts"], "2");
            let record = stage.record();
            assert_eq!((record.outcome, record.error), (Outcome::Ok, None), "{name}");
            assert_eq!(
                record.attempts.iter().map(|it| it.error).collect::<Vec<_>>(),
                [Some(kind), None],
                "{name}"
            );
            assert_eq!(stage.script.open(), 0, "{name}: the first answer is let go");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_alone_is_an_error_that_says_whose() {
    for stream in [false, true] {
        for (name, fault, kind) in faults(stream) {
            let stage = Set::of([builder::upstream("a")]).route("both", &["a"], 0).stage();
            stage.script.then("a", fault);
            let heard = stage.ask(both(stream)).await;
            assert_eq!(heard.error, Some((kind, kind.fault())), "{name}");
            // An error event before the content stays a stream; all else has a status of its own.
            let told =
                heard.headers.get("content-type").is_some_and(|it| it.as_bytes().starts_with(b"text/event"));
            assert!(heard.status >= 400 || told, "{name}: {}", heard.status);
            let json = String::from_utf8(heard.body.to_vec()).unwrap();
            assert!(json.starts_with('{') || told, "{name}: the dialect's error: {json}");
            assert!(!told || json.contains("\"error\""), "{name}: {json}");
            let record = stage.record();
            assert_eq!((record.outcome, record.error), (Outcome::Error, Some(kind)), "{name}");
            assert_eq!(record.status, heard.status);
            assert!(record.detail.is_some(), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_every_target_would_refuse_is_not_taken_elsewhere() {
    let stage = Stage::two();
    stage.script.then("a", Play::json(400, r#"{"error":{"message":"bad temperature"}}"#));
    stage.script.then("b", good(false));
    let heard = stage.ask(both(false)).await;
    assert_eq!((heard.status, heard.error), (400, Some((Kind::InvalidRequest, Fault::Caller))));
    assert_eq!(heard.body, r#"{"error":{"message":"bad temperature"}}"#, "the provider's own words");
    assert_eq!(stage.script.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_target_is_tried_again_only_where_that_can_help() {
    for (status, rounds, calls) in [(503, 0, 1), (503, 2, 3), (401, 2, 1), (429, 2, 1), (400, 2, 1)] {
        let stage = Set::of([builder::upstream("a")]).route("both", &["a"], rounds).stage();
        (0..5).for_each(|_| stage.script.then("a", Play::json(status, "{}")));
        let heard = stage.ask(both(false)).await;
        assert_eq!(heard.status, status);
        assert_eq!(stage.script.take().len(), calls, "{status} with {rounds} further rounds");
        assert_eq!(stage.record().attempts.len(), calls);
    }
    // In a further round only those are called that can have changed their mind.
    let stage =
        Set::of([builder::upstream("a"), builder::upstream("b")]).route("both", &["a", "b"], 1).stage();
    stage.script.then("a", Play::json(401, "{}"));
    stage.script.then("b", Play::json(503, "{}"));
    stage.script.then("b", good(false));
    assert_eq!(stage.ask(both(false)).await.status, 200);
    let called: Vec<_> = stage.script.take().into_iter().map(|call| call.upstream).collect();
    assert_eq!(called, ["a", "b", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_named_directly_gets_one_more_chance() {
    let stage = Stage::two();
    stage.script.then("a", Play::refuse(builder::unreachable()));
    stage.script.then("a", good(false));
    assert_eq!(stage.ask(HELLO).await.status, 200);
    assert_eq!(stage.record().attempts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_short_pause_that_the_provider_asks_for_is_kept_and_a_long_one_is_the_clients() {
    for (asked, calls, waited) in [("1", 2, 1_000), ("2.5", 1, 0)] {
        let stage = Stage::two();
        stage.script.then("a", Play::json(503, "{}").header("retry-after", asked));
        stage.script.then("a", good(false));
        let begun = Instant::now();
        let heard = stage.ask(HELLO).await;
        assert_eq!(heard.error.is_some(), calls == 1);
        assert_eq!(stage.script.take().len(), calls, "{asked} s");
        assert_eq!(begun.elapsed().as_millis() / 100, waited / 100, "{asked} s");
        if calls == 1 {
            assert_eq!(heard.headers["retry-after"], asked, "the client is told");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn five_failures_take_a_target_out_of_rotation_until_a_probe_succeeds() {
    let stage = Stage::two();
    for _ in 0..5 {
        stage.script.then("a", Play::json(500, "{}"));
        stage.script.then("b", good(false));
        assert_eq!(stage.ask(both(false)).await.status, 200);
    }
    let changed = |open| Noted::Breaker("a".into(), "m".into(), open);
    assert_eq!(stage.events.take().iter().filter(|event| **event == changed(true)).count(), 1);
    stage.script.take();
    stage.records.take();

    stage.script.then("b", good(false));
    assert_eq!(stage.ask(both(false)).await.status, 200);
    let called: Vec<_> = stage.script.take().into_iter().map(|call| call.upstream).collect();
    assert_eq!(called, ["b"], "passed over");
    let decision = stage.record().decision.unwrap();
    let standings: Vec<_> = decision.candidates.iter().map(|it| it.standing).collect();
    assert_eq!(standings, [Standing::Excluded(Exclusion::BreakerOpen), Standing::Eligible]);

    stage.clock.advance(Duration::from_secs(5));
    stage.script.then("a", good(false));
    assert_eq!(stage.ask(both(false)).await.headers["x-lockgate-target"], "a/m", "a probe");
    assert!(stage.events.take().contains(&changed(false)));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_limits_or_refuses_the_caller_stays_in_rotation() {
    let stage = Stage::two();
    for status in [429, 400, 404, 429, 413, 429, 422] {
        stage.script.clear();
        stage.script.then("a", Play::json(status, "{}"));
        stage.ask(HELLO).await;
    }
    assert!(!stage.events.take().iter().any(|event| matches!(event, Noted::Breaker(..))));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_told_and_not_begun_anew() {
    let stage = Stage::two();
    stage.script.then("a", Play::stream([ROLE, TEXT, &TEXT[..20]].map(Bytes::from)).fail(builder::broken()));
    stage.script.then("b", good(true));
    let heard = stage.ask(both(true)).await;
    let body = String::from_utf8(heard.body.to_vec()).unwrap();
    let told = body.strip_prefix(&[ROLE, TEXT].concat()).unwrap();
    assert!(told.starts_with("data: {\"error\":{") && told.ends_with("}\n\n"), "{told}");
    assert!(told.contains("upstream_broken") && !told.contains("reset by peer"), "{told}");
    assert!(stage.script.take().iter().all(|call| call.upstream == "a"));
    let record = stage.record();
    assert_eq!((record.outcome, record.error), (Outcome::Broken, Some(Kind::UpstreamBroken)));
    assert!(record.detail.is_some_and(|detail| detail.contains("reset by peer")), "for the log alone");
    assert!(record.usage.is_some_and(|usage| !usage.reported() && usage.output > 0));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_stays_silent_is_passed_over() {
    let second = Duration::from_secs(1);
    let silences: [fn() -> Play; 4] = [
        Play::silence,
        || Play::stream([]).hang(),
        || Play::stream([ROLE.into()]).hang(),
        || {
            (0..1_000)
                .fold(Play::stream([]), |play, _| play.piece(": ping\n\n").wait(Duration::from_millis(100)))
        },
    ];
    for silence in silences {
        let mut quick = route("both", &["a", "b"], 0);
        quick.settings.attempt_timeout = Some(second);
        let mut set = Set::of([builder::upstream("a"), builder::upstream("b")]);
        set.routes.push(quick);
        let stage = set.stage();
        stage.script.then("a", silence());
        stage.script.then("b", good(true));
        let begun = Instant::now();
        let heard = stage.ask(both(true)).await;
        assert_eq!(heard.body, [ROLE, TEXT, STOP].concat());
        assert!(begun.elapsed() >= second && begun.elapsed() < second * 2, "{:?}", begun.elapsed());
        assert_eq!(stage.record().attempts[0].error, Some(Kind::UpstreamTimeout));
        assert_eq!(stage.script.open(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_is_only_slow() {
    let stage = Stage::two();
    let slow = [ROLE, TEXT, TEXT, STOP].into_iter().fold(Play::stream([]), |play, piece| {
        piece
            .as_bytes()
            .chunks(11)
            .fold(play.wait(Duration::from_secs(3)), |play, part| play.pause().piece(part.to_vec()))
    });
    stage.script.then("a", slow.late(Duration::from_secs(9)));
    assert_eq!(stage.ask(both(true)).await.body, [ROLE, TEXT, TEXT, STOP].concat());
    assert_eq!(stage.record().attempts.len(), 1);
}
