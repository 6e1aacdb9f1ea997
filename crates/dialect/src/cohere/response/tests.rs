use lockgate_core::Kind;

use super::*;
use crate::Losses;
use crate::neutral::Content;

fn kind(body: &'static str) -> Kind {
    whole(&Bytes::from_static(body.as_bytes())).unwrap_err().kind()
}

#[test]
fn what_is_no_answer_is_told_apart() {
    assert_eq!(kind("<html>"), Kind::UpstreamBadAnswer);
    assert_eq!(kind("{}"), Kind::UpstreamBadAnswer);
    assert_eq!(kind(r#"{"message":"boom"}"#), Kind::UpstreamError);
    assert_eq!(kind(r#"{"finish_reason":"ERROR","error":"boom","message":{}}"#), Kind::UpstreamError);
    assert_eq!(whole(&Bytes::from_static(br#"{"message":{"role":"assistant"}}"#)).unwrap(), None);
}

#[test]
fn a_plan_is_text_before_its_calls_and_a_plan_again() {
    let body = Bytes::from_static(
        br#"{"id":"a","finish_reason":"TOOL_CALL","message":{"role":"assistant","tool_plan":"I will look.",
            "content":[{"type":"thinking","thinking":"hm"}],
            "tool_calls":[{"id":"f_1","type":"function","function":{"name":"f","arguments":"{\"a\":1.0}"}}]}}"#,
    );
    let reply = read::read(&body).unwrap();
    assert!(matches!(&reply.parts[1].content, Content::Text(text) if text.text == "I will look."));
    let mut losses = Losses::default();
    let out: serde_json::Value = serde_json::from_slice(&write::write(&reply, &mut losses)).unwrap();
    let own: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(out, own);
    assert!(losses.is_empty());
}

#[test]
fn citations_go_to_the_text_that_they_are_of() {
    let body = Bytes::from_static(
        br#"{"message":{"content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"one"},{"type":"text","text":"two"}],
            "citations":[{"start":0,"end":3,"text":"one","content_index":1,"sources":[{"type":"document","id":"d","document":{"title":"T","url":"https://x.example"}}]},
                         {"start":0,"end":3,"text":"two","sources":[]}]}}"#,
    );
    let reply = read::read(&body).unwrap();
    let cited: Vec<usize> = reply
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Text(text) => Some(text.citations.len()),
            _ => None,
        })
        .collect();
    assert_eq!(cited, [1, 1]);
    let Content::Text(text) = &reply.parts[1].content else { panic!("the first text") };
    assert_eq!(text.citations[0].url.as_deref(), Some("https://x.example"));
    assert_eq!(text.citations[0].span, Some((0, 3)));
}
