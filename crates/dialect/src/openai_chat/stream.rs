//! Event streams: what the meter reads beside the bytes.
//!
//! In JSON a quote inside text is always escaped, so the bytes `"name"` followed by a colon can only be the name of a
//! member. That makes a search a sound first look; only what it finds is parsed.

pub(crate) mod decoder;
pub(crate) mod encoder;
mod queue;
pub(crate) mod told;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use lockgate_core::{Payload, Usage};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error;
use super::wire::WireUsage;
use crate::{Meter, Note};

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"finish_reason\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));
static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"content\""));

static BARE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"text\""));

/// Reads beside a stream of chat or text completions.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChatMeter {
    /// The text stands in `text`, as in text completions.
    bare: bool,
    usage: Option<Usage>,
    /// How many choices were asked for.
    choices: u64,
    /// The indexes of those that have finished.
    finished: BTreeSet<u64>,
    done: bool,
    content: bool,
    content_bytes: u64,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: Value,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Value,
    /// Legacy shape of some servers.
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(flatten)]
    members: Map<String, Value>,
}

// === impl ChatMeter ===

impl Meter for ChatMeter {
    fn note(&mut self, data: &[u8]) -> Note {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Note::Frame;
        }
        if data == b"[DONE]" {
            self.done = true;
            return Note::Frame;
        }
        // A look at both ends: cut-off JSON is seen without the price of a parse for each event.
        if !data.starts_with(b"{") || !data.ends_with(b"}") {
            return Note::Garbage;
        }
        if found(&ERROR, data) {
            match Payload::parse(Bytes::copy_from_slice(data)) {
                Ok(payload) if payload.has("error") => return Note::Failed(error::in_answer(&payload)),
                Ok(_) => {}
                Err(_) => return Note::Garbage,
            }
        }
        if FINISH.find_iter(data).any(|at| is_set(&data[at + FINISH.needle().len()..])) {
            self.note_finish(data);
        }
        self.content_bytes += text_bytes(data, if self.bare { &BARE } else { &TEXT });
        let usage_only = found(&USAGE, data) && self.note_usage(data);
        if usage_only {
            return Note::UsageOnly;
        }
        if self.content {
            return Note::Content;
        }
        match serde_json::from_slice::<Chunk>(data) {
            Ok(chunk) => self.content = chunk.choices.iter().any(Choice::says_something),
            Err(_) => return Note::Garbage,
        }
        if self.content { Note::Content } else { Note::Frame }
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
        self.done || self.finished.len() as u64 >= self.choices
    }

    fn content_bytes(&self) -> u64 {
        self.content_bytes
    }
}

impl ChatMeter {
    /// A meter for an answer of so many choices.
    pub(crate) fn new(choices: u64) -> Self {
        Self { choices: choices.max(1), ..Self::default() }
    }

    /// The same for text completions.
    pub(crate) fn of_text(choices: u64) -> Self {
        Self { bare: true, ..Self::new(choices) }
    }

    fn note_finish(&mut self, data: &[u8]) {
        let Ok(chunk) = serde_json::from_slice::<Chunk>(data) else { return };
        let finished = chunk.choices.iter().filter(|choice| !is_blank(&choice.finish_reason));
        self.finished.extend(finished.map(|choice| choice.index.as_u64().unwrap_or(0)));
    }

    /// Whether the chunk reports usage and has no choices.
    fn note_usage(&mut self, data: &[u8]) -> bool {
        let Ok(payload) = Payload::parse(Bytes::copy_from_slice(data)) else { return false };
        let own = payload.read::<WireUsage>("usage").and_then(|usage| usage.buckets());
        let reported = own.is_some();
        if let Some(usage) = own.or_else(|| groq_usage(&payload)) {
            self.usage = Some(usage);
        }
        let empty = |raw: &[u8]| raw.iter().filter(|b| !b.is_ascii_whitespace()).eq(b"[]");
        reported && payload.get("choices").is_none_or(empty)
    }
}

/// Groq reports usage unasked in a member of its own.
fn groq_usage(payload: &Payload) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Groq {
        usage: Option<WireUsage>,
    }
    payload.read::<Groq>("x_groq")?.usage?.buckets()
}

fn found(finder: &Finder<'_>, data: &[u8]) -> bool {
    finder.find(data).is_some_and(|at| {
        is_set(&data[at + finder.needle().len()..]) || finder.find(&data[at + 1..]).is_some()
    })
}

