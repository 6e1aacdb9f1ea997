use serde_json::{Value, json};

use super::*;
use crate::reply::{Manner, Persona};

fn asked(extra: &Value) -> (Ask, Reply, Head) {
    let mut body =
        json!({"model": "echo", "stream": true, "messages": [{"role": "user", "content": "one two"}]});
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    let ask = Ask::read(body.to_string().as_bytes()).unwrap();
    let reply = Reply::compose(&ask, Persona::named(&ask.model).unwrap(), Manner::default());
    let head = Head { id: "chatcmpl-1".to_owned(), created: 7, model: ask.model.clone() };
    (ask, reply, head)
}

fn events(extra: &Value) -> Vec<(Kind, Value)> {
    let (ask, reply, head) = asked(extra);
    let mut script = Script::new(head, &ask, reply);
    std::iter::from_fn(|| script.step())
        .map(|step| {
            let data = std::str::from_utf8(&step.bytes).unwrap();
            let data = data.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
            (step.kind, serde_json::from_str(data).unwrap_or(Value::Null))
        })
        .collect()
}

#[test]
fn a_plain_stream() {
    let events = events(&json!({}));
    let kinds: Vec<Kind> = events.iter().map(|event| event.0).collect();
    assert_eq!(kinds, [Kind::Start, Kind::Content, Kind::Content, Kind::Finish, Kind::Done]);
    assert_eq!(
        events[0].1,
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "echo",
            "service_tier": "default", "system_fingerprint": "fp_demo", "choices": [{"index": 0,
            "delta": {"role": "assistant", "content": "", "refusal": null}, "logprobs": null, "finish_reason": null}]})
    );
    assert_eq!(events[2].1["choices"][0]["delta"], json!({"content": " two"}));
    assert_eq!(events[3].1["choices"][0]["delta"], json!({}));
    assert_eq!(events[3].1["choices"][0]["finish_reason"], "stop");
}

#[test]
fn usage_comes_last_and_only_when_asked_for() {
    let events = events(&json!({"stream_options": {"include_usage": true}}));
    assert_eq!(events[0].1["usage"], Value::Null);
    assert!(events[0].1.as_object().unwrap().contains_key("usage"));
    let (kind, last) = &events[events.len() - 2];
    assert_eq!((*kind, &last["choices"]), (Kind::Usage, &json!([])));
    assert_eq!(last["usage"]["completion_tokens"], 2);
    assert_eq!(last["usage"]["total_tokens"], 2 + 8);
    assert_eq!(last["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
}

#[test]
fn choices_take_turns() {
    let events = events(&json!({"n": 2}));
    let indexes: Vec<u64> =
        events.iter().filter_map(|event| event.1["choices"][0]["index"].as_u64()).collect();
    assert_eq!(indexes, [0, 1, 0, 1, 0, 1, 0, 1]);
}

#[test]
fn calls_are_streamed_in_pieces() {
    let tools = json!([{"type": "function", "function": {"name": "look", "parameters":
        {"type": "object", "properties": {"city": {"type": "string"}}}}}]);
    let events = events(&json!({"tools": tools}));
    assert_eq!(events[0].1["choices"][0]["delta"]["content"], Value::Null);
    let first = &events[1].1["choices"][0]["delta"]["tool_calls"][0];
    assert_eq!(
        (&first["index"], &first["type"], &first["function"]["name"]),
        (&json!(0), &json!("function"), &json!("look"))
    );
    let pieces: Vec<&str> = events[2..]
        .iter()
        .filter_map(|event| event.1["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str())
        .collect();
    assert!(pieces.len() > 2);
    assert_eq!(pieces.concat(), r#"{"city":"two"}"#);
    assert_eq!(events[events.len() - 2].1["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn thoughts_come_before_the_answer() {
    let events = events(&json!({"model": "think", "stream_options": {"include_usage": true}}));
    let deltas: Vec<&Value> = events.iter().map(|event| &event.1["choices"][0]["delta"]).collect();
    let last_thought = deltas.iter().rposition(|delta| delta["reasoning_content"].is_string()).unwrap();
    let first_word =
        deltas.iter().position(|d| d["content"].as_str().is_some_and(|c| !c.is_empty())).unwrap();
    assert!(last_thought < first_word);
    let usage = &events[events.len() - 2].1["usage"];
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], last_thought as u64);
}

#[test]
fn a_whole_answer() {
    let (ask, reply, head) = asked(&json!({"logprobs": true, "top_logprobs": 2}));
    let value: Value = serde_json::from_slice(&whole(&head, &ask, &reply, true, true)).unwrap();
    assert_eq!(value["object"], "chat.completion");
    assert_eq!(value["choices"][0]["message"]["content"], "one two");
    assert_eq!(value["choices"][0]["logprobs"]["content"][1]["token"], " two");
    assert_eq!(value["choices"][0]["logprobs"]["content"][1]["top_logprobs"].as_array().unwrap().len(), 2);
    assert_eq!(value["choices"][0]["finish_reason"], "stop");
    assert_eq!(value["usage"]["completion_tokens"], 2);
}

#[test]
fn an_endless_script_repeats() {
    let (ask, reply, head) = asked(&json!({}));
    let mut script = Script::new(head, &ask, reply).endless();
    let steps: Vec<Step> = std::iter::from_fn(|| script.step()).take(100).collect();
    assert_eq!(steps.len(), 100);
    assert!(steps[1..].iter().all(|step| step.kind == Kind::Content));
    assert_eq!(steps[99].tokens_before, 98);
}
