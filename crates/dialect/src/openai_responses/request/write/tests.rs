use serde_json::{Value, json};

use super::super::super::response::items::ITEM;
use super::super::{peek, read};
use super::*;
use crate::neutral::{
    Call, CallKind, Function, Media, MediaKind, Message, Native, Outcome, Part, Reasoning, Role, Source, Tool,
};
use crate::seal::{Origin, Seal};

const TARGET: Target<'static> = Target { provider: "openai", model: "gpt", stream: false };

fn written(request: &Request) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = super::request(request, &TARGET, &mut losses).unwrap();
    assert!(peek(body.clone()).is_ok());
    let lost = losses.iter().map(|loss| loss.what.to_string()).collect();
    (serde_json::from_slice(&body).unwrap(), lost)
}

fn again(json: &Value) -> Value {
    let turn = peek(json.to_string().into()).unwrap();
    let (body, lost) = written(&read::request(&turn).unwrap());
    assert_eq!(lost, [""; 0]);
    body
}

fn said(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts }
}

fn call(id: &str, arguments: &str) -> Part {
    Part::new(Content::Call(Call {
        id: id.into(),
        name: "f".into(),
        arguments: arguments.into(),
        kind: CallKind::Function,
        seal: None,
    }))
}

fn outcome(id: &str, parts: Vec<Part>, failed: bool) -> Part {
    let kind = CallKind::Function;
    Part::new(Content::Outcome(Outcome { id: id.into(), name: None, parts, failed, kind }))
}