/// Whether what follows a member's name is a value other than null.
fn is_set(rest: &[u8]) -> bool {
    rest.trim_ascii_start()
        .strip_prefix(b":")
        .is_some_and(|value| !value.trim_ascii_start().starts_with(b"null"))
}

/// The length of the text in a chunk's first member of this name, escapes and all.
fn text_bytes(data: &[u8], name: &Finder<'_>) -> u64 {
    let Some(at) = name.find(data) else { return 0 };
    let rest = data[at + name.needle().len()..].trim_ascii_start();
    let Some(text) = rest.strip_prefix(b":").and_then(|r| r.trim_ascii_start().strip_prefix(b"\"")) else {
        return 0;
    };
    let mut len = 0;
    while let Some(hit) = memchr::memchr2(b'"', b'\\', &text[len..]) {
        len += hit;
        if text[len] == b'"' {
            return len as u64;
        }
        len = (len + 2).min(text.len());
    }
    0
}

impl Choice {
    fn says_something(&self) -> bool {
        !is_blank(&self.finish_reason)
            || self.text.as_ref().is_some_and(|text| !text.is_empty())
            || self.delta.as_ref().is_some_and(|delta| {
                delta.members.iter().any(|(name, value)| name != "role" && !is_blank(value))
            })
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(events: &[&str]) -> (ChatMeter, Vec<&'static str>) {
        let mut meter = ChatMeter::new(1);
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

    #[test]
    fn a_usual_stream() {
        let (meter, notes) = meter(&[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"Hi \"usage\": 7"},"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
            "[DONE]",
        ]);
        assert_eq!(notes, ["frame", "content", "content", "usage", "frame"]);
        assert!(meter.complete());
        assert_eq!(meter.usage().map(|u| (u.input, u.output)), Some((3, 2)));
        assert_eq!(meter.content_bytes(), r#"Hi \"usage\": 7"#.len() as u64);
    }

    #[test]
    fn content_is_anything_a_model_says() {
        for delta in [
            r#"{"reasoning_content":"hm"}"#,
            r#"{"tool_calls":[{"index":0,"function":{"name":"f"}}]}"#,
            r#"{"refusal":"no"}"#,
            r#"{"audio":{"id":"a"}}"#,
        ] {
            let (_, notes) =
                meter(&[&format!(r#"{{"choices":[{{"delta":{delta},"finish_reason":null}}]}}"#)]);
            assert_eq!(notes, ["content"], "{delta}");
        }
        let (_, notes) =
            meter(&[r#"{"choices":[{"delta":{"role":"assistant","content":null,"tool_calls":null}}]}"#]);
        assert_eq!(notes, ["frame"]);
    }

    #[test]
    fn the_last_report_of_usage_counts() {
        let (meter, notes) = meter(&[
            r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
            r#"{"choices":[{"delta":{"content":"b"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":3,"completion_tokens":9}}}"#,
        ]);
        assert_eq!(notes, ["content", "content", "content"]);
        assert_eq!(meter.usage().map(|u| u.output), Some(9));
    }

    #[test]
    fn an_answer_is_complete_when_all_its_choices_have_finished() {
        let mut meter = ChatMeter::new(2);
        let _ = meter.note(br#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":""}]}"#);
        let _ = meter.note(br#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
        let _ = meter.note(br#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
        assert!(!meter.complete());
        let _ = meter.note(br#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#);
        assert!(meter.complete());
    }

    #[test]
    fn a_cut_off_rest_says_nothing() {
        let mut meter = ChatMeter::new(1);
        let rest = br#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}"#;
        assert!(matches!(meter.note_rest(rest), Note::Garbage));
        assert!(!meter.complete());
        assert!(matches!(meter.note_rest(b"[DONE]"), Note::Frame));
        assert!(meter.complete());
    }

    #[test]
    fn errors_and_garbage_are_told_from_content() {
        let (meter, notes) = meter(&[
            r#"{"error":{"message":"overloaded","code":503}}"#,
            r#"{"choices":[{"delta":{"content":"an \"error\" occurred"}}],"error":null}"#,
            "nonsense",
            r#"{"choices":[{"delta":"#,
        ]);
        assert_eq!(notes[0], "failed");
        assert_eq!(notes[1], "content");
        assert_eq!(notes[2], "garbage");
        assert!(!meter.complete());
    }
}
