//! OpenAI chat completions: `POST /v1/chat/completions`.

mod content;
pub(crate) mod error;
pub(crate) mod finish;
mod flavour;
mod ids;
pub(crate) mod json;
mod media;
pub(crate) mod members;
mod reasoning;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
pub mod wire;

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
pub struct OpenAiChat;

/// Its name.
pub const NAME: &str = "openai.chat";

impl Dialect for OpenAiChat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shared_name(&self) -> Arc<str> {
        static SHARED: LazyLock<Arc<str>> = LazyLock::new(|| NAME.into());
        Arc::clone(&SHARED)
    }

    fn path(&self, _: &str, _: bool) -> Cow<'static, str> {
        Cow::Borrowed("/chat/completions")
    }

    fn ceiling(&self) -> &'static Ceiling {
        &ceiling::CHAT
    }

    fn hub(&self) -> Option<&'static dyn Hub> {
        Some(&Self)
    }

    fn peek(&self, body: Bytes, _: Option<Named<'_>>) -> Result<Turn, Error> {
        request::peek(body)
    }

    fn prepare(&self, turn: &Turn, model: &str, quirks: &Quirks) -> Prepared {
        request::prepare(turn, model, quirks)
    }

    fn whole(&self, body: &Bytes) -> Result<Option<Usage>, Error> {
        response::whole(body)
    }

    fn meter(&self, turn: &Turn) -> Box<dyn Meter> {
        Box::new(stream::ChatMeter::new(turn.payload.number("n").unwrap_or(1)))
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

impl Hub for OpenAiChat {
    fn read_request(&self, turn: &Turn) -> Result<Request, Error> {
        request::read::read(turn)
    }

    fn write_request(
        &self,
        request: &Request,
        target: &Target<'_>,
        losses: &mut Losses,
    ) -> Result<Bytes, Error> {
        request::write::write(request, target, losses)
    }

    fn read_reply(&self, body: &Bytes, origin: &Origin) -> Result<Reply, Error> {
        response::read::read(body, origin)
    }

    fn write_reply(&self, reply: &Reply, asked: &Turn, losses: &mut Losses) -> Bytes {
        response::write::write(reply, asked, losses)
    }

    fn decoder(&self, origin: &Origin) -> Box<dyn Decoder> {
        Box::new(stream::decoder::ChatDecoder::new(origin))
    }

    fn encoder(&self, asked: &Turn) -> Box<dyn Encoder> {
        Box::new(stream::encoder::ChatEncoder::new(asked))
    }
}
