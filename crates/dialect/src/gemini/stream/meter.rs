//! What is read beside the bytes of a stream.
//!
//! The members of an event are found as slices. A model writes the arguments of calls itself, so what looks like usage,
//! a finish or an error counts only where the provider's own stands.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use lockgate_core::{Payload, Usage};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::wire::{Candidate, Word};
use super::super::{error, response, wire};
use crate::{Meter, Note};

static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"finishReason\""));
static QUERIES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"webSearchQueries\""));
static COUNT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"TokenCount\""));
static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"text\""));

/// Reads beside a stream.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct GeminiMeter {
    usage: Option<Usage>,
    /// A later report as it came. Most events have one and only the last counts, so it is read when it is asked for.
    held: Vec<u8>,
    /// How many answers were asked for.
    candidates: u64,
    /// The indexes of those that have finished.
    finished: BTreeSet<u64>,
    /// The prompt was refused: there will be no answer.
    blocked: bool,
    content: bool,
    content_bytes: u64,
    searches: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ended<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    finish_reason: Option<Word<'a>>,
}

// === impl GeminiMeter ===

impl GeminiMeter {
    /// A meter for so many answers.
    pub(in super::super) fn new(candidates: u64) -> Self {
        Self { candidates: candidates.max(1), ..Self::default() }
    }

    fn note_payload(&mut self, payload: &Payload) -> Note {
        if payload.has("error") {
            return Note::Failed(error::in_answer(payload.get("error").unwrap_or_default()));
        }
        let last = payload.get("candidates").is_none_or(|all| FINISH.find(all).is_some());
        let reported = payload.get("usageMetadata").is_some_and(|usage| self.note_usage(usage, last));
        let blocked = payload.get("promptFeedback").is_some_and(|feedback| self.note_feedback(feedback));
        let Some(candidates) = payload.get("candidates").filter(|all| all.len() > 2) else {
            return match (blocked, reported) {
                (true, _) => {
                    self.content = true;
                    Note::Content
                }
                (false, true) => Note::UsageOnly,
                (false, false) => Note::Frame,
            };
        };
        if FINISH.find(candidates).is_some() {
            self.note_finish(candidates);
        }
        if QUERIES.find(candidates).is_some()
            && let Ok(all) = std::str::from_utf8(candidates)
        {
            let model = payload.text("modelVersion").unwrap_or_default();
            self.searches = self.searches.max(response::searches(all, &model));
        }
        self.content_bytes += text_bytes(candidates);
        if !self.content {
            let Ok(all) = serde_json::from_slice::<Vec<Candidate<'_>>>(candidates) else {
                return Note::Garbage;
            };
            self.content = !self.finished.is_empty() || all.iter().any(says_something);
        }
        if self.content { Note::Content } else { Note::Frame }
    }

    /// Whether the member reports counts. A report that cannot be does not undo the one before it.
    fn note_usage(&mut self, raw: &[u8], last: bool) -> bool {
        if COUNT.find(raw).is_none() {
            return false;
        }
        if !last {
            self.held.clear();
            self.held.extend_from_slice(raw);
            return true;
        }
        let usage = read(raw);
        if usage.is_some() {
            self.usage = usage;
            self.held.clear();
        }
        usage.is_some()
    }

    fn note_feedback(&mut self, raw: &[u8]) -> bool {
        let feedback = serde_json::from_slice::<wire::Feedback<'_>>(raw).unwrap_or_default();
        let blocked = feedback.block_reason.is_some_and(|reason| reason.reason().is_some());
        self.blocked |= blocked;
        blocked
    }

    fn note_finish(&mut self, candidates: &[u8]) {
        let Ok(all) = serde_json::from_slice::<Vec<Ended<'_>>>(candidates) else { return };
        let ended = all.iter().filter(|one| one.finish_reason.as_ref().is_some_and(|r| r.reason().is_some()));
        self.finished.extend(ended.map(|one| one.index.unwrap_or(0)).take(64));
    }
}

impl Meter for GeminiMeter {
    fn note(&mut self, data: &[u8]) -> Note {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Note::Frame;
        }
        match Payload::parse(Bytes::copy_from_slice(data)) {
            Ok(payload) => self.note_payload(&payload),
            Err(_) => Note::Garbage,
        }
    }

    fn note_rest(&mut self, data: &[u8]) -> Note {
        // An event that is cut off is no JSON object any more.
        self.note(data)
    }

    fn usage(&self) -> Option<Usage> {
        let usage = read(&self.held).or(self.usage);
        usage.map(|usage| Usage { searches: self.searches, ..usage })
    }

    fn complete(&self) -> bool {
        self.blocked || self.finished.len() as u64 >= self.candidates
    }

    fn content_bytes(&self) -> u64 {
        self.content_bytes
    }
}

fn read(usage: &[u8]) -> Option<Usage> {
    std::str::from_utf8(usage).ok().and_then(wire::usage)
}

