//! Anthropic messages against recorded traffic.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what is shared by tests is a test")]

#[path = "anthropic/accumulate.rs"]
mod accumulate;
mod contract;
#[path = "anthropic/normal.rs"]
mod normal;

use bytes::Bytes;
use contract::Contract;
use lockgate_core::{Kind, Quirks, Usage};
use lockgate_dialect::anthropic::{Messages, count};
use lockgate_dialect::neutral::Delta;
use lockgate_dialect::seal::Origin;
use lockgate_dialect::{Dialect, Hub, Losses, Note, Target, Turn};
use lockgate_testkit::vectors::{self, Exchange};
use proptest::prelude::*;
use serde_json::{Value, json};

const API: &str = "anthropic.messages";

fn good(exchange: &Exchange) -> bool {
    exchange.response.status.is_none_or(|status| status < 300)
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn origin() -> Origin {
    Origin("anthropic".into())
}

fn asked() -> Turn {
    Messages.peek(Bytes::from_static(br#"{"model":"m","messages":[],"stream":true}"#), None).unwrap()
}

/// An answer in JSON, if that is what was recorded and it is a message.
fn message(exchange: &Exchange) -> Option<Bytes> {
    let body = exchange.response.bytes();
    let is_message = || json(&body)["type"] == "message";
    (exchange.response.body_kind == "json" && good(exchange) && is_message()).then_some(body)
}

#[test]
fn recorded_requests_go_out_as_they_came_but_for_the_model() {
    let Some(exchanges) = vectors::of(API) else { return };
    let mut seen = 0;
    for exchange in &exchanges {
        let Some(sent) = &exchange.request else { continue };
        let body = sent.bytes();
        let turn = Messages.peek(body.clone(), None).unwrap_or_else(|e| panic!("{}: {e}", exchange.id));
        let same = Messages.prepare(&turn, &turn.model, &Quirks::default()).body.join();
        assert_eq!(same, body, "{}", exchange.id);
        let other = json(&Messages.prepare(&turn, "other", &Quirks::default()).body.join());
        let mut wanted = json(&body);
        wanted["model"] = "other".into();
        assert_eq!(other, wanted, "{}", exchange.id);
        seen += 1;
    }
    println!("{seen} requests");
    assert!(seen > 400);
}

#[test]
fn requests_to_count_and_their_answers_are_understood() {
    let Some(exchanges) = vectors::of("anthropic.count_tokens") else { return };
    for exchange in &exchanges {
        let sent = exchange.request.as_ref().unwrap();
        let turn = count::peek(sent.bytes()).unwrap();
        assert_eq!(count::prepare(&turn, &turn.model, &Quirks::default()).body.join(), sent.bytes());
        assert!(sent.path.starts_with(&format!("/v1{}", count::path())), "{}", sent.path);
        let body = exchange.response.bytes();
        if good(exchange) {
            let tokens = count::read(&body).unwrap();
            assert_eq!(json(&body)["input_tokens"], tokens);
            assert_eq!(json(&count::write(tokens)), json!({ "input_tokens": tokens }));
        } else {
            assert!(count::read(&body).is_err());
        }
    }
    println!("{} counts", exchanges.len());
}

#[test]
fn recorded_usage_is_read_as_an_independent_reader_reads_it() {
    let Some(exchanges) = vectors::of(API) else { return };
    let (mut whole, mut streams) = (0, 0);
    for exchange in &exchanges {
        let body = exchange.response.bytes();
        if exchange.response.is_stream() {
            for events in accumulate::streams(&body) {
                let mut meter = Messages.meter(&asked());
                for event in &events {
                    let note = meter.note(event);
                    assert!(!matches!(note, Note::Garbage | Note::Failed(_)), "{}: {note:?}", exchange.id);
                }
                assert!(meter.complete(), "{}", exchange.id);
                let wanted = accumulate::usage(&accumulate::message(&events)["usage"]);
                assert_eq!(meter.usage().unwrap_or_default().counts(), wanted, "{}", exchange.id);
                streams += 1;
            }
        } else if let Some(body) = message(exchange) {
            let usage = Messages.whole(&body).unwrap().unwrap();
            assert_eq!(usage.counts(), accumulate::usage(&json(&body)["usage"]), "{}", exchange.id);
            whole += 1;
        } else {
            assert!(Messages.whole(&body).is_err(), "{}", exchange.id);
        }
    }
    println!("{whole} answers, {streams} streams");
    assert!(whole > 300 && streams > 100);
}

#[test]
fn recorded_errors_have_their_kind_and_keep_their_answer() {
    let Some(exchanges) = vectors::of(API) else { return };
    let mut seen = 0;
    for exchange in exchanges.iter().filter(|exchange| !good(exchange)) {
        let status = http::StatusCode::from_u16(exchange.response.status.unwrap()).unwrap();
        let error = Messages.refusal(status, &http::HeaderMap::new(), &exchange.response.bytes());
        let kind = match status.as_u16() {
            400 => Kind::InvalidRequest,
            401 => Kind::UpstreamAuth,
            404 => Kind::ModelNotFound,
            other => panic!("{}: {other}", exchange.id),
        };
        assert_eq!(error.kind(), kind, "{}", exchange.id);
        assert_eq!(error.own_answer().unwrap().body, exchange.response.bytes());
        seen += 1;
    }
    println!("{seen} errors");
}

#[test]
fn recorded_requests_mean_the_same_after_the_neutral_form() {
    let Some(exchanges) = vectors::of(API) else { return };
    let (mut seen, mut wrong) = (0, Vec::new());
    for exchange in exchanges.iter().filter(|exchange| good(exchange)) {
        let Some(sent) = &exchange.request else { continue };
        let turn = Messages.peek(sent.bytes(), None).unwrap();
        let before = json(&sent.bytes());
        if !normal::is_paired(&before) {
            continue;
        }
        let request = Messages.read_request(&turn).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.id));
        let target = Target { provider: "anthropic", model: &turn.model, stream: turn.stream };
        let mut losses = Losses::default();
        let written = Messages.write_request(&request, &target, &mut losses).unwrap();
        let again = Messages.peek(written.clone(), None).unwrap();
        assert_eq!((again.stream, &again.model), (turn.stream, &turn.model));
        let (before, after) = (normal::request(before), normal::request(json(&written)));
        let lost: Vec<_> =
            losses.iter().filter(|loss| loss.why != "the target refuses texts of white space").collect();
        if before != after || !lost.is_empty() {
            wrong.push(format!("{} {lost:?}\n  {before}\n  {after}", exchange.id));
        }
        seen += 1;
    }
    println!("{seen} requests");
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 400);
}

