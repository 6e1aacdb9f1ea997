//! Gemini: `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`, at Google AI Studio and at Vertex AI.
//!
//! The model and whether to stream stand in the path. Members are read in both spellings that proto JSON has
//! (`generationConfig` and `generation_config`) and written in the first.

pub mod count;
pub mod embed;
mod error;
mod json;
mod model;
mod request;
mod response;
mod schema;
mod stream;
mod wire;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Error, Quirks, RequestId, Usage};

use crate::neutral::{Reply, Request};
use crate::seal::Origin;
use crate::{Ceiling, Decoder, Dialect, Encoder, Hub, Losses, Meter, Named, Prepared, Target, Turn, ceiling};

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct Gemini;

/// Its name.
pub const NAME: &str = "gemini.generateContent";

impl Dialect for Gemini {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shared_name(&self) -> Arc<str> {
        static SHARED: LazyLock<Arc<str>> = LazyLock::new(|| NAME.into());
        Arc::clone(&SHARED)
    }

    fn path(&self, model: &str, stream: bool) -> Cow<'static, str> {
        Cow::Owned(model::path(
            model,
            if stream { "streamGenerateContent?alt=sse" } else { "generateContent" },
        ))
    }

    fn ceiling(&self) -> &'static Ceiling {
        &ceiling::GEMINI
    }

    fn hub(&self) -> Option<&'static dyn Hub> {
        Some(&Self)
    }

    fn peek(&self, body: Bytes, named: Option<Named<'_>>) -> Result<Turn, Error> {
        request::peek(body, named)
    }

    fn prepare(&self, turn: &Turn, model: &str, quirks: &Quirks) -> Prepared {
        request::prepare(turn, model, quirks)
    }

    fn whole(&self, body: &Bytes) -> Result<Option<Usage>, Error> {
        response::whole(body)
    }

    fn meter(&self, turn: &Turn) -> Box<dyn Meter> {
        Box::new(stream::GeminiMeter::new(request::candidates(turn)))
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
        error::read(status, headers, body)
    }

    fn write_error(&self, error: &Error, id: RequestId) -> (&'static str, Bytes) {
        ("application/json", error::write(error, id))
    }

    fn error_event(&self, error: &Error, id: RequestId, _: u64) -> Bytes {
        error::event(error, id)
    }
}

impl Hub for Gemini {
    fn read_request(&self, turn: &Turn) -> Result<Request, Error> {
        request::read(turn)
    }

    fn write_request(
        &self,
        request: &Request,
        target: &Target<'_>,
        losses: &mut Losses,
    ) -> Result<Bytes, Error> {
        request::write(request, target, losses)
    }

    fn read_reply(&self, body: &Bytes, origin: &Origin) -> Result<Reply, Error> {
        response::read(body, origin)
    }

    fn write_reply(&self, reply: &Reply, _: &Turn, losses: &mut Losses) -> Bytes {
        response::write(reply, losses)
    }

    fn decoder(&self, origin: &Origin) -> Box<dyn Decoder> {
        Box::new(stream::GeminiDecoder::new(origin))
    }

    fn encoder(&self, asked: &Turn) -> Box<dyn Encoder> {
        Box::new(stream::GeminiEncoder::new(asked))
    }
}
