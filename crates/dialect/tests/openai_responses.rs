//! Recorded traffic of the OpenAI Responses dialect: what goes through it comes out meaning the same.

#![allow(clippy::unwrap_used, reason = "all of it is tests, also what stands beside their functions")]

mod contract;
#[path = "openai_responses/same.rs"]
mod same;

use bytes::Bytes;
use contract::Contract;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Kind, Quirks, Usage};
use lockgate_dialect::neutral::{Block, Content, Delta};
use lockgate_dialect::openai_responses::{NAME, OpenAiResponses};
use lockgate_dialect::seal::{Origin, Seal};
use lockgate_dialect::sse::Splitter;
use lockgate_dialect::{Dialect, Hub, Losses, Note, Target, Turn};
use lockgate_testkit::vectors::{self, Exchange};
use proptest::prelude::*;
use same::{Accumulated, normal, usage};
use serde_json::Value;

const DIALECT: OpenAiResponses = OpenAiResponses;

/// The recorded chat turns. Others of the api (compaction, counting, looking up) have other paths.
fn exchanges() -> Option<Vec<Exchange>> {
    let all = vectors::of(NAME)?;
    let turns = |exchange: &Exchange| {
        exchange.request.as_ref().is_none_or(|sent| {
            let body: Value = serde_json::from_slice(&sent.bytes()).unwrap_or_default();
            // One names a stored prompt that holds the model; the gateway wants it named.
            sent.path.split('?').next().is_some_and(|path| path.ends_with("/responses"))
                && body["model"].is_string()
        })
    };
    Some(all.into_iter().filter(turns).collect())
}

fn requests(exchanges: &[Exchange]) -> impl Iterator<Item = (&Exchange, Bytes)> {
    exchanges.iter().filter_map(|exchange| Some((exchange, exchange.request.as_ref()?.bytes())))
}

/// The whole answers that are none of a refusal.
fn answers(exchanges: &[Exchange]) -> impl Iterator<Item = (&Exchange, Bytes)> {
    let good = |exchange: &&Exchange| {
        !exchange.response.is_stream()
            && exchange.response.status.is_none_or(|status| status == 200)
            && DIALECT.whole(&exchange.response.bytes()).is_ok()
    };
    exchanges.iter().filter(good).map(|exchange| (exchange, exchange.response.bytes()))
}

/// The events of a recorded stream.
fn events(exchange: &Exchange) -> Vec<Bytes> {
    let (mut splitter, mut bytes, mut all) = (Splitter::default(), exchange.response.bytes(), Vec::new());
    while let Ok(Some(event)) = splitter.next(&mut bytes) {
        all.extend(event.data().map(|data| Bytes::copy_from_slice(&data)));
    }
    all.extend(splitter.rest().and_then(|event| event.data().map(|data| Bytes::copy_from_slice(&data))));
    all
}

fn streams(exchanges: &[Exchange]) -> impl Iterator<Item = (&Exchange, Vec<Bytes>)> {
    exchanges
        .iter()
        .filter(|exchange| exchange.response.is_stream())
        .map(|exchange| (exchange, events(exchange)))
}

fn origin(exchange: &Exchange) -> Origin {
    Origin(exchange.provider.as_str().into())
}

fn turn(body: &str) -> Turn {
    DIALECT.peek(Bytes::copy_from_slice(body.as_bytes()), None).unwrap()
}

