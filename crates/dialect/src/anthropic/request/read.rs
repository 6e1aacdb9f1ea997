//! A client's request in the neutral form.

use lockgate_core::{Error, Kind};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::invalid;
use super::tools;
use crate::Turn;
use crate::anthropic::NAME;
use crate::anthropic::block::{Flaw, Reader, bind_seals};
use crate::anthropic::wire::{Members, items};
use crate::neutral::{Effort, Message, Native, Output, Request, Role, Schema};
use crate::seal::Seal;

pub(in crate::anthropic) fn read(turn: &Turn) -> Result<Request, Error> {
    let payload = &turn.payload;
    let mut request = Request::default();
    let mut thinking = None;
    let mut level = None;
    // The system comes first, wherever its member stands.
    if let Some(value) = payload.get("system").filter(|value| *value != b"null") {
        let parts = reader().content(json(value, "system")?).map_err(|flaw| flawed("system", &flaw))?;
        request.messages.push(Message { role: Role::System, parts });
    }
    for name in payload.names() {
        let Some(value) = payload.get(name).filter(|value| *value != b"null") else { continue };
        match name {
            "model" | "stream" | "system" => {}
            "messages" => messages(json(value, "messages")?, &mut request.messages)?,
            "max_tokens" => {
                request.max_output =
                    Some(scalar(value, "max_tokens", "\"max_tokens\" must be a whole number.")?);
            }
            "temperature" => {
                request.temperature =
                    Some(scalar(value, "temperature", "\"temperature\" must be a number.")?);
            }
            "top_p" => request.top_p = Some(scalar(value, "top_p", "\"top_p\" must be a number.")?),
            "top_k" => request.top_k = Some(scalar(value, "top_k", "\"top_k\" must be a whole number.")?),
            "stop_sequences" => {
                request.stop =
                    scalar(value, "stop_sequences", "\"stop_sequences\" must be an array of texts.")?;
            }
            "service_tier" => {
                request.service_tier = Some(scalar(value, "service_tier", "\"service_tier\" must be text.")?);
            }
            "metadata" => metadata(json(value, "metadata")?, &mut request)?,
            "tools" => request.tools = tools::read(json(value, "tools")?)?,
            "tool_choice" => tools::read_choice(json(value, "tool_choice")?, &mut request)?,
            "thinking" => thinking = Some(json(value, "thinking")?),
            "output_config" => level = output_config(json(value, "output_config")?, &mut request)?,
            "output_format" if !payload.has("output_config") => {
                let raw = json(value, "output_format")?;
                match schema(raw) {
                    Some(schema) => request.output = Output::Schema(schema),
                    None => request.native.push(native("output_format", raw)),
                }
            }
            _ => request.native.push(native(name, json(value, "body")?)),
        }
    }
    request.reasoning = effort(thinking, level, &mut request.native);
    Ok(request)
}

fn messages(raw: &RawValue, into: &mut Vec<Message>) -> Result<(), Error> {
    let list = items(raw).ok_or_else(|| invalid("messages", "\"messages\" must be an array of messages."))?;
    into.reserve(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        into.push(message(raw).map_err(|flaw| flawed(&format!("messages[{at}]"), &flaw))?);
    }
    Ok(())
}

fn message(raw: &RawValue) -> Result<Message, Flaw> {
    let mut members = Members::of(raw).ok_or(Flaw::new("", "must be an object, with no member twice"))?;
    let role = match members.take_text("role").as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => return Err(Flaw::new(".role", "must be \"user\", \"assistant\" or \"system\"")),
    };
    let content = members.take("content").ok_or(Flaw::new(".content", "is missing"))?;
    let mut parts = reader()
        .content(content)
        .map_err(|flaw| Flaw { at: format!(".content{}", flaw.at), why: flaw.why })?;
    bind_seals(&mut parts);
    Ok(Message { role, parts })
}

fn reader() -> Reader<'static> {
    Reader { seal: &|kind, data| Seal::read(NAME, kind, data) }
}

fn metadata(raw: &RawValue, request: &mut Request) -> Result<(), Error> {
    let mut members =
        Members::of(raw).ok_or_else(|| invalid("metadata", "\"metadata\" must be an object."))?;
    request.user = members.take_text("user_id").map(std::borrow::Cow::into_owned);
    if members.rest().next().is_some() {
        request.native.push(native("metadata", raw));
    }
    Ok(())
}

/// Reads the form of the answer, and returns the level of effort.
fn output_config(raw: &RawValue, request: &mut Request) -> Result<Option<String>, Error> {
    let mut members =
        Members::of(raw).ok_or_else(|| invalid("output_config", "\"output_config\" must be an object."))?;
    let level = members.take_text("effort").map(std::borrow::Cow::into_owned);
    if let Some(schema) = members.get("format").and_then(schema) {
        request.output = Output::Schema(schema);
        members.take("format");
    }
    for (name, value) in members.rest() {
        request.native.push(native(&format!("output_config.{name}"), value));
    }
    Ok(level)
}

fn schema(raw: &RawValue) -> Option<Schema> {
    let mut members = Members::of(raw)?;
    if members.take_text("type")? != "json_schema" {
        return None;
    }
    let schema = members.take("schema")?.to_owned();
    let name = members.take_text("name").map(std::borrow::Cow::into_owned);
    members.rest().next().is_none().then_some(Schema { name, description: None, schema, strict: Some(true) })
}

/// `thinking` and the level of effort. Effort without thinking says how much to do at all: then the model decides about
/// thinking, and nothing is said of its being on.
fn effort(thinking: Option<&RawValue>, level: Option<String>, natives: &mut Vec<Native>) -> Option<Effort> {
    let Some(raw) = thinking else {
        let level = level?;
        return Some(Effort { level: Some(level), adaptive: true, ..Effort::default() });
    };
    let mut effort = Effort { level, ..Effort::default() };
    let understood = Members::of(raw).is_some_and(|mut members| {
        match members.take_text("type").as_deref() {
            Some("enabled") => {
                effort.enabled = Some(true);
                effort.budget = members.take("budget_tokens").and_then(|raw| raw.get().parse().ok());
            }
            Some("adaptive") => {
                effort.enabled = Some(true);
                effort.adaptive = true;
            }
            Some("disabled") => effort.enabled = Some(false),
            _ => return false,
        }
        effort.summary = match members.take_text("display").as_deref() {
            None => None,
            Some("summarized") => Some("auto".to_owned()),
            Some("omitted") => Some("none".to_owned()),
            Some(_) => return false,
        };
        members.rest().next().is_none()
    });
    if !understood {
        natives.push(native("thinking", raw));
    }
    Some(effort)
}

fn native(name: &str, raw: &RawValue) -> Native {
    Native { dialect: NAME, name: name.to_owned(), json: raw.to_owned() }
}

fn json<'a>(value: &'a [u8], at: &'static str) -> Result<&'a RawValue, Error> {
    serde_json::from_slice(value).map_err(|_| invalid(at, "A member of the body is not valid JSON."))
}

fn scalar<T: DeserializeOwned>(value: &[u8], at: &'static str, why: &'static str) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|_| invalid(at, why))
}

fn flawed(at: &str, flaw: &Flaw) -> Error {
    let at = format!("{at}{}", flaw.at);
    Error::client(Kind::InvalidRequest, format!("\"{at}\" {}.", flaw.why)).param(at)
}
