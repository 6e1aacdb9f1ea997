//! Streams both ways, by example.

use bytes::Bytes;
use lockgate_core::{Kind, Usage};
use serde_json::{Value, json};

use super::super::{Gemini, NAME};
use crate::neutral::{Block, CallKind, Citation, Delta, Finish, Native};
use crate::seal::{Origin, Seal};
use crate::{Dialect, Hub, Losses, Named, Turn};

fn asked() -> Turn {
    let named = Named { model: "m", stream: true };
    Gemini.peek(Bytes::from_static(br#"{"contents":[]}"#), Some(named)).unwrap()
}

fn decoded(events: &[&str]) -> (Vec<String>, Option<Kind>) {
    let mut decoder = Gemini.decoder(&Origin("gemini".into()));
    let mut out = Vec::new();
    let mut sink = |delta: Delta<'_>| {
        out.push(match delta {
            Delta::Start { id, model, created } => format!("start {id} {model} {created:?}"),
            Delta::Open(Block::Call { id, name, .. }) => format!("call {id} {name}"),
            Delta::Open(Block::Native(native)) => format!("native {} {}", native.name, native.json),
            Delta::Open(block) => format!("open {block:?}"),
            Delta::Text(text) => format!("text {text}"),
            Delta::Seal(seal) => format!("seal {} {}", seal.kind, seal.data),
            Delta::Citation(citation) => format!("cite {:?} {:?}", citation.url, citation.span),
            Delta::Usage(usage) => format!("usage {} {} {}", usage.input, usage.output, usage.searches),
            other => format!("{other:?}"),
        });
    };
    let result = events.iter().try_for_each(|data| decoder.event("", data.as_bytes(), &mut sink));
    let result = result.and_then(|()| decoder.end(&mut sink));
    (out, result.err().map(|error| error.kind()))
}

fn encoded(deltas: Vec<Delta<'_>>) -> Vec<Value> {
    let mut encoder = Gemini.encoder(&asked());
    let mut out = Vec::new();
    for delta in deltas {
        encoder.delta(delta, &mut out);
    }
    let text = String::from_utf8(out).unwrap();
    text.split_terminator("\r\n\r\n")
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

fn start() -> Delta<'static> {
    Delta::Start { id: "r".into(), model: "gemini-x".into(), created: None }
}

#[test]
fn thoughts_texts_and_calls_become_blocks_and_the_end_comes_at_the_end() {
    let (deltas, error) = decoded(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"h","thought":true}]}}],"responseId":"r-1","modelVersion":"g","createTime":"1970-01-01T00:00:07Z","usageMetadata":{"promptTokenCount":3}}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"m","thought":true},{"text":"a"}]},"finishReason":"STOP"}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"b"},{"functionCall":{"name":"f","args":{"x": 1}},"thoughtSignature":"s"},{"functionCall":{"id":"own","name":"g"}}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"t"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2}}"#,
    ]);
    assert_eq!(error, None);
    assert_eq!(
        deltas,
        [
            "start r-1 g Some(7)",
            "usage 3 0 0",
            "open Reasoning { summary: true }",
            "text h",
            "text m",
            "Close",
            "open Text",
            "text a",
            "text b",
            "Close",
            "call lgc_r-1_0 f",
            r#"text {"x": 1}"#,
            "seal call:lgc_r-1_0 s",
            "Close",
            "call own g",
            "text {}",
            "Close",
            "open Text",
            "seal text t",
            "Close",
            "usage 3 2 0",
            "Finish(Calls)",
            "End",
        ]
    );
}

#[test]
fn arguments_in_pieces_are_put_together() {
    let (deltas, error) = decoded(&[
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","willContinue":true},"thoughtSignature":"s"}]}}],"responseId":"r"}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"partialArgs":[{"jsonPath":"$.a","stringValue":"x","willContinue":true}],"willContinue":true}}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{}}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"g","willContinue":true}}]},"finishReason":"STOP"}]}"#,
    ]);
    assert_eq!(error, None);
    let calls = [
        "call lgc_r_0 f",
        "seal call:lgc_r_0 s",
        r#"text {"a":"x"}"#,
        "Close",
        "call lgc_r_1 g",
        "text {}",
        "Close",
    ];
    assert_eq!(deltas[1..8], calls);
}

