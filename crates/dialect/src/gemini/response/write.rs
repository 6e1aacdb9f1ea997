//! An answer as a client gets it.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::Usage;
use serde_json::value::RawValue;

use super::super::json::{self, Array, Object};
use super::super::request::{FREE_TEXT, MADE_UP};
use super::super::{NAME, wire};
use super::citations::{Sources, Spans};
use super::time;
use crate::Losses;
use crate::neutral::{
    CallKind, Content, Finish, Logprob, Media, MediaKind, Native, Part, Raw, Reasoning, Reply, Source,
};
use crate::seal::Seal;

/// Why a block of another dialect is left out.
pub(in super::super) const FOREIGN: &str = "known to another dialect only";

/// What stands beside the content of an answer.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Beside {
    pub(in super::super) sources: Sources,
    pub(in super::super) spans: Spans,
    pub(in super::super) logprobs: Vec<Logprob>,
    /// Members of a candidate as they came.
    pub(in super::super) natives: Vec<Native>,
    /// A call was written.
    called: bool,
}

/// Writes all of an answer.
pub(in super::super) fn write(reply: &Reply, losses: &mut Losses) -> Bytes {
    let mut out = Vec::with_capacity(2_048);
    let mut answer = Object::new(&mut out);
    let mut candidates = Array::new(answer.key("candidates"));
    let mut candidate = Object::new(candidates.item());
    let mut content = Object::new(candidate.key("content"));
    let mut parts = Array::new(content.key("parts"));
    let mut beside = Beside { logprobs: reply.logprobs.clone(), ..Beside::default() };
    let mut all = reply.parts.iter().peekable();
    while let Some(one) = all.next() {
        let mut asides = Vec::new();
        while let Some(aside) = all.next_if(|next| matches!(one.content, Content::Media(_)) && is_aside(next))
        {
            asides.push(aside);
        }
        part(one, &asides, &mut beside, losses, &mut parts);
    }
    parts.end();
    content.text("role", "model");
    content.end();
    candidate.text("finishReason", reason(&reply.finish));
    candidate.raw("index", "0");
    beside.write(&mut candidate);
    candidate.end();
    candidates.end();
    let created = reply.created.map(time::to_text);
    tail(reply.usage.as_ref(), reply.service_tier.as_deref(), &reply.model, created, &reply.id, &mut answer);
    answer.end();
    out.into()
}

/// What follows the candidates of an answer or a chunk.
pub(in super::super) fn tail(
    usage: Option<&Usage>,
    tier: Option<&str>,
    model: &str,
    created: Option<String>,
    id: &str,
    answer: &mut Object<'_>,
) {
    if let Some(usage) = usage {
        wire::write_usage(answer.key("usageMetadata"), usage, tier);
    }
    answer.text("modelVersion", model);
    if let Some(created) = created {
        answer.text("createTime", &created);
    }
    answer.text("responseId", id);
}

fn part(part: &Part, asides: &[&Part], beside: &mut Beside, losses: &mut Losses, parts: &mut Array<'_>) {
    match &part.content {
        Content::Text(text) => {
            text.citations.iter().for_each(|citation| beside.sources.add(citation));
            beside.spans.push(&text.text);
            if !text.text.is_empty() || text.seal.is_some() {
                said(&text.text, false, text.seal.as_ref(), parts.item());
            }
        }
        Content::Refusal(text) => said(text, false, None, parts.item()),
        Content::Reasoning(thought) => said(&thought.text, true, thought.seal.as_ref(), parts.item()),
        Content::Call(one) => {
            note_arguments(one.kind, &one.arguments, losses);
            let seal = beside.sign(one.seal.clone());
            call(&one.id, &one.name, one.kind, &one.arguments, seal.as_ref(), parts.item());
        }
        Content::Media(one) => medium(one, asides, parts.item()),
        Content::Outcome(_) => losses.lose("tool_results", "not in an answer"),
        Content::Native(native) if native.dialect != NAME => {
            losses.lose(native.name.clone(), FOREIGN);
        }
        Content::Native(native) => {
            if let Some(json) = beside.native(native) {
                parts.item().extend_from_slice(json.get().as_bytes());
            }
        }
    }
}

/// Whether it belongs to the medium before it.
fn is_aside(part: &Part) -> bool {
    match &part.content {
        Content::Native(native) => native.dialect == NAME && native.name.starts_with("part."),
        Content::Reasoning(Reasoning { seal: Some(seal), .. }) => {
            *seal.dialect == *NAME && &*seal.kind == "media"
        }
        _ => false,
    }
}

/// How a state goes out: as it is in its own dialect, wrapped in any other.
pub(in super::super) fn outward(seal: &Seal) -> Cow<'_, str> {
    if *seal.dialect == *NAME { Cow::Borrowed(&seal.data) } else { Cow::Owned(seal.wrapped()) }
}

/// Writes a part of text.
pub(in super::super) fn said(text: &str, thought: bool, seal: Option<&Seal>, out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    object.text("text", text);
    if thought {
        object.raw("thought", "true");
    }
    if let Some(seal) = seal {
        object.text("thoughtSignature", &outward(seal));
    }
    object.end();
}

