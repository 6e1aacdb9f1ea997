//! What is read of a stream that passes as it is.

use std::sync::LazyLock;

use bytes::Bytes;
use lockgate_core::{Payload, Usage};
use memchr::memmem::Finder;
use serde::Deserialize;

use super::super::error;
use super::super::wire::{Str, Tally};
use crate::{Meter, Note};

static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"delta\""));

#[derive(Clone, Debug, Default)]
pub(in super::super) struct ResponsesMeter {
    usage: Option<Usage>,
    complete: bool,
    content_bytes: u64,
}

#[derive(Deserialize)]
struct Ending {
    response: Option<Tally>,
}

#[derive(Deserialize)]
struct Added<'a> {
    #[serde(borrow)]
    item: Option<Kind<'a>>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    r#type: Option<Str<'a>>,
}

// === impl ResponsesMeter ===

impl Meter for ResponsesMeter {
    fn note(&mut self, data: &[u8]) -> Note {
        let data = data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" {
            return Note::Frame;
        }
        // A look at both ends: cut-off JSON is seen without the price of a parse for each event.
        if !data.starts_with(b"{") || !data.ends_with(b"}") {
            return Note::Garbage;
        }
        let Some(kind) = super::kind(data) else { return nameless(data) };
        match kind.as_ref() {
            "error" | "response.failed" => match Payload::parse(Bytes::copy_from_slice(data)) {
                Ok(payload) => Note::Failed(error::in_answer(&payload)),
                Err(_) => Note::Garbage,
            },
            "response.completed" | "response.incomplete" => {
                let Ok(ending) = serde_json::from_slice::<Ending>(data) else { return Note::Garbage };
                self.complete = true;
                if let Some(usage) = ending.response.and_then(|tally| tally.buckets()) {
                    self.usage = Some(usage);
                }
                Note::Content
            }
            "response.created"
            | "response.in_progress"
            | "response.queued"
            | "response.content_part.added"
            | "response.reasoning_summary_part.added" => Note::Frame,
            "response.output_item.added" => match serde_json::from_slice::<Added<'_>>(data) {
                Ok(added) => match added.item.and_then(|item| item.r#type) {
                    // What is in them comes later; a call says something by its name.
                    None | Some(Str(std::borrow::Cow::Borrowed("message" | "reasoning"))) => Note::Frame,
                    Some(_) => Note::Content,
                },
                Err(_) => Note::Garbage,
            },
            kind if kind.ends_with(".delta") => {
                self.content_bytes += text_bytes(data);
                Note::Content
            }
            kind if kind.starts_with("response.") => Note::Content,
            // Beside the answer: keep-alives, limits.
            _ => Note::Frame,
        }
    }

    fn note_rest(&mut self, data: &[u8]) -> Note {
        let data = data.trim_ascii();
        // Cut-off JSON can end in a brace of its inside, so here both ends are not enough.
        if data == b"[DONE]" || Payload::parse(Bytes::copy_from_slice(data)).is_ok() {
            self.note(data)
        } else {
            Note::Garbage
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn complete(&self) -> bool {
        self.complete
    }

    fn content_bytes(&self) -> u64 {
        self.content_bytes
    }
}

/// An event without a name is at best an error.
fn nameless(data: &[u8]) -> Note {
    match Payload::parse(Bytes::copy_from_slice(data)) {
        Ok(payload) if payload.has("error") => Note::Failed(error::in_answer(&payload)),
        _ => Note::Garbage,
    }
}

/// The length of an event's `delta`, escapes and all.
fn text_bytes(data: &[u8]) -> u64 {
    let Some(rest) = DELTA.find(data).and_then(|at| data.get(at + DELTA.needle().len()..)) else { return 0 };
    let text = rest
        .trim_ascii_start()
        .strip_prefix(b":")
        .and_then(|rest| rest.trim_ascii_start().strip_prefix(b"\""));
    let Some(text) = text else { return 0 };
    let mut len = 0;
    while let Some(hit) = text.get(len..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        len += hit;
        if text.get(len) == Some(&b'"') {
            return len as u64;
        }
        len += 2;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(events: &[&str]) -> (ResponsesMeter, Vec<&'static str>) {
        let mut meter = ResponsesMeter::default();
        let notes = events.iter().map(|data| name(&meter.note(data.as_bytes()))).collect();
        (meter, notes)
    }

    fn name(note: &Note) -> &'static str {
        match note {
            Note::Frame => "frame",
            Note::Content => "content",
            Note::UsageOnly => "usage",
            Note::Failed(_) => "failed",
            Note::Garbage => "garbage",
        }
    }

    #[test]
    fn a_usual_stream() {
        let (meter, notes) = meter(&[
            r#"{"type":"response.created","response":{"status":"in_progress","usage":null}}"#,
            r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
            r#"{"item_id":"m","delta":"a \"b\"","type":"response.output_text.delta"}"#,
            r#"{"type":"response.output_text.done","text":"a"}"#,
            r#"{"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":2}}}"#,
            "[DONE]",
        ]);
        assert_eq!(notes, ["frame", "frame", "content", "content", "content", "frame"]);
        assert!(meter.complete());
        assert_eq!(meter.usage().map(|u| (u.input, u.output)), Some((3, 2)));
        assert_eq!(meter.content_bytes(), r#"a \"b\""#.len() as u64);
    }

    #[test]
    fn a_call_is_content_by_its_name() {
        let (_, notes) =
            meter(&[r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"f"}}"#]);
        assert_eq!(notes, ["content"]);
    }

    #[test]
    fn a_name_inside_of_the_answer_is_none() {
        let (meter, notes) = meter(&[
            r#"{"response":{"tools":[{"type":"response.completed"}]},"type":"response.created"}"#,
            r#"{"delta":"{\"type\":\"response.completed\"}","type":"response.output_text.delta"}"#,
        ]);
        assert_eq!(notes, ["frame", "content"]);
        assert!(!meter.complete());
    }

    #[test]
    fn errors_garbage_and_what_stands_beside_are_told_apart() {
        let (meter, notes) = meter(&[
            r#"{"type":"error","error":{"code":"rate_limit_exceeded","message":"m"}}"#,
            r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#,
            r#"{"error":{"message":"m"}}"#,
            r#"{"type":"keepalive","sequence_number":3}"#,
            "nonsense",
            r#"{"type":"response.comp"#,
            "{}",
        ]);
        assert_eq!(notes, ["failed", "failed", "failed", "frame", "garbage", "garbage", "garbage"]);
        assert!(!meter.complete());
    }

    #[test]
    fn a_cut_off_rest_says_nothing() {
        let mut meter = ResponsesMeter::default();
        let rest =
            br#"{"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":2}}"#;
        assert_eq!(name(&meter.note_rest(rest)), "garbage");
        assert!(!meter.complete() && meter.usage().is_none());
    }
}
