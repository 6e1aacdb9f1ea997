use serde_json::{Value, json};

use super::super::super::request::peek;
use super::*;
use crate::neutral::{Citation, Text};
use crate::seal::Origin;

fn asked() -> Turn {
    peek(Bytes::from_static(br#"{"model":"m","input":"x"}"#)).unwrap()
}

fn written(parts: Vec<Part>, finish: Finish) -> (Value, Losses) {
    let answer = Reply {
        id: "msg_01".into(),
        model: "m".into(),
        created: None,
        parts,
        finish,
        usage: None,
        logprobs: Vec::new(),
        service_tier: None,
    };
    let mut losses = Losses::default();
    let body = reply(&answer, &asked(), &mut losses);
    (serde_json::from_slice(&body).unwrap(), losses)
}

fn call(id: &str, seal: Option<Seal>) -> Part {
    Part::new(Content::Call(Call {
        id: id.into(),
        name: "f".into(),
        arguments: "{\"a\": 1.0}".into(),
        kind: CallKind::Function,
        seal,
    }))
}

#[test]
fn texts_side_by_side_are_one_message_and_calls_are_items() {
    let (json, losses) = written(vec![Part::text("a"), Part::text("b\n"), call("c1", None)], Finish::Calls);
    assert!(losses.is_empty());
    assert_eq!(json["status"], "completed");
    assert_eq!(json["output"][0]["content"][1]["text"], "b\n");
    assert_eq!(json["output"][0]["content"][0]["logprobs"], json!([]));
    assert_eq!(json["output"][1]["arguments"], "{\"a\": 1.0}");
    assert_eq!(json["output"][1]["call_id"], "c1");
    assert_ne!(json["output"][0]["id"], json["output"][1]["id"]);
}

#[test]
fn a_state_of_another_dialect_travels_wrapped_beside_its_words() {
    let seal = Seal::of(&Origin("anthropic".into()), "anthropic.messages", "signature", "EqQB==");
    let thought = Reasoning { text: "hm".into(), summary: false, seal: Some(seal.clone()) };
    let (json, _) = written(vec![Part::new(Content::Reasoning(thought))], Finish::Stop);
    let item = &json["output"][0];
    assert_eq!(item["summary"][0]["text"], "hm");
    assert_eq!(Seal::read(NAME, ITEM, item["encrypted_content"].as_str().unwrap()), seal);
}

#[test]
fn a_state_of_a_call_follows_it() {
    let seal = Seal::of(&Origin("gemini".into()), "gemini.generate", "thought", "abc");
    let (json, _) = written(vec![call("c1", Some(seal)), call("c2", None)], Finish::Calls);
    assert_eq!(json["output"][1]["type"], "reasoning");
    let read = Seal::read(NAME, ITEM, json["output"][1]["encrypted_content"].as_str().unwrap());
    assert_eq!((&*read.kind, read.data.as_str()), ("thought@call", "abc"));
    assert_eq!(json["output"][2]["call_id"], "c2");
}

#[test]
fn a_thought_of_this_dialect_goes_out_as_it_came() {
    let item = r#"{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"gAAA"}"#;
    let seal = Seal::of(&Origin("openai".into()), NAME, ITEM, item);
    let thought = Reasoning { text: String::new(), summary: true, seal: Some(seal) };
    let (json, _) = written(vec![Part::new(Content::Reasoning(thought))], Finish::Stop);
    assert_eq!(json["output"][0], serde_json::from_str::<Value>(item).unwrap());
}

#[test]
fn an_answer_that_was_cut_or_filtered_is_incomplete() {
    let reason = |finish| written(Vec::new(), finish).0["incomplete_details"]["reason"].clone();
    assert_eq!(reason(Finish::Length), "max_output_tokens");
    assert_eq!(reason(Finish::Filtered), "content_filter");
    assert_eq!(reason(Finish::Refused), "content_filter");
    assert_eq!(reason(Finish::StopText(None)), Value::Null);
    let declined = vec![Part::new(Content::Refusal("no".into()))];
    assert_eq!(written(declined, Finish::Refused).0["status"], "completed");
}

#[test]
fn a_source_that_has_no_form_is_a_loss() {
    let citations = vec![Citation { quote: Some("q".into()), ..Citation::default() }];
    let text = Part::new(Content::Text(Text { text: "x".into(), citations, seal: None }));
    let (json, losses) = written(vec![text], Finish::Stop);
    assert_eq!(json["output"][0]["content"][0]["annotations"], json!([]));
    assert_eq!(losses.iter().count(), 1);
}
