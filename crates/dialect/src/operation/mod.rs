//! What is asked for and is not a chat turn: vectors, ranks, judgements, images, speech, counts.
//!
//! An operation is read as deep as is needed to decide about it ([`Operation::peek`]), put into the form that its target
//! takes ([`Asked::outward`]), and its answer comes back through that [`Form`]. Where client and provider speak the same
//! form, bytes pass as they are but for the model's name.

pub mod count;
mod embeddings;
mod gemini;
mod listener;
pub mod multipart;
mod openai;
mod peek;
pub mod realtime;
mod rerank;
mod usage;
pub mod websocket;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use lockgate_core::{Error, Kind, Payload, Retry, Segments, Speech, Upstream, Usage};

pub use listener::Listener;

use crate::{Dialect, Losses, by_name, openai_chat};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Vectors of texts, in OpenAI's form.
    Embeddings,
    /// A vector of one content, in Gemini's form.
    GeminiEmbed,
    /// Vectors of several contents, in Gemini's form.
    GeminiBatchEmbed,
    /// Documents in the order in which they answer a query, in the form of Cohere, Jina or Voyage.
    Rerank,
    /// A judgement of content, in OpenAI's form.
    Moderations,
    /// Images from words, in OpenAI's form.
    Images,
    /// Images from images and words, in OpenAI's form.
    ImageEdits,
    /// Images like an image, in OpenAI's form.
    ImageVariations,
    /// Speech as text, in OpenAI's form.
    Transcriptions,
    /// Speech as English text, in OpenAI's form.
    Translations,
    /// Text as speech, in OpenAI's form.
    Speech,
    /// The tokens of a chat turn, in Anthropic's form.
    CountTokens,
    /// The tokens of a chat turn, in Gemini's form.
    GeminiCountTokens,
}

/// A request as far as it was read.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What is asked for.
    pub operation: Operation,
    /// The model as the client named it.
    pub model: Arc<str>,
    /// Whether an event stream is asked for.
    pub stream: bool,
    /// The length of what is said to the model, in bytes: what an estimate rests on where no usage is reported.
    pub prompt_bytes: u64,
    /// What the request counts that is not tokens: characters to be spoken.
    pub counts: Counts,
    body: Body,
}

/// A request's body.
#[derive(Clone, Debug)]
enum Body {
    Json(Payload),
    Form(multipart::Form),
}

/// A request as it goes to a provider.
#[derive(Debug)]
pub struct Outward {
    /// How its answer is read.
    pub form: Form,
    /// The path behind the provider's base address; `{model}` stands for the model, percent-encoded.
    pub path: Cow<'static, str>,
    /// The bodies, one a call: several where the provider takes one text at a time.
    pub bodies: Vec<Segments>,
    /// Their type, where it is not JSON.
    pub content_type: Option<String>,
}

/// The form in which a provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The client's own: the answer passes as it came.
    Own,
    /// Vectors in another's form.
    Embeddings(embeddings::Place),
    /// Ranks in another's form.
    Rerank(rerank::Place),
}

/// One answer of a provider: its headers and its body.
pub type Part = (HeaderMap, Bytes);

/// An answer as the client gets it.
#[derive(Debug)]
pub struct Answered {
    /// Its body.
    pub body: Bytes,
    /// What it consumed, reported or estimated; `None` where nothing is known.
    pub usage: Option<Usage>,
    /// What it counts that is not tokens.
    pub counts: Counts,
    /// The usage in the body is the gateway's estimate, as the provider reported none.
    pub estimate: bool,
}

/// Counts of what is paid for and is not tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Searches of a reranker: its provider's unit.
    pub searches: u64,
    /// Images made.
    pub images: u64,
    /// Seconds of sound sent.
    pub seconds: u64,
    /// Characters to be spoken.
    pub characters: u64,
}

/// Bytes of text that make a token, on the average of English prose and code.
const BYTES_PER_TOKEN: u64 = 4;
/// The dialect whose speakers are taken to have OpenAI's other operations beside it.
const CHAT: &str = openai_chat::NAME;

// === impl Operation ===

