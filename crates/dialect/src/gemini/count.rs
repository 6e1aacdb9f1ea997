//! `countTokens`: how many tokens a request has.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload};

use super::json::{Object, camel};
use super::{model, request};
use crate::{Named, Turn};

/// The path of the operation behind a provider's base address.
pub fn path(model: &str) -> Cow<'static, str> {
    Cow::Owned(model::path(model, "countTokens"))
}

/// Reads what is to be counted, as the request of a chat turn: Google takes it as `generateContentRequest`, or with its
/// members at the top.
///
/// # Errors
/// A caller's error that says which member is wrong and why.
pub fn peek(body: &Bytes, named: Named<'_>) -> Result<Turn, Error> {
    let payload = Payload::parse(body.clone())
        .map_err(|why| Error::client(Kind::InvalidRequest, format!("Invalid JSON: {why}.")))?;
    let inner = payload.names().find(|name| camel(name) == "generateContentRequest").map(str::to_owned);
    let inner = inner.as_deref().filter(|name| payload.has(name)).and_then(|name| payload.get(name));
    let body = inner.map_or_else(|| body.clone(), |inner| body.slice_ref(inner));
    request::peek(body, Some(Named { stream: false, ..named }))
}

/// The request for a provider, out of the body of a chat turn. What else than the conversation counts (tools, system
/// texts, schemas) is taken along.
pub fn write(body: &Bytes, model: &str) -> Bytes {
    let model = format!("models/{}", model.strip_prefix("models/").unwrap_or(model));
    let inner = Payload::parse(body.clone()).map(|payload| {
        // Inside of this request, and only there, the model must be named.
        payload.splice().set_text("model", &model).segments().join()
    });
    let mut out = Vec::with_capacity(body.len() + 64);
    let mut object = Object::new(&mut out);
    object.key("generateContentRequest").extend_from_slice(inner.as_ref().unwrap_or(body));
    object.end();
    out.into()
}

/// The count in a provider's answer.
///
/// # Errors
/// `UpstreamBadAnswer` when there is none.
pub fn read(body: &Bytes) -> Result<u64, Error> {
    let count = Payload::parse(body.clone()).ok().and_then(|payload| {
        // Nothing is what proto JSON leaves out.
        let empty = payload.names().next().is_none();
        payload.number("totalTokens").or_else(|| empty.then_some(0))
    });
    count.ok_or_else(|| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer has no \"totalTokens\".")
    })
}

/// The answer for a client.
pub fn write_answer(tokens: u64) -> Bytes {
    let mut out = Vec::with_capacity(32);
    let mut object = Object::new(&mut out);
    object.show("totalTokens", tokens);
    object.end();
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_request_are_read() {
        let named = Named { model: "gemini-2.5-flash", stream: false };
        for body in [
            r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#,
            r#"{"generate_content_request":{"model":"models/x","contents":[{"parts":[{"text":"hi"}]}]}}"#,
        ] {
            let turn = peek(&Bytes::from_static(body.as_bytes()), named).unwrap();
            assert_eq!((&*turn.model, turn.payload.has("contents")), ("gemini-2.5-flash", true));
        }
        assert!(peek(&Bytes::from_static(b"{}"), named).is_err());
    }

    #[test]
    fn the_request_names_the_model_inside() {
        let body = write(&Bytes::from_static(br#"{"contents":[],"model":"models/a"}"#), "b");
        assert_eq!(body, &br#"{"generateContentRequest":{"contents":[],"model":"models/b"}}"#[..]);
    }

    #[test]
    fn a_count_is_read_and_written() {
        assert_eq!(read(&write_answer(31)).unwrap(), 31);
        assert_eq!(read(&Bytes::from_static(b"{}")).unwrap(), 0);
        assert_eq!(read(&Bytes::from_static(b"{\"x\":1}")).unwrap_err().kind(), Kind::UpstreamBadAnswer);
    }
}
