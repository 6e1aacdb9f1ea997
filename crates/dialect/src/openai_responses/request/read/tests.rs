use bytes::Bytes;

use super::*;
use crate::neutral::{CallKind, MediaKind, Source, Tool, ToolChoice};
use crate::seal::{Origin, Seal};

fn read(json: &str) -> Request {
    try_read(json).unwrap()
}

fn try_read(json: &str) -> Result<Request, Error> {
    request(&super::super::peek(Bytes::copy_from_slice(json.as_bytes()))?)
}

fn input(items: &str) -> Request {
    read(&format!(r#"{{"model":"m","input":[{items}]}}"#))
}

fn shape(request: &Request) -> Vec<(Role, usize)> {
    request.messages.iter().map(|message| (message.role, message.parts.len())).collect()
}

#[test]
fn a_turn_of_the_model_is_one_message_and_so_are_its_outcomes() {
    let request = input(
        r#"{"role":"user","content":"hi"},
           {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"g"},
           {"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]},
           {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
           {"type":"custom_tool_call","call_id":"c2","name":"g","input":"x"},
           {"type":"function_call_output","call_id":"c1","output":"1"},
           {"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"2"}]},
           {"role":"user","content":"go on"}"#,
    );
    assert_eq!(shape(&request), [(Role::User, 1), (Role::Assistant, 4), (Role::User, 2), (Role::User, 1)]);
    let Content::Call(call) = &request.messages[1].parts[3].content else { panic!() };
    assert_eq!((call.kind, call.arguments.as_str()), (CallKind::Custom, "x"));
    assert_eq!(request.name_of("c1"), Some("f"));
}

#[test]
fn two_messages_of_the_model_stay_two() {
    let request = input(
        r#"{"role":"assistant","content":"a"},{"type":"message","role":"assistant","phase":"commentary","content":"b"}"#,
    );
    assert_eq!(shape(&request), [(Role::Assistant, 1), (Role::Assistant, 2)]);
}

#[test]
fn instructions_are_the_first_system_text_and_a_system_item_is_not() {
    let with = read(r#"{"model":"m","instructions":"be brief","input":"hi"}"#);
    assert_eq!(shape(&with), [(Role::System, 1), (Role::User, 1)]);
    assert!(!with.hints.iter().any(|hint| hint.name == INSTRUCTIONS));
    let item = input(r#"{"role":"system","content":"be brief"}"#);
    assert!(item.hints.iter().any(|hint| hint.name == INSTRUCTIONS));
}

#[test]
fn a_state_of_another_dialect_comes_back_and_one_of_a_call_to_its_call() {
    let thought = Seal::of(&Origin("anthropic".into()), "anthropic.messages", "signature", "Eq==");
    let call = Seal::of(&Origin("gemini".into()), "gemini.generate", "thought", "abc");
    let carried = Seal { kind: "thought@call".into(), ..call.clone() };
    let request = input(&format!(
        r#"{{"type":"reasoning","id":"rs_lg_0_0","summary":[{{"type":"summary_text","text":"hm"}}],"encrypted_content":"{}"}},
           {{"type":"function_call","id":"fc_lg_0_1","call_id":"c1","name":"f","arguments":"{{}}"}},
           {{"type":"reasoning","summary":[],"encrypted_content":"{}"}},
           {{"type":"function_call","call_id":"c2","name":"f","arguments":"{{}}"}}"#,
        thought.wrapped(),
        carried.wrapped()
    ));
    let parts = &request.messages[0].parts;
    assert_eq!(parts.len(), 3);
    let Content::Reasoning(read) = &parts[0].content else { panic!() };
    assert_eq!((read.text.as_str(), read.seal.as_ref()), ("hm", Some(&thought)));
    let Content::Call(read) = &parts[1].content else { panic!() };
    assert_eq!(read.seal.as_ref(), Some(&call));
    let Content::Call(read) = &parts[2].content else { panic!() };
    assert_eq!(read.seal, None);
}

#[test]
fn what_lies_at_the_provider_ties_the_request() {
    for (json, member) in [
        (r#"{"model":"m","input":[],"previous_response_id":"r"}"#, "previous_response_id"),
        (r#"{"model":"m","input":[],"conversation":{"id":"c"}}"#, "conversation"),
        (r#"{"model":"m","prompt":{"id":"p"}}"#, "prompt"),
        (r#"{"model":"m","input":[],"background":true}"#, "background"),
        (r#"{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}"#, "input"),
        (r#"{"model":"m","input":[{"type":"compaction","encrypted_content":"g"}]}"#, "input"),
    ] {
        let request = read(json);
        assert!(request.may_go_to(NAME).is_ok());
        assert_eq!(request.may_go_to("openai.chat").unwrap_err().at(), Some(member), "{json}");
    }
    assert!(read(r#"{"model":"m","input":"x","background":false}"#).tied.is_none());
}

#[test]
fn parameters_and_what_only_this_dialect_has() {
    let request = read(
        r#"{"model":"m","input":"x","max_output_tokens":9,"temperature":0.10,"reasoning":{"effort":"none","summary":"auto"},
            "text":{"format":{"type":"json_schema","name":"A","schema":{"type":"object"},"strict":true},"verbosity":"low"},
            "include":["message.output_text.logprobs"],"safety_identifier":"u","store":false,"truncation":"auto","max_tool_calls":2}"#,
    );
    assert_eq!(request.max_output, Some(9));
    assert_eq!(request.temperature.unwrap().to_string(), "0.1");
    assert_eq!(request.reasoning.unwrap().level(), Some("none"));
    assert!(matches!(request.output, Output::Schema(_)));
    assert_eq!((request.logprobs, request.verbosity.as_deref()), (Some(0), Some("low")));
    assert_eq!(request.user.as_deref(), Some("u"));
    let names: Vec<_> = request.native.iter().map(|native| native.name.as_str()).collect();
    assert_eq!(names, ["truncation", "max_tool_calls"]);
}

#[test]
fn tools_and_choices() {
    let request = read(
        r#"{"model":"m","input":"x","tools":[
            {"type":"function","name":"f","parameters":{"type":"object"},"defer_loading":true},
            {"type":"function","function":{"name":"g","description":"d"}},
            {"type":"custom","name":"h","format":{"type":"grammar"}},
            {"type":"web_search","search_context_size":"low"},{"type":"mcp","server_label":"s"}],
            "tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]}}"#,
    );
    let [Tool::Function(f), Tool::Function(g), Tool::Custom(_), Tool::WebSearch(_), Tool::Native(mcp)] =
        &request.tools[..]
    else {
        panic!("{:?}", request.tools)
    };
    assert_eq!((f.strict, g.description.as_deref(), mcp.name.as_str()), (None, Some("d"), "mcp"));
    assert_eq!(request.tool_choice, Some(ToolChoice::Allowed { required: true, names: vec!["f".into()] }));
    let hosted = read(r#"{"model":"m","input":"x","tool_choice":{"type":"file_search"}}"#);
    assert_eq!((hosted.tool_choice, hosted.native.len()), (None, 1));
}

#[test]
fn media_in_all_places() {
    let request = input(
        r#"{"role":"user","content":[
            {"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"low"},
            {"type":"input_image","image_url":"https://x/y.png"},{"type":"input_image","file_id":"f1"},
            {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,BB=="},
            {"type":"input_file","file_url":"https://x/y.pdf"},
            {"type":"input_audio","input_audio":{"data":"CC==","format":"wav"}},
            {"type":"input_new","x":1}]}"#,
    );
    let media: Vec<_> = request.messages[0]
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Media(media) => Some((media.kind, media.source.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(
        media,
        [
            (MediaKind::Image, Source::Base64("AA==".into())),
            (MediaKind::Image, Source::Url("https://x/y.png".into())),
            (MediaKind::Image, Source::File("f1".into())),
            (MediaKind::Document, Source::Base64("BB==".into())),
            (MediaKind::Document, Source::Url("https://x/y.pdf".into())),
            (MediaKind::Audio, Source::Base64("CC==".into())),
        ]
    );
    assert!(
        matches!(&request.messages[0].parts[6].content, Content::Native(n) if n.name == "content.input_new")
    );
}

#[test]
fn says_which_member_is_wrong() {
    let at = |json: &str| try_read(json).unwrap_err().at().map(str::to_owned).unwrap_or_default();
    let item = |item: &str| at(&format!(r#"{{"model":"m","input":[{item}]}}"#));
    assert_eq!(item("{}"), "input[0]");
    assert_eq!(item("7"), "input[0]");
    assert_eq!(item(r#"{"role":"robot","content":""}"#), "input[0].role");
    assert_eq!(item(r#"{"role":"user","content":7}"#), "input[0].content");
    assert_eq!(item(r#"{"type":"function_call","name":"f"}"#), "input[0].call_id");
    assert_eq!(at(r#"{"model":"m","input":"x","temperature":"hot"}"#), "temperature");
    assert_eq!(at(r#"{"model":"m","input":"x","tools":[{"name":"f"}]}"#), "tools[0].type");
    assert_eq!(at(r#"{"model":"m","input":"x","tools":[{"type":"function"}]}"#), "tools[0].name");
    assert_eq!(at(r#"{"model":"m","input":"x","text":{"format":{"type":"xml"}}}"#), "text.format.type");
}
