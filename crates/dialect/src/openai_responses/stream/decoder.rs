//! Events, read into neutral deltas.
//!
//! Items are told apart by their index: some providers give an item another id in each event. One item speaks at a
//! time. While a call does, events of other items wait; a text or a thought ends where another item begins, as some
//! providers close a thought only behind the text that follows it.

mod blocks;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::error;
use super::super::response::items::{self, Shape};
use super::super::response::read::{Frame, Said};
use super::super::wire::{OutItem, OutPart, Str, Tally};
use super::held::{Held, TooMuch};
use crate::Decoder;
use crate::neutral::{Block, CallKind, Content, Delta, Finish, Part};
use crate::quick::{self, Flat};
use crate::seal::Origin;

/// The most items of which is remembered that they have begun.
const MOST_BEGUN: usize = 4_096;

type Sink<'a> = dyn FnMut(Delta<'_>) + 'a;

#[derive(Debug)]
pub(in super::super) struct ResponsesDecoder {
    origin: Origin,
    started: bool,
    ended: bool,
    /// Which item speaks.
    current: Option<u64>,
    /// The block that is open; it belongs to `current`.
    open: Option<Open>,
    begun: BTreeMap<u64, Begun>,
    held: Held,
    said: Said,
    /// Whether any item was given.
    given: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Refusal,
    Summary,
    Thought,
    Call,
}

/// What was read of an item.
#[derive(Clone, Copy, Debug)]
struct Begun {
    shape: Shape,
    /// The part that was spoken of last.
    part: u64,
    /// Whether that part gave any text.
    part_given: bool,
    /// Whether any part did.
    given: bool,
    /// Sources of the part that were given.
    citations: usize,
    /// Whether tokens of the part were given.
    tokens: bool,
}

/// The members of all events.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Option<Str<'a>>,
    output_index: Option<u64>,
    content_index: Option<u64>,
    summary_index: Option<u64>,
    #[serde(borrow)]
    delta: Option<Str<'a>>,
    #[serde(borrow)]
    text: Option<Str<'a>>,
    #[serde(borrow)]
    refusal: Option<Str<'a>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

// === impl ResponsesDecoder ===

impl Decoder for ResponsesDecoder {
    fn event(&mut self, _: &str, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let data = data.trim_ascii();
        if self.ended || data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let read = quick_piece(data).map_or_else(|| serde_json::from_slice::<Event<'_>>(data), Ok);
        let event = match read {
            Ok(event) => event,
            // An event that is not known may use the members in other ways.
            Err(_) if super::kind(data).is_some_and(|kind| !is_known(&kind)) => return Ok(()),
            Err(why) => return Err(bad(why.to_string())),
        };
        let Some(Str(kind)) = &event.r#type else {
            return Err(match Payload::parse(Bytes::copy_from_slice(data)) {
                Ok(payload) if payload.has("error") => error::in_answer(&payload),
                _ => bad("an event has no type"),
            });
        };
        match kind.as_ref() {
            "error" | "response.failed" => {
                let payload =
                    Payload::parse(Bytes::copy_from_slice(data)).map_err(|why| bad(why.to_string()))?;
                Err(error::in_answer(&payload))
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(event.response, sink);
                Ok(())
            }
            "response.completed" | "response.incomplete" => self.finish(event.response, sink),
            kind if is_known(kind) => {
                self.start(None, sink);
                let index = event.output_index.unwrap_or(0);
                if self.must_wait(index, kind, &event) {
                    return self.held.keep(index, data).map_err(|TooMuch| bad("too much waits"));
                }
                self.speak(index, kind, &event, sink)?;
                self.release(sink)
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, _: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        Err(Error::upstream(Kind::UpstreamBroken, "The provider's answer broke off."))
    }
}

/// The commonest events: pieces of a text, a thought or arguments.
fn quick_piece(data: &[u8]) -> Option<Event<'_>> {
    let mut event = Event::default();
    quick::flat(data, |name, value| {
        let taken = match (name, value) {
            ("type", Flat::Text(kind)) => event.r#type.replace(Str(kind)).is_some(),
            ("delta", Flat::Text(text)) => event.delta.replace(Str(text)).is_some(),
            ("output_index", Flat::Number(at)) => event.output_index.replace(at).is_some(),
            ("content_index", Flat::Number(at)) => event.content_index.replace(at).is_some(),
            ("summary_index", Flat::Number(at)) => event.summary_index.replace(at).is_some(),
            ("item_id" | "obfuscation", Flat::Text(_))
            | ("logprobs", Flat::Empty)
            | ("sequence_number", Flat::Number(_)) => false,
            _ => true,
        };
        (!taken).then_some(())
    })?;
    event.r#type.as_ref().is_some_and(|Str(kind)| kind.ends_with(".delta")).then_some(event)
}

impl ResponsesDecoder {
    pub(in super::super) fn new(origin: &Origin) -> Self {
        Self {
            origin: origin.clone(),
            started: false,
            ended: false,
            current: None,
            open: None,
            begun: BTreeMap::new(),
            held: Held::default(),
            said: Said::default(),
            given: false,
        }
    }