#[test]
fn a_request_of_another_dialect() {
    let request = Request {
        messages: vec![
            said(Role::System, vec![Part::text("one"), Part::text("two")]),
            said(Role::User, vec![Part::text("hi"), Part::text("")]),
            said(Role::Assistant, vec![Part::text("yes"), call("c1", "")]),
            said(Role::User, vec![outcome("c1", vec![Part::text("42")], true), Part::text("go on")]),
        ],
        tools: vec![Tool::Function(Function {
            name: "f".into(),
            description: None,
            parameters: None,
            strict: None,
            cache: None,
        })],
        max_output: Some(1),
        stop: vec!["x".into()],
        reasoning: Some(Effort { budget: Some(9_000), ..Effort::default() }),
        ..Request::default()
    };
    let (body, lost) = written(&request);
    assert_eq!(body["instructions"], "one\n\ntwo");
    assert_eq!(
        body["input"],
        json!([
            {"type":"message","role":"user","content":"hi"},
            {"type":"message","role":"assistant","content":"yes"},
            {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c1","output":"42"},
            {"type":"message","role":"user","content":"go on"},
        ])
    );
    assert_eq!(
        body["tools"],
        json!([{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}])
    );
    assert_eq!(body["store"], false);
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(body["reasoning"], json!({"effort":"medium"}));
    assert_eq!(body["max_output_tokens"], 16);
    assert_eq!(lost, ["messages.tool_result.is_error", "max_tokens", "stop"]);
}

#[test]
fn calls_and_outcomes_without_each_other_are_left_out_of_a_foreign_request() {
    let request = Request {
        messages: vec![
            said(Role::Assistant, vec![call("c1", "{}")]),
            said(Role::User, vec![outcome("c2", Vec::new(), false), Part::text("hi")]),
        ],
        ..Request::default()
    };
    let (body, lost) = written(&request);
    assert_eq!(body["input"], json!([{"type":"message","role":"user","content":"hi"}]));
    assert_eq!(lost, ["messages.tool_call", "messages.tool_result"]);
}

#[test]
fn ids_that_do_not_fit_are_replaced_alike() {
    let long = "x".repeat(65);
    let request = Request {
        messages: vec![
            said(Role::Assistant, vec![call(&long, "{}")]),
            said(Role::User, vec![outcome(&long, Vec::new(), false)]),
        ],
        ..Request::default()
    };
    let (body, _) = written(&request);
    assert_eq!(body["input"][0]["call_id"], body["input"][1]["call_id"]);
    assert!(body["input"][0]["call_id"].as_str().unwrap().len() <= 64);
}

#[test]
fn a_state_goes_back_to_who_made_it_byte_for_byte_and_to_nobody_else() {
    let item = r#"{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"gAAA+/=","x":1.0}"#;
    let thought = |origin: &str, dialect: &str| {
        let seal = Some(Seal::of(&Origin(origin.into()), dialect, ITEM, item));
        let thought = Reasoning { text: "hm".into(), summary: true, seal };
        Request {
            messages: vec![said(
                Role::Assistant,
                vec![Part::new(Content::Reasoning(thought)), Part::text("a")],
            )],
            ..Request::default()
        }
    };
    let (body, lost) = written(&thought("openai", NAME));
    // Behind it stands a text without an id of the provider's, so its own id would be refused.
    assert_eq!(
        body["input"][0],
        json!({"type":"reasoning","summary":[],"encrypted_content":"gAAA+/=","x":1.0})
    );
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    assert!(lost.is_empty());
    for other in [thought("azure", NAME), thought("openai", "gemini.generate")] {
        let (body, lost) = written(&other);
        assert_eq!(body["input"].as_array().unwrap().len(), 1);
        assert_eq!(lost, ["messages.reasoning"]);
    }
}

#[test]
fn the_ids_of_a_thought_and_of_what_follows_stay_together() {
    let json = json!({"model":"gpt","input":[
        {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"g"},
        {"type":"message","id":"msg_1","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"a","annotations":[]}]},
        {"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"g"},
        {"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{}","namespace":"n"},
        {"type":"reasoning","id":"rs_3","summary":[],"encrypted_content":"g"},
        {"type":"web_search_call","id":"ws_1","status":"completed"},
    ]});
    assert_eq!(again(&json), json);
    let cut = json!({"model":"gpt","input":[
        {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"g"},
        {"type":"message","role":"assistant","content":"a"},
    ]});
    assert_eq!(again(&cut)["input"][0], json!({"type":"reasoning","summary":[],"encrypted_content":"g"}));
}

#[test]
fn what_only_this_dialect_has_comes_out_again() {
    let json = json!({"model":"gpt","instructions":"i","input":[
            {"type":"message","role":"user","content":[
                {"type":"input_text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}},
                {"type":"input_new","x":1}]},
            {"type":"mcp_approval_response","approve":true},
            {"type":"additional_tools","role":"developer","tools":[]}],
        "tools":[{"type":"function","name":"f","parameters":{},"strict":true,"defer_loading":true},
            {"type":"mcp","server_label":"s"},{"type":"web_search","search_context_size":"low"}],
        "store":false,"previous_response_id":"r","background":true,"truncation":"auto","include":["x"],
        "reasoning":{"effort":"low","context":"auto"},"text":{"format":{"type":"text"},"new":1},
        "prompt_cache_options":{"mode":"explicit"},"safety_identifier":"u","user":"v","unheard_of":[1.0]});
    assert_eq!(again(&json), json);
}

#[test]
fn media_cross_where_they_can() {
    let media = |kind, source, mime: Option<&str>| {
        let mime = mime.map(Into::into);
        Part::new(Content::Media(Media { kind, source, mime, name: None, detail: None }))
    };
    let request = Request {
        messages: vec![said(
            Role::User,
            vec![
                media(MediaKind::Image, Source::Base64("AA==".into()), Some("image/webp")),
                media(MediaKind::Document, Source::Text("hi".into()), None),
                media(MediaKind::Audio, Source::Base64("BB==".into()), Some("audio/mpeg")),
                media(MediaKind::Video, Source::Url("u".into()), None),
                media(MediaKind::Document, Source::File("f".into()), None),
            ],
        )],
        ..Request::default()
    };
    let (body, lost) = written(&request);
    assert_eq!(
        body["input"][0]["content"],
        json!([
            {"type":"input_image","image_url":"data:image/webp;base64,AA=="},
            {"type":"input_file","filename":"document.txt","file_data":"data:text/plain;base64,aGk="},
            {"type":"input_audio","input_audio":{"data":"BB==","format":"mp3"}},
        ])
    );
    assert_eq!(lost, ["messages.media"]);
}

#[test]
fn what_only_another_dialect_has_is_lost_by_name() {
    let native = |name: &str| Native {
        dialect: "anthropic.messages",
        name: name.into(),
        json: serde_json::value::to_raw_value(&json!({"type":name,"max_uses":3})).unwrap(),
    };
    let request = Request {
        messages: vec![said(Role::User, vec![Part::new(Content::Native(native("search_result")))])],
        tools: vec![Tool::WebSearch(native("web_search_20250305")), Tool::Native(native("bash_20250124"))],
        native: vec![native("container")],
        hints: vec![native("betas")],
        ..Request::default()
    };
    let (body, lost) = written(&request);
    assert_eq!(body["tools"], json!([{"type":"web_search"}]));
    assert_eq!(lost, ["messages.search_result", "tools.web_search", "tools.bash_20250124", "container"]);
}

#[test]
fn how_much_another_dialect_wants_thought_is_said_in_levels_that_models_have() {
    let effort = |effort: Effort| {
        let (body, lost) = written(&Request { reasoning: Some(effort), ..Request::default() });
        (body["reasoning"]["effort"].clone(), lost.len())
    };
    let budget = |tokens| Effort { budget: Some(tokens), ..Effort::default() };
    assert_eq!(effort(budget(1)), (json!("low"), 0));
    assert_eq!(effort(budget(100_000)), (json!("high"), 0));
    assert_eq!(effort(Effort { level: Some("max".into()), ..Effort::default() }), (json!("xhigh"), 1));
    assert_eq!(effort(Effort { enabled: Some(false), ..Effort::default() }), (Value::Null, 1));
}
