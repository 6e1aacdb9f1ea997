//! Chat as recorded: every exchange read and written, and held against readers of this file's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;
mod normal;

use std::collections::BTreeMap;

use bytes::Bytes;
use contract::Contract;
use lockgate_core::upstream::StreamUsage;
use lockgate_core::{Kind, Quirks, Usage};
use lockgate_dialect::neutral::Delta;
use lockgate_dialect::openai_chat::OpenAiChat;
use lockgate_dialect::seal::Origin;
use lockgate_dialect::sse::Splitter;
use lockgate_dialect::{Dialect, Hub, Losses, Note, Target, Turn};
use lockgate_testkit::vectors::{self, Exchange};
use normal::normal;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What differs, all of it at once.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, exchange: &Exchange, one: &T, two: &T) {
        if one != two {
            let (one, two) = (format!("{one:?}"), format!("{two:?}"));
            let at = one.bytes().zip(two.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(60);
            let cut = |text: &str| text.chars().skip(at).take(260).collect::<String>();
            let status = exchange.response.status;
            let head = format!("{} {} {status:?}", exchange.provider, exchange.id);
            self.0.push(format!("{head}\n   {}\n   {}", cut(&one), cut(&two)));
        }
    }

    fn none(&self) {
        let shown = self.0.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(self.0.is_empty(), "{} differ:\n{shown}", self.0.len());
    }
}

fn recorded() -> Vec<Exchange> {
    vectors::of("openai.chat").unwrap_or_default()
}

fn turn(exchange: &Exchange) -> Option<Turn> {
    let body = exchange.request.as_ref()?.bytes();
    OpenAiChat.peek(body, None).ok()
}

/// What a client asks who wants usage in its stream.
fn asking() -> Turn {
    let body = r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    OpenAiChat.peek(Bytes::from_static(body.as_bytes()), None).unwrap()
}

fn events(body: &Bytes) -> Vec<Vec<u8>> {
    let (mut splitter, mut chunk, mut all) = (Splitter::default(), body.clone(), Vec::new());
    while let Some(event) = splitter.next(&mut chunk).unwrap() {
        all.extend(event.data().map(std::borrow::Cow::into_owned));
    }
    all.extend(splitter.rest().and_then(|event| event.data().map(std::borrow::Cow::into_owned)));
    all
}

// === requests ===

#[test]
fn a_recorded_request_goes_out_as_it_came() {
    let quirks = Quirks { stream_usage: StreamUsage::Always, ..Quirks::default() };
    let mut count = 0;
    for exchange in recorded() {
        let Some(request) = &exchange.request else { continue };
        let Ok(turn) = OpenAiChat.peek(request.bytes(), None) else {
            let own: Value = serde_json::from_slice(&request.bytes()).unwrap_or_default();
            assert!(!own["messages"].is_array() || !own["model"].is_string(), "{}", exchange.id);
            continue;
        };
        let sent = OpenAiChat.prepare(&turn, &turn.model, &quirks).body.join();
        assert_eq!(sent, request.bytes(), "{}", exchange.id);
        count += 1;
    }
    println!("{count} requests");
}

#[test]
fn a_recorded_request_read_and_written_means_the_same() {
    let (mut count, mut refused, mut lost) = (0, 0, BTreeMap::<String, usize>::new());
    let mut faults = Faults::default();
    for exchange in recorded() {
        let Some(turn) = turn(&exchange) else { continue };
        let own: Value = serde_json::from_slice(turn.payload.bytes()).unwrap();
        let request = match OpenAiChat.read_request(&turn) {
            Ok(request) => request,
            Err(error) => {
                assert!(
                    exchange.response.status.is_some_and(|status| status >= 400),
                    "{}: {error:?}",
                    exchange.id
                );
                refused += 1;
                continue;
            }
        };
        let mut losses = Losses::default();
        let target = Target { provider: &exchange.provider, model: &turn.model, stream: turn.stream };
        let written = OpenAiChat.write_request(&request, &target, &mut losses).unwrap();
        OpenAiChat.peek(written.clone(), None).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        let refused = exchange.response.status.is_some_and(|status| status >= 400);
        for loss in losses.iter() {
            *lost.entry(format!("{} {}", exchange.provider, loss.what)).or_default() += 1;
        }
        if losses.is_empty() {
            let (own, back) = (normal(own), normal(written));
            faults.same(&exchange, &own, &back);
            count += 1;
        } else {
            let known = refused || known_loss(&losses);
            faults.same(&exchange, &format!("{losses:?} {known}"), &format!("{losses:?} true"));
        }
    }
    faults.none();
    println!("{count} requests the same, {refused} refused, lost: {lost:?}");
}

