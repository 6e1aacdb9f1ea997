//! The meeting with other dialects, rule by rule.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{NAME, OpenAiChat};
use crate::neutral::{
    Block, CacheMark, Call, CallKind, Content, Delta, Effort, Finish, Media, MediaKind, Message, Outcome,
    Part, Reasoning, Reply, Request, Role, Source, Text,
};
use crate::seal::{Origin, Seal};
use crate::{Dialect, Hub, Losses, Target, Turn};

fn turn(json: &Value) -> Turn {
    OpenAiChat.peek(json.to_string().into(), None).unwrap()
}

fn sent(request: &Request, provider: &str) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let target = Target { provider, model: "m", stream: false };
    let body = OpenAiChat.write_request(request, &target, &mut losses).unwrap();
    (serde_json::from_slice(&body).unwrap(), losses.iter().map(|loss| loss.what.to_string()).collect())
}

fn said(messages: Vec<(Role, Vec<Content>)>) -> Request {
    let part = |content| Part::new(content);
    let messages = messages
        .into_iter()
        .map(|(role, parts)| Message { role, parts: parts.into_iter().map(part).collect() })
        .collect();
    Request { messages, ..Request::default() }
}

fn text(text: &str) -> Content {
    Content::Text(Text { text: text.into(), ..Text::default() })
}

fn call(id: &str) -> Content {
    let (name, arguments) = ("f".to_owned(), String::new());
    Content::Call(Call { id: id.into(), name, arguments, kind: CallKind::Function, seal: None })
}

fn outcome(id: &str, parts: Vec<Content>) -> Content {
    let parts = parts.into_iter().map(Part::new).collect();
    Content::Outcome(Outcome { id: id.into(), name: None, parts, failed: false, kind: CallKind::Function })
}

fn roles(body: &Value) -> Vec<String> {
    let messages = body["messages"].as_array().unwrap().iter();
    messages
        .map(|m| format!("{}{}", m["role"].as_str().unwrap(), m["tool_call_id"].as_str().unwrap_or("")))
        .collect()
}

#[test]
fn every_call_has_its_outcome_behind_it() {
    let request = said(vec![
        (Role::User, vec![text("go")]),
        (Role::Assistant, vec![call("a")]),
        (Role::Assistant, vec![text("and"), call("b")]),
        (Role::User, vec![text("wait"), outcome("b", vec![text("2")])]),
        (Role::User, vec![outcome("a", vec![text("1")])]),
        (Role::Assistant, vec![call("lost")]),
        (Role::User, vec![outcome("nobody's", vec![]), text("end")]),
    ]);
    let (body, losses) = sent(&request, "openai");
    assert_eq!(roles(&body), ["user", "assistant", "toolb", "toola", "user", "user"]);
    assert_eq!(body["messages"][1]["tool_calls"].as_array().unwrap().len(), 2);
    assert_eq!(body["messages"][1]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(losses, ["messages.tool_calls", "messages.tool_result"]);
}

#[test]
fn an_id_that_comes_again_in_a_later_turn_finds_its_own_outcome() {
    let request = said(vec![
        (Role::Assistant, vec![call("0")]),
        (Role::User, vec![outcome("0", vec![text("one")])]),
        (Role::Assistant, vec![call("0")]),
        (Role::User, vec![outcome("0", vec![text("two")])]),
    ]);
    let (body, losses) = sent(&request, "openai");
    assert_eq!(
        (&body["messages"][1]["content"], &body["messages"][3]["content"]),
        (&json!("one"), &json!("two"))
    );
    assert_eq!(losses, [""; 0]);
}

#[test]
fn what_is_no_text_in_an_outcome_follows_as_the_users() {
    let image = Content::Media(Media {
        kind: MediaKind::Image,
        source: Source::Base64("AA==".into()),
        mime: Some("image/png".into()),
        name: None,
        detail: None,
    });
    let request = said(vec![
        (Role::Assistant, vec![call("a")]),
        (Role::User, vec![outcome("a", vec![text("see"), image])]),
    ]);
    let (body, losses) = sent(&request, "openai");
    assert_eq!(roles(&body), ["assistant", "toola", "user"]);
    assert_eq!(body["messages"][2]["content"][0]["image_url"]["url"], "data:image/png;base64,AA==");
    assert!(losses.is_empty());
}

#[test]
fn ids_of_other_dialects_fit_and_stay_pairs() {
    let long = "toolu_".repeat(12);
    let request =
        said(vec![(Role::Assistant, vec![call(&long)]), (Role::User, vec![outcome(&long, vec![text("1")])])]);
    for provider in ["openai", "mistral"] {
        let (body, _) = sent(&request, provider);
        let id = body["messages"][0]["tool_calls"][0]["id"].as_str().unwrap();
        assert!(id.len() <= 40);
        assert_eq!(body["messages"][1]["tool_call_id"], id);
    }
}

#[test]
fn a_thought_goes_back_to_whom_it_came_from_and_to_nobody_else() {
    let thought = |provider: &str, dialect: &str| {
        let seal = Seal::of(&Origin(provider.into()), dialect, "reasoning_content", "");
        Content::Reasoning(Reasoning { text: "hm".into(), summary: false, seal: Some(seal) })
    };
    let ask = |thought| said(vec![(Role::Assistant, vec![thought, text("yes")])]);
    let (body, losses) = sent(&ask(thought("deepseek", NAME)), "deepseek");
    assert_eq!((&body["messages"][0]["reasoning_content"], losses.len()), (&json!("hm"), 0));
    for (provider, dialect) in [("other", NAME), ("deepseek", "anthropic.messages")] {
        let (body, losses) = sent(&ask(thought(provider, dialect)), "deepseek");
        assert_eq!(body["messages"][0], json!({"role": "assistant", "content": "yes"}));
        assert_eq!(losses, ["messages.thinking"]);
    }
}

#[test]
fn a_message_of_which_nothing_is_left_is_left_out() {
    let request = said(vec![
        (Role::User, vec![text("go")]),
        (Role::Assistant, vec![Content::Reasoning(Reasoning::default())]),
        (Role::User, vec![text("on")]),
    ]);
    assert_eq!(roles(&sent(&request, "openai").0), ["user", "user"]);
}

#[test]
fn cache_marks_go_where_they_are_taken() {
    let mut request = said(vec![(Role::System, vec![text("be")])]);
    request.messages[0].parts[0].cache = Some(CacheMark { ttl: Some("1h".into()) });
    let (body, losses) = sent(&request, "openrouter");
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], json!({"type": "ephemeral", "ttl": "1h"}));
    assert!(losses.is_empty());
    let (body, losses) = sent(&request, "openai");
    assert_eq!((&body["messages"][0]["content"], losses.len()), (&json!("be"), 1));
}

