//! Neutral deltas into frames.

use std::borrow::Cow;
use std::io::Write as _;

use lockgate_core::Usage;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::block::write as block;
use super::super::response;
use super::super::wire::{Counts, Members, Object};
use crate::eventstream::{self, Message};
use crate::neutral::{Block, CallKind, Delta, Finish, Native};
use crate::seal::Seal;
use crate::{Encoder, Losses, tier};

#[derive(Debug, Default)]
pub(in super::super) struct ConverseEncoder {
    /// The index of the block under way, or of the next.
    index: u64,
    open: Open,
    /// Something of the open block was written.
    begun: bool,
    /// States of the open block that have no place in it.
    bound: Vec<Seal>,
    usage: Option<Usage>,
    tier: Option<String>,
    stopped: bool,
    losses: Losses,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    /// Nothing, or a block that this dialect cannot say.
    #[default]
    Nothing,
    Text,
    Reasoning,
    Function,
    Custom,
}

impl Encoder for ConverseEncoder {
    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { .. } => {
                event(out, "messageStart", |out| out.extend_from_slice(b"{\"role\":\"assistant\"}"));
            }
            Delta::Open(block) => self.open(&block, out),
            Delta::Text(text) => self.text(&text, out),
            Delta::Seal(seal) => self.seal(seal, out),
            Delta::Citation(citation) if self.open == Open::Text => {
                if let Some(json) = block::citation(&citation, true) {
                    self.piece("citation", out, |out| out.extend_from_slice(json.get().as_bytes()));
                }
            }
            Delta::Citation(_) => {}
            Delta::Logprobs(_) => self.losses.lose("logprobs", "the client's dialect has none"),
            Delta::Close => self.close(out),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Tier(tier) => self.tier = Some(tier.into_owned()),
            Delta::Finish(finish) => self.finish(&finish, out),
            Delta::End => self.end(out),
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl ConverseEncoder {
    fn open(&mut self, block: &Block<'_>, out: &mut Vec<u8>) {
        self.begun = false;
        self.open = match block {
            Block::Text | Block::Refusal => Open::Text,
            Block::Reasoning { .. } => Open::Reasoning,
            Block::Call { id, name, kind } => {
                let id = block::id(id);
                self.start("toolUse", out, |out| {
                    out.extend_from_slice(b"{\"toolUseId\":");
                    text(out, &id);
                    out.extend_from_slice(b",\"name\":");
                    text(out, name);
                    out.push(b'}');
                });
                if *kind == CallKind::Custom { Open::Custom } else { Open::Function }
            }
            Block::Native(native) => {
                if native.dialect == NAME {
                    self.native(native, out);
                } else {
                    self.losses.lose(format!("content.{}", native.name), "only its own dialect has it");
                }
                Open::Nothing
            }
        };
    }

    fn text(&mut self, said: &str, out: &mut Vec<u8>) {
        if said.is_empty() {
            return;
        }
        match self.open {
            Open::Nothing => {}
            Open::Text => self.piece("text", out, |out| text(out, said)),
            Open::Reasoning => self.thought("text", said, out),
            Open::Function => self.input(said, out),
            Open::Custom => {
                // The text becomes the only member of an object, escaped piece by piece.
                let quoted = serde_json::to_string(said).unwrap_or_default();
                let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
                let piece = if self.begun {
                    Cow::Borrowed(inner)
                } else {
                    Cow::Owned(format!("{{\"input\":\"{inner}"))
                };
                self.input(&piece, out);
            }
        }
    }

    fn seal(&mut self, seal: Seal, out: &mut Vec<u8>) {
        let own = &*seal.dialect == NAME;
        match self.open {
            Open::Reasoning if own && &*seal.kind == "redacted" => {
                self.thought("redactedContent", &seal.data, out);
            }
            Open::Reasoning if own => self.thought("signature", &seal.data, out),
            Open::Reasoning if self.begun => self.thought("signature", &seal.wrapped(), out),
            Open::Reasoning => self.thought("redactedContent", &seal.wrapped(), out),
            Open::Nothing => {}
            _ => self.bound.push(seal),
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match self.open {
            Open::Function if !self.begun => self.input("{}", out),
            Open::Custom if !self.begun => self.input("{\"input\":\"\"}", out),
            Open::Custom => self.input("\"}", out),
            _ => {}
        }
        if self.begun {
            self.stop(out);
        }
        self.open = Open::Nothing;
        for seal in std::mem::take(&mut self.bound) {
            self.thought("redactedContent", &block::bound(&seal), out);
            self.stop(out);
        }
    }

    /// A block that only this dialect has, whole.
    fn native(&mut self, native: &Native, out: &mut Vec<u8>) {
        #[derive(Deserialize)]
        struct Inner<'a> {
            #[serde(borrow, default)]
            input: Option<&'a RawValue>,
            #[serde(borrow, default)]
            content: Option<&'a RawValue>,
            #[serde(borrow, default)]
            source: Option<&'a RawValue>,
        }
        let json = native.json.get();
        let (Ok(inner), Ok(members)) =
            (serde_json::from_str::<Inner<'_>>(json), serde_json::from_str::<Object<'_>>(json))
        else {
            return;
        };
        let mut start = Members::new();
        let body = match native.name.as_str() {
            "toolUse" => "input",
            "toolResult" => "content",
            "image" => "source",
            // Other blocks of whole answers have no events.
            _ => return,
        };
        for (name, json) in members.iter().filter(|(name, _)| name.0 != body) {
            start.set(&name.0, json);
        }
        let start = start.finish();
        self.start(&native.name, out, |out| out.extend_from_slice(&start));
        if let Some(input) = inner.input {
            self.input(input.get(), out);
        }
        if let Some(content) = inner.content {
            self.piece("toolResult", out, |out| out.extend_from_slice(content.get().as_bytes()));
        }
        if let Some(source) = inner.source {
            self.piece("image", out, |out| {
                out.extend_from_slice(b"{\"source\":");
                out.extend_from_slice(source.get().as_bytes());
                out.push(b'}');
            });
        }
        self.stop(out);
    }

    fn finish(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        self.stopped = true;
        if *finish == Finish::Paused {
            self.losses.lose("stopReason", "the client's dialect has no pause");
        }
        event(out, "messageStop", |out| {
            out.extend_from_slice(b"{\"stopReason\":");
            text(out, response::reason(finish));
            if let Finish::StopText(Some(stop)) = finish {
                out.extend_from_slice(b",\"additionalModelResponseFields\":{\"stop_sequence\":");
                text(out, stop);
                out.push(b'}');
            }
            out.push(b'}');
        });
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.stopped {
            self.finish(&Finish::Stop, out);
        }
        let mut metadata = Members::new();
        if let Some(usage) = &self.usage {
            metadata.set("usage", &Counts::of(usage));
        }
        // A member that the dialect demands; what it would say was not measured.
        metadata.set("metrics", &json!({ "latencyMs": 0 }));
        if let Some(tier) = self.tier.as_deref().and_then(tier::bedrock) {
            metadata.set("serviceTier", &json!({ "type": tier }));
        }
        let metadata = metadata.finish();
        event(out, "metadata", |out| out.extend_from_slice(&metadata));
    }

    // --- frames ---

    fn start(&self, what: &str, out: &mut Vec<u8>, json: impl FnOnce(&mut Vec<u8>)) {
        let index = self.index;
        event(out, "contentBlockStart", |out| {
            indexed(out, index);
            out.extend_from_slice(b",\"start\":{");
            text(out, what);
            out.push(b':');
            json(out);
            out.extend_from_slice(b"}}");
        });
    }

    fn piece(&mut self, what: &str, out: &mut Vec<u8>, json: impl FnOnce(&mut Vec<u8>)) {
        self.begun = true;
        let index = self.index;
        event(out, "contentBlockDelta", |out| {
            indexed(out, index);
            out.extend_from_slice(b",\"delta\":{\"");
            out.extend_from_slice(what.as_bytes());
            out.extend_from_slice(b"\":");
            json(out);
            out.extend_from_slice(b"}}");
        });
    }

    fn input(&mut self, said: &str, out: &mut Vec<u8>) {
        self.piece("toolUse", out, |out| member(out, "input", said));
    }

    fn thought(&mut self, what: &str, said: &str, out: &mut Vec<u8>) {
        self.piece("reasoningContent", out, |out| member(out, what, said));
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        let index = self.index;
        event(out, "contentBlockStop", |out| {
            indexed(out, index);
            out.push(b'}');
        });
        self.index += 1;
        self.begun = false;
    }
}

fn event(out: &mut Vec<u8>, name: &str, json: impl FnOnce(&mut Vec<u8>)) {
    eventstream::write(out, Message::Event, name, json);
}

fn indexed(out: &mut Vec<u8>, index: u64) {
    // Writing to memory cannot fail.
    let _ = write!(out, "{{\"contentBlockIndex\":{index}");
}

fn member(out: &mut Vec<u8>, name: &str, said: &str) {
    out.push(b'{');
    text(out, name);
    out.push(b':');
    text(out, said);
    out.push(b'}');
}

fn text(out: &mut Vec<u8>, said: &str) {
    let _ = serde_json::to_writer(out, said);
}