/// What a recorded request may lose on its way to its own provider: further answers of a stream.
fn known_loss(losses: &Losses) -> bool {
    losses.iter().all(|loss| loss.what == "n")
}

// === answers ===

/// What an answer comes to, whole or streamed.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    text: String,
    thought: String,
    refusal: String,
    calls: Vec<(String, String, String)>,
    finish: String,
    states: Vec<Value>,
}

impl Answer {
    fn message(&mut self, message: &Value) {
        match &message["content"] {
            Value::String(text) => self.text += text,
            Value::Array(parts) => {
                for part in parts {
                    self.text += part["text"].as_str().unwrap_or_default();
                    for inner in part["thinking"].as_array().into_iter().flatten() {
                        self.thought += inner["text"].as_str().unwrap_or_default();
                    }
                }
            }
            _ => {}
        }
        self.refusal += message["refusal"].as_str().unwrap_or_default();
        let details = message["reasoning_details"].as_array();
        let text = |name: &str| message[name].as_str().filter(|text| !text.is_empty());
        let said =
            |name: &str| details.into_iter().flatten().filter_map(|d| d[name].as_str()).collect::<String>();
        let spoken = said("text") + &said("summary");
        match text("reasoning_content").or(text("reasoning")) {
            Some(text) => self.thought += text,
            None => self.thought += &spoken,
        }
        for detail in details.into_iter().flatten() {
            let state = json!([detail["signature"], detail["data"]]);
            if state != json!([null, null]) && state != json!(["", null]) {
                self.states.push(state);
            }
        }
        for place in [&message["extra_content"]["google"]["thought_signature"]] {
            if place.is_string() {
                self.states.push(place.clone());
            }
        }
        self.calls(message);
    }

    fn calls(&mut self, message: &Value) {
        for (at, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let inner = if call["type"] == "custom" { &call["custom"] } else { &call["function"] };
            let id = call["id"].as_str().unwrap_or_default();
            let known = match call["index"].as_u64() {
                Some(index) => usize::try_from(index).unwrap(),
                None if id.is_empty() && self.calls.len() > at => at,
                None => self.calls.iter().position(|call| call.0 == id).unwrap_or(self.calls.len()),
            };
            while self.calls.len() <= known {
                self.calls.push(Default::default());
            }
            let held = &mut self.calls[known];
            if held.0.is_empty() {
                held.0 = id.to_owned();
            }
            if held.1.is_empty() {
                held.1 = inner["name"].as_str().unwrap_or_default().to_owned();
            }
            held.2 += inner["arguments"].as_str().or(inner["input"].as_str()).unwrap_or_default();
        }
        let legacy = &message["function_call"];
        if legacy["name"].as_str().is_some_and(|name| !name.is_empty()) {
            let text = |name: &str| legacy[name].as_str().unwrap_or_default().to_owned();
            self.calls.push((String::new(), text("name"), text("arguments")));
        }
    }

    /// In one wording of several that mean the same.
    fn settled(mut self) -> Self {
        if self.finish == "function_call" || (self.finish == "stop" && !self.calls.is_empty()) {
            self.finish = "tool_calls".into();
        }
        for call in &mut self.calls {
            if call.0.is_empty() || call.0.starts_with("call_") && call.0.len() == 23 {
                call.0 = "made up".into();
            }
            if call.2.trim().is_empty() {
                call.2 = "{}".into();
            }
        }
        self
    }
}

