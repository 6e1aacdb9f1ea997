//! Events into neutral deltas.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lockgate_core::{Error, Kind};
use serde_json::value::RawValue;

use super::super::{citation, error, response};
use super::{Called, Event, Message, Said, usage};
use crate::Decoder;
use crate::neutral::{Block, CallKind, Delta};
use crate::quick;

/// Of calls that come while another is open, so many bytes are held.
const MAX_HELD: usize = 16 << 20;

#[derive(Debug, Default)]
pub(in super::super) struct CohereDecoder {
    started: bool,
    open: Open,
    /// Calls that came while another was open, by their index.
    held: BTreeMap<u64, Held>,
    held_bytes: usize,
    ended: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    /// A text; one that has ended stays open for the citations that may follow.
    Text {
        ended: bool,
    },
    Plan,
    Thinking,
    Call(u64),
}

/// A call that waits.
#[derive(Debug, Default)]
struct Held {
    id: String,
    name: String,
    arguments: String,
    ended: bool,
}

type Sink<'s> = dyn FnMut(Delta<'_>) + 's;

impl Decoder for CohereDecoder {
    fn event(&mut self, _: &str, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let data = data.trim_ascii();
        if self.ended || data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        if let Some(text) = quick_text(data).filter(|_| self.started) {
            if !text.is_empty() {
                self.switch(Open::Text { ended: false }, Block::Text, sink);
                sink(Delta::Text(text));
            }
            return Ok(());
        }
        let event: Event<'_> =
            serde_json::from_slice(data).map_err(|why| bad("an event is not of the dialect", &why))?;
        let Some(kind) = &event.r#type else {
            let said = event.message.as_ref().map(|said| said.0.as_ref());
            return Err(match said {
                Some(said) => error::in_answer(Some(said)),
                None => broken("an event does not say what it is"),
            });
        };
        if !self.started {
            self.started = true;
            let id = event.id.as_ref().map_or("", |id| id.0.as_ref());
            sink(Delta::Start { id: Cow::Borrowed(id), model: Cow::Borrowed(""), created: None });
        }
        let message = event.delta.as_ref().and_then(|delta| delta.message.as_ref());
        match kind.0.as_ref() {
            "content-start" => {
                self.close(sink);
                self.content(message, sink)?;
            }
            "content-delta" => self.content(message, sink)?,
            "content-end" => match self.open {
                Open::Text { .. } => self.open = Open::Text { ended: true },
                Open::Thinking => self.close(sink),
                _ => {}
            },
            "tool-plan-delta" => {
                if let Some(plan) =
                    message.and_then(|message| message.tool_plan.as_ref()).filter(|p| !p.0.is_empty())
                {
                    self.switch(Open::Plan, Block::Text, sink);
                    sink(Delta::Text(Cow::Borrowed(&plan.0)));
                }
            }
            "tool-call-start" | "tool-call-delta" => self.call(event.index.unwrap_or(0), message, sink)?,
            "tool-call-end" => self.call_end(event.index.unwrap_or(0), sink),
            "citation-start" => {
                for raw in raws(message.and_then(|message| message.citations)) {
                    if !matches!(self.open, Open::Text { .. } | Open::Plan) {
                        self.switch(Open::Text { ended: true }, Block::Text, sink);
                    }
                    sink(Delta::Citation(citation::read(raw).citation));
                }
            }
            "message-end" => self.message_end(&event, sink)?,
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, _: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        Err(Error::upstream(Kind::UpstreamBroken, "The provider's answer broke off."))
    }
}

impl CohereDecoder {
    fn content(&mut self, message: Option<&Message<'_>>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let Some(raw) = message.and_then(|message| message.content) else { return Ok(()) };
        let said: Said<'_> =
            serde_json::from_str(raw.get()).map_err(|why| bad("a piece of content is not one", &why))?;
        if let Some(text) = said.text.filter(|text| !text.0.is_empty()) {
            self.switch(Open::Text { ended: false }, Block::Text, sink);
            sink(Delta::Text(text.0));
        }
        if let Some(text) = said.thinking.filter(|text| !text.0.is_empty()) {
            self.switch(Open::Thinking, Block::Reasoning { summary: false }, sink);
            sink(Delta::Text(text.0));
        }
        Ok(())
    }

    /// Opens a block of this kind, if it is not open.
    fn switch(&mut self, to: Open, block: Block<'_>, sink: &mut Sink<'_>) {
        if self.open != to {
            self.close(sink);
            self.open = to;
            sink(Delta::Open(block));
        }
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        if self.open != Open::Nothing {
            self.open = Open::Nothing;
            sink(Delta::Close);
        }
    }