#[test]
fn a_stream_without_a_reason_to_finish_is_broken_and_a_refused_prompt_is_not() {
    let (deltas, error) = decoded(&[r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#]);
    assert_eq!(error, Some(Kind::UpstreamBroken));
    assert!(!deltas.contains(&"End".to_owned()));
    let (deltas, error) = decoded(&[r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}"#]);
    assert_eq!(error, None);
    assert_eq!(deltas[1..], ["Finish(Filtered)", "End"]);
}

#[test]
fn errors_and_garbage_end_the_reading() {
    let overloaded = r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
    assert_eq!(decoded(&[overloaded]).1, Some(Kind::UpstreamOverloaded));
    assert_eq!(decoded(&["{"]).1, Some(Kind::UpstreamBadAnswer));
    assert_eq!(decoded(&[r#"{"ok":true}"#]).1, Some(Kind::UpstreamBadAnswer));
}

#[test]
fn sources_come_behind_the_text_in_characters() {
    let (deltas, _) = decoded(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"é ab"}]}}],"modelVersion":"gemini-3-flash"}"#,
        r#"{"candidates":[{"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["q","r"],"groundingChunks":[{"web":{"uri":"u"}}],"groundingSupports":[{"segment":{"startIndex":3,"endIndex":5,"text":"ab"},"groundingChunkIndices":[0]}]}}],"usageMetadata":{"promptTokenCount":1}}"#,
    ]);
    assert_eq!(deltas[3..6], [r#"cite Some("u") Some((2, 4))"#, "Close", "usage 1 0 2"]);
}

#[test]
fn a_client_gets_pieces_whole_calls_and_one_last_event_with_reason_and_usage() {
    let foreign = Seal::of(&Origin("anthropic".into()), "anthropic.messages", "signature", "EqQB");
    let usage = Usage { input: 3, cache_read: 4, output: 2, reasoning: 5, ..Usage::default() };
    let events = encoded(vec![
        start(),
        Delta::Open(Block::Reasoning { summary: false }),
        Delta::Text("hm".into()),
        Delta::Seal(foreign.clone()),
        Delta::Close,
        Delta::Open(Block::Text),
        Delta::Text("a\"".into()),
        Delta::Close,
        Delta::Open(Block::Call { id: "toolu_1".into(), name: "f".into(), kind: CallKind::Function }),
        Delta::Text("{\"x\":".into()),
        Delta::Text("1.0}".into()),
        Delta::Close,
        Delta::Open(Block::Call { id: "c".into(), name: "g".into(), kind: CallKind::Custom }),
        Delta::Text("free".into()),
        Delta::Close,
        Delta::Finish(Finish::Calls),
        Delta::Usage(usage),
        Delta::End,
    ]);
    let parts: Vec<&Value> =
        events.iter().map(|event| &event["candidates"][0]["content"]["parts"][0]).collect();
    assert_eq!(*parts[0], json!({"text":"hm","thought":true}));
    assert_eq!(parts[1]["thoughtSignature"], foreign.wrapped());
    assert_eq!(*parts[2], json!({"text":"a\""}));
    // The first call of an answer is signed, if only by nobody.
    let (call, mark) = (json!({"id":"toolu_1","name":"f","args":{"x":1.0}}), Seal::nobodys().wrapped());
    assert_eq!(*parts[3], json!({"functionCall":call,"thoughtSignature":mark}));
    assert!(parts[4]["thoughtSignature"].is_null());
    assert_eq!(parts[4]["functionCall"]["args"], json!({"input":"free"}));
    assert_eq!(
        (events.len(), &events[0]["responseId"], &events[0]["modelVersion"]),
        (6, &json!("r"), &json!("gemini-x"))
    );
    assert_eq!(events[5]["candidates"][0]["finishReason"], "STOP");
    let wanted = json!({"promptTokenCount":7,"candidatesTokenCount":2,"totalTokenCount":14,"cachedContentTokenCount":4,"thoughtsTokenCount":5});
    assert_eq!(events[5]["usageMetadata"], wanted);
    assert!(events[..5].iter().all(|event| event["candidates"][0]["finishReason"].is_null()));
}

#[test]
fn what_only_gemini_has_goes_on_to_its_clients_and_what_others_have_does_not() {
    let native = |dialect, name: &str, json: &str| {
        let json = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
        Delta::Open(Block::Native(Native { dialect, name: name.into(), json }))
    };
    let events = encoded(vec![
        start(),
        native(NAME, "executableCode", r#"{"executableCode":{"code":"1"}}"#),
        Delta::Close,
        native("openai.responses", "web_search_call", "{}"),
        Delta::Close,
        native(NAME, "groundingMetadata", r#"{"webSearchQueries":["q"]}"#),
        Delta::Close,
        Delta::Open(Block::Text),
        Delta::Citation(Citation { url: Some("u".into()), ..Citation::default() }),
        Delta::Close,
        Delta::Finish(Finish::Length),
        Delta::End,
    ]);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["candidates"][0]["content"]["parts"][0], json!({"executableCode":{"code":"1"}}));
    assert_eq!(events[1]["candidates"][0]["groundingMetadata"], json!({"webSearchQueries":["q"]}));
    assert_eq!(events[1]["candidates"][0]["finishReason"], "MAX_TOKENS");
}

#[test]
fn a_whole_answer_is_read_and_written() {
    let body = json!({"candidates":[{"content":{"parts":[
        {"text":"t","thought":true},{"text":"é ab","thoughtSignature":"s"},
        {"functionCall":{"name":"f","args":{"x":1}},"thoughtSignature":"c"},
        {"inlineData":{"mimeType":"image/png","data":"YQ=="},"thoughtSignature":"m"}],"role":"model"},
        "finishReason":"STOP","index":0,"citationMetadata":{"citationSources":[{"startIndex":3,"endIndex":5,"uri":"u"}]},
        "logprobsResult":{"chosenCandidates":[{"token":"a","logProbability":-0.5}],"topCandidates":[{"candidates":[{"token":"b","logProbability":-1.5}]}]}}],
        "usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5,"serviceTier":"flex"},
        "modelVersion":"g","createTime":"2024-02-29T12:34:56Z","responseId":"r"});
    let reply = Gemini.read_reply(&Bytes::from(body.to_string()), &Origin("gemini".into())).unwrap();
    assert_eq!(
        (reply.finish.clone(), reply.created, reply.service_tier.as_deref()),
        (Finish::Calls, Some(1_709_210_096), Some("flex"))
    );
    let mut losses = Losses::default();
    let written = Gemini.write_reply(&reply, &asked(), &mut losses);
    assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), body);
    assert!(losses.is_empty());
}