/// Usage by this file's own reading: what went in, what came out, what was cached, what was thought.
fn counted(usage: &Value) -> Option<[u64; 4]> {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    if usage["prompt_tokens"].is_null() && usage["completion_tokens"].is_null() {
        return None;
    }
    let (prompt, completion) = (number(&usage["prompt_tokens"]), number(&usage["completion_tokens"]));
    let places = [
        &usage["prompt_tokens_details"]["cached_tokens"],
        &usage["prompt_cache_hit_tokens"],
        &usage["cached_tokens"],
        &usage["num_cached_tokens"],
        &usage["cache_read_input_tokens"],
    ];
    let cached = places.into_iter().map(number).max().unwrap_or(0);
    let thought = number(&usage["completion_tokens_details"]["reasoning_tokens"])
        .max(number(&usage["reasoning_tokens"]));
    let beyond = number(&usage["total_tokens"]).saturating_sub(prompt + completion);
    let input = if cached > prompt { prompt + cached } else { prompt };
    let output = completion + beyond + if thought > completion && beyond == 0 { thought } else { 0 };
    Some([input, output, cached, if beyond > 0 && thought != beyond { beyond + thought } else { thought }])
}

fn counts(usage: &Usage) -> [u64; 4] {
    [usage.input_total(), usage.output_total(), usage.cache_read, usage.reasoning]
}

fn good(exchange: &Exchange) -> bool {
    exchange.response.status.is_none_or(|status| status == 200)
}

#[test]
fn the_usage_of_a_recorded_answer_is_what_it_says() {
    let (mut whole, mut streams) = (0, 0);
    for exchange in recorded().iter().filter(|exchange| good(exchange)) {
        let body = exchange.response.bytes();
        if exchange.response.is_stream() {
            let mut meter = OpenAiChat.meter(&asking());
            let mut last = None;
            for data in events(&body) {
                let _ = meter.note(&data);
                let chunk: Value = serde_json::from_slice(&data).unwrap_or_default();
                last = counted(&chunk["usage"]).or_else(|| counted(&chunk["x_groq"]["usage"])).or(last);
            }
            assert_eq!(meter.usage().as_ref().map(counts), last, "{}", exchange.id);
            streams += 1;
        } else if let Ok(usage) = OpenAiChat.whole(&body) {
            let own: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(usage.as_ref().map(counts), counted(&own["usage"]), "{}", exchange.id);
            whole += 1;
        }
    }
    println!("{whole} whole answers, {streams} streams");
}

#[test]
fn a_recorded_answer_read_and_written_says_the_same() {
    let (mut count, mut faults) = (0, Faults::default());
    for exchange in recorded().iter().filter(|exchange| good(exchange) && !exchange.response.is_stream()) {
        let body = exchange.response.bytes();
        let own: Value = serde_json::from_slice(&body).unwrap();
        if own["choices"].as_array().is_none_or(Vec::is_empty) {
            assert!(OpenAiChat.read_reply(&body, &Origin("p".into())).is_err(), "{}", exchange.id);
            continue;
        }
        let reply = OpenAiChat.read_reply(&body, &Origin("p".into())).unwrap();
        let mut losses = Losses::default();
        let back = OpenAiChat.write_reply(&reply, &asking(), &mut losses);
        faults.same(exchange, &losses, &Losses::default());
        let back: Value = serde_json::from_slice(&back).unwrap();
        faults.same(exchange, &said(&back), &said(&own));
        let choices = |answer: &Value| answer["choices"].as_array().map(Vec::len);
        faults.same(exchange, &choices(&back), &choices(&own));
        for name in ["id", "model"] {
            if own[name].is_string() && own[name] != "" {
                faults.same(exchange, &back[name], &own[name]);
            }
        }
        faults.same(exchange, &counted(&back["usage"]), &counted(&own["usage"]));
        count += 1;
    }
    faults.none();
    println!("{count} answers");
}

fn said(answer: &Value) -> Answer {
    let mut said = Answer::default();
    let choice = &answer["choices"][0];
    said.message(&choice["message"]);
    if said.text.is_empty() && said.calls.is_empty() {
        said.text += choice["text"].as_str().unwrap_or_default();
    }
    let word = choice["finish_reason"].as_str().filter(|word| !word.is_empty());
    said.finish = word.unwrap_or("stop").to_owned();
    said.settled()
}

