//! Tools and the choice among them, read and written.

use std::borrow::Cow;
use std::collections::HashMap;

use lockgate_core::Error;
use serde_json::value::RawValue;

use crate::Losses;
use crate::neutral::{Custom, Function, Native, Raw, Request, Tool, ToolChoice};
use crate::openai_chat::NAME;
use crate::openai_chat::content::{cache_mark, native};
use crate::openai_chat::flavour::Flavour;
use crate::openai_chat::json::{Object, quote};
use crate::openai_chat::members::{Members, Path, begins};

// === reading ===

pub(super) fn read(raw: &RawValue, path: &Path<'_>, request: &mut Request) -> Result<(), Error> {
    for (at, raw) in path.list(raw)?.into_iter().enumerate() {
        let path = Path::Item(path, at);
        let mut members = path.object(raw)?;
        let kind = path.text_of(&mut members, "type")?.unwrap_or(Cow::Borrowed("function"));
        let tool = match &*kind {
            "function" => {
                let mark = members.take("cache_control");
                let inner = members.take("function").ok_or_else(|| path.missing("function"))?;
                let path = Path::Member(&path, "function");
                let mut function = function(path.object(inner)?, &path, request)?;
                function.cache = mark.map(|raw| cache_mark(raw, &path)).transpose()?;
                further(&function.name, "", members, request);
                Tool::Function(function)
            }
            "custom" => {
                let inner = members.take("custom").ok_or_else(|| path.missing("custom"))?;
                Tool::Custom(custom(inner, &Path::Member(&path, "custom"))?)
            }
            other if other.contains("web_search") => Tool::WebSearch(native(other, raw)),
            other => Tool::Native(native(other, raw)),
        };
        request.tools.push(tool);
    }
    Ok(())
}

/// `functions`, the form before `tools`.
pub(super) fn read_functions(raw: &RawValue, path: &Path<'_>, request: &mut Request) -> Result<(), Error> {
    for (at, raw) in path.list(raw)?.into_iter().enumerate() {
        let path = Path::Item(path, at);
        let function = function(path.object(raw)?, &path, request)?;
        request.tools.push(Tool::Function(function));
    }
    Ok(())
}

fn function(mut members: Members<'_>, path: &Path<'_>, request: &mut Request) -> Result<Function, Error> {
    let name = path.text_of(&mut members, "name")?.ok_or_else(|| path.missing("name"))?.into_owned();
    let description = path.text_of(&mut members, "description")?.map(Cow::into_owned);
    let parameters = members.take("parameters").map(ToOwned::to_owned);
    let strict = members.take("strict");
    let strict = strict.map(|raw| Path::Member(path, "strict").read(raw, "true or false")).transpose()?;
    further(&name, "function.", members, request);
    Ok(Function { name, description, parameters, strict, cache: None })
}

/// What else a tool or its function has, by the tool's name.
fn further(tool: &str, of: &str, members: Members<'_>, request: &mut Request) {
    let rest = members.rest().map(|(name, raw)| native(format!("tools.{tool}.{of}{name}"), raw));
    request.native.extend(rest);
}

/// Further members of a tool: whether they are its function's, their name, and their JSON.
type Further<'a> = Vec<(bool, &'a str, &'a Native)>;

fn custom(raw: &RawValue, path: &Path<'_>) -> Result<Custom, Error> {
    let mut members = path.object(raw)?;
    let name = path.text_of(&mut members, "name")?.ok_or_else(|| path.missing("name"))?.into_owned();
    let description = path.text_of(&mut members, "description")?.map(Cow::into_owned);
    let format = members.take("format").map(flat).transpose();
    Ok(Custom { name, description, format: format.unwrap_or_default() })
}

/// A grammar stands one level deeper here than in the neutral form, which has it as the responses dialect does.
fn flat(format: &RawValue) -> Result<Raw, serde_json::Error> {
    let mut members: Members<'_> = serde_json::from_str(format.get())?;
    let Some(grammar) = members.take("grammar").filter(|raw| begins(raw, b'{')) else {
        return Ok(format.to_owned());
    };
    let grammar: Members<'_> = serde_json::from_str(grammar.get())?;
    let mut out = Vec::new();
    let mut object = Object::open(&mut out);
    for (name, value) in members.all().chain(grammar.all()) {
        object.raw(name, value.get());
    }
    object.close();
    RawValue::from_string(String::from_utf8_lossy(&out).into_owned())
}

