//! Amazon Bedrock's Converse: `POST /model/{id}/converse`, and `converse-stream` with AWS event-stream frames.
//!
//! Model and stream stand in the path. An answer has no id and does not name its model: in the neutral form both are
//! empty. Latency, traces of guardrails and other reports beside the answer pass between two that speak this dialect
//! and have no place in the neutral form.

mod block;
mod error;
mod model;
mod request;
mod response;
mod stream;
pub mod wire;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Error, Quirks, RequestId, Usage};

use crate::neutral::{Reply, Request};
use crate::seal::Origin;
use crate::{
    Ceiling, Decoder, Dialect, Encoder, Framing, Hub, Losses, Meter, Named, Prepared, Target, Turn, ceiling,
};

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct BedrockConverse;

/// Its name.
pub const NAME: &str = "bedrock.converse";

impl Dialect for BedrockConverse {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shared_name(&self) -> Arc<str> {
        static SHARED: LazyLock<Arc<str>> = LazyLock::new(|| NAME.into());
        Arc::clone(&SHARED)
    }

    fn path(&self, model: &str, stream: bool) -> Cow<'static, str> {
        let mut path = String::with_capacity(model.len() + 32);
        path.push_str("/model/");
        for byte in model.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    path.push(char::from(byte));
                }
                // Writing to a string cannot fail.
                _ => drop(write!(path, "%{byte:02X}")),
            }
        }
        path.push_str(if stream { "/converse-stream" } else { "/converse" });
        Cow::Owned(path)
    }

    fn framing(&self) -> Framing {
        Framing::AwsEventStream
    }

    fn ceiling(&self) -> &'static Ceiling {
        &ceiling::CONVERSE
    }

    fn hub(&self) -> Option<&'static dyn Hub> {
        Some(&Self)
    }

    fn peek(&self, body: Bytes, named: Option<Named<'_>>) -> Result<Turn, Error> {
        request::peek(body, named)
    }

    fn prepare(&self, turn: &Turn, _: &str, quirks: &Quirks) -> Prepared {
        request::prepare(turn, quirks)
    }

    fn whole(&self, body: &Bytes) -> Result<Option<Usage>, Error> {
        response::whole(body)
    }

    fn meter(&self, _: &Turn) -> Box<dyn Meter> {
        Box::new(stream::meter::ConverseMeter::default())
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

impl Hub for BedrockConverse {
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

    fn prefills(&self, request: &Request, model: &str) -> bool {
        crate::anthropic::Messages.prefills(request, model)
    }

    fn read_reply(&self, body: &Bytes, origin: &Origin) -> Result<Reply, Error> {
        response::read::read(body, origin)
    }

    fn write_reply(&self, reply: &Reply, _: &Turn, losses: &mut Losses) -> Bytes {
        response::write::write(reply, losses)
    }

    fn decoder(&self, origin: &Origin) -> Box<dyn Decoder> {
        Box::new(stream::decoder::ConverseDecoder::new(origin))
    }

    fn encoder(&self, _: &Turn) -> Box<dyn Encoder> {
        Box::new(stream::encoder::ConverseEncoder::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_one_segment_of_the_path() {
        let path = |model, stream| BedrockConverse.path(model, stream).into_owned();
        assert_eq!(path("us.amazon.nova-2-lite-v1:0", false), "/model/us.amazon.nova-2-lite-v1%3A0/converse");
        assert_eq!(path("arn:aws:x/y", true), "/model/arn%3Aaws%3Ax%2Fy/converse-stream");
    }
}
