//! The wire dialects of LLM APIs: pure functions from bytes to bytes.
//!
//! Invariant: never a clock, never a network; a dialect knows nothing of routes, keys or money.
//!
//! A dialect is one folder with the same file names in each (`wire`, `request`, `response`, `stream`, `error`) and one
//! line in [`ALL`]. Between two that are the same, bytes pass ([`Dialect`]); between two that differ, each reads into
//! and writes from the [`neutral`] form ([`Hub`]).

pub mod anthropic;
pub mod bedrock_converse;
pub mod ceiling;
pub mod cohere;
pub mod eventstream;
pub mod frames;
pub mod freeform;
pub mod gemini;
pub mod loss;
pub mod neutral;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;
pub mod operation;
mod pairing;
mod quick;
mod retry_after;
pub mod seal;
pub mod sse;
pub mod tied;
mod tier;
mod turn;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Error, Quirks, RequestId, Segments, Usage};

pub use ceiling::Ceiling;
pub use loss::Losses;
pub use turn::{Named, Turn};

use crate::neutral::{Delta, Reply, Request};
use crate::seal::Origin;

/// Every dialect, by name.
pub const ALL: &[&dyn Dialect] = &[
    &openai_chat::OpenAiChat,
    &anthropic::Messages,
    &bedrock_converse::BedrockConverse,
    &cohere::CohereChat,
    &gemini::Gemini,
    &openai_completions::OpenAiCompletions,
    &openai_responses::OpenAiResponses,
];

/// The dialect of this name.
pub fn by_name(name: &str) -> Option<&'static dyn Dialect> {
    ALL.iter().copied().find(|dialect| dialect.name() == name)
}

/// One wire dialect: what is needed where client and provider both speak it.
pub trait Dialect: Send + Sync {
    /// Its stable name: `openai.chat`.
    fn name(&self) -> &'static str;

    /// The same, shared.
    fn shared_name(&self) -> Arc<str>;

    /// The path of a chat turn behind a provider's base address, with its query.
    fn path(&self, model: &str, stream: bool) -> Cow<'static, str>;

    /// How its streams are framed.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// Headers of a client's request that are a part of the dialect and go on to a provider that speaks it, in lower
    /// case: versions, beta flags.
    fn client_headers(&self) -> &'static [&'static str] {
        &[]
    }

    /// Where it says how long an answer may be.
    fn ceiling(&self) -> &'static Ceiling;

    /// How it meets other dialects; `None` when it does not.
    fn hub(&self) -> Option<&'static dyn Hub>;

    /// Reads of a request what is needed to decide about it. `named` is what its path says, in dialects that put the
    /// model there.
    ///
    /// # Errors
    /// A caller's error that says which member is wrong and why.
    fn peek(&self, body: Bytes, named: Option<Named<'_>>) -> Result<Turn, Error>;

    /// The request as it goes to a provider that speaks the same dialect: the client's own bytes, with the model's
    /// name and what the provider's quirks demand spliced in.
    fn prepare(&self, turn: &Turn, model: &str, quirks: &Quirks) -> Prepared;

    /// Checks a whole answer and reads its usage; `None` when it reports none.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when it is no answer of this dialect; the provider's own error when it holds one.
    fn whole(&self, body: &Bytes) -> Result<Option<Usage>, Error>;

    /// A meter for the event stream that answers a request.
    fn meter(&self, turn: &Turn) -> Box<dyn Meter>;

    /// What a provider's answer other than 2xx means.
    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error;

    /// An error as this dialect words it: content type and body. The status is the error's own.
    fn write_error(&self, error: &Error, id: RequestId) -> (&'static str, Bytes);

    /// An error as the last event of a stream, behind so many others (for dialects that number them).
    fn error_event(&self, error: &Error, id: RequestId, before: u64) -> Bytes;
}

/// How a dialect meets others. A client's side reads requests and writes answers, a provider's side writes requests and
/// reads answers.
pub trait Hub: Send + Sync {
    /// A client's request in the neutral form. What this dialect has and the neutral form has not is in it as
    /// [`neutral::Native`]; so here nothing is lost.
    ///
    /// # Errors
    /// A caller's error that says which member is wrong and why.
    fn read_request(&self, turn: &Turn) -> Result<Request, Error>;

    /// The request as a provider gets it: a body that [`Dialect::peek`] reads and [`Dialect::prepare`] finishes (model
    /// name, quirks, usage in streams). It keeps the provider's rules (order of roles, pairs of calls and outcomes,
    /// required members). Everything that it cannot say is lost and named, by the path of the member in the client's
    /// words.
    ///
    /// # Errors
    /// A caller's error when a request without what cannot be carried would be another request.
    fn write_request(
        &self,
        request: &Request,
        target: &Target<'_>,
        losses: &mut Losses,
    ) -> Result<Bytes, Error>;

    /// Whether a model goes on with an answer that the request ends with, instead of beginning a new one.
    fn prefills(&self, request: &Request, model: &str) -> bool {
        let _ = (request, model);
        false
    }

    /// A provider's whole answer in the neutral form.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when it is no answer of this dialect; the provider's own error when it holds one.
    fn read_reply(&self, body: &Bytes, origin: &Origin) -> Result<Reply, Error>;

    /// The answer as a client gets it who asked `asked`.
    fn write_reply(&self, reply: &Reply, asked: &Turn, losses: &mut Losses) -> Bytes;

    /// A reader for a provider's stream.
    fn decoder(&self, origin: &Origin) -> Box<dyn Decoder>;

    /// A writer for the stream of a client who asked `asked`.
    fn encoder(&self, asked: &Turn) -> Box<dyn Encoder>;
}

/// Where a written request goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The provider's name: whose opaque states may be sent.
    pub provider: &'a str,
    /// The model as the provider names it.
    pub model: &'a str,
    /// Whether the answer is to be streamed.
    pub stream: bool,
}