#[test]
fn recorded_answers_mean_the_same_after_the_neutral_form() {
    let Some(exchanges) = vectors::of(API) else { return };
    let mut seen = 0;
    for exchange in &exchanges {
        let Some(body) = message(exchange) else { continue };
        let reply =
            Messages.read_reply(&body, &origin()).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.id));
        let mut losses = Losses::default();
        let written = json(&Messages.write_reply(&reply, &asked(), &mut losses));
        assert!(losses.is_empty(), "{}: {losses:?}", exchange.id);
        assert_eq!(normal::answer(written), normal::answer(json(&body)), "{}", exchange.id);
        seen += 1;
    }
    println!("{seen} answers");
    assert!(seen > 300);
}

fn recorded_streams(exchanges: &[Exchange]) -> impl Iterator<Item = (&Exchange, Vec<Vec<u8>>)> {
    let streams = exchanges.iter().filter(|exchange| exchange.response.is_stream());
    streams.flat_map(|exchange| {
        accumulate::streams(&exchange.response.bytes()).into_iter().map(move |events| (exchange, events))
    })
}

/// Decodes and encodes a stream; the deltas keep their order.
fn crossed(events: &[Vec<u8>], id: &str) -> (Vec<u8>, Option<Usage>) {
    let mut decoder = Messages.decoder(&origin());
    let mut encoder = Messages.encoder(&asked());
    let (mut contract, mut out, mut usage) = (Contract::default(), Vec::new(), None);
    let mut sink = |delta: Delta<'_>| {
        contract.see(&delta);
        if let Delta::Usage(now) = &delta {
            usage = Some(*now);
        }
        encoder.delta(delta, &mut out);
    };
    for event in events {
        decoder.event("", event, &mut sink).unwrap_or_else(|e| panic!("{id}: {e:?}"));
    }
    decoder.end(&mut sink).unwrap_or_else(|e| panic!("{id}: {e:?}"));
    assert!(contract.ended(), "{id}");
    (out, usage)
}

#[test]
fn recorded_streams_mean_the_same_after_the_neutral_form() {
    let Some(exchanges) = vectors::of(API) else { return };
    let mut seen = 0;
    for (exchange, events) in recorded_streams(&exchanges) {
        let (out, usage) = crossed(&events, &exchange.id);
        let (before, after) = (accumulate::message(&events), accumulate::message(&accumulate::events(&out)));
        assert_eq!(usage.unwrap().counts(), accumulate::usage(&before["usage"]), "{}", exchange.id);
        assert_eq!(normal::answer(after), normal::answer(before), "{}", exchange.id);
        seen += 1;
    }
    println!("{seen} streams");
    assert!(seen > 100);
}

