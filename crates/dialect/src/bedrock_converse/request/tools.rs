//! `toolConfig`.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::Payload;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::wire::{CachePoint, Members};
use super::write::Writer;
use crate::Losses;
use crate::neutral::{Function, Tool, ToolChoice};

/// A tool as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum WireTool<'a> {
    ToolSpec(ToolSpec<'a>),
    CachePoint(CachePoint<'a>),
    #[serde(untagged)]
    Raw(Box<RawValue>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolSpec<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: InputSchema<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct InputSchema<'a> {
    json: Cow<'a, RawValue>,
}

/// The schema of a function without parameters.
const NOTHING: &str = r#"{"type":"object","properties":{}}"#;

pub(super) fn write(writer: &mut Writer<'_, '_>) -> Option<Box<RawValue>> {
    let request = writer.request;
    let called = writer.called();
    if called.is_none() && (request.tools.is_empty() || request.tool_choice == Some(ToolChoice::None)) {
        // Without tools nothing can be called: that is how the dialect says none.
        return None;
    }
    let mut tools = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        write_tool(tool, writer, &mut tools);
    }
    if tools.is_empty() {
        for name in called.iter().flatten() {
            // The history's tools must be declared: what is not offered any more has no schema either.
            tools.push(WireTool::ToolSpec(ToolSpec {
                name,
                description: Some("Not available any more."),
                input_schema: InputSchema { json: schema(None, name, writer.losses) },
                strict: None,
            }));
        }
        if !tools.is_empty() {
            writer
                .losses
                .lose("tools", "the target wants the tools of the history declared, so it may call them");
        }
    }
    if tools.is_empty() {
        return None;
    }
    let choice = match &request.tool_choice {
        None => None,
        Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => Some(json!({ "auto": {} })),
        Some(ToolChoice::Required) => Some(json!({ "any": {} })),
        Some(ToolChoice::Named(name)) => Some(json!({ "tool": { "name": name } })),
        Some(ToolChoice::Allowed { required: true, names }) => Some(match names.as_slice() {
            [name] => json!({ "tool": { "name": name } }),
            _ => json!({ "any": {} }),
        }),
        Some(ToolChoice::None) => {
            writer.losses.lose("tool_choice", "the target cannot be told to call nothing");
            None
        }
    };
    let mut config = Members::new();
    config.set("tools", &tools);
    if let Some(choice) = choice.filter(|_| !request.tools.is_empty()) {
        config.set("toolChoice", &choice);
    }
    config.raw()
}

fn write_tool<'a>(tool: &'a Tool, writer: &mut Writer<'a, '_>, out: &mut Vec<WireTool<'a>>) {
    match tool {
        Tool::Function(function) => {
            if let Some(ToolChoice::Allowed { names, .. }) = &writer.request.tool_choice
                && !names.contains(&function.name)
            {
                return;
            }
            out.push(WireTool::ToolSpec(spec(function, writer.losses)));
            if let Some(mark) = &function.cache
                && let Some(point) = writer.mark(mark, true)
            {
                out.push(WireTool::CachePoint(point));
            }
        }
        Tool::Custom(custom) => {
            writer
                .losses
                .lose(format!("tools.{}", custom.name), "the target has only tools with JSON arguments");
        }
        Tool::WebSearch(native) | Tool::Native(native) if native.dialect == NAME => {
            let mut object = Members::new();
            object.set(&native.name, &native.json);
            out.extend(object.raw().map(WireTool::Raw));
        }
        Tool::WebSearch(_) => writer.losses.lose("tools.web_search", "the target has none"),
        Tool::Native(native) => {
            writer.losses.lose(format!("tools.{}", native.name), "only its own dialect has it");
        }
    }
}

fn spec<'a>(function: &'a Function, losses: &mut Losses) -> ToolSpec<'a> {
    ToolSpec {
        name: &function.name,
        description: function.description.as_deref().filter(|text| !text.is_empty()),
        input_schema: InputSchema { json: schema(function.parameters.as_deref(), &function.name, losses) },
        strict: function.strict,
    }
}

/// The schema of a function's arguments, which must be one of an object.
fn schema<'a>(parameters: Option<&'a RawValue>, name: &str, losses: &mut Losses) -> Cow<'a, RawValue> {
    let nothing = || Cow::Owned(RawValue::from_string(NOTHING.into()).unwrap_or_default());
    let Some(raw) = parameters.filter(|raw| raw.get() != "null") else { return nothing() };
    let object = Payload::parse(Bytes::copy_from_slice(raw.get().as_bytes())).ok();
    match object.as_ref().and_then(|object| object.get("type")) {
        Some(b"\"object\"") => return Cow::Borrowed(raw),
        None if object.as_ref().is_some_and(|object| object.names().next().is_none()) => return nothing(),
        _ => {}
    }
    losses.lose(format!("tools.{name}.parameters"), "the target takes only a schema of type object");
    let typed = object.map(|object| object.splice().set_text("type", "object").segments().join());
    typed
        .and_then(|bytes| RawValue::from_string(String::from_utf8(bytes.to_vec()).ok()?).ok())
        .map_or_else(nothing, Cow::Owned)
}
