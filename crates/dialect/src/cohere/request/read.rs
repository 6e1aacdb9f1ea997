//! Requests into the neutral form.

use lockgate_core::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Number;
use serde_json::value::RawValue;

use super::super::response::read::{Said, content};
use super::super::wire::{ToolCall, Txt};
use super::super::{NAME, citation};
use super::invalid;
use crate::Turn;
use crate::neutral::{
    Call, CallKind, Content, Effort, Function, Message, Native, Outcome, Output, Part, Request, Role, Schema,
    Tool, ToolChoice,
};

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow)]
    role: Txt<'a>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(default)]
    tool_plan: Option<String>,
    #[serde(default)]
    tool_call_id: Option<String>,
    #[serde(borrow, default)]
    citations: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct WireTool {
    #[serde(default)]
    function: Option<WireFunction>,
}

#[derive(Deserialize)]
struct WireFunction {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Format {
    r#type: String,
    #[serde(default, alias = "schema")]
    json_schema: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Thinking {
    r#type: String,
    #[serde(default)]
    token_budget: Option<u64>,
}

pub(in super::super) fn read(turn: &Turn) -> Result<Request, Error> {
    let mut request = Request::default();
    let payload = &turn.payload;
    for name in payload.names() {
        let Some(raw) = payload.get(name).filter(|raw| *raw != b"null") else { continue };
        match name {
            "model" | "stream" => {}
            "messages" => messages(raw, &mut request)?,
            "tools" => tools(raw, &mut request)?,
            "tool_choice" => request.tool_choice = Some(choice(raw)?),
            "response_format" => request.output = output(of("response_format", raw)?)?,
            "max_tokens" => request.max_output = Some(of("max_tokens", raw)?),
            "stop_sequences" => request.stop = of("stop_sequences", raw)?,
            "temperature" => request.temperature = Some(of::<Number>("temperature", raw)?),
            "p" => request.top_p = Some(of::<Number>("p", raw)?),
            "k" => request.top_k = Some(of("k", raw)?),
            "seed" => request.seed = Some(of("seed", raw)?),
            "frequency_penalty" => request.frequency_penalty = Some(of("frequency_penalty", raw)?),
            "presence_penalty" => request.presence_penalty = Some(of("presence_penalty", raw)?),
            "logprobs" if raw == b"true" => request.logprobs = Some(0),
            "logprobs" if raw == b"false" => {}
            "thinking" => match serde_json::from_slice::<Thinking>(raw) {
                Ok(thinking) => {
                    request.reasoning = Some(Effort {
                        enabled: Some(thinking.r#type != "disabled"),
                        budget: thinking.token_budget,
                        ..Effort::default()
                    });
                }
                Err(_) => native(name, raw, &mut request)?,
            },
            "strict_tools" => {}
            _ => native(name, raw, &mut request)?,
        }
    }
    if payload.flag("strict_tools") == Some(true) {
        for tool in &mut request.tools {
            if let Tool::Function(function) = tool {
                function.strict = Some(true);
            }
        }
    }
    Ok(request)
}

fn of<T: DeserializeOwned>(param: &'static str, raw: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(raw).map_err(|why| invalid(param, format!("\"{param}\" is not valid: {why}.")))
}

fn native(name: &str, raw: &[u8], request: &mut Request) -> Result<(), Error> {
    let json = serde_json::from_slice::<Box<RawValue>>(raw)
        .map_err(|why| invalid("body", format!("\"{name}\" is not valid JSON: {why}.")))?;
    request.native.push(Native { dialect: NAME, name: name.to_owned(), json });
    Ok(())
}

fn messages(raw: &[u8], request: &mut Request) -> Result<(), Error> {
    let messages: Vec<WireMessage<'_>> = serde_json::from_slice(raw)
        .map_err(|why| invalid("messages", format!("\"messages\" is not valid: {why}.")))?;
    request.messages.reserve(messages.len());
    for (at, message) in messages.into_iter().enumerate() {
        let wrong = |why: &str| invalid("messages", format!("messages[{at}]: {why}."));
        let role = match message.role.0.as_ref() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => {
                let id = message
                    .tool_call_id
                    .ok_or_else(|| wrong("a tool's message must have a \"tool_call_id\""))?;
                let mut parts = Vec::new();
                content(message.content, Said::ByTool, &mut parts).map_err(wrong)?;
                let outcome = Outcome { id, name: None, parts, failed: false, kind: CallKind::Function };
                let parts = vec![Part::new(Content::Outcome(outcome))];
                request.messages.push(Message { role: Role::User, parts });
                continue;
            }
            _ => return Err(wrong("the role must be \"system\", \"user\", \"assistant\" or \"tool\"")),
        };
        let mut parts = Vec::new();
        content(message.content, Said::Else, &mut parts).map_err(wrong)?;
        if let Some(plan) = message.tool_plan.filter(|plan| !plan.is_empty()) {
            parts.push(Part::text(plan));
        }
        for raw in message.citations.unwrap_or_default() {
            let placed = citation::read(raw);
            let text = parts.iter_mut().rev().find_map(|part| match &mut part.content {
                Content::Text(text) => Some(text),
                _ => None,
            });
            if let Some(text) = text {
                text.citations.push(placed.citation);
            }
        }
        parts.extend(message.tool_calls.unwrap_or_default().into_iter().map(call));
        request.messages.push(Message { role, parts });
    }
    Ok(())
}

/// A call as the neutral form has it. Models write `null` where a tool takes nothing; that is no arguments.
pub(in super::super) fn call(call: ToolCall<'_>) -> Part {
    let arguments = call.function.arguments.filter(|arguments| arguments.trim() != "null");
    Part::new(Content::Call(Call {
        id: call.id.unwrap_or_default().into_owned(),
        name: call.function.name.unwrap_or_default().into_owned(),
        arguments: arguments.map_or_else(|| "{}".into(), std::borrow::Cow::into_owned),
        kind: CallKind::Function,
        seal: None,
    }))
}

fn tools(raw: &[u8], request: &mut Request) -> Result<(), Error> {
    let tools: Vec<&RawValue> = serde_json::from_slice(raw)
        .map_err(|why| invalid("tools", format!("\"tools\" is not valid: {why}.")))?;
    for (at, raw) in tools.into_iter().enumerate() {
        let tool: WireTool = serde_json::from_str(raw.get())
            .map_err(|why| invalid("tools", format!("tools[{at}]: {why}.")))?;
        request.tools.push(match tool.function {
            Some(function) => Tool::Function(Function {
                name: function.name,
                description: function.description,
                parameters: function.parameters,
                strict: None,
                cache: None,
            }),
            None => Tool::Native(Native { dialect: NAME, name: "tool".into(), json: raw.to_owned() }),
        });
    }
    Ok(())
}

fn choice(raw: &[u8]) -> Result<ToolChoice, Error> {
    match raw {
        b"\"REQUIRED\"" => Ok(ToolChoice::Required),
        b"\"NONE\"" => Ok(ToolChoice::None),
        _ => Err(invalid("tool_choice", "\"tool_choice\" must be \"REQUIRED\" or \"NONE\".")),
    }
}

fn output(format: Format) -> Result<Output, Error> {
    match (format.r#type.as_str(), format.json_schema) {
        ("text", _) => Ok(Output::Text),
        ("json_object", None) => Ok(Output::Json),
        ("json_object", Some(schema)) => {
            Ok(Output::Schema(Schema { name: None, description: None, schema, strict: Some(true) }))
        }
        _ => Err(invalid("response_format", "\"response_format.type\" must be \"text\" or \"json_object\".")),
    }
}