/// Writes a part with a call. Its arguments must be an object: what is none becomes a text in one.
pub(in super::super) fn call(
    id: &str,
    name: &str,
    kind: CallKind,
    text: &str,
    seal: Option<&Seal>,
    out: &mut Vec<u8>,
) {
    let mut object = Object::new(out);
    let mut function = Object::new(object.key("functionCall"));
    if !id.is_empty() && !id.starts_with(MADE_UP) {
        function.text("id", id);
    }
    function.text("name", name);
    match arguments(kind, text) {
        (json, false) => function.raw("args", json),
        (text, true) => {
            let mut args = Object::new(function.key("args"));
            args.text(if kind == CallKind::Custom { FREE_TEXT } else { "arguments" }, text);
            args.end();
        }
    }
    function.end();
    if let Some(seal) = seal {
        object.text("thoughtSignature", &outward(seal));
    }
    object.end();
}

/// Takes note of arguments that go out in another form.
pub(in super::super) fn note_arguments(kind: CallKind, text: &str, losses: &mut Losses) {
    if kind == CallKind::Function && arguments(kind, text).1 {
        losses.lose("tool_calls.arguments", "not a JSON object, so they become a text in one");
    }
}

/// Arguments, and whether they are text and not an object.
fn arguments(kind: CallKind, text: &str) -> (&str, bool) {
    match (kind, text.trim()) {
        (CallKind::Custom, _) => (text, true),
        (CallKind::Function, "") => ("{}", false),
        (CallKind::Function, json)
            if json.starts_with('{') && serde_json::from_str::<&RawValue>(json).is_ok() =>
        {
            (json, false)
        }
        (CallKind::Function, _) => (text, true),
    }
}

/// A medium as a part of its own: the member that holds it, and the part.
pub(in super::super) fn media_part(one: &Media, asides: &[&Part]) -> (&'static str, Raw) {
    let inline = matches!(one.source, Source::Base64(_));
    let mut out = Vec::new();
    medium(one, asides, &mut out);
    (if inline { "inlineData" } else { "fileData" }, json::raw(out))
}

fn medium(medium: &Media, asides: &[&Part], out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    match &medium.source {
        Source::Base64(data) => inline(medium.mime.as_deref(), medium.kind, data, &mut object),
        Source::Text(text) => object.text("text", text),
        Source::Url(uri) | Source::File(uri) => {
            let mut file = Object::new(object.key("fileData"));
            if let Some(mime) = &medium.mime {
                file.text("mimeType", mime);
            }
            file.text("fileUri", uri);
            file.end();
        }
    }
    for aside in asides {
        match &aside.content {
            Content::Native(native) => {
                let name = native.name.strip_prefix("part.").unwrap_or(&native.name);
                object.any_key(name).extend_from_slice(native.json.get().as_bytes());
            }
            Content::Reasoning(Reasoning { seal: Some(seal), .. }) => {
                object.text("thoughtSignature", &outward(seal));
            }
            _ => {}
        }
    }
    object.end();
}

fn inline(mime: Option<&str>, kind: MediaKind, data: &str, object: &mut Object<'_>) {
    let mut blob = Object::new(object.key("inlineData"));
    blob.text(
        "mimeType",
        mime.unwrap_or(if kind == MediaKind::Image { "image/png" } else { "application/octet-stream" }),
    );
    blob.text("data", data);
    blob.end();
}

/// The word for why an answer ended.
pub(in super::super) fn reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop | Finish::StopText(_) | Finish::Calls | Finish::Paused => "STOP",
        Finish::Length | Finish::ContextWindow => "MAX_TOKENS",
        Finish::Filtered | Finish::Refused => "SAFETY",
        Finish::Other(word) if WORDS.contains(&word.as_str()) => word,
        Finish::Other(_) => "OTHER",
    }
}

/// Words of Gemini for which the neutral form has none.
const WORDS: [&str; 11] = [
    "FINISH_REASON_UNSPECIFIED",
    "LANGUAGE",
    "OTHER",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "NO_IMAGE",
    "IMAGE_OTHER",
    "ESCALATION",
];

// === impl Beside ===

impl Beside {
    /// The state of the next call. Newer models take none back whose first call is unsigned: where it has no state, that
    /// is marked, so that it comes back translated.
    pub(in super::super) fn sign(&mut self, seal: Option<Seal>) -> Option<Seal> {
        let first = !std::mem::replace(&mut self.called, true);
        seal.or_else(|| first.then(Seal::nobodys))
    }

    /// Takes a native block in that is a member of the candidate; gives back one that is a part.
    pub(in super::super) fn native<'n>(&mut self, native: &'n Native) -> Option<&'n RawValue> {
        match &*native.name {
            "groundingMetadata" => self.sources.ground(&native.json),
            "urlContextMetadata" => self.natives.push(native.clone()),
            name if name.starts_with("part.") => {}
            _ => return Some(&native.json),
        }
        None
    }

    pub(in super::super) fn write(&mut self, candidate: &mut Object<'_>) {
        self.sources.write(&mut self.spans, candidate);
        for native in &self.natives {
            candidate.raw(&native.name, native.json.get());
        }
        if self.logprobs.is_empty() {
            return;
        }
        let mut result = Object::new(candidate.key("logprobsResult"));
        let mut chosen = Array::new(result.key("chosenCandidates"));
        for one in &self.logprobs {
            token(&one.token, &one.logprob, chosen.item());
        }
        chosen.end();
        let mut tops = Array::new(result.key("topCandidates"));
        for one in &self.logprobs {
            let mut top = Object::new(tops.item());
            let mut all = Array::new(top.key("candidates"));
            for other in &one.top_logprobs {
                token(&other.token, &other.logprob, all.item());
            }
            all.end();
            top.end();
        }
        tops.end();
        result.end();
    }
}

fn token(token: &str, logprob: &serde_json::Number, out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    object.text("token", token);
    object.show("logProbability", logprob);
    object.end();
}
