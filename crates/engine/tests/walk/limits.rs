//! Rate limits in the walk: what they let pass, what comes back, what answers say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Outcome, Tick};
use lockgate_ledger::Limiter;
use lockgate_ledger::rate::{Limit, LimitDraft};
use lockgate_testkit::{Play, builder};

use crate::stage::{HELLO, HELLO_STREAM, Heard, Set, Stage, piece};

fn limit(json: &str) -> Limit {
    serde_json::from_str::<LimitDraft>(json).unwrap().limit(&[], 0).unwrap()
}

fn stage(limits: &[&str]) -> Stage {
    let limiter = Limiter::default();
    limiter.replace(limits.iter().map(|json| limit(json)).collect(), Tick(0));
    let set = Set::of([builder::upstream("a"), builder::upstream("b")]).route("both", &["a", "b"], 0);
    Set { limits: Arc::new(limiter), ..set.patient() }.stage()
}

/// An answer that used 3 + 7 tokens, from a provider that speaks of limits of its own.
fn answer() -> Play {
    Play::json(
        200,
        r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":7}}"#,
    )
    .header("x-ratelimit-remaining-requests", "9999")
    .header("x-ratelimit-limit-images", "5")
}

fn header<'a>(heard: &'a Heard, name: &str) -> &'a str {
    heard.headers.get(format!("x-ratelimit-{name}")).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn as_many_pass_as_may_and_every_answer_says_how_the_limit_stands() {
    let stage = stage(&[r#"{"name":"all","count":"requests","amount":3,"every":"minute"}"#]);
    for remaining in ["2", "1", "0"] {
        stage.script.then("a", answer());
        let heard = stage.ask(HELLO).await;
        assert_eq!((heard.status, header(&heard, "limit-requests")), (200, "3"));
        assert_eq!(header(&heard, "remaining-requests"), remaining);
        assert_eq!(header(&heard, "limit-images"), "", "the provider's own are not the client's");
        assert_eq!(header(&heard, "limit-tokens"), "");
        stage.record();
    }
    let error = stage.chat(HELLO).await.err().unwrap();
    assert_eq!((error.kind(), error.status().as_u16()), (Kind::RateLimited, 429));
    assert_eq!(error.public(), "The limit \"all\" is used up: 3 requests a minute. Try again in 20s.");
    assert_eq!(error.wait(), Some(Duration::from_secs(20)));
    assert_eq!(error.headers()["x-ratelimit-remaining-requests"], "0");
    assert_eq!(error.headers()["x-ratelimit-reset-requests"], "1m0s");
    let record = stage.record();
    assert_eq!((record.outcome, record.error, record.status), (Outcome::Error, Some(Kind::RateLimited), 429));
    assert!(record.attempts.is_empty());
    stage.clock.advance(Duration::from_secs(20));
    stage.script.then("a", answer());
    assert_eq!(stage.ask(HELLO).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_failed_before_a_provider_answered_counts_nowhere() {
    let stage = stage(&[
        r#"{"name":"r","count":"requests","amount":2,"every":"day"}"#,
        r#"{"name":"t","count":"tokens","amount":2000,"every":"day"}"#,
        r#"{"name":"c","count":"concurrent","amount":1}"#,
    ]);
    for _ in 0..5 {
        stage.script.then("a", Play::refuse(Error::upstream(Kind::UpstreamUnreachable, "no connection")));
        let heard = stage.ask(HELLO).await;
        assert_eq!(heard.error.map(|(kind, _)| kind), Some(Kind::UpstreamUnreachable));
        assert_eq!((header(&heard, "remaining-requests"), header(&heard, "remaining-tokens")), ("2", "2000"));
        stage.record();
    }
    // One that a provider has refused was a request, and used no tokens.
    stage
        .script
        .then("a", Play::json(400, r#"{"error":{"message":"no"}}"#).header("x-ratelimit-limit-tokens", "1"));
    let heard = stage.ask(HELLO).await;
    assert_eq!(heard.status, 400);
    assert_eq!((header(&heard, "remaining-requests"), header(&heard, "remaining-tokens")), ("1", "2000"));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_as_they_were_used() {
    let stage = stage(&[r#"{"name":"t","count":"tokens","amount":100,"every":"hour"}"#]);
    let short = HELLO.replace("{\"model\"", "{\"max_tokens\":50,\"model\"");
    stage.script.then("a", answer());
    let heard = stage.ask(short.clone()).await;
    // Of an answer that is on its way the estimate counts: 9 of what is said, and all that may come.
    assert_eq!((header(&heard, "remaining-tokens"), header(&heard, "limit-tokens")), ("41", "100"));
    let error = {
        stage.script.then("a", Play::json(500, "{}"));
        stage.chat(short).await.err().unwrap()
    };
    assert_eq!(error.headers()["x-ratelimit-remaining-tokens"], "90", "3 + 7 of the first, none of this");
}

#[tokio::test(start_paused = true)]
async fn concurrency_holds_until_the_end_of_a_stream() {
    let stage = stage(&[r#"{"name":"c","count":"concurrent","amount":1,"per":"key"}"#]);
    let events = b"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: [DONE]\n\n";
    stage.script.then("a", Play::stream([Bytes::from_static(events)]));
    let mut reply = stage.chat(HELLO_STREAM).await.unwrap();
    assert_eq!(stage.chat(HELLO).await.err().map(|error| error.kind()), Some(Kind::RateLimited));
    while piece(&mut reply.body).await.is_some() {}
    stage.script.then("a", answer());
    assert_eq!(stage.ask(HELLO).await.status, 200);
    // A client that leaves ends it as well.
    stage.script.then("a", Play::stream([Bytes::from_static(events)]));
    drop(stage.chat(HELLO_STREAM).await.unwrap());
    stage.script.then("a", answer());
    assert_eq!(stage.ask(HELLO).await.status, 200);
}
