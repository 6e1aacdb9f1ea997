//! Recorded Converse traffic, replayed through the dialect.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;

use base64::Engine as _;
use bytes::Bytes;
use contract::Contract;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Kind, Quirks, Usage};
use lockgate_dialect::bedrock_converse::{BedrockConverse, NAME};
use lockgate_dialect::eventstream::{Frame, Splitter};
use lockgate_dialect::neutral::Delta;
use lockgate_dialect::seal::Origin;
use lockgate_dialect::{Dialect as _, Hub as _, Losses, Named, Note, Target, Turn};
use lockgate_testkit::vectors::{self, Exchange};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const D: BedrockConverse = BedrockConverse;

fn origin() -> Origin {
    Origin("bedrock".into())
}

fn turn(body: Bytes, model: &str, stream: bool) -> Turn {
    D.peek(body, Some(Named { model, stream })).unwrap()
}

/// The model in a recorded path, decoded.
fn model(path: &str) -> String {
    let id = path.split('/').nth(2).unwrap_or_default();
    id.replace("%3A", ":").replace("%2F", "/")
}

fn recorded(api: &str) -> Vec<Exchange> {
    vectors::of(api).unwrap_or_default()
}

fn all() -> Vec<Exchange> {
    let mut all = recorded("bedrock.converse");
    all.extend(recorded("bedrock.converse-stream"));
    all
}

// === an independent reader of usage ===

fn expected(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage.get(name).and_then(Value::as_u64);
    if count("inputTokens").is_none() && count("outputTokens").is_none() {
        return None;
    }
    let written = count("cacheWriteInputTokens").unwrap_or(0);
    let hour: u64 = usage["cacheDetails"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|detail| detail["ttl"] == "1h")
        .filter_map(|detail| detail["inputTokens"].as_u64())
        .sum();
    let usage_of = Usage {
        input: count("inputTokens").unwrap_or(0),
        cache_read: count("cacheReadInputTokens").unwrap_or(0),
        cache_write: written - hour,
        cache_write_1h: hour,
        output: count("outputTokens").unwrap_or(0),
        ..Usage::default()
    };
    if let Some(total) = count("totalTokens") {
        assert_eq!(total, usage_of.input_total() + usage_of.output_total(), "{usage}");
    }
    Some(usage_of)
}

#[test]
fn a_recorded_request_goes_out_as_it_came() {
    let mut seen = 0;
    for exchange in all() {
        let Some(sent) = &exchange.request else { continue };
        let turn = turn(sent.bytes(), &model(&sent.path), sent.path.ends_with("stream"));
        let prepared = D.prepare(&turn, "another", &Quirks::default());
        assert_eq!(prepared.body.join(), sent.bytes(), "{}", exchange.id);
        assert_eq!(D.path(&turn.model, turn.stream), sent.path.replace("v1:0", "v1%3A0"), "{}", exchange.id);
        seen += 1;
    }
    println!("{seen} requests");
}

#[test]
fn a_whole_answer_is_booked_as_the_provider_reports_it() {
    let mut seen = 0;
    for exchange in recorded("bedrock.converse") {
        let received = &exchange.response;
        if received.body_kind != "json" || received.status.is_some_and(|status| status >= 400) {
            continue;
        }
        let body = received.bytes();
        let json: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(D.whole(&body).unwrap(), expected(&json["usage"]), "{}", exchange.id);
        seen += 1;
    }
    println!("{seen} answers");
}