fn asked(exchange: &Exchange) -> Turn {
    match &exchange.request {
        Some(sent) => DIALECT.peek(sent.bytes(), None).unwrap(),
        None => turn(r#"{"model":"m","input":"x","stream":true}"#),
    }
}

#[test]
fn a_recorded_request_goes_out_as_it_came_but_for_the_model() {
    let Some(exchanges) = exchanges() else { return };
    let mut count = 0;
    for (exchange, bytes) in requests(&exchanges) {
        let turn = DIALECT.peek(bytes.clone(), None).unwrap_or_else(|why| panic!("{}: {why:?}", exchange.id));
        let model = turn.model.to_string();
        let same = DIALECT.prepare(&turn, &model, &Quirks::default());
        assert_eq!(same.body.join(), bytes, "{}", exchange.id);
        let other = DIALECT.prepare(&turn, "other", &Quirks::default()).body.join();
        let mut want: Value = serde_json::from_slice(&bytes).unwrap();
        want["model"] = "other".into();
        assert_eq!(serde_json::from_slice::<Value>(&other).unwrap(), want, "{}", exchange.id);
        count += 1;
    }
    println!("{count} requests");
    assert!(count > 400);
}

#[test]
fn usage_is_what_the_provider_reported() {
    let Some(exchanges) = exchanges() else { return };
    let (mut whole, mut streamed) = (0, 0);
    for (exchange, bytes) in answers(&exchanges) {
        let want = usage(&serde_json::from_slice(&bytes).unwrap());
        assert_eq!(DIALECT.whole(&bytes).unwrap(), want, "{}", exchange.id);
        whole += 1;
    }
    for (exchange, events) in streams(&exchanges) {
        let mut meter = DIALECT.meter(&asked(exchange));
        let (mut failed, mut content) = (false, false);
        for data in &events {
            match meter.note(data) {
                Note::Failed(_) => failed = true,
                Note::Content => content = true,
                Note::Garbage => panic!("{}: {}", exchange.id, String::from_utf8_lossy(data)),
                _ => {}
            }
        }
        let last = events.iter().rev().filter_map(|data| serde_json::from_slice::<Value>(data).ok());
        let want = last.filter_map(|event| usage(event.get("response")?)).next();
        assert_eq!(meter.usage(), want, "{}", exchange.id);
        assert!(meter.complete() != failed, "{}", exchange.id);
        assert!(content || failed, "{}", exchange.id);
        streamed += 1;
    }
    println!("{whole} answers, {streamed} streams");
    assert!(whole > 380 && streamed > 95);
}

#[test]
fn a_recorded_refusal_is_kept_and_understood() {
    let Some(exchanges) = exchanges() else { return };
    let mut count = 0;
    for exchange in &exchanges {
        let Some(status) = exchange.response.status.filter(|status| *status >= 400) else { continue };
        let body = exchange.response.bytes();
        let error = DIALECT.refusal(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &body);
        assert_eq!(error.own_answer().unwrap().body, body);
        let text = String::from_utf8_lossy(&body);
        let want = match status {
            401 => Kind::UpstreamAuth,
            _ if text.contains("model_not_found") => Kind::ModelNotFound,
            _ if text.contains("context_length") => Kind::ContextWindow,
            _ if text.contains("API key") => Kind::UpstreamAuth,
            _ => Kind::InvalidRequest,
        };
        assert_eq!(error.kind(), want, "{text}");
        count += 1;
    }
    println!("{count} refusals");
    assert!(count > 15);
}

#[test]
fn a_request_that_is_read_and_written_means_the_same() {
    let Some(exchanges) = exchanges() else { return };
    let (mut count, mut wrong) = (0, Vec::new());
    for (exchange, bytes) in requests(&exchanges) {
        let turn = DIALECT.peek(bytes.clone(), None).unwrap();
        let request = DIALECT.read_request(&turn).unwrap_or_else(|why| panic!("{}: {why:?}", exchange.id));
        let target = Target { provider: &exchange.provider, model: &turn.model, stream: turn.stream };
        let mut losses = Losses::default();
        let written = DIALECT.write_request(&request, &target, &mut losses).unwrap();
        assert!(losses.is_empty(), "{}: {losses:?}", exchange.id);
        let (want, got) = (normal(&bytes), normal(&written));
        for name in want.as_object().unwrap().keys().chain(got.as_object().unwrap().keys()) {
            if want[name] != got[name] {
                wrong.push(format!("{} {name}: {} became {}", exchange.id, want[name], got[name]));
            }
        }
        count += 1;
    }
    println!("{count} requests");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 400);
}

