//! A provider's stream, read.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::queue::{Key, Live, Queue, bad};
use crate::Decoder;
use crate::neutral::{CallKind, Delta, Finish};
use crate::openai_chat::content::{citations, native};
use crate::openai_chat::members::{Members, Path, Str, Words, begins};
use crate::openai_chat::response::read::{logprobs, not_ours, sources};
use crate::openai_chat::wire::WireUsage;
use crate::openai_chat::{error, finish, ids, reasoning};
use crate::seal::{Origin, Seal};

/// Calls in one answer.
const MOST_CALLS: usize = 4_096;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<Str<'a>>,
    #[serde(borrow)]
    model: Option<Str<'a>>,
    #[serde(borrow)]
    created: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    x_groq: Option<&'a RawValue>,
    #[serde(borrow)]
    service_tier: Option<Str<'a>>,
    #[serde(borrow)]
    citations: Option<&'a RawValue>,
    #[serde(borrow)]
    search_results: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<Said<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Str<'a>>,
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    content: Option<Words<'a>>,
    #[serde(borrow)]
    refusal: Option<Str<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Str<'a>>,
    #[serde(borrow)]
    reasoning: Option<Words<'a>>,
    #[serde(borrow)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking_blocks: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<Vec<CallPiece<'a>>>,
    #[serde(borrow)]
    function_call: Option<FunctionPiece<'a>>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    images: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
    #[serde(borrow)]
    extra_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CallPiece<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    id: Option<Str<'a>>,
    #[serde(borrow)]
    function: Option<FunctionPiece<'a>>,
    #[serde(borrow)]
    custom: Option<FunctionPiece<'a>>,
    #[serde(borrow)]
    extra_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct FunctionPiece<'a> {
    #[serde(borrow)]
    name: Option<Str<'a>>,
    /// A function's.
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    /// A custom tool's.
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// A call that has begun.
#[derive(Debug)]
struct Begun {
    index: Option<u64>,
    id: String,
}

/// Reads a chat stream.
#[derive(Debug)]
pub(crate) struct ChatDecoder {
    origin: Origin,
    started: bool,
    ended: bool,
    /// The answer's id and time: for calls without an id.
    id: String,
    created: Option<u64>,
    queue: Queue,
    calls: Vec<Begun>,
    finish: Option<Finish>,
    /// What a searching provider says of its sources, in each event; the last counts.
    results: Option<Box<RawValue>>,
    addresses: Option<Box<RawValue>>,
    texts: bool,
}

// === impl ChatDecoder ===

impl Decoder for ChatDecoder {
    fn event(&mut self, name: &str, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let data = data.trim_ascii();
        if self.ended || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            return self.settle(sink);
        }
        let chunk: Chunk<'_> = match serde_json::from_slice(data) {
            Ok(chunk) => chunk,
            Err(why) => return Err(failed(data).unwrap_or_else(|| bad(&why.to_string()))),
        };
        if chunk.error.is_some() || name == "error" {
            return Err(failed(data).unwrap_or_else(|| bad("an error without words")));
        }
        self.chunk(chunk, sink)
    }

    fn end(&mut self, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        if self.finish.is_none() {
            return Err(broken());
        }
        self.settle(sink)
    }
}

fn broken() -> Error {
    Error::upstream(Kind::UpstreamBroken, "The provider's answer broke off.")
}

fn failed(data: &[u8]) -> Option<Error> {
    let payload = Payload::parse(Bytes::copy_from_slice(data)).ok()?;
    payload.has("error").then(|| error::in_answer(&payload))
}

