//! Requests: peek into them, and the way to the neutral form and back.
//!
//! A prompt that is one text is one message of a user. Several prompts, or tokens, have no neutral form: they pass to
//! providers of this dialect, and are the caller's error elsewhere.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload};
use serde_json::value::RawValue;

use super::NAME;
use crate::neutral::{Content, Message, Native, Output, Part, Request, Role, Source, ToolChoice};
use crate::openai_chat::json::{Object, quote};
use crate::openai_chat::members::{Path, begins};
use crate::openai_chat::request::{model_of, stream_of};
use crate::{Losses, Target, Turn};

pub(super) fn peek(body: Bytes) -> Result<Turn, Error> {
    let payload = Payload::parse(body)
        .map_err(|why| Error::client(Kind::InvalidRequest, format!("Invalid JSON: {why}.")))?;
    let model: Arc<str> = model_of(&payload)?;
    let prompt = payload.get("prompt").unwrap_or_default();
    if !prompt.starts_with(b"\"") && !prompt.starts_with(b"[") {
        return Err(
            Error::client(Kind::InvalidRequest, "\"prompt\" must be a string or an array.").param("prompt")
        );
    }
    let prompt_bytes = prompt.len() as u64;
    let (stream, usage_asked) = stream_of(&payload)?;
    Ok(Turn { payload, model, stream, usage_asked, prompt_bytes })
}

/// How many choices the answer will have: so many for each prompt.
pub(super) fn choices(payload: &Payload) -> u64 {
    let prompts: u64 = match payload.get("prompt") {
        Some(raw) if raw.starts_with(b"[") => match serde_json::from_slice::<Vec<&RawValue>>(raw) {
            // Numbers are the tokens of one prompt.
            Ok(all) if all.first().is_some_and(|first| begins(first, b'"') || begins(first, b'[')) => {
                all.len() as u64
            }
            _ => 1,
        },
        _ => 1,
    };
    prompts.saturating_mul(payload.number("n").unwrap_or(1).max(1))
}

// === reading ===

pub(super) fn read(turn: &Turn) -> Result<Request, Error> {
    let mut request = Request::default();
    for name in turn.payload.names() {
        let path = Path::Top(name);
        let Some(value) = turn.payload.get(name).filter(|value| *value != b"null") else { continue };
        let raw: &RawValue =
            serde_json::from_slice(value).map_err(|why| path.wrong("valid JSON").detail(why.to_string()))?;
        member(&mut request, name, raw)?;
    }
    Ok(request)
}

fn member(request: &mut Request, name: &str, raw: &RawValue) -> Result<(), Error> {
    const COUNT: &str = "a whole number from 0 up";
    let path = Path::Top(name);
    let text = |raw| path.text(raw).map(Cow::into_owned);
    match name {
        "model" | "stream" | "stream_options" => {}
        "prompt" => {
            let parts = vec![Part::text(prompt(raw, &path)?)];
            request.messages.push(Message { role: Role::User, parts });
        }
        "max_tokens" => request.max_output = Some(path.read(raw, COUNT)?),
        "n" => request.choices = Some(path.read(raw, COUNT)?),
        "logprobs" => request.logprobs = Some(path.read(raw, COUNT)?),
        "stop" if begins(raw, b'"') => request.stop = vec![text(raw)?],
        "stop" => request.stop = path.read(raw, "a string or an array of strings")?,
        "temperature" => request.temperature = Some(path.read(raw, "a number")?),
        "top_p" => request.top_p = Some(path.read(raw, "a number")?),
        "frequency_penalty" => request.frequency_penalty = Some(path.read(raw, "a number")?),
        "presence_penalty" => request.presence_penalty = Some(path.read(raw, "a number")?),
        "seed" => request.seed = Some(path.read(raw, "a whole number")?),
        "user" => request.user = Some(text(raw)?),
        // The usual values ask for nothing.
        "best_of" if raw.get() == "1" => {}
        "echo" if raw.get() == "false" => {}
        "logit_bias" if raw.get() == "{}" => {}
        _ => request.native.push(Native { dialect: NAME, name: name.to_owned(), json: raw.to_owned() }),
    }
    Ok(())
}

fn prompt<'a>(raw: &'a RawValue, path: &Path<'_>) -> Result<Cow<'a, str>, Error> {
    if begins(raw, b'"') {
        return path.text(raw);
    }
    match *path.list(raw)? {
        [one] if begins(one, b'"') => path.text(one),
        _ => Err(Error::client(
            Kind::InvalidRequest,
            "Several prompts, or one as tokens, are only taken by providers of text completions; this target is none: \
             send one text.",
        )
        .param("prompt")),
    }
}

// === writing ===

pub(super) fn write(request: &Request, target: &Target<'_>, losses: &mut Losses) -> Result<Bytes, Error> {
    let prompt = joined(&request.messages, losses)?;
    let mut out = Vec::with_capacity(prompt.len() + 512);
    let mut body = Object::open(&mut out);
    body.text("model", target.model);
    body.text("prompt", &prompt);
    if let Some(most) = request.max_output {
        body.show("max_tokens", most);
    }
    match request.choices {
        Some(choices) if choices > 1 && target.stream => {
            losses.lose("n", "only one answer is carried in a stream");
        }
        Some(choices) => body.show("n", choices),
        None => {}
    }
    if let Some(top) = request.logprobs {
        body.show("logprobs", top);
    }
    if !request.stop.is_empty() {
        body.list("stop", &request.stop, |out, text| quote(out, text));
    }
    for (name, number) in [
        ("temperature", &request.temperature),
        ("top_p", &request.top_p),
        ("frequency_penalty", &request.frequency_penalty),
        ("presence_penalty", &request.presence_penalty),
    ] {
        if let Some(number) = number {
            body.show(name, number);
        }
    }
    if let Some(seed) = request.seed {
        body.show("seed", seed);
    }
    if let Some(user) = &request.user {
        body.text("user", user);
    }
    for native in &request.native {
        if native.dialect == NAME {
            body.raw(&native.name, native.json.get());
        } else {
            losses.lose(native.name.clone(), "only the dialect that it came in has it");
        }
    }
    if target.stream {
        body.show("stream", true);
    }
    body.close();
    lost(request, losses)?;
    Ok(out.into())
}

