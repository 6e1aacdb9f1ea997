use serde_json::{Value, json};

use super::*;
use crate::neutral::{
    CacheMark, Call, CallKind, Content, Effort, Function, Media, MediaKind, Message, Outcome, Part,
    Reasoning, Request, Role, Source, Tool, ToolChoice,
};
use crate::seal::{Origin, Seal};
use crate::{Losses, Target};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn message(role: Role, contents: Vec<Content>) -> Message {
    Message { role, parts: contents.into_iter().map(Part::new).collect() }
}

fn text(text: &str) -> Content {
    Part::text(text).content
}

fn call(id: &str) -> Content {
    Content::Call(Call {
        id: id.into(),
        name: "look".into(),
        arguments: "{\"at\":1.0}".into(),
        kind: CallKind::Function,
        seal: None,
    })
}

fn outcome(id: &str, failed: bool) -> Content {
    let parts = vec![Part::text("seen")];
    Content::Outcome(Outcome { id: id.into(), name: None, parts, failed, kind: CallKind::Function })
}

fn thought(provider: &str) -> Content {
    let seal = Some(Seal::of(&Origin(provider.into()), crate::bedrock_converse::NAME, "signature", "c2ln"));
    Content::Reasoning(Reasoning { text: "hm".into(), summary: false, seal })
}

fn function(parameters: Option<&str>) -> Tool {
    Tool::Function(Function {
        name: "look".into(),
        description: Some("Looks.".into()),
        parameters: parameters.map(|json| serde_json::from_str(json).unwrap()),
        strict: None,
        cache: None,
    })
}

fn tried(request: &Request, model: &str) -> Result<(Value, Vec<String>), Error> {
    let mut losses = Losses::default();
    let target = Target { provider: "aws", model, stream: false };
    let bytes = write::write(request, &target, &mut losses)?;
    let lost = losses.iter().map(|loss| loss.what.clone().into_owned()).collect();
    Ok((serde_json::from_slice(&bytes).unwrap(), lost))
}

fn written(request: &Request, model: &str) -> (Value, Vec<String>) {
    tried(request, model).unwrap()
}

fn of(messages: Vec<Message>) -> Request {
    Request { messages, ..Request::default() }
}