impl ChatDecoder {
    pub(crate) fn new(origin: &Origin) -> Self {
        Self {
            origin: origin.clone(),
            started: false,
            ended: false,
            id: String::new(),
            created: None,
            queue: Queue::default(),
            calls: Vec::new(),
            finish: None,
            results: None,
            addresses: None,
            texts: false,
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let choices = chunk.choices.unwrap_or_default();
        if !self.started {
            // Azure begins with a word of its filter that has neither id nor choices.
            if choices.is_empty() && chunk.usage.is_none() {
                return Ok(());
            }
            self.start(chunk.id, chunk.model, chunk.created, sink);
        }
        if let Some(usage) = usage(chunk.usage, chunk.x_groq) {
            sink(Delta::Usage(usage));
        }
        if let Some(Str(tier)) = chunk.service_tier.filter(|Str(tier)| !tier.is_empty()) {
            sink(Delta::Tier(tier));
        }
        keep(&mut self.results, chunk.search_results);
        keep(&mut self.addresses, chunk.citations);
        // Of several choices the first is carried.
        for choice in choices.into_iter().filter(|choice| choice.index.unwrap_or(0) == 0) {
            if let Some(said) = choice.delta {
                self.said(said, sink)?;
            }
            if let Some(raw) = choice.logprobs {
                self.queue.logprobs(logprobs(raw), sink);
            }
            if let Some(Str(word)) = choice.finish_reason.filter(|Str(word)| !word.is_empty()) {
                if *word == *"error" {
                    return Err(Error::upstream(
                        Kind::UpstreamError,
                        "The provider's answer ended in an error.",
                    ));
                }
                self.finish = Some(finish::read(&word, choice.stop_reason));
            }
        }
        Ok(())
    }

    fn start(
        &mut self,
        id: Option<Str<'_>>,
        model: Option<Str<'_>>,
        created: Option<&RawValue>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) {
        let text = |text: Option<Str<'_>>| text.map(|Str(text)| text.into_owned()).unwrap_or_default();
        self.started = true;
        self.id = text(id);
        self.created = created.and_then(|raw| raw.get().parse().ok());
        sink(Delta::Start {
            id: Cow::Borrowed(&self.id),
            model: Cow::Owned(text(model)),
            created: self.created,
        });
    }

    fn said(&mut self, said: Said<'_>, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        self.thoughts(&said, sink)?;
        match said.content {
            Some(Words::Text(text)) => self.more(&Key::Text, Live::text, text, sink)?,
            Some(Words::Parts(parts)) => self.content(parts, sink)?,
            Some(Words::Other) => return Err(bad("content that is neither text nor parts")),
            None => {}
        }
        if let Some(Str(text)) = said.refusal {
            self.more(&Key::Refusal, Live::refusal, text, sink)?;
        }
        for (at, piece) in said.tool_calls.unwrap_or_default().into_iter().enumerate() {
            self.call(piece, at, sink)?;
        }
        if let Some(function) = said.function_call {
            let named = function.name.as_ref().is_some_and(|Str(name)| !name.is_empty());
            if named || !self.calls.is_empty() {
                let piece = CallPiece {
                    index: Some(0),
                    id: None,
                    function: Some(function),
                    custom: None,
                    extra_content: None,
                };
                self.call(piece, 0, sink)?;
            }
        }
        if let Some(raw) = said.annotations {
            for citation in citations(raw) {
                let at = self.block(&Key::Text, Live::text, sink)?;
                self.queue.cite(at, citation, sink);
            }
        }
        for (name, raw) in [("images", said.images), ("audio", said.audio)] {
            if let Some(raw) = raw.filter(|raw| raw.get().len() > 2) {
                self.queue.begin(Live::native(native(name, raw)), &self.origin, sink)?;
            }
        }
        if let Some(raw) = said.extra_content {
            let found = reasoning::signature(raw, &Path::Top("extra_content")).map_err(not_ours)?;
            if let Some((whose, data)) = found {
                let seal = reasoning::seal(Some(&self.origin), &format!("message.{whose}"), &data);
                self.queue.begin(Live::thought(Key::Whole, false, Some(seal)), &self.origin, sink)?;
            }
        }
        Ok(())
    }

    /// Where the block of this kind is, which is begun if there is none.
    fn block(
        &mut self,
        key: &Key,
        new: impl FnOnce() -> Live,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<usize, Error> {
        match self.queue.find(key) {
            Some(at) => Ok(at),
            None => self.queue.begin(new(), &self.origin, sink),
        }
    }

    fn more(
        &mut self,
        key: &Key,
        new: impl FnOnce() -> Live,
        text: Cow<'_, str>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        self.texts |= *key == Key::Text;
        let at = self.block(key, new, sink)?;
        self.queue.text(at, text, sink)
    }

    fn words(
        &mut self,
        member: &'static str,
        text: Cow<'_, str>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), Error> {
        let key = Key::Words(member);
        if text.is_empty() {
            return Ok(());
        }
        let at = match self.queue.find(&key) {
            Some(at) => at,
            None => {
                let seal = reasoning::own(Some(&self.origin), member, String::new());
                self.queue.begin(Live::thought(key, false, Some(seal)), &self.origin, sink)?
            }
        };
        self.queue.text(at, text, sink)
    }

    fn content(&mut self, parts: Vec<&RawValue>, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let path = Path::Top("content");
        for raw in parts {
            let mut part = path.object(raw).map_err(not_ours)?;
            let kind = path.text_of(&mut part, "type").map_err(not_ours)?.unwrap_or_default();
            match &*kind {
                "text" => {
                    let text = path.text_of(&mut part, "text").map_err(not_ours)?.unwrap_or_default();
                    self.more(&Key::Text, Live::text, text, sink)?;
                }
                "thinking" => {
                    let thought = reasoning::content_part(&mut part, &path, Some(&self.origin));
                    let thought = thought.map_err(not_ours)?;
                    self.words("content.thinking", Cow::Owned(thought.text), sink)?;
                }
                other => {
                    let native = native(format!("content.{other}"), raw);
                    self.queue.begin(Live::native(native), &self.origin, sink)?;
                }
            }
        }
        Ok(())
    }

    fn thoughts(&mut self, said: &Said<'_>, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let mut spoken = false;
        if let Some(raw) = said.reasoning_details {
            for raw in Path::Top("reasoning_details").list(raw).map_err(not_ours)? {
                spoken |= self.entry(raw, sink)?;
            }
        }
        if let Some(raw) = said.thinking_blocks.filter(|_| !spoken) {
            for raw in Path::Top("thinking_blocks").list(raw).map_err(not_ours)? {
                spoken |= self.thinking_block(raw, sink)?;
            }
        }
        if spoken {
            return Ok(());
        }
        if let Some(Str(text)) = said.reasoning_content.as_ref().filter(|Str(text)| !text.is_empty()) {
            return self.words("reasoning_content", Cow::Borrowed(text), sink);
        }
        if let Some(Words::Text(text)) = &said.reasoning {
            return self.words("reasoning", Cow::Borrowed(text), sink);
        }
        Ok(())
    }

    /// An entry of `reasoning_details`: a piece of a thought, or of its state. Says whether it had words.
    fn entry(&mut self, raw: &RawValue, sink: &mut dyn FnMut(Delta<'_>)) -> Result<bool, Error> {
        let path = Path::Top("reasoning_details");
        let mut entry = path.object(raw).map_err(not_ours)?;
        let kind = path.text_of(&mut entry, "type").map_err(not_ours)?;
        let kind = kind.unwrap_or(Cow::Borrowed("reasoning.text"));
        let text = path.text_of(&mut entry, reasoning::words_of(&kind)).map_err(not_ours)?;
        let text = text.unwrap_or_default();
        let spoken = !text.is_empty();
        let index = entry.clone().take("index").and_then(|raw| raw.get().parse().ok());
        let key = Key::Entry(kind.clone().into_owned(), index);
        let at = match self.queue.find(&key).filter(|_| *kind != *"reasoning.encrypted") {
            Some(at) => at,
            None => {
                let new = Live::thought(key, *kind == *"reasoning.summary", None);
                self.queue.begin(new, &self.origin, sink)?
            }
        };
        for (name, value) in entry.all() {
            self.queue.member(at, name, value);
        }
        if spoken {
            self.queue.text(at, text, sink)?;
        }
        Ok(spoken)
    }

    /// An entry of `thinking_blocks`: pieces of a thought, the last of which has the signature.
    fn thinking_block(&mut self, raw: &RawValue, sink: &mut dyn FnMut(Delta<'_>)) -> Result<bool, Error> {
        let path = Path::Top("thinking_blocks");
        let mut block = path.object(raw).map_err(not_ours)?;
        let mut text = |name: &str| path.text_of(&mut block, name).map_err(not_ours);
        let (kind, data) = (text("type")?, text("data")?);
        let (words, signature) = (text("thinking")?.unwrap_or_default(), text("signature")?);
        if let Some(data) = data.filter(|_| kind.as_deref() == Some("redacted_thinking")) {
            let seal = reasoning::own(Some(&self.origin), "redacted_thinking", data.into_owned());
            self.queue.begin(Live::thought(Key::Whole, false, Some(seal)), &self.origin, sink)?;
            return Ok(false);
        }
        let spoken = !words.is_empty();
        let key = Key::Words("thinking_blocks");
        self.more(&key, || Live::thought(Key::Words("thinking_blocks"), false, None), words, sink)?;
        if let Some(signature) = signature.filter(|signature| !signature.is_empty()) {
            let at = self.block(&key, || Live::thought(Key::Words("thinking_blocks"), false, None), sink)?;
            let seal = reasoning::own(Some(&self.origin), "thinking", signature.into_owned());
            self.queue.head(at, "", CallKind::Function, Some(seal), sink);
            // Signed is done: what comes next is another thought.
            self.queue.finish(at);
        }
        Ok(spoken)
    }

    fn call(
        &mut self,
        piece: CallPiece<'_>,
        at: usize,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), Error> {
        // Some servers write both, the one that it is not empty.
        let custom = piece.custom.is_some() && piece.function.is_none();
        let kind = if custom { CallKind::Custom } else { CallKind::Function };
        let inner = piece.function.or(piece.custom);
        let (name, arguments, input) = match inner {
            Some(inner) => (inner.name, inner.arguments, inner.input),
            None => (None, None, None),
        };
        let name = name.map(|Str(name)| name).unwrap_or_default();
        let id = piece.id.map(|Str(id)| id).unwrap_or_default();
        let known = self.known(piece.index, &id, &name, at);
        let seal = match piece.extra_content {
            Some(raw) => reasoning::signature(raw, &Path::Top("extra_content")).map_err(not_ours)?,
            None => None,
        };
        let seal: Option<Seal> = seal.map(|(whose, data)| reasoning::seal(Some(&self.origin), whose, &data));
        let call = match known {
            Some(call) => call,
            None => {
                if self.calls.len() >= MOST_CALLS {
                    return Err(bad("too many calls"));
                }
                let call = self.calls.len();
                let id =
                    if id.is_empty() { ids::made_up(&self.id, self.created, call) } else { id.into_owned() };
                self.calls.push(Begun { index: piece.index, id: id.clone() });
                let mut live = Live::call(call, id, name.clone().into_owned(), kind);
                live.sealed(seal.clone());
                self.queue.begin(live, &self.origin, sink)?;
                call
            }
        };
        let words = arguments.or(input).map(words).transpose()?.unwrap_or_default();
        let Some(block) = self.queue.find(&Key::Call(call)) else {
            // A call that was over: nothing but space may follow.
            return if words.trim().is_empty() { Ok(()) } else { Err(bad("more of a call that was over")) };
        };
        if known.is_some() {
            self.queue.head(block, &name, kind, seal, sink);
        }
        if !words.is_empty() {
            self.queue.text(block, words, sink)?;
        }
        self.queue.advance(&self.origin, sink);
        Ok(())
    }

    /// Which call a piece belongs to: by its index, else by its id, else by its place in the list. Some servers give all
    /// calls the same index; a new id with a name is a new call.
    fn known(&self, index: Option<u64>, id: &str, name: &str, at: usize) -> Option<usize> {
        let found = match index {
            Some(index) => self.calls.iter().rposition(|call| call.index == Some(index)),
            None if !id.is_empty() => self.calls.iter().rposition(|call| call.id == id),
            None if name.is_empty() => {
                let last = self.calls.len().checked_sub(1)?;
                Some(at.min(last).max(if at == 0 { last } else { 0 }))
            }
            None => None,
        };
        found.filter(|call| {
            let same = self.calls.get(*call).is_some_and(|call| call.id == id);
            id.is_empty() || name.is_empty() || same
        })
    }

    /// Ends the answer in good order.
    fn settle(&mut self, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        if !self.started {
            return Err(broken());
        }
        let raw = |raw: Option<Box<RawValue>>| raw.map(|raw| raw.get().as_bytes().to_vec());
        let (results, addresses) = (raw(self.results.take()), raw(self.addresses.take()));
        if self.texts {
            for citation in sources(results.as_deref(), addresses.as_deref()) {
                let at = self.block(&Key::Text, Live::text, sink)?;
                self.queue.cite(at, citation, sink);
            }
        }
        self.queue.close(&self.origin, sink)?;
        let finish = self.finish.take().unwrap_or(Finish::Stop);
        sink(Delta::Finish(finish::with_calls(finish, !self.calls.is_empty())));
        sink(Delta::End);
        self.ended = true;
        Ok(())
    }
}

/// Keeps what is said in each event, which is mostly what was said before.
fn keep(held: &mut Option<Box<RawValue>>, said: Option<&RawValue>) {
    if let Some(said) = said
        && held.as_ref().is_none_or(|held| held.get() != said.get())
    {
        *held = Some(said.to_owned());
    }
}

/// Arguments: text, though some servers write the object itself.
fn words(raw: &RawValue) -> Result<Cow<'_, str>, Error> {
    if raw.get() == "null" {
        Ok(Cow::Borrowed(""))
    } else if begins(raw, b'"') {
        Path::Top("arguments").text(raw).map_err(not_ours)
    } else {
        Ok(Cow::Borrowed(raw.get()))
    }
}

fn usage(own: Option<&RawValue>, groq: Option<&RawValue>) -> Option<lockgate_core::Usage> {
    let read = |raw: &RawValue| serde_json::from_str::<WireUsage>(raw.get()).ok()?.buckets();
    own.and_then(read).or_else(|| {
        let mut groq: Members<'_> = serde_json::from_str(groq?.get()).ok()?;
        read(groq.take("usage")?)
    })
}
