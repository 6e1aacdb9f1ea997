//! Whole answers.

mod read;
mod write;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Usage};

pub(super) use read::read;
pub(super) use write::{citation, state, usage, write};

use super::error;
use super::wire::WireUsage;
use crate::Turn;

/// An answer is a JSON object with an array `content`; a provider's error in a 200 is still an error.
pub(super) fn whole(body: &Bytes) -> Result<Option<Usage>, Error> {
    let payload = answer(body)?;
    Ok(payload.read::<WireUsage>("usage").and_then(|usage| usage.buckets()))
}

fn answer(body: &Bytes) -> Result<Payload, Error> {
    let payload = Payload::parse(body.clone()).map_err(|why| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer is not valid JSON.")
            .detail(why.to_string())
    })?;
    if payload.get("content").is_some_and(|content| content.starts_with(b"[")) {
        return Ok(payload);
    }
    if payload.has("error") {
        return Err(error::in_answer(body));
    }
    Err(Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer has no \"content\"."))
}

/// Whether the client asked for thought with a budget. Then its own providers refuse a call that no signed thought goes
/// before, or a thought without a signature, when it comes back to them: what is missing is marked.
pub(super) fn wants_thought(asked: &Turn) -> bool {
    #[derive(serde::Deserialize)]
    struct Thinking {
        r#type: String,
    }
    asked.payload.read::<Thinking>("thinking").is_some_and(|thinking| thinking.r#type == "enabled")
}

/// The id of an answer whose provider gave none. Clients tell the answers of a conversation apart by it, so it follows
/// from the request, which grows with each turn.
pub(super) fn id_for(id: &str, asked: &Turn) -> String {
    if !id.is_empty() {
        return id.to_owned();
    }
    let body = asked.payload.bytes();
    format!("msg_{:016x}{:08x}", hash(&[body]), body.len())
}

/// FNV-1a with 64 bits: no secret, only a name that comes out the same for the same bytes.
pub(super) fn hash(pieces: &[&[u8]]) -> u64 {
    pieces
        .iter()
        .flat_map(|piece| piece.iter())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(body: &'static str) -> Kind {
        whole(&Bytes::from_static(body.as_bytes())).unwrap_err().kind()
    }

    #[test]
    fn an_answer_has_content() {
        let body = br#"{"type":"message","content":[],"usage":{"input_tokens":3,"output_tokens":4}}"#;
        let usage = whole(&Bytes::from_static(body)).unwrap().unwrap();
        assert_eq!((usage.input, usage.output), (3, 4));
        assert_eq!(whole(&Bytes::from_static(br#"{"content":[]}"#)).unwrap(), None);
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        assert_eq!(kind(""), Kind::UpstreamBadAnswer);
        assert_eq!(kind("<html>"), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"content":[{"type"#), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"type":"skill"}"#), Kind::UpstreamBadAnswer);
        assert_eq!(
            kind(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
            Kind::UpstreamOverloaded
        );
    }
}