pub(super) fn read_choice(
    raw: &RawValue,
    path: &Path<'_>,
    natives: &mut Vec<Native>,
) -> Result<Option<ToolChoice>, Error> {
    if begins(raw, b'"') {
        return Ok(Some(match &*path.text(raw)? {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" | "any" => ToolChoice::Required,
            _ => return Err(path.wrong("auto, none, required or an object")),
        }));
    }
    let mut members = path.object(raw)?;
    if let Some(allowed) = members.take("allowed_tools") {
        return allowed_tools(allowed, &Path::Member(path, "allowed_tools")).map(Some);
    }
    let name = name_in(&mut members, path)?;
    if name.is_none() {
        natives.push(native("tool_choice", raw));
    }
    Ok(name.map(ToolChoice::Named))
}

/// The tool that an object names, in the ways that there are.
fn name_in(members: &mut Members<'_>, path: &Path<'_>) -> Result<Option<String>, Error> {
    for inner in ["function", "custom"] {
        if let Some(raw) = members.take(inner) {
            let path = Path::Member(path, inner);
            return Ok(path.text_of(&mut path.object(raw)?, "name")?.map(Cow::into_owned));
        }
    }
    Ok(path.text_of(members, "name")?.map(Cow::into_owned))
}

fn allowed_tools(raw: &RawValue, path: &Path<'_>) -> Result<ToolChoice, Error> {
    let mut members = path.object(raw)?;
    let required = path.text_of(&mut members, "mode")?.as_deref() == Some("required");
    let tools = members.take("tools").ok_or_else(|| path.missing("tools"))?;
    let path = Path::Member(path, "tools");
    let mut names = Vec::new();
    for (at, raw) in path.list(tools)?.into_iter().enumerate() {
        let path = Path::Item(&path, at);
        names.extend(name_in(&mut path.object(raw)?, &path)?);
    }
    Ok(ToolChoice::Allowed { required, names })
}

// === writing ===

/// Writes the tools; says whether there are any.
pub(super) fn write(
    body: &mut Object<'_>,
    request: &Request,
    flavour: Flavour,
    model: &str,
    losses: &mut Losses,
) -> bool {
    let mut further: HashMap<&str, Further<'_>> = HashMap::new();
    for own in request.native.iter().filter(|native| native.dialect == NAME) {
        if let Some((tool, member)) = own.name.strip_prefix("tools.").and_then(|rest| rest.rsplit_once('.')) {
            let function = tool.strip_suffix(".function");
            let all = further.entry(function.unwrap_or(tool)).or_default();
            all.push((function.is_some(), member, own));
        }
    }
    let mut list = Vec::new();
    let mut search = None;
    for tool in &request.tools {
        let mark = list.len();
        if mark > 0 {
            list.push(b',');
        }
        let written = match tool {
            Tool::Function(function) => {
                let further = further.get(function.name.as_str()).map_or(&[][..], Vec::as_slice);
                write_function(&mut list, function, further, flavour, losses);
                true
            }
            Tool::Custom(custom) => {
                write_custom(&mut list, custom);
                true
            }
            Tool::WebSearch(native) if native.dialect == NAME && native.name == "web_search_options" => {
                search = Some(native.json.get());
                false
            }
            Tool::WebSearch(native) | Tool::Native(native) if native.dialect == NAME => {
                list.extend_from_slice(native.json.get().as_bytes());
                true
            }
            Tool::WebSearch(native) if flavour.search || model.contains("search") => {
                search.get_or_insert("{}");
                for member in details(native) {
                    losses
                        .lose(format!("tools.web_search.{member}"), "a search is asked for without details");
                }
                false
            }
            Tool::WebSearch(_) => {
                losses.lose("tools.web_search", "this model does not search here");
                false
            }
            Tool::Native(native) => {
                losses.lose(format!("tools.{}", native.name), "a tool of another dialect's provider");
                false
            }
        };
        if !written {
            list.truncate(mark);
        }
    }
    if let Some(options) = search {
        body.raw("web_search_options", options);
    }
    if !list.is_empty() {
        let out = body.member("tools");
        out.push(b'[');
        out.extend_from_slice(&list);
        out.push(b']');
    }
    !list.is_empty()
}

