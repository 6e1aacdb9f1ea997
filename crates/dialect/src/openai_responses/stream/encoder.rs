//! Neutral deltas, written as events.
//!
//! Texts and refusals side by side are parts of one message, which stays open until something else begins; every
//! thought and call is an item. The last event repeats the whole answer, so its items are kept, under a bound.

use bytes::Bytes;
use lockgate_core::Usage;

use super::super::NAME;
use super::super::item::{self, END_MESSAGE, Head, Ids, append};
use super::super::object::{self, Echo, Own};
use super::super::response::items::{NAMESPACE, PHASE};
use super::super::response::write::{carried, ending, made_id, push_token};
use super::super::wire::{push_number, push_text};
use crate::neutral::{Block, CallKind, Citation, Delta, Finish, Logprob, Native};
use crate::seal::Seal;
use crate::{Encoder, Losses, Turn};

/// The most of an answer that is kept, in bytes.
const MOST_KEPT: usize = 64 << 20;

#[derive(Debug)]
pub(in super::super) struct ResponsesEncoder {
    asked: Bytes,
    echo: Echo,
    /// The number of the next event.
    next: u64,
    id: String,
    model: String,
    created: u64,
    ids: Ids,
    /// The items that are done, as JSON texts with commas between.
    output: Vec<u8>,
    /// The same of those that were sent by another hand, see [`Encoder::sent`].
    sent: Vec<u8>,
    /// How many items have begun.
    items: u64,
    message: Option<Message>,
    phase: Option<String>,
    open: Option<Open>,
    usage: Option<Usage>,
    tier: Option<String>,
    finish: Option<Finish>,
    refused: bool,
    ended: bool,
    losses: Losses,
}

#[derive(Debug)]
struct Message {
    id: String,
    /// The name of the item's place in the list of items.
    index: u64,
    phase: Option<String>,
    /// The parts that are done, as JSON texts with commas between.
    parts: Vec<u8>,
    count: u64,
}

/// The block that is open.
#[derive(Debug)]
struct Open {
    kind: Kind,
    /// The item's id and place.
    id: String,
    index: u64,
    /// The part's place in a message.
    part: u64,
    /// The text so far, as the inside of JSON text.
    text: Vec<u8>,
    annotations: Vec<u8>,
    cited: u64,
    logprobs: Vec<u8>,
    seal: Option<Seal>,
}

#[derive(Debug)]
enum Kind {
    Text,
    Refusal,
    Reasoning,
    Call {
        call_id: String,
        name: String,
        kind: CallKind,
    },
    /// Nothing is written of it but what was already.
    Silent,
}

// === impl ResponsesEncoder ===

impl Encoder for ResponsesEncoder {
    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match delta {
            Delta::Text(text) => self.text(&text, out),
            Delta::Start { id, model, created } => {
                self.id = if id.is_empty() { made_id(&self.asked) } else { id.into_owned() };
                self.model = model.into_owned();
                self.created = created.unwrap_or(0);
                self.ids = Ids::of(&self.id);
                self.whole("response.created", "in_progress", None, None, out);
                self.whole("response.in_progress", "in_progress", None, None, out);
            }
            Delta::Open(block) => self.begin(block, out),
            Delta::Close => self.close(out),
            Delta::Seal(seal) => {
                if let Some(open) = &mut self.open {
                    open.seal = Some(seal);
                }
            }
            Delta::Citation(citation) => self.cite(&citation, out),
            Delta::Logprobs(tokens) => self.tokens(&tokens, out),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Tier(tier) => self.tier = Some(tier.into_owned()),
            Delta::Finish(finish) => {
                self.close(out);
                let (status, _) = ending(&finish, self.refused);
                self.finish = Some(finish);
                self.end_message(if status == "incomplete" { "incomplete" } else { "completed" }, out);
            }
            Delta::End => self.end(out),
        }
        if !self.ended && self.kept() > MOST_KEPT {
            self.ended = true;
            self.output.clear();
            let error = ("server_error", "The answer is longer than can be given in this form.");
            self.whole("response.failed", "failed", None, Some(error), out);
        }
    }

    fn sent(&mut self, _: &str, data: &[u8]) -> bool {
        self.joins_on(data)
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }

    fn events(&self) -> u64 {
        self.next
    }
}

