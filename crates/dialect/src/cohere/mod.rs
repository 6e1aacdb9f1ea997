//! Cohere's chat, version 2: `POST /v2/chat`.
//!
//! What the model says beside its calls stands in `tool_plan`; in the neutral form that is text.

mod citation;
mod error;
mod request;
mod response;
mod spoken;
mod stream;
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
pub struct CohereChat;

/// Its name.
pub const NAME: &str = "cohere.chat";

impl Dialect for CohereChat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shared_name(&self) -> Arc<str> {
        static SHARED: LazyLock<Arc<str>> = LazyLock::new(|| NAME.into());
        Arc::clone(&SHARED)
    }

    fn path(&self, _: &str, _: bool) -> Cow<'static, str> {
        Cow::Borrowed("/chat")
    }

    fn ceiling(&self) -> &'static Ceiling {
        &ceiling::COHERE
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
        Box::new(stream::meter::CohereMeter::default())
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
        error::read(status, headers, body)
    }

    fn write_error(&self, error: &Error, id: RequestId) -> (&'static str, Bytes) {
        ("application/json", error::write(error, id))
    }

    fn error_event(&self, error: &Error, _: RequestId, _: u64) -> Bytes {
        error::event(error)
    }
}

impl Hub for CohereChat {
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

    fn read_reply(&self, body: &Bytes, _: &Origin) -> Result<Reply, Error> {
        response::read::read(body)
    }

    fn write_reply(&self, reply: &Reply, _: &Turn, losses: &mut Losses) -> Bytes {
        response::write::write(reply, losses)
    }

    fn decoder(&self, _: &Origin) -> Box<dyn Decoder> {
        Box::new(stream::decoder::CohereDecoder::default())
    }

    fn encoder(&self, _: &Turn) -> Box<dyn Encoder> {
        Box::new(stream::encoder::CohereEncoder::default())
    }
}
