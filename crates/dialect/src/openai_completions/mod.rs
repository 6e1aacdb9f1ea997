//! OpenAI text completions, the form before chat: `POST /v1/completions`. Its errors, its usage and the frames of its
//! streams are those of [`crate::openai_chat`].

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
use crate::openai_chat::stream::ChatMeter;
use crate::seal::Origin;
use crate::{Ceiling, Decoder, Dialect, Encoder, Hub, Losses, Meter, Named, Prepared, Target, Turn, ceiling};

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiCompletions;

/// Its name.
pub const NAME: &str = "openai.completions";

impl Dialect for OpenAiCompletions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shared_name(&self) -> Arc<str> {
        static SHARED: LazyLock<Arc<str>> = LazyLock::new(|| NAME.into());
        Arc::clone(&SHARED)
    }

    fn path(&self, _: &str, _: bool) -> Cow<'static, str> {
        Cow::Borrowed("/completions")
    }

    fn ceiling(&self) -> &'static Ceiling {
        &ceiling::COMPLETIONS
    }

    fn hub(&self) -> Option<&'static dyn Hub> {
        Some(&Self)
    }

    fn peek(&self, body: Bytes, _: Option<Named<'_>>) -> Result<Turn, Error> {
        request::peek(body)
    }

    fn prepare(&self, turn: &Turn, model: &str, quirks: &Quirks) -> Prepared {
        openai_chat::request::prepare(turn, model, quirks)
    }

    fn whole(&self, body: &Bytes) -> Result<Option<Usage>, Error> {
        openai_chat::response::whole(body)
    }

    fn meter(&self, turn: &Turn) -> Box<dyn Meter> {
        Box::new(ChatMeter::of_text(request::choices(&turn.payload)))
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
        openai_chat::error::read(status, headers, body)
    }

    fn write_error(&self, error: &Error, id: RequestId) -> (&'static str, Bytes) {
        ("application/json", openai_chat::error::write(error, id))
    }

    fn error_event(&self, error: &Error, id: RequestId, _: u64) -> Bytes {
        openai_chat::error::event(error, id)
    }
}

impl Hub for OpenAiCompletions {
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

    fn read_reply(&self, body: &Bytes, _: &Origin) -> Result<Reply, Error> {
        response::read(body)
    }

    fn write_reply(&self, reply: &Reply, asked: &Turn, losses: &mut Losses) -> Bytes {
        response::write(reply, asked, losses)
    }

    fn decoder(&self, _: &Origin) -> Box<dyn Decoder> {
        Box::new(stream::TextDecoder::default())
    }

    fn encoder(&self, asked: &Turn) -> Box<dyn Encoder> {
        Box::new(stream::TextEncoder::new(asked))
    }
}
