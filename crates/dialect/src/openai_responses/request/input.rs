//! Messages, written as items.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lockgate_core::Payload;

use super::items::{BREAKPOINTS, IDS};
use super::read::{INSTRUCTIONS, says_something};
use super::write::hint;
use crate::neutral::{
    Call, CallKind, Content, Media, MediaKind, Message, Outcome, Part, Reasoning, Request, Role, Source,
};
use crate::openai_responses::NAME;
use crate::openai_responses::item::{MAX_ID, annotation, append, hash};
use crate::openai_responses::response::items::{ITEM, NAMESPACE, PHASE};
use crate::openai_responses::wire::push_text;
use crate::{Losses, Target};

/// What the messages come to.
pub(super) struct Input {
    /// The first system text.
    pub(super) instructions: Option<String>,
    /// The items, as JSON texts with commas between.
    pub(super) json: Vec<u8>,
}

struct Writer<'a> {
    provider: &'a str,
    /// A request of another dialect.
    foreign: bool,
    /// Ids of items, see [`IDS`].
    ids: BTreeMap<String, String>,
    /// Whether cache marks are written.
    marks: bool,
    /// Calls that have an outcome, and outcomes that have a call.
    paired: BTreeSet<&'a str>,
    out: Vec<u8>,
    /// A thought whose id waits to see whether what follows has one too.
    thought: Option<Payload>,
}

pub(super) fn write<'a>(
    request: &'a Request,
    target: &Target<'a>,
    foreign: bool,
    losses: &mut Losses,
) -> Input {
    let ids = hint(request, IDS).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let mut writer = Writer {
        provider: target.provider,
        foreign,
        ids,
        marks: hint(request, BREAKPOINTS).is_some(),
        paired: paired(request),
        out: Vec::with_capacity(4_096),
        thought: None,
    };
    let mut messages = request.messages.as_slice();
    let mut instructions = None;
    if hint(request, INSTRUCTIONS).is_none()
        && let Some((first, rest)) = messages.split_first()
        && let Some(text) = instruction(first)
    {
        instructions = Some(text);
        messages = rest;
    }
    for message in messages {
        writer.message(message, losses);
    }
    writer.settle(None);
    Input { instructions, json: writer.out }
}

