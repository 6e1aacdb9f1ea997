//! Neutral deltas written as the stream of a client.
//!
//! Blocks begin with their first word: a text that stays empty is no block, as clients would send it back and providers
//! refuse it. The usage of the start is what is known by then; that of the end is all of it.

use std::io::Write as _;

use lockgate_core::Usage;
use serde::Deserialize;

use crate::anthropic::block::{BOUND_TO_LAST, BOUND_TO_NEXT, CALLER, noted};
use crate::anthropic::finish::{self, Calls};
use crate::anthropic::json::{self, Object};
use crate::anthropic::wire::Members;
use crate::anthropic::{NAME, response};
use crate::neutral::{Block, CallKind, Citation, Delta, Finish, Native};
use crate::seal::Seal;
use crate::{Encoder, Losses, Turn};

/// Writes a stream.
#[derive(Debug)]
pub(in crate::anthropic) struct MessageEncoder {
    /// The id for an answer that comes without one.
    spare_id: String,
    id: String,
    model: String,
    started: bool,
    ended: bool,
    /// The index of the block under way or to come.
    index: u64,
    open: Open,
    usage: Usage,
    tier: Option<String>,
    finish: Option<Finish>,
    calls: Calls,
    /// Members for the block that follows.
    notes: Vec<Native>,
    /// Members for the message.
    extras: Vec<Native>,
    /// A state bound to the block under way that came too late to go before it.
    after: Option<Seal>,
    /// A call that no thought goes before is to be marked, and a thought that nobody signs.
    wants_thought: bool,
    losses: Losses,
}

/// The block under way.
#[derive(Debug)]
enum Open {
    Nothing,
    /// What the client's dialect does not have.
    Skipped,
    Text {
        begun: bool,
    },
    Reasoning {
        begun: bool,
    },
    /// A call that is not written yet: its state may still come, and goes before it.
    NewCall {
        id: String,
        name: String,
        kind: CallKind,
    },
    Call {
        kind: CallKind,
    },
}

// === impl MessageEncoder ===