#[test]
fn how_much_to_think_is_said_as_the_provider_says_it() {
    let ask = |effort| Request { reasoning: Some(effort), ..said(vec![(Role::User, vec![text("go")])]) };
    let budget = ask(Effort { enabled: Some(true), budget: Some(60_000), ..Effort::default() });
    assert_eq!(sent(&budget, "openai").0["reasoning_effort"], "high");
    assert_eq!(sent(&budget, "openrouter").0["reasoning"], json!({"enabled": true, "max_tokens": 60_000}));
    let off = ask(Effort { enabled: Some(false), ..Effort::default() });
    assert_eq!(sent(&off, "deepseek").0["thinking"], json!({"type": "disabled"}));
    let (body, losses) = sent(&off, "openai");
    assert_eq!((body.get("reasoning_effort"), losses), (None, vec!["reasoning.enabled".to_owned()]));
}

#[test]
fn a_member_cannot_be_smuggled_past_what_was_read() {
    let json = json!({"model": "m", "messages": [
        {"role": "user", "content": "good", "part.text": "evil", "content.x": {"type": "text", "text": "evil"}},
    ]});
    let request = OpenAiChat.read_request(&turn(&json)).unwrap();
    let (body, _) = sent(&request, "openai");
    assert_eq!(body["messages"][0]["content"], "good");
    assert_eq!(body["messages"][0]["part.text"], "evil");
}

#[test]
fn the_form_before_tools_is_read_as_tools_and_answered_in_its_own_words() {
    let json = json!({"model": "m", "functions": [{"name": "f", "parameters": {}}], "function_call": {"name": "f"},
    "messages": [
        {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"a\":1}"}},
        {"role": "function", "name": "f", "content": "1"},
    ]});
    let asked = turn(&json);
    let request = OpenAiChat.read_request(&asked).unwrap();
    let (body, losses) = sent(&request, "openai");
    let id = &body["messages"][0]["tool_calls"][0]["id"];
    assert_eq!((&body["messages"][1]["tool_call_id"], losses.len()), (id, 0));
    let Content::Call(called) = call("a") else { return };
    let reply = Reply { parts: vec![Part::new(Content::Call(called))], finish: Finish::Calls, ..empty() };
    let back = OpenAiChat.write_reply(&reply, &asked, &mut Losses::default());
    let back: Value = serde_json::from_slice(&back).unwrap();
    assert_eq!(back["choices"][0]["message"]["function_call"], json!({"name": "f", "arguments": "{}"}));
    assert_eq!(back["choices"][0]["finish_reason"], "function_call");
    let open = Block::Call { id: "a".into(), name: "f".into(), kind: CallKind::Function };
    let chunks =
        encoded(&asked, vec![Delta::Open(open), Delta::Close, Delta::Finish(Finish::Calls), Delta::End]);
    assert_eq!(chunks[1]["choices"][0]["delta"]["function_call"], json!({"name": "f", "arguments": "{}"}));
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "function_call");
}

