use bytes::Bytes;
use lockgate_core::{Kind, Usage};
use serde_json::{Value, json};

use super::decoder::ConverseDecoder;
use super::encoder::ConverseEncoder;
use super::meter::ConverseMeter;
use crate::eventstream::Splitter;
use crate::neutral::{Block, CallKind, Delta, Finish};
use crate::seal::{Origin, Seal};
use crate::{Decoder as _, Encoder as _, Meter as _, Note};

fn decoded(events: &[(&str, Value)]) -> Result<String, lockgate_core::Error> {
    let mut decoder = ConverseDecoder::new(&Origin("aws".into()));
    let mut out = String::new();
    let mut sink = |delta: Delta<'_>| {
        out.push_str(&match delta {
            Delta::Start { .. } => "start ".to_owned(),
            Delta::Open(Block::Call { id, .. }) => format!("call:{id}("),
            Delta::Open(Block::Native(native)) => format!("native:{}(", native.json),
            Delta::Open(Block::Reasoning { .. }) => "thought(".to_owned(),
            Delta::Open(_) => "text(".to_owned(),
            Delta::Text(text) => text.into_owned(),
            Delta::Seal(seal) => format!("[{}:{}]", seal.kind, seal.data),
            Delta::Citation(citation) => format!("<{}>", citation.title.unwrap_or_default()),
            Delta::Close => ") ".to_owned(),
            Delta::Usage(usage) => format!("usage:{} ", usage.input),
            Delta::Finish(finish) => format!("{finish:?} "),
            Delta::End => "end".to_owned(),
            other => format!("{other:?} "),
        });
    };
    for (name, event) in events {
        decoder.event(name, event.to_string().as_bytes(), &mut sink)?;
    }
    decoder.end(&mut sink)?;
    Ok(out)
}

fn at(index: u64, delta: &Value) -> (&'static str, Value) {
    ("contentBlockDelta", json!({ "contentBlockIndex": index, "delta": delta }))
}

fn stop(index: u64) -> (&'static str, Value) {
    ("contentBlockStop", json!({ "contentBlockIndex": index }))
}

fn call(index: u64, id: &str) -> (&'static str, Value) {
    let start = json!({ "toolUse": { "toolUseId": id, "name": "f" } });
    ("contentBlockStart", json!({ "contentBlockIndex": index, "start": start }))
}

fn input(index: u64, text: &str) -> (&'static str, Value) {
    at(index, &json!({ "toolUse": { "input": text } }))
}

fn ended(reason: &str) -> (&'static str, Value) {
    ("messageStop", json!({ "stopReason": reason }))
}

#[test]
fn blocks_that_interleave_come_one_after_the_other() {
    let out = decoded(&[
        call(0, "a"),
        call(1, "b"),
        input(0, "{\"x\""),
        input(1, "{}"),
        stop(1),
        input(0, ":1}"),
        stop(0),
        ended("tool_use"),
    ]);
    assert_eq!(out.unwrap(), "start call:a({\"x\":1}) call:b({}) Calls end");
}

#[test]
fn a_block_without_its_stop_ends_with_the_message() {
    let out = decoded(&[at(0, &json!({ "text": "a" })), at(1, &json!({ "text": "b" })), ended("end_turn")]);
    assert_eq!(out.unwrap(), "start text(a) text(b) Stop end");
}

#[test]
fn the_report_may_come_on_either_side_of_the_stop() {
    let report = ("metadata", json!({ "usage": { "inputTokens": 3, "outputTokens": 1 }, "metrics": {} }));
    let behind = decoded(&[at(0, &json!({ "text": "a" })), stop(0), ended("end_turn"), report.clone()]);
    assert_eq!(behind.unwrap(), "start text(a) Stop usage:3 end");
    let before = decoded(&[at(0, &json!({ "text": "a" })), stop(0), report, ended("end_turn")]);
    assert_eq!(before.unwrap(), "start text(a) usage:3 Stop end");
}

#[test]
fn states_are_whole_when_they_come_in_pieces() {
    let redacted = |text: &str| at(0, &json!({ "reasoningContent": { "redactedContent": text } }));
    let out = decoded(&[redacted("YQ=="), redacted("Yg=="), stop(0), ended("end_turn")]);
    assert_eq!(out.unwrap(), "start thought([redacted:YWI=]) Stop end");
    let signed = |name: &str, text: &str| at(0, &json!({ "reasoningContent": { name: text } }));
    let out = decoded(&[
        signed("text", "hm"),
        signed("signature", "c2"),
        signed("signature", "ln"),
        stop(0),
        ended("x"),
    ]);
    assert_eq!(out.unwrap(), "start thought(hm[signature:c2ln]) Other(\"x\") end");
}

