use serde_json::{Value, json};

use super::decoder::CohereDecoder;
use super::encoder::CohereEncoder;
use super::meter::CohereMeter;
use crate::neutral::{Block, CallKind, Citation, Delta, Finish};
use crate::{Decoder as _, Encoder as _, Meter as _, Note};
use lockgate_core::Kind;

fn decoded(events: &[Value]) -> Result<String, lockgate_core::Error> {
    let mut decoder = CohereDecoder::default();
    let mut out = String::new();
    let mut sink = |delta: Delta<'_>| {
        out.push_str(&match delta {
            Delta::Start { id, .. } => format!("{id} "),
            Delta::Open(Block::Call { id, .. }) => format!("call:{id}("),
            Delta::Open(Block::Reasoning { .. }) => "thought(".to_owned(),
            Delta::Open(_) => "text(".to_owned(),
            Delta::Text(text) => text.into_owned(),
            Delta::Citation(Citation { span, .. }) => format!("<{}>", span.map_or(0, |(start, _)| start)),
            Delta::Close => ") ".to_owned(),
            Delta::Usage(usage) => format!("usage:{} ", usage.input),
            Delta::Finish(finish) => format!("{finish:?} "),
            Delta::End => "end".to_owned(),
            other => format!("{other:?} "),
        });
    };
    for event in events {
        decoder.event("", event.to_string().as_bytes(), &mut sink)?;
    }
    decoder.end(&mut sink)?;
    Ok(out)
}

fn event(kind: &str, index: u64, message: &Value) -> Value {
    json!({ "type": kind, "id": "r", "index": index, "delta": { "message": message } })
}

fn content(kind: &str, index: u64, content: &Value) -> Value {
    event(kind, index, &json!({ "content": content }))
}

fn call(index: u64, id: &str) -> Value {
    event(
        "tool-call-start",
        index,
        &json!({ "tool_calls": { "id": id, "function": { "name": "f", "arguments": "" } } }),
    )
}

fn arguments(index: u64, text: &str) -> Value {
    event("tool-call-delta", index, &json!({ "tool_calls": { "function": { "arguments": text } } }))
}

fn end(reason: &str) -> Value {
    let usage = json!({ "billed_units": { "input_tokens": 3, "output_tokens": 1 } });
    json!({ "type": "message-end", "delta": { "finish_reason": reason, "usage": usage } })
}

#[test]
fn a_citation_that_comes_behind_its_text_still_belongs_to_it() {
    let out = decoded(&[
        content("content-start", 0, &json!({ "type": "thinking", "thinking": "hm" })),
        json!({ "type": "content-end", "index": 0 }),
        content("content-start", 1, &json!({ "type": "text", "text": "" })),
        content("content-delta", 1, &json!({ "text": "So." })),
        json!({ "type": "content-end", "index": 1 }),
        event("citation-start", 0, &json!({ "citations": { "start": 1, "end": 2 } })),
        json!({ "type": "citation-end", "index": 0 }),
        end("COMPLETE"),
    ]);
    assert_eq!(out.unwrap(), "r thought(hm) text(So.<1>) usage:3 Stop end");
}

#[test]
fn calls_that_interleave_come_one_after_the_other() {
    let out = decoded(&[
        event("tool-plan-delta", 0, &json!({ "tool_plan": "I look." })),
        call(0, "a"),
        call(1, "b"),
        arguments(1, "{}"),
        arguments(0, "{\"x\":1}"),
        json!({ "type": "tool-call-end", "index": 1 }),
        json!({ "type": "tool-call-end", "index": 0 }),
        end("TOOL_CALL"),
    ]);
    assert_eq!(out.unwrap(), "r text(I look.) call:a({\"x\":1}) call:b({}) usage:3 Calls end");
}

#[test]
fn failures_end_the_stream() {
    let kind = |events: &[Value]| decoded(events).unwrap_err().kind();
    let failed = json!({ "type": "message-end", "delta": { "finish_reason": "ERROR", "error": "boom" } });
    assert_eq!(kind(&[failed]), Kind::UpstreamError);
    assert_eq!(kind(&[json!({ "message": "too many tokens" })]), Kind::ContextWindow);
    assert_eq!(kind(&[content("content-delta", 0, &json!({ "text": "a" }))]), Kind::UpstreamBroken);
    assert_eq!(kind(&[arguments(0, "{")]), Kind::UpstreamBadAnswer);
}

#[test]
fn the_meter_sees_content_the_end_and_the_report() {
    let mut meter = CohereMeter::default();
    let mut note = |event: &str| match meter.note(event.as_bytes()) {
        Note::Frame => "frame",
        Note::Content => "content",
        Note::UsageOnly => "usage",
        Note::Failed(_) => "failed",
        Note::Garbage => "garbage",
    };
    assert_eq!(
        note(r#"{"id":"a","type":"message-start","delta":{"message":{"content":[],"tool_plan":""}}}"#),
        "frame"
    );
    assert_eq!(
        note(
            r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}"#
        ),
        "frame"
    );
    assert_eq!(
        note(r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"a\"b"}}}}"#),
        "content"
    );
    assert_eq!(
        note(
            r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":3,"output_tokens":2}}}}"#
        ),
        "content"
    );
    assert_eq!(note("[DONE]"), "frame");
    assert_eq!(note(r#"{"type":"message-end","delta":{"finish_reason":"ERROR"}}"#), "failed");
    assert_eq!(note("{\"type\":"), "garbage");
    assert!(meter.complete());
    assert_eq!(meter.content_bytes(), 4);
    assert_eq!(meter.usage().map(|usage| usage.output), Some(2));
}

#[test]
fn a_stream_is_written_as_the_sdk_reads_it() {
    let (mut encoder, mut out) = (CohereEncoder::default(), Vec::new());
    for delta in [
        Delta::Start { id: "r".into(), model: "m".into(), created: None },
        Delta::Open(Block::Text),
        Delta::Text("Hi".into()),
        Delta::Close,
        Delta::Open(Block::Call { id: "a".into(), name: "f".into(), kind: CallKind::Function }),
        Delta::Close,
        Delta::Finish(Finish::Calls),
        Delta::End,
    ] {
        encoder.delta(delta, &mut out);
    }
    let text = String::from_utf8(out).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(
        names,
        [
            "message-start",
            "content-start",
            "content-delta",
            "content-end",
            "tool-call-start",
            "tool-call-delta",
            "tool-call-end",
            "message-end"
        ]
    );
    assert!(text.contains(
        r#"data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Hi"}}}}"#
    ));
    assert!(text.ends_with("data: [DONE]\n\n"));
}