impl Encoder for MessageEncoder {
    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match delta {
            Delta::Text(text) => self.text(&text, out),
            Delta::Start { id, model, .. } => {
                self.id = if id.is_empty() { std::mem::take(&mut self.spare_id) } else { id.into_owned() };
                self.model = model.into_owned();
            }
            Delta::Open(block) => self.open(block, out),
            Delta::Close => self.close(out),
            Delta::Seal(seal) => self.seal(&seal, out),
            Delta::Citation(citation) => self.citation(&citation, out),
            Delta::Logprobs(_) => self.losses.lose("logprobs", "the client's dialect has none"),
            Delta::Usage(usage) => self.usage = usage,
            Delta::Tier(tier) => self.tier = Some(tier.into_owned()),
            Delta::Finish(finish) => self.finish = Some(finish),
            Delta::End => self.end(out),
        }
    }

    fn sent(&mut self, name: &str, data: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Numbered {
            index: u64,
        }
        self.started = true;
        self.ended |= name == "message_stop";
        let Ok(Numbered { index }) = serde_json::from_slice(data) else { return name == "message_delta" };
        self.index = index;
        match (name, &mut self.open) {
            ("content_block_stop", open) => {
                *open = Open::Nothing;
                self.index = index + 1;
            }
            ("content_block_start", Open::Text { begun } | Open::Reasoning { begun }) => *begun = true,
            _ => {}
        }
        false
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl MessageEncoder {
    pub(in crate::anthropic) fn new(asked: &Turn) -> Self {
        Self {
            spare_id: response::id_for("", asked),
            id: String::new(),
            model: String::new(),
            started: false,
            ended: false,
            index: 0,
            open: Open::Nothing,
            usage: Usage::default(),
            tier: None,
            finish: None,
            calls: Calls::default(),
            notes: Vec::new(),
            extras: Vec::new(),
            after: None,
            wants_thought: response::wants_thought(asked),
            losses: Losses::default(),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        out.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
        let mut message = Object::begin(out);
        message.text("id", &self.id);
        message.text("type", "message");
        message.text("role", "assistant");
        message.text("model", &self.model);
        message.raw("content", "[]");
        message.raw("stop_reason", "null");
        message.raw("stop_sequence", "null");
        response::usage(message.member("usage"), &self.usage, self.tier.as_deref());
        message.end();
        out.extend_from_slice(b"}\n\n");
    }

    // --- blocks ---

    fn open(&mut self, block: Block<'_>, out: &mut Vec<u8>) {
        self.close(out);
        self.open = match block {
            Block::Text | Block::Refusal => Open::Text { begun: false },
            Block::Reasoning { .. } => Open::Reasoning { begun: false },
            Block::Call { id, name, kind } => {
                Open::NewCall { id: id.into_owned(), name: name.into_owned(), kind }
            }
            Block::Native(native) => {
                self.native(native, out);
                Open::Skipped
            }
        };
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        match &mut self.open {
            Open::Text { begun } => {
                if !std::mem::replace(begun, true) {
                    self.begin_text(out);
                }
                self.piece("text_delta", "text", text, out);
            }
            Open::Reasoning { begun } => {
                if !std::mem::replace(begun, true) {
                    self.begin_thinking(out);
                }
                self.piece("thinking_delta", "thinking", text, out);
            }
            Open::NewCall { .. } => {
                self.begin_call(out);
                self.text(text, out);
            }
            Open::Call { kind: CallKind::Function } => {
                self.piece("input_json_delta", "partial_json", text, out);
            }
            Open::Call { kind: CallKind::Custom } => {
                // Inside the JSON text that the input is, without its quotes.
                let mut quoted = Vec::with_capacity(text.len() + 2);
                json::text(&mut quoted, text);
                let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
                self.piece("input_json_delta", "partial_json", &String::from_utf8_lossy(inner), out);
            }
            Open::Nothing | Open::Skipped => {}
        }
    }

    fn seal(&mut self, seal: &Seal, out: &mut Vec<u8>) {
        match &mut self.open {
            Open::Reasoning { begun: begun @ false }
                if *seal.dialect == *NAME && &*seal.kind == "redacted" =>
            {
                *begun = true;
                self.redacted(&seal.data, out);
                self.open = Open::Skipped;
            }
            Open::Reasoning { begun } => {
                if !std::mem::replace(begun, true) {
                    self.begin_thinking(out);
                }
                self.wants_thought = false;
                self.piece("signature_delta", "signature", &response::state(seal), out);
            }
            Open::NewCall { .. } => {
                let bound = Seal { kind: format!("{}{BOUND_TO_NEXT}", seal.kind).into(), ..seal.clone() };
                self.redacted(&bound.wrapped(), out);
            }
            Open::Call { .. } | Open::Text { .. } => self.after = Some(seal.clone()),
            Open::Nothing | Open::Skipped => {}
        }
    }

    fn citation(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        let Open::Text { begun } = &mut self.open else { return };
        let mut written = Vec::new();
        if !response::citation(&mut written, citation) {
            self.losses.lose("citations", "the client's dialect cites the web only by address");
            return;
        }
        if !std::mem::replace(begun, true) {
            self.begin_text(out);
        }
        self.event("content_block_delta", out);
        out.extend_from_slice(b",\"delta\":{\"type\":\"citations_delta\",\"citation\":");
        out.extend_from_slice(&written);
        out.extend_from_slice(b"}}\n\n");
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if matches!(self.open, Open::NewCall { .. }) {
            self.begin_call(out);
        }
        let open = std::mem::replace(&mut self.open, Open::Nothing);
        let is_written = matches!(open, Open::Text { begun: true } | Open::Call { .. });
        match open {
            Open::Reasoning { begun: true } => {
                if std::mem::take(&mut self.wants_thought) {
                    self.piece("signature_delta", "signature", &Seal::nobodys().wrapped(), out);
                }
                self.stop(out);
            }
            Open::Text { begun: true } => self.stop(out),
            Open::Call { kind } => {
                if kind == CallKind::Custom {
                    self.piece("input_json_delta", "partial_json", "\"}", out);
                }
                self.stop(out);
            }
            _ => {}
        }
        if let Some(seal) = self.after.take() {
            // A text that stayed empty is not there to be bound to: the state stands for itself.
            let mark = if is_written { BOUND_TO_LAST } else { "" };
            let bound = Seal { kind: format!("{}{mark}", seal.kind).into(), ..seal };
            self.redacted(&bound.wrapped(), out);
        }
    }

    fn begin_text(&mut self, out: &mut Vec<u8>) {
        self.begin_block(out, |block| {
            block.text("type", "text");
            block.text("text", "");
        });
    }

    fn begin_thinking(&mut self, out: &mut Vec<u8>) {
        self.begin_block(out, |block| {
            block.text("type", "thinking");
            block.text("thinking", "");
            block.text("signature", "");
        });
    }

    fn begin_call(&mut self, out: &mut Vec<u8>) {
        let Open::NewCall { id, name, kind } = std::mem::replace(&mut self.open, Open::Nothing) else {
            return;
        };
        if self.wants_thought {
            self.redacted(&Seal::nobodys().wrapped(), out);
        }
        self.calls.any = true;
        self.calls.open |= !self.notes.iter().any(|native| native.name == CALLER);
        self.begin_block(out, |block| {
            block.text("type", "tool_use");
            block.text("id", &id);
            block.text("name", &name);
            block.raw("input", "{}");
        });
        if kind == CallKind::Custom {
            self.piece("input_json_delta", "partial_json", "{\"input\":\"", out);
        }
        self.open = Open::Call { kind };
    }

    /// A whole block for a state that has no words.
    fn redacted(&mut self, data: &str, out: &mut Vec<u8>) {
        self.wants_thought = false;
        let notes = std::mem::take(&mut self.notes);
        self.begin_block(out, |block| {
            block.text("type", "redacted_thinking");
            block.text("data", data);
        });
        self.stop(out);
        self.notes = notes;
    }

    fn native(&mut self, native: Native, out: &mut Vec<u8>) {
        if native.dialect != NAME {
            self.losses.lose(native.name, "the client's dialect does not have it");
            return;
        }
        if noted(&native).is_some() {
            let of_message = native.name.starts_with("message.");
            if of_message { &mut self.extras } else { &mut self.notes }.push(native);
            return;
        }
        // A call by the provider streams as any call does: its input comes behind its start. So does a summary.
        let streamed = match native.name.as_str() {
            "server_tool_use" | "mcp_tool_use" => Some(("input", "{}")),
            "compaction" => Some(("content", "null")),
            _ => None,
        };
        self.start(out);
        self.event("content_block_start", out);
        out.extend_from_slice(b",\"content_block\":");
        let members = streamed.and_then(|_| Members::of(&native.json));
        let mut later = None;
        match (members, streamed) {
            (Some(members), Some((moved, empty))) => {
                let mut block = Object::begin(out);
                for (name, value) in members.iter() {
                    block.raw(name, if name == moved { empty } else { value.get() });
                }
                block.end();
                later = members.get(moved);
            }
            _ => {
                let start = out.len();
                out.extend_from_slice(native.json.get().as_bytes());
                crate::sse::one_line(&mut out[start..]);
            }
        }
        out.extend_from_slice(b"}\n\n");
        match later {
            Some(content) if native.name == "compaction" => {
                self.event("content_block_delta", out);
                out.extend_from_slice(b",\"delta\":{\"type\":\"compaction_delta\",\"content\":");
                out.extend_from_slice(content.get().as_bytes());
                out.extend_from_slice(b"}}\n\n");
            }
            Some(input) => self.piece("input_json_delta", "partial_json", input.get(), out),
            None => {}
        }
        self.stop(out);
    }

    // --- events ---

    /// Begins an event of the block under way; its other members and its end are to be written behind.
    fn event(&self, name: &str, out: &mut Vec<u8>) {
        for part in ["event: ", name, "\ndata: {\"type\":\"", name, "\",\"index\":"] {
            out.extend_from_slice(part.as_bytes());
        }
        // Into memory: this cannot fail.
        let _ = write!(out, "{}", self.index);
    }

    fn begin_block(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        self.start(out);
        self.event("content_block_start", out);
        out.extend_from_slice(b",\"content_block\":");
        let mut block = Object::begin(out);
        write(&mut block);
        for native in self.notes.drain(..) {
            if let Some(member) = noted(&native) {
                block.raw(member, native.json.get());
            }
        }
        block.end();
        out.extend_from_slice(b"}\n\n");
    }

    fn piece(&self, kind: &str, member: &str, text: &str, out: &mut Vec<u8>) {
        self.event("content_block_delta", out);
        for part in [",\"delta\":{\"type\":\"", kind, "\",\"", member, "\":"] {
            out.extend_from_slice(part.as_bytes());
        }
        json::text(out, text);
        out.extend_from_slice(b"}}\n\n");
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        self.event("content_block_stop", out);
        out.extend_from_slice(b"}\n\n");
        self.index += 1;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        self.start(out);
        let finish = self.finish.take().unwrap_or(Finish::Stop);
        let (reason, sequence, is_nearest) = finish::write(&finish, self.calls);
        if is_nearest {
            self.losses.lose("finish_reason", "the client's dialect does not have it");
        }
        out.extend_from_slice(b"event: message_delta\ndata: ");
        let mut event = Object::begin(out);
        event.text("type", "message_delta");
        let mut delta = Object::begin(event.member("delta"));
        delta.text("stop_reason", reason);
        match sequence {
            Some(text) => delta.text("stop_sequence", text),
            None => delta.raw("stop_sequence", "null"),
        }
        let (beside, inside): (Vec<_>, Vec<_>) =
            self.extras.iter().partition(|native| native.name == "message.context_management");
        for native in inside {
            delta.raw(noted(native).unwrap_or_default(), native.json.get());
        }
        delta.end();
        response::usage(event.member("usage"), &self.usage, None);
        for native in beside {
            event.raw("context_management", native.json.get());
        }
        event.end();
        out.extend_from_slice(b"\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        self.ended = true;
    }
}

#[cfg(test)]
mod tests;