#[test]
fn tools_of_the_provider_are_whole_blocks() {
    let start =
        json!({ "toolUse": { "toolUseId": "a", "name": "nova_grounding", "type": "server_tool_use" } });
    let out = decoded(&[
        ("contentBlockStart", json!({ "contentBlockIndex": 0, "start": start })),
        input(0, "{\"q\":1}"),
        stop(0),
        at(1, &json!({ "citation": { "title": "t" } })),
        stop(1),
        ended("end_turn"),
    ]);
    let native = r#"{"name":"nova_grounding","toolUseId":"a","type":"server_tool_use","input":{"q":1}}"#;
    assert_eq!(out.unwrap(), format!("start native:{native}() text(<t>) Stop end"));
}

#[test]
fn failures_end_the_stream() {
    let kind = |events: &[(&str, Value)]| decoded(events).unwrap_err().kind();
    assert_eq!(kind(&[("throttlingException", json!({ "message": "slow" }))]), Kind::UpstreamRateLimited);
    assert_eq!(
        kind(&[("", json!({ "throttlingException": { "message": "slow" } }))]),
        Kind::UpstreamRateLimited
    );
    assert_eq!(kind(&[("InternalFailure", json!({ "message": "x" }))]), Kind::UpstreamError);
    assert_eq!(kind(&[at(0, &json!({ "text": "a" }))]), Kind::UpstreamBroken);
    assert_eq!(kind(&[input(0, "{")]), Kind::UpstreamBadAnswer);
}

#[test]
fn the_meter_sees_content_the_stop_and_the_report() {
    let mut meter = ConverseMeter::default();
    let mut note = |event: &str| match meter.note(event.as_bytes()) {
        Note::Frame => "frame",
        Note::Content => "content",
        Note::UsageOnly => "usage",
        Note::Failed(_) => "failed",
        Note::Garbage => "garbage",
    };
    assert_eq!(note(r#"{"p":"abc","role":"assistant"}"#), "frame");
    assert_eq!(note(r#"{"contentBlockIndex":0,"delta":{"text":""},"p":"abc"}"#), "frame");
    assert_eq!(note(r#"{"contentBlockIndex":0,"delta":{"text":"a\"b"},"p":"abc"}"#), "content");
    assert_eq!(note(r#"{"stopReason":"end_turn","p":"a"}"#), "content");
    assert_eq!(note(r#"{"metrics":{"latencyMs":1},"usage":{"inputTokens":3,"outputTokens":2}}"#), "usage");
    assert_eq!(note(r#"{"throttlingException":{"message":"x"}}"#), "failed");
    assert_eq!(note(r#"{"message":"x"}"#), "failed");
    assert_eq!(note("{"), "garbage");
    assert!(meter.complete());
    assert_eq!(meter.content_bytes(), 4);
    assert_eq!(meter.usage().map(|usage| usage.output), Some(2));
}

fn encoded(deltas: Vec<Delta<'_>>) -> Vec<(String, Value)> {
    let (mut encoder, mut out) = (ConverseEncoder::default(), Vec::new());
    for delta in deltas {
        encoder.delta(delta, &mut out);
    }
    let (mut splitter, mut chunk, mut events) = (Splitter::default(), Bytes::from(out), Vec::new());
    while let Some(frame) = splitter.next(&mut chunk).unwrap() {
        events.push((frame.name().to_owned(), serde_json::from_slice(&frame.payload).unwrap()));
    }
    events
}

#[test]
fn blocks_are_numbered_without_gaps_and_there_is_one_end() {
    let seal = Seal::of(&Origin("google".into()), "gemini.generate", "thought", "eA==");
    let start = Delta::Start { id: "".into(), model: "m".into(), created: None };
    let events = encoded(vec![
        start,
        Delta::Open(Block::Text),
        Delta::Close,
        Delta::Open(Block::Call { id: "a b".into(), name: "f".into(), kind: CallKind::Custom }),
        Delta::Text("x\"".into()),
        Delta::Seal(seal.clone()),
        Delta::Text("y".into()),
        Delta::Close,
        Delta::Usage(Usage { input: 2, cache_read: 5, output: 1, ..Usage::default() }),
        Delta::Finish(Finish::Calls),
        Delta::End,
    ]);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "messageStart",
            "contentBlockStart",
            "contentBlockDelta",
            "contentBlockDelta",
            "contentBlockDelta",
            "contentBlockStop",
            "contentBlockDelta",
            "contentBlockStop",
            "messageStop",
            "metadata"
        ]
    );
    let input: String =
        events.iter().filter_map(|(_, event)| event["delta"]["toolUse"]["input"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&input).unwrap(), json!({ "input": "x\"y" }));
    let wrapped = events[6].1["delta"]["reasoningContent"]["redactedContent"].as_str().unwrap();
    assert_eq!(Seal::read("x", "y", wrapped).data, seal.data);
    assert_eq!(
        (&events[5].1["contentBlockIndex"], &events[7].1["contentBlockIndex"]),
        (&json!(0), &json!(1))
    );
    let usage = &events[9].1["usage"];
    assert_eq!((&usage["inputTokens"], &usage["totalTokens"]), (&json!(2), &json!(8)));
}
