//! Tools and their choice, read and written.

use lockgate_core::Error;
use serde_json::value::RawValue;

use super::invalid;
use super::schema;
use crate::Losses;
use crate::anthropic::NAME;
use crate::anthropic::block::{cache_mark, note, noted};
use crate::anthropic::json::{Array, Object};
use crate::anthropic::model::Model;
use crate::anthropic::wire::{Members, items};
use crate::neutral::{CacheMark, Custom, Function, Native, Request, Tool, ToolChoice};

use super::pieces::Marks;

/// What a tool that takes any text becomes: a function with one text.
const ANY_TEXT: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

pub(super) fn read(raw: &RawValue) -> Result<Vec<Tool>, Error> {
    let list = items(raw).ok_or_else(|| invalid("tools", "\"tools\" must be an array of tools."))?;
    let mut tools = Vec::with_capacity(list.len());
    for raw in list {
        let mut members = Members::of(raw)
            .ok_or_else(|| invalid("tools", "A tool must be an object, with no member twice."))?;
        match members.take_text("type").as_deref() {
            None | Some("custom") => function(members, &mut tools)?,
            Some(kind) => {
                let native = Native { dialect: NAME, name: kind.to_owned(), json: raw.to_owned() };
                let search = kind.starts_with("web_search_");
                tools.push(if search { Tool::WebSearch(native) } else { Tool::Native(native) });
            }
        }
    }
    Ok(tools)
}

fn function(mut members: Members<'_>, tools: &mut Vec<Tool>) -> Result<(), Error> {
    let name = members
        .take_text("name")
        .ok_or_else(|| invalid("tools.name", "A tool's \"name\" must be text."))?
        .into_owned();
    let description = members.take_text("description").map(std::borrow::Cow::into_owned);
    let parameters = members.take("input_schema").map(ToOwned::to_owned);
    let strict = match members.get("strict").map(RawValue::get) {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    members.take("strict");
    let (cache, whole) = members.get("cache_control").map_or((None, true), cache_mark);
    if whole {
        members.take("cache_control");
    }
    for (name, value) in members.rest() {
        tools.push(Tool::Native(note("tool", &name, value)));
    }
    tools.push(Tool::Function(Function { name, description, parameters, strict, cache }));
    Ok(())
}

pub(super) fn read_choice(raw: &RawValue, request: &mut Request) -> Result<(), Error> {
    let wrong = || invalid("tool_choice", "\"tool_choice\" must be an object with a \"type\".");
    let mut members = Members::of(raw).ok_or_else(wrong)?;
    let kind = members.take_text("type").ok_or_else(wrong)?;
    let choice = match &*kind {
        "auto" => Some(ToolChoice::Auto),
        "any" => Some(ToolChoice::Required),
        "none" => Some(ToolChoice::None),
        "tool" => {
            let name = members
                .take_text("name")
                .ok_or_else(|| invalid("tool_choice.name", "\"tool_choice.name\" must be text."))?;
            Some(ToolChoice::Named(name.into_owned()))
        }
        _ => None,
    };
    match members.take("disable_parallel_tool_use").map(RawValue::get) {
        Some("true") => request.parallel_tools = Some(false),
        Some("false") => request.parallel_tools = Some(true),
        _ => {}
    }
    if choice.is_none() || members.rest().next().is_some() {
        request.native.push(Native { dialect: NAME, name: "tool_choice".into(), json: raw.to_owned() });
    }
    request.tool_choice = choice;
    Ok(())
}

/// Whether the choice leaves a tool of the client's in.
pub(super) fn allowed(request: &Request, name: &str) -> bool {
    match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => names.iter().any(|allowed| allowed == name),
        _ => true,
    }
}

/// Whether the model must call something.
pub(super) fn forced(request: &Request) -> bool {
    matches!(
        &request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. })
    )
}

/// Writes `tools`, and returns how many there are.
pub(super) fn write(
    body: &mut Object<'_>,
    request: &Request,
    model: Model,
    marks: &mut Marks,
    losses: &mut Losses,
) -> usize {
    let mut out = Vec::new();
    let mut array = Array::begin(&mut out);
    let mut count = 0;
    let mut notes: Vec<&Native> = Vec::new();
    for tool in &request.tools {
        match tool {
            Tool::Native(native) if noted(native).is_some() => {
                notes.push(native);
                continue;
            }
            Tool::Native(native) | Tool::WebSearch(native) if native.dialect == NAME => {
                array.item().extend_from_slice(native.json.get().as_bytes());
                count += 1;
            }
            Tool::WebSearch(native) => {
                web_search(array.item(), native, losses);
                count += 1;
            }
            Tool::Native(native) => {
                losses.lose(format!("tools.{}", native.name), "the target does not have this tool");
            }
            Tool::Function(function) if allowed(request, &function.name) => {
                write_function(array.item(), function, &notes, model, marks, losses);
                count += 1;
            }
            Tool::Custom(custom) if allowed(request, &custom.name) => {
                write_custom(array.item(), custom, losses);
                count += 1;
            }
            Tool::Function(_) | Tool::Custom(_) => {}
        }
        notes.clear();
    }
    array.end();
    if count > 0 {
        body.member("tools").extend_from_slice(&out);
    }
    count
}

