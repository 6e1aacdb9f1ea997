use serde_json::{Value, json};

use super::super::super::request::peek;
use super::*;
use crate::seal::Origin;

fn written(deltas: Vec<Delta<'_>>) -> Vec<Value> {
    let asked = peek(Bytes::from_static(br#"{"model":"m","input":"x","stream":true}"#)).unwrap();
    let mut encoder = ResponsesEncoder::new(&asked);
    let mut out = Vec::new();
    encoder.delta(Delta::Start { id: "msg_01".into(), model: "claude".into(), created: Some(5) }, &mut out);
    for delta in deltas {
        encoder.delta(delta, &mut out);
    }
    encoder.delta(Delta::End, &mut out);
    encoder.delta(Delta::End, &mut out);
    let text = String::from_utf8(out).unwrap();
    let mut events = Vec::new();
    for event in text.split_terminator("\n\n") {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        assert_eq!(data["sequence_number"], events.len());
        events.push(data);
    }
    events
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()?.strip_prefix("response.")).collect()
}

fn call(id: &'static str) -> Delta<'static> {
    Delta::Open(Block::Call { id: id.into(), name: "f".into(), kind: CallKind::Function })
}

#[test]
fn a_text_and_a_call() {
    let events = written(vec![
        Delta::Open(Block::Text),
        Delta::Text("He said \"".into()),
        Delta::Text("hi\"\n".into()),
        Delta::Close,
        call("c1"),
        Delta::Text("{\"a\":".into()),
        Delta::Text(" 1.0}".into()),
        Delta::Close,
        Delta::Finish(Finish::Calls),
        Delta::Usage(Usage { input: 3, output: 4, ..Usage::default() }),
    ]);
    assert_eq!(
        names(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed"
        ]
    );
    let last = &events[events.len() - 1]["response"];
    assert_eq!(last["output"][0]["content"][0]["text"], "He said \"hi\"\n");
    assert_eq!(last["output"][1]["arguments"], "{\"a\": 1.0}");
    assert_eq!(last["usage"]["total_tokens"], 7);
    assert_eq!(last["output"][1]["id"], events[9]["item"]["id"]);
    assert_eq!(events[9]["output_index"], 1);
    assert_eq!(events[13]["item"], last["output"][1]);
}

#[test]
fn texts_side_by_side_are_parts_of_one_message() {
    let events = written(vec![
        Delta::Open(Block::Text),
        Delta::Text("a".into()),
        Delta::Close,
        Delta::Open(Block::Text),
        Delta::Text("b".into()),
        Delta::Citation(Citation { url: Some("u".into()), ..Citation::default() }),
        Delta::Citation(Citation { quote: Some("q".into()), ..Citation::default() }),
        Delta::Close,
        Delta::Finish(Finish::Length),
    ]);
    let last = &events[events.len() - 1];
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(last["response"]["output"].as_array().unwrap().len(), 1);
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
    assert_eq!(last["response"]["output"][0]["content"][1]["annotations"][0]["url"], "u");
    let places: Vec<_> = events
        .iter()
        .filter(|e| e["type"] == "response.output_text.delta")
        .map(|e| &e["content_index"])
        .collect();
    assert_eq!(places, [&json!(0), &json!(1)]);
}

#[test]
fn a_thought_has_a_summary_and_its_state_wrapped() {
    let seal = Seal::of(&Origin("anthropic".into()), "anthropic.messages", "signature", "Eq==");
    let events = written(vec![
        Delta::Open(Block::Reasoning { summary: false }),
        Delta::Text("hm".into()),
        Delta::Seal(seal.clone()),
        Delta::Close,
        Delta::Finish(Finish::Stop),
    ]);
    assert_eq!(
        names(&events)[2..8],
        [
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done"
        ]
    );
    let item = &events[7]["item"];
    assert_eq!(item["summary"][0]["text"], "hm");
    assert_eq!(Seal::read(NAME, "item", item["encrypted_content"].as_str().unwrap()), seal);
}

#[test]
fn a_state_of_a_call_follows_it_as_a_thought() {
    let seal = Seal::of(&Origin("gemini".into()), "gemini.generate", "thought", "abc");
    let events = written(vec![
        call("c1"),
        Delta::Text("{}".into()),
        Delta::Seal(seal),
        Delta::Close,
        call("c2"),
        Delta::Text("{}".into()),
        Delta::Close,
        Delta::Finish(Finish::Calls),
    ]);
    let output = &events[events.len() - 1]["response"]["output"];
    let kinds: Vec<_> =
        output.as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["function_call", "reasoning", "function_call"]);
    let read = Seal::read(NAME, "item", output[1]["encrypted_content"].as_str().unwrap());
    assert_eq!((&*read.kind, read.data.as_str()), ("thought@call", "abc"));
}

#[test]
fn blocks_of_other_dialects_leave_no_trace_and_own_ones_pass() {
    let native = |dialect| Native {
        dialect,
        name: "web_search_call".into(),
        json: serde_json::value::to_raw_value(&json!({"type":"web_search_call","id":"ws"})).unwrap(),
    };
    let events = written(vec![
        Delta::Open(Block::Native(native("anthropic.messages"))),
        Delta::Close,
        Delta::Open(Block::Native(native(NAME))),
        Delta::Close,
        Delta::Finish(Finish::Stop),
    ]);
    assert_eq!(names(&events)[2..], ["output_item.added", "output_item.done", "completed"]);
}

#[test]
fn an_answer_that_is_too_long_ends_in_a_failure() {
    let asked = peek(Bytes::from_static(br#"{"model":"m","input":"x","stream":true}"#)).unwrap();
    let mut encoder = ResponsesEncoder::new(&asked);
    let mut out = Vec::new();
    encoder.delta(Delta::Open(Block::Text), &mut out);
    let piece = "x".repeat(8 << 20);
    for _ in 0..12 {
        out.clear();
        encoder.delta(Delta::Text(piece.as_str().into()), &mut out);
        if encoder.ended {
            break;
        }
    }
    assert!(encoder.ended);
    assert!(memchr::memmem::find(&out, b"response.failed").is_some());
}
