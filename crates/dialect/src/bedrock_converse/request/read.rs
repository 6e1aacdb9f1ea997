//! Requests into the neutral form.

use lockgate_core::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Number;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::block::read as block;
use super::super::wire::{Object, Txt};
use super::{additional, invalid};
use crate::Turn;
use crate::neutral::{
    Content, Function, Message, Native, Output, Part, Request, Role, Schema, Tool, ToolChoice,
};

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow)]
    role: Txt<'a>,
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct InferenceConfig {
    max_tokens: Option<u64>,
    temperature: Option<Number>,
    top_p: Option<Number>,
    stop_sequences: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    #[serde(borrow, default)]
    tools: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    tool_choice: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ToolSpec {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    input_schema: Option<InputSchema>,
    #[serde(default)]
    strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputSchema {
    json: Box<RawValue>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OutputConfig {
    text_format: TextFormat,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextFormat {
    r#type: String,
    structure: Structure,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Structure {
    json_schema: JsonSchema,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonSchema {
    schema: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceTier {
    r#type: String,
}

pub(in super::super) fn read(turn: &Turn) -> Result<Request, Error> {
    let mut request = Request::default();
    let payload = &turn.payload;
    let names: Vec<&str> = payload.names().collect();
    // The system texts come first, wherever the member stands.
    if let Some(raw) = payload.get("system").filter(|raw| *raw != b"null") {
        system(raw, &mut request)?;
    }
    for name in names {
        let Some(raw) = payload.get(name).filter(|raw| *raw != b"null") else { continue };
        match name {
            "system" => {}
            "messages" => messages(raw, &mut request)?,
            "toolConfig" => tools(raw, &mut request)?,
            "inferenceConfig" => inference(raw, &mut request)?,
            additional::MEMBER => additional::read(json(name, raw)?, &mut request)?,
            "outputConfig" => match output(raw) {
                Some(schema) => request.output = Output::Schema(schema),
                None => native(name, raw, &mut request)?,
            },
            "requestMetadata" => request.metadata = Some(json(name, raw)?.to_owned()),
            "serviceTier" => match serde_json::from_slice::<ServiceTier>(raw) {
                Ok(tier) => request.service_tier = Some(tier.r#type),
                Err(_) => native(name, raw, &mut request)?,
            },
            _ => native(name, raw, &mut request)?,
        }
    }
    Ok(request)
}

fn json<'a>(name: &str, raw: &'a [u8]) -> Result<&'a RawValue, Error> {
    serde_json::from_slice(raw)
        .map_err(|why| invalid("body", format!("\"{name}\" is not valid JSON: {why}.")))
}

fn native(name: &str, raw: &[u8], request: &mut Request) -> Result<(), Error> {
    let json = json(name, raw)?.to_owned();
    request.native.push(Native { dialect: NAME, name: name.to_owned(), json });
    Ok(())
}

fn of<T: DeserializeOwned>(param: &'static str, raw: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(raw).map_err(|why| invalid(param, format!("\"{param}\" is not valid: {why}.")))
}

fn system(raw: &[u8], request: &mut Request) -> Result<(), Error> {
    let blocks: Vec<&RawValue> = serde_json::from_slice(raw)
        .map_err(|why| invalid("system", format!("\"system\" is not valid: {why}.")))?;
    let mut parts = Vec::with_capacity(blocks.len());
    for (at, raw) in blocks.into_iter().enumerate() {
        block::block(raw, None, &mut parts)
            .map_err(|why| invalid("system", format!("system[{at}]: {why}.")))?;
    }
    if !parts.is_empty() {
        request.messages.insert(0, Message { role: Role::System, parts });
    }
    Ok(())
}

fn messages(raw: &[u8], request: &mut Request) -> Result<(), Error> {
    let messages: Vec<WireMessage<'_>> = serde_json::from_slice(raw)
        .map_err(|why| invalid("messages", format!("\"messages\" is not valid: {why}.")))?;
    request.messages.reserve(messages.len());
    for (at, message) in messages.into_iter().enumerate() {
        let role = match message.role.0.as_ref() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => {
                let text = format!("messages[{at}].role must be \"user\" or \"assistant\".");
                return Err(invalid("messages", text));
            }
        };
        let mut parts = Vec::with_capacity(message.content.len());
        for (place, raw) in message.content.into_iter().enumerate() {
            block::block(raw, None, &mut parts)
                .map_err(|why| invalid("messages", format!("messages[{at}].content[{place}]: {why}.")))?;
        }
        request.messages.push(Message { role, parts });
    }
    Ok(())
}

fn inference(raw: &[u8], request: &mut Request) -> Result<(), Error> {
    let config: InferenceConfig = of("inferenceConfig", raw)?;
    request.max_output = config.max_tokens;
    request.temperature = config.temperature;
    request.top_p = config.top_p;
    request.stop = config.stop_sequences.unwrap_or_default();
    Ok(())
}

fn tools(raw: &[u8], request: &mut Request) -> Result<(), Error> {
    let config: ToolConfig<'_> = serde_json::from_slice(raw)
        .map_err(|why| invalid("toolConfig", format!("\"toolConfig\" is not valid: {why}.")))?;
    for (at, raw) in config.tools.into_iter().enumerate() {
        let wrong = |why: &str| invalid("toolConfig", format!("toolConfig.tools[{at}]: {why}."));
        let members: Object<'_> =
            serde_json::from_str(raw.get()).map_err(|_| wrong("a tool must be an object"))?;
        let Some((kind, value)) = members.iter().next().filter(|_| members.len() == 1) else {
            return Err(wrong("a tool must have one member that says what it is"));
        };
        tool(&kind.0, value, request).map_err(|why| wrong(&why))?;
    }
    if let Some(raw) = config.tool_choice.filter(|raw| raw.get() != "null") {
        let members: Object<'_> = serde_json::from_str(raw.get())
            .map_err(|_| invalid("toolConfig", "\"toolConfig.toolChoice\" must be an object."))?;
        let kind = members.keys().next().map_or("", |kind| kind.0.as_ref());
        request.tool_choice = match kind {
            "auto" => Some(ToolChoice::Auto),
            "any" => Some(ToolChoice::Required),
            "tool" => {
                let named =
                    members.values().next().and_then(|raw| serde_json::from_str::<Named>(raw.get()).ok());
                let named = named.ok_or_else(|| {
                    invalid("toolConfig", "\"toolConfig.toolChoice.tool\" must have a \"name\".")
                })?;
                Some(ToolChoice::Named(named.name))
            }
            _ => {
                return Err(invalid(
                    "toolConfig",
                    "\"toolConfig.toolChoice\" must have one of \"auto\", \"any\" and \"tool\".",
                ));
            }
        };
    }
    Ok(())
}

fn tool(kind: &str, value: &RawValue, request: &mut Request) -> Result<(), String> {
    let own = || Native { dialect: NAME, name: kind.to_owned(), json: value.to_owned() };
    match kind {
        "toolSpec" => {
            let spec: ToolSpec = serde_json::from_str(value.get()).map_err(|why| why.to_string())?;
            request.tools.push(Tool::Function(Function {
                name: spec.name,
                description: spec.description,
                parameters: spec.input_schema.map(|schema| schema.json),
                strict: spec.strict,
                cache: None,
            }));
        }
        "cachePoint" => match (block::mark(value), request.tools.last_mut()) {
            (Some(mark), Some(Tool::Function(function))) if function.cache.is_none() => {
                function.cache = Some(mark);
            }
            _ => request.tools.push(Tool::Native(own())),
        },
        "systemTool" => {
            let named =
                serde_json::from_str::<Named>(value.get()).map(|named| named.name).unwrap_or_default();
            let own = own();
            request.tools.push(if named.contains("grounding") {
                Tool::WebSearch(own)
            } else {
                Tool::Native(own)
            });
        }
        _ => request.tools.push(Tool::Native(own())),
    }
    Ok(())
}

fn output(raw: &[u8]) -> Option<Schema> {
    let config: OutputConfig = serde_json::from_slice(raw).ok()?;
    let schema = config.text_format.structure.json_schema;
    (config.text_format.r#type == "json_schema").then_some(())?;
    Some(Schema {
        name: schema.name,
        description: schema.description,
        schema: RawValue::from_string(schema.schema).ok()?,
        strict: Some(true),
    })
}

/// Whether a message has something that only a conversation with tools has.
pub(super) fn has_tool_blocks(parts: &[Part]) -> bool {
    parts.iter().any(|part| match &part.content {
        Content::Call(_) | Content::Outcome(_) => true,
        Content::Native(native) => {
            native.dialect == NAME && ["toolUse", "toolResult"].contains(&native.name.as_str())
        }
        _ => false,
    })
}
