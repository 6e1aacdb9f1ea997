//! The rules of a request, by example.

use lockgate_core::Kind;
use serde_json::{Value, json};

use super::super::super::{Gemini, NAME};
use super::*;
use crate::neutral::{
    CacheMark, Call, CallKind, Content, Effort, Function, Media, MediaKind, Message, Outcome, Output, Part,
    Reasoning, Role, Schema, Source, Text, ToolChoice,
};
use crate::seal::{Origin, Seal};
use crate::{Dialect, Hub, Named};

const NEW: &str = "gemini-3-pro-preview";
const MIDDLE: &str = "gemini-2.5-flash";

fn written(request: &Request, model: &str) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let target = Target { provider: "gemini", model, stream: false };
    let body = write(request, &target, &mut losses).unwrap();
    let losses = losses.iter().map(|loss| loss.what.to_string()).collect();
    (serde_json::from_slice(&body).unwrap(), losses)
}

fn read(json: &str) -> Request {
    let named = Named { model: MIDDLE, stream: false };
    let turn = Gemini.peek(Bytes::copy_from_slice(json.as_bytes()), Some(named)).unwrap();
    Gemini.read_request(&turn).unwrap()
}

fn raw(json: &str) -> crate::neutral::Raw {
    serde_json::value::RawValue::from_string(json.to_owned()).unwrap()
}

fn message(role: Role, contents: Vec<Content>) -> Message {
    Message { role, parts: contents.into_iter().map(Part::new).collect() }
}

fn text(text: &str) -> Content {
    Content::Text(Text { text: text.into(), ..Text::default() })
}

fn call(id: &str, name: &str) -> Content {
    let (arguments, kind) = ("{\"b\": 1.0, \"a\":2}".into(), CallKind::Function);
    Content::Call(Call { id: id.into(), name: name.into(), arguments, kind, seal: None })
}

fn outcome(id: &str, said: &str) -> Content {
    let (parts, kind) = (vec![Part::text(said)], CallKind::Function);
    Content::Outcome(Outcome { id: id.into(), name: None, parts, failed: false, kind })
}

fn asking(messages: Vec<Message>) -> Request {
    Request { messages, ..Request::default() }
}

fn function(name: &str) -> Tool {
    Tool::Function(Function {
        name: name.into(),
        description: None,
        parameters: Some(raw(r#"{"type":"object","$defs":{}}"#)),
        strict: None,
        cache: None,
    })
}

#[test]
fn system_texts_are_collected_and_alone_they_are_the_users() {
    let user = message(Role::User, vec![text("hi")]);
    let request =
        asking(vec![message(Role::System, vec![text("a")]), user, message(Role::Developer, vec![text("b")])]);
    let (body, losses) = written(&request, MIDDLE);
    assert_eq!(body["systemInstruction"]["parts"], json!([{"text":"a"},{"text":"b"}]));
    assert_eq!(body["contents"], json!([{"role":"user","parts":[{"text":"hi"}]}]));
    assert!(losses.is_empty());
    let (body, losses) = written(&asking(vec![message(Role::System, vec![text("a")])]), MIDDLE);
    assert_eq!(body["contents"][0]["parts"][0]["text"], "a");
    assert_eq!(losses, ["messages.system"]);
}

#[test]
fn nothing_to_say_is_a_callers_error() {
    let target = Target { provider: "gemini", model: NEW, stream: false };
    let error = write(&Request::default(), &target, &mut Losses::default()).unwrap_err();
    assert_eq!((error.kind(), error.at()), (Kind::InvalidRequest, Some("messages")));
}

#[test]
fn parallel_calls_stand_together_and_so_do_their_outcomes_wherever_they_were() {
    let request = asking(vec![
        message(Role::User, vec![text("go")]),
        message(Role::Assistant, vec![call("toolu_1", "f"), call("toolu_2", "g")]),
        message(Role::User, vec![outcome("toolu_2", "two")]),
        message(Role::User, vec![text("and?")]),
        message(Role::User, vec![outcome("toolu_1", "one")]),
    ]);
    let (body, losses) = written(&request, MIDDLE);
    assert!(losses.is_empty(), "{losses:?}");
    let contents = body["contents"].as_array().unwrap();
    assert_eq!(contents[1]["parts"][0]["functionCall"]["args"], json!({"a":2,"b":1.0}));
    let outcomes: Vec<_> = contents[2]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|part| {
            Some((part["functionResponse"]["id"].as_str()?, part["functionResponse"]["name"].as_str()?))
        })
        .collect();
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.contains(&("toolu_1", "f")) && outcomes.contains(&("toolu_2", "g")));
}

