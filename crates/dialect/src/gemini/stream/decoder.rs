//! A provider's stream, read into neutral deltas.

use std::borrow::Cow;
use std::mem;

use lockgate_core::{Error, Kind, Usage};
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::error;
use super::super::json::Str;
use super::super::request::{Source, neutral};
use super::super::response::{self, Answering, Spans};
use super::super::wire::{self, Answer, Candidate, FunctionCall, Part, Word};
use super::meter::counts;
use super::partial::Partial;
use crate::Decoder;
use crate::neutral::{Block, CallKind, Citation, Content, Delta, Finish, Native, Raw};
use crate::quick;
use crate::seal::{Origin, Seal};

type Sink<'s> = &'s mut dyn FnMut(Delta<'_>);

/// Reads a stream. A text or a thought stays open as long as more of it comes; all else comes whole. Why it ended is
/// given at the end: some streams give a reason with every event.
#[derive(Debug)]
pub(in super::super) struct GeminiDecoder {
    origin: Origin,
    /// There from the first event on.
    answering: Option<Answering>,
    model: String,
    open: Option<Open>,
    /// A call whose arguments come in pieces.
    partial: Option<Partial>,
    calls: bool,
    spans: Spans,
    /// The last report of usage as it came: most events have one, and only the last counts.
    usage: String,
    grounding: Option<Raw>,
    searches: u64,
    finish: Option<String>,
    blocked: bool,
}

/// Which block is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thought,
}

// === impl GeminiDecoder ===

impl GeminiDecoder {
    pub(in super::super) fn new(origin: &Origin) -> Self {
        Self {
            origin: origin.clone(),
            answering: None,
            model: String::new(),
            open: None,
            partial: None,
            calls: false,
            spans: Spans::default(),
            usage: String::new(),
            grounding: None,
            searches: 0,
            finish: None,
            blocked: false,
        }
    }

    fn start(&mut self, answer: &mut Answer<'_>, data: &[u8], sink: Sink<'_>) {
        if self.answering.is_some() {
            return;
        }
        let id = answer.response_id.take().map(|Str(id)| id).unwrap_or_default();
        let model = answer.model_version.take().map(|Str(model)| model).unwrap_or_default();
        let created = answer.create_time.as_ref().and_then(|Str(text)| response::from_text(text));
        self.answering = Some(Answering::new(&self.origin, &id, data));
        self.model = model.clone().into_owned();
        sink(Delta::Start { id, model, created });
        if let Some(usage) = counts(answer.usage_metadata).and_then(wire::usage) {
            sink(Delta::Usage(usage));
        }
    }

