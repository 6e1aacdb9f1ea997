//! Recorded Cohere chat traffic (version 2), replayed through the dialect.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;

use bytes::Bytes;
use contract::Contract;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Kind, Quirks, Usage};
use lockgate_dialect::cohere::CohereChat;
use lockgate_dialect::neutral::Delta;
use lockgate_dialect::seal::Origin;
use lockgate_dialect::sse::Splitter;
use lockgate_dialect::{Dialect as _, Hub as _, Losses, Note, Target, Turn};
use lockgate_testkit::vectors::{self, Exchange};
use proptest::prelude::*;
use serde_json::{Value, json};

const D: CohereChat = CohereChat;

fn origin() -> Origin {
    Origin("cohere".into())
}

/// Exchanges of version 2; an answer whose request was not kept is of it by its form.
fn recorded() -> Vec<Exchange> {
    let all = vectors::of("cohere.chat").unwrap_or_default();
    all.into_iter()
        .filter(|exchange| exchange.request.as_ref().is_none_or(|sent| sent.path == "/v2/chat"))
        .collect()
}

fn asked() -> Turn {
    D.peek(Bytes::from_static(br#"{"model":"m","messages":[]}"#), None).unwrap()
}

fn good(exchange: &Exchange) -> bool {
    exchange.response.status.is_none_or(|status| status < 400)
}

/// An independent reader of usage: what is billed, images and reasoning taken apart.
fn expected(usage: &Value) -> Option<Usage> {
    let billed = &usage["billed_units"];
    let (input, output) = (billed["input_tokens"].as_u64()?, billed["output_tokens"].as_u64()?);
    let images = usage["tokens"]["image_tokens"].as_u64().unwrap_or(0);
    let reasoning = usage["tokens"]["reasoning_tokens"].as_u64().unwrap_or(0);
    Some(Usage {
        input: input - images,
        image_input: images,
        output: output - reasoning,
        reasoning,
        ..Usage::default()
    })
}

#[test]
fn a_recorded_request_goes_out_as_it_came() {
    let mut seen = 0;
    for exchange in recorded() {
        let Some(sent) = &exchange.request else { continue };
        let turn = D.peek(sent.bytes(), None).unwrap();
        let same = D.prepare(&turn, &turn.model, &Quirks::default());
        assert_eq!(same.body.join(), sent.bytes(), "{}", exchange.id);
        let other = D.prepare(&turn, "another", &Quirks::default()).body.join();
        let (mut own, out): (Value, Value) =
            (serde_json::from_slice(&sent.bytes()).unwrap(), serde_json::from_slice(&other).unwrap());
        own["model"] = json!("another");
        assert_eq!(own, out, "{}", exchange.id);
        seen += 1;
    }
    println!("{seen} requests");
}

#[test]
fn a_recorded_refusal_is_told_by_its_words() {
    for exchange in recorded().iter().filter(|exchange| !good(exchange)) {
        let status = StatusCode::from_u16(exchange.response.status.unwrap()).unwrap();
        let error = D.refusal(status, &HeaderMap::new(), &exchange.response.bytes());
        let kind = match status.as_u16() {
            400 => Kind::ContextWindow,
            401 => Kind::UpstreamAuth,
            _ => Kind::ModelNotFound,
        };
        assert_eq!(error.kind(), kind);
        assert!(error.own_answer().is_some());
    }
}

/// What may differ and means the same:
/// - members that are null or empty lists are left out;
/// - a list of one text is that text; text beside calls is their plan;
/// - turns of the same role are one;
/// - `stream: false` is the default, and a choice of tools where there are none is left out.
fn normal(value: &Value) -> Value {
    let mut value = value.clone();
    let root = value.as_object_mut().unwrap();
    root.retain(|name, member| {
        !member.is_null() && *member != json!([]) && (name != "stream" || *member == json!(true))
    });
    if !root.contains_key("tools") {
        root.remove("tool_choice");
    }
    let mut merged: Vec<Value> = Vec::new();
    for message in root["messages"].as_array().unwrap() {
        let mut items = match &message["content"] {
            Value::String(text) => vec![json!({ "type": "text", "text": text })],
            Value::Array(items) => items.clone(),
            _ => Vec::new(),
        };
        items.retain(|item| item["text"].as_str().is_none_or(|text| !text.trim().is_empty()));
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        let mut plan = message["tool_plan"].as_str().unwrap_or_default().to_owned();
        if !calls.is_empty() {
            for item in items.iter().filter(|item| item["type"] == "text") {
                plan.push_str(item["text"].as_str().unwrap());
            }
            items.retain(|item| item["type"] != "text");
        }
        let same =
            merged.last_mut().filter(|last| last["role"] == message["role"] && message["role"] != "tool");
        if let Some(last) = same {
            last["items"].as_array_mut().unwrap().append(&mut items);
            continue;
        }
        let id = &message["tool_call_id"];
        merged
            .push(json!({ "role": message["role"], "id": id, "items": items, "plan": plan, "calls": calls }));
    }
    root.insert("messages".into(), Value::Array(merged));
    value
}

#[test]
fn a_recorded_request_means_the_same_after_the_neutral_form() {
    let (mut seen, mut failed) = (0, Vec::new());
    for exchange in recorded() {
        let Some(sent) = &exchange.request else { continue };
        let turn = D.peek(sent.bytes(), None).unwrap();
        let request = D.read_request(&turn).unwrap();
        let mut losses = Losses::default();
        let target = Target { provider: "cohere", model: &turn.model, stream: turn.stream };
        let written = D.write_request(&request, &target, &mut losses).unwrap();
        let (own, out): (Value, Value) =
            (serde_json::from_slice(&sent.bytes()).unwrap(), serde_json::from_slice(&written).unwrap());
        let _ = D.peek(written, None).unwrap();
        seen += 1;
        let (own, out) = (normal(&own), normal(&out));
        if own != out || !losses.is_empty() {
            failed.push(format!("{} {losses:?}\n  {own}\n  {out}", exchange.id));
        }
    }
    println!("{seen} requests, {} differ", failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// What a client acts on: thoughts, text or plan, calls (arguments of `null` are none), citations.
fn said(message: &Value) -> Value {
    let mut message = message.clone();
    for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        let arguments = &mut call["function"]["arguments"];
        if arguments == "null" {
            *arguments = json!("{}");
        }
    }
    let items = message["content"].as_array().cloned().unwrap_or_default();
    let of = |name: &str| items.iter().filter_map(|item| item[name].as_str()).collect::<String>();
    let text = format!("{}{}", message["tool_plan"].as_str().unwrap_or_default(), of("text"));
    json!([of("thinking"), text, message["tool_calls"], message.get("citations")])
}

#[test]
fn a_recorded_answer_says_the_same_after_the_neutral_form() {
    let mut seen = 0;
    for exchange in
        recorded().iter().filter(|exchange| good(exchange) && exchange.response.body_kind == "json")
    {
        let body = exchange.response.bytes();
        let reply = D.read_reply(&body, &origin()).unwrap();
        let mut losses = Losses::default();
        let written = D.write_reply(&reply, &asked(), &mut losses);
        let (own, out): (Value, Value) =
            (serde_json::from_slice(&body).unwrap(), serde_json::from_slice(&written).unwrap());
        assert_eq!(said(&own["message"]), said(&out["message"]), "{}", exchange.id);
        assert_eq!(
            (&own["finish_reason"], &own["id"]),
            (&out["finish_reason"], &out["id"]),
            "{}",
            exchange.id
        );
        assert_eq!(D.whole(&body).unwrap(), expected(&own["usage"]), "{}", exchange.id);
        assert_eq!(expected(&own["usage"]), expected(&out["usage"]), "{}", exchange.id);
        assert!(losses.is_empty(), "{} {losses:?}", exchange.id);
        seen += 1;
    }
    println!("{seen} answers");
}

// === streams ===

fn events(bytes: Bytes) -> Vec<Bytes> {
    let (mut splitter, mut chunk, mut events) = (Splitter::default(), bytes, Vec::new());
    while let Some(event) = splitter.next(&mut chunk).unwrap() {
        events.extend(event.data().map(|data| Bytes::copy_from_slice(&data)));
    }
    events
}

fn streams() -> Vec<(String, Vec<Bytes>)> {
    let all = recorded();
    let streams = all.iter().filter(|exchange| exchange.response.is_stream());
    streams.map(|exchange| (exchange.id.clone(), events(exchange.response.bytes()))).collect()
}

/// The whole answer that a stream comes to, by a reader of its own.
#[derive(Debug, Default, PartialEq)]
struct Whole {
    thinking: String,
    text: String,
    calls: Vec<(String, String, String)>,
    citations: Vec<Value>,
    finish: Value,
    usage: Option<Usage>,
    ends: usize,
}

fn whole(events: &[Bytes]) -> Whole {
    let mut whole = Whole::default();
    for data in events.iter().filter(|data| &data[..] != b"[DONE]") {
        let event: Value = serde_json::from_slice(data).unwrap();
        let message = &event["delta"]["message"];
        let content = &message["content"];
        whole.text.push_str(content["text"].as_str().unwrap_or_default());
        whole.thinking.push_str(content["thinking"].as_str().unwrap_or_default());
        match event["type"].as_str().unwrap() {
            "tool-plan-delta" => whole.text.push_str(message["tool_plan"].as_str().unwrap()),
            "tool-call-start" => {
                let call = &message["tool_calls"];
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let function = &call["function"];
                whole.calls.push((text(&call["id"]), text(&function["name"]), text(&function["arguments"])));
            }
            "tool-call-delta" => {
                let more = message["tool_calls"]["function"]["arguments"].as_str().unwrap();
                whole.calls.last_mut().unwrap().2.push_str(more);
            }
            "tool-call-end" => {
                let arguments = &mut whole.calls.last_mut().unwrap().2;
                if arguments.is_empty() {
                    arguments.push_str("{}");
                }
            }
            "citation-start" => whole.citations.push(message["citations"].clone()),
            "message-end" => {
                whole.ends += 1;
                whole.finish = event["delta"]["finish_reason"].clone();
                whole.usage = expected(&event["delta"]["usage"]);
            }
            _ => {}
        }
    }
    whole
}

#[test]
fn a_recorded_stream_says_the_same_after_the_neutral_form() {
    let mut seen = 0;
    for (id, own) in streams() {
        let (mut decoder, mut out, mut contract) = (D.decoder(&origin()), Vec::new(), Contract::default());
        let mut encoder = D.encoder(&asked());
        let mut meter = D.meter(&asked());
        let mut sink = |delta: Delta<'_>| {
            contract.see(&delta);
            encoder.delta(delta, &mut out);
        };
        for data in &own {
            decoder.event("", data, &mut sink).unwrap();
            assert!(!matches!(meter.note(data), Note::Failed(_) | Note::Garbage), "{id}");
        }
        decoder.end(&mut sink).unwrap();
        assert!(contract.ended() && meter.complete(), "{id}");
        let (own, written) = (whole(&own), whole(&events(out.into())));
        assert_eq!(meter.usage(), own.usage, "{id}");
        assert!(meter.content_bytes() >= (own.text.len() + own.thinking.len()) as u64, "{id}");
        assert_eq!(own, written, "{id}");
        assert_eq!(own.ends, 1, "{id}");
        seen += 1;
    }
    println!("{seen} streams");
}

#[test]
fn a_stream_that_ends_early_is_broken() {
    for (id, own) in streams() {
        let end = own.iter().position(|data| data.windows(11).any(|w| w == b"message-end")).unwrap();
        for cut in 0..=end {
            let (mut decoder, mut contract) = (D.decoder(&origin()), Contract::default());
            let mut meter = D.meter(&asked());
            for data in &own[..cut] {
                decoder.event("", data, &mut |delta| contract.see(&delta)).unwrap();
                let _ = meter.note(data);
            }
            let error = decoder.end(&mut |delta| contract.see(&delta)).unwrap_err();
            assert_eq!(error.kind(), Kind::UpstreamBroken, "{id} {cut}");
            assert!(!contract.ended() && !meter.complete(), "{id} {cut}");
        }
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        hostile(&bytes.into());
    }

    #[test]
    fn hostile_json_never_panics(pieces in prop::collection::vec(prop::sample::select(&[
        "{", "}", "[", "]", ",", ":", "\"type\"", "\"content-delta\"", "\"tool-call-start\"", "\"index\"", "0", "\"delta\"",
        "\"message\"", "\"content\"", "\"text\"", "\"a\"", "null", "\"tool_calls\"", "\"function\"", "\"name\"", "\"id\"",
        "\"messages\"", "\"model\"", "\"role\"", "\"user\"", "\"usage\"", "\"finish_reason\"", "\"citations\"",
    ][..]), 0..40)) {
        hostile(&pieces.concat().into());
    }

    #[test]
    fn hostile_order_of_events_keeps_the_order_of_deltas(picks in prop::collection::vec((0..9_usize, 0..3_u64), 0..60)) {
        let (mut decoder, mut contract) = (D.decoder(&origin()), Contract::default());
        let mut bad = false;
        for (kind, index) in picks {
            let call = json!({ "message": { "tool_calls": { "id": "i", "function": { "name": "f", "arguments": "" } } } });
            let more = json!({ "message": { "tool_calls": { "function": { "arguments": "{}" } } } });
            let event = match kind {
                0 => json!({ "type": "content-start", "index": index, "delta": { "message": { "content": { "type": "text" } } } }),
                1 => json!({ "type": "content-delta", "index": index, "delta": { "message": { "content": { "text": "t" } } } }),
                2 => json!({ "type": "content-delta", "index": index, "delta": { "message": { "content": { "thinking": "t" } } } }),
                3 => json!({ "type": "content-end", "index": index }),
                4 => json!({ "type": "tool-plan-delta", "delta": { "message": { "tool_plan": "p" } } }),
                5 => json!({ "type": "tool-call-start", "index": index, "delta": call }),
                6 => json!({ "type": "tool-call-delta", "index": index, "delta": more }),
                7 => json!({ "type": "tool-call-end", "index": index }),
                _ => json!({ "type": "citation-start", "index": index, "delta": { "message": { "citations": { "start": 0 } } } }),
            };
            if decoder.event("", event.to_string().as_bytes(), &mut |delta| contract.see(&delta)).is_err() {
                bad = true;
                break;
            }
        }
        if !bad {
            let end = br#"{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}"#;
            decoder.event("", end, &mut |delta| contract.see(&delta)).unwrap();
            prop_assert!(contract.ended());
        }
    }
}

fn hostile(body: &Bytes) {
    if let Ok(turn) = D.peek(body.clone(), None)
        && let Ok(request) = D.read_request(&turn)
    {
        let target = Target { provider: "p", model: "command-a-reasoning", stream: true };
        let _ = D.write_request(&request, &target, &mut Losses::default());
    }
    let _ = D.whole(body);
    let _ = D.read_reply(body, &origin());
    let _ = D.refusal(StatusCode::BAD_REQUEST, &HeaderMap::new(), body);
    let (mut decoder, mut encoder, mut out) = (D.decoder(&origin()), D.encoder(&asked()), Vec::new());
    let mut contract = Contract::default();
    let mut sink = |delta: Delta<'_>| {
        contract.see(&delta);
        encoder.delta(delta, &mut out);
    };
    if decoder.event("", body, &mut sink).is_ok() {
        let _ = decoder.end(&mut sink);
    }
    let mut meter = D.meter(&asked());
    let _ = meter.note(body);
    let _ = meter.note_rest(body);
}
