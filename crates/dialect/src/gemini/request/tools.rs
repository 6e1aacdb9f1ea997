//! `tools` and `toolConfig`: what the model may call.

use lockgate_core::Error;
use serde_json::value::RawValue;

use super::super::json::{self, Array, Many, Members, Object, text};
use super::super::{NAME, model, schema};
use super::read::unread;
use super::{invalid, settings};
use crate::neutral::{Custom, Function, Native, Raw, Request, Tool, ToolChoice};
use crate::{Losses, Target};

/// What the native member is called that keeps what declarations have beyond a function of the neutral form: an object
/// of their further members, by name.
const BEYOND: &str = "functionDeclarations";
/// The native member with a mode that the neutral form has not.
const CALLING: &str = "toolConfig.functionCallingConfig";
/// The one argument of a function that stands for a tool of free text.
pub(in super::super) const FREE_TEXT: &str = "input";

// === reading ===

pub(super) fn read(raw: &RawValue, request: &mut Request) -> Result<(), Error> {
    let Many(tools) =
        serde_json::from_str(raw.get()).map_err(|why| invalid("tools", unread("tools", &why)))?;
    let mut beyond: Vec<(String, Raw)> = Vec::new();
    for (i, tool) in tools.into_iter().enumerate() {
        let at = format!("tools[{i}]");
        let tool: Members<'_> =
            serde_json::from_str(tool.get()).map_err(|why| invalid(&*at, unread(&at, &why)))?;
        for (name, value) in tool.set() {
            let native = || Native { dialect: NAME, name: name.to_owned(), json: value.to_owned() };
            match name {
                "functionDeclarations" => {
                    let at = format!("{at}.functionDeclarations");
                    let Many(all) =
                        serde_json::from_str(value.get()).map_err(|why| invalid(&*at, unread(&at, &why)))?;
                    for (i, declaration) in all.into_iter().enumerate() {
                        let at = format!("{at}[{i}]");
                        request.tools.push(declared(declaration, &at, &mut beyond)?);
                    }
                }
                "googleSearch" | "googleSearchRetrieval" => request.tools.push(Tool::WebSearch(native())),
                _ => request.tools.push(Tool::Native(native())),
            }
        }
    }
    if !beyond.is_empty() {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        for (name, members) in &beyond {
            object.any_key(name).extend_from_slice(members.get().as_bytes());
        }
        object.end();
        request.native.push(Native { dialect: NAME, name: BEYOND.to_owned(), json: json::raw(out) });
    }
    Ok(())
}

fn declared(raw: &RawValue, at: &str, beyond: &mut Vec<(String, Raw)>) -> Result<Tool, Error> {
    let members: Members<'_> =
        serde_json::from_str(raw.get()).map_err(|why| invalid(at, unread(at, &why)))?;
    let Some(name) = members.get("name").and_then(text).filter(|name| !name.is_empty()) else {
        return Err(invalid(format!("{at}.name"), "A function must have a name."));
    };
    let parameters = match members.get("parametersJsonSchema") {
        Some(own) => Some(own.to_owned()),
        None => members.get("parameters").map(schema::to_json),
    };
    let mut out = Vec::new();
    let mut rest = Object::new(&mut out);
    for (name, value) in members.set() {
        if !matches!(name, "name" | "description" | "parameters" | "parametersJsonSchema") {
            rest.any_key(name).extend_from_slice(value.get().as_bytes());
        }
    }
    rest.end();
    if out.len() > 2 {
        beyond.push((name.clone(), json::raw(out)));
    }
    let description = members.get("description").and_then(text);
    Ok(Tool::Function(Function { name, description, parameters, strict: None, cache: None }))
}