#[test]
fn a_call_among_answered_ones_gets_an_outcome_and_an_outcome_without_call_is_text() {
    let request = asking(vec![
        message(Role::Assistant, vec![call("1", "f"), call("2", "g")]),
        message(Role::User, vec![outcome("1", "one"), outcome("9", "nine")]),
    ]);
    let (body, losses) = written(&request, MIDDLE);
    let parts = &body["contents"][1]["parts"];
    assert_eq!(parts[0]["functionResponse"]["name"], "g");
    assert!(parts[0]["functionResponse"]["response"]["error"].is_string());
    assert_eq!(parts[1]["functionResponse"]["response"], json!({"output":"one"}));
    assert_eq!(parts[2], json!({"text":"nine"}));
    assert_eq!(losses, ["messages.tool_calls", "messages.tool_results"]);
}

#[test]
fn calls_that_wait_for_the_client_are_left_alone() {
    let request =
        asking(vec![message(Role::User, vec![text("go")]), message(Role::Assistant, vec![call("1", "f")])]);
    let (body, losses) = written(&request, MIDDLE);
    assert_eq!((body["contents"].as_array().unwrap().len(), losses.len()), (2, 0));
}

#[test]
fn arguments_pass_as_they_were_written_and_what_is_no_object_becomes_one() {
    let target = Target { provider: "gemini", model: MIDDLE, stream: false };
    let request = asking(vec![message(Role::Assistant, vec![call("1", "f")])]);
    let body = write(&request, &target, &mut Losses::default()).unwrap();
    assert!(String::from_utf8_lossy(&body).contains(r#""args":{"b": 1.0, "a":2}"#));
    let broken = Call { arguments: "{\"a\":".into(), ..own_call("1") };
    let (body, losses) =
        written(&asking(vec![message(Role::Assistant, vec![Content::Call(broken)])]), MIDDLE);
    assert_eq!(body["contents"][0]["parts"][0]["functionCall"]["args"], json!({"arguments":"{\"a\":"}));
    assert_eq!(losses, ["messages.tool_calls.arguments"]);
}

fn own_call(id: &str) -> Call {
    let (arguments, kind) = ("{}".into(), CallKind::Function);
    Call { id: id.into(), name: "f".into(), arguments, kind, seal: None }
}

#[test]
fn ids_that_were_made_up_are_not_sent_and_calls_without_ids_find_their_outcomes_by_name_and_order() {
    let request = read(
        r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{"n":1}}},{"functionCall":{"name":"g"}},{"functionCall":{"name":"f","args":{"n":2}}}]},
            {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"1"}}},{"functionResponse":{"name":"f","response":{"output":"2"}}},{"functionResponse":{"name":"g","response":{"error":"x"}}}]}]}"#,
    );
    let calls = request.messages[0].parts.iter().filter_map(|part| match &part.content {
        Content::Call(call) => Some((call.id.as_str(), call.arguments.as_str())),
        _ => None,
    });
    let calls: Vec<_> = calls.into_iter().collect();
    assert_eq!(calls, [("lgc_0", r#"{"n":1}"#), ("lgc_1", "{}"), ("lgc_2", r#"{"n":2}"#)]);
    let outcomes = request.messages[1].parts.iter().filter_map(|part| match &part.content {
        Content::Outcome(outcome) => Some((outcome.id.as_str(), outcome.failed)),
        _ => None,
    });
    let outcomes: Vec<_> = outcomes.into_iter().collect();
    assert_eq!(outcomes, [("lgc_0", false), ("lgc_2", false), ("lgc_1", true)]);
    let (body, losses) = written(&request, MIDDLE);
    assert!(!body.to_string().contains("lgc_"));
    assert!(losses.is_empty());
}

#[test]
fn a_state_goes_to_whoever_made_it_byte_for_byte_and_to_no_one_else() {
    let own = Seal::of(&Origin("gemini".into()), NAME, "call:1", "A-_b==");
    let other = Seal::of(&Origin("vertex".into()), NAME, "call:1", "A");
    for (seal, sent, lost) in [(own, Some("A-_b=="), 0), (other, None, 1)] {
        let call = Call { seal: Some(seal), ..own_call("1") };
        let (body, losses) =
            written(&asking(vec![message(Role::Assistant, vec![Content::Call(call)])]), MIDDLE);
        assert_eq!(body["contents"][0]["parts"][0]["thoughtSignature"].as_str(), sent);
        assert_eq!(losses.len(), lost);
    }
}

#[test]
fn a_state_that_came_apart_from_its_call_finds_it_again() {
    let seal = |kind: &str| Some(Seal::of(&Origin("gemini".into()), NAME, kind, kind));
    let thought = |kind: &str, text: &str| {
        Content::Reasoning(Reasoning { text: text.into(), summary: true, seal: seal(kind) })
    };
    let request = asking(vec![message(
        Role::Assistant,
        vec![
            thought("thought", "hm"),
            call("1", "f"),
            thought("call:1", ""),
            call("2", "g"),
            thought("text", ""),
        ],
    )]);
    let (body, losses) = written(&request, NEW);
    let parts = body["contents"][0]["parts"].as_array().unwrap();
    let signed: Vec<_> = parts.iter().map(|part| part["thoughtSignature"].as_str()).collect();
    assert_eq!(signed, [Some("thought"), Some("call:1"), None, Some("text")]);
    assert_eq!((&parts[0]["thought"], &parts[3]["text"]), (&json!(true), &json!("")));
    assert!(losses.is_empty());
}

#[test]
fn gemini_3_gets_the_documented_signature_for_the_first_call_of_another_model() {
    let messages = vec![message(Role::Assistant, vec![call("1", "f"), call("2", "f")])];
    let (body, losses) = written(&asking(messages.clone()), NEW);
    let parts = &body["contents"][0]["parts"];
    assert!(parts[0]["thoughtSignature"].is_string() && parts[1]["thoughtSignature"].is_null());
    assert!(losses.is_empty());
    assert!(written(&asking(messages), MIDDLE).0["contents"][0]["parts"][0]["thoughtSignature"].is_null());
    // It says nothing, so it is no state that another dialect could lose.
    let read = read(
        r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"},"thoughtSignature":"skip_thought_signature_validator"}]}]}"#,
    );
    assert!(matches!(&read.messages[0].parts[0].content, Content::Call(call) if call.seal.is_none()));
}

#[test]
fn a_thought_of_another_dialect_comes_back_in_one_piece_and_only_there() {
    let foreign = Seal::of(&Origin("anthropic".into()), "anthropic.messages", "signature", "EqQB");
    let wrapped = foreign.wrapped();
    let request = read(&format!(
        r#"{{"contents":[{{"role":"user","parts":[{{"text":"?"}}]}},{{"role":"model","parts":[{{"text":"th","thought":true}}]}},
            {{"role":"model","parts":[{{"text":"ink","thought":true}}]}},{{"role":"model","parts":[{{"text":"","thought":true,"thoughtSignature":"{wrapped}"}}]}},
            {{"role":"model","parts":[{{"text":"so"}}]}}]}}"#
    ));
    let Content::Reasoning(thought) = &request.messages[1].parts[0].content else { panic!("{request:?}") };
    assert_eq!((thought.text.as_str(), &thought.seal), ("think", &Some(foreign)));
    let (body, losses) = written(&request, NEW);
    assert_eq!(body["contents"][1]["parts"], json!([{"text":"so"}]));
    assert_eq!(losses, ["messages.reasoning"]);
}