fn empty() -> Reply {
    Reply {
        id: "i".into(),
        model: "m".into(),
        created: None,
        parts: Vec::new(),
        finish: Finish::Stop,
        usage: None,
        logprobs: Vec::new(),
        service_tier: None,
    }
}

fn encoded(asked: &Turn, deltas: Vec<Delta<'static>>) -> Vec<Value> {
    let (mut encoder, mut out) = (OpenAiChat.encoder(asked), Vec::new());
    encoder.delta(Delta::Start { id: "i".into(), model: "".into(), created: Some(7) }, &mut out);
    for delta in deltas {
        encoder.delta(delta, &mut out);
    }
    let text = String::from_utf8(out).unwrap();
    let data = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn a_state_of_another_dialect_reaches_the_client_with_its_words() {
    let asked = turn(&json!({"model": "asked", "messages": []}));
    let seal = Seal::of(&Origin("anthropic".into()), "anthropic.messages", "signature", "EqQB");
    let chunks = encoded(
        &asked,
        vec![
            Delta::Open(Block::Reasoning { summary: false }),
            Delta::Text("h".into()),
            Delta::Text("m".into()),
            Delta::Seal(seal.clone()),
            Delta::Close,
        ],
    );
    assert_eq!(
        (&chunks[0]["model"], &chunks[1]["choices"][0]["delta"]["reasoning_content"]),
        (&json!("asked"), &json!("h"))
    );
    let detail = &chunks[3]["choices"][0]["delta"]["reasoning_details"][0];
    assert_eq!((&detail["type"], &detail["text"]), (&json!("reasoning.text"), &json!("hm")));
    let back = json!({"model": "m", "messages": [{"role": "assistant", "content": "x", "reasoning_details": [detail]}]});
    let request = OpenAiChat.read_request(&turn(&back)).unwrap();
    let Content::Reasoning(thought) = &request.messages[0].parts[0].content else { panic!("no thought") };
    assert_eq!((thought.text.as_str(), thought.seal.as_ref()), ("hm", Some(&seal)));
}

#[test]
fn a_signature_of_a_call_travels_with_the_call() {
    let asked = turn(&json!({"model": "m", "messages": []}));
    let seal = Seal::of(&Origin("gemini".into()), "gemini.generate", "thought", "AVSo");
    let open = Block::Call { id: "a".into(), name: "f".into(), kind: CallKind::Function };
    let chunks = encoded(
        &asked,
        vec![Delta::Open(open), Delta::Seal(seal.clone()), Delta::Text("{}".into()), Delta::Close],
    );
    let mut first = chunks[1]["choices"][0]["delta"]["tool_calls"][0].clone();
    assert_eq!(first["function"], json!({"name": "f", "arguments": ""}));
    first["function"]["arguments"] = json!("{}");
    let back = json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [first]}]});
    let request = OpenAiChat.read_request(&turn(&back)).unwrap();
    let Content::Call(call) = &request.messages[0].parts[0].content else { panic!("no call") };
    assert_eq!(call.seal, Some(seal));
}

/// What a stream says, in short.
fn decoded(chunks: &[&str]) -> Result<String, lockgate_core::Error> {
    let (mut decoder, mut out) = (OpenAiChat.decoder(&Origin("p".into())), String::new());
    let mut sink = |delta: Delta<'_>| {
        out += &match delta {
            Delta::Open(Block::Call { name, id, .. }) => format!("<{name}:{id} "),
            Delta::Open(Block::Text) => "<text ".to_owned(),
            Delta::Open(Block::Reasoning { .. }) => "<thought ".to_owned(),
            Delta::Open(_) => "<".to_owned(),
            Delta::Text(text) => text.into_owned(),
            Delta::Seal(seal) => format!("|{}:{}|", seal.kind, seal.data),
            Delta::Close => ">".to_owned(),
            Delta::Finish(finish) => format!("{finish:?}"),
            Delta::End => ".".to_owned(),
            _ => String::new(),
        };
    };
    for delta in chunks {
        let chunk = format!(r#"{{"id":"i","choices":[{{"index":0,{delta}}}]}}"#);
        decoder.event("", chunk.as_bytes(), &mut sink)?;
    }
    decoder.end(&mut sink)?;
    Ok(out)
}

const STOP: &str = r#""delta":{},"finish_reason":"tool_calls""#;

