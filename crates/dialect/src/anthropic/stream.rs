//! Event streams: what the meter reads beside the bytes, and their meeting with other dialects.
//!
//! In JSON a quote inside text is always escaped, so the bytes `"word"` can only be a whole text or name. Nearly all
//! events are deltas, and those are known by such a search; every other event is parsed.

mod decoder;
mod encoder;
mod quick;

use std::sync::LazyLock;

use bytes::Bytes;
use lockgate_core::{Payload, Usage};
use memchr::memmem::Finder;

pub(super) use decoder::MessageDecoder;
pub(super) use encoder::MessageEncoder;

use super::error;
use super::wire::{Event, Head, Members, WireUsage, said};
use crate::{Meter, Note};

static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"content_block_delta\""));
/// The members that hold what a delta adds, in the order of how often they come.
static TEXTS: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| {
    [Finder::new(b"\"text\""), Finder::new(b"\"partial_json\""), Finder::new(b"\"thinking\"")]
});

/// Reads beside a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageMeter {
    usage: Option<WireUsage>,
    done: bool,
    content: bool,
    content_bytes: u64,
}

// === impl MessageMeter ===

impl Meter for MessageMeter {
    fn note(&mut self, data: &[u8]) -> Note {
        let data = data.trim_ascii();
        // Gateways of other makes end with the mark of another dialect; it says nothing here.
        if data.is_empty() || data == b"[DONE]" {
            return Note::Frame;
        }
        // A look at both ends: cut-off JSON is seen without the price of a parse for each event.
        if !data.starts_with(b"{") || !data.ends_with(b"}") {
            return Note::Garbage;
        }
        if DELTA.find(data).is_some() {
            let added = text_bytes(data);
            self.content_bytes += added;
            self.content |= added > 0;
            return if self.content { Note::Content } else { Note::Frame };
        }
        self.note_event(data)
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
        // A start that counts nothing yet is no report.
        self.usage.as_ref()?.buckets().filter(|usage| usage.counts().iter().any(|count| *count > 0))
    }

    fn complete(&self) -> bool {
        self.done
    }

    fn content_bytes(&self) -> u64 {
        self.content_bytes
    }
}

impl MessageMeter {
    fn note_event(&mut self, data: &[u8]) -> Note {
        let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else { return Note::Garbage };
        match event.kind.str() {
            "message_start" => {
                let head = event.message.and_then(|raw| serde_json::from_str::<Head<'_>>(raw.get()).ok());
                let complete = head.as_ref().is_some_and(|head| head.stop_reason.get().is_some());
                self.report(head.and_then(|head| head.usage));
                self.content |= complete;
                if self.content { Note::Content } else { Note::Frame }
            }
            "content_block_start" => {
                self.content |= event.content_block.and_then(Members::of).is_some_and(|block| says(&block));
                if self.content { Note::Content } else { Note::Frame }
            }
            "message_delta" => {
                self.report(event.usage);
                self.content |= event.delta.is_some_and(|delta| delta.stop_reason.get().is_some());
                if self.content { Note::Content } else { Note::Frame }
            }
            "message_stop" => {
                self.done = true;
                Note::Frame
            }
            "error" => Note::Failed(error::in_answer(data)),
            "" if said(event.error).is_some() => Note::Failed(error::in_answer(data)),
            _ => Note::Frame,
        }
    }

    fn report(&mut self, usage: Option<WireUsage>) {
        match (&mut self.usage, usage) {
            (Some(held), Some(later)) => held.update(later),
            (held @ None, later) => *held = later,
            (Some(_), None) => {}
        }
    }
}

/// Whether a block says something with its start: all but texts and thoughts, which begin empty.
fn says(block: &Members<'_>) -> bool {
    let is = |name: &str, text: &str| block.get(name).is_none_or(|raw| raw.get() == text);
    match block.get("type").map_or("", |kind| kind.get()) {
        "\"text\"" => !is("text", "\"\""),
        "\"thinking\"" => !is("thinking", "\"\""),
        _ => true,
    }
}

/// The length of the text that a delta adds, escapes and all.
fn text_bytes(data: &[u8]) -> u64 {
    TEXTS.iter().find_map(|finder| added(finder, data)).unwrap_or(0)
}

fn added(finder: &Finder<'_>, data: &[u8]) -> Option<u64> {
    let behind = data.get(finder.find(data)? + finder.needle().len()..)?.trim_ascii_start();
    let text = behind.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let mut len = 0;
    loop {
        len += memchr::memchr2(b'"', b'\\', text.get(len..)?)?;
        if text.get(len) == Some(&b'"') {
            return Some(len as u64);
        }
        len += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(events: &[&str]) -> (MessageMeter, Vec<&'static str>) {
        let mut meter = MessageMeter::default();
        let notes = events
            .iter()
            .map(|data| match meter.note(data.as_bytes()) {
                Note::Frame => "frame",
                Note::Content => "content",
                Note::UsageOnly => "usage",
                Note::Failed(_) => "failed",
                Note::Garbage => "garbage",
            })
            .collect();
        (meter, notes)
    }

    const START: &str =
        r#"{"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":9,"output_tokens":1}}}"#;

    #[test]
    fn a_usual_stream() {
        let (meter, notes) = meter(&[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a \"message_stop\""}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}"#,
            r#"{"type":"message_stop"}"#,
        ]);
        assert_eq!(notes, ["frame", "frame", "frame", "content", "frame", "content", "frame"]);
        assert!(meter.complete());
        assert_eq!(meter.usage().map(|u| (u.input, u.output)), Some((9, 5)));
        assert_eq!(meter.content_bytes(), r#"a \"message_stop\""#.len() as u64);
    }

    #[test]
    fn the_first_sign_of_an_answer_is_seen() {
        for (event, note) in [
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}"#,
                "content",
            ),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
                "frame",
            ),
            (r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}"#, "frame"),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
                "content",
            ),
            (
                r#"{"delta":{"partial_json":"{","type":"input_json_delta"},"index":0,"type":"content_block_delta"}"#,
                "content",
            ),
            (
                r#"{"type":"message_delta","delta":{"stop_reason":"refusal"},"usage":{"output_tokens":0}}"#,
                "content",
            ),
        ] {
            assert_eq!(meter(&[event]).1, [note], "{event}");
        }
    }

    #[test]
    fn errors_and_garbage_are_told_from_content() {
        let (meter, notes) = meter(&[
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            r#"{"error":{"message":"no type"}}"#,
            "nonsense",
            r#"{"type":"message_delta","#,
            "[DONE]",
            r#"{"type":"new_event"}"#,
        ]);
        assert_eq!(notes, ["failed", "failed", "garbage", "garbage", "frame", "frame"]);
        assert!(!meter.complete());
    }

    #[test]
    fn a_cut_off_rest_says_nothing() {
        let mut meter = MessageMeter::default();
        let rest = br#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}"#;
        assert!(matches!(meter.note_rest(rest), Note::Garbage));
        assert!(!meter.complete());
        assert!(matches!(meter.note_rest(br#"{"type":"message_stop"}"#), Note::Frame));
        assert!(meter.complete());
    }

    #[test]
    fn a_start_that_counts_nothing_is_no_report() {
        let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":0,"output_tokens":0}}}"#;
        assert_eq!(meter(&[start]).0.usage(), None);
    }
}
