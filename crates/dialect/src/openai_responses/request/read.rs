//! Requests, read into the neutral form.

use lockgate_core::{Error, Kind};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{items, tools};
use crate::Turn;
use crate::neutral::{Content, Effort, Message, Native, Output, Part, Request, Role, Schema};
use crate::openai_responses::NAME;
use crate::tied::Tied;

/// The hint that says whether the provider stores the answer. It is there in every request that was read here, so that
/// the writer knows those from others.
pub(super) const STORE: &str = "store";
/// The hint that says that the first system text is an item and no instruction.
pub(super) const INSTRUCTIONS: &str = "instructions";
/// What stands in `include` for log probabilities.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";

const CONVERSATION: &str = "Send the whole conversation in \"input\", and leave this member out.";

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Reasoning {
    effort: Option<String>,
    summary: Option<String>,
    generate_summary: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Text<'a> {
    #[serde(borrow)]
    format: Option<Format<'a>>,
    verbosity: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Format<'a> {
    r#type: String,
    name: Option<String>,
    description: Option<String>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    strict: Option<bool>,
}

pub(in super::super) fn request(turn: &Turn) -> Result<Request, Error> {
    let payload = &turn.payload;
    let mut request = Request::default();
    if let Some(raw) = payload.get("instructions").filter(|raw| *raw != b"null") {
        let text: String = typed("instructions", raw, "a string")?;
        request.messages.push(Message { role: Role::System, parts: vec![Part::text(text)] });
    }
    let instructed = !request.messages.is_empty();
    match payload.get("input") {
        Some(raw) if raw.starts_with(b"[") => items::read(raw, &mut request)?,
        Some(raw) if raw != b"null" => {
            let text: String = typed("input", raw, "a string or an array of items")?;
            request.messages.push(Message { role: Role::User, parts: vec![Part::text(text)] });
        }
        _ => {}
    }
    if !instructed && request.messages.first().is_some_and(|first| first.role == Role::System) {
        hint(&mut request, INSTRUCTIONS, b"null")?;
    }
    hint(&mut request, STORE, payload.get("store").filter(|raw| *raw != b"true").unwrap_or(b"null"))?;
    for name in payload.names() {
        if let Some(raw) = payload.get(name).filter(|raw| *raw != b"null") {
            member(&mut request, name, raw)?;
        }
    }
    Ok(request)
}

fn member(request: &mut Request, name: &str, raw: &[u8]) -> Result<(), Error> {
    const NUMBER: &str = "a number";
    const COUNT: &str = "a whole number from 0 up";
    const TEXT: &str = "a string";
    match name {
        "model" | "stream" | "input" | "instructions" => {}
        "max_output_tokens" => request.max_output = Some(typed(name, raw, COUNT)?),
        "temperature" => request.temperature = Some(typed(name, raw, NUMBER)?),
        "top_p" => request.top_p = Some(typed(name, raw, NUMBER)?),
        "top_k" => request.top_k = Some(typed(name, raw, COUNT)?),
        "frequency_penalty" => request.frequency_penalty = Some(typed(name, raw, NUMBER)?),
        "presence_penalty" => request.presence_penalty = Some(typed(name, raw, NUMBER)?),
        "parallel_tool_calls" => request.parallel_tools = Some(typed(name, raw, "true or false")?),
        "service_tier" => request.service_tier = Some(typed(name, raw, TEXT)?),
        "prompt_cache_key" => request.cache_key = Some(typed(name, raw, TEXT)?),
        "prompt_cache_retention" => request.cache_retention = Some(typed(name, raw, TEXT)?),
        "user" => request.user = Some(typed(name, raw, TEXT)?),
        "safety_identifier" => {
            let user: String = typed(name, raw, TEXT)?;
            request.user.get_or_insert(user);
            hint(request, name, raw)?;
        }
        "top_logprobs" => request.logprobs = Some(typed(name, raw, COUNT)?),
        "include" => {
            let names: Vec<String> = typed(name, raw, "an array of strings")?;
            if names.iter().any(|name| name == LOGPROBS) {
                request.logprobs.get_or_insert(0);
            }
            hint(request, name, raw)?;
        }
        "metadata" => request.metadata = Some(json(name, raw)?),
        "tools" => tools::read(raw, request)?,
        "tool_choice" => match tools::choice(raw) {
            Some(choice) => request.tool_choice = Some(choice),
            None => native(request, name, raw)?,
        },
        "reasoning" => {
            let read: Reasoning = typed(name, raw, "an object")?;
            let summary = read.summary.or(read.generate_summary);
            request.reasoning = Some(Effort { level: read.effort, summary, ..Effort::default() });
            hint(request, name, raw)?;
        }
        "text" => {
            text(request, raw)?;
            hint(request, name, raw)?;
        }
        "previous_response_id" | "conversation" => tied(request, name, raw, CONVERSATION)?,
        "prompt" => tied(
            request,
            name,
            raw,
            "Send what the stored prompt says in \"instructions\" and \"input\", and leave this member out.",
        )?,
        "background" if raw == b"true" => {
            tied(request, name, raw, "Leave this member out, and wait for the answer or stream it.")?;
        }
        "truncation" if raw != b"\"disabled\"" => native(request, name, raw)?,
        STORE if raw != b"true" => {}
        "background" | "truncation" | "stream_options" | "prompt_cache_options" | "client_metadata" => {
            hint(request, name, raw)?;
        }
        _ => native(request, name, raw)?,
    }
    Ok(())
}