#[test]
fn a_recorded_refusal_is_told_by_its_words() {
    for exchange in all() {
        let received = &exchange.response;
        let Some(status) = received.status.filter(|status| *status >= 400) else { continue };
        let mut headers = HeaderMap::new();
        if let Some(name) = received.headers.get("x-amzn-errortype") {
            headers.insert("x-amzn-errortype", name.parse().unwrap());
        }
        let error = D.refusal(StatusCode::from_u16(status).unwrap(), &headers, &received.bytes());
        let text = String::from_utf8(received.bytes().to_vec()).unwrap();
        let kind = match text.as_str() {
            text if text.contains("security token") => Kind::UpstreamAuth,
            text if text.contains("Tokens Exceeded") => Kind::ContextWindow,
            text if text.contains("model identifier is invalid") => Kind::ModelNotFound,
            _ => Kind::InvalidRequest,
        };
        assert_eq!(error.kind(), kind, "{text}");
        assert!(error.own_answer().is_some());
    }
}

// === requests there and back ===

/// What may differ and means the same:
/// - `system`, `inferenceConfig`, `additionalModelRequestFields` and blocks of nothing that are empty are left out;
/// - `status: success` of a tool's result is the default; `type: tool_use` of a call likewise;
/// - JSON as a tool's result is text of the same JSON;
/// - turns of the same role are one, and outcomes stand first in theirs;
/// - the names of documents have no underscore (the records have some where a name was taken out);
/// - a text of white space alone goes.
fn normal(value: &Value) -> Value {
    let mut value = value.clone();
    let Some(root) = value.as_object_mut() else { return value };
    if let Some(config) = root.get_mut("inferenceConfig").and_then(Value::as_object_mut) {
        config.retain(|_, member| *member != json!([]));
    }
    root.retain(|_, member| *member != json!([]) && *member != json!({}));
    let Some(messages) = root.get_mut("messages").and_then(Value::as_array_mut) else { return value };
    let mut merged: Vec<Value> = Vec::new();
    for message in messages.drain(..) {
        let blocks = message["content"].as_array().cloned().unwrap_or_default();
        let mut content: Vec<Value> = blocks.into_iter().filter_map(normal_block).collect();
        content.sort_by_key(|block| !(block.get("toolResult").is_some() && message["role"] == "user"));
        if content.is_empty() {
            continue;
        }
        match merged.last_mut() {
            Some(last) if last["role"] == message["role"] => {
                last["content"].as_array_mut().unwrap().append(&mut content);
            }
            _ => merged.push(json!({ "role": message["role"], "content": content })),
        }
    }
    *messages = merged;
    value
}

fn normal_block(mut block: Value) -> Option<Value> {
    if block.get("text").and_then(Value::as_str).is_some_and(|text| text.trim().is_empty()) {
        return None;
    }
    if let Some(Value::String(name)) = block.get_mut("document").and_then(|document| document.get_mut("name"))
    {
        *name = name.replace('_', "-");
    }
    if let Some(call) = block.get_mut("toolUse").and_then(Value::as_object_mut)
        && call.get("type") == Some(&json!("tool_use"))
    {
        call.remove("type");
    }
    if let Some(result) = block.get_mut("toolResult").and_then(Value::as_object_mut)
        && !result.contains_key("type")
    {
        if result.get("status") == Some(&json!("success")) {
            result.remove("status");
        }
        for inner in result.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(json) = inner.get("json") {
                *inner = json!({ "text": json.to_string() });
            }
        }
    }
    Some(block)
}

