//! A provider's stream read into neutral deltas.
//!
//! The dialect sends one block after another. Servers that only resemble it start a block before the last has ended; what
//! comes for a later block is then held until the open one is closed, in bounded memory.

use std::borrow::Cow;
use std::collections::VecDeque;

use lockgate_core::{Error, Kind};
use serde_json::value::RawValue;

use super::quick;
use crate::Decoder;
use crate::anthropic::block::{Reader, citation, note};
use crate::anthropic::json::Object;
use crate::anthropic::wire::{Event, Head, Members, Piece, Txt, WireUsage, items, said};
use crate::anthropic::{NAME, error, finish};
use crate::neutral::{Block, Call, CallKind, Citation, Content, Delta, Finish, Native};
use crate::seal::{Origin, Seal};

/// What is held of blocks that are not open yet, and of a block that is given whole, in bytes.
const MAX_HELD: usize = 16 << 20;
/// Blocks that are held.
const MAX_BLOCKS: usize = 128;
/// Events that are held.
const MAX_EVENTS: usize = 1 << 17;

/// Reads a stream.
#[derive(Debug)]
pub(in crate::anthropic) struct MessageDecoder {
    origin: Origin,
    usage: Option<WireUsage>,
    tier: Option<String>,
    open: Option<Open>,
    /// What came for blocks behind the open one: block by block in the order of their starts.
    held: VecDeque<Held>,
    held_bytes: usize,
    held_events: usize,
    finish: Option<Finish>,
    extras: Vec<Native>,
    started: bool,
    ended: bool,
}

/// The block under way.
#[derive(Debug)]
struct Open {
    index: u64,
    /// What its start said that is to be given only if no delta says it.
    rest: Rest,
    /// Something was given for it.
    said: bool,
}

/// What is left of a block's start.
#[derive(Debug)]
enum Rest {
    Nothing,
    /// Arguments that came with the start.
    Arguments(String),
    /// A signature that came with the start.
    Signature(String),
    /// A block that only this dialect has is given whole at its end: its start, and the input or content that came.
    Whole {
        kind: String,
        start: Box<RawValue>,
        input: String,
        content: Option<Box<RawValue>>,
    },
}

#[derive(Debug)]
struct Held {
    index: u64,
    events: Vec<Waiting>,
    closed: bool,
}

/// An event of a block that is not open yet.
#[derive(Debug)]
enum Waiting {
    Start(Box<RawValue>),
    Text(String),
    Seal(String),
    Citation(Box<Citation>),
    Content(Box<RawValue>),
}

