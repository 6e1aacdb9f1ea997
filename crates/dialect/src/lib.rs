//! The wire dialects of LLM APIs: pure functions from bytes to bytes.
//!
//! Invariant: never a clock, never a network; a dialect knows nothing of routes, keys or money.
//!
//! A dialect is one folder with the same file names in each (`wire`, `request`, `response`, `stream`, `error`) and one
//! line in [`ALL`].

pub mod openai_chat;
pub mod sse;
mod turn;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Error, Quirks, RequestId, Segments, Usage};

pub use turn::Turn;

/// Every dialect, by name.
pub const ALL: &[&dyn Dialect] = &[&openai_chat::OpenAiChat];

/// The dialect of this name.
pub fn by_name(name: &str) -> Option<&'static dyn Dialect> {
    ALL.iter().copied().find(|dialect| dialect.name() == name)
}

/// One wire dialect.
pub trait Dialect: Send + Sync {
    /// Its stable name: `openai.chat`.
    fn name(&self) -> &'static str;

    /// The same, shared.
    fn shared_name(&self) -> Arc<str>;

    /// The path of a chat turn behind a provider's base address.
    fn path(&self) -> &'static str;

    /// Reads of a request what is needed to decide about it.
    ///
    /// # Errors
    /// A caller's error that says which member is wrong and why.
    fn peek(&self, body: Bytes) -> Result<Turn, Error>;

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

    /// An error as the last event of a stream.
    fn error_event(&self, error: &Error, id: RequestId) -> Bytes;
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