#[test]
fn calls_that_come_interleaved_leave_one_after_the_other() {
    let calls = decoded(&[
        r#""delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}},{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}}]}"#,
        r#""delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}"#,
        r#""delta":{"tool_calls":[{"index":1,"function":{"arguments":":2}"}},{"index":0,"function":{"arguments":":\"}\"}"}}]}"#,
        STOP,
    ]);
    assert_eq!(calls.unwrap(), r#"<f:a {"x":"}"}><g:b {"y":2}>Calls."#);
}

#[test]
fn calls_without_an_index_or_with_the_same_are_told_apart() {
    for one in [r#""index":0,"#, ""] {
        let piece = |id: &str| {
            format!(
                r#""delta":{{"tool_calls":[{{{one}"id":"{id}","function":{{"name":"f","arguments":"{{}}"}}}}]}}"#
            )
        };
        let calls = decoded(&[&piece("a"), &piece("b"), STOP]).unwrap();
        assert_eq!(calls, "<f:a {}><f:b {}>Calls.");
    }
}

#[test]
fn a_finish_of_stop_with_calls_waits_for_their_outcomes() {
    let said = decoded(&[
        r#""delta":{"content":"x","reasoning_content":"hm"}"#,
        r#""delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":{"k":1}}}]},"finish_reason":"stop""#,
    ]);
    assert_eq!(said.unwrap(), r#"<thought hm|reasoning_content:|><text x><f:a {"k":1}>Calls."#);
}

#[test]
fn a_thought_in_pieces_has_its_state_at_its_end() {
    let said = decoded(&[
        r#""delta":{"reasoning":"h","reasoning_details":[{"type":"reasoning.text","text":"h","index":0}]}"#,
        r#""delta":{"reasoning":"m","reasoning_details":[{"type":"reasoning.text","text":"m","signature":"s","index":0}]}"#,
        r#""delta":{"content":"x"},"finish_reason":"stop""#,
    ]);
    assert_eq!(said.unwrap(), r#"<thought hm|reasoning.text:{"index":0,"signature":"s"}|><text x>Stop."#);
}

#[test]
fn a_call_without_a_name_and_an_end_without_a_finish_are_errors() {
    let nameless =
        decoded(&[r#""delta":{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{}"}}]}"#, STOP]);
    assert_eq!(nameless.unwrap_err().kind(), lockgate_core::Kind::UpstreamBadAnswer);
    let broken = decoded(&[r#""delta":{"content":"x"}"#]);
    assert_eq!(broken.unwrap_err().kind(), lockgate_core::Kind::UpstreamBroken);
}

#[test]
fn an_answer_keeps_its_other_choices_and_names_what_it_loses() {
    let body = json!({"id": "i", "model": "m", "choices": [
        {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
        {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
    ]});
    let reply = OpenAiChat.read_reply(&body.to_string().into(), &Origin("p".into())).unwrap();
    let asked = turn(&json!({"model": "m", "messages": []}));
    let mut losses = Losses::default();
    let back: Value = serde_json::from_slice(&OpenAiChat.write_reply(&reply, &asked, &mut losses)).unwrap();
    assert_eq!(back["choices"][1], body["choices"][1]);
    let raw = serde_json::value::RawValue::from_string("{}".into()).unwrap();
    let native = crate::neutral::Native { dialect: "other", name: "server_tool".into(), json: raw };
    let reply = Reply { parts: vec![Part::new(Content::Native(native))], ..empty() };
    let _: Bytes = OpenAiChat.write_reply(&reply, &asked, &mut losses);
    assert_eq!(losses.iter().map(|loss| &*loss.what).collect::<Vec<_>>(), ["message.server_tool"]);
    let _: Arc<str> = OpenAiChat.shared_name();
}

#[test]
fn how_long_a_prompt_is_kept_crosses_between_openais_dialects_and_goes_to_nobody_who_refuses_it() {
    use crate::openai_responses::OpenAiResponses;
    let asked =
        json!({"model":"m","messages":[{"role":"user","content":"a"}],"prompt_cache_retention":"24h"});
    let request = OpenAiChat.read_request(&turn(&asked)).unwrap();
    let mut losses = Losses::default();
    let target = Target { provider: "openai", model: "m", stream: false };
    let body = OpenAiResponses.write_request(&request, &target, &mut losses).unwrap();
    assert!(losses.is_empty(), "{losses:?}");
    let turn = OpenAiResponses.peek(body, None).unwrap();
    assert_eq!(turn.payload.text("prompt_cache_retention").as_deref(), Some("24h"));
    let request = OpenAiResponses.read_request(&turn).unwrap();
    let (body, lost) = sent(&request, "openai");
    assert_eq!((&body["prompt_cache_retention"], lost), (&json!("24h"), vec![]));
    assert!(sent(&request, "mistral").0.get("prompt_cache_retention").is_none());
}