fn text(request: &mut Request, raw: &[u8]) -> Result<(), Error> {
    let read: Text<'_> = borrowed("text", raw, "an object")?;
    request.verbosity = read.verbosity;
    let Some(format) = read.format else { return Ok(()) };
    request.output = match (format.r#type.as_str(), format.schema) {
        ("text", _) => Output::Text,
        ("json_object", _) => Output::Json,
        ("json_schema", Some(schema)) => Output::Schema(Schema {
            name: format.name,
            description: format.description,
            schema: schema.to_owned(),
            strict: format.strict,
        }),
        ("json_schema", None) => return Err(invalid("text.format.schema", "is missing")),
        _ => return Err(invalid("text.format.type", "must be text, json_object or json_schema")),
    };
    Ok(())
}

fn tied(request: &mut Request, name: &str, raw: &[u8], remedy: &'static str) -> Result<(), Error> {
    let member = match name {
        "previous_response_id" => "previous_response_id",
        "conversation" => "conversation",
        "prompt" => "prompt",
        _ => "background",
    };
    request.tied.get_or_insert(Tied { dialect: NAME, member, remedy });
    native(request, name, raw)
}

/// Adds a member that no other dialect needs.
pub(super) fn hint(request: &mut Request, name: &str, raw: &[u8]) -> Result<(), Error> {
    request.hints.push(Native { dialect: NAME, name: name.to_owned(), json: json(name, raw)? });
    Ok(())
}

fn native(request: &mut Request, name: &str, raw: &[u8]) -> Result<(), Error> {
    request.native.push(Native { dialect: NAME, name: name.to_owned(), json: json(name, raw)? });
    Ok(())
}

fn json(name: &str, raw: &[u8]) -> Result<Box<RawValue>, Error> {
    serde_json::from_slice(raw).map_err(|why| invalid(name, &format!("is not valid JSON: {why}")))
}

fn typed<T: DeserializeOwned>(name: &str, raw: &[u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(raw).map_err(|_| invalid(name, &format!("must be {what}")))
}

pub(super) fn borrowed<'a, T: Deserialize<'a>>(name: &str, raw: &'a [u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(raw).map_err(|_| invalid(name, &format!("must be {what}")))
}

/// A caller's error about a member.
pub(super) fn invalid(name: &str, why: &str) -> Error {
    Error::client(Kind::InvalidRequest, format!("\"{name}\" {why}.")).param(name.to_owned())
}

/// Whether a part holds anything to be read.
pub(super) fn says_something(part: &Part) -> bool {
    !matches!(&part.content, Content::Text(text) if text.text.is_empty())
}

#[cfg(test)]
mod tests;
