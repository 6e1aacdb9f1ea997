//! Tools and the choice among them, read and written.

use std::collections::BTreeMap;

use lockgate_core::{Error, Payload};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::read::{borrowed, hint, invalid};
use crate::Losses;
use crate::neutral::{Custom, Function, Native, Request, Tool, ToolChoice};
use crate::openai_responses::NAME;
use crate::openai_responses::wire::{push_json, push_text};

/// The hint that keeps, by tool, members that no other dialect has.
pub(super) const EXTRAS: &str = "tools";
/// The members of a client's tool that the neutral form has.
const KNOWN: [&str; 6] = ["type", "name", "description", "parameters", "strict", "format"];

#[derive(Deserialize)]
struct Wire<'a> {
    r#type: String,
    name: Option<String>,
    description: Option<String>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
    #[serde(borrow)]
    format: Option<&'a RawValue>,
    /// The form of the older dialect, which clients send by mistake.
    #[serde(borrow)]
    function: Option<Nested<'a>>,
}

#[derive(Deserialize)]
struct Nested<'a> {
    name: Option<String>,
    description: Option<String>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
}

pub(super) fn read(raw: &[u8], request: &mut Request) -> Result<(), Error> {
    let tools: Vec<&RawValue> = borrowed("tools", raw, "an array of tools")?;
    let mut extras: BTreeMap<String, BTreeMap<String, Box<RawValue>>> = BTreeMap::new();
    for (at, raw) in tools.into_iter().enumerate() {
        #[derive(Deserialize)]
        struct Kind {
            r#type: String,
        }
        let wrong = |member: &str, why: &str| invalid(&format!("tools[{at}]{member}"), why);
        let kind = serde_json::from_str::<Kind>(raw.get())
            .map_err(|_| wrong(".type", "is missing or no string"))?
            .r#type;
        if kind != "function" && kind != "custom" {
            let native = Native { dialect: NAME, name: kind, json: raw.to_owned() };
            let search = native.name.starts_with("web_search");
            request.tools.push(if search { Tool::WebSearch(native) } else { Tool::Native(native) });
            continue;
        }
        let tool: Wire<'_> =
            serde_json::from_str(raw.get()).map_err(|_| wrong("", "has a member of the wrong kind"))?;
        let nested = tool.function.as_ref();
        let name = tool.name.clone().or_else(|| nested?.name.clone());
        let name = name.ok_or_else(|| wrong(".name", "is missing"))?;
        let others = others(raw, tool.name.is_none());
        if !others.is_empty() {
            extras.insert(name.clone(), others);
        }
        let description = tool.description.clone().or_else(|| nested?.description.clone());
        request.tools.push(if tool.r#type == "custom" {
            Tool::Custom(Custom { name, description, format: tool.format.map(ToOwned::to_owned) })
        } else {
            let parameters = tool.parameters.or_else(|| nested?.parameters).filter(|raw| raw.get() != "null");
            Tool::Function(Function {
                name,
                description,
                parameters: parameters.map(ToOwned::to_owned),
                strict: tool.strict.or_else(|| nested?.strict),
                cache: None,
            })
        });
    }
    if !extras.is_empty() {
        let mut json = Vec::new();
        push_json(&mut json, &extras);
        hint(request, EXTRAS, &json)?;
    }
    Ok(())
}

/// Members that the neutral form has not. The nested form is one only where it is not the tool itself.
fn others(raw: &RawValue, nested: bool) -> BTreeMap<String, Box<RawValue>> {
    let Ok(payload) = Payload::parse(raw.get().to_owned().into()) else { return BTreeMap::new() };
    let known = |name: &str| KNOWN.contains(&name) || nested && name == "function";
    let names = payload.names().filter(|name| !known(name));
    names.filter_map(|name| Some((name.to_owned(), payload.read(name)?))).collect()
}

/// The choice; `None` when only this dialect has it.
pub(super) fn choice(raw: &[u8]) -> Option<ToolChoice> {
    #[derive(Deserialize)]
    struct Chosen {
        r#type: String,
        name: Option<String>,
        mode: Option<String>,
        tools: Option<Vec<Chosen>>,
        function: Option<Name>,
    }
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }
    fn name(chosen: Chosen) -> Option<String> {
        if chosen.r#type != "function" && chosen.r#type != "custom" {
            return None;
        }
        chosen.name.or_else(|| Some(chosen.function?.name))
    }
    if raw.starts_with(b"\"") {
        return match serde_json::from_slice::<String>(raw).ok()?.as_str() {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            "required" => Some(ToolChoice::Required),
            _ => None,
        };
    }
    let chosen: Chosen = serde_json::from_slice(raw).ok()?;
    if chosen.r#type == "allowed_tools" {
        let required = chosen.mode.as_deref() == Some("required");
        let names = chosen.tools?.into_iter().map(name).collect::<Option<Vec<_>>>()?;
        return Some(ToolChoice::Allowed { required, names });
    }
    name(chosen).map(ToolChoice::Named)
}