#[test]
fn a_recorded_request_means_the_same_after_the_neutral_form() {
    let (mut seen, mut failed) = (0, Vec::new());
    for exchange in all() {
        let Some(sent) = &exchange.request else { continue };
        let name = model(&sent.path);
        let turn = turn(sent.bytes(), &name, false);
        let request = D.read_request(&turn).unwrap();
        let mut losses = Losses::default();
        let target = Target { provider: "bedrock", model: &name, stream: false };
        let written = match D.write_request(&request, &target, &mut losses) {
            Ok(written) => written,
            Err(error) => panic!("{}: {error:?}", exchange.id),
        };
        let (own, out): (Value, Value) =
            (serde_json::from_slice(&sent.bytes()).unwrap(), serde_json::from_slice(&written).unwrap());
        let _ = D.peek(written, Some(Named { model: &name, stream: false })).unwrap();
        seen += 1;
        let (own, out) = (normal(&own), normal(&out));
        if own != out || !losses.is_empty() {
            failed.push(format!("{} {losses:?}\n  {own}\n  {out}", exchange.id));
        }
    }
    println!("{seen} requests, {} differ", failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

// === answers there and back ===

/// What a client acts on in an answer's content: text, calls, thoughts with their signatures, and blocks of others.
fn said(content: &[Value]) -> Value {
    let mut out = Vec::new();
    for block in content {
        if let Some(cited) = block.get("citationsContent") {
            let text: String = cited["content"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|c| c["text"].as_str())
                .collect();
            out.push(json!([text, cited["citations"]]));
        } else if let Some(text) = block.get("text") {
            if text != "" {
                out.push(text.clone());
            }
        } else if let Some(call) = block.get("toolUse") {
            out.push(json!([call["name"], call["toolUseId"], call["input"]]));
        } else {
            out.push(block.clone());
        }
    }
    Value::Array(out)
}

fn stop(reason: &Value) -> Value {
    // Whoever filtered it, the neutral form knows one word.
    if reason == "guardrail_intervened" { json!("content_filtered") } else { reason.clone() }
}

#[test]
fn a_recorded_answer_says_the_same_after_the_neutral_form() {
    let mut seen = 0;
    for exchange in recorded("bedrock.converse") {
        let received = &exchange.response;
        if received.body_kind != "json" || received.status.is_some_and(|status| status >= 400) {
            continue;
        }
        let reply = D.read_reply(&received.bytes(), &origin()).unwrap();
        let mut losses = Losses::default();
        let asked = turn(Bytes::from_static(b"{\"messages\":[]}"), "m", false);
        let written = D.write_reply(&reply, &asked, &mut losses);
        let (own, out): (Value, Value) =
            (serde_json::from_slice(&received.bytes()).unwrap(), serde_json::from_slice(&written).unwrap());
        let content = |value: &Value| said(value["output"]["message"]["content"].as_array().unwrap());
        assert_eq!(content(&own), content(&out), "{}", exchange.id);
        assert_eq!(stop(&own["stopReason"]), out["stopReason"], "{}", exchange.id);
        assert_eq!(expected(&own["usage"]), expected(&out["usage"]), "{}", exchange.id);
        assert!(losses.is_empty(), "{} {losses:?}", exchange.id);
        seen += 1;
    }
    println!("{seen} answers");
}

// === streams ===

fn frames(bytes: &Bytes) -> Vec<Frame> {
    let (mut splitter, mut chunk, mut frames) = (Splitter::default(), bytes.clone(), Vec::new());
    while let Some(frame) = splitter.next(&mut chunk).unwrap() {
        frames.push(frame);
    }
    assert!(!splitter.begun());
    frames
}

fn streams() -> Vec<(String, Vec<Frame>)> {
    let all = recorded("bedrock.converse-stream");
    let streams = all.iter().filter(|exchange| exchange.response.body_kind == "eventstream");
    streams.map(|exchange| (exchange.id.clone(), frames(&exchange.response.bytes()))).collect()
}

/// The whole answer that a stream comes to, by a reader of its own.
#[derive(Debug, Default, PartialEq)]
struct Whole {
    blocks: Vec<Value>,
    stop: Value,
    usage: Option<Usage>,
}

fn whole(frames: &[Frame]) -> Whole {
    let mut whole = Whole::default();
    let mut open: Option<(u64, Map<String, Value>, String)> = None;
    let (mut stops, mut starts, mut metadata) = (0, 0, 0);
    for frame in frames {
        let event: Value = serde_json::from_slice(&frame.payload).unwrap();
        let index = event["contentBlockIndex"].as_u64();
        match frame.name() {
            "messageStart" => starts += 1,
            "contentBlockStart" => {
                let start = event["start"].as_object().unwrap().clone();
                open = Some((index.unwrap(), start, String::new()));
            }
            "contentBlockDelta" => {
                let (at, block, input) =
                    open.get_or_insert_with(|| (index.unwrap(), Map::new(), String::new()));
                assert_eq!(Some(*at), index);
                for (name, value) in event["delta"].as_object().unwrap() {
                    match (name.as_str(), value) {
                        ("text", Value::String(more)) => append(block, "text", more),
                        ("toolUse", call) => input.push_str(call["input"].as_str().unwrap()),
                        ("reasoningContent", thought) => {
                            for (name, more) in thought.as_object().unwrap() {
                                append(block, name, more.as_str().unwrap());
                            }
                        }
                        (name, value) => {
                            let list = block.entry(name.to_owned()).or_insert(json!([]));
                            if let Some(list) = list.as_array_mut() {
                                list.push(value.clone());
                            } else {
                                list["content"] = value.clone();
                            }
                        }
                    }
                }
            }
            "contentBlockStop" => {
                let Some((at, mut block, input)) = open.take() else { continue };
                assert_eq!(Some(at), index);
                if !input.is_empty() {
                    block.insert("input".into(), serde_json::from_str(&input).unwrap());
                }
                if block.get("toolUse").is_some_and(|call| call.get("type") == Some(&json!("tool_use"))) {
                    block["toolUse"].as_object_mut().unwrap().remove("type");
                }
                if block != *json!({ "text": "" }).as_object().unwrap() {
                    whole.blocks.push(Value::Object(block));
                }
            }
            "messageStop" => {
                stops += 1;
                whole.stop = stop(&event["stopReason"]);
            }
            "metadata" => {
                metadata += 1;
                whole.usage = expected(&event["usage"]);
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((starts, stops, metadata), (1, 1, 1));
    whole
}

fn append(block: &mut Map<String, Value>, name: &str, more: &str) {
    let text = block.get(name).and_then(Value::as_str).unwrap_or_default();
    let text = format!("{text}{more}");
    block.insert(name.to_owned(), Value::String(text));
}

#[test]
fn a_recorded_stream_says_the_same_after_the_neutral_form() {
    let mut seen = 0;
    for (id, own) in streams() {
        let (mut decoder, mut out, mut contract) = (D.decoder(&origin()), Vec::new(), Contract::default());
        let asked = turn(Bytes::from_static(b"{\"messages\":[]}"), "m", true);
        let mut encoder = D.encoder(&asked);
        let mut sink = |delta: Delta<'_>| {
            contract.see(&delta);
            encoder.delta(delta, &mut out);
        };
        for frame in &own {
            decoder.event(frame.name(), &frame.payload, &mut sink).unwrap();
        }
        decoder.end(&mut sink).unwrap();
        assert!(contract.ended(), "{id}");
        let written = frames(&out.into());
        let indexes: Vec<u64> = written
            .iter()
            .filter(|frame| frame.name() == "contentBlockStop")
            .map(|frame| {
                serde_json::from_slice::<Value>(&frame.payload).unwrap()["contentBlockIndex"]
                    .as_u64()
                    .unwrap()
            })
            .collect();
        assert_eq!(indexes, (0..indexes.len() as u64).collect::<Vec<_>>(), "{id}");
        assert_eq!(whole(&own), whole(&written), "{id}");
        seen += 1;
    }
    println!("{seen} streams");
}

#[test]
fn a_stream_that_ends_early_is_broken_until_it_has_stopped() {
    for (id, own) in streams() {
        for cut in 0..own.len() {
            let (mut decoder, mut contract) = (D.decoder(&origin()), Contract::default());
            let mut meter = D.meter(&turn(Bytes::from_static(b"{}"), "m", true));
            for frame in &own[..cut] {
                decoder.event(frame.name(), &frame.payload, &mut |delta| contract.see(&delta)).unwrap();
                assert!(!matches!(meter.note(&frame.data()), Note::Failed(_) | Note::Garbage), "{id}");
            }
            let stopped = own[..cut].iter().any(|frame| frame.name() == "messageStop");
            let end = decoder.end(&mut |delta| contract.see(&delta));
            assert_eq!(meter.complete(), stopped, "{id}");
            // Behind the stop only the report is missing: the answer is complete, its usage is not known.
            match end {
                Ok(()) => assert!(stopped && contract.ended() && meter.usage().is_none(), "{id} {cut}"),
                Err(error) => {
                    assert!(!stopped && !contract.ended(), "{id} {cut}");
                    assert_eq!(error.kind(), Kind::UpstreamBroken);
                }
            }
        }
    }
}

#[test]
fn a_recorded_stream_is_booked_as_the_provider_reports_it() {
    let mut seen = 0;
    for (id, own) in streams() {
        let mut meter = D.meter(&turn(Bytes::from_static(b"{}"), "m", true));
        let mut said = 0;
        for frame in &own {
            let _ = meter.note(&frame.data());
            let event: Value = serde_json::from_slice(&frame.payload).unwrap();
            let delta = &event["delta"];
            let texts = [&delta["text"], &delta["toolUse"]["input"], &delta["reasoningContent"]["text"]];
            said += texts.iter().filter_map(|text| text.as_str()).map(str::len).sum::<usize>();
        }
        assert_eq!(meter.usage(), whole(&own).usage, "{id}");
        assert!(meter.complete());
        assert!(meter.content_bytes() >= said as u64, "{id}");
        seen += 1;
    }
    println!("{seen} streams");
}

#[test]
fn events_without_frames_are_read_by_their_name() {
    for exchange in
        recorded("bedrock.converse").iter().filter(|exchange| exchange.response.body_kind == "chunks")
    {
        let bytes = exchange.response.bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (mut decoder, mut contract) = (D.decoder(&origin()), Contract::default());
        let mut meter = D.meter(&turn(Bytes::from_static(b"{}"), "m", true));
        for line in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            decoder.event("", line.as_bytes(), &mut |delta| contract.see(&delta)).unwrap();
            assert!(!matches!(meter.note(line.as_bytes()), Note::Failed(_) | Note::Garbage), "{line}");
        }
        decoder.end(&mut |delta| contract.see(&delta)).unwrap();
        assert!(contract.ended() && meter.complete() && meter.usage().is_some());
    }
}

#[test]
fn redacted_thoughts_of_a_stream_are_byte_for_byte() {
    let mut seen = 0;
    for (id, own) in streams() {
        for frame in &own {
            let event: Value = serde_json::from_slice(&frame.payload).unwrap();
            let Some(redacted) = event["delta"]["reasoningContent"]["redactedContent"].as_str() else {
                continue;
            };
            assert!(base64::engine::general_purpose::STANDARD.decode(redacted).is_ok(), "{id}");
            let (mut decoder, mut seals) = (D.decoder(&origin()), Vec::new());
            let mut sink = |delta: Delta<'_>| {
                if let Delta::Seal(seal) = delta {
                    seals.push(seal.data);
                }
            };
            decoder.event(frame.name(), &frame.payload, &mut sink).unwrap();
            let stop = json!({ "contentBlockIndex": event["contentBlockIndex"] }).to_string();
            decoder.event("contentBlockStop", stop.as_bytes(), &mut sink).unwrap();
            assert_eq!(seals, [redacted]);
            seen += 1;
        }
    }
    println!("{seen} redacted thoughts");
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), name in "[a-zA-Z]{0,20}") {
        let body = Bytes::from(bytes);
        hostile(&body, &name);
    }

    #[test]
    fn hostile_json_never_panics(
        pieces in prop::collection::vec(prop::sample::select(&[
            "{", "}", "[", "]", ",", ":", "\"contentBlockIndex\"", "0", "1", "\"delta\"", "\"text\"", "\"a\"", "null",
            "\"toolUse\"", "\"start\"", "\"input\"", "\"toolUseId\"", "\"name\"", "\"reasoningContent\"", "\"signature\"",
            "\"redactedContent\"", "\"messages\"", "\"role\"", "\"user\"", "\"content\"", "\"output\"", "\"message\"",
            "\"stopReason\"", "\"usage\"", "\"toolConfig\"", "\"document\"", "\"source\"", "\"cachePoint\"",
        ][..]), 0..40),
        name in prop::sample::select(&["", "contentBlockDelta", "contentBlockStart", "messageStop", "xException"][..]),
    ) {
        hostile(&pieces.concat().into(), name);
    }

    #[test]
    fn hostile_order_of_events_keeps_the_order_of_deltas(
        picks in prop::collection::vec((0..9_usize, 0..3_u64), 0..60),
    ) {
        let (mut decoder, mut contract) = (D.decoder(&origin()), Contract::default());
        let mut stopped = false;
        for (kind, index) in picks {
            let event = match kind {
                0 => json!({ "role": "assistant" }),
                1 => json!({ "contentBlockIndex": index, "delta": { "text": "t" } }),
                2 => json!({ "contentBlockIndex": index, "start": { "toolUse": { "toolUseId": "i", "name": "f" } } }),
                3 => json!({ "contentBlockIndex": index, "delta": { "toolUse": { "input": "{}" } } }),
                4 => json!({ "contentBlockIndex": index, "delta": { "reasoningContent": { "text": "r" } } }),
                5 => json!({ "contentBlockIndex": index, "delta": { "reasoningContent": { "redactedContent": "YQ==" } } }),
                6 => json!({ "contentBlockIndex": index, "delta": { "citation": { "title": "c" } } }),
                7 => json!({ "contentBlockIndex": index, "start": { "toolResult": { "toolUseId": "i", "type": "x" } } }),
                _ => json!({ "contentBlockIndex": index }),
            };
            if decoder.event("", event.to_string().as_bytes(), &mut |delta| contract.see(&delta)).is_err() {
                stopped = true;
                break;
            }
        }
        if !stopped {
            let stop = br#"{"stopReason":"end_turn"}"#;
            let given = decoder.event("messageStop", stop, &mut |delta| contract.see(&delta));
            if given.is_ok() {
                decoder.end(&mut |delta| contract.see(&delta)).unwrap();
            }
            prop_assert_eq!(contract.ended(), given.is_ok());
        }
    }
}