#[test]
fn a_stream_that_ends_early_never_ends_well() {
    let Some(exchanges) = vectors::of(API) else { return };
    let mut cuts = 0;
    for (exchange, events) in recorded_streams(&exchanges) {
        for cut in 0..events.len() {
            let mut decoder = Messages.decoder(&origin());
            let mut contract = Contract::default();
            let mut sink = |delta: Delta<'_>| contract.see(&delta);
            for event in &events[..cut] {
                decoder.event("", event, &mut sink).unwrap();
            }
            let error = decoder.end(&mut sink).unwrap_err();
            assert_eq!(error.kind(), Kind::UpstreamBroken, "{} at {cut}", exchange.id);
            assert!(!contract.ended());
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
}

/// Pieces that a hostile stream is put together from.
const PIECES: &[&str] = &[
    r#"{"type":"message_start","message":{"id":"a","model":"m","usage":{"input_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"x"}}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","id":"t","name":"f","input":{}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":"s"}}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"d"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{"}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"q"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"type":"x"}}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_stop","index":1}"#,
    r#"{"type":"content_block_stop","index":2}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}"#,
    r#"{"type":"message_stop"}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
    "{",
    "[DONE]",
];

#[test]
fn blocks_that_are_mixed_come_out_one_after_another() {
    let mixed: Vec<Vec<u8>> = [0, 1, 2, 7, 6, 3, 8, 13, 11, 12, 14, 15]
        .iter()
        .map(|at| PIECES[*at].replace("\"{\"", "\"{}\"").into_bytes())
        .collect();
    let (out, _) = crossed(&mixed, "mixed");
    let message = accumulate::message(&accumulate::events(&out));
    assert_eq!(
        message["content"],
        json!([
            {"type":"text","text":"xa"},
            {"type":"tool_use","id":"t","name":"f","input":{}},
            {"type":"server_tool_use","id":"t","name":"f","input":{}}
        ])
    );
}

proptest! {
    #[test]
    fn any_order_of_events_keeps_the_order_of_deltas(at in prop::collection::vec(0..PIECES.len(), 0..24)) {
        let mut decoder = Messages.decoder(&origin());
        let mut meter = Messages.meter(&asked());
        let mut encoder = Messages.encoder(&asked());
        let (mut contract, mut out) = (Contract::default(), Vec::new());
        let mut sink = |delta: Delta<'_>| {
            contract.see(&delta);
            encoder.delta(delta, &mut out);
        };
        let _ = decoder.event("", PIECES[0].as_bytes(), &mut sink);
        for at in at {
            let _ = meter.note(PIECES[at].as_bytes());
            if decoder.event("", PIECES[at].as_bytes(), &mut sink).is_err() {
                break;
            }
        }
        let ended = decoder.end(&mut sink).is_ok();
        prop_assert_eq!(ended, contract.ended());
        if ended {
            accumulate::message(&accumulate::events(&out));
        }
    }

    #[test]
    fn hostile_bytes_are_refused_and_nothing_more(at in 0..PIECES.len(), cut in 0..200_usize, byte: u8, text: String) {
        let mut bytes = PIECES[at].as_bytes().to_vec();
        let place = cut % bytes.len();
        bytes[place] = byte;
        for bytes in [bytes, text.into_bytes()] {
            let mut decoder = Messages.decoder(&origin());
            let _ = decoder.event("", PIECES[0].as_bytes(), &mut |_| {});
            let _ = decoder.event("", &bytes, &mut |_| {});
            let mut meter = Messages.meter(&asked());
            let _ = meter.note(&bytes);
            let _ = meter.note_rest(&bytes);
            let _ = meter.usage();
            let body = Bytes::from(bytes);
            let _ = Messages.whole(&body);
            let _ = Messages.read_reply(&body, &origin());
            let _ = Messages.refusal(http::StatusCode::BAD_REQUEST, &http::HeaderMap::new(), &body);
            let _ = count::read(&body);
        }
    }

    #[test]
    fn hostile_requests_are_read_or_refused(place in 0..10_000_usize, byte: u8, model in "claude-[a-z0-9.-]{0,12}") {
        let mut bytes = br#"{"model":"m","max_tokens":5,"system":[{"type":"text","text":"s"}],"messages":[
            {"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"s"},
            {"type":"tool_use","id":"t","name":"f","input":{"a":[1]}}]},{"role":"user","content":[{"type":"tool_result",
            "tool_use_id":"t","content":[{"type":"image","source":{"type":"url","url":"u"}}]}]}],"tools":[{"name":"f",
            "input_schema":{"type":"object"},"strict":true}],"thinking":{"type":"enabled","budget_tokens":1024},
            "output_config":{"effort":"low","format":{"type":"json_schema","schema":{"minimum":1}}},"temperature":0.5}"#
            .to_vec();
        let place = place % bytes.len();
        bytes[place] = byte;
        let Ok(turn) = Messages.peek(bytes.into(), None) else { return Ok(()) };
        let Ok(request) = Messages.read_request(&turn) else { return Ok(()) };
        let target = Target { provider: "p", model: &model, stream: true };
        let written = Messages.write_request(&request, &target, &mut Losses::default()).unwrap();
        prop_assert!(Messages.peek(written.clone(), None).is_ok());
        prop_assert!(serde_json::from_slice::<Value>(&written).is_ok());
    }
}