#[test]
fn says_which_member_is_wrong() {
    let at = |json: &str, model: Option<&str>| {
        let named = model.map(|model| Named { model, stream: false });
        peek(Bytes::copy_from_slice(json.as_bytes()), named).unwrap_err().at().map(str::to_owned)
    };
    assert_eq!(at("{}", None).as_deref(), Some("modelId"));
    assert_eq!(at("{}", Some("")).as_deref(), Some("modelId"));
    assert_eq!(at(r#"{"messages":{}}"#, Some("m")).as_deref(), Some("messages"));
    let turn = peek(
        Bytes::from_static(br#"{"messages":[{"role":"x","content":[]}]}"#),
        Some(Named { model: "m", stream: true }),
    );
    assert_eq!(read::read(&turn.unwrap()).unwrap_err().at(), Some("messages"));
}

#[test]
fn quirks_drop_rename_and_add() {
    let turn = peek(
        Bytes::from_static(br#"{"messages":[],"serviceTier":{"type":"flex"},"a":1}"#),
        Some(Named { model: "m", stream: false }),
    )
    .unwrap();
    let quirks = Quirks {
        drop: vec!["serviceTier".into()],
        rename: vec![("a".into(), "b".into())],
        add: vec![("c".into(), "true".into())],
        ..Quirks::default()
    };
    let prepared = prepare(&turn, &quirks);
    assert_eq!(prepared.body.join(), &br#"{"messages":[],"b":1,"c":true}"#[..]);
    assert_eq!(prepared.dropped, ["serviceTier"]);
}

#[test]
fn calls_and_outcomes_stand_in_pairs_and_tools_are_declared() {
    let request = of(vec![
        message(Role::System, vec![text("Be brief.")]),
        message(Role::User, vec![text("Look.")]),
        message(Role::Assistant, vec![call("call|1"), call("b")]),
        message(Role::User, vec![text("And?"), outcome("b", true)]),
        message(Role::User, vec![outcome("call|1", false)]),
    ]);
    let (out, lost) = written(&request, CLAUDE);
    let user = &out["messages"][2]["content"];
    assert_eq!(user[0]["toolResult"]["toolUseId"], out["messages"][1]["content"][0]["toolUse"]["toolUseId"]);
    assert_eq!(user[1]["toolResult"]["status"], "error");
    assert_eq!(user[2]["text"], "And?");
    assert_eq!(out["messages"][1]["content"][0]["toolUse"]["input"].to_string(), "{\"at\":1.0}");
    assert_eq!(out["toolConfig"]["tools"][0]["toolSpec"]["name"], "look");
    assert_eq!(lost, ["tools"]);
    assert_eq!(out["system"], json!([{ "text": "Be brief." }]));
}

#[test]
fn a_conversation_begins_with_the_user() {
    let (out, lost) = written(&of(vec![message(Role::System, vec![text("Hi.")])]), CLAUDE);
    assert_eq!(
        (&out["messages"][0]["role"], &lost[..]),
        (&json!("user"), &["messages.system".to_owned()][..])
    );
    let greeted = of(vec![message(Role::Assistant, vec![text("Hi. \n")])]);
    assert_eq!(written(&greeted, CLAUDE).0["messages"][0]["role"], "assistant");
    let (out, lost) = written(&greeted, "amazon.nova-lite-v1:0");
    assert_eq!(out["messages"][0]["role"], "user");
    assert_eq!(out["messages"][1]["content"][0]["text"], "Hi.");
    assert_eq!(lost, ["messages"]);
}

#[test]
fn only_own_thoughts_go_back_and_thinking_stops_without_them() {
    let think = Some(Effort { level: Some("high".into()), ..Effort::default() });
    let with = |provider: &str| Request {
        messages: vec![
            message(Role::User, vec![text("Look.")]),
            message(Role::Assistant, vec![thought(provider), call("a")]),
            message(Role::User, vec![outcome("a", false)]),
        ],
        tools: vec![function(None)],
        reasoning: think.clone(),
        ..Request::default()
    };
    let (out, lost) = written(&with("aws"), CLAUDE);
    assert_eq!(out["messages"][1]["content"][0]["reasoningContent"]["reasoningText"]["signature"], "c2ln");
    assert_eq!(
        out["additionalModelRequestFields"]["thinking"],
        json!({ "type": "enabled", "budget_tokens": 16384 })
    );
    assert!(lost.is_empty());
    let (out, lost) = written(&with("other"), CLAUDE);
    assert_eq!(out["messages"][1]["content"][0]["toolUse"]["name"], "look");
    assert_eq!(out.get("additionalModelRequestFields"), None);
    assert_eq!(lost, ["messages.reasoning", "reasoning"]);
    // By level alone a model goes on without the thought.
    let (out, _) = written(&with("other"), "anthropic.claude-opus-4-6-v1");
    assert_eq!(out["additionalModelRequestFields"]["thinking"], json!({ "type": "adaptive" }));
    assert_eq!(out["additionalModelRequestFields"]["output_config"], json!({ "effort": "high" }));
}

#[test]
fn each_family_is_told_to_think_in_its_own_words() {
    let request = |level: &str| Request {
        messages: vec![message(Role::User, vec![text("?")])],
        reasoning: Some(Effort { level: Some(level.into()), ..Effort::default() }),
        ..Request::default()
    };
    let fields = |level, model| written(&request(level), model).0["additionalModelRequestFields"].clone();
    assert_eq!(fields("high", "openai.gpt-oss-120b-1:0"), json!({ "reasoning_effort": "high" }));
    assert_eq!(fields("high", "qwen.qwen3-32b-v1:0"), json!({ "reasoning_config": "high" }));
    assert_eq!(
        fields("low", "us.amazon.nova-2-lite-v1:0"),
        json!({ "reasoningConfig": { "type": "enabled", "maxReasoningEffort": "low" } })
    );
    assert_eq!(fields("none", CLAUDE), Value::Null);
    assert_eq!(written(&request("high"), "us.deepseek.r1-v1:0").1, ["reasoning"]);
}

#[test]
fn a_budget_leaves_room_and_randomness_yields_to_thinking() {
    let mut request = of(vec![message(Role::User, vec![text("?")])]);
    request.reasoning = Some(Effort { enabled: Some(true), budget: Some(8_000), ..Effort::default() });
    request.max_output = Some(4_000);
    request.temperature = serde_json::Number::from_f64(0.2);
    request.top_k = Some(5);
    let (out, lost) = written(&request, CLAUDE);
    assert_eq!(out["additionalModelRequestFields"]["thinking"]["budget_tokens"], 3_999);
    assert_eq!(out["inferenceConfig"], json!({ "maxTokens": 4_000 }));
    assert_eq!(lost, ["reasoning.budget", "top_k", "temperature"]);
    request.max_output = Some(500);
    assert_eq!(written(&request, CLAUDE).1, ["reasoning"]);
    request.tool_choice = Some(ToolChoice::Required);
    request.tools = vec![function(None)];
    request.max_output = None;
    assert_eq!(written(&request, CLAUDE).1, ["reasoning"]);
}

#[test]
fn what_is_out_of_range_is_clamped_and_said() {
    let mut request = of(vec![message(Role::User, vec![text("?")])]);
    request.temperature = serde_json::Number::from_f64(1.5);
    request.seed = Some(7);
    request.service_tier = Some("auto".into());
    request.metadata = Some(serde_json::from_str(r#"{"team":"a"}"#).unwrap());
    let (out, lost) = written(&request, CLAUDE);
    assert_eq!(out["inferenceConfig"], json!({ "temperature": 1 }));
    assert_eq!(out["requestMetadata"], json!({ "team": "a" }));
    assert_eq!(lost, ["temperature", "seed"]);
}

#[test]
fn schemas_are_of_objects_and_choices_are_kept() {
    let mut request = of(vec![message(Role::User, vec![text("?")])]);
    let schema = |request: &Request| {
        written(request, CLAUDE).0["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"].clone()
    };
    request.tools = vec![function(Some("{}"))];
    assert_eq!(schema(&request), json!({ "json": { "type": "object", "properties": {} } }));
    request.tools = vec![function(Some(r#"{"properties":{"b":{},"a":{}}}"#))];
    assert_eq!(written(&request, CLAUDE).1, ["tools.look.parameters"]);
    assert_eq!(schema(&request)["json"]["type"], "object");
    request.tool_choice = Some(ToolChoice::Allowed { required: true, names: vec!["look".into()] });
    assert_eq!(
        written(&request, CLAUDE).0["toolConfig"]["toolChoice"],
        json!({ "tool": { "name": "look" } })
    );
    request.tool_choice = Some(ToolChoice::None);
    assert_eq!(written(&request, CLAUDE).0.get("toolConfig"), None);
}

#[test]
fn media_that_cannot_be_sent_are_refused_and_documents_have_a_text() {
    let media = |kind, source, mime: &str| {
        let media = Media { kind, source, mime: Some(mime.into()), name: Some("a.b".into()), detail: None };
        of(vec![message(Role::User, vec![Content::Media(media)])])
    };
    let url = media(MediaKind::Image, Source::Url("https://x.example/a.png".into()), "image/png");
    let error = tried(&url, CLAUDE).unwrap_err();
    assert_eq!(error.retry_advice(), lockgate_core::Retry::Elsewhere);
    assert!(tried(&media(MediaKind::Image, Source::Base64("AA==".into()), "image/tiff"), CLAUDE).is_err());
    let (out, lost) =
        written(&media(MediaKind::Document, Source::Base64("AA==".into()), "application/pdf"), CLAUDE);
    assert_eq!(
        out["messages"][0]["content"],
        json!([
            { "document": { "format": "pdf", "name": "a-b", "source": { "bytes": "AA==" } } },
            { "text": "See the document." }
        ])
    );
    assert!(lost.is_empty());
}

#[test]
fn marks_of_the_cache_go_where_they_are_taken() {
    let mark = Some(CacheMark { ttl: Some("1h".into()) });
    let part = |text: &str| Part { cache: mark.clone(), ..Part::text(text) };
    let request = of(vec![
        Message { role: Role::System, parts: vec![part("a")] },
        Message { role: Role::User, parts: (0..5).map(|_| part("b")).collect() },
    ]);
    let (out, lost) = written(&request, CLAUDE);
    assert_eq!(out["system"][1], json!({ "cachePoint": { "type": "default", "ttl": "1h" } }));
    assert_eq!(out["messages"][0]["content"].as_array().unwrap().len(), 8);
    assert_eq!(lost, ["cache_control"]);
    assert_eq!(written(&request, "mistral.x").1, ["cache_control"]);
}