/// What is said of another dialect's search beyond that it is one.
fn details(native: &Native) -> Vec<String> {
    let members: Members<'_> = serde_json::from_str(native.json.get()).unwrap_or_default();
    let names = members.rest().map(|(name, _)| name.into_owned());
    names.filter(|name| !matches!(name.as_str(), "type" | "name")).take(8).collect()
}

fn write_function(
    out: &mut Vec<u8>,
    function: &Function,
    further: &[(bool, &str, &Native)],
    flavour: Flavour,
    losses: &mut Losses,
) {
    let mut tool = Object::open(out);
    tool.text("type", "function");
    let mut inner = Object::open(tool.member("function"));
    inner.text("name", &function.name);
    if let Some(description) = &function.description {
        inner.text("description", description);
    }
    if let Some(parameters) = &function.parameters {
        inner.raw("parameters", parameters.get());
    }
    if let Some(strict) = function.strict {
        inner.show("strict", strict);
    }
    for (_, member, native) in further.iter().filter(|(function, ..)| *function) {
        if !matches!(*member, "name" | "description" | "parameters" | "strict") {
            inner.raw(member, native.json.get());
        }
    }
    inner.close();
    for (_, member, native) in further.iter().filter(|(function, ..)| !*function) {
        if !matches!(*member, "type" | "function" | "cache_control") {
            tool.raw(member, native.json.get());
        }
    }
    if let Some(mark) = &function.cache
        && flavour.marks(mark, "tools.cache_control", losses)
    {
        super::content::write_mark(tool.member("cache_control"), mark);
    }
    tool.close();
}

fn write_custom(out: &mut Vec<u8>, custom: &Custom) {
    let mut tool = Object::open(out);
    tool.text("type", "custom");
    let mut inner = Object::open(tool.member("custom"));
    inner.text("name", &custom.name);
    if let Some(description) = &custom.description {
        inner.text("description", description);
    }
    if let Some(format) = &custom.format {
        write_format(inner.member("format"), format);
    }
    inner.close();
    tool.close();
}

fn write_format(out: &mut Vec<u8>, format: &RawValue) {
    let mut members: Members<'_> = serde_json::from_str(format.get()).unwrap_or_default();
    let kind = members.take("type").map_or("", RawValue::get);
    if kind != "\"grammar\"" {
        out.extend_from_slice(format.get().as_bytes());
        return;
    }
    let mut object = Object::open(out);
    object.raw("type", kind);
    let mut grammar = Object::open(object.member("grammar"));
    for (name, value) in members.all() {
        grammar.raw(name, value.get());
    }
    grammar.close();
    object.close();
}

/// Writes the choice. Without tools there is nothing to choose from, and providers refuse to be told.
pub(super) fn write_choice(body: &mut Object<'_>, request: &Request, any: bool, losses: &mut Losses) {
    if let Some(parallel) = request.parallel_tools.filter(|_| any) {
        body.show("parallel_tool_calls", parallel);
    }
    let Some(choice) = &request.tool_choice else { return };
    if !any {
        if !matches!(choice, ToolChoice::Auto | ToolChoice::None) {
            losses.lose("tool_choice", "none of the tools is left");
        }
        return;
    }
    let custom = |name: &str| {
        request.tools.iter().any(|tool| matches!(tool, Tool::Custom(custom) if custom.name == name))
    };
    let out = body.member("tool_choice");
    match choice {
        ToolChoice::Auto => quote(out, "auto"),
        ToolChoice::None => quote(out, "none"),
        ToolChoice::Required => quote(out, "required"),
        ToolChoice::Named(name) => write_named(out, name, custom(name)),
        ToolChoice::Allowed { required, names } => {
            let mut object = Object::open(out);
            object.text("type", "allowed_tools");
            let mut allowed = Object::open(object.member("allowed_tools"));
            allowed.text("mode", if *required { "required" } else { "auto" });
            allowed.list("tools", names, |out, name| write_named(out, name, false));
            allowed.close();
            object.close();
        }
    }
}

fn write_named(out: &mut Vec<u8>, name: &str, custom: bool) {
    let kind = if custom { "custom" } else { "function" };
    let mut object = Object::open(out);
    object.text("type", kind);
    let mut inner = Object::open(object.member(kind));
    inner.text("name", name);
    inner.close();
    object.close();
}
