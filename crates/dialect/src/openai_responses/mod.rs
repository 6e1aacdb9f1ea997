//! OpenAI Responses: `POST /v1/responses`.
//!
//! The dialect is one of items, not of messages: what the model says is a list of messages, calls and thoughts, each
//! with an id of its own. A thought that is to be sent back (`reasoning`) is bound to its id, so its state is the whole
//! item as it came.

mod error;
mod item;
mod object;
mod request;
mod response;
mod stream;
mod wire;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Error, Quirks, RequestId, Usage};

use crate::neutral::{Reply, Request};
use crate::openai_chat;
use crate::seal::Origin;
use crate::{Ceiling, Decoder, Dialect, Encoder, Hub, Losses, Meter, Named, Prepared, Target, Turn, ceiling};

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiResponses;

/// Its name.
pub const NAME: &str = "openai.responses";

impl Dialect for OpenAiResponses {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shared_name(&self) -> Arc<str> {
        static SHARED: LazyLock<Arc<str>> = LazyLock::new(|| NAME.into());
        Arc::clone(&SHARED)
    }

    fn path(&self, _: &str, _: bool) -> Cow<'static, str> {
        Cow::Borrowed("/responses")
    }

    fn ceiling(&self) -> &'static Ceiling {
        &ceiling::RESPONSES
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

    fn meter(&self, _: &Turn) -> Box<dyn Meter> {
        Box::new(stream::meter::ResponsesMeter::default())
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
        error::read(status, headers, body)
    }

    fn write_error(&self, error: &Error, id: RequestId) -> (&'static str, Bytes) {
        ("application/json", openai_chat::error::write(error, id))
    }

    fn error_event(&self, error: &Error, id: RequestId, before: u64) -> Bytes {
        error::event(error, id, before)
    }
}

impl Hub for OpenAiResponses {
    fn read_request(&self, turn: &Turn) -> Result<Request, Error> {
        request::read::request(turn)
    }

    fn write_request(
        &self,
        request: &Request,
        target: &Target<'_>,
        losses: &mut Losses,
    ) -> Result<Bytes, Error> {
        request::write::request(request, target, losses)
    }

    fn read_reply(&self, body: &Bytes, origin: &Origin) -> Result<Reply, Error> {
        response::read::reply(body, origin)
    }

    fn write_reply(&self, reply: &Reply, asked: &Turn, losses: &mut Losses) -> Bytes {
        response::write::reply(reply, asked, losses)
    }

    fn decoder(&self, origin: &Origin) -> Box<dyn Decoder> {
        Box::new(stream::decoder::ResponsesDecoder::new(origin))
    }

    fn encoder(&self, asked: &Turn) -> Box<dyn Encoder> {
        Box::new(stream::encoder::ResponsesEncoder::new(asked))
    }
}