type Sink<'s> = &'s mut dyn FnMut(Delta<'_>);

// === impl MessageDecoder ===

impl Decoder for MessageDecoder {
    fn event(&mut self, _: &str, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let data = data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" || self.ended {
            return Ok(());
        }
        if let (Some(open), true) = (&mut self.open, self.finish.is_none())
            && !matches!(open.rest, Rest::Whole { .. })
            && let Some((index, text)) = quick::piece(data)
            && index == open.index
        {
            if !text.is_empty() {
                open.said = true;
                sink(Delta::Text(text));
            }
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_slice(data)
            .map_err(|why| bad("an event is not of the dialect", &why.to_string()))?;
        match event.kind.str() {
            "content_block_delta" => match event.delta {
                Some(delta) => self.delta(event.index.unwrap_or(0), delta, sink),
                None => Err(bad("a delta says nothing", "")),
            },
            "content_block_start" => match event.content_block {
                Some(block) => self.start_block(event.index.unwrap_or(0), block, sink),
                None => Err(bad("a block has no content", "")),
            },
            "content_block_stop" => self.stop_block(event.index.unwrap_or(0), sink),
            "message_start" => self.start(event.message, sink),
            "message_delta" => self.message_delta(event, sink),
            "message_stop" => self.stop(sink),
            "error" => Err(error::in_answer(data)),
            "" if said(event.error).is_some() => Err(error::in_answer(data)),
            "" => Err(bad("an event has no type", "")),
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

impl MessageDecoder {
    pub(in crate::anthropic) fn new(origin: &Origin) -> Self {
        Self {
            origin: origin.clone(),
            usage: None,
            tier: None,
            open: None,
            held: VecDeque::new(),
            held_bytes: 0,
            held_events: 0,
            finish: None,
            extras: Vec::new(),
            started: false,
            ended: false,
        }
    }

    fn start(&mut self, message: Option<&RawValue>, sink: Sink<'_>) -> Result<(), Error> {
        if self.started {
            return Err(bad("the answer begins twice", ""));
        }
        let head: Head<'_> = match message {
            Some(raw) => serde_json::from_str(raw.get())
                .map_err(|why| bad("its start cannot be read", &why.to_string()))?,
            None => Head::default(),
        };
        self.started = true;
        sink(Delta::Start { id: head.id.into_cow(), model: head.model.into_cow(), created: None });
        self.extra("container", head.container);
        self.report(head.usage, sink);
        for (at, block) in (0..).zip(head.content.and_then(items).unwrap_or_default()) {
            self.open_block(at, block, sink)?;
            self.close(sink)?;
        }
        self.finish = head.stop_reason.get().map(|reason| finish::read(reason, head.stop_sequence.get()));
        Ok(())
    }

    fn report(&mut self, usage: Option<WireUsage>, sink: Sink<'_>) {
        let Some(later) = usage else { return };
        match &mut self.usage {
            Some(held) => held.update(later),
            held @ None => *held = Some(later),
        }
        let Some(held) = &self.usage else { return };
        if let Some(usage) = held.buckets() {
            sink(Delta::Usage(usage));
        }
        if let Some(tier) = held.tier().filter(|tier| self.tier.as_deref() != Some(tier)) {
            self.tier = Some(tier.to_owned());
            sink(Delta::Tier(Cow::Borrowed(tier)));
        }
    }

    /// Keeps what the message says and the neutral form has no place for.
    fn extra(&mut self, name: &str, value: Option<&RawValue>) {
        if let Some(value) = said(value) {
            let native = note("message", name, value);
            self.extras.retain(|held| held.name != native.name);
            self.extras.push(native);
        }
    }

    fn begun(&self) -> Result<(), Error> {
        if self.started && self.finish.is_none() {
            return Ok(());
        }
        Err(bad("a block stands outside the answer", ""))
    }

    // --- blocks ---

    fn start_block(&mut self, index: u64, block: &RawValue, sink: Sink<'_>) -> Result<(), Error> {
        self.begun()?;
        if self.open.is_none() && self.held.is_empty() {
            return self.open_block(index, block, sink);
        }
        if self.open.as_ref().is_some_and(|open| open.index == index)
            || self.held.iter().any(|h| h.index == index && !h.closed)
        {
            return Err(bad("a block begins twice", ""));
        }
        if self.held.len() >= MAX_BLOCKS {
            return Err(bad("it mixes too many blocks", ""));
        }
        self.hold(block.get().len())?;
        self.held.push_back(Held { index, events: vec![Waiting::Start(block.to_owned())], closed: false });
        Ok(())
    }

    fn delta(&mut self, index: u64, piece: Piece<'_>, sink: Sink<'_>) -> Result<(), Error> {
        self.begun()?;
        if let Some(open) = self.open.as_mut().filter(|open| open.index == index) {
            return give(open, piece, &self.origin, &mut self.held_bytes, sink);
        }
        let Some(at) = self.held.iter().position(|held| held.index == index && !held.closed) else {
            return Err(bad("a delta is of no block", ""));
        };
        let waiting = match piece.kind.str() {
            "signature_delta" => Waiting::Seal(piece.signature.str().to_owned()),
            "citations_delta" => match piece.citation {
                Some(raw) => Waiting::Citation(Box::new(citation(raw))),
                None => return Ok(()),
            },
            "compaction_delta" => match piece.content {
                Some(raw) => Waiting::Content(raw.to_owned()),
                None => return Ok(()),
            },
            _ => Waiting::Text(words(piece).into_owned()),
        };
        self.hold(match &waiting {
            Waiting::Text(text) | Waiting::Seal(text) => text.len(),
            _ => 1_024,
        })?;
        if let Some(held) = self.held.get_mut(at) {
            held.events.push(waiting);
        }
        Ok(())
    }

    fn stop_block(&mut self, index: u64, sink: Sink<'_>) -> Result<(), Error> {
        self.begun()?;
        if self.open.as_ref().is_some_and(|open| open.index == index) {
            self.close(sink)?;
            return self.release(sink);
        }
        match self.held.iter_mut().find(|held| held.index == index && !held.closed) {
            Some(held) => {
                held.closed = true;
                Ok(())
            }
            None => Err(bad("a block ends that has not begun", "")),
        }
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Error> {
        self.held_bytes += bytes;
        self.held_events += 1;
        if self.held_bytes > MAX_HELD || self.held_events > MAX_EVENTS {
            return Err(bad("it mixes too many blocks", ""));
        }
        Ok(())
    }

    /// Gives what was held of the blocks that may now be open.
    fn release(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        while self.open.is_none() {
            let Some(next) = self.held.pop_front() else { break };
            for waiting in next.events {
                let mut piece = Piece::default();
                match waiting {
                    Waiting::Start(block) => {
                        self.open_block(next.index, &block, sink)?;
                        continue;
                    }
                    Waiting::Text(text) => piece.text = Txt(Some(Cow::Owned(text))),
                    Waiting::Seal(text) => {
                        piece.kind = Txt(Some(Cow::Borrowed("signature_delta")));
                        piece.signature = Txt(Some(Cow::Owned(text)));
                    }
                    Waiting::Citation(citation) => {
                        sink(Delta::Citation(*citation));
                        continue;
                    }
                    Waiting::Content(raw) => {
                        if let Some(Open { rest: Rest::Whole { content, .. }, .. }) = &mut self.open {
                            *content = Some(raw);
                        }
                        continue;
                    }
                }
                if let Some(open) = &mut self.open {
                    give(open, piece, &self.origin, &mut self.held_bytes, sink)?;
                }
            }
            if next.closed {
                self.close(sink)?;
            }
        }
        if self.held.is_empty() {
            (self.held_bytes, self.held_events) = (0, 0);
        }
        Ok(())
    }

    fn open_block(&mut self, index: u64, block: &RawValue, sink: Sink<'_>) -> Result<(), Error> {
        let origin = self.origin.clone();
        let reader = Reader { seal: &|kind, data| Seal::of(&origin, NAME, kind, data) };
        let parts = reader.one(block).map_err(|flaw| bad("a block cannot be read", flaw.why))?;
        let mut open = Open { index, rest: Rest::Nothing, said: false };
        for part in parts {
            match part.content {
                Content::Native(native) if crate::anthropic::block::noted(&native).is_some() => {
                    sink(Delta::Open(Block::Native(native)));
                    sink(Delta::Close);
                }
                Content::Native(native) => {
                    open.rest = Rest::Whole {
                        kind: native.name,
                        start: native.json,
                        input: String::new(),
                        content: None,
                    };
                }
                Content::Text(text) => {
                    sink(Delta::Open(Block::Text));
                    if !text.text.is_empty() {
                        sink(Delta::Text(Cow::Owned(text.text)));
                    }
                    for citation in text.citations {
                        sink(Delta::Citation(citation));
                    }
                }
                Content::Reasoning(reasoning) => {
                    sink(Delta::Open(Block::Reasoning { summary: reasoning.summary }));
                    if !reasoning.text.is_empty() {
                        sink(Delta::Text(Cow::Owned(reasoning.text)));
                    }
                    match reasoning.seal {
                        Some(seal) if &*seal.kind == "signature" => open.rest = Rest::Signature(seal.data),
                        Some(seal) => sink(Delta::Seal(seal)),
                        None => {}
                    }
                }
                Content::Call(Call { id, name, arguments, .. }) => {
                    let (id, name) = (Cow::Owned(id), Cow::Owned(name));
                    sink(Delta::Open(Block::Call { id, name, kind: CallKind::Function }));
                    open.rest = Rest::Arguments(arguments);
                }
                Content::Media(_) | Content::Outcome(_) | Content::Refusal(_) => {
                    let kind = Members::of(block).and_then(|mut block| block.take_text("type"));
                    let name = kind.map(Cow::into_owned).unwrap_or_default();
                    let start = block.to_owned();
                    open.rest = Rest::Whole { kind: name, start, input: String::new(), content: None };
                }
            }
        }
        self.open = Some(open);
        Ok(())
    }

    fn close(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        match open.rest {
            Rest::Nothing => {}
            Rest::Arguments(arguments) if !open.said => sink(Delta::Text(Cow::Owned(arguments))),
            Rest::Signature(data) => sink(Delta::Seal(Seal::of(&self.origin, NAME, "signature", data))),
            Rest::Arguments(_) => {}
            Rest::Whole { kind, start, input, content } => {
                let json = whole(start, &input, content.as_deref())?;
                sink(Delta::Open(Block::Native(Native { dialect: NAME, name: kind, json })));
            }
        }
        sink(Delta::Close);
        Ok(())
    }

    // --- the end ---

    fn message_delta(&mut self, event: Event<'_>, sink: Sink<'_>) -> Result<(), Error> {
        if !self.started {
            return Err(bad("the answer has no start", ""));
        }
        self.extra("context_management", event.context_management);
        if let Some(delta) = event.delta {
            self.extra("stop_details", delta.stop_details);
            self.extra("container", delta.container);
            if let (Some(reason), None) = (delta.stop_reason.get(), &self.finish) {
                self.close_all(sink)?;
                self.finish = Some(finish::read(reason, delta.stop_sequence.get()));
            }
        }
        self.report(event.usage, sink);
        Ok(())
    }

    fn close_all(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        self.close(sink)?;
        while !self.held.is_empty() {
            self.release(sink)?;
            self.close(sink)?;
        }
        Ok(())
    }

    fn stop(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        if !self.started {
            return Err(bad("the answer has no start", ""));
        }
        self.close_all(sink)?;
        for native in self.extras.drain(..) {
            sink(Delta::Open(Block::Native(native)));
            sink(Delta::Close);
        }
        sink(Delta::Finish(self.finish.take().unwrap_or(Finish::Stop)));
        sink(Delta::End);
        self.ended = true;
        Ok(())
    }
}

/// Gives a piece of the open block.
fn give(
    open: &mut Open,
    piece: Piece<'_>,
    origin: &Origin,
    held: &mut usize,
    sink: Sink<'_>,
) -> Result<(), Error> {
    if let Rest::Whole { input, content, .. } = &mut open.rest {
        match piece.content {
            Some(raw) => *content = Some(raw.to_owned()),
            None => {
                let words = words(piece);
                *held += words.len();
                if *held > MAX_HELD {
                    return Err(bad("a block is too long", ""));
                }
                input.push_str(&words);
            }
        }
        return Ok(());
    }
    match piece.kind.str() {
        "signature_delta" => {
            open.rest = Rest::Nothing;
            if let Some(signature) = piece.signature.get().filter(|text| !text.is_empty()) {
                sink(Delta::Seal(Seal::of(origin, NAME, "signature", signature)));
            }
        }
        "citations_delta" => {
            if let Some(raw) = piece.citation {
                sink(Delta::Citation(citation(raw)));
            }
        }
        _ => {
            let words = words(piece);
            if !words.is_empty() {
                open.said = true;
                sink(Delta::Text(words));
            }
        }
    }
    Ok(())
}

/// The words of a piece, whichever member holds them.
fn words(piece: Piece<'_>) -> Cow<'_, str> {
    let first =
        [piece.text, piece.partial_json, piece.thinking].into_iter().find(|text| text.get().is_some());
    first.map(Txt::into_cow).unwrap_or_default()
}

/// A block out of its start and what came behind it.
fn whole(start: Box<RawValue>, input: &str, content: Option<&RawValue>) -> Result<Box<RawValue>, Error> {
    if input.trim().is_empty() && content.is_none() {
        return Ok(start);
    }
    let members = Members::of(&start).ok_or_else(|| bad("a block cannot be read", ""))?;
    let later: [(&str, Option<&str>); 2] = [
        ("input", Some(input).filter(|input| !input.trim().is_empty())),
        ("content", content.map(RawValue::get)),
    ];
    let mut out = Vec::with_capacity(start.get().len() + input.len());
    let mut object = Object::begin(&mut out);
    for (name, value) in members.iter() {
        if !later.iter().any(|(other, value)| *other == name && value.is_some()) {
            object.raw(name, value.get());
        }
    }
    for (name, value) in later {
        if let Some(value) = value {
            object.raw(name, value);
        }
    }
    object.end();
    let text = String::from_utf8(out).unwrap_or_default();
    RawValue::from_string(text).map_err(|why| bad("the input of a tool is not valid JSON", &why.to_string()))
}

fn bad(why: &str, detail: &str) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer cannot be understood.")
        .detail(format!("{why} {detail}"))
}
