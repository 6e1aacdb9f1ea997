use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::anthropic::request::peek;
use crate::seal::Origin;

fn asked() -> Turn {
    peek(Bytes::from_static(br#"{"model":"m","messages":[],"stream":true}"#)).unwrap()
}

/// The events that deltas come to, those of a start and an end around them.
fn written(deltas: Vec<Delta<'_>>) -> Vec<Value> {
    let mut encoder = MessageEncoder::new(&asked());
    let mut out = Vec::new();
    encoder.delta(Delta::Start { id: "".into(), model: "gpt".into(), created: None }, &mut out);
    for delta in deltas {
        encoder.delta(delta, &mut out);
    }
    encoder.delta(Delta::End, &mut out);
    let text = String::from_utf8(out).unwrap();
    let events = text.strip_suffix("\n\n").unwrap().split("\n\n");
    events
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
            data
        })
        .collect()
}

fn kinds(events: &[Value]) -> Vec<String> {
    let of = |event: &Value| {
        let inner = ["content_block", "delta"].iter().find_map(|name| event[*name]["type"].as_str());
        let kind = event["type"].as_str().unwrap().replace("content_block_", "");
        inner.map_or(kind.clone(), |inner| format!("{kind} {inner} {}", event["index"]))
    };
    events.iter().map(of).collect()
}

fn foreign() -> Seal {
    Seal::of(&Origin("google".into()), "gemini.generate", "thought", "c2ln")
}

fn call(kind: CallKind) -> Delta<'static> {
    Delta::Open(Block::Call { id: "c1".into(), name: "f".into(), kind })
}

fn text(text: &str) -> Delta<'_> {
    Delta::Text(Cow::Borrowed(text))
}

#[test]
fn blocks_are_counted_without_gaps_and_empty_ones_are_none() {
    let events = written(vec![
        Delta::Usage(Usage { input: 7, ..Usage::default() }),
        Delta::Open(Block::Text),
        text(""),
        Delta::Close,
        Delta::Open(Block::Reasoning { summary: false }),
        text("hm"),
        Delta::Close,
        Delta::Open(Block::Text),
        text("hi"),
        Delta::Close,
        call(CallKind::Function),
        Delta::Close,
        Delta::Finish(Finish::Stop),
        Delta::Usage(Usage { input: 7, output: 5, reasoning: 2, ..Usage::default() }),
    ]);
    assert_eq!(
        kinds(&events),
        [
            "message_start",
            "start thinking 0",
            "delta thinking_delta 0",
            "stop",
            "start text 1",
            "delta text_delta 1",
            "stop",
            "start tool_use 2",
            "stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 7);
    assert!(events[0]["message"]["id"].as_str().unwrap().starts_with("msg_"));
    let end = &events[9];
    assert_eq!(end["delta"], json!({"stop_reason":"tool_use","stop_sequence":null}));
    assert_eq!((&end["usage"]["input_tokens"], &end["usage"]["output_tokens"]), (&json!(7), &json!(7)));
}

#[test]
fn an_answer_that_says_nothing_is_still_whole() {
    let events = written(vec![Delta::Finish(Finish::Refused)]);
    assert_eq!(kinds(&events), ["message_start", "message_delta", "message_stop"]);
    assert_eq!(events[1]["delta"]["stop_reason"], "refusal");
}

#[test]
fn a_state_of_another_dialect_is_wrapped_where_it_belongs() {
    let thought = written(vec![
        Delta::Open(Block::Reasoning { summary: true }),
        Delta::Seal(foreign()),
        Delta::Close,
        Delta::Finish(Finish::Stop),
    ]);
    assert_eq!(thought[2]["delta"], json!({"type":"signature_delta","signature":foreign().wrapped()}));
    let before = written(vec![
        call(CallKind::Function),
        Delta::Seal(foreign()),
        text("{}"),
        Delta::Close,
        Delta::Finish(Finish::Calls),
    ]);
    assert_eq!(kinds(&before)[1..4], ["start redacted_thinking 0", "stop", "start tool_use 1"]);
    let after = written(vec![
        Delta::Open(Block::Text),
        text("x"),
        Delta::Seal(foreign()),
        Delta::Close,
        Delta::Finish(Finish::Stop),
    ]);
    assert_eq!(kinds(&after)[3..5], ["stop", "start redacted_thinking 1"]);
    let data = after[4]["content_block"]["data"].as_str().unwrap();
    assert_eq!(&*Seal::read(NAME, "redacted", data).kind, "thought@last");
}

#[test]
fn states_of_the_dialect_itself_pass_plainly() {
    let own = |kind: &str| Seal::of(&Origin("anthropic".into()), NAME, kind, "EqQ=");
    let events = written(vec![
        Delta::Open(Block::Reasoning { summary: true }),
        Delta::Seal(own("signature")),
        Delta::Close,
        Delta::Open(Block::Reasoning { summary: false }),
        Delta::Seal(own("redacted")),
        Delta::Close,
        Delta::Finish(Finish::Stop),
    ]);
    assert_eq!(events[2]["delta"]["signature"], "EqQ=");
    assert_eq!(events[4]["content_block"], json!({"type":"redacted_thinking","data":"EqQ="}));
    assert_eq!(kinds(&events)[5..], ["stop", "message_delta", "message_stop"]);
}

#[test]
fn a_tool_that_takes_any_text_gets_an_object_around_it() {
    let events = written(vec![
        call(CallKind::Custom),
        text("a \"b\""),
        text("\n"),
        Delta::Close,
        Delta::Finish(Finish::Calls),
    ]);
    let input: String = events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&input).unwrap(), json!({"input":"a \"b\"\n"}));
}

#[test]
fn blocks_of_the_provider_stream_as_the_provider_streams_them_and_others_are_left_out() {
    let native = |dialect, name: &str, json: &str| {
        Delta::Open(Block::Native(Native {
            dialect,
            name: name.into(),
            json: RawValue::from_string(json.into()).unwrap(),
        }))
    };
    let events = written(vec![
        native("openai.responses", "web_search_call", "{}"),
        Delta::Close,
        native(
            NAME,
            "server_tool_use",
            r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{"q":1}}"#,
        ),
        Delta::Close,
        native(NAME, "message.container", r#"{"id":"c"}"#),
        Delta::Close,
        Delta::Finish(Finish::Paused),
    ]);
    assert_eq!(events[1]["content_block"]["input"], json!({}));
    assert_eq!(events[2]["delta"]["partial_json"], r#"{"q":1}"#);
    assert_eq!(events[4]["delta"]["container"], json!({"id":"c"}));
    assert_eq!(events[4]["delta"]["stop_reason"], "pause_turn");
}

#[test]
fn sources_of_a_text_are_cited_by_address() {
    let citation = |url: Option<&str>| Citation { url: url.map(str::to_owned), ..Citation::default() };
    let events = written(vec![
        Delta::Open(Block::Text),
        text("x"),
        Delta::Citation(citation(Some("https://a"))),
        Delta::Citation(citation(None)),
        Delta::Close,
        Delta::Finish(Finish::Stop),
    ]);
    assert_eq!(kinds(&events)[3..5], ["delta citations_delta 0", "stop"]);
    assert_eq!(events[3]["delta"]["citation"]["type"], "web_search_result_location");
}
