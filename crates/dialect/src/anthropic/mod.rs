//! Anthropic messages: `POST /v1/messages`, and `count_tokens` beside it.

mod block;
pub mod count;
mod error;
mod finish;
mod json;
mod model;
mod request;
mod response;
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
pub struct Messages;

/// Its name.
pub const NAME: &str = "anthropic.messages";

impl Dialect for Messages {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shared_name(&self) -> Arc<str> {
        static SHARED: LazyLock<Arc<str>> = LazyLock::new(|| NAME.into());
        Arc::clone(&SHARED)
    }

    fn path(&self, _: &str, _: bool) -> Cow<'static, str> {
        Cow::Borrowed("/messages")
    }

    fn client_headers(&self) -> &'static [&'static str] {
        &["anthropic-version", "anthropic-beta"]
    }

    fn ceiling(&self) -> &'static Ceiling {
        &ceiling::ANTHROPIC
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
        Box::new(stream::MessageMeter::default())
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

impl Hub for Messages {
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

    fn prefills(&self, request: &Request, model: &str) -> bool {
        model::Model::of(model).prefills() && !thinks(request)
    }

    fn read_reply(&self, body: &Bytes, origin: &Origin) -> Result<Reply, Error> {
        response::read(body, origin)
    }

    fn write_reply(&self, reply: &Reply, asked: &Turn, losses: &mut Losses) -> Bytes {
        response::write(reply, asked, losses)
    }

    fn decoder(&self, origin: &Origin) -> Box<dyn Decoder> {
        Box::new(stream::MessageDecoder::new(origin))
    }

    fn encoder(&self, asked: &Turn) -> Box<dyn Encoder> {
        Box::new(stream::MessageEncoder::new(asked))
    }
}

/// Whether a request has the model think: then it begins its answer with that.
pub(crate) fn thinks(request: &Request) -> bool {
    request.reasoning.as_ref().is_some_and(|effort| effort.level() != Some("none"))
}