fn streamed(events: &[Vec<u8>]) -> (Answer, Option<[u64; 4]>) {
    let (mut said, mut usage) = (Answer::default(), None);
    for data in events {
        let chunk: Value = serde_json::from_slice(data).unwrap_or_default();
        usage = counted(&chunk["usage"]).or_else(|| counted(&chunk["x_groq"]["usage"])).or(usage);
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            if choice["index"].as_u64().unwrap_or(0) > 0 {
                continue;
            }
            said.message(&choice["delta"]);
            if let Some(word) = choice["finish_reason"].as_str().filter(|word| !word.is_empty()) {
                said.finish = word.to_owned();
            }
        }
    }
    if said.finish.is_empty() {
        said.finish = "stop".into();
    }
    (said.settled(), usage)
}

/// Reads a stream as far as it goes; whether it ended well, and what a client gets.
fn transcode(events: &[Vec<u8>]) -> (Result<(), lockgate_core::Error>, Vec<u8>, bool) {
    let (mut decoder, mut encoder) = (OpenAiChat.decoder(&Origin("p".into())), OpenAiChat.encoder(&asking()));
    let (mut contract, mut out) = (Contract::default(), Vec::new());
    let mut sink = |delta: Delta<'_>| {
        contract.see(&delta);
        encoder.delta(delta, &mut out);
    };
    let mut result = Ok(());
    for data in events {
        result = decoder.event("", data, &mut sink);
        if result.is_err() {
            break;
        }
    }
    let result = result.and_then(|()| decoder.end(&mut sink));
    (result, out, contract.ended())
}

#[test]
fn a_recorded_stream_read_and_written_says_the_same() {
    let (mut count, mut failed, mut faults) = (0, 0, Faults::default());
    for exchange in recorded().iter().filter(|exchange| good(exchange) && exchange.response.is_stream()) {
        let all = events(&exchange.response.bytes());
        let (result, out, ended) = transcode(&all);
        assert_eq!(result.is_ok(), ended);
        if let Err(error) = result {
            let mut meter = OpenAiChat.meter(&asking());
            let failure = all.iter().any(|data| matches!(meter.note(data), Note::Failed(_) | Note::Garbage));
            assert!(failure || !meter.complete(), "{} {}: {error:?}", exchange.provider, exchange.id);
            failed += 1;
            continue;
        }
        let back = events(&out.into());
        assert_eq!(back.last().map(Vec::as_slice), Some(&b"[DONE]"[..]));
        let (own, usage) = streamed(&all);
        let (mut back, back_usage) = streamed(&back);
        // Pieces of one state come as one, with its words once more.
        let states = |answer: &Answer| answer.states.iter().map(Value::to_string).collect::<Vec<_>>();
        let (one, two) = (states(&own), states(&back));
        faults.same(exchange, &one.iter().all(|state| two.contains(state)), &true);
        back.states.clone_from(&own.states);
        if back.thought.contains(&own.thought) {
            back.thought.clone_from(&own.thought);
        }
        faults.same(exchange, &back, &own);
        faults.same(exchange, &back_usage, &usage);
        count += 1;
    }
    faults.none();
    println!("{count} streams, {failed} that fail or break off");
}