#[test]
fn an_answer_that_is_read_and_written_says_the_same() {
    let Some(exchanges) = exchanges() else { return };
    let mut count = 0;
    for (exchange, bytes) in answers(&exchanges) {
        let reply = DIALECT.read_reply(&bytes, &origin(exchange)).unwrap();
        let mut losses = Losses::default();
        let written = DIALECT.write_reply(&reply, &asked(exchange), &mut losses);
        assert!(losses.is_empty(), "{}: {losses:?}", exchange.id);
        let (want, got): (Value, Value) =
            (serde_json::from_slice(&bytes).unwrap(), serde_json::from_slice(&written).unwrap());
        assert_eq!(Accumulated::whole(&got), Accumulated::whole(&want), "{}", exchange.id);
        assert_eq!(same::states(&got), same::states(&want), "{}", exchange.id);
        assert_eq!(DIALECT.whole(&written).unwrap(), plain(reply.usage), "{}", exchange.id);
        count += 1;
    }
    println!("{count} answers");
    assert!(count > 380);
}

/// Usage as it comes back: searches and drawn images have no place in what is written.
fn plain(usage: Option<Usage>) -> Option<Usage> {
    usage.map(|usage| Usage {
        searches: 0,
        input: usage.input + usage.image_input,
        image_input: 0,
        output: usage.output + usage.image_output,
        image_output: 0,
        ..usage
    })
}

#[test]
fn a_stream_that_is_read_and_written_says_the_same() {
    let Some(exchanges) = exchanges() else { return };
    let mut count = 0;
    for (exchange, events) in streams(&exchanges) {
        let mut decoder = DIALECT.decoder(&origin(exchange));
        let mut encoder = DIALECT.encoder(&asked(exchange));
        let (mut contract, mut out, mut seals) = (Contract::default(), Vec::new(), Vec::new());
        let mut failed = None;
        let mut sink = |delta: Delta<'_>| {
            contract.see(&delta);
            if let Delta::Seal(seal) = &delta {
                seals.push(seal.clone());
            }
            encoder.delta(delta, &mut out);
        };
        for data in &events {
            if let Err(why) = decoder.event("", data, &mut sink) {
                failed = Some(why);
                break;
            }
        }
        if failed.is_some() {
            assert!(
                exchange.has("stream_error")
                    || exchange.id == "5b4d1bfbd5f45459"
                    || contains(&events, "\"error\"")
            );
            assert!(!contract.ended());
            continue;
        }
        decoder.end(&mut sink).unwrap();
        assert!(contract.ended(), "{}", exchange.id);
        let written = same::checked(&out);
        let want: Vec<Value> = events.iter().filter_map(|data| serde_json::from_slice(data).ok()).collect();
        assert_eq!(Accumulated::streamed(&written), Accumulated::streamed(&want), "{}", exchange.id);
        for (item, seal) in
            same::reasoning(&written).iter().filter_map(|item| item["encrypted_content"].as_str()).zip(&seals)
        {
            assert_eq!(&Seal::read(NAME, "item", item), seal);
        }
        count += 1;
    }
    println!("{count} streams");
    assert!(count > 95);
}

fn contains(events: &[Bytes], what: &str) -> bool {
    events.iter().any(|data| String::from_utf8_lossy(data).contains(what))
}