    fn start(&mut self, response: Option<&RawValue>, sink: &mut Sink<'_>) {
        if self.started {
            return;
        }
        self.started = true;
        let frame: Frame<'_> =
            response.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let created = frame.created();
        sink(Delta::Start {
            id: frame.id.map(|Str(id)| id).unwrap_or_default(),
            model: frame.model.map(|Str(model)| model).unwrap_or_default(),
            created,
        });
    }

    /// Whether an event must wait as another item speaks.
    fn must_wait(&self, index: u64, kind: &str, event: &Event<'_>) -> bool {
        if self.held.has(index) {
            return true;
        }
        let Some(current) = self.current.filter(|current| *current != index) else { return false };
        let calls = self.begun.get(&current).is_some_and(|begun| matches!(begun.shape, Shape::Call(_)));
        let native = match self.begun.get(&index) {
            Some(begun) => begun.shape == Shape::Native,
            None => shape(event) == Some(Shape::Native),
        };
        // Of an item that only this dialect has, only the end says something; and what has ended by itself waits its turn.
        if native { kind == DONE } else { calls || self.begun.contains_key(&index) }
    }

    fn release(&mut self, sink: &mut Sink<'_>) -> Result<(), Error> {
        while self.current.is_none() {
            let Some((index, events)) = self.held.next() else { return Ok(()) };
            for data in events {
                let event: Event<'_> = serde_json::from_slice(&data).map_err(|why| bad(why.to_string()))?;
                if let Some(Str(kind)) = &event.r#type {
                    self.speak(index, kind, &event, sink)?;
                }
            }
        }
        Ok(())
    }

    /// Reads an event of an item that may speak.
    fn speak(&mut self, index: u64, kind: &str, event: &Event<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let item = event.item.map(items::members).transpose()?;
        if kind == DONE {
            return self.item_done(index, event.item, item.as_ref(), sink);
        }
        if !self.begun.contains_key(&index) {
            if self.begun.len() >= MOST_BEGUN {
                return Err(bad("too many items"));
            }
            let shape = item.as_ref().map_or_else(|| guess(kind), Shape::of);
            self.begun.insert(index, Begun::new(shape));
            if shape != Shape::Native {
                self.take_turn(index, sink);
                if let (Shape::Call(kind), Some(item)) = (shape, &item) {
                    self.open_call(kind, item, sink);
                }
                if let Some(native) = item.as_ref().and_then(items::phase).filter(|_| shape == Shape::Message)
                {
                    sink(Delta::Open(Block::Native(native)));
                    sink(Delta::Close);
                }
            }
            return if kind == ADDED { Ok(()) } else { self.piece(index, kind, event, sink) };
        }
        if self.begun.get(&index).is_some_and(|begun| begun.shape == Shape::Native) {
            return Ok(());
        }
        self.take_turn(index, sink);
        self.piece(index, kind, event, sink)
    }

    fn take_turn(&mut self, index: u64, sink: &mut Sink<'_>) {
        if self.current != Some(index) {
            self.close(sink);
            self.current = Some(index);
        }
    }