/// Writes the tools. `foreign` is a request of another dialect.
pub(super) fn write(out: &mut Vec<u8>, request: &Request, foreign: bool, losses: &mut Losses) {
    let extras: BTreeMap<String, BTreeMap<String, Box<RawValue>>> = request
        .hints
        .iter()
        .find(|hint| hint.dialect == NAME && hint.name == EXTRAS)
        .and_then(|hint| serde_json::from_str(hint.json.get()).ok())
        .unwrap_or_default();
    out.push(b'[');
    let start = out.len();
    for tool in &request.tools {
        let before = out.len();
        if before > start {
            out.push(b',');
        }
        if !one(out, tool, &extras, foreign, losses) {
            out.truncate(before);
        }
    }
    out.push(b']');
}

fn one(
    out: &mut Vec<u8>,
    tool: &Tool,
    extras: &BTreeMap<String, BTreeMap<String, Box<RawValue>>>,
    foreign: bool,
    losses: &mut Losses,
) -> bool {
    let (name, description) = match tool {
        Tool::Function(function) => (&function.name, function.description.as_deref()),
        Tool::Custom(custom) => (&custom.name, custom.description.as_deref()),
        Tool::WebSearch(native) | Tool::Native(native) if native.dialect == NAME => {
            out.extend_from_slice(native.json.get().as_bytes());
            return true;
        }
        Tool::WebSearch(native) => {
            if has_options(native) {
                losses.lose("tools.web_search", "its options are another dialect's");
            }
            out.extend_from_slice(b"{\"type\":\"web_search\"}");
            return true;
        }
        Tool::Native(native) => {
            losses.lose(format!("tools.{}", native.name), "only its own dialect has this tool");
            return false;
        }
    };
    let kind: &[u8] = if matches!(tool, Tool::Custom(_)) { b"custom" } else { b"function" };
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind);
    out.extend_from_slice(b"\",\"name\":");
    push_text(out, name);
    if let Some(description) = description {
        out.extend_from_slice(b",\"description\":");
        push_text(out, description);
    }
    match tool {
        Tool::Function(function) => {
            if let Some(mark) = &function.cache {
                losses.cached_anyway(mark);
            }
            let schema = function.parameters.as_ref().map(|raw| raw.get());
            if let Some(schema) = schema.or(foreign.then_some(r#"{"type":"object","properties":{}}"#)) {
                out.extend_from_slice(b",\"parameters\":");
                out.extend_from_slice(schema.as_bytes());
            }
            // Here tools are strict unless the request says otherwise, in other dialects they are not.
            if let Some(strict) = function.strict.or(foreign.then_some(false)) {
                out.extend_from_slice(if strict { b",\"strict\":true" } else { b",\"strict\":false" });
            }
        }
        Tool::Custom(custom) => {
            if let Some(format) = &custom.format {
                out.extend_from_slice(b",\"format\":");
                out.extend_from_slice(format.get().as_bytes());
            }
        }
        _ => {}
    }
    for (member, json) in extras.get(name).into_iter().flatten() {
        out.push(b',');
        push_text(out, member);
        out.push(b':');
        out.extend_from_slice(json.get().as_bytes());
    }
    out.push(b'}');
    true
}

fn has_options(native: &Native) -> bool {
    Payload::parse(native.json.get().to_owned().into())
        .is_ok_and(|tool| tool.names().any(|name| name != "type" && name != "name" && tool.has(name)))
}

/// Writes the choice.
pub(super) fn write_choice(out: &mut Vec<u8>, choice: &ToolChoice, request: &Request) {
    let named = |out: &mut Vec<u8>, name: &str| {
        let custom =
            request.tools.iter().any(|tool| matches!(tool, Tool::Custom(custom) if custom.name == name));
        out.extend_from_slice(if custom { b"{\"type\":\"custom\"" } else { b"{\"type\":\"function\"" });
        out.extend_from_slice(b",\"name\":");
        push_text(out, name);
        out.push(b'}');
    };
    match choice {
        ToolChoice::Auto => out.extend_from_slice(b"\"auto\""),
        ToolChoice::None => out.extend_from_slice(b"\"none\""),
        ToolChoice::Required => out.extend_from_slice(b"\"required\""),
        ToolChoice::Named(name) => named(out, name),
        ToolChoice::Allowed { required, names } => {
            out.extend_from_slice(b"{\"type\":\"allowed_tools\",\"mode\":");
            out.extend_from_slice(if *required { b"\"required\"" } else { b"\"auto\"" });
            out.extend_from_slice(b",\"tools\":[");
            for (at, name) in names.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                named(out, name);
            }
            out.extend_from_slice(b"]}");
        }
    }
}