#[test]
fn schemas_pass_as_json_schema_and_openapi_becomes_it() {
    let mut request = asking(vec![message(Role::User, vec![text("hi")])]);
    request.tools = vec![function("f")];
    let (body, losses) = written(&request, MIDDLE);
    let declared = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(declared["parametersJsonSchema"], json!({"type":"object","$defs":{}}));
    assert!(losses.is_empty());
    let request = read(
        r#"{"contents":[{"parts":[{"text":"a"}]}],"tools":{"function_declarations":[{"name":"f","parameters":{"type":"OBJECT"},"response":{"type":"STRING"}}]},
            "generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"STRING"}}}"#,
    );
    let (body, losses) = written(&request, NEW);
    let declared = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(
        (&declared["parametersJsonSchema"], &declared["response"]),
        (&json!({"type":"object"}), &json!({"type":"STRING"}))
    );
    assert_eq!(body["generationConfig"]["responseJsonSchema"], json!({"type":"string"}));
    assert!(losses.is_empty());
}

#[test]
fn choices_of_tools_have_modes() {
    let mode = |choice: Option<ToolChoice>, strict: bool, model: &str| {
        let mut request = asking(vec![message(Role::User, vec![text("hi")])]);
        let Tool::Function(mut f) = function("f") else { return Value::Null };
        f.strict = Some(strict);
        request.tools = vec![Tool::Function(f)];
        request.tool_choice = choice;
        written(&request, model).0["toolConfig"]["functionCallingConfig"].clone()
    };
    assert_eq!(mode(None, false, MIDDLE), Value::Null);
    assert_eq!(mode(None, true, MIDDLE), json!({"mode":"VALIDATED"}));
    assert_eq!(mode(Some(ToolChoice::Required), true, MIDDLE), json!({"mode":"ANY"}));
    assert_eq!(mode(Some(ToolChoice::None), false, MIDDLE), json!({"mode":"NONE"}));
    let named = json!({"mode":"ANY","allowedFunctionNames":["f"]});
    assert_eq!(mode(Some(ToolChoice::Named("f".into())), false, MIDDLE), named);
}