    /// Reads a piece of the item that speaks.
    fn piece(&mut self, index: u64, kind: &str, event: &Event<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let name = kind.strip_prefix("response.").unwrap_or(kind);
        let at = event.content_index.or(event.summary_index).unwrap_or(0);
        let text =
            |text: &Option<Str<'_>>| text.as_ref().map(|Str(text)| text.to_string()).unwrap_or_default();
        match name {
            "output_text.delta" => {
                self.text(index, at, Open::Text, event.delta.as_ref(), sink);
                self.tokens(index, event.logprobs, false, sink);
            }
            "refusal.delta" => self.text(index, at, Open::Refusal, event.delta.as_ref(), sink),
            "reasoning_summary_text.delta" => self.text(index, at, Open::Summary, event.delta.as_ref(), sink),
            "reasoning_text.delta" => self.text(index, at, Open::Thought, event.delta.as_ref(), sink),
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.text(index, 0, Open::Call, event.delta.as_ref(), sink);
            }
            "output_text.done" => {
                self.rest(index, at, Open::Text, &text(&event.text), sink);
                self.tokens(index, event.logprobs, true, sink);
            }
            "refusal.done" => self.rest(index, at, Open::Refusal, &text(&event.refusal), sink),
            "reasoning_summary_text.done" => self.rest(index, at, Open::Summary, &text(&event.text), sink),
            "reasoning_text.done" => self.rest(index, at, Open::Thought, &text(&event.text), sink),
            "function_call_arguments.done" | "custom_tool_call_input.done" => {
                let whole = event.arguments.or(event.input).map(items::loose_text).unwrap_or_default();
                self.rest(index, 0, Open::Call, &whole, sink);
            }
            "output_text.annotation.added" => {
                if let Some(raw) = event.annotation {
                    self.part(index, at, Open::Text, sink);
                    sink(Delta::Citation(items::citation(raw)));
                    self.with(index, |begun| begun.citations += 1);
                }
            }
            "content_part.done" => {
                if let Some(raw) = event.part {
                    let part: OutPart<'_> =
                        serde_json::from_str(raw.get()).map_err(|why| bad(why.to_string()))?;
                    self.whole_part(index, at, raw, part, sink);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What a whole part has beyond what was given of it.
    fn whole_part(&mut self, index: u64, at: u64, raw: &RawValue, part: OutPart<'_>, sink: &mut Sink<'_>) {
        let kind = part.r#type.as_ref().map_or("", |Str(kind)| kind.as_ref());
        let text = part.text.as_ref().map_or("", |Str(text)| text.as_ref());
        match kind {
            "refusal" => {
                let refusal = part.refusal.as_ref().map_or("", |Str(text)| text.as_ref());
                self.rest(index, at, Open::Refusal, refusal, sink);
            }
            "reasoning_text" => self.rest(index, at, Open::Thought, text, sink),
            "summary_text" => self.rest(index, at, Open::Summary, text, sink),
            "output_text" => {
                self.rest(index, at, Open::Text, text, sink);
                self.tokens(index, part.logprobs, true, sink);
                let seen = self.begun.get(&index).map_or(0, |begun| begun.citations);
                for raw in part.annotations.unwrap_or_default().into_iter().skip(seen) {
                    self.part(index, at, Open::Text, sink);
                    sink(Delta::Citation(items::citation(raw)));
                    self.with(index, |begun| begun.citations += 1);
                }
            }
            _ => {
                let native = crate::neutral::Native {
                    dialect: super::super::NAME,
                    name: format!("content.{kind}"),
                    json: raw.to_owned(),
                };
                self.close(sink);
                sink(Delta::Open(Block::Native(native)));
                sink(Delta::Close);
                self.given = true;
                self.with(index, |begun| begun.given = true);
            }
        }
    }

    fn item_done(
        &mut self,
        index: u64,
        raw: Option<&RawValue>,
        item: Option<&OutItem<'_>>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let (Some(raw), Some(item)) = (raw, item) else { return Ok(()) };
        let begun = self.begun.get(&index).copied();
        let shape = Shape::of(item);
        if shape == Shape::Native {
            self.close(sink);
            sink(Delta::Open(Block::Native(items::native(raw, item))));
            sink(Delta::Close);
            self.given = true;
            return Ok(());
        }
        if begun.is_none() {
            if self.begun.len() >= MOST_BEGUN {
                return Err(bad("too many items"));
            }
            self.begun.insert(index, Begun::new(shape));
        }
        self.take_turn(index, sink);
        match shape {
            Shape::Message if !begun.is_some_and(|begun| begun.given) => {
                if let Some(native) = items::phase(item).filter(|_| begun.is_none()) {
                    sink(Delta::Open(Block::Native(native)));
                    sink(Delta::Close);
                }
                for (at, raw) in (0..).zip(items::list(item.content)) {
                    let part = serde_json::from_str(raw.get()).map_err(|why| bad(why.to_string()))?;
                    self.whole_part(index, at, raw, part, sink);
                }
            }
            Shape::Reasoning => {
                if !begun.is_some_and(|begun| begun.given) {
                    let (text, summary) = items::thought(item);
                    let open = if summary { Open::Summary } else { Open::Thought };
                    self.rest(index, 0, open, &text, sink);
                }
                // An end that comes late brings a state along, or nothing new.
                let news = self.open.is_some() || item.encrypted_content.is_some() || !self.is_given(index);
                if let Some(seal) = items::seal(raw, item, &self.origin).filter(|_| news) {
                    let open = self.open.unwrap_or(Open::Summary);
                    self.block(open, sink);
                    sink(Delta::Seal(seal));
                }
            }
            Shape::Call(kind) => {
                if self.open != Some(Open::Call) {
                    self.open_call(kind, item, sink);
                }
                let input = if kind == CallKind::Function { item.arguments } else { item.input };
                let whole = input.map(items::loose_text).unwrap_or_default();
                self.rest(index, 0, Open::Call, &whole, sink);
                if let Some(seal) = items::namespace(raw, &self.origin) {
                    sink(Delta::Seal(seal));
                }
            }
            _ => {}
        }
        self.close(sink);
        self.current = None;
        Ok(())
    }

    fn is_given(&self, index: u64) -> bool {
        self.begun.get(&index).is_some_and(|begun| begun.given)
    }

    fn finish(&mut self, response: Option<&RawValue>, sink: &mut Sink<'_>) -> Result<(), Error> {
        self.start(response, sink);
        self.close(sink);
        self.current = None;
        self.release(sink)?;
        // What waits behind an item that never ended.
        while self.current.take().is_some() {
            self.close(sink);
            self.release(sink)?;
        }
        let text = response.map_or("{}", RawValue::get);
        let frame: Frame<'_> = serde_json::from_str(text).map_err(|why| bad(why.to_string()))?;
        if !self.given {
            let (mut parts, mut logprobs) = (Vec::new(), Vec::new());
            for raw in frame.output.iter().flatten() {
                items::parts(raw, &self.origin, &mut parts, &mut logprobs)?;
            }
            for part in parts {
                self.whole(part, sink);
            }
        }
        if let Some(usage) = serde_json::from_str::<Tally>(text).ok().and_then(|tally| tally.buckets()) {
            sink(Delta::Usage(usage));
        }
        if let Some(Str(tier)) = &frame.service_tier {
            sink(Delta::Tier(Cow::Borrowed(tier)));
        }
        let finish: Finish = frame.finish(self.said);
        sink(Delta::Finish(finish));
        sink(Delta::End);
        self.ended = true;
        Ok(())
    }

    /// Gives a part that came in one piece at the end.
    fn whole(&mut self, part: Part, sink: &mut Sink<'_>) {
        match part.content {
            Content::Text(text) => {
                self.block(Open::Text, sink);
                self.say(Cow::Owned(text.text), sink);
                text.citations.into_iter().for_each(|citation| sink(Delta::Citation(citation)));
            }
            Content::Refusal(text) => {
                self.block(Open::Refusal, sink);
                self.say(Cow::Owned(text), sink);
            }
            Content::Reasoning(thought) => {
                self.block(if thought.summary { Open::Summary } else { Open::Thought }, sink);
                self.say(Cow::Owned(thought.text), sink);
                thought.seal.into_iter().for_each(|seal| sink(Delta::Seal(seal)));
            }
            Content::Call(call) => {
                self.close(sink);
                self.said.calls = true;
                self.open = Some(Open::Call);
                sink(Delta::Open(Block::Call {
                    id: Cow::Owned(call.id),
                    name: Cow::Owned(call.name),
                    kind: call.kind,
                }));
                self.say(Cow::Owned(call.arguments), sink);
                call.seal.into_iter().for_each(|seal| sink(Delta::Seal(seal)));
            }
            Content::Native(native) => {
                self.close(sink);
                sink(Delta::Open(Block::Native(native)));
                self.open = Some(Open::Text);
            }
            Content::Media(_) | Content::Outcome(_) => {}
        }
        self.close(sink);
    }
}

// === impl Begun ===

impl Begun {
    const fn new(shape: Shape) -> Self {
        Self { shape, part: 0, part_given: false, given: false, citations: 0, tokens: false }
    }
}

const ADDED: &str = "response.output_item.added";
const DONE: &str = "response.output_item.done";

/// What is read, by the first word of an event's name behind `response.`.
const KNOWN: [&str; 14] = [
    "created",
    "in_progress",
    "queued",
    "completed",
    "incomplete",
    "output_item",
    "content_part",
    "output_text",
    "refusal",
    "reasoning_summary_part",
    "reasoning_summary_text",
    "reasoning_text",
    "function_call_arguments",
    "custom_tool_call_input",
];

fn is_known(kind: &str) -> bool {
    let word = kind.strip_prefix("response.").and_then(|name| name.split('.').next());
    word.is_some_and(|word| KNOWN.contains(&word)) || matches!(kind, "error" | "response.failed")
}

/// The shape of an item whose beginning was not told.
fn guess(kind: &str) -> Shape {
    let name = kind.strip_prefix("response.").unwrap_or(kind);
    match name.split('.').next().unwrap_or_default() {
        "output_text" | "refusal" | "content_part" => Shape::Message,
        "function_call_arguments" => Shape::Call(CallKind::Function),
        "custom_tool_call_input" => Shape::Call(CallKind::Custom),
        word if word.starts_with("reasoning") => Shape::Reasoning,
        _ => Shape::Native,
    }
}

fn shape(event: &Event<'_>) -> Option<Shape> {
    event.item.and_then(|raw| items::members(raw).ok()).map(|item| Shape::of(&item))
}

fn bad(why: impl Into<String>) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, "The provider's stream cannot be understood.").detail(why)
}

#[cfg(test)]
mod tests;
