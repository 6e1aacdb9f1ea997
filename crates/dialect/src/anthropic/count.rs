//! Counting tokens without an answer: `POST /v1/messages/count_tokens`.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Quirks};

use super::{error, request};
use crate::{Prepared, Turn};

/// The path behind a provider's base address.
pub const PATH: &str = "/messages/count_tokens";

/// The path behind a provider's base address, as [`crate::Dialect::path`] gives it for a chat turn.
pub const fn path() -> Cow<'static, str> {
    Cow::Borrowed(PATH)
}

/// Reads of a request to count what is needed to decide about it. It is a request for an answer without `max_tokens`;
/// whatever it says, it is not streamed.
///
/// # Errors
/// A caller's error that says which member is wrong and why.
pub fn peek(body: Bytes) -> Result<Turn, Error> {
    let turn = request::peek(body)?;
    Ok(Turn { stream: false, usage_asked: false, ..turn })
}

/// The request as it goes to a provider that speaks this dialect.
pub fn prepare(turn: &Turn, model: &str, quirks: &Quirks) -> Prepared {
    request::prepare(turn, model, quirks)
}

/// The count out of a provider's answer, in tokens.
///
/// # Errors
/// `UpstreamBadAnswer` when it is none; the provider's own error when it holds one.
pub fn read(body: &Bytes) -> Result<u64, Error> {
    #[derive(serde::Deserialize)]
    struct Answer {
        input_tokens: Option<u64>,
        error: Option<serde::de::IgnoredAny>,
    }
    match serde_json::from_slice::<Answer>(body) {
        Ok(Answer { input_tokens: Some(count), .. }) => Ok(count),
        Ok(Answer { error: Some(_), .. }) => Err(error::in_answer(body)),
        _ => Err(Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer has no \"input_tokens\".")),
    }
}

/// An answer with a count.
pub fn write(tokens: u64) -> Bytes {
    format!("{{\"input_tokens\":{tokens}}}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_and_written() {
        assert_eq!(read(&write(41)).unwrap(), 41);
        let kind = |body: &'static str| read(&Bytes::from_static(body.as_bytes())).unwrap_err().kind();
        assert_eq!(kind("{}"), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"input_tokens":-1}"#), Kind::UpstreamBadAnswer);
        let overloaded = r#"{"type":"error","error":{"type":"overloaded_error"}}"#;
        assert_eq!(kind(overloaded), Kind::UpstreamOverloaded);
    }

    #[test]
    fn a_request_to_count_is_never_streamed() {
        let turn = peek(Bytes::from_static(br#"{"model":"m","messages":[],"stream":true}"#)).unwrap();
        assert!(!turn.stream);
        assert_eq!(path(), "/messages/count_tokens");
    }
}