/// The text of a message that can be an instruction.
fn instruction(message: &Message) -> Option<String> {
    if message.role != Role::System || message.parts.is_empty() {
        return None;
    }
    let texts = message.parts.iter().map(|part| match &part.content {
        Content::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    Some(texts.collect::<Option<Vec<_>>>()?.join("\n\n"))
}

fn paired(request: &Request) -> BTreeSet<&str> {
    let parts = || request.messages.iter().flat_map(|message| &message.parts);
    let calls: BTreeSet<&str> = parts()
        .filter_map(|part| match &part.content {
            Content::Call(call) => Some(call.id.as_str()),
            _ => None,
        })
        .collect();
    parts()
        .filter_map(|part| match &part.content {
            Content::Outcome(outcome) => Some(outcome.id.as_str()),
            _ => None,
        })
        .filter(|id| calls.contains(id))
        .collect()
}

/// An id that the provider takes: one that is too long or empty is replaced, the same by the same.
fn call_id(id: &str) -> Cow<'_, str> {
    if id.is_empty() || id.len() > MAX_ID {
        Cow::Owned(format!("call_{:016x}", hash(id)))
    } else {
        Cow::Borrowed(id)
    }
}

// === impl Writer ===

impl Writer<'_> {
    fn message(&mut self, message: &Message, losses: &mut Losses) {
        self.unmarked(&message.parts, losses);
        let mut content: Vec<&Part> = Vec::new();
        for part in &message.parts {
            match &part.content {
                Content::Text(_) | Content::Media(_) | Content::Refusal(_) => content.push(part),
                Content::Native(native) if native.dialect == NAME && native.name == PHASE => {
                    self.say(message.role, &mut content, losses);
                    content.push(part);
                }
                Content::Native(native) if native.dialect == NAME && native.name.starts_with("content.") => {
                    content.push(part);
                }
                Content::Native(native) if native.dialect == NAME => {
                    self.say(message.role, &mut content, losses);
                    let json = native.json.get();
                    let id = Payload::parse(json.to_owned().into())
                        .ok()
                        .and_then(|item| item.text("id").map(Cow::into_owned));
                    self.settle(id.as_deref());
                    self.item(|out| out.extend_from_slice(json.as_bytes()));
                }
                Content::Native(native) => {
                    losses.lose(format!("messages.{}", native.name), "only its own dialect has this block");
                }
                Content::Reasoning(thought) => {
                    self.say(message.role, &mut content, losses);
                    self.reasoning(thought, losses);
                }
                Content::Call(call) => {
                    self.say(message.role, &mut content, losses);
                    self.call(call, losses);
                }
                Content::Outcome(outcome) if self.foreign && !self.paired.contains(outcome.id.as_str()) => {
                    losses.lose("messages.tool_result", "it has no call, so it becomes text");
                    let told = |part: &&Part| matches!(part.content, Content::Text(_) | Content::Media(_));
                    content.extend(outcome.parts.iter().filter(told));
                }
                Content::Outcome(outcome) => {
                    self.say(message.role, &mut content, losses);
                    self.outcome(outcome, losses);
                }
            }
        }
        self.say(message.role, &mut content, losses);
    }

    /// Marks of other dialects are not written: the target caches by itself.
    fn unmarked(&self, parts: &[Part], losses: &mut Losses) {
        if self.marks {
            return;
        }
        for part in parts {
            if let Some(mark) = &part.cache {
                losses.cached_anyway(mark);
            }
            if let Content::Outcome(outcome) = &part.content {
                self.unmarked(&outcome.parts, losses);
            }
        }
    }

    fn item(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        append(&mut self.out, |out| {
            write(out);
            true
        });
    }

    /// Writes the thought that waits. Its id stays only where what follows has the id that belongs to it: a provider
    /// that stores answers refuses the one without the other.
    fn settle(&mut self, follower: Option<&str>) {
        let Some(thought) = self.thought.take() else { return };
        let mut splice = thought.splice().remove("status");
        if thought.has("encrypted_content") && follower.is_none_or(str::is_empty) {
            splice = splice.remove("id");
        }
        let item = splice.segments().join();
        self.item(|out| out.extend_from_slice(&item));
    }

    fn reasoning(&mut self, thought: &Reasoning, losses: &mut Losses) {
        self.settle(None);
        match &thought.seal {
            Some(seal) if seal.opens_at(self.provider, NAME) && &*seal.kind == ITEM => {
                match Payload::parse(Bytes::copy_from_slice(seal.data.as_bytes())) {
                    Ok(item) if item.text("type").as_deref() == Some("reasoning") => {
                        self.thought = Some(item);
                    }
                    _ => losses.lose("messages.reasoning", "its state is damaged"),
                }
            }
            Some(_) => losses.lose("messages.reasoning", "only the provider that made it can read its state"),
            None if self.foreign => {
                losses.lose("messages.reasoning", "without a state the target does not take it back");
            }
            None => {
                let member: &[u8] = if thought.summary {
                    b"\"summary\":[{\"type\":\"summary_text\",\"text\":"
                } else {
                    b"\"summary\":[],\"content\":[{\"type\":\"reasoning_text\",\"text\":"
                };
                self.item(|out| {
                    out.extend_from_slice(b"{\"type\":\"reasoning\",");
                    if thought.text.is_empty() {
                        out.extend_from_slice(b"\"summary\":[");
                    } else {
                        out.extend_from_slice(member);
                        push_text(out, &thought.text);
                        out.push(b'}');
                    }
                    out.extend_from_slice(b"]}");
                });
            }
        }
    }

    fn call(&mut self, call: &Call, losses: &mut Losses) {
        if self.foreign && !self.paired.contains(call.id.as_str()) {
            losses.lose("messages.tool_call", "it has no outcome, without which the target refuses it");
            return;
        }
        let id = self.ids.get(&call.id).cloned();
        self.settle(id.as_deref());
        let own = call.seal.as_ref().filter(|seal| &*seal.dialect == NAME && &*seal.kind == NAMESPACE);
        if call.seal.is_some() && own.is_none() {
            losses.lose("messages.tool_call.signature", "only the provider that made it can read its state");
        }
        let (kind, member) = match call.kind {
            CallKind::Function => ("function_call", "arguments"),
            CallKind::Custom => ("custom_tool_call", "input"),
        };
        let empty = self.foreign && call.kind == CallKind::Function && call.arguments.trim().is_empty();
        let arguments = if empty { "{}" } else { &call.arguments };
        self.item(|out| {
            begin(out, kind);
            if let Some(id) = &id {
                member_text(out, "id", id);
            }
            member_text(out, "call_id", &call_id(&call.id));
            member_text(out, "name", &call.name);
            if let Some(own) = own {
                member_text(out, "namespace", &own.data);
            }
            member_text(out, member, arguments);
            out.push(b'}');
        });
    }

    fn outcome(&mut self, outcome: &Outcome, losses: &mut Losses) {
        self.settle(None);
        if outcome.failed {
            losses.lose("messages.tool_result.is_error", "this dialect does not say that a tool failed");
        }
        let kind = match outcome.kind {
            CallKind::Function => "function_call_output",
            CallKind::Custom => "custom_tool_call_output",
        };
        let plain = match outcome.parts.as_slice() {
            [] => Some(""),
            [Part { content: Content::Text(text), cache }] if cache.is_none() || !self.marks => {
                Some(&*text.text)
            }
            _ => None,
        };
        let mut parts = Vec::new();
        if plain.is_none() {
            for part in &outcome.parts {
                append(&mut parts, |out| self.part(out, part, Role::User, true, losses));
            }
        }
        self.item(|out| {
            begin(out, kind);
            member_text(out, "call_id", &call_id(&outcome.id));
            out.extend_from_slice(b",\"output\":");
            match plain {
                Some(text) => push_text(out, text),
                None if parts.is_empty() => out.extend_from_slice(b"\"\""),
                None => {
                    out.push(b'[');
                    out.extend_from_slice(&parts);
                    out.push(b']');
                }
            }
            out.push(b'}');
        });
    }

    /// Writes the message of the parts so far.
    fn say(&mut self, role: Role, content: &mut Vec<&Part>, losses: &mut Losses) {
        let parts = std::mem::take(content);
        let phase = parts.iter().find_map(|part| match &part.content {
            Content::Native(native) if native.name == PHASE => Some(native.json.get()),
            _ => None,
        });
        let parts: Vec<&Part> = parts
            .into_iter()
            .filter(|part| !matches!(&part.content, Content::Native(native) if native.name == PHASE))
            .filter(|part| !self.foreign || says_something(part))
            .collect();
        if parts.is_empty() {
            return;
        }
        let name = match role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let plain = match parts.as_slice() {
            [Part { content: Content::Text(text), cache }]
                if text.citations.is_empty() && (cache.is_none() || !self.marks) =>
            {
                Some(&*text.text)
            }
            _ => None,
        };
        let mut json = Vec::new();
        if plain.is_none() {
            for part in &parts {
                append(&mut json, |out| self.part(out, part, role, false, losses));
            }
            if json.is_empty() {
                return;
            }
        }
        for part in &parts {
            if let Content::Text(text) = &part.content
                && text.seal.is_some()
            {
                losses.lose("messages.text.signature", "only the provider that made it can read its state");
            }
        }
        // What follows a thought keeps the id that belongs to it.
        let id = self.thought.as_ref().and_then(|thought| {
            let thought = thought.text("id")?;
            self.ids.get(thought.as_ref()).cloned().filter(|_| role == Role::Assistant)
        });
        self.settle(id.as_deref());
        self.item(|out| {
            begin(out, "message");
            if let Some(id) = &id {
                member_text(out, "id", id);
            }
            member_text(out, "role", name);
            if let Some(phase) = phase {
                out.extend_from_slice(b",\"phase\":");
                out.extend_from_slice(phase.as_bytes());
            }
            out.extend_from_slice(b",\"content\":");
            match plain {
                // An item with an id is one of the provider's own, which are made of parts.
                Some(text) if id.is_none() => push_text(out, text),
                Some(text) => {
                    out.extend_from_slice(b"[{\"type\":\"output_text\",\"annotations\":[],\"text\":");
                    push_text(out, text);
                    out.extend_from_slice(b"}]");
                }
                None => {
                    out.push(b'[');
                    out.extend_from_slice(&json);
                    out.push(b']');
                }
            }
            out.push(b'}');
        });
    }

    /// Writes a part; `false`, and nothing is written, where it has no form here.
    fn part(&self, out: &mut Vec<u8>, part: &Part, role: Role, outcome: bool, losses: &mut Losses) -> bool {
        match &part.content {
            Content::Text(text) => {
                let said = role == Role::Assistant;
                begin(out, if said { "output_text" } else { "input_text" });
                member_text(out, "text", &text.text);
                if said {
                    out.extend_from_slice(b",\"annotations\":[");
                    let mut sources = Vec::new();
                    for citation in &text.citations {
                        if !append(&mut sources, |out| annotation(out, citation)) {
                            losses.lose("messages.citations", "a source without an address has no form here");
                        }
                    }
                    out.extend_from_slice(&sources);
                    out.push(b']');
                } else if !text.citations.is_empty() {
                    losses.lose("messages.citations", "only the model's own texts have sources here");
                }
            }
            Content::Refusal(text) => {
                begin(out, "refusal");
                member_text(out, "refusal", text);
            }
            Content::Media(media) => {
                if !self.media(out, media, role, outcome, losses) {
                    return false;
                }
            }
            Content::Native(native) if native.dialect == NAME => {
                out.extend_from_slice(native.json.get().as_bytes());
                return true;
            }
            Content::Native(native) => {
                losses.lose(format!("messages.{}", native.name), "only its own dialect has this block");
                return false;
            }
            Content::Reasoning(_) | Content::Call(_) | Content::Outcome(_) => {
                losses.lose("messages.tool_result.content", "a result holds text and media only");
                return false;
            }
        }
        if self.marks && part.cache.is_some() {
            out.extend_from_slice(b",\"prompt_cache_breakpoint\":{\"mode\":\"explicit\"}");
        }
        out.push(b'}');
        true
    }

    /// Writes a medium up to its closing brace.
    fn media(
        &self,
        out: &mut Vec<u8>,
        media: &Media,
        role: Role,
        outcome: bool,
        losses: &mut Losses,
    ) -> bool {
        let lost = match (media.kind, &media.source) {
            _ if role == Role::Assistant => "the model's own messages hold no media here",
            (_, Source::File(_)) if self.foreign => "a file lies at another provider",
            (MediaKind::Video, _) => "this dialect takes no films",
            (MediaKind::Audio, _) if outcome => "a result holds no sound here",
            (MediaKind::Audio, source) if !matches!(source, Source::Base64(_)) => {
                "sound must be in the request"
            }
            (MediaKind::Image, Source::Text(_)) => "text is no image",
            _ => "",
        };
        if !lost.is_empty() {
            losses.lose("messages.media", lost);
            return false;
        }
        let mime = media.mime.as_deref();
        match (media.kind, &media.source) {
            (MediaKind::Image, source) => {
                begin(out, "input_image");
                match source {
                    Source::Base64(data) => {
                        member_text(out, "image_url", &data_url(mime.unwrap_or("image/png"), data));
                    }
                    Source::Url(url) => member_text(out, "image_url", url),
                    Source::File(id) => member_text(out, "file_id", id),
                    Source::Text(_) => {}
                }
                if let Some(detail) = &media.detail {
                    member_text(out, "detail", detail);
                }
            }
            (MediaKind::Audio, Source::Base64(data)) => {
                let format = mime.and_then(|mime| mime.strip_prefix("audio/")).unwrap_or("wav");
                let format = match format {
                    "mpeg" => "mp3",
                    "x-wav" | "wave" => "wav",
                    other => other,
                };
                begin(out, "input_audio");
                out.extend_from_slice(b",\"input_audio\":{\"data\":");
                push_text(out, data);
                member_text(out, "format", format);
                out.push(b'}');
            }
            (_, source) => {
                begin(out, "input_file");
                let inline = match source {
                    Source::Base64(data) => Some(data_url(mime.unwrap_or("application/pdf"), data)),
                    Source::Text(text) => Some(data_url("text/plain", &STANDARD.encode(text))),
                    Source::Url(url) => {
                        member_text(out, "file_url", url);
                        None
                    }
                    Source::File(id) => {
                        member_text(out, "file_id", id);
                        None
                    }
                };
                match (&inline, &media.name) {
                    (_, Some(name)) => member_text(out, "filename", name),
                    (Some(_), None) if !self.foreign => {}
                    (Some(_), None) => member_text(out, "filename", file_name(mime, source)),
                    (None, None) => {}
                }
                if let Some(data) = inline {
                    member_text(out, "file_data", &data);
                }
            }
        }
        true
    }
}

/// A file that comes in the request must have a name, whose end says what it is.
fn file_name(mime: Option<&str>, source: &Source) -> &'static str {
    match (mime, source) {
        (_, Source::Text(_)) | (Some("text/plain"), _) => "document.txt",
        (Some("text/markdown"), _) => "document.md",
        (Some("text/html"), _) => "document.html",
        (Some("text/csv"), _) => "document.csv",
        (Some("application/json"), _) => "document.json",
        _ => "document.pdf",
    }
}

fn data_url(mime: &str, data: &str) -> String {
    format!("data:{mime};base64,{data}")
}

fn begin(out: &mut Vec<u8>, kind: &str) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
}

fn member_text(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    push_text(out, text);
}