fn says_something(candidate: &Candidate<'_>) -> bool {
    let parts = candidate.content.as_ref().and_then(|content| content.parts.as_ref());
    parts.is_some_and(|parts| parts.iter().any(wire::Part::says_something))
}

/// The length of the texts in candidates, escapes and all.
fn text_bytes(candidates: &[u8]) -> u64 {
    let mut sum = 0;
    let mut rest = candidates;
    while let Some(at) = TEXT.find(rest) {
        rest = rest.get(at + TEXT.needle().len()..).unwrap_or_default().trim_ascii_start();
        let Some(text) = rest.strip_prefix(b":").and_then(|r| r.trim_ascii_start().strip_prefix(b"\""))
        else {
            continue;
        };
        let mut len = 0;
        while let Some(hit) = memchr::memchr2(b'"', b'\\', text.get(len..).unwrap_or_default()) {
            len += hit;
            if text.get(len) == Some(&b'"') {
                break;
            }
            len = (len + 2).min(text.len());
        }
        sum += len as u64;
        rest = text.get(len..).unwrap_or_default();
    }
    sum
}

/// The raw JSON of a member that counts tokens.
pub(super) fn counts(usage: Option<&RawValue>) -> Option<&str> {
    usage.map(RawValue::get).filter(|raw| COUNT.find(raw.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(candidates: u64, events: &[&str]) -> (GeminiMeter, Vec<&'static str>) {
        let mut meter = GeminiMeter::new(candidates);
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
        let (meter, notes) = meter(
            1,
            &[
                r#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"}}],"usageMetadata":{"trafficType":"ON_DEMAND"}}"#,
                r#"{"candidates":[{"content":{"parts":[{"text":"Hi \"x\""}],"role":"model"}}],"usageMetadata":{"promptTokenCount":3,"totalTokenCount":3}}"#,
                r#"{"candidates":[{"content":{"parts":[{"text":"!"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}"#,
                r#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#,
            ],
        );
        assert_eq!(notes, ["frame", "content", "content", "frame"]);
        assert!(meter.complete());
        assert_eq!(meter.usage().map(|u| (u.input, u.output)), Some((3, 2)));
        assert_eq!(meter.content_bytes(), r#"Hi \"x\"!"#.len() as u64);
    }

    #[test]
    fn a_report_that_cannot_be_does_not_undo_the_one_before() {
        let (meter, _) = meter(
            1,
            &[
                r#"{"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":3}}"#,
                r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":99007199254740993}}"#,
            ],
        );
        assert_eq!(meter.usage().map(|usage| usage.input), Some(3));
    }

    #[test]
    fn content_is_anything_a_model_says() {
        for part in [
            r#"{"functionCall":{"name":"f"}}"#,
            r#"{"text":"hm","thought":true}"#,
            r#"{"executableCode":{}}"#,
            r#"{"inlineData":{}}"#,
        ] {
            let (_, notes) =
                meter(1, &[&format!(r#"{{"candidates":[{{"content":{{"parts":[{part}]}}}}]}}"#)]);
            assert_eq!(notes, ["content"], "{part}");
        }
    }

    #[test]
    fn what_a_model_writes_into_arguments_is_not_the_providers_word() {
        let (meter, _) = meter(
            1,
            &[
                r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"finishReason":"STOP","usageMetadata":{"promptTokenCount":9},"error":{"code":500}}}}]}}]}"#,
            ],
        );
        assert!(!meter.complete());
        assert_eq!(meter.usage(), None);
    }

    #[test]
    fn an_answer_is_complete_when_all_have_finished_or_the_prompt_is_refused() {
        let (meter_of_two, _) = meter(2, &[r#"{"candidates":[{"finishReason":"STOP"}]}"#]);
        assert!(!meter_of_two.complete());
        let (both, _) =
            meter(2, &[r#"{"candidates":[{"finishReason":1},{"index":1,"finishReason":"SAFETY"}]}"#]);
        assert!(both.complete());
        let (blocked, notes) = meter(1, &[r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#]);
        assert!(blocked.complete());
        assert_eq!(notes, ["content"]);
        let (unspecified, _) =
            meter(1, &[r#"{"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#]);
        assert!(!unspecified.complete());
    }

    #[test]
    fn errors_and_garbage_are_told_from_content() {
        let (_, notes) = meter(
            1,
            &[
                r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#,
                "nonsense",
                r#"{"candidates":[{"content":"#,
                r#"{"candidates":[7]}"#,
            ],
        );
        assert_eq!(notes, ["failed", "garbage", "garbage", "garbage"]);
    }

    #[test]
    fn a_cut_off_rest_says_nothing() {
        let mut meter = GeminiMeter::new(1);
        assert!(matches!(meter.note_rest(br#"{"candidates":[{"finishReason":"STOP"}]"#), Note::Garbage));
        assert!(!meter.complete());
        assert!(matches!(meter.note_rest(br#"{"candidates":[{"finishReason":"STOP"}]}"#), Note::Content));
        assert!(meter.complete());
    }
}
