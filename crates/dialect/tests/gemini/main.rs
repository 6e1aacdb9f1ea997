//! Gemini against recorded traffic, and against hostile bytes.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../contract/mod.rs"]
mod contract;
mod normal;
mod said;

use bytes::Bytes;
use contract::Contract;
use http::{HeaderMap, StatusCode};
use lockgate_core::upstream::Quirks;
use lockgate_core::{Error, Kind, Usage};
use lockgate_dialect::gemini::{Gemini, NAME};
use lockgate_dialect::neutral::Delta;
use lockgate_dialect::seal::Origin;
use lockgate_dialect::sse::Splitter;
use lockgate_dialect::{Dialect, Hub, Losses, Named, Note, Target, Turn};
use lockgate_testkit::vectors::{self, Exchange};
use normal::normal_request;
use proptest::prelude::*;
use said::{Said, buckets, count, searches};
use serde_json::Value;

fn hub() -> &'static dyn Hub {
    Gemini.hub().unwrap()
}

fn origin() -> Origin {
    Origin("gemini".into())
}

fn turn(body: Bytes, model: &str, stream: bool) -> Result<Turn, Error> {
    Gemini.peek(body, Some(Named { model, stream }))
}

fn any_turn() -> Turn {
    turn(Bytes::from_static(br#"{"contents":[]}"#), "m", true).unwrap()
}

/// The requests of all exchanges that are chat turns, with their model.
fn requests(all: &[Exchange]) -> impl Iterator<Item = (&Exchange, Bytes, &str)> {
    all.iter().filter_map(|exchange| {
        let sent = exchange.request.as_ref()?;
        let path = sent.path.split('?').next().unwrap_or_default();
        let chat = path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent");
        let model = exchange.model.as_deref().unwrap_or("m");
        chat.then(|| (exchange, sent.bytes(), model.strip_prefix("models/").unwrap_or(model)))
    })
}

fn events(exchange: &Exchange) -> Vec<Vec<u8>> {
    let (mut splitter, mut bytes, mut all) = (Splitter::default(), exchange.response.bytes(), Vec::new());
    while let Some(event) = splitter.next(&mut bytes).unwrap() {
        all.extend(event.data().map(std::borrow::Cow::into_owned));
    }
    all.extend(splitter.rest().and_then(|event| event.data().map(std::borrow::Cow::into_owned)));
    all
}

// === requests ===

#[test]
fn a_recorded_request_goes_out_as_it_came() {
    let Some(all) = vectors::of(NAME) else { return };
    let mut seen = 0;
    for (exchange, body, model) in requests(&all) {
        let turn = turn(body.clone(), model, false).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.id));
        let prepared = Gemini.prepare(&turn, model, &Quirks::default());
        assert_eq!(prepared.body.join(), body, "{}", exchange.id);
        seen += 1;
    }
    assert!(seen > 500, "{seen}");
    println!("{seen} requests");
}

#[test]
fn a_recorded_request_means_the_same_after_the_neutral_form() {
    let Some(all) = vectors::of(NAME) else { return };
    let (mut seen, mut wrong) = (0, Vec::new());
    for (exchange, body, model) in requests(&all) {
        // What the provider refused needs not be kept as it was.
        if exchange.response.status.is_some_and(|status| status >= 400) {
            continue;
        }
        seen += 1;
        let turn = turn(body.clone(), model, false).unwrap();
        let request = hub().read_request(&turn).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.id));
        let mut losses = Losses::default();
        let target = Target { provider: "gemini", model, stream: false };
        let written = hub().write_request(&request, &target, &mut losses).unwrap();
        if !losses.is_empty() {
            wrong.push(format!("{}: {losses:?}", exchange.id));
            continue;
        }
        let before = normal_request(&serde_json::from_slice(&body).unwrap());
        let after = normal_request(&serde_json::from_slice(&written).unwrap());
        if before != after {
            wrong.push(format!("{}\n  {before}\n  {after}", exchange.id));
        }
        let again = self::turn(written.clone(), model, false).unwrap();
        let again = hub().read_request(&again).unwrap();
        let mut twice = Losses::default();
        assert_eq!(hub().write_request(&again, &target, &mut twice).unwrap(), written, "{}", exchange.id);
    }
    assert!(wrong.is_empty(), "{} of {seen} differ:\n{}", wrong.len(), wrong.join("\n"));
    println!("{seen} requests");
}

// === answers ===