fn hostile(body: &Bytes, name: &str) {
    if let Ok(turn) = D.peek(body.clone(), Some(Named { model: "anthropic.claude-x", stream: true })) {
        let _ = D.prepare(&turn, "m", &Quirks::default());
        if let Ok(request) = D.read_request(&turn) {
            for model in ["anthropic.claude-sonnet-4-5", "amazon.nova-2-lite", "x"] {
                let target = Target { provider: "p", model, stream: true };
                let _ = D.write_request(&request, &target, &mut Losses::default());
            }
        }
    }
    let _ = D.whole(body);
    let _ = D.read_reply(body, &origin());
    let _ = D.refusal(StatusCode::BAD_REQUEST, &HeaderMap::new(), body);
    let asked = turn(Bytes::from_static(b"{}"), "m", true);
    let (mut decoder, mut encoder, mut out) = (D.decoder(&origin()), D.encoder(&asked), Vec::new());
    let mut contract = Contract::default();
    let mut sink = |delta: Delta<'_>| {
        contract.see(&delta);
        encoder.delta(delta, &mut out);
    };
    if decoder.event(name, body, &mut sink).is_ok() {
        let _ = decoder.end(&mut sink);
    }
    let mut meter = D.meter(&asked);
    let _ = meter.note(body);
    let _ = meter.note_rest(body);
}

#[test]
fn the_name_is_the_one_of_the_list() {
    let dialect = lockgate_dialect::by_name(NAME).unwrap();
    assert_eq!(dialect.name(), "bedrock.converse");
}
