//! Whole answers.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload};
use serde_json::value::RawValue;

use super::NAME;
use super::wire::{Choice, read_logprobs, write_logprobs};
use crate::neutral::{Content, Finish, Native, Part, Reply};
use crate::openai_chat::json::Object;
use crate::openai_chat::response::{read::not_ours, whole};
use crate::openai_chat::wire::Report;
use crate::openai_chat::{finish, members::Path};
use crate::{Losses, Turn};

pub(super) fn read(body: &Bytes) -> Result<Reply, Error> {
    let usage = whole(body)?;
    let unread = |why: String| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer is not of its dialect.").detail(why)
    };
    let payload = Payload::parse(body.clone()).map_err(|why| unread(why.to_string()))?;
    let choices: Vec<&RawValue> = serde_json::from_slice(payload.get("choices").unwrap_or(b"[]"))
        .map_err(|why| unread(why.to_string()))?;
    let mut choices = choices.into_iter();
    let first = choices.next().ok_or_else(|| unread("no choice".to_owned()))?;
    let choice: Choice<'_> = Path::Top("choices").read(first, "choices").map_err(not_ours)?;
    let text = choice.text.map(|text| text.0).unwrap_or_default();
    let mut parts = vec![Part::text(text)];
    for (at, raw) in choices.enumerate() {
        let (name, json) = (format!("choices.{}", at + 1), raw.to_owned());
        parts.push(Part::new(Content::Native(Native { dialect: NAME, name, json })));
    }
    let word = choice.finish_reason.map_or(Cow::Borrowed("stop"), |word| word.0);
    Ok(Reply {
        id: payload.text("id").unwrap_or_default().into_owned(),
        model: payload.text("model").unwrap_or_default().into_owned(),
        created: payload.number("created"),
        parts,
        finish: finish::read(&word, choice.stop_reason),
        usage,
        logprobs: choice.logprobs.map(read_logprobs).unwrap_or_default(),
        service_tier: payload.text("service_tier").map(Cow::into_owned),
    })
}

pub(super) fn write(reply: &Reply, asked: &Turn, losses: &mut Losses) -> Bytes {
    let (mut text, mut more) = (String::new(), Vec::new());
    for part in &reply.parts {
        match &part.content {
            Content::Text(said) => {
                text.push_str(&said.text);
                if !said.citations.is_empty() {
                    losses.lose("choices.annotations", "text completions have no sources");
                }
                if said.seal.is_some() {
                    losses.lose("choices.signature", "text completions have no states");
                }
            }
            Content::Refusal(said) => text.push_str(said),
            Content::Native(native) if native.dialect == NAME => more.push(native.json.get()),
            Content::Native(native) => {
                losses.lose(format!("choices.{}", native.name), "only its provider's dialect has it");
            }
            Content::Reasoning(_) => losses.lose("choices.reasoning", "text completions have no thoughts"),
            Content::Call(_) | Content::Outcome(_) => {
                losses.lose("choices.tool_calls", "text completions have no tools");
            }
            Content::Media(_) => losses.lose("choices.media", "text completions are text"),
        }
    }
    if matches!(reply.finish, Finish::Paused | Finish::Other(_) | Finish::Calls) {
        losses.lose("finish_reason", "there is no word for this end");
    }
    let mut out = Vec::with_capacity(text.len() + 512);
    let mut body = Object::open(&mut out);
    body.text("id", &reply.id);
    body.text("object", "text_completion");
    body.show("created", reply.created.unwrap_or(0));
    body.text("model", if reply.model.is_empty() { &asked.model } else { &reply.model });
    let choices = body.member("choices");
    choices.push(b'[');
    let mut choice = Object::open(choices);
    choice.text("text", &text);
    choice.show("index", 0);
    if reply.logprobs.is_empty() {
        choice.raw("logprobs", "null");
    } else {
        write_logprobs(choice.member("logprobs"), &reply.logprobs, &mut 0);
    }
    choice.text("finish_reason", word(&reply.finish));
    choice.close();
    for json in more {
        choices.push(b',');
        choices.extend_from_slice(json.as_bytes());
    }
    choices.push(b']');
    if let Some(usage) = &reply.usage {
        Report::of(usage).write(body.member("usage"));
    }
    body.close();
    out.into()
}

/// The word for a finish: of calls nothing is known here.
pub(super) fn word(finish: &Finish) -> &'static str {
    match finish {
        Finish::Calls => "stop",
        other => finish::word(other, false),
    }
}