#[test]
fn the_usage_of_a_recorded_answer_is_what_an_independent_reader_reads() {
    let Some(all) = vectors::of(NAME) else { return };
    let (mut answers, mut streams, mut refusals, mut others) = (0, 0, 0, 0);
    for exchange in &all {
        let bytes = exchange.response.bytes();
        if exchange.response.is_stream() {
            let mut meter = Gemini.meter(&any_turn());
            let (mut last, mut finished, mut found) = (None, false, 0);
            for data in events(exchange) {
                let note = meter.note(&data);
                let Ok(value) = serde_json::from_slice::<Value>(&data) else { continue };
                assert_eq!(matches!(note, Note::Failed(_)), value["error"].is_object(), "{}", exchange.id);
                last = buckets(&value).or(last);
                found = found.max(searches(&value));
                let mut said = Said::default();
                said.take(&value);
                finished |= said.finish.is_some();
            }
            let last = last.map(|usage| Usage { searches: found, ..usage });
            assert_eq!(meter.usage(), last, "{}", exchange.id);
            assert_eq!(meter.complete(), finished, "{}", exchange.id);
            streams += 1;
            continue;
        }
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        if value["error"].is_object() || value[0]["error"].is_object() {
            refusals += 1;
            continue;
        }
        let whole = Gemini.whole(&bytes);
        let is_answer = value["candidates"].is_array() || value["promptFeedback"].is_object();
        if !is_answer && !value["usageMetadata"].is_object() {
            assert_eq!(whole.unwrap_err().kind(), Kind::UpstreamBadAnswer, "{}", exchange.id);
            others += 1;
            continue;
        }
        let wanted = buckets(&value).map(|usage| Usage { searches: searches(&value), ..usage });
        let got = whole.unwrap_or_else(|e| panic!("{}: {e:?}", exchange.id));
        assert_eq!(got, wanted, "{}", exchange.id);
        let total = value["usageMetadata"]["totalTokenCount"].as_u64();
        if let (Some(usage), Some(total)) =
            (got, total.filter(|total| *total > count(&value["usageMetadata"], "promptTokenCount")))
        {
            assert_eq!(usage.input_total() + usage.output_total(), total, "{}", exchange.id);
        }
        answers += 1;
    }
    println!("{answers} answers, {streams} streams, {refusals} refusals, {others} others");
    assert!(answers > 400 && streams > 100, "{answers} {streams}");
}

#[test]
fn a_recorded_refusal_has_a_kind_and_passes_as_it_came() {
    let Some(all) = vectors::of(NAME) else { return };
    let mut seen = 0;
    for exchange in all.iter().filter(|exchange| exchange.response.status.is_some_and(|status| status >= 400))
    {
        let status = StatusCode::from_u16(exchange.response.status.unwrap()).unwrap();
        let body = exchange.response.bytes();
        let error = Gemini.refusal(status, &HeaderMap::new(), &body);
        let text = String::from_utf8_lossy(&body).into_owned();
        let wanted = match status.as_u16() {
            404 => Kind::ModelNotFound,
            429 => Kind::UpstreamRateLimited,
            400 if text.contains("API_KEY_INVALID") => Kind::UpstreamAuth,
            400 if text.contains("exceeds the maximum number of tokens") => Kind::ContextWindow,
            _ => Kind::InvalidRequest,
        };
        assert_eq!(error.kind(), wanted, "{}: {error:?}", exchange.id);
        assert_eq!(error.own_answer().unwrap().body, body);
        seen += 1;
    }
    println!("{seen} refusals");
}

#[test]
fn a_recorded_answer_says_the_same_after_the_neutral_form() {
    let Some(all) = vectors::of(NAME) else { return };
    let mut seen = 0;
    for exchange in all.iter().filter(|exchange| !exchange.response.is_stream()) {
        let bytes = exchange.response.bytes();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        if !value["candidates"].is_array() && !value["promptFeedback"].is_object() {
            continue;
        }
        let reply = hub().read_reply(&bytes, &origin()).unwrap_or_else(|e| panic!("{}: {e:?}", exchange.id));
        let mut losses = Losses::default();
        let written = hub().write_reply(&reply, &any_turn(), &mut losses);
        assert!(losses.is_empty(), "{}: {losses:?}", exchange.id);
        let (mut before, mut after) = (Said::default(), Said::default());
        before.take(&value);
        let answer: Value = serde_json::from_slice(&written).unwrap();
        after.take(&answer);
        let unsaid = || Some("FINISH_REASON_UNSPECIFIED".to_owned());
        before.finish = before.finish.or_else(unsaid);
        assert_eq!(before, after, "{}", exchange.id);
        assert_eq!(value["responseId"].as_str().unwrap_or_default(), answer["responseId"], "{}", exchange.id);
        seen += 1;
    }
    println!("{seen} answers");
    assert!(seen > 400, "{seen}");
}