impl ResponsesEncoder {
    pub(in super::super) fn new(asked: &Turn) -> Self {
        Self {
            asked: asked.payload.bytes().clone(),
            echo: Echo::of(asked),
            next: 0,
            id: String::new(),
            model: String::new(),
            created: 0,
            ids: Ids::of(""),
            output: Vec::new(),
            sent: Vec::new(),
            items: 0,
            message: None,
            phase: None,
            open: None,
            usage: None,
            tier: None,
            finish: None,
            refused: false,
            ended: false,
            losses: Losses::default(),
        }
    }

    fn kept(&self) -> usize {
        let open = self
            .open
            .as_ref()
            .map_or(0, |open| open.text.len() + open.annotations.len() + open.logprobs.len());
        self.output.len() + self.message.as_ref().map_or(0, |message| message.parts.len()) + open
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        let finish = self.finish.take().unwrap_or(Finish::Stop);
        let (status, incomplete) = ending(&finish, self.refused);
        self.end_message(if status == "incomplete" { "incomplete" } else { "completed" }, out);
        self.ended = true;
        let name = if status == "incomplete" { "response.incomplete" } else { "response.completed" };
        self.whole(name, status, incomplete, None, out);
    }

    /// An event with the whole response.
    fn whole(
        &mut self,
        name: &str,
        status: &str,
        incomplete: Option<&str>,
        error: Option<(&str, &str)>,
        out: &mut Vec<u8>,
    ) {
        self.event(name, out);
        out.extend_from_slice(b",\"response\":");
        let own = Own {
            id: &self.id,
            model: &self.model,
            created: self.created,
            status,
            incomplete,
            error,
            tier: self.tier.as_deref(),
            usage: self.usage.as_ref().filter(|_| status != "in_progress"),
            output: &self.output,
        };
        object::write(out, &own, &self.echo);
        out.extend_from_slice(END);
    }

    /// An event up to the members of its own.
    fn event(&mut self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: {\"type\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\",\"sequence_number\":");
        push_number(out, self.next);
        self.next += 1;
    }

    /// An event about an item, up to what it says of it.
    fn about(&mut self, name: &str, at: &At<'_>, out: &mut Vec<u8>) {
        self.event(name, out);
        out.extend_from_slice(b",\"item_id\":\"");
        out.extend_from_slice(at.id.as_bytes());
        out.extend_from_slice(b"\",\"output_index\":");
        push_number(out, at.index);
        if let Some((member, part)) = at.part {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(member.as_bytes());
            out.extend_from_slice(b"\":");
            push_number(out, part);
        }
    }

    /// An event with a whole item.
    fn item(&mut self, name: &str, index: u64, json: &[u8], out: &mut Vec<u8>) {
        self.event(name, out);
        out.extend_from_slice(b",\"output_index\":");
        push_number(out, index);
        out.extend_from_slice(b",\"item\":");
        out.extend_from_slice(json);
        out.extend_from_slice(END);
    }

    fn item_done(&mut self, index: u64, json: &[u8], out: &mut Vec<u8>) {
        self.item(DONE, index, json, out);
        append(&mut self.output, |output| {
            output.extend_from_slice(json);
            true
        });
    }

    fn place(&mut self) -> u64 {
        self.items += 1;
        self.items - 1
    }