#[test]
fn a_stream_cut_before_its_finish_never_ends_well() {
    let mut count = 0;
    for exchange in recorded().iter().filter(|exchange| good(exchange) && exchange.response.is_stream()) {
        let all = events(&exchange.response.bytes());
        let finished = |data: &Vec<u8>| {
            let chunk: Value = serde_json::from_slice(data).unwrap_or_default();
            let first = |choice: &&Value| choice["index"].as_u64().unwrap_or(0) == 0;
            chunk["choices"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(first)
                .any(|choice| choice["finish_reason"].as_str().is_some_and(|word| !word.is_empty()))
        };
        let end = all.iter().position(|data| finished(data) || data == b"[DONE]").unwrap_or(all.len());
        // Long streams are cut at some of their events only.
        for cut in (0..=end).step_by(1 + end / 64) {
            let (result, _, ended) = transcode(&all[..cut.min(end)]);
            let kind = result.unwrap_err().kind();
            let own = all[..cut.min(end)].iter().any(|data| data.starts_with(b"{\"error\""));
            assert!(own || kind == Kind::UpstreamBroken, "{}: {kind:?}", exchange.id);
            assert!(!ended);
            count += 1;
        }
    }
    println!("{count} cuts");
}

#[test]
fn what_clients_check_of_a_chunk_holds_for_all_that_are_written() {
    for exchange in recorded().iter().filter(|exchange| good(exchange) && exchange.response.is_stream()) {
        let (result, out, _) = transcode(&events(&exchange.response.bytes()));
        if result.is_err() {
            continue;
        }
        let mut begun = 0;
        for data in events(&out.into()).iter().filter(|data| *data != b"[DONE]") {
            let chunk: Value = serde_json::from_slice(data).unwrap();
            assert!(chunk["id"].is_string() && chunk["model"].is_string() && chunk["created"].is_u64());
            assert_eq!(chunk["object"], "chat.completion.chunk");
            for choice in chunk["choices"].as_array().unwrap() {
                assert!(choice["delta"].is_object() && choice["index"] == 0);
                for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                    let index = call["index"].as_u64().unwrap();
                    if call.get("id").is_some() {
                        assert_eq!(index, begun, "calls begin in order");
                        begun += 1;
                        assert!(call["function"]["name"].is_string() && call["type"] == "function");
                    } else {
                        assert_eq!(index + 1, begun, "one call at a time");
                    }
                    assert!(call["function"]["arguments"].is_string());
                }
                for note in choice["delta"]["annotations"].as_array().into_iter().flatten() {
                    assert!(
                        note["url_citation"]["url"].is_string() && note["url_citation"]["title"].is_string()
                    );
                }
            }
        }
    }
}

// === hostile bytes ===

fn pieces() -> impl Strategy<Value = String> {
    let words = prop::sample::select(
        &[
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"\"",
            "null",
            "7",
            "-1e400",
            "true",
            "\"messages\":",
            "\"role\":",
            "\"assistant\"",
            "\"tool\"",
            "\"content\":",
            "\"type\":\"text\"",
            "\"text\":\"x\"",
            "\"tool_calls\":",
            "\"function\":",
            "\"choices\":",
            "\"delta\":",
            "\"message\":",
            "\"index\":0",
            "\"index\":1",
            "\"reasoning_details\":",
            "\"data\":\"bGcxAA==\"",
            "\"finish_reason\":\"stop\"",
            "\"usage\":",
            "\"id\":\"a\"",
            "\"name\":\"f\"",
            "\"arguments\":\"{\"",
            "\\u0000",
            "\u{e9}",
        ][..],
    );
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn a_hostile_request_is_an_error_and_no_panic(members in pieces()) {
        let body = format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"assistant\",{members}}}]}}");
        for body in [body, members] {
            let Ok(turn) = OpenAiChat.peek(body.into(), None) else { continue };
            let Ok(request) = OpenAiChat.read_request(&turn) else { continue };
            let target = Target { provider: "mistral", model: "m", stream: true };
            let written = OpenAiChat.write_request(&request, &target, &mut Losses::default()).unwrap();
            prop_assert!(serde_json::from_slice::<Value>(&written).is_ok());
        }
    }

    #[test]
    fn a_hostile_answer_is_an_error_and_no_panic(bodies in prop::collection::vec(pieces(), 1..5)) {
        let origin = Origin("p".into());
        for body in &bodies {
            let whole = format!("{{\"choices\":[{{\"message\":{{{body}}}}}]}}");
            if let Ok(reply) = OpenAiChat.read_reply(&whole.into(), &origin) {
                let back = OpenAiChat.write_reply(&reply, &asking(), &mut Losses::default());
                prop_assert!(serde_json::from_slice::<Value>(&back).is_ok());
            }
        }
        let events: Vec<Vec<u8>> = bodies
            .iter()
            .map(|body| format!("{{\"choices\":[{{\"delta\":{{{body}}}}}]}}").into_bytes())
            .chain(bodies.iter().map(|body| body.clone().into_bytes()))
            .collect();
        let _ = transcode(&events);
    }
}
