use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::anthropic::request::{peek, read};
use crate::neutral::CacheMark;
use crate::neutral::{
    Call, CallKind, Custom, Function, Media, MediaKind, Message, Outcome, Part, Reasoning, Schema, Source,
    ToolChoice,
};
use crate::seal::{Origin, Seal};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.into()).unwrap()
}

fn user(text: &str) -> Message {
    Message { role: Role::User, parts: vec![Part::text(text)] }
}

fn asking() -> Request {
    Request { messages: vec![user("hi")], ..Request::default() }
}

fn function(name: &str) -> Tool {
    Tool::Function(Function {
        name: name.into(),
        description: None,
        parameters: Some(raw(r#"{"type":"object","properties":{}}"#)),
        strict: None,
        cache: None,
    })
}

fn call(id: &str, arguments: &str, kind: CallKind) -> Part {
    let (id, name, arguments) = (id.into(), "f".into(), arguments.into());
    Part::new(Content::Call(Call { id, name, arguments, kind, seal: None }))
}

fn outcome(id: &str, parts: Vec<Part>) -> Message {
    let outcome = Outcome { id: id.into(), name: None, parts, failed: true, kind: CallKind::Function };
    Message { role: Role::User, parts: vec![Part::new(Content::Outcome(outcome))] }
}

/// What goes out, and what was lost.
fn sent(request: &Request, model: &str) -> (Value, Vec<String>) {
    let target = Target { provider: "anthropic", model, stream: false };
    let mut losses = Losses::default();
    let body = write(request, &target, &mut losses).unwrap();
    assert!(peek(body.clone()).is_ok());
    (serde_json::from_slice(&body).unwrap(), losses.iter().map(|loss| loss.what.to_string()).collect())
}

#[test]
fn a_plain_request_has_what_the_provider_demands_and_nothing_is_lost() {
    let (body, lost) = sent(&asking(), "claude-sonnet-4-5");
    assert_eq!(
        body,
        json!({"model":"claude-sonnet-4-5","max_tokens":64000,
               "messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]})
    );
    assert!(lost.is_empty());
}

#[test]
fn everything_that_the_provider_lacks_is_named_once() {
    let request = Request {
        output: Output::Json,
        choices: Some(2),
        logprobs: Some(1),
        frequency_penalty: Some(Number::from(1)),
        presence_penalty: Some(Number::from(0)),
        seed: Some(7),
        service_tier: Some("flex".into()),
        cache_key: Some("k".into()),
        verbosity: Some("low".into()),
        metadata: Some(raw("{}")),
        stop: vec!["\n".into(), "END".into()],
        native: vec![Native { dialect: "openai.chat", name: "logit_bias".into(), json: raw("{}") }],
        ..asking()
    };
    let (body, mut lost) = sent(&request, "claude-sonnet-4-5");
    lost.sort();
    assert_eq!(
        lost,
        [
            "frequency_penalty",
            "logit_bias",
            "logprobs",
            "metadata",
            "n",
            "prompt_cache_key",
            "response_format",
            "seed",
            "service_tier",
            "stop",
            "verbosity"
        ]
    );
    assert_eq!(body["stop_sequences"], json!(["END"]));
}

#[test]
fn sampling_is_what_the_model_takes() {
    let hot = Request {
        temperature: Number::from_f64(1.5),
        top_p: Number::from_f64(0.5),
        top_k: Some(3),
        ..asking()
    };
    let (body, lost) = sent(&hot, "claude-3-5-haiku-latest");
    assert_eq!((&body["temperature"], &body["top_p"], &body["top_k"]), (&json!(1), &json!(0.5), &json!(3)));
    assert_eq!(lost, ["temperature"]);
    let (body, lost) = sent(&hot, "claude-sonnet-4-5");
    assert_eq!((body["top_p"].is_null(), lost), (true, vec!["temperature".into(), "top_p".into()]));
    let (body, lost) = sent(&hot, "claude-opus-4-8");
    assert!(body["temperature"].is_null() && body["top_k"].is_null());
    assert_eq!(lost, ["temperature", "top_p", "top_k"]);
    let thinking = Request {
        reasoning: Some(Effort { level: Some("low".into()), ..Effort::default() }),
        temperature: Number::from_f64(0.2),
        ..asking()
    };
    let (body, lost) = sent(&thinking, "claude-sonnet-4-5");
    assert_eq!(body["thinking"], json!({"type":"enabled","budget_tokens":2048}));
    assert_eq!(lost, ["temperature"]);
}

#[test]
fn a_schema_goes_out_in_the_current_form() {
    let schema = Schema {
        name: Some("answer".into()),
        description: None,
        schema: raw(r#"{"type":"object","properties":{},"additionalProperties":false}"#),
        strict: Some(true),
    };
    let (body, lost) = sent(&Request { output: Output::Schema(schema), ..asking() }, "claude-sonnet-4-5");
    assert_eq!(
        body["output_config"]["format"],
        json!({"type":"json_schema","schema":{"type":"object","properties":{},"additionalProperties":false}})
    );
    assert!(lost.is_empty());
}

#[test]
fn tools_and_their_choice_are_phrased_as_the_provider_phrases_them() {
    let choose = |choice, parallel_tools| Request {
        tools: vec![function("f"), function("g")],
        tool_choice: choice,
        parallel_tools,
        ..asking()
    };
    let of = |choice, parallel| sent(&choose(choice, parallel), "claude-sonnet-4-5");
    assert_eq!(of(Some(ToolChoice::Required), None).0["tool_choice"], json!({"type":"any"}));
    assert_eq!(
        of(None, Some(false)).0["tool_choice"],
        json!({"type":"auto","disable_parallel_tool_use":true})
    );
    assert_eq!(of(Some(ToolChoice::None), Some(false)).0["tool_choice"], json!({"type":"none"}));
    let named = ToolChoice::Named("g".into());
    assert_eq!(of(Some(named), None).0["tool_choice"], json!({"type":"tool","name":"g"}));
    let (body, lost) = of(Some(ToolChoice::Allowed { required: true, names: vec!["g".into()] }), None);
    assert_eq!((body["tools"].as_array().unwrap().len(), &body["tool_choice"]["type"]), (1, &json!("any")));
    assert!(lost.is_empty());
    let (body, lost) = sent(&Request { tool_choice: Some(ToolChoice::Auto), ..asking() }, "m");
    assert!(body["tool_choice"].is_null() && lost.is_empty());
}

#[test]
fn tools_of_other_kinds_become_the_nearest_or_are_lost() {
    let native =
        |name: &str, json: &str| Native { dialect: "openai.responses", name: name.into(), json: raw(json) };
    let search = r#"{"type":"web_search","filters":{"allowed_domains":["a.b"]},
        "user_location":{"type":"approximate","country":"DE"},"search_context_size":"low"}"#;
    let request = Request {
        tools: vec![
            Tool::WebSearch(native("web_search", search)),
            Tool::Native(native("file_search", "{}")),
            Tool::Custom(Custom { name: "patch".into(), description: None, format: Some(raw("{}")) }),
        ],
        ..asking()
    };
    let (body, lost) = sent(&request, "claude-sonnet-4-5");
    assert_eq!(
        body["tools"][0],
        json!({"type":"web_search_20250305","name":"web_search","allowed_domains":["a.b"],
               "user_location":{"type":"approximate","country":"DE"}})
    );
    assert_eq!(body["tools"][1]["input_schema"]["required"], json!(["input"]));
    assert_eq!(
        lost,
        ["tools.web_search.search_context_size", "tools.file_search", "tools.custom", "tools.custom.format"]
    );
}

#[test]
fn arguments_become_an_object_and_keep_their_words() {
    let messages = vec![
        user("go"),
        Message {
            role: Role::Assistant,
            parts: vec![
                call("a", r#"{"z":1.0,"a":12345678901234567890}"#, CallKind::Function),
                call("b", "", CallKind::Function),
                call("c", "[1]", CallKind::Function),
                call("d", "{\"x\":", CallKind::Function),
                call("e", "*** patch \"x\"", CallKind::Custom),
            ],
        },
        outcome("a", vec![Part::text("one")]),
        outcome("b", vec![]),
        outcome("c", vec![]),
        outcome("d", vec![]),
        outcome("e", vec![]),
    ];
    let target = Target { provider: "p", model: "m", stream: true };
    let mut losses = Losses::default();
    let bytes = write(&Request { messages, ..Request::default() }, &target, &mut losses).unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    assert!(text.contains(r#""input":{"z":1.0,"a":12345678901234567890}"#));
    let body: Value = serde_json::from_str(text).unwrap();
    let input = |at: usize| &body["messages"][1]["content"][at]["input"];
    assert_eq!((input(1), input(2)), (&json!({}), &json!({"arguments":[1]})));
    assert_eq!((input(3), input(4)), (&json!({"arguments":"{\"x\":"}), &json!({"input":"*** patch \"x\""})));
    assert_eq!(body["messages"][2]["content"][0]["content"], "one");
    assert_eq!(body["messages"][2]["content"][0]["is_error"], true);
    assert_eq!((losses.iter().count(), &body["stream"]), (1, &json!(true)));
}

#[test]
fn only_the_providers_own_thoughts_go_back_to_it_byte_for_byte() {
    let thought = |provider: &str, dialect: &str, kind: &str| {
        Part::new(Content::Reasoning(Reasoning {
            text: "hm".into(),
            summary: true,
            seal: Some(Seal::of(&Origin(provider.into()), dialect, kind, "EqQB+/==")),
        }))
    };
    let messages = vec![
        user("go"),
        Message {
            role: Role::Assistant,
            parts: vec![
                thought("openai", "openai.responses", "encrypted"),
                thought("anthropic", NAME, "signature"),
                thought("anthropic", NAME, "redacted"),
                thought("vertex", NAME, "signature"),
                call("a", "{}", CallKind::Function),
            ],
        },
        outcome("a", vec![]),
    ];
    let reasoning = Some(Effort { budget: Some(2_000), enabled: Some(true), ..Effort::default() });
    let (body, lost) =
        sent(&Request { messages, reasoning: reasoning.clone(), ..Request::default() }, "claude-sonnet-4-5");
    let content = &body["messages"][1]["content"];
    assert_eq!(content[0], json!({"type":"thinking","thinking":"hm","signature":"EqQB+/=="}));
    assert_eq!(content[1], json!({"type":"redacted_thinking","data":"EqQB+/=="}));
    assert_eq!((&content[2]["type"], &body["thinking"]["type"]), (&json!("tool_use"), &json!("enabled")));
    assert_eq!(lost, ["messages.reasoning"]);

    let messages = vec![
        user("go"),
        Message {
            role: Role::Assistant,
            parts: vec![
                thought("openai", "openai.responses", "encrypted"),
                call("a", "{}", CallKind::Function),
            ],
        },
        outcome("a", vec![]),
    ];
    let (body, lost) = sent(&Request { messages, reasoning, ..Request::default() }, "claude-sonnet-4-5");
    assert!(body["thinking"].is_null());
    assert_eq!(lost, ["reasoning", "messages.reasoning"]);
}

#[test]
fn media_go_where_the_provider_takes_them() {
    let media = |kind, source, mime: &str| {
        let mime = Some(mime.to_owned()).filter(|mime| !mime.is_empty());
        Part::new(Content::Media(Media { kind, source, mime, name: None, detail: None }))
    };
    let parts = vec![
        media(MediaKind::Image, Source::Base64("aGk=".into()), "image/png"),
        media(MediaKind::Image, Source::Url("data:image/jpg;base64,aGk=".into()), ""),
        media(MediaKind::Image, Source::Base64("aGk=".into()), "image/tiff"),
        media(MediaKind::Document, Source::Base64("aGk=".into()), "text/csv"),
        media(MediaKind::Document, Source::File("file-openai".into()), ""),
        media(MediaKind::Audio, Source::Base64("aGk=".into()), "audio/wav"),
    ];
    let messages = vec![Message { role: Role::User, parts }];
    let (body, lost) = sent(&Request { messages, ..Request::default() }, "claude-sonnet-4-5");
    let content = body["messages"][0]["content"].as_array().unwrap();
    assert_eq!(content.len(), 3);
    assert_eq!(content[1]["source"]["media_type"], "image/jpeg");
    assert_eq!(content[2]["source"], json!({"type":"text","media_type":"text/plain","data":"hi"}));
    assert_eq!(lost, ["messages.media", "messages.file_id", "messages.audio"]);
}

#[test]
fn of_many_cache_marks_the_last_four_are_set() {
    let part = |text: &str| Part { cache: Some(CacheMark { ttl: Some("24h".into()) }), ..Part::text(text) };
    let messages =
        vec![Message { role: Role::User, parts: (0..6).map(|at| part(&at.to_string())).collect() }];
    let (body, lost) = sent(&Request { messages, ..Request::default() }, "claude-sonnet-4-5");
    let content = body["messages"][0]["content"].as_array().unwrap();
    let marked: Vec<bool> = content.iter().map(|block| block["cache_control"].is_object()).collect();
    assert_eq!(marked, [false, false, true, true, true, true]);
    assert_eq!(lost, ["cache_control", "cache_control.ttl"]);
}

#[test]
fn the_models_last_words_end_without_white_space() {
    let messages = vec![user("go"), Message { role: Role::Assistant, parts: vec![Part::text("{ \n")] }];
    let (body, lost) = sent(&Request { messages, ..Request::default() }, "claude-sonnet-4-5");
    assert_eq!(body["messages"][1]["content"][0]["text"], "{");
    assert_eq!(lost, ["messages.content"]);
}

#[test]
fn what_a_coding_agent_sends_is_all_there_again() {
    let json = r#"{"model":"claude-opus-4-8","max_tokens":32000,"stream":true,
        "system":[{"type":"text","text":"x-header"},{"type":"text","text":"You are","cache_control":{"type":"ephemeral","ttl":"1h","scope":"global"}}],
        "messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}],
        "tools":[{"name":"Bash","description":"d","input_schema":{"type":"object","properties":{}},"eager_input_streaming":true},
            {"type":"web_search_20250305","name":"web_search","max_uses":8},
            {"type":"mcp_toolset","mcp_server_name":"m","cache_control":{"type":"ephemeral"}}],
        "metadata":{"user_id":"user_1"},"thinking":{"type":"adaptive"},"output_config":{"effort":"high","task_budget":{"type":"tokens","total":9}},
        "context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},
        "mcp_servers":[{"type":"url","url":"https://m","name":"m"}],"container":"c","service_tier":"auto","speed":"fast"}"#;
    let request = read(&peek(Bytes::from_static(json.as_bytes())).unwrap()).unwrap();
    let target = Target { provider: "anthropic", model: "claude-opus-4-8", stream: true };
    let mut losses = Losses::default();
    let written = write(&request, &target, &mut losses).unwrap();
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(
        serde_json::from_slice::<Value>(&written).unwrap(),
        serde_json::from_str::<Value>(json).unwrap()
    );
    assert!(matches!(&request.tools[2], Tool::WebSearch(_)));
    assert_eq!(request.user.as_deref(), Some("user_1"));
}