    fn begin(&mut self, block: Block<'_>, out: &mut Vec<u8>) {
        self.close(out);
        match block {
            Block::Text => self.begin_part(Kind::Text, out),
            Block::Refusal => {
                self.refused = true;
                self.begin_part(Kind::Refusal, out);
            }
            Block::Reasoning { .. } => {
                self.end_message("completed", out);
                let index = self.place();
                let id = self.ids.item("rs", index);
                let mut json = Vec::with_capacity(128);
                item::reasoning(&mut json, &id, None, None);
                self.item(ADDED, index, &json, out);
                self.open = Some(Open::new(Kind::Reasoning, id, index, 0));
            }
            Block::Call { id: call_id, name, kind } => {
                self.end_message("completed", out);
                let index = self.place();
                let id = self.ids.item(if kind == CallKind::Function { "fc" } else { "ctc" }, index);
                let open = Open::new(
                    Kind::Call { call_id: call_id.into_owned(), name: name.into_owned(), kind },
                    id,
                    index,
                    0,
                );
                let mut json = Vec::with_capacity(256);
                if let Some(head) = open.head("in_progress") {
                    item::call(&mut json, &head, b"");
                }
                self.item(ADDED, index, &json, out);
                self.open = Some(open);
            }
            Block::Native(native) => {
                if native.dialect == NAME {
                    self.native(&native, out);
                } else {
                    let why = "only the provider's own dialect has it";
                    self.losses.lose(format!("output.{}", native.name), why);
                }
                self.open = Some(Open::new(Kind::Silent, String::new(), 0, 0));
            }
        }
    }

    fn native(&mut self, native: &Native, out: &mut Vec<u8>) {
        let json = native.json.get().as_bytes();
        if native.name == PHASE {
            self.end_message("completed", out);
            self.phase = serde_json::from_str(native.json.get()).ok();
        } else if native.name.starts_with("content.") {
            let (id, index, part) = self.in_message(out);
            let at = At { id: &id, index, part: Some(("content_index", part)) };
            for name in ["response.content_part.added", "response.content_part.done"] {
                self.part(name, &at, json, out);
            }
            self.keep_part(|parts| parts.extend_from_slice(json));
        } else {
            self.end_message("completed", out);
            let index = self.place();
            self.item(ADDED, index, json, out);
            self.item_done(index, json, out);
        }
    }

    /// The message under way, begun if there is none: its id, its place, and the place of its next part.
    fn in_message(&mut self, out: &mut Vec<u8>) -> (String, u64, u64) {
        if self.message.is_none() {
            let index = self.place();
            let id = self.ids.item("msg", index);
            let phase = self.phase.take();
            let mut json = Vec::with_capacity(128);
            item::begin_message(&mut json, &id, "in_progress", phase.as_deref());
            json.extend_from_slice(END_MESSAGE);
            self.item(ADDED, index, &json, out);
            self.message = Some(Message { id, index, phase, parts: Vec::new(), count: 0 });
        }
        self.message.as_ref().map_or((String::new(), 0, 0), |m| (m.id.clone(), m.index, m.count))
    }

    fn begin_part(&mut self, kind: Kind, out: &mut Vec<u8>) {
        let (id, index, part) = self.in_message(out);
        let open = Open::new(kind, id, index, part);
        let json = open.content();
        self.part("response.content_part.added", &open.at("content_index"), &json, out);
        self.open = Some(open);
    }

    fn part(&mut self, name: &str, at: &At<'_>, json: &[u8], out: &mut Vec<u8>) {
        self.about(name, at, out);
        out.extend_from_slice(b",\"part\":");
        out.extend_from_slice(json);
        out.extend_from_slice(END);
    }