/// What is said, as one text. Only texts of the operator and the user are one without the model's own template.
fn joined(messages: &[Message], losses: &mut Losses) -> Result<String, Error> {
    let mut prompt = String::new();
    for message in messages {
        if message.role == Role::Assistant {
            return Err(refused("messages", "a conversation: it has no turns"));
        }
        if messages.len() > 1 {
            losses.lose("messages.role", "all messages become one text");
        }
        for part in &message.parts {
            let text = match &part.content {
                Content::Text(text) => &text.text,
                Content::Media(media) => match &media.source {
                    Source::Text(text) => text,
                    _ => return Err(refused("messages.content", "images, documents or sounds")),
                },
                Content::Native(native) => {
                    losses
                        .lose(format!("messages.{}", native.name), "only the dialect that it came in has it");
                    continue;
                }
                _ => return Err(refused("messages", "tools")),
            };
            if part.cache.is_some() {
                losses.lose("messages.cache_control", "text completions have no marks");
            }
            if !prompt.is_empty() {
                prompt.push_str("\n\n");
            }
            prompt.push_str(text);
        }
    }
    Ok(prompt)
}

fn refused(at: &'static str, what: &str) -> Error {
    Error::client(Kind::InvalidRequest, format!("This target only completes text; it does not take {what}."))
        .param(at)
}

/// What text completions do not have.
fn lost(request: &Request, losses: &mut Losses) -> Result<(), Error> {
    const WHY: &str = "text completions do not have it";
    if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
        return Err(refused("tool_choice", "tools"));
    }
    for (there, name) in [
        (!request.tools.is_empty(), "tools"),
        (request.reasoning.is_some(), "reasoning"),
        (request.top_k.is_some(), "top_k"),
        (request.service_tier.is_some(), "service_tier"),
        (request.cache_key.is_some(), "prompt_cache_key"),
        (request.verbosity.is_some(), "verbosity"),
        (request.metadata.is_some(), "metadata"),
        (!matches!(request.output, Output::Text), "response_format"),
    ] {
        if there {
            losses.lose(name, WHY);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(json: &str) -> Result<Turn, Error> {
        peek(Bytes::copy_from_slice(json.as_bytes()))
    }

    fn sent(json: &str) -> Result<(String, Losses), Error> {
        let mut losses = Losses::default();
        let target = Target { provider: "p", model: "m", stream: false };
        let out = write(&read(&turn(json)?)?, &target, &mut losses)?;
        Ok((String::from_utf8(out.to_vec()).unwrap(), losses))
    }

    #[test]
    fn one_text_is_one_message_and_comes_back() {
        let json = r#"{"model":"m","prompt":"Hi","max_tokens":5,"logprobs":0,"stop":["x"],"suffix":"!"}"#;
        let (out, losses) = sent(json).unwrap();
        assert_eq!(out, json);
        assert!(losses.is_empty());
        assert!(sent(r#"{"model":"m","prompt":["Hi"]}"#).unwrap().0.contains(r#""prompt":"Hi""#));
    }

    #[test]
    fn several_prompts_and_tokens_are_counted_and_refused_elsewhere() {
        for (prompt, count) in [("[1,2]", 1), ("[[1],[2]]", 2), (r#"["a","b"]"#, 2)] {
            let json = format!(r#"{{"model":"m","prompt":{prompt},"n":3}}"#);
            assert_eq!(choices(&turn(&json).unwrap().payload), count * 3);
            assert_eq!(sent(&json).unwrap_err().at(), Some("prompt"));
        }
    }

    #[test]
    fn a_prompt_must_be_there() {
        assert_eq!(turn(r#"{"model":"m"}"#).unwrap_err().at(), Some("prompt"));
        assert_eq!(turn(r#"{"model":"m","prompt":7}"#).unwrap_err().at(), Some("prompt"));
        assert_eq!(turn(r#"{"prompt":"a"}"#).unwrap_err().at(), Some("model"));
    }

    #[test]
    fn a_conversation_is_no_text() {
        let said = |role, text| Message { role, parts: vec![Part::text(text)] };
        let mut request = Request {
            messages: vec![said(Role::System, "Be brief."), said(Role::User, "Hi")],
            ..Request::default()
        };
        let target = Target { provider: "p", model: "m", stream: false };
        let mut losses = Losses::default();
        let out = write(&request, &target, &mut losses).unwrap();
        assert_eq!(out, r#"{"model":"m","prompt":"Be brief.\n\nHi"}"#.as_bytes());
        assert_eq!(losses.iter().next().map(|loss| loss.what.as_ref()), Some("messages.role"));
        request.messages.push(said(Role::Assistant, "Hello"));
        assert_eq!(write(&request, &target, &mut losses).unwrap_err().at(), Some("messages"));
    }
}
