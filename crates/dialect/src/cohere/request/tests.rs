use serde_json::{Value, json};

use super::*;
use crate::neutral::{Effort, Message, Output, Part, Request, Role, ToolChoice};
use crate::{Losses, Target};

fn turn(json: &Value) -> Turn {
    peek(json.to_string().into()).unwrap()
}

fn written(request: &Request, model: &str) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let target = Target { provider: "cohere", model, stream: true };
    let bytes = write::write(request, &target, &mut losses).unwrap();
    let lost = losses.iter().map(|loss| loss.what.clone().into_owned()).collect();
    (serde_json::from_slice(&bytes).unwrap(), lost)
}

fn asks() -> Request {
    Request {
        messages: vec![Message { role: Role::User, parts: vec![Part::text("?")] }],
        ..Request::default()
    }
}

#[test]
fn says_which_member_is_wrong() {
    let at = |json: Value| peek(json.to_string().into()).unwrap_err().at().map(str::to_owned);
    assert_eq!(at(json!({ "messages": [] })).as_deref(), Some("model"));
    assert_eq!(at(json!({ "model": "m" })).as_deref(), Some("messages"));
    assert_eq!(at(json!({ "model": "m", "messages": [], "stream": 1 })).as_deref(), Some("stream"));
    let bad = turn(&json!({ "model": "m", "messages": [{ "role": "tool", "content": "x" }] }));
    assert_eq!(read::read(&bad).unwrap_err().at(), Some("messages"));
}

#[test]
fn results_of_tools_and_plans_are_read_and_written() {
    let call =
        json!({ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{\"x\":1.0}" } });
    let document =
        json!({ "type": "document", "document": { "id": "d", "data": { "text": "t", "url": "u" } } });
    let own = json!({
        "model": "command-a", "stream": true,
        "messages": [
            { "role": "user", "content": "Look." },
            { "role": "assistant", "tool_plan": "I look.", "tool_calls": [call] },
            { "role": "tool", "tool_call_id": "a", "content": [document] }
        ],
        "safety_mode": "NONE"
    });
    let request = read::read(&turn(&own)).unwrap();
    let (out, lost) = written(&request, "command-a");
    assert_eq!(out, own);
    assert!(lost.is_empty());
}

#[test]
fn what_is_out_of_range_is_clamped_and_said() {
    let mut request = asks();
    request.temperature = serde_json::Number::from_f64(1.5);
    request.presence_penalty = serde_json::Number::from_f64(-0.5);
    request.top_k = Some(900);
    request.choices = Some(2);
    let (out, lost) = written(&request, "command-a");
    assert_eq!(
        (&out["temperature"], &out["presence_penalty"], &out["k"]),
        (&json!(1.0), &json!(0.0), &json!(500))
    );
    assert_eq!(lost, ["temperature", "presence_penalty", "top_k", "n"]);
}

#[test]
fn only_models_that_think_are_told_to() {
    let mut request = asks();
    request.reasoning = Some(Effort { level: Some("low".into()), ..Effort::default() });
    let (out, lost) = written(&request, "command-a-reasoning-08-2025");
    assert_eq!(out["thinking"], json!({ "type": "enabled", "token_budget": 2048 }));
    assert!(lost.is_empty());
    assert_eq!(written(&request, "command-a-03-2025").1, ["reasoning"]);
}

#[test]
fn a_named_tool_is_the_only_one_and_a_schema_stands_alone() {
    let own = json!({
        "model": "m", "messages": [{ "role": "user", "content": "?" }],
        "tools": [
            { "type": "function", "function": { "name": "a", "parameters": { "type": "object" } } },
            { "type": "function", "function": { "name": "b" } }
        ],
        "strict_tools": true,
        "response_format": { "type": "json_object", "json_schema": { "type": "object" } }
    });
    let mut request = read::read(&turn(&own)).unwrap();
    request.tool_choice = Some(ToolChoice::Named("b".into()));
    let (out, lost) = written(&request, "m");
    assert_eq!(out["tools"].as_array().unwrap().len(), 1);
    assert_eq!((&out["tool_choice"], &out["strict_tools"]), (&json!("REQUIRED"), &json!(true)));
    assert_eq!(lost, ["response_format"]);
    request.tools.clear();
    assert!(matches!(request.output, Output::Schema(_)));
    assert_eq!(written(&request, "m").0["response_format"], own["response_format"]);
}