#[test]
fn a_stream_that_ends_early_is_broken_wherever_it_ends() {
    let Some(exchanges) = exchanges() else { return };
    let mut cuts = 0;
    for (exchange, events) in streams(&exchanges) {
        let end = events
            .iter()
            .position(|data| {
                let event: Value = serde_json::from_slice(data).unwrap_or_default();
                matches!(
                    event["type"].as_str(),
                    Some("response.completed" | "response.incomplete" | "response.failed" | "error")
                )
            })
            .unwrap_or(events.len());
        for cut in (0..=end).step_by(if end > 200 { 17 } else { 1 }) {
            let mut decoder = DIALECT.decoder(&origin(exchange));
            let mut contract = Contract::default();
            let mut sink = |delta: Delta<'_>| contract.see(&delta);
            for data in events.get(..cut).unwrap_or_default() {
                decoder.event("", data, &mut sink).unwrap();
            }
            assert_eq!(decoder.end(&mut sink).unwrap_err().kind(), Kind::UpstreamBroken, "{}", exchange.id);
            assert!(!contract.ended());
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
}

#[test]
fn a_whole_answer_and_its_stream_are_read_alike() {
    let Some(exchanges) = exchanges() else { return };
    let mut count = 0;
    for (exchange, events) in streams(&exchanges) {
        let last = events.iter().rev().filter_map(|data| serde_json::from_slice::<Value>(data).ok());
        let Some(response) = last
            .filter(|event| event["type"] == "response.completed")
            .map(|event| event["response"].clone())
            .find(|response| response["output"].as_array().is_some_and(|output| !output.is_empty()))
        else {
            continue;
        };
        let reply = DIALECT.read_reply(&response.to_string().into(), &origin(exchange)).unwrap();
        let (mut text, mut calls, mut finish) = (String::new(), Vec::new(), None);
        let mut decoder = DIALECT.decoder(&origin(exchange));
        let mut in_text = false;
        for data in &events {
            decoder
                .event("", data, &mut |delta| match delta {
                    Delta::Open(Block::Call { id, name, .. }) => {
                        in_text = false;
                        calls.push((id.into_owned(), name.into_owned(), String::new()));
                    }
                    Delta::Open(block) => in_text = matches!(block, Block::Text),
                    Delta::Text(piece) if in_text => text.push_str(&piece),
                    Delta::Text(piece) => {
                        if let Some((_, _, arguments)) = calls.last_mut() {
                            arguments.push_str(&piece);
                        }
                    }
                    Delta::Finish(how) => finish = Some(how),
                    _ => {}
                })
                .unwrap();
        }
        let (mut want_text, mut want_calls) = (String::new(), Vec::new());
        for part in &reply.parts {
            match &part.content {
                Content::Text(part) => want_text.push_str(&part.text),
                Content::Call(call) => {
                    want_calls.push((call.id.clone(), call.name.clone(), call.arguments.clone()));
                }
                _ => {}
            }
        }
        assert_eq!(text, want_text, "{}", exchange.id);
        assert_eq!(calls, want_calls, "{}", exchange.id);
        assert_eq!(finish.as_ref(), Some(&reply.finish), "{}", exchange.id);
        count += 1;
    }
    println!("{count} streams");
    assert!(count > 80);
}

fn feed(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let target = Target { provider: "openai", model: "m", stream: true };
    let mut losses = Losses::default();
    if let Ok(turn) = DIALECT.peek(body.clone(), None)
        && let Ok(request) = DIALECT.read_request(&turn)
    {
        let written = DIALECT.write_request(&request, &target, &mut losses).unwrap();
        DIALECT.peek(written, None).unwrap();
    }
    let asked = turn(r#"{"model":"m","input":"x"}"#);
    let _ = DIALECT.whole(&body);
    if let Ok(reply) = DIALECT.read_reply(&body, &Origin("o".into())) {
        let written = DIALECT.write_reply(&reply, &asked, &mut losses);
        DIALECT.whole(&written).unwrap();
    }
    let _ = DIALECT.refusal(StatusCode::BAD_REQUEST, &HeaderMap::new(), &body);
}

fn feed_stream(events: &[Vec<u8>]) {
    let asked = turn(r#"{"model":"m","input":"x"}"#);
    let mut meter = DIALECT.meter(&asked);
    let mut decoder = DIALECT.decoder(&Origin("o".into()));
    let mut encoder = DIALECT.encoder(&asked);
    let (mut contract, mut out) = (Contract::default(), Vec::new());
    let mut sink = |delta: Delta<'_>| {
        contract.see(&delta);
        encoder.delta(delta, &mut out);
    };
    let mut failed = false;
    for data in events {
        let _ = meter.note(data);
        let _ = meter.note_rest(data);
        failed = failed || decoder.event("", data, &mut sink).is_err();
        if failed {
            return;
        }
    }
    if decoder.end(&mut sink).is_ok() {
        same::checked(&out);
    }
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "7",
    "-1.5e9",
    "\"\"",
    "\"type\"",
    "\"message\"",
    "\"reasoning\"",
    "\"function_call\"",
    "\"input\"",
    "\"output\"",
    "\"content\"",
    "\"role\"",
    "\"user\"",
    "\"text\"",
    "\"id\"",
    "\"model\":\"m\"",
    "\"call_id\"",
    "\"\\ud800\"",
    "\"usage\":{\"input_tokens\":18446744073709551615}",
    "\"item\"",
    "\"output_index\":1",
    "\"delta\":\"x\"",
    "\"encrypted_content\":\"bGcxAA==\"",
    "\"tools\"",
    "{\"type\":\"output_text\",\"text\":\"a\"}",
    "{\"role\":\"assistant\",\"content\":\"a\"}",
];

/// Events that fit together in any order, or nearly.
const EVENTS: &[&str] = &[
    r#"{"type":"response.created","response":{"id":"r"}}"#,
    r#"{"type":"response.output_item.added","output_index":I,"item":{"type":"message","phase":"commentary"}}"#,
    r#"{"type":"response.output_item.added","output_index":I,"item":{"type":"reasoning","id":"rs"}}"#,
    r#"{"type":"response.output_item.added","output_index":I,"item":{"type":"function_call","call_id":"c","name":"f"}}"#,
    r#"{"type":"response.output_item.added","output_index":I,"item":{"type":"web_search_call"}}"#,
    r#"{"type":"response.output_text.delta","output_index":I,"content_index":1,"delta":"a","logprobs":[{"token":"a","logprob":-1}]}"#,
    r#"{"type":"response.output_text.delta","output_index":I,"delta":"a"}"#,
    r#"{"type":"response.output_text.done","output_index":I,"text":"ab","logprobs":[{"token":"a","logprob":-1}]}"#,
    r#"{"type":"response.refusal.delta","output_index":I,"delta":"no"}"#,
    r#"{"type":"response.reasoning_summary_text.delta","output_index":I,"summary_index":2,"delta":"s"}"#,
    r#"{"type":"response.reasoning_text.delta","output_index":I,"delta":"t"}"#,
    r#"{"type":"response.function_call_arguments.delta","output_index":I,"delta":"{}"}"#,
    r#"{"type":"response.custom_tool_call_input.done","output_index":I,"input":"x"}"#,
    r#"{"type":"response.output_text.annotation.added","output_index":I,"annotation":{"type":"url_citation","url":"u"}}"#,
    r#"{"type":"response.content_part.done","output_index":I,"part":{"type":"output_audio"}}"#,
    r#"{"type":"response.output_item.done","output_index":I,"item":{"type":"message","content":[{"type":"output_text","text":"z"}]}}"#,
    r#"{"type":"response.output_item.done","output_index":I,"item":{"type":"reasoning","id":"rs","encrypted_content":"g"}}"#,
    r#"{"type":"response.output_item.done","output_index":I,"item":{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}}"#,
    r#"{"type":"response.output_item.done","output_index":I,"item":{"type":"custom_tool_call","name":"f","namespace":"n"}}"#,
    r#"{"type":"response.output_item.done","output_index":I,"item":{"type":"web_search_call"}}"#,
    r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"r"}]}]}}"#,
    r#"{"type":"response.incomplete","response":{"status":"incomplete"}}"#,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>) {
        feed(&bytes);
        feed_stream(&[bytes]);
    }

    #[test]
    fn hostile_json_never_panics(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40),
        wrap in any::<bool>(),
    ) {
        let text = pieces.concat();
        let text = if wrap { format!(r#"{{"model":"m","input":[{text}],"output":[{text}]}}"#) } else { text };
        feed(text.as_bytes());
        feed_stream(&[text.into_bytes()]);
    }

    #[test]
    fn events_in_any_order_keep_the_contract(
        picks in prop::collection::vec((prop::sample::select(EVENTS), 0..4_u8), 0..30),
    ) {
        let events: Vec<Vec<u8>> = picks
            .iter()
            .map(|(event, index)| event.replace('I', &index.to_string()).into_bytes())
            .collect();
        feed_stream(&events);
    }
}