/// Reads the events of a stream into neutral deltas, in the order that [`Delta`] states.
pub trait Decoder: Send {
    /// Reads one event: its name (empty where it has none) and its data.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when it is not of the dialect; the provider's own error when it is one. Nothing is read after.
    fn event(&mut self, name: &str, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error>;

    /// The stream ended in good order. Gives what is still to be given, [`Delta::End`] last unless it was given.
    ///
    /// # Errors
    /// `UpstreamBroken` when the answer was not complete.
    fn end(&mut self, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error>;
}

/// Writes neutral deltas as the events of a stream.
pub trait Encoder: Send {
    /// Writes what a delta comes to, which may be nothing or several whole events, behind `out`.
    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>);

    /// The client was sent this event of its dialect by another hand, and its deltas were given to [`Encoder::delta`], with
    /// what they came to thrown away: what is written from now on joins on to it. Dialects that number or name things in
    /// their events read here how they were numbered and named, and all of them which parts of the end were told. Returns
    /// whether the reason to finish was.
    fn sent(&mut self, name: &str, data: &[u8]) -> bool {
        let _ = (name, data);
        false
    }

    /// What could not be carried so far, named as [`Hub::write_reply`] names it.
    fn losses(&self) -> &Losses;

    /// Events written so far; 0 in dialects that do not number them.
    fn events(&self) -> u64 {
        0
    }
}

/// How the events of a stream are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `text/event-stream`.
    Sse,
    /// `application/vnd.amazon.eventstream`.
    AwsEventStream,
}

/// A request ready for a provider.
#[derive(Debug)]
pub struct Prepared {
    /// Its body.
    pub body: Segments,
    /// Usage was asked for on the gateway's own account: the event that only reports it is not the client's.
    pub withhold_usage: bool,
    /// Members that were left out, as the provider does not take them.
    pub dropped: Vec<String>,
}

/// Reads beside an event stream.
pub trait Meter: Send {
    /// Takes note of one event's data (its `data:` lines joined).
    fn note(&mut self, data: &[u8]) -> Note;

    /// The same for the last event of a stream when its end did not come: it may be cut off at any byte.
    fn note_rest(&mut self, data: &[u8]) -> Note;

    /// The usage reported so far, last report first.
    fn usage(&self) -> Option<Usage>;

    /// Whether the answer was complete if the stream ends here.
    fn complete(&self) -> bool;

    /// Content seen so far, in bytes: what an estimate rests on where no usage is reported.
    fn content_bytes(&self) -> u64;
}

/// What one event is to the relay.
#[derive(Debug)]
pub enum Note {
    /// Goes before or beside the content: role, ping, finish, end mark.
    Frame,
    /// The first sign of an answer: text, reasoning, a tool call, a finish.
    Content,
    /// Reports usage and nothing else.
    UsageOnly,
    /// The provider's own error.
    Failed(Error),
    /// Not of this dialect.
    Garbage,
}
