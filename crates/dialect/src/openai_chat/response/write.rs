//! A neutral answer as a client gets it.

use bytes::Bytes;

use crate::neutral::{
    Alternative, Call, CallKind, Citation, Content, Finish, Logprob, Media, MediaKind, Reply,
};
use crate::openai_chat::json::{Object, list, show};
use crate::openai_chat::reasoning::{Thoughts, write_signature};
use crate::openai_chat::wire::Report;
use crate::openai_chat::{NAME, finish, ids, media};
use crate::{Losses, Turn, tier};

pub(crate) fn write(reply: &Reply, asked: &Turn, losses: &mut Losses) -> Bytes {
    let legacy = asks_functions(asked);
    let message = Message::of(reply, legacy, losses);
    let mut out = Vec::with_capacity(1_024);
    let mut body = Object::open(&mut out);
    body.text("id", &ids::of_answer(&reply.id, asked));
    body.text("object", "chat.completion");
    body.show("created", reply.created.unwrap_or(0));
    body.text("model", if reply.model.is_empty() { &asked.model } else { &reply.model });
    let choices = body.member("choices");
    choices.push(b'[');
    let mut choice = Object::open(choices);
    choice.show("index", 0);
    message.write(choice.member("message"), legacy);
    if reply.logprobs.is_empty() {
        choice.raw("logprobs", "null");
    } else {
        write_logprobs(choice.member("logprobs"), &reply.logprobs);
    }
    choice.text("finish_reason", finish_word(&reply.finish, message.refusal.is_some(), legacy));
    choice.close();
    for json in &message.choices {
        choices.push(b',');
        choices.extend_from_slice(json.as_bytes());
    }
    choices.push(b']');
    if let Some(usage) = &reply.usage {
        Report::of(usage).write(body.member("usage"));
    }
    if let Some(tier) = reply.service_tier.as_deref().and_then(tier::openai) {
        body.text("service_tier", tier);
    }
    body.close();
    if matches!(reply.finish, Finish::Paused | Finish::Other(_)) {
        losses.lose("finish_reason", "there is no word for this end");
    }
    out.into()
}

/// Whether the client knows calls only in the form before tools.
pub(crate) fn asks_functions(asked: &Turn) -> bool {
    asked.payload.has("functions") && !asked.payload.has("tools")
}

pub(crate) fn finish_word(finish: &Finish, declined: bool, legacy: bool) -> &'static str {
    match finish::word(finish, declined) {
        "tool_calls" if legacy => "function_call",
        word => word,
    }
}

#[derive(Default)]
struct Message<'a> {
    text: String,
    refusal: Option<String>,
    thoughts: Thoughts,
    calls: Vec<&'a Call>,
    citations: Vec<&'a Citation>,
    images: Vec<&'a Media>,
    members: Vec<(&'a str, &'a str)>,
    choices: Vec<&'a str>,
}

// === impl Message ===

impl<'a> Message<'a> {
    fn of(reply: &'a Reply, legacy: bool, losses: &mut Losses) -> Self {
        let mut message = Self::default();
        for part in &reply.parts {
            match &part.content {
                Content::Text(text) => {
                    message.text.push_str(&text.text);
                    for citation in &text.citations {
                        if citation.url.is_some() {
                            message.citations.push(citation);
                        } else {
                            losses.lose("message.annotations", "a source without an address");
                        }
                    }
                    if let Some(seal) = &text.seal {
                        message.thoughts.signature = Some(seal.clone());
                    }
                }
                Content::Refusal(text) => message.refusal.get_or_insert_default().push_str(text),
                Content::Reasoning(thought) => message.thoughts.show(thought),
                Content::Call(_) if legacy && !message.calls.is_empty() => {
                    losses.lose("message.tool_calls", "a client of functions takes one call");
                }
                Content::Call(call) => message.calls.push(call),
                Content::Media(medium) if medium.kind == MediaKind::Image && media::url(medium).is_some() => {
                    message.images.push(medium);
                }
                Content::Media(_) => losses.lose("message.media", "answers are text and images"),
                Content::Outcome(_) => losses.lose("message.tool_result", "an answer has no outcomes"),
                Content::Native(native) if native.dialect == NAME => {
                    let json = native.json.get();
                    if native.name.starts_with("choices.") {
                        message.choices.push(json);
                    } else if native.name.starts_with("content.") {
                        losses.lose(format!("message.{}", native.name), "clients take text as content");
                    } else {
                        message.members.push((&native.name, json));
                    }
                }
                Content::Native(native) => {
                    losses.lose(format!("message.{}", native.name), "only its provider's dialect has it");
                }
            }
        }
        message
    }