pub(super) fn read_config(raw: &RawValue, request: &mut Request) -> Result<(), Error> {
    const AT: &str = "toolConfig";
    let config: Members<'_> = serde_json::from_str(raw.get()).map_err(|why| invalid(AT, unread(AT, &why)))?;
    for (name, value) in config.set() {
        if name == "functionCallingConfig" {
            read_calling(value, request)?;
        } else {
            let name = format!("{AT}.{name}");
            request.native.push(Native { dialect: NAME, name, json: value.to_owned() });
        }
    }
    Ok(())
}

fn read_calling(raw: &RawValue, request: &mut Request) -> Result<(), Error> {
    let calling: Members<'_> =
        serde_json::from_str(raw.get()).map_err(|why| invalid(CALLING, unread(CALLING, &why)))?;
    let mode = calling.get("mode").and_then(text).unwrap_or_default().to_ascii_uppercase();
    let names = calling.get("allowedFunctionNames").map(|raw| serde_json::from_str::<Many<'_>>(raw.get()));
    let names = names.transpose().map_err(|why| invalid(CALLING, unread(CALLING, &why)))?;
    let mut names: Vec<String> = names.into_iter().flat_map(|Many(all)| all).filter_map(text).collect();
    request.tool_choice = match (&*mode, names.len()) {
        ("ANY", 0) => Some(ToolChoice::Required),
        ("ANY", 1) => names.pop().map(ToolChoice::Named),
        ("ANY", _) => Some(ToolChoice::Allowed { required: true, names }),
        ("NONE", _) => Some(ToolChoice::None),
        ("VALIDATED", 1..) => Some(ToolChoice::Allowed { required: false, names }),
        ("AUTO" | "VALIDATED", _) => Some(ToolChoice::Auto),
        _ => None,
    };
    let others = calling.set().any(|(name, _)| !matches!(name, "mode" | "allowedFunctionNames"));
    if mode == "VALIDATED" || others {
        request.native.push(Native { dialect: NAME, name: CALLING.to_owned(), json: raw.to_owned() });
    }
    Ok(())
}

// === writing ===

/// Writes `tools` and `toolConfig`.
pub(super) fn write(request: &Request, target: &Target<'_>, losses: &mut Losses, body: &mut Object<'_>) {
    let beyond = request.native.iter().find(|native| native.dialect == NAME && native.name == BEYOND);
    let beyond: Option<Members<'_>> = beyond.and_then(|native| serde_json::from_str(native.json.get()).ok());
    let declared = request.tools.iter().any(|tool| matches!(tool, Tool::Function(_) | Tool::Custom(_)));
    let mut out = Vec::new();
    let mut tools = Array::new(&mut out);
    if declared {
        let mut tool = Object::new(tools.item());
        let mut all = Array::new(tool.key("functionDeclarations"));
        for tool in &request.tools {
            match tool {
                Tool::Function(function) => {
                    let beyond = beyond.as_ref().and_then(|all| all.get(&json::camel(&function.name)));
                    declare(function, beyond, losses, all.item());
                }
                Tool::Custom(custom) => declare_custom(custom, losses, all.item()),
                _ => {}
            }
        }
        all.end();
        tool.end();
    }
    for tool in &request.tools {
        match tool {
            Tool::WebSearch(native) | Tool::Native(native) if native.dialect == NAME => {
                let mut tool = Object::new(tools.item());
                tool.any_key(&native.name).extend_from_slice(native.json.get().as_bytes());
                tool.end();
            }
            Tool::WebSearch(native) => {
                if declared && !model::is_new(target.model) {
                    losses.lose("tools.web_search", "before Gemini 3 not together with functions");
                    continue;
                }
                if has_settings(native) {
                    losses.lose("tools.web_search.settings", "the search of Google has none");
                }
                tools.item().extend_from_slice(br#"{"googleSearch":{}}"#);
            }
            Tool::Native(native) => {
                losses.lose(format!("tools.{}", native.name), "a tool of another provider");
            }
            Tool::Function(_) | Tool::Custom(_) => {}
        }
    }
    tools.end();
    if out.len() > 2 {
        body.key("tools").append(&mut out);
    }
    config(request, target, declared, losses, body);
}

fn declare(function: &Function, beyond: Option<&RawValue>, losses: &mut Losses, out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    object.text("name", &function.name);
    if let Some(description) = &function.description {
        object.text("description", description);
    }
    // An empty schema says nothing; Gemini wants one of an object or none.
    if let Some(schema) = function.parameters.as_ref().filter(|schema| !is_empty(schema)) {
        object.raw("parametersJsonSchema", schema.get());
    }
    let beyond: Option<Members<'_>> = beyond.and_then(|raw| serde_json::from_str(raw.get()).ok());
    for (name, value) in beyond.iter().flat_map(Members::set) {
        object.any_key(name).extend_from_slice(value.get().as_bytes());
    }
    object.end();
    if let Some(mark) = &function.cache {
        losses.cached_anyway(mark);
    }
}

fn declare_custom(custom: &Custom, losses: &mut Losses, out: &mut Vec<u8>) {
    losses.lose("tools.custom", "becomes a function with one text");
    let mut object = Object::new(out);
    object.text("name", &custom.name);
    if let Some(description) = &custom.description {
        object.text("description", description);
    }
    object.raw(
        "parametersJsonSchema",
        r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#,
    );
    object.end();
}

fn is_empty(schema: &RawValue) -> bool {
    schema.get().bytes().filter(|b| !b.is_ascii_whitespace()).eq(*b"{}") || schema.get() == "null"
}

/// Whether another dialect's search says more than that it is one.
fn has_settings(native: &Native) -> bool {
    let members: Result<Members<'_>, _> = serde_json::from_str(native.json.get());
    members.is_ok_and(|members| members.set().any(|(name, _)| !matches!(name, "type" | "name")))
}

fn config(
    request: &Request,
    target: &Target<'_>,
    declared: bool,
    losses: &mut Losses,
    body: &mut Object<'_>,
) {
    let mut out = Vec::new();
    let mut config = Object::new(&mut out);
    let own = request.native.iter().any(|native| native.dialect == NAME && native.name == CALLING);
    if !own {
        calling(request, target, declared, losses, &mut config);
    }
    settings::write_natives(request, "toolConfig.", &mut config);
    config.end();
    if out.len() > 2 {
        body.key("toolConfig").append(&mut out);
    }
    if request.parallel_tools == Some(false) && declared {
        losses.lose("parallel_tool_calls", "cannot be forbidden");
    }
}

fn calling(
    request: &Request,
    target: &Target<'_>,
    declared: bool,
    losses: &mut Losses,
    config: &mut Object<'_>,
) {
    let strict = request.tools.iter().any(|tool| matches!(tool, Tool::Function(f) if f.strict == Some(true)));
    // Both modes that demand calls keep to the schema; where none is demanded, this one does.
    let auto = if strict && declared && !model::is_old(target.model) { "VALIDATED" } else { "AUTO" };
    if strict && auto == "AUTO" {
        losses.lose("tools.strict", "the model cannot be held to a schema");
    }
    let (mode, names): (&str, &[String]) = match &request.tool_choice {
        None if auto == "AUTO" => return,
        None | Some(ToolChoice::Auto) => (auto, &[]),
        Some(ToolChoice::None) => ("NONE", &[]),
        Some(ToolChoice::Required) => ("ANY", &[]),
        Some(ToolChoice::Named(name)) => ("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Allowed { required: true, names }) => ("ANY", names),
        Some(ToolChoice::Allowed { required: false, names }) => ("VALIDATED", names),
    };
    if !declared {
        match &request.tool_choice {
            None | Some(ToolChoice::Auto | ToolChoice::None) => {}
            Some(_) => losses.lose("tool_choice", "only functions can be demanded"),
        }
        return;
    }
    let mut object = Object::new(config.key("functionCallingConfig"));
    object.text("mode", mode);
    if !names.is_empty() {
        object.texts("allowedFunctionNames", names.iter().map(String::as_str));
    }
    object.end();
}
