//! Events into neutral deltas.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_core::{Error, Kind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::block::read as block;
use super::super::error;
use super::super::response;
use super::super::wire::{Members, Object, Txt};
use super::{Begin, Delta as WireDelta, Event, is_failure, named, usage};
use crate::Decoder;
use crate::neutral::{Block, CallKind, Delta, Native};
use crate::seal::{Origin, Seal};

/// Of blocks that come while another is open, so many bytes are held.
const MAX_HELD: usize = 16 << 20;

#[derive(Debug)]
pub(in super::super) struct ConverseDecoder {
    origin: Origin,
    started: bool,
    open: Option<Open>,
    /// Pieces of blocks that came while another was open, by their block.
    held: BTreeMap<u64, VecDeque<Piece<'static>>>,
    held_bytes: usize,
    stopped: bool,
    reported: bool,
    ended: bool,
}

/// The block under way.
#[derive(Debug)]
struct Open {
    index: u64,
    kind: Opened,
}

#[derive(Debug)]
enum Opened {
    Text,
    Call,
    Reasoning { signature: String, redacted: String },
    Native { name: &'static str, start: Box<RawValue>, input: String, content: Vec<Box<RawValue>> },
}

/// What an event says of a block.
#[derive(Debug)]
enum Piece<'a> {
    Text(Cow<'a, str>),
    Thought(Cow<'a, str>),
    Signature(Cow<'a, str>),
    Redacted(Cow<'a, str>),
    Citation(Cow<'a, RawValue>),
    Call {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
    },
    Input(Cow<'a, str>),
    /// A block that only this dialect has begins.
    Native(&'static str, Cow<'a, RawValue>),
    /// More of it.
    More(Vec<Cow<'a, RawValue>>),
    Stop,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    #[serde(borrow)]
    tool_use_id: Txt<'a>,
    #[serde(borrow)]
    name: Txt<'a>,
    #[serde(borrow, default)]
    r#type: Option<Txt<'a>>,
}

type Sink<'s> = dyn FnMut(Delta<'_>) + 's;

// === impl ConverseDecoder ===

impl ConverseDecoder {
    pub(in super::super) fn new(origin: &Origin) -> Self {
        Self {
            origin: origin.clone(),
            started: false,
            open: None,
            held: BTreeMap::new(),
            held_bytes: 0,
            stopped: false,
            reported: false,
            ended: false,
        }
    }

    fn start(&mut self, sink: &mut Sink<'_>) {
        if !self.started {
            self.started = true;
            sink(Delta::Start { id: Cow::Borrowed(""), model: Cow::Borrowed(""), created: None });
        }
    }

    fn begin(&mut self, index: u64, begin: &Begin<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let piece = if let Some(raw) = begin.tool_use {
            let call: ToolUse<'_> = serde_json::from_str(raw.get())
                .map_err(|why| bad("a block of a call begins without id and name").detail(why.to_string()))?;
            if call.r#type.is_some_and(|kind| kind.0 != "tool_use") {
                Piece::Native("toolUse", Cow::Borrowed(raw))
            } else {
                Piece::Call { id: call.tool_use_id.0, name: call.name.0 }
            }
        } else if let Some(raw) = begin.tool_result {
            Piece::Native("toolResult", Cow::Borrowed(raw))
        } else if let Some(raw) = begin.image {
            Piece::Native("image", Cow::Borrowed(raw))
        } else {
            return Ok(());
        };
        self.piece(index, piece, sink)
    }

    fn more(&mut self, index: u64, delta: WireDelta<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        if let Some(text) = delta.text {
            self.piece(index, Piece::Text(text.0), sink)?;
        }
        if let Some(input) = delta.tool_use.and_then(|call| call.input) {
            self.piece(index, Piece::Input(input.0), sink)?;
        }
        if let Some(thought) = delta.reasoning_content {
            let pieces = [
                thought.text.map(|text| Piece::Thought(text.0)),
                thought.signature.map(|text| Piece::Signature(text.0)),
                thought.redacted_content.map(|text| Piece::Redacted(text.0)),
            ];
            for piece in pieces.into_iter().flatten() {
                self.piece(index, piece, sink)?;
            }
        }
        if let Some(raw) = delta.citation {
            self.piece(index, Piece::Citation(Cow::Borrowed(raw)), sink)?;
        }
        if let Some(raws) = delta.tool_result {
            self.piece(index, Piece::More(raws.into_iter().map(Cow::Borrowed).collect()), sink)?;
        }
        if let Some(raw) = delta.image {
            self.piece(index, Piece::More(vec![Cow::Borrowed(raw)]), sink)?;
        }
        Ok(())
    }

    /// Gives a piece, or holds it while another block is open.
    fn piece(&mut self, index: u64, piece: Piece<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        if self.open.as_ref().is_some_and(|open| open.index != index) {
            self.held_bytes += piece.len();
            if self.held_bytes > MAX_HELD {
                return Err(bad("too much of it comes out of order"));
            }
            self.held.entry(index).or_default().push_back(piece.into_owned());
            return Ok(());
        }
        self.give(index, piece, sink)?;
        self.release(sink)
    }

    /// Gives what was held for as long as no block is open.
    fn release(&mut self, sink: &mut Sink<'_>) -> Result<(), Error> {
        while self.open.is_none() {
            let Some((index, mut pieces)) = self.held.pop_first() else { break };
            while let Some(piece) = pieces.pop_front() {
                self.held_bytes = self.held_bytes.saturating_sub(piece.len());
                self.give(index, piece, sink)?;
            }
        }
        Ok(())
    }

    fn give(&mut self, index: u64, piece: Piece<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        if !piece.fits(self.open.as_ref().map(|open| &open.kind)) {
            self.close(sink);
        }
        if self.open.is_none() && !self.open(index, &piece, sink)? {
            return Ok(());
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        match (piece, &mut open.kind) {
            (Piece::Stop, _) => self.close(sink),
            (Piece::Text(text) | Piece::Thought(text), _) if !text.is_empty() => sink(Delta::Text(text)),
            (Piece::Input(text), Opened::Native { input, .. }) => input.push_str(&text),
            (Piece::Input(text), _) if !text.is_empty() => sink(Delta::Text(text)),
            (Piece::Signature(text), Opened::Reasoning { signature, .. }) => signature.push_str(&text),
            (Piece::Redacted(text), Opened::Reasoning { redacted, .. }) => join(redacted, &text),
            (Piece::Citation(raw), _) => sink(Delta::Citation(block::citation(&raw))),
            (Piece::More(raws), Opened::Native { content, .. }) => {
                content.extend(raws.into_iter().map(Cow::into_owned));
            }
            _ => {}
        }
        Ok(())
    }

    /// Opens the block that a piece begins; `false` when it begins none.
    fn open(&mut self, index: u64, piece: &Piece<'_>, sink: &mut Sink<'_>) -> Result<bool, Error> {
        let kind = match piece {
            Piece::Stop | Piece::More(_) => return Ok(false),
            Piece::Text(text) | Piece::Thought(text) if text.is_empty() => return Ok(false),
            Piece::Input(text) if text.is_empty() => return Ok(false),
            Piece::Input(_) => return Err(bad("arguments come without a call")),
            Piece::Text(_) | Piece::Citation(_) => {
                sink(Delta::Open(Block::Text));
                Opened::Text
            }
            Piece::Thought(_) | Piece::Signature(_) | Piece::Redacted(_) => {
                sink(Delta::Open(Block::Reasoning { summary: false }));
                Opened::Reasoning { signature: String::new(), redacted: String::new() }
            }
            Piece::Call { id, name } => {
                let (id, name) = (Cow::Borrowed(id.as_ref()), Cow::Borrowed(name.as_ref()));
                sink(Delta::Open(Block::Call { id, name, kind: CallKind::Function }));
                Opened::Call
            }
            Piece::Native(name, raw) => {
                let start = raw.clone().into_owned();
                Opened::Native { name, start, input: String::new(), content: Vec::new() }
            }
        };
        self.open = Some(Open { index, kind });
        Ok(true)
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        let Some(open) = self.open.take() else { return };
        match open.kind {
            Opened::Text | Opened::Call => {}
            Opened::Reasoning { signature, redacted } => {
                if !redacted.is_empty() {
                    sink(Delta::Seal(Seal::of(&self.origin, NAME, "redacted", redacted)));
                } else if !signature.is_empty() {
                    sink(Delta::Seal(Seal::of(&self.origin, NAME, "signature", signature)));
                }
            }
            Opened::Native { name, start, input, content } => {
                let Some(json) = whole(name, &start, &input, &content) else { return };
                sink(Delta::Open(Block::Native(Native { dialect: NAME, name: name.into(), json })));
            }
        }
        sink(Delta::Close);
    }

    fn stop(&mut self, event: &Event<'_>, reason: &str, sink: &mut Sink<'_>) -> Result<(), Error> {
        self.close(sink);
        while !self.held.is_empty() {
            self.release(sink)?;
            self.close(sink);
        }
        self.stopped = true;
        let text = response::stop_text(event.additional_model_response_fields);
        sink(Delta::Finish(response::finish(reason, text)));
        Ok(())
    }

    fn finish(&mut self, sink: &mut Sink<'_>) {
        if !self.ended {
            self.ended = true;
            sink(Delta::End);
        }
    }
}

impl Decoder for ConverseDecoder {
    fn event(&mut self, name: &str, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let data = data.trim_ascii();
        let unwrapped = named(data);
        let (name, data) = match &unwrapped {
            Some((own, inner)) if name.is_empty() || name == own => (own.as_str(), *inner),
            _ => (name, data),
        };
        if self.ended || (data.is_empty() && !name.ends_with("Exception")) {
            return Ok(());
        }
        let event: Event<'_> = match serde_json::from_slice(data) {
            Ok(event) => event,
            Err(_) if name.ends_with("Exception") => return Err(error::in_stream(name, data)),
            Err(why) => return Err(bad("an event is not of the dialect").detail(why.to_string())),
        };
        if is_failure(name, &event) {
            return Err(error::in_stream(name, data));
        }
        self.start(sink);
        if self.stopped {
            // Nothing more is said behind the stop; only the report is still to come.
        } else if let Some(index) = event.content_block_index {
            match (&event.start, event.delta) {
                (Some(begin), _) => return self.begin(index, begin, sink),
                (None, Some(delta)) => return self.more(index, delta, sink),
                (None, None) => return self.piece(index, Piece::Stop, sink),
            }
        } else if let Some(reason) = &event.stop_reason {
            self.stop(&event, &reason.0, sink)?;
        } else if event.role.is_some() {
            return Ok(());
        }
        if let Some(usage) = usage(event.usage) {
            sink(Delta::Usage(usage));
        }
        if let Some(tier) = event.service_tier {
            sink(Delta::Tier(tier.r#type.0));
        }
        self.reported |= event.usage.is_some() || event.metrics.is_some();
        if self.stopped && self.reported {
            self.finish(sink);
        }
        Ok(())
    }

    fn end(&mut self, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        if !self.stopped {
            return Err(Error::upstream(Kind::UpstreamBroken, "The provider's answer broke off."));
        }
        self.finish(sink);
        Ok(())
    }
}

// === impl Piece ===

impl Piece<'_> {
    /// Whether it belongs to a block of this kind.
    const fn fits(&self, open: Option<&Opened>) -> bool {
        match (self, open) {
            (_, None) | (Self::Stop, _) => true,
            (Self::Text(_) | Self::Citation(_), Some(kind)) => matches!(kind, Opened::Text),
            (Self::Thought(_) | Self::Signature(_) | Self::Redacted(_), Some(kind)) => {
                matches!(kind, Opened::Reasoning { .. })
            }
            (Self::Input(_), Some(kind)) => matches!(kind, Opened::Call | Opened::Native { .. }),
            (Self::More(_), Some(kind)) => matches!(kind, Opened::Native { .. }),
            (Self::Call { .. } | Self::Native(..), Some(_)) => false,
        }
    }

    fn len(&self) -> usize {
        // A piece without text takes room as well.
        64 + match self {
            Self::Text(text)
            | Self::Thought(text)
            | Self::Signature(text)
            | Self::Redacted(text)
            | Self::Input(text) => text.len(),
            Self::Citation(raw) | Self::Native(_, raw) => raw.get().len(),
            Self::Call { id, name } => id.len() + name.len(),
            Self::More(raws) => raws.iter().map(|raw| raw.get().len()).sum(),
            Self::Stop => 0,
        }
    }

    fn into_owned(self) -> Piece<'static> {
        fn text(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        fn raw(raw: Cow<'_, RawValue>) -> Cow<'static, RawValue> {
            Cow::Owned(raw.into_owned())
        }
        match self {
            Self::Text(of) => Piece::Text(text(of)),
            Self::Thought(of) => Piece::Thought(text(of)),
            Self::Signature(of) => Piece::Signature(text(of)),
            Self::Redacted(of) => Piece::Redacted(text(of)),
            Self::Input(of) => Piece::Input(text(of)),
            Self::Citation(of) => Piece::Citation(raw(of)),
            Self::Native(name, of) => Piece::Native(name, raw(of)),
            Self::Call { id, name } => Piece::Call { id: text(id), name: text(name) },
            Self::More(raws) => Piece::More(raws.into_iter().map(raw).collect()),
            Self::Stop => Piece::Stop,
        }
    }
}

/// Adds base64 to base64: what was padded must be opened for that.
fn join(held: &mut String, more: &str) {
    if held.len().is_multiple_of(4) && !held.ends_with('=') {
        held.push_str(more);
        return;
    }
    match (STANDARD.decode(held.as_bytes()), STANDARD.decode(more)) {
        (Ok(mut bytes), Ok(further)) => {
            bytes.extend_from_slice(&further);
            *held = STANDARD.encode(bytes);
        }
        _ => held.push_str(more),
    }
}

/// A block as it would stand in a whole answer.
fn whole(name: &str, start: &RawValue, input: &str, content: &[Box<RawValue>]) -> Option<Box<RawValue>> {
    let members: Object<'_> = serde_json::from_str(start.get()).ok()?;
    let mut out = Members::new();
    for (name, json) in &members {
        out.set(&name.0, json);
    }
    match name {
        "toolUse" => {
            let input = if input.is_empty() { "{}" } else { input };
            match serde_json::from_str::<&RawValue>(input) {
                Ok(json) => out.set("input", json),
                Err(_) => out.set("input", input),
            }
        }
        "toolResult" => out.set("content", content),
        _ => {
            for raw in content {
                let members: Object<'_> = serde_json::from_str(raw.get()).ok()?;
                for (name, json) in &members {
                    out.set(&name.0, json);
                }
            }
        }
    }
    out.raw()
}

fn bad(why: &'static str) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer cannot be understood.").detail(why)
}