impl Operation {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Embeddings,
        Self::GeminiEmbed,
        Self::GeminiBatchEmbed,
        Self::Rerank,
        Self::Moderations,
        Self::Images,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Transcriptions,
        Self::Translations,
        Self::Speech,
        Self::CountTokens,
        Self::GeminiCountTokens,
    ];

    /// Its stable name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embeddings => "openai.embeddings",
            Self::GeminiEmbed => "gemini.embedContent",
            Self::GeminiBatchEmbed => "gemini.batchEmbedContents",
            Self::Rerank => "rerank",
            Self::Moderations => "openai.moderations",
            Self::Images => "openai.images",
            Self::ImageEdits => "openai.images.edits",
            Self::ImageVariations => "openai.images.variations",
            Self::Transcriptions => "openai.audio.transcriptions",
            Self::Translations => "openai.audio.translations",
            Self::Speech => "openai.audio.speech",
            Self::CountTokens => "anthropic.count_tokens",
            Self::GeminiCountTokens => "gemini.countTokens",
        }
    }

    /// The path behind a provider's base address, in its own form.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Embeddings => "/embeddings",
            Self::GeminiEmbed => "/models/{model}:embedContent",
            Self::GeminiBatchEmbed => "/models/{model}:batchEmbedContents",
            Self::Rerank => "/rerank",
            Self::Moderations => "/moderations",
            Self::Images => "/images/generations",
            Self::ImageEdits => "/images/edits",
            Self::ImageVariations => "/images/variations",
            Self::Transcriptions => "/audio/transcriptions",
            Self::Translations => "/audio/translations",
            Self::Speech => "/audio/speech",
            Self::CountTokens => "/messages/count_tokens",
            Self::GeminiCountTokens => "/models/{model}:countTokens",
        }
    }

    /// The dialect in which its clients read errors.
    pub fn words(self) -> &'static dyn Dialect {
        let name = match self {
            Self::CountTokens => "anthropic.messages",
            Self::GeminiEmbed | Self::GeminiBatchEmbed | Self::GeminiCountTokens => "gemini.generateContent",
            _ => CHAT,
        };
        by_name(name).unwrap_or(&openai_chat::OpenAiChat)
    }

    /// Headers of a client's request that are a part of the operation and go on to a provider, in lower case.
    pub const fn client_headers(self) -> &'static [&'static str] {
        match self {
            Self::CountTokens => &["anthropic-version", "anthropic-beta"],
            _ => &[],
        }
    }

    /// Whether its answer is passed on as it comes: sound is played from its first byte.
    pub const fn flows(self) -> bool {
        matches!(self, Self::Speech)
    }

    /// Whether it counts tokens, which the gateway can do itself where the provider cannot.
    pub const fn counts_tokens(self) -> bool {
        matches!(self, Self::CountTokens | Self::GeminiCountTokens)
    }

    /// Reads of a request what is needed to decide about it. `named` is the model that its path names.
    ///
    /// # Errors
    /// A caller's error that says which member is wrong and why.
    pub fn peek(self, body: Bytes, content_type: &str, named: Option<&str>) -> Result<Asked, Error> {
        peek::peek(self, body, content_type, named)
    }

    /// The names of the dialects whose speakers can take it, the one that it is closest to first.
    const fn taken_in(self) -> &'static [&'static str] {
        match self {
            Self::Embeddings => &[
                "openai.embeddings",
                "voyage.embeddings",
                "cohere.embed",
                "bedrock.converse",
                // Google and Cohere have a door in OpenAI's form beside, which knows of no purpose and reports less.
                "gemini.generateContent",
                "cohere.chat",
                CHAT,
            ],
            Self::Rerank => &[
                "cohere.rerank",
                "jina.rerank",
                "voyage.rerank",
                "cohere.embed",
                "cohere.chat",
                "voyage.embeddings",
                "bedrock.converse",
                CHAT,
            ],
            Self::GeminiEmbed | Self::GeminiBatchEmbed | Self::GeminiCountTokens => {
                &["gemini.generateContent"]
            }
            Self::CountTokens => &["anthropic.messages"],
            _ => &[CHAT],
        }
    }
}

// === impl Asked ===