#[test]
fn thinking_is_told_in_the_words_of_the_model() {
    let thinking = |effort: Effort, model: &str| {
        let mut request = asking(vec![message(Role::User, vec![text("hi")])]);
        request.reasoning = Some(effort);
        let (body, losses) = written(&request, model);
        (body["generationConfig"]["thinkingConfig"].clone(), losses)
    };
    let level = |level: &str| Effort { level: Some(level.into()), ..Effort::default() };
    let budget = |tokens| Effort { budget: Some(tokens), ..Effort::default() };
    assert_eq!(thinking(level("high"), NEW), (json!({"thinkingLevel":"high"}), vec![]));
    assert_eq!(thinking(level("xhigh"), NEW).1, ["reasoning.effort"]);
    assert_eq!(thinking(level("low"), MIDDLE), (json!({"thinkingBudget":2048}), vec![]));
    assert_eq!(
        thinking(budget(99_999), MIDDLE),
        (json!({"thinkingBudget":24576}), vec!["reasoning.budget".into()])
    );
    assert_eq!(thinking(budget(500), NEW), (json!({"thinkingBudget":500}), vec![]));
    assert_eq!(thinking(level("none"), MIDDLE), (json!({"thinkingBudget":0}), vec![]));
    assert_eq!(
        thinking(level("none"), NEW),
        (json!({"thinkingLevel":"low"}), vec!["reasoning.effort".into()])
    );
    assert_eq!(thinking(level("high"), "gemini-2.0-flash"), (Value::Null, vec!["reasoning".into()]));
    let shown = Effort { adaptive: true, summary: Some("auto".into()), ..Effort::default() };
    assert_eq!(thinking(shown, MIDDLE).0, json!({"thinkingBudget":-1,"includeThoughts":true}));
}

#[test]
fn what_gemini_cannot_say_is_lost_aloud_and_once() {
    let mut request = asking(vec![message(Role::User, vec![text("hi")])]);
    request.messages[0].parts[0].cache = Some(CacheMark { ttl: None });
    request.tools = vec![function("f")];
    request.output =
        Output::Schema(Schema { name: None, description: None, schema: raw("{}"), strict: None });
    request.user = Some("u".into());
    request.seed = Some(i64::MAX);
    request.choices = Some(2);
    request.temperature = serde_json::Number::from_f64(3.0);
    request.parallel_tools = Some(false);
    request.native = vec![Native { dialect: "openai.chat", name: "logit_bias".into(), json: raw("{}") }];
    let (body, losses) = written(&request, MIDDLE);
    assert_eq!(
        losses,
        ["parallel_tool_calls", "n", "temperature", "seed", "response_format", "logit_bias", "user"]
    );
    assert_eq!(body["generationConfig"], json!({"temperature":2}));
}