fn write_function(
    out: &mut Vec<u8>,
    function: &Function,
    notes: &[&Native],
    model: Model,
    marks: &mut Marks,
    losses: &mut Losses,
) {
    let mut tool = Object::begin(out);
    tool.text("name", &function.name);
    if let Some(description) = &function.description {
        tool.text("description", description);
    }
    let strict = match function.strict {
        Some(true) if !model.takes_strict_tools() => {
            losses.lose("tools.strict", "the model does not take strict tools");
            None
        }
        strict => strict,
    };
    let parameters = function.parameters.as_deref();
    tool.raw("input_schema", &schema::of_arguments(parameters, strict == Some(true), losses));
    if let Some(strict) = strict {
        tool.raw("strict", if strict { "true" } else { "false" });
    }
    let mut marked = false;
    for native in notes {
        if let Some(member) = noted(native) {
            marked |= member == "cache_control";
            tool.raw(member, native.json.get());
        }
    }
    let mark = function.cache.as_ref().filter(|_| marks.one());
    if let Some(mark) = mark.filter(|_| !marked) {
        write_mark(&mut tool, mark, losses);
    }
    tool.end();
}

fn write_custom(out: &mut Vec<u8>, custom: &Custom, losses: &mut Losses) {
    losses.lose("tools.custom", "the target has functions only: it is one with a text as its input");
    if custom.format.is_some() {
        losses.lose("tools.custom.format", "the target has no grammars");
    }
    let mut tool = Object::begin(out);
    tool.text("name", &custom.name);
    if let Some(description) = &custom.description {
        tool.text("description", description);
    }
    tool.raw("input_schema", ANY_TEXT);
    tool.end();
}

/// A search of another dialect: what the two have in common is whom to ask and where the user is.
fn web_search(out: &mut Vec<u8>, native: &Native, losses: &mut Losses) {
    let mut tool = Object::begin(out);
    tool.text("type", "web_search_20250305");
    tool.text("name", "web_search");
    if let Some(mut said) = Members::of(&native.json) {
        said.take("type");
        if let Some(mut filters) = said.take("filters").and_then(Members::of) {
            if let Some(domains) = filters.take("allowed_domains") {
                tool.raw("allowed_domains", domains.get());
            }
            for (name, _) in filters.rest() {
                losses.lose(
                    format!("tools.web_search.filters.{name}"),
                    "the target's search has no such filter",
                );
            }
        }
        if let Some(place) = said.get("user_location") {
            let is_flat = Members::of(place).is_some_and(|place| place.get("approximate").is_none());
            if is_flat {
                tool.raw("user_location", place.get());
                said.take("user_location");
            } else if let Some(inner) = Members::of(place).and_then(|place| place.get("approximate")) {
                let mut location = Object::begin(tool.member("user_location"));
                location.text("type", "approximate");
                for (name, value) in Members::of(inner).iter().flat_map(Members::iter) {
                    if name != "type" {
                        location.raw(name, value.get());
                    }
                }
                location.end();
                said.take("user_location");
            }
        }
        for (name, value) in said.rest() {
            if value.get() != "{}" {
                losses.lose(format!("tools.web_search.{name}"), "the target's search does not know it");
            }
        }
    }
    tool.end();
}

/// Writes `tool_choice`. Without tools there is nothing to choose, and the target refuses a choice.
pub(super) fn write_choice(body: &mut Object<'_>, request: &Request, tools: usize, losses: &mut Losses) {
    let own = request.native.iter().find(|native| native.dialect == NAME && native.name == "tool_choice");
    if let Some(native) = own {
        body.raw("tool_choice", native.json.get());
        return;
    }
    if tools == 0 {
        if forced(request) {
            losses.lose("tool_choice", "there is no tool to choose");
        }
        return;
    }
    let one_at_a_time = request.parallel_tools == Some(false);
    let (kind, name) = match &request.tool_choice {
        None if !one_at_a_time => return,
        None | Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => ("auto", None),
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => ("any", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name)),
    };
    let mut choice = Object::begin(body.member("tool_choice"));
    choice.text("type", kind);
    if let Some(name) = name {
        choice.text("name", name);
    }
    if one_at_a_time && kind != "none" {
        choice.raw("disable_parallel_tool_use", "true");
    }
    choice.end();
}

/// Writes a prompt-cache mark.
pub(super) fn write_mark(object: &mut Object<'_>, mark: &CacheMark, losses: &mut Losses) {
    let mut control = Object::begin(object.member("cache_control"));
    control.text("type", "ephemeral");
    match mark.ttl.as_deref() {
        None => {}
        Some(ttl @ ("5m" | "1h")) => control.text("ttl", ttl),
        Some(_) => losses.lose("cache_control.ttl", "the target keeps a prompt for five minutes or an hour"),
    }
    control.end();
}