    fn call(&mut self, index: u64, message: Option<&Message<'_>>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let Some(raw) = message.and_then(|message| message.tool_calls) else { return Ok(()) };
        let called: Called<'_> =
            serde_json::from_str(raw.get()).map_err(|why| bad("a piece of a call is not one", &why))?;
        let text = |text: Option<super::Txt<'_>>| text.map(|text| text.0.into_owned()).unwrap_or_default();
        let (name, arguments) = called.function.map(|f| (f.name, f.arguments)).unwrap_or_default();
        match self.open {
            Open::Call(open) if open == index => {
                if let Some(arguments) = arguments.filter(|arguments| !arguments.0.is_empty()) {
                    sink(Delta::Text(arguments.0));
                }
            }
            Open::Call(_) => {
                let held = self.held.entry(index).or_default();
                let (id, name, arguments) = (text(called.id), text(name), text(arguments));
                self.held_bytes += 64 + id.len() + name.len() + arguments.len();
                if self.held_bytes > MAX_HELD {
                    return Err(broken("too much of it comes out of order"));
                }
                if held.id.is_empty() {
                    held.id = id;
                }
                if held.name.is_empty() {
                    held.name = name;
                }
                held.arguments.push_str(&arguments);
            }
            _ => {
                if name.is_none() {
                    return Err(broken("arguments come without a call"));
                }
                let (id, name) = (text(called.id), text(name));
                self.open_call(index, &id, &name, sink);
                if let Some(arguments) = arguments.filter(|arguments| !arguments.0.is_empty()) {
                    sink(Delta::Text(arguments.0));
                }
            }
        }
        Ok(())
    }

    fn open_call(&mut self, index: u64, id: &str, name: &str, sink: &mut Sink<'_>) {
        self.close(sink);
        self.open = Open::Call(index);
        let (id, name) = (Cow::Borrowed(id), Cow::Borrowed(name));
        sink(Delta::Open(Block::Call { id, name, kind: CallKind::Function }));
    }

    fn call_end(&mut self, index: u64, sink: &mut Sink<'_>) {
        if self.open != Open::Call(index) {
            if let Some(held) = self.held.get_mut(&index) {
                held.ended = true;
            }
            return;
        }
        self.close(sink);
        self.release(false, sink);
    }

    /// Gives held calls, up to the first that has not ended; `all` gives every one of them.
    fn release(&mut self, all: bool, sink: &mut Sink<'_>) {
        while let Some((index, held)) = self.held.pop_first() {
            self.held_bytes =
                self.held_bytes.saturating_sub(64 + held.id.len() + held.name.len() + held.arguments.len());
            self.open_call(index, &held.id, &held.name, sink);
            if !held.arguments.is_empty() {
                sink(Delta::Text(Cow::Borrowed(&held.arguments)));
            }
            if !held.ended && !all {
                return;
            }
            self.close(sink);
        }
    }

    fn message_end(&mut self, event: &Event<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let delta = event.delta.as_ref();
        let reason =
            delta.and_then(|delta| delta.finish_reason.as_ref()).map_or("", |reason| reason.0.as_ref());
        if reason == "ERROR" {
            let said = delta.and_then(|delta| delta.error.as_ref());
            return Err(error::in_answer(said.map(|said| said.0.as_ref())));
        }
        self.close(sink);
        self.release(true, sink);
        if let Some(usage) = usage(delta.and_then(|delta| delta.usage)) {
            sink(Delta::Usage(usage));
        }
        sink(Delta::Finish(response::finish(reason)));
        self.ended = true;
        sink(Delta::End);
        Ok(())
    }
}

/// The commonest event, in the two orders in which the provider writes it.
fn quick_text(data: &[u8]) -> Option<Cow<'_, str>> {
    const SAID: &[u8] = br#""delta":{"message":{"content":{"text":"#;
    if let Some(rest) = data.strip_prefix(br#"{"type":"content-delta","index":"#) {
        let (_, rest) = quick::number(rest)?;
        let (text, rest) = quick::text(rest.strip_prefix(b",")?.strip_prefix(SAID)?)?;
        return (rest == b"}}}}").then_some(text);
    }
    let (text, rest) = quick::text(data.strip_prefix(b"{")?.strip_prefix(SAID)?)?;
    let (_, rest) = quick::number(rest.strip_prefix(br#"}}},"index":"#)?)?;
    (rest == br#","type":"content-delta"}"#).then_some(text)
}

/// One citation, or a list of them.
fn raws(raw: Option<&RawValue>) -> Vec<&RawValue> {
    let Some(raw) = raw else { return Vec::new() };
    if raw.get().starts_with('[') { serde_json::from_str(raw.get()).unwrap_or_default() } else { vec![raw] }
}

fn bad(what: &'static str, why: &serde_json::Error) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer cannot be understood.")
        .detail(format!("{what}: {why}"))
}

fn broken(why: &'static str) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer cannot be understood.").detail(why)
}