    fn write(&self, out: &mut Vec<u8>, legacy: bool) {
        let mut message = Object::open(out);
        message.text("role", "assistant");
        let silent = self.text.is_empty() && (!self.calls.is_empty() || self.refusal.is_some());
        if silent {
            message.raw("content", "null");
        } else {
            message.text("content", &self.text);
        }
        match &self.refusal {
            Some(text) => message.text("refusal", text),
            None => message.raw("refusal", "null"),
        }
        self.thoughts.write(&mut message);
        if legacy {
            if let Some(call) = self.calls.first() {
                let mut function = Object::open(message.member("function_call"));
                function.text("name", &call.name);
                function.text("arguments", words(call));
                function.close();
            }
        } else if !self.calls.is_empty() {
            message.list("tool_calls", &self.calls, |out, call| write_call(out, call));
        }
        if !self.citations.is_empty() {
            message.list("annotations", &self.citations, |out, citation| write_citation(out, citation));
        }
        if !self.images.is_empty() {
            message.list("images", self.images.iter().enumerate(), |out, (at, image)| {
                write_image(out, image, at);
            });
        }
        for (name, json) in &self.members {
            message.raw(name, json);
        }
        message.close();
    }
}

fn write_call(out: &mut Vec<u8>, call: &Call) {
    let (kind, member) = match call.kind {
        CallKind::Function => ("function", "arguments"),
        CallKind::Custom => ("custom", "input"),
    };
    let mut object = Object::open(out);
    object.text("id", &call.id);
    object.text("type", kind);
    let mut inner = Object::open(object.member(kind));
    inner.text("name", &call.name);
    inner.text(member, words(call));
    inner.close();
    if let Some(seal) = &call.seal {
        write_signature(object.member("extra_content"), seal);
    }
    object.close();
}

/// Clients parse arguments, so none are an empty object.
fn words(call: &Call) -> &str {
    if call.kind == CallKind::Function && call.arguments.trim().is_empty() { "{}" } else { &call.arguments }
}

/// A source. Clients demand all four members.
pub(crate) fn write_citation(out: &mut Vec<u8>, citation: &Citation) {
    let url = citation.url.as_deref().unwrap_or_default();
    let (start, end) = citation.span.unwrap_or((0, 0));
    let mut annotation = Object::open(out);
    annotation.text("type", "url_citation");
    let mut inner = Object::open(annotation.member("url_citation"));
    inner.text("url", url);
    inner.text("title", citation.title.as_deref().unwrap_or(url));
    inner.show("start_index", start);
    inner.show("end_index", end);
    inner.close();
    annotation.close();
}

fn write_image(out: &mut Vec<u8>, image: &Media, at: usize) {
    let mut object = Object::open(out);
    object.text("type", "image_url");
    object.show("index", at);
    let mut inner = Object::open(object.member("image_url"));
    inner.text("url", &media::url(image).unwrap_or_default());
    inner.close();
    object.close();
}

/// The tokens of a text; `bytes` is there even where it is not known, as clients demand.
pub(crate) fn write_logprobs(out: &mut Vec<u8>, tokens: &[Logprob]) {
    let mut object = Object::open(out);
    object.list("content", tokens, |out, token| {
        let mut object = Object::open(out);
        object.text("token", &token.token);
        object.show("logprob", &token.logprob);
        write_bytes(object.member("bytes"), token.bytes.as_deref());
        object.list("top_logprobs", &token.top_logprobs, write_alternative);
        object.close();
    });
    object.raw("refusal", "null");
    object.close();
}

fn write_alternative(out: &mut Vec<u8>, other: &Alternative) {
    let mut object = Object::open(out);
    object.text("token", &other.token);
    object.show("logprob", &other.logprob);
    write_bytes(object.member("bytes"), other.bytes.as_deref());
    object.close();
}

fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => list(out, bytes, show),
        None => out.extend_from_slice(b"null"),
    }
}
