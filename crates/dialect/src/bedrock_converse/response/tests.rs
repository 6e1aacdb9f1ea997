use lockgate_core::Kind;
use serde_json::{Value, json};

use super::*;
use crate::bedrock_converse::BedrockConverse as BEDROCK;
use crate::neutral::{Call, CallKind, Content, Part, Reasoning, Reply, Text};
use crate::seal::{Origin, Seal};
use crate::{Dialect as _, Losses};

fn kind(body: &'static str) -> Kind {
    whole(&Bytes::from_static(body.as_bytes())).unwrap_err().kind()
}

fn reply(parts: Vec<Part>, finish: Finish) -> Reply {
    Reply {
        id: "r".into(),
        model: "m".into(),
        created: None,
        parts,
        finish,
        usage: None,
        logprobs: Vec::new(),
        service_tier: None,
    }
}

fn written(reply: &Reply) -> (Value, Losses) {
    let mut losses = Losses::default();
    let bytes = write::write(reply, &mut losses);
    (serde_json::from_slice(&bytes).unwrap(), losses)
}

#[test]
fn what_is_no_answer_is_told_apart() {
    assert_eq!(kind(""), Kind::UpstreamBadAnswer);
    assert_eq!(kind(r#"{"ok":true}"#), Kind::UpstreamBadAnswer);
    assert_eq!(
        kind(r#"{"message":"Too many requests","__type":"ThrottlingException"}"#),
        Kind::UpstreamRateLimited
    );
    assert_eq!(whole(&Bytes::from_static(br#"{"output":{"message":{"content":[]}}}"#)).unwrap(), None);
}

#[test]
fn a_foreign_state_goes_over_the_client_and_comes_back_as_it_was() {
    let seal = |kind| Seal::of(&Origin("google".into()), "gemini.generate", kind, "b3BhcXVl");
    let thought = Reasoning { text: "hm".into(), summary: true, seal: Some(seal("thought")) };
    let call = Call {
        id: "a".into(),
        name: "f".into(),
        arguments: "{}".into(),
        kind: CallKind::Function,
        seal: Some(seal("call")),
    };
    let text = Text { text: "So.".into(), citations: Vec::new(), seal: Some(seal("text")) };
    let parts =
        [Content::Reasoning(thought), Content::Text(text), Content::Call(call)].map(Part::new).to_vec();
    let (json, losses) = written(&reply(parts, Finish::Calls));
    assert!(losses.is_empty());
    let content = json["output"]["message"]["content"].clone();
    let request = json!({ "messages": [{ "role": "assistant", "content": content }] });
    let named = crate::Named { model: "m", stream: false };
    let turn = BEDROCK.peek(request.to_string().into(), Some(named)).unwrap();
    let read = BEDROCK.hub().unwrap().read_request(&turn).unwrap();
    let seals: Vec<Option<Seal>> = read.messages[0]
        .parts
        .iter()
        .map(|part| match &part.content {
            Content::Reasoning(reasoning) => reasoning.seal.clone(),
            Content::Text(text) => text.seal.clone(),
            Content::Call(call) => call.seal.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(seals, [Some(seal("thought")), Some(seal("text")), Some(seal("call"))]);
}

#[test]
fn a_stop_text_and_a_tier_are_kept() {
    let (json, _) = written(&reply(vec![Part::text("x")], Finish::StopText(Some("END".into()))));
    assert_eq!(json["stopReason"], "stop_sequence");
    assert_eq!(json["additionalModelResponseFields"]["stop_sequence"], "END");
    let body = Bytes::from(json.to_string());
    let read = read::read(&body, &Origin("aws".into())).unwrap();
    assert_eq!(read.finish, Finish::StopText(Some("END".into())));
}