    fn candidate(&mut self, candidate: Candidate<'_>, sink: Sink<'_>) -> Result<(), Error> {
        for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
            self.part(part, sink)?;
        }
        if let Some(raw) = candidate.citation_metadata {
            let cited = response::recited(raw, &mut self.spans);
            self.cite(cited, sink);
        }
        if let Some(raw) = candidate.logprobs_result.filter(|_| self.open == Some(Open::Text)) {
            sink(Delta::Logprobs(response::logprobs(raw.get())));
        }
        if let Some(raw) = candidate.grounding_metadata {
            self.searches = self.searches.max(wire::searches(raw.get(), &self.model));
            if response::choose(raw.get(), self.grounding.as_deref().map(RawValue::get)) {
                self.grounding = Some(raw.to_owned());
            }
        }
        if let Some(raw) = candidate.url_context_metadata {
            self.native("urlContextMetadata", raw.to_owned(), sink);
        }
        if let Some(word) = candidate.finish_reason.as_ref().and_then(Word::reason) {
            self.finish = Some(word.into_owned());
        }
        Ok(())
    }

    fn part(&mut self, part: Part<'_>, sink: Sink<'_>) -> Result<(), Error> {
        let plain = part.call.is_none()
            && part.outcome.is_none()
            && part.inline.is_none()
            && part.file.is_none()
            && part.others.is_empty();
        if plain {
            let kind = if part.thought { "thought" } else { "text" };
            let seal = self.seal(kind, part.signature);
            let text = part.text.map(|Str(text)| text).unwrap_or_default();
            self.say(if part.thought { Open::Thought } else { Open::Text }, text, seal, sink);
            return Ok(());
        }
        let goes_on = self.partial.is_some();
        if let Some(call) =
            part.call.as_ref().filter(|call| is_partial(call) || (goes_on && call.name.is_none()))
        {
            return self.piece(call, part.signature.as_ref(), sink);
        }
        self.close(sink);
        let Some(answering) = &mut self.answering else { return Ok(()) };
        let mut parts = Vec::new();
        neutral(part, answering, &mut parts);
        for (i, part) in parts.iter().enumerate() {
            match &part.content {
                Content::Call(call) => {
                    self.calls = true;
                    let kind = CallKind::Function;
                    sink(Delta::Open(Block::Call {
                        id: (&*call.id).into(),
                        name: (&*call.name).into(),
                        kind,
                    }));
                    sink(Delta::Text(Cow::Borrowed(&call.arguments)));
                    if let Some(seal) = &call.seal {
                        sink(Delta::Seal(seal.clone()));
                    }
                    sink(Delta::Close);
                }
                Content::Native(native) if !native.name.starts_with("part.") => {
                    sink(Delta::Open(Block::Native(native.clone())));
                    sink(Delta::Close);
                }
                Content::Media(medium) => {
                    // Streams have no block for media: in its own dialect it goes on as the part that it was.
                    let asides: Vec<_> = parts.iter().skip(i + 1).collect();
                    let (name, json) = response::media_part(medium, &asides);
                    self.native(name, json, sink);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A piece of a call's arguments, or a part that only begins or ends it.
    fn piece(
        &mut self,
        call: &FunctionCall<'_>,
        sign: Option<&Str<'_>>,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        if let Some(Str(name)) = &call.name {
            self.close(sink);
            self.calls = true;
            let Some(answering) = &mut self.answering else { return Ok(()) };
            let id = answering.call(call.id.as_ref().map(|Str(id)| &**id).filter(|id| !id.is_empty()), name);
            let seal = sign.and_then(|Str(data)| answering.seal(&format!("call:{id}"), data));
            sink(Delta::Open(Block::Call {
                id: id.into(),
                name: (&**name).into(),
                kind: CallKind::Function,
            }));
            if let Some(seal) = seal {
                sink(Delta::Seal(seal));
            }
            self.partial = Some(Partial::default());
        }
        if let Some(partial) = &mut self.partial {
            for piece in call.partial_args.iter().flatten() {
                partial.add(piece).map_err(|_| bad("a piece of arguments has no place in them"))?;
            }
        }
        if call.will_continue != Some(true) {
            self.close(sink);
        }
        Ok(())
    }

    /// More of a text or a thought. A state ends the block that it belongs to.
    fn say(&mut self, open: Open, text: Cow<'_, str>, seal: Option<Seal>, sink: Sink<'_>) {
        if text.is_empty() && seal.is_none() {
            return;
        }
        self.open(open, sink);
        if !text.is_empty() {
            if open == Open::Text {
                self.spans.push(&text);
            }
            sink(Delta::Text(text));
        }
        if let Some(seal) = seal {
            sink(Delta::Seal(seal));
            self.close(sink);
        }
    }

    fn report(&mut self, usage: Option<&RawValue>) {
        if let Some(usage) = counts(usage) {
            self.usage.clear();
            self.usage.push_str(usage);
        }
    }

    fn seal(&self, kind: &str, data: Option<Str<'_>>) -> Option<Seal> {
        let Str(data) = data.filter(|Str(data)| !data.is_empty())?;
        self.answering.as_ref()?.seal(kind, &data)
    }

    fn native(&mut self, name: &str, json: Raw, sink: Sink<'_>) {
        self.close(sink);
        sink(Delta::Open(Block::Native(Native { dialect: NAME, name: name.to_owned(), json })));
        sink(Delta::Close);
    }

    fn cite(&mut self, cited: Vec<Citation>, sink: Sink<'_>) {
        if cited.is_empty() {
            return;
        }
        self.open(Open::Text, sink);
        for citation in cited {
            sink(Delta::Citation(citation));
        }
    }

    fn open(&mut self, open: Open, sink: Sink<'_>) {
        if self.open == Some(open) {
            return;
        }
        self.close(sink);
        sink(Delta::Open(match open {
            Open::Text => Block::Text,
            Open::Thought => Block::Reasoning { summary: true },
        }));
        self.open = Some(open);
    }

    fn close(&mut self, sink: Sink<'_>) {
        if let Some(partial) = self.partial.take() {
            sink(Delta::Text(Cow::Owned(partial.json())));
            sink(Delta::Close);
        }
        if self.open.take().is_some() {
            sink(Delta::Close);
        }
    }
}

impl Decoder for GeminiDecoder {
    fn event(&mut self, _: &str, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Ok(());
        }
        if let Some((text, usage)) = quick_piece(data).filter(|_| self.answering.is_some()) {
            self.report(usage);
            self.say(Open::Text, text, None, sink);
            return Ok(());
        }
        let text = std::str::from_utf8(data).map_err(|_| bad("not UTF-8"))?;
        let mut answer: Answer<'_> = serde_json::from_str(text).map_err(|why| bad(&why.to_string()))?;
        if let Some(error) = answer.error {
            return Err(error::in_answer(error.get().as_bytes()));
        }
        if !is_answer(&answer) {
            return Err(bad("an event without a member of an answer"));
        }
        self.start(&mut answer, data, sink);
        self.report(answer.usage_metadata);
        let blocked = answer.prompt_feedback.and_then(|feedback| feedback.block_reason);
        self.blocked |= blocked.is_some_and(|reason| reason.reason().is_some());
        let candidates = answer.candidates.unwrap_or_default().into_iter();
        for candidate in candidates.filter(|candidate| candidate.index.unwrap_or(0) == 0) {
            self.candidate(candidate, sink)?;
        }
        Ok(())
    }

    fn end(&mut self, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let word = self.finish.take();
        if word.is_none() && !self.blocked {
            return Err(Error::upstream(Kind::UpstreamBroken, "The provider's answer broke off."));
        }
        if let Some(raw) = self.grounding.take() {
            let cited = response::grounded(&raw, &mut self.spans);
            if cited.is_empty() {
                self.native("groundingMetadata", raw, sink);
            }
            self.cite(cited, sink);
        }
        self.close(sink);
        if let Some(usage) = wire::usage(&self.usage) {
            sink(Delta::Usage(Usage { searches: self.searches, ..usage }));
        }
        if let Some(tier) = response::tier(&mem::take(&mut self.usage)) {
            sink(Delta::Tier(tier.into()));
        }
        sink(Delta::Finish(match word {
            Some(word) => response::finish(Some(&word), self.calls),
            None => Finish::Filtered,
        }));
        sink(Delta::End);
        Ok(())
    }
}

/// The commonest event, a piece of text with its usage.
fn quick_piece(data: &[u8]) -> Option<(Cow<'_, str>, Option<&RawValue>)> {
    let rest = data.strip_prefix(br#"{"candidates":[{"content":{"parts":[{"text":"#)?;
    let (text, rest) = quick::text(rest)?;
    let rest = rest.strip_prefix(br#"}],"role":"model"}"#)?;
    let mut rest = rest.strip_prefix(br#","index":0"#).unwrap_or(rest).strip_prefix(b"}]")?;
    let mut usage = None;
    loop {
        rest = match rest.split_first()? {
            (b'}', []) => return Some((text, usage)),
            (b',', behind) => behind,
            _ => return None,
        };
        let (name, behind) = quick::text(rest)?;
        let value = behind.strip_prefix(b":")?;
        rest = match &*name {
            "modelVersion" | "responseId" | "createTime" => quick::text(value)?.1,
            "usageMetadata" if usage.is_none() => {
                let mut values = serde_json::Deserializer::from_slice(value).into_iter::<&RawValue>();
                usage = Some(values.next()?.ok()?);
                value.get(values.byte_offset()..)?
            }
            _ => return None,
        };
    }
}

/// Whether its arguments come in pieces.
fn is_partial(call: &FunctionCall<'_>) -> bool {
    call.will_continue == Some(true) || call.partial_args.is_some()
}

const fn is_answer(answer: &Answer<'_>) -> bool {
    answer.candidates.is_some()
        || answer.usage_metadata.is_some()
        || answer.prompt_feedback.is_some()
        || answer.response_id.is_some()
        || answer.model_version.is_some()
}

fn bad(why: &str) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, "An event of the provider's stream cannot be read.").detail(why)
}
