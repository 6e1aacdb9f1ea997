//! Text completions as recorded.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;

use bytes::Bytes;
use contract::Contract;
use lockgate_core::Quirks;
use lockgate_core::upstream::StreamUsage;
use lockgate_dialect::neutral::Delta;
use lockgate_dialect::openai_completions::OpenAiCompletions;
use lockgate_dialect::seal::Origin;
use lockgate_dialect::sse::Splitter;
use lockgate_dialect::{Dialect, Hub, Losses, Target, Turn};
use lockgate_testkit::vectors::{self, Exchange};
use serde_json::{Value, json};

fn recorded() -> Vec<Exchange> {
    vectors::of("openai.completions").unwrap_or_default()
}

fn asking() -> Turn {
    let body = r#"{"model":"m","prompt":"","stream":true,"stream_options":{"include_usage":true}}"#;
    OpenAiCompletions.peek(Bytes::from_static(body.as_bytes()), None).unwrap()
}

fn events(body: &Bytes) -> Vec<Vec<u8>> {
    let (mut splitter, mut chunk, mut all) = (Splitter::default(), body.clone(), Vec::new());
    while let Some(event) = splitter.next(&mut chunk).unwrap() {
        all.extend(event.data().map(std::borrow::Cow::into_owned));
    }
    all
}

#[test]
fn a_recorded_request_goes_out_as_it_came_and_means_the_same_when_read() {
    let quirks = Quirks { stream_usage: StreamUsage::Always, ..Quirks::default() };
    let (mut same, mut refused) = (0, 0);
    for exchange in recorded() {
        let body = exchange.request.as_ref().unwrap().bytes();
        let turn = OpenAiCompletions.peek(body.clone(), None).unwrap();
        assert_eq!(OpenAiCompletions.prepare(&turn, &turn.model, &quirks).body.join(), body);
        let mut own: Value = serde_json::from_slice(&body).unwrap();
        let Ok(request) = OpenAiCompletions.read_request(&turn) else {
            let one = own["prompt"].is_string()
                || own["prompt"].as_array().is_some_and(|p| p.len() == 1 && p[0].is_string());
            assert!(!one || exchange.response.status != Some(200), "{}: {}", exchange.id, own["prompt"]);
            refused += 1;
            continue;
        };
        let target = Target { provider: "openai", model: &turn.model, stream: turn.stream };
        let mut losses = Losses::default();
        let back = OpenAiCompletions.write_request(&request, &target, &mut losses).unwrap();
        let back: Value = serde_json::from_slice(&back).unwrap();
        let members = own.as_object_mut().unwrap();
        members.retain(|_, value| !value.is_null() && *value != json!({}));
        members.remove("stream_options");
        if let Some(stop) = members.get_mut("stop").filter(|stop| stop.is_string()) {
            *stop = json!([stop.clone()]);
        }
        if members["prompt"].is_array() {
            members["prompt"] = members["prompt"][0].clone();
        }
        if !losses.is_empty() {
            assert!(members.remove("n").is_some_and(|n| n != 1) && turn.stream, "{losses:?}");
        }
        assert_eq!(back, own, "{}", exchange.id);
        same += 1;
    }
    println!("{same} the same, {refused} refused: several prompts, or wrong");
}

#[test]
fn a_recorded_answer_read_and_written_says_the_same() {
    let (mut whole, mut streams) = (0, 0);
    let origin = Origin("openai".into());
    for exchange in recorded().iter().filter(|exchange| exchange.response.status == Some(200)) {
        let body = exchange.response.bytes();
        if !exchange.response.is_stream() {
            let own: Value = serde_json::from_slice(&body).unwrap();
            let reply = OpenAiCompletions.read_reply(&body, &origin).unwrap();
            let back = OpenAiCompletions.write_reply(&reply, &asking(), &mut Losses::default());
            let back: Value = serde_json::from_slice(&back).unwrap();
            for name in ["text", "finish_reason"] {
                assert_eq!(back["choices"][0][name], own["choices"][0][name], "{}", exchange.id);
            }
            assert_eq!(back["choices"].as_array().unwrap().len(), own["choices"].as_array().unwrap().len());
            for name in ["prompt_tokens", "completion_tokens", "total_tokens"] {
                let count = |answer: &Value| answer["usage"][name].as_u64().unwrap_or(0);
                assert_eq!(count(&back), count(&own), "{}", exchange.id);
            }
            let usage = OpenAiCompletions.whole(&body).unwrap().unwrap();
            assert_eq!(Some(usage.input_total()), own["usage"]["prompt_tokens"].as_u64());
            whole += 1;
            continue;
        }
        let all = events(&body);
        let said = |events: &[Vec<u8>]| -> (String, Option<String>) {
            let chunks = events.iter().filter_map(|data| serde_json::from_slice::<Value>(data).ok());
            let choices: Vec<Value> = chunks
                .map(|chunk| chunk["choices"][0].clone())
                .filter(|choice| choice["index"] == 0)
                .collect();
            let text = choices.iter().filter_map(|choice| choice["text"].as_str()).collect();
            (text, choices.iter().find_map(|choice| choice["finish_reason"].as_str().map(str::to_owned)))
        };
        let mut meter = OpenAiCompletions.meter(&asking());
        for data in &all {
            let _ = meter.note(data);
        }
        for cut in 0..=all.len() {
            let mut decoder = OpenAiCompletions.decoder(&origin);
            let mut encoder = OpenAiCompletions.encoder(&asking());
            let (mut contract, mut out) = (Contract::default(), Vec::new());
            let mut sink = |delta: Delta<'_>| {
                contract.see(&delta);
                encoder.delta(delta, &mut out);
            };
            for data in &all[..cut] {
                decoder.event("", data, &mut sink).unwrap();
            }
            let result = decoder.end(&mut sink);
            let (text, finish) = said(&all[..cut]);
            assert_eq!(result.is_ok(), finish.is_some(), "{} {cut}", exchange.id);
            assert_eq!(contract.ended(), result.is_ok());
            if result.is_ok() {
                assert_eq!(said(&events(&out.into())), (text, finish));
            }
        }
        assert!(meter.complete() && meter.content_bytes() > 0);
        streams += 1;
    }
    println!("{whole} whole answers, {streams} streams");
}