    fn keep_part(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(message) = &mut self.message {
            append(&mut message.parts, |parts| {
                write(parts);
                true
            });
            message.count += 1;
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let Some(mut open) = self.open.take() else { return };
        if matches!(open.kind, Kind::Reasoning) && open.text.is_empty() {
            let mut json = Vec::with_capacity(64);
            item::summary_part(&mut json, b"");
            self.part("response.reasoning_summary_part.added", &open.at("summary_index"), &json, out);
        }
        let (name, place) = match &open.kind {
            Kind::Text => ("response.output_text.delta", "content_index"),
            Kind::Refusal => ("response.refusal.delta", "content_index"),
            Kind::Reasoning => ("response.reasoning_summary_text.delta", "summary_index"),
            Kind::Call { kind: CallKind::Function, .. } => ("response.function_call_arguments.delta", ""),
            Kind::Call { kind: CallKind::Custom, .. } => ("response.custom_tool_call_input.delta", ""),
            Kind::Silent => {
                self.open = Some(open);
                return;
            }
        };
        self.about(name, &open.at(place), out);
        out.extend_from_slice(b",\"delta\":");
        let start = out.len() + 1;
        push_text(out, text);
        let escaped = out.get(start..out.len() - 1).unwrap_or_default();
        open.text.extend_from_slice(escaped);
        if matches!(open.kind, Kind::Text) {
            out.extend_from_slice(b",\"logprobs\":[]");
        }
        out.extend_from_slice(END);
        self.open = Some(open);
    }

    /// Tokens come in the form of a piece of text; that piece came before, so this one is empty.
    fn tokens(&mut self, tokens: &[Logprob], out: &mut Vec<u8>) {
        let Some(mut open) = self.open.take() else { return };
        if matches!(open.kind, Kind::Text) && !tokens.is_empty() {
            let mut json = Vec::new();
            for token in tokens {
                append(&mut json, |out| {
                    push_token(out, token);
                    true
                });
            }
            self.about("response.output_text.delta", &open.at("content_index"), out);
            out.extend_from_slice(b",\"delta\":\"\",\"logprobs\":[");
            out.extend_from_slice(&json);
            out.push(b']');
            out.extend_from_slice(END);
            append(&mut open.logprobs, |out| {
                out.extend_from_slice(&json);
                true
            });
        }
        self.open = Some(open);
    }

    fn cite(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        let Some(mut open) = self.open.take() else { return };
        let mut json = Vec::new();
        if !item::annotation(&mut json, citation) {
            self.losses.lose("output.annotations", "a source without an address has no form here");
        } else if matches!(open.kind, Kind::Text) {
            self.about("response.output_text.annotation.added", &open.at("content_index"), out);
            out.extend_from_slice(b",\"annotation_index\":");
            push_number(out, open.cited);
            out.extend_from_slice(b",\"annotation\":");
            out.extend_from_slice(&json);
            out.extend_from_slice(END);
            open.cited += 1;
            append(&mut open.annotations, |out| {
                out.extend_from_slice(&json);
                true
            });
        }
        self.open = Some(open);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(open) = self.open.take() else { return };
        match &open.kind {
            Kind::Text | Kind::Refusal => {
                let (name, member): (_, &[u8]) = match open.kind {
                    Kind::Text => ("response.output_text.done", b",\"text\":\""),
                    _ => ("response.refusal.done", b",\"refusal\":\""),
                };
                let at = open.at("content_index");
                self.about(name, &at, out);
                out.extend_from_slice(member);
                out.extend_from_slice(&open.text);
                out.push(b'"');
                if matches!(open.kind, Kind::Text) {
                    out.extend_from_slice(b",\"logprobs\":[");
                    out.extend_from_slice(&open.logprobs);
                    out.push(b']');
                }
                out.extend_from_slice(END);
                let json = open.content();
                self.part("response.content_part.done", &at, &json, out);
                self.keep_part(|parts| parts.extend_from_slice(&json));
                self.carry(open.seal.as_ref(), "text", out);
            }
            Kind::Reasoning => self.close_reasoning(&open, out),
            Kind::Call { kind, name, .. } => {
                let (event, member): (_, &[u8]) = match kind {
                    CallKind::Function => ("response.function_call_arguments.done", b",\"arguments\":\""),
                    CallKind::Custom => ("response.custom_tool_call_input.done", b",\"input\":\""),
                };
                self.about(event, &open.at(""), out);
                if *kind == CallKind::Function {
                    out.extend_from_slice(b",\"name\":");
                    push_text(out, name);
                }
                out.extend_from_slice(member);
                out.extend_from_slice(&open.text);
                out.push(b'"');
                out.extend_from_slice(END);
                if let Some(head) = open.head("completed") {
                    let mut json = Vec::with_capacity(open.text.len() + 256);
                    item::call(&mut json, &head, &open.text);
                    self.item_done(open.index, &json, out);
                }
                self.carry(open.seal.as_ref().filter(|_| open.namespace().is_none()), "call", out);
            }
            Kind::Silent => {}
        }
    }

    fn close_reasoning(&mut self, open: &Open, out: &mut Vec<u8>) {
        let text = (!open.text.is_empty()).then_some(open.text.as_slice());
        if let Some(text) = text {
            let at = open.at("summary_index");
            self.about("response.reasoning_summary_text.done", &at, out);
            out.extend_from_slice(b",\"text\":\"");
            out.extend_from_slice(text);
            out.push(b'"');
            out.extend_from_slice(END);
            let mut json = Vec::with_capacity(text.len() + 64);
            item::summary_part(&mut json, text);
            self.part("response.reasoning_summary_part.done", &at, &json, out);
        }
        // Also a state of this dialect goes out wrapped: it is bound to its item's id, and another was given already.
        // One without a state is marked: its words are no item that the client's own provider knows.
        let state = Some(open.seal.as_ref().map_or_else(|| Seal::nobodys().wrapped(), Seal::wrapped));
        let mut json = Vec::with_capacity(open.text.len() + 256);
        item::reasoning(&mut json, &open.id, text, state.as_deref());
        self.item_done(open.index, &json, out);
    }

    /// A state that belongs to the text or call before it.
    fn carry(&mut self, seal: Option<&Seal>, by: &str, out: &mut Vec<u8>) {
        let Some(seal) = seal else { return };
        self.end_message("completed", out);
        let index = self.place();
        let id = self.ids.item("rs", index);
        let mut json = Vec::with_capacity(256);
        item::reasoning(&mut json, &id, None, None);
        self.item(ADDED, index, &json, out);
        json.clear();
        item::reasoning(&mut json, &id, None, Some(&carried(seal, by)));
        self.item_done(index, &json, out);
    }

    fn end_message(&mut self, status: &str, out: &mut Vec<u8>) {
        let Some(message) = self.message.take() else { return };
        let mut json = Vec::with_capacity(message.parts.len() + 128);
        item::begin_message(&mut json, &message.id, status, message.phase.as_deref());
        json.extend_from_slice(&message.parts);
        json.extend_from_slice(END_MESSAGE);
        self.item_done(message.index, &json, out);
    }
}

const ADDED: &str = "response.output_item.added";
const DONE: &str = "response.output_item.done";
/// What ends an event.
const END: &[u8] = b"}\n\n";

/// What an event is about.
#[derive(Clone, Copy, Debug)]
struct At<'a> {
    id: &'a str,
    index: u64,
    /// The part's place, and what it is called.
    part: Option<(&'static str, u64)>,
}

// === impl Open ===

impl Open {
    fn new(kind: Kind, id: String, index: u64, part: u64) -> Self {
        Self {
            kind,
            id,
            index,
            part,
            text: Vec::new(),
            annotations: Vec::new(),
            cited: 0,
            logprobs: Vec::new(),
            seal: None,
        }
    }

    fn at(&self, member: &'static str) -> At<'_> {
        At { id: &self.id, index: self.index, part: (!member.is_empty()).then_some((member, self.part)) }
    }

    /// The part of a message.
    fn content(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.text.len() + 128);
        match self.kind {
            Kind::Refusal => item::refusal_part(&mut json, &self.text),
            _ => item::text_part(&mut json, &self.text, &self.annotations, &self.logprobs),
        }
        json
    }

    fn head<'a>(&'a self, status: &'a str) -> Option<Head<'a>> {
        let Kind::Call { call_id, name, kind } = &self.kind else { return None };
        Some(Head { id: &self.id, status, kind: *kind, call_id, name, namespace: self.namespace() })
    }

    fn namespace(&self) -> Option<&str> {
        let own = self.seal.as_ref().filter(|seal| &*seal.dialect == NAME && &*seal.kind == NAMESPACE);
        own.map(|seal| seal.data.as_str())
    }
}

mod sent;
#[cfg(test)]
mod tests;
