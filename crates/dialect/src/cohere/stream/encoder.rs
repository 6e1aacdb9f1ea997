//! Neutral deltas into events.

use std::borrow::Cow;

use lockgate_core::Usage;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::super::wire::Counts;
use super::super::{citation, response};
use crate::neutral::{Block, CallKind, Delta, Finish};
use crate::{Encoder, Losses};

#[derive(Debug, Default)]
pub(in super::super) struct CohereEncoder {
    /// Indexes of the next content, call and citation.
    contents: u64,
    calls: u64,
    citations: u64,
    open: Open,
    /// Something of the open call was written.
    begun: bool,
    usage: Option<Usage>,
    finish: Option<Finish>,
    losses: Losses,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    /// Nothing, or a block that this dialect cannot say.
    #[default]
    Nothing,
    Text,
    Thinking,
    Function,
    Custom,
}

#[derive(Serialize)]
struct Event<'a, T: Serialize> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    delta: Wrapped<T>,
}

#[derive(Serialize)]
struct Wrapped<T: Serialize> {
    message: T,
}

#[derive(Serialize)]
enum Piece<'a> {
    #[serde(rename = "content")]
    Text { text: &'a str },
    #[serde(rename = "content")]
    Thinking { thinking: &'a str },
    #[serde(rename = "tool_calls")]
    Call { function: Arguments<'a> },
    #[serde(rename = "citations")]
    Citation(&'a RawValue),
}

#[derive(Serialize)]
struct Arguments<'a> {
    arguments: &'a str,
}

impl Encoder for CohereEncoder {
    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, .. } => {
                let message = json!({ "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [] });
                let event = json!({ "id": id, "type": "message-start", "delta": { "message": message } });
                write(out, "message-start", &event);
            }
            Delta::Open(block) => self.open(&block, out),
            Delta::Text(text) => self.text(&text, out),
            Delta::Citation(cited) if self.open == Open::Text => {
                let at = usize::try_from(self.contents).unwrap_or_default();
                if let Some(json) = citation::write(&cited, None, at) {
                    let index = self.citations;
                    piece(out, "citation-start", index, Piece::Citation(&json));
                    write(out, "citation-end", &json!({ "type": "citation-end", "index": index }));
                    self.citations += 1;
                }
            }
            Delta::Citation(_) => {}
            Delta::Seal(_) => {
                let what =
                    if self.open == Open::Thinking { "content.reasoning" } else { "content.signature" };
                self.losses.lose(what, "the dialect has no place for another's state");
            }
            Delta::Logprobs(_) => {
                self.losses.lose("logprobs", "the client's dialect names tokens by numbers");
            }
            Delta::Tier(_) => self.losses.lose("service_tier", "the client's dialect has none"),
            Delta::Close => self.close(out),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Finish(finish) => {
                if matches!(finish, Finish::Paused | Finish::Filtered | Finish::Refused) {
                    self.losses.lose("finish_reason", "the client's dialect has no word for it");
                }
                self.finish = Some(finish);
            }
            Delta::End => self.end(out),
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl CohereEncoder {
    fn open(&mut self, block: &Block<'_>, out: &mut Vec<u8>) {
        self.begun = false;
        self.open = match block {
            Block::Text | Block::Refusal => {
                self.content_start(&json!({ "type": "text", "text": "" }), out);
                Open::Text
            }
            Block::Reasoning { .. } => {
                self.content_start(&json!({ "type": "thinking", "thinking": "" }), out);
                Open::Thinking
            }
            Block::Call { id, name, kind } => {
                let call =
                    json!({ "id": id, "type": "function", "function": { "name": name, "arguments": "" } });
                let delta = json!({ "message": { "tool_calls": call } });
                let event = json!({ "type": "tool-call-start", "index": self.calls, "delta": delta });
                write(out, "tool-call-start", &event);
                if *kind == CallKind::Custom { Open::Custom } else { Open::Function }
            }
            Block::Native(native) => {
                self.losses.lose(format!("content.{}", native.name), "only its own dialect has it");
                Open::Nothing
            }
        };
    }

    fn content_start(&self, content: &serde_json::Value, out: &mut Vec<u8>) {
        let delta = json!({ "message": { "content": content } });
        write(
            out,
            "content-start",
            &json!({ "type": "content-start", "index": self.contents, "delta": delta }),
        );
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        match self.open {
            Open::Nothing => {}
            Open::Text => piece(out, "content-delta", self.contents, Piece::Text { text }),
            Open::Thinking => piece(out, "content-delta", self.contents, Piece::Thinking { thinking: text }),
            Open::Function => self.arguments(text, out),
            Open::Custom => {
                // The text becomes the only member of an object, escaped piece by piece.
                let quoted = serde_json::to_string(text).unwrap_or_default();
                let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
                let text = if self.begun {
                    Cow::Borrowed(inner)
                } else {
                    Cow::Owned(format!("{{\"input\":\"{inner}"))
                };
                self.arguments(&text, out);
            }
        }
    }

    fn arguments(&mut self, arguments: &str, out: &mut Vec<u8>) {
        self.begun = true;
        piece(out, "tool-call-delta", self.calls, Piece::Call { function: Arguments { arguments } });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match self.open {
            Open::Nothing => {}
            Open::Text | Open::Thinking => {
                write(out, "content-end", &json!({ "type": "content-end", "index": self.contents }));
                self.contents += 1;
            }
            Open::Function | Open::Custom => {
                match (self.open, self.begun) {
                    (Open::Custom, true) => self.arguments("\"}", out),
                    (Open::Custom, false) => self.arguments("{\"input\":\"\"}", out),
                    (_, false) => self.arguments("{}", out),
                    _ => {}
                }
                write(out, "tool-call-end", &json!({ "type": "tool-call-end", "index": self.calls }));
                self.calls += 1;
            }
        }
        self.open = Open::Nothing;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let reason = self.finish.as_ref().map_or("COMPLETE", response::reason);
        let mut delta = json!({ "finish_reason": reason });
        if let Some(usage) = &self.usage {
            delta["usage"] = json!(Counts::of(usage));
        }
        write(out, "message-end", &json!({ "type": "message-end", "delta": delta }));
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

fn piece(out: &mut Vec<u8>, name: &'static str, index: u64, piece: Piece<'_>) {
    write(out, name, &Event { r#type: name, index: Some(index), delta: Wrapped { message: piece } });
}

fn write<T: Serialize>(out: &mut Vec<u8>, name: &str, event: &T) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // Types of our own: this cannot fail.
    let _ = serde_json::to_writer(&mut *out, event);
    out.extend_from_slice(b"\n\n");
}