impl Asked {
    /// How an upstream is asked this about a model; `None` when it has no form for it.
    pub fn speech<'a>(&self, upstream: &'a Upstream, model: &str) -> Option<&'a Arc<Speech>> {
        let own = std::iter::once(self.operation.name());
        own.chain(self.operation.taken_in().iter().copied())
            .find_map(|name| upstream.speech(name, model).filter(|speech| speech.dialect == name))
            // Where a cloud has its own paths for a dialect, it does not count tokens at Anthropic's.
            .filter(|speech| self.operation != Operation::CountTokens || speech.paths.whole.is_none())
    }

    /// The request for a target that is spoken to in `speech`.
    ///
    /// # Errors
    /// `InvalidRequest` when it cannot be said there; another target may be able to take it.
    pub fn outward(&self, speech: &Speech, model: &str, losses: &mut Losses) -> Result<Outward, Error> {
        match (self.operation, &self.body) {
            (Operation::Embeddings, Body::Json(payload)) => {
                embeddings::outward(self, payload, speech, model, losses)
            }
            (Operation::Rerank, Body::Json(payload)) => rerank::outward(payload, speech, model, losses),
            (
                Operation::GeminiEmbed | Operation::GeminiBatchEmbed | Operation::GeminiCountTokens,
                Body::Json(payload),
            ) => gemini::outward(self.operation, payload, speech, model),
            (_, Body::Json(payload)) => Ok(openai::json(self.operation, payload, speech, model, losses)),
            (_, Body::Form(form)) => Ok(openai::form(self.operation, form, speech, model)),
        }
    }

    /// The body's members, where it is JSON.
    pub const fn payload(&self) -> Option<&Payload> {
        match &self.body {
            Body::Json(payload) => Some(payload),
            Body::Form(_) => None,
        }
    }

    /// Input tokens, should the provider not say.
    pub(crate) const fn input_estimate(&self) -> u64 {
        self.prompt_bytes.div_ceil(BYTES_PER_TOKEN)
    }
}

// === impl Form ===

impl Form {
    /// Whether the answer is put into other words for the client.
    pub fn is_foreign(self) -> bool {
        self != Self::Own
    }

    /// The answers of a provider as the one that the client gets. `model` is the model's name there.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when they are no answers of this form; the provider's own error when they hold one.
    pub fn read(self, asked: &Asked, model: &str, parts: &[Part]) -> Result<Answered, Error> {
        match (self, parts) {
            (Self::Embeddings(place), parts) => embeddings::read(place, asked, model, parts),
            (Self::Rerank(place), [part]) => rerank::read(place, asked, model, part),
            (Self::Own, [part]) => openai::read(asked, part),
            _ => Err(bad("the provider gave no answer")),
        }
    }

    /// What answers consumed that are no whole: the calls behind them failed.
    pub fn spent(self, parts: &[Part]) -> Option<Usage> {
        match self {
            Self::Embeddings(place) if !parts.is_empty() => embeddings::spent(place, parts),
            _ => None,
        }
    }
}

/// A path that stands beside a dialect's own: what `template` has with `from` at its end, before a query, with `to` in
/// its place. Without a template that has it, `to` alone.
fn beside(template: Option<&str>, from: &str, to: &'static str) -> Cow<'static, str> {
    let Some(template) = template else { return Cow::Borrowed(to) };
    let (path, query) =
        template.split_once('?').map_or((template, None), |(path, query)| (path, Some(query)));
    let Some(start) = path.strip_suffix(from) else { return Cow::Borrowed(to) };
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Cow::Owned(format!("{start}{to}{query}"))
}

/// A request that cannot be said to this provider.
fn unsayable(param: &'static str, text: impl Into<Cow<'static, str>>) -> Error {
    Error::client(Kind::InvalidRequest, text).param(param).retry(Retry::Elsewhere)
}

fn invalid(param: &'static str, text: impl Into<Cow<'static, str>>) -> Error {
    Error::client(Kind::InvalidRequest, text).param(param)
}

fn bad(why: &str) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, format!("The provider's answer cannot be understood: {why}."))
}

/// A provider's answer as an object.
fn object(body: &Bytes) -> Result<Payload, Error> {
    Payload::parse(body.clone()).map_err(|why| bad("it is not a JSON object").detail(why.to_string()))
}

/// Checks that an answer has the member that makes it one; without it, it may hold the provider's own error.
fn expect(payload: &Payload, member: &str) -> Result<(), Error> {
    if payload.has(member) {
        return Ok(());
    }
    if payload.has("error") || payload.has("message") {
        let code = payload.read::<Told>("error").and_then(|told| told.code.or(told.status)).unwrap_or(500);
        let status = http::StatusCode::from_u16(code).ok().filter(|status| status.as_u16() >= 400);
        let status = status.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        // Whether the provider's own words may be shown is for the caller to say, who knows what must not be in them.
        let error = openai_chat::OpenAiChat.refusal(status, &HeaderMap::new(), payload.bytes());
        return Err(error.in_other_words());
    }
    Err(bad(&format!("it has no \"{member}\"")))
}

/// The status that an error in an answer names.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Told {
    code: Option<u16>,
    status: Option<u16>,
}

/// Text as JSON.
fn quoted(text: &str) -> Bytes {
    // Text always serialises.
    serde_json::to_vec(text).unwrap_or_else(|_| b"\"\"".to_vec()).into()
}

/// A value of ours as JSON.
fn written(value: &impl serde::Serialize) -> Bytes {
    // Texts, numbers and raw JSON in plain structs: this cannot fail.
    serde_json::to_vec(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
