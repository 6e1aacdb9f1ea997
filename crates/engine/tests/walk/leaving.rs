//! Clients that leave: the provider's work ends with them, and what was used is booked.

use std::pin::pin;

use bytes::Bytes;
use lockgate_core::usage::Source;
use lockgate_core::{Outcome, StreamUsage};
use lockgate_testkit::{Play, builder};

use crate::stage::{HELLO, HELLO_STREAM, Set, Stage, at_once, piece};

const TEXT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello, world\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\n\n";

fn stage() -> Stage {
    Set::of([builder::upstream_with("a", StreamUsage::Always)]).stage()
}

#[tokio::test(start_paused = true)]
async fn before_the_head_of_the_answer() {
    for body in [HELLO, HELLO_STREAM] {
        let stage = stage();
        stage.script.then("a", Play::silence());
        {
            let mut chat = pin!(stage.chat(body));
            assert!(at_once(chat.as_mut()).is_none());
            assert_eq!(stage.script.open(), 1);
            assert!(stage.records.take().is_empty());
        }
        assert_eq!(stage.script.open(), 0, "the call ends with the client");
        let record = stage.record();
        assert_eq!((record.outcome, record.status, record.error), (Outcome::Cancelled, 499, None));
        assert_eq!(record.attempts.len(), 1);
        assert_eq!(record.attempts[0].error, None);
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_body_of_the_request_came() {
    let stage = stage();
    let inbound = stage.inbound(&[("x-api-key", builder::KEY)]);
    {
        let mut chat = Box::pin(lockgate_engine::chat(&stage.engine, inbound, std::future::pending()));
        assert!(at_once(chat.as_mut()).is_none());
    }
    let record = stage.record();
    assert_eq!((record.outcome, record.status), (Outcome::Cancelled, 499));
    assert!(record.attempts.is_empty() && stage.script.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn in_mid_stream() {
    let stage = stage();
    stage.script.then("a", Play::stream([Bytes::from(TEXT)]).hang());
    let mut reply = stage.chat(HELLO_STREAM).await.ok().unwrap();
    assert_eq!(piece(&mut reply.body).await.unwrap(), TEXT);
    assert_eq!(stage.script.open(), 1);
    drop(reply);
    assert_eq!(stage.script.open(), 0, "the provider's stream ends with the client");
    let record = stage.record();
    assert_eq!((record.outcome, record.status, record.error), (Outcome::Cancelled, 499, None));
    let usage = record.usage.unwrap();
    assert_eq!(usage.source, Source::Estimated);
    assert_eq!(usage.output, 19, "twelve bytes of text, and what was on its way");
    assert!(usage.input > 0);
}

#[tokio::test(start_paused = true)]
async fn without_reading_anything_of_a_stream() {
    let stage = stage();
    stage.script.then("a", Play::stream([Bytes::from(TEXT)]).hang());
    drop(stage.chat(HELLO_STREAM).await.ok().unwrap());
    let record = stage.record();
    assert_eq!((record.outcome, record.status), (Outcome::Cancelled, 499));
    assert!(record.usage.is_some_and(|usage| usage.output == 19), "the provider wrote it, so it costs");
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_reported_by_then_is_booked() {
    let stage = stage();
    let with_usage = TEXT.replace("]}\n", "],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n");
    stage.script.then("a", Play::stream([Bytes::from(with_usage), Bytes::from(TEXT)]).hang());
    let mut reply = stage.chat(HELLO_STREAM).await.ok().unwrap();
    piece(&mut reply.body).await;
    drop(reply);
    let usage = stage.record().usage.unwrap();
    assert_eq!((usage.source, usage.input, usage.output), (Source::Reported, 9, 2));
}

/// Clients close the connection at the end mark; whether the provider has closed its own by then is chance.
#[tokio::test(start_paused = true)]
async fn behind_the_end_of_the_answer_nothing_was_cancelled() {
    let stage = stage();
    stage.script.then("a", Play::stream([TEXT, STOP, USAGE, "data: [DONE]\n\n"].map(Bytes::from)).hang());
    let mut reply = stage.chat(HELLO_STREAM).await.ok().unwrap();
    let mut last = Bytes::new();
    while last != "data: [DONE]\n\n" {
        last = piece(&mut reply.body).await.unwrap();
    }
    drop(reply);
    let record = stage.record();
    assert_eq!((record.outcome, record.status), (Outcome::Ok, 200));
    let usage = record.usage.unwrap();
    assert_eq!((usage.source, usage.input, usage.output), (Source::Reported, 9, 4));
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_two_rounds_ends_as_well() {
    let stage = stage();
    stage.script.then("a", Play::json(503, "{}").header("retry-after", "1"));
    {
        let mut chat = pin!(stage.chat(HELLO));
        assert!(at_once(chat.as_mut()).is_none());
    }
    let record = stage.record();
    assert_eq!((record.outcome, record.attempts.len()), (Outcome::Cancelled, 1));
}
