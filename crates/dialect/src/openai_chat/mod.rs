//! OpenAI chat completions: `POST /v1/chat/completions`.

mod error;
mod request;
mod response;
mod stream;
pub mod wire;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Error, Quirks, RequestId, Usage};

use crate::{Dialect, Hub, Meter, Named, Prepared, Turn};

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

    fn hub(&self) -> Option<&'static dyn Hub> {
        None
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

    fn error_event(&self, error: &Error, id: RequestId) -> Bytes {
        error::event(error, id)
    }
}