// === streams ===

/// Decodes events and encodes them again; the events that come out, and whether the stream ended in good order.
fn through(events: &[Vec<u8>]) -> (Vec<Value>, Result<(), Error>) {
    let mut decoder = hub().decoder(&origin());
    let mut encoder = hub().encoder(&any_turn());
    let (mut contract, mut out) = (Contract::default(), Vec::new());
    let mut sink = |delta: Delta<'_>| {
        contract.see(&delta);
        encoder.delta(delta, &mut out);
    };
    let read = events.iter().try_for_each(|data| decoder.event("", data, &mut sink));
    let ended = read.and_then(|()| decoder.end(&mut sink));
    assert_eq!(contract.ended(), ended.is_ok());
    let (mut splitter, mut bytes, mut all) = (Splitter::default(), Bytes::from(out), Vec::new());
    while let Some(event) = splitter.next(&mut bytes).unwrap() {
        all.push(serde_json::from_slice(&event.data().unwrap()).unwrap());
    }
    assert!(splitter.rest().is_none());
    (all, ended)
}

#[test]
fn a_recorded_stream_says_the_same_after_the_neutral_form() {
    let Some(all) = vectors::of(NAME) else { return };
    let (mut seen, mut broken) = (0, 0);
    for exchange in all.iter().filter(|exchange| exchange.response.is_stream()) {
        let events = events(exchange);
        if events.iter().any(|data| serde_json::from_slice::<Value>(data).is_err()) {
            // A record without blank lines, which is one event of several objects.
            assert_eq!(through(&events).1.unwrap_err().kind(), Kind::UpstreamBadAnswer);
            continue;
        }
        let (written, ended) = through(&events);
        let mut before = Said::default();
        for data in &events {
            before.take(&serde_json::from_slice(data).unwrap());
        }
        if let Err(error) = ended {
            let garbage = events.iter().any(|data| data.starts_with(b"{\"this\""));
            let kind = if garbage { Kind::UpstreamBadAnswer } else { Kind::UpstreamBroken };
            assert_eq!((error.kind(), before.finish), (kind, None), "{}", exchange.id);
            broken += 1;
            continue;
        }
        let mut after = Said::default();
        for value in &written {
            after.take(value);
        }
        let terminal = written.iter().filter(|value| value["candidates"][0]["finishReason"].is_string());
        assert_eq!(terminal.count(), 1, "{}", exchange.id);
        if !before.pieces.is_empty() {
            let mut leaves = String::new();
            after.calls.iter().for_each(|(_, _, args)| texts(args, &mut leaves));
            let sorted = |text: &str| {
                let mut chars: Vec<char> = text.chars().collect();
                chars.sort_unstable();
                chars
            };
            assert_eq!(sorted(&leaves), sorted(&before.pieces), "{}", exchange.id);
            before.pieces.clear();
            before.calls.iter_mut().zip(&after.calls).for_each(|(b, a)| b.2.clone_from(&a.2));
        }
        assert_eq!(before, after, "{}", exchange.id);
        seen += 1;
    }
    println!("{seen} streams, {broken} without an end");
    assert!(seen > 100, "{seen}");
}

fn texts(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Array(all) => all.iter().for_each(|value| texts(value, out)),
        Value::Object(all) => all.values().for_each(|value| texts(value, out)),
        _ => {}
    }
}

