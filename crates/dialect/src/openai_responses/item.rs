//! The items of an answer, as they are written. Texts come in as the inside of JSON text, escaped already.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::neutral::{CallKind, Citation};

use super::NAME;
use super::wire::{Annotation, push_json, push_text};

/// What ids that the gateway made begin with behind their kind. No provider knows them.
const MADE: &str = "lg_";
/// The longest id that is taken.
pub(super) const MAX_ID: usize = 64;

/// Makes the ids of an answer's items.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    base: String,
}

// === impl Ids ===

impl Ids {
    /// For the answer of this id.
    pub(super) fn of(answer: &str) -> Self {
        Self { base: format!("{:016x}", hash(answer)) }
    }

    /// The id of the item at an index; `kind` is `msg`, `rs`, `fc` or `ctc`.
    pub(super) fn item(&self, kind: &str, index: u64) -> String {
        format!("{kind}_{MADE}{}_{index}", self.base)
    }
}

/// Whether the gateway made this id.
pub(super) fn is_made(id: &str) -> bool {
    id.split_once('_').is_some_and(|(_, rest)| rest.starts_with(MADE))
}

/// A number that stands for a text; the same everywhere and always.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A message up to its parts.
pub(super) fn begin_message(out: &mut Vec<u8>, id: &str, status: &str, phase: Option<&str>) {
    out.extend_from_slice(b"{\"id\":");
    push_text(out, id);
    out.extend_from_slice(b",\"type\":\"message\",\"status\":");
    push_text(out, status);
    if let Some(phase) = phase {
        out.extend_from_slice(b",\"phase\":");
        push_text(out, phase);
    }
    out.extend_from_slice(b",\"role\":\"assistant\",\"content\":[");
}

/// What ends a message.
pub(super) const END_MESSAGE: &[u8] = b"]}";

/// A text; `annotations` and `logprobs` are JSON texts with commas between.
pub(super) fn text_part(out: &mut Vec<u8>, text: &[u8], annotations: &[u8], logprobs: &[u8]) {
    out.extend_from_slice(b"{\"type\":\"output_text\",\"annotations\":[");
    out.extend_from_slice(annotations);
    out.extend_from_slice(b"],\"logprobs\":[");
    out.extend_from_slice(logprobs);
    out.extend_from_slice(b"],\"text\":\"");
    out.extend_from_slice(text);
    out.extend_from_slice(b"\"}");
}

/// A refusal.
pub(super) fn refusal_part(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(b"{\"type\":\"refusal\",\"refusal\":\"");
    out.extend_from_slice(text);
    out.extend_from_slice(b"\"}");
}

/// A thought.
pub(super) fn reasoning(out: &mut Vec<u8>, id: &str, summary: Option<&[u8]>, state: Option<&str>) {
    out.extend_from_slice(b"{\"id\":");
    push_text(out, id);
    out.extend_from_slice(b",\"type\":\"reasoning\",\"summary\":[");
    if let Some(text) = summary {
        summary_part(out, text);
    }
    out.push(b']');
    if let Some(state) = state {
        out.extend_from_slice(b",\"encrypted_content\":");
        push_text(out, state);
    }
    out.push(b'}');
}

/// A part of a thought's summary.
pub(super) fn summary_part(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(b"{\"type\":\"summary_text\",\"text\":\"");
    out.extend_from_slice(text);
    out.extend_from_slice(b"\"}");
}

/// What is said of a call beside its arguments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) id: &'a str,
    pub(super) status: &'a str,
    pub(super) kind: CallKind,
    pub(super) call_id: &'a str,
    pub(super) name: &'a str,
    pub(super) namespace: Option<&'a str>,
}

/// A call.
pub(super) fn call(out: &mut Vec<u8>, head: &Head<'_>, arguments: &[u8]) {
    let (kind, input): (&[u8], &[u8]) = match head.kind {
        CallKind::Function => (b"function_call", b"arguments"),
        CallKind::Custom => (b"custom_tool_call", b"input"),
    };
    out.extend_from_slice(b"{\"id\":");
    push_text(out, head.id);
    out.extend_from_slice(b",\"type\":\"");
    out.extend_from_slice(kind);
    out.extend_from_slice(b"\",\"status\":");
    push_text(out, head.status);
    out.extend_from_slice(b",\"call_id\":");
    push_text(out, head.call_id);
    out.extend_from_slice(b",\"name\":");
    push_text(out, head.name);
    if let Some(namespace) = head.namespace {
        out.extend_from_slice(b",\"namespace\":");
        push_text(out, namespace);
    }
    out.extend_from_slice(b",\"");
    out.extend_from_slice(input);
    out.extend_from_slice(b"\":\"");
    out.extend_from_slice(arguments);
    out.extend_from_slice(b"\"}");
}

/// Writes a source; `false`, and nothing is written, where the dialect has no form for it.
pub(super) fn annotation(out: &mut Vec<u8>, citation: &Citation) -> bool {
    if let Some(native) = citation.native.as_ref().filter(|native| native.dialect == NAME) {
        out.extend_from_slice(native.json.get().as_bytes());
        return true;
    }
    let Some(url) = &citation.url else { return false };
    let (start, end) = citation.span.unwrap_or((0, 0));
    push_json(
        out,
        &Annotation {
            r#type: "url_citation".into(),
            url: Some(url.clone()),
            title: Some(citation.title.clone().unwrap_or_default()),
            filename: None,
            start_index: Some(start),
            end_index: Some(end),
        },
    );
    true
}

/// Writes a list's members with commas between, behind what is there already.
pub(super) fn append(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
    let before = out.len();
    if before > 0 {
        out.push(b',');
    }
    let written = write(out);
    if !written {
        out.truncate(before);
    }
    written
}

/// The inside of a text as JSON.
pub(super) fn escaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    push_text(&mut out, text);
    out.pop();
    out.drain(..1);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_are_known_again_and_short() {
        let ids = Ids::of("a-very-long-id-of-another-provider-that-would-not-fit-into-an-id-of-this-dialect");
        let id = ids.item("msg", 7);
        assert!(is_made(&id));
        assert!(id.starts_with("msg_") && id.len() <= MAX_ID);
        assert_eq!(id, ids.item("msg", 7));
        assert!(!is_made("msg_0a58856642"));
    }

    #[test]
    fn a_source_without_an_address_has_no_form() {
        let mut out = b"{}".to_vec();
        let quote = Citation { quote: Some("q".into()), ..Citation::default() };
        assert!(!append(&mut out, |out| annotation(out, &quote)));
        assert_eq!(out, b"{}");
        let url = Citation { url: Some("u".into()), ..Citation::default() };
        assert!(append(&mut out, |out| annotation(out, &url)));
        assert!(out.starts_with(b"{},{\"type\":\"url_citation\""));
    }
}