#[test]
fn media_are_sent_inline_or_by_address_and_foreign_files_are_lost() {
    let medium = |source, mime: Option<&str>| {
        let mime = mime.map(str::to_owned);
        Content::Media(Media { kind: MediaKind::Image, source, mime, name: None, detail: None })
    };
    let request = asking(vec![message(
        Role::User,
        vec![
            medium(Source::Base64("YQ==".into()), Some("image/png")),
            medium(Source::Url("https://x.org/a.webp".into()), None),
            medium(Source::Url("data:image/gif;base64,Yg==".into()), None),
            medium(Source::File("file-abc".into()), None),
        ],
    )]);
    let (body, losses) = written(&request, MIDDLE);
    let wanted = json!([
        {"inlineData":{"mimeType":"image/png","data":"YQ=="}},
        {"fileData":{"mimeType":"image/webp","fileUri":"https://x.org/a.webp"}},
        {"inlineData":{"mimeType":"image/gif","data":"Yg=="}}]);
    assert_eq!(body["contents"][0]["parts"], wanted);
    assert_eq!(losses, ["messages.file"]);
}

#[test]
fn media_of_an_outcome_are_in_it_where_the_model_takes_them_and_behind_it_elsewhere() {
    let image = Content::Media(Media {
        kind: MediaKind::Image,
        source: Source::Base64("YQ==".into()),
        mime: Some("image/png".into()),
        name: None,
        detail: None,
    });
    let Content::Outcome(mut shown) = outcome("1", "seen") else { return };
    shown.parts.push(Part::new(image));
    let request = asking(vec![
        message(Role::Assistant, vec![call("1", "f")]),
        message(Role::User, vec![Content::Outcome(shown)]),
    ]);
    let (new, _) = written(&request, NEW);
    assert!(new["contents"][1]["parts"][0]["functionResponse"]["parts"][0]["inlineData"].is_object());
    let (old, _) = written(&request, MIDDLE);
    assert!(old["contents"][1]["parts"][1]["inlineData"].is_object());
}

#[test]
fn what_only_gemini_has_comes_out_again() {
    let json = r#"{"contents":[{"role":"user","parts":[{"fileData":{"mimeType":"video/mp4","fileUri":"gs://b/v"},"videoMetadata":{"fps":2}}]},
        {"role":"model","parts":[{"executableCode":{"code":"1"},"thoughtSignature":"s"},{"inlineData":{"mimeType":"image/png","data":"YQ=="},"thoughtSignature":"m"}]}],
        "safetySettings":[{"a":1}],"cachedContent":"cachedContents/x","labels":{"a":"b"},
        "tools":[{"googleSearch":{}},{"codeExecution":{}}],
        "toolConfig":{"retrievalConfig":{"languageCode":"de"}},
        "generationConfig":{"responseModalities":["IMAGE"],"speechConfig":{}}}"#;
    let (body, losses) = written(&read(json), NEW);
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(body, serde_json::from_str::<Value>(json).unwrap());
}

#[test]
fn a_request_that_rests_on_a_kept_cache_goes_nowhere_else() {
    let request = read(r#"{"contents":[{"parts":[{"text":"a"}]}],"cached_content":"cachedContents/x"}"#);
    assert!(request.may_go_to("gemini.generateContent").is_ok());
    let error = request.may_go_to("openai.chat").unwrap_err();
    assert_eq!(error.at(), Some("cachedContent"));
}

#[test]
fn says_which_member_is_wrong() {
    let named = Named { model: MIDDLE, stream: false };
    let at = |json: &str| {
        let turn = Gemini.peek(Bytes::copy_from_slice(json.as_bytes()), Some(named)).unwrap();
        Gemini.read_request(&turn).unwrap_err().at().map(str::to_owned).unwrap_or_default()
    };
    assert_eq!(at(r#"{"contents":[{"role":"bot","parts":[{"text":"a"}]}]}"#), "contents[0].role");
    assert_eq!(at(r#"{"contents":[{"parts":[{"text":"a"},{"text":7}]}]}"#), "contents[0].parts[1]");
    assert_eq!(at(r#"{"contents":[],"generationConfig":{"topK":"x"}}"#), "generationConfig.topK");
    assert_eq!(at(r#"{"contents":[],"toolConfig":{},"tool_config":{}}"#), "tool_config");
    assert_eq!(
        at(r#"{"contents":[],"tools":[{"functionDeclarations":[{}]}]}"#),
        "tools[0].functionDeclarations[0].name"
    );
}