#[test]
fn a_stream_that_ends_early_has_no_end() {
    let Some(all) = vectors::of(NAME) else { return };
    let mut cuts = 0;
    for exchange in all.iter().filter(|exchange| exchange.response.is_stream()) {
        let events = events(exchange);
        let mut said = Said::default();
        for (at, data) in events.iter().enumerate().take(60) {
            // Up to the first reason to finish.
            if said.finish.is_some() {
                break;
            }
            let Err(error) = through(&events[..at]).1 else { panic!("{}: ends at {at}", exchange.id) };
            assert!(matches!(error.kind(), Kind::UpstreamBroken | Kind::UpstreamBadAnswer), "{error:?}");
            said.take(&serde_json::from_slice(data).unwrap_or_default());
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
}

// === hostile bytes ===

const SEEDS: [&str; 8] = [
    r#"{"contents":[{"role":"user","parts":[{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"YQ"}}]}]}"#,
    r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"YQ=="}]},{"parts":[{"functionResponse":{"name":"f","response":{"output":"x"}}}]}]}"#,
    r#"{"contents":{"parts":{"text":"a"}},"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}}}"#,
    r#"{"contents":[],"generationConfig":{"thinkingConfig":{"thinkingBudget":-1},"topK":40.0,"responseSchema":{"anyOf":[{"type":"NULL"}]}},"systemInstruction":{"parts":[{"text":"s"}]}}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"é"},{"text":"t","thought":true},{"functionCall":{"name":"f","willContinue":true,"partialArgs":[{"jsonPath":"$.a[0]","stringValue":"x"}]}}]},"finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"u"}}],"groundingSupports":[{"segment":{"startIndex":1,"endIndex":2},"groundingChunkIndices":[0]}]}}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":18446744073709551615}}"#,
    r#"{"candidates":[{"content":{"parts":[{"executableCode":{"code":"x"}},{"inlineData":{"mimeType":"image/png","data":"YQ=="},"thoughtSignature":"s"}]},"citationMetadata":{"citationSources":[{"startIndex":9,"endIndex":2,"uri":"u"}]},"logprobsResult":{"chosenCandidates":[{"token":"a"}]},"finishReason":3}]}"#,
    r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
    r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"1e999s"}]}}]"#,
];

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0..12_usize, prop::collection::vec(any::<u8>(), 0..6));
    let edited =
        (prop::sample::select(&SEEDS[..]), prop::collection::vec(edit, 0..4)).prop_map(|(seed, edits)| {
            let mut bytes = seed.as_bytes().to_vec();
            for (at, gone, new) in edits {
                let at = at.index(bytes.len() + 1);
                let end = (at + gone).min(bytes.len());
                bytes.splice(at..end, new);
            }
            bytes
        });
    prop_oneof![8 => edited, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn everything(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let mut losses = Losses::default();
    if let Ok(turn) = turn(body.clone(), "gemini-3-pro", true) {
        let _ = Gemini.prepare(&turn, "x", &Quirks::default());
        let _ = Gemini.meter(&turn);
        if let Ok(request) = hub().read_request(&turn) {
            for (provider, model) in
                [("gemini", "gemini-3-flash"), ("vertex", "gemini-2.5-pro"), ("x", "gemma-3")]
            {
                let target = Target { provider, model, stream: false };
                if let Ok(written) = hub().write_request(&request, &target, &mut losses) {
                    serde_json::from_slice::<Value>(&written).unwrap();
                }
            }
        }
    }
    let _ = Gemini.whole(&body);
    let _ = Gemini.refusal(StatusCode::BAD_REQUEST, &HeaderMap::new(), &body);
    if let Ok(reply) = hub().read_reply(&body, &origin()) {
        let written = hub().write_reply(&reply, &any_turn(), &mut losses);
        serde_json::from_slice::<Value>(&written).unwrap();
    }
    let mut meter = Gemini.meter(&any_turn());
    let _ = (meter.note(bytes), meter.note_rest(bytes), meter.usage(), meter.complete());
    let _ = through(&[bytes.to_vec(), bytes.to_vec()]);
    let _ = lockgate_dialect::gemini::count::read(&body);
    let _ = lockgate_dialect::gemini::count::peek(&body, Named { model: "m", stream: false });
    let _ = lockgate_dialect::gemini::embed::read(bytes, true);
    let _ = lockgate_dialect::gemini::embed::read(bytes, false);
    let _ = lockgate_dialect::gemini::embed::read_answer(bytes);
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in hostile()) {
        everything(&bytes);
    }
}

#[test]
fn deep_and_wide_input_is_bounded() {
    let deep = |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n));
    let schema = deep(r#"{"items":"#, "}", 100).replace(":}", ":{}}");
    for text in [
        deep("[", "]", 100_000),
        format!(r#"{{"contents":[{{"parts":[{{"functionCall":{{"name":"f","args":{}}}}}]}}]}}"#, deep(r#"{"a":["#, "]}", 60)),
        format!(r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}],"tools":[{{"functionDeclarations":[{{"name":"f","parameters":{schema}}}]}}]}}"#),
        format!(r#"{{"contents":[{{"parts":[{}]}}]}}"#, vec![r#"{"functionResponse":{"name":"f"}}"#; 10_000].join(",")),
        format!(r#"{{"contents":[{}]}}"#, vec![r#"{"role":"model","parts":[{"functionCall":{"name":"f"}}]},{"parts":[{"functionResponse":{"name":"g"}}]}"#; 5_000].join(",")),
        format!(r#"{{"candidates":[{{"content":{{"parts":[{}]}}}}]}}"#, vec![r#"{"text":"é"}"#; 10_000].join(",")),
    ] {
        everything(text.as_bytes());
    }
}
