//! Whole answers.

pub(super) mod items;
pub(super) mod read;
pub(super) mod write;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Usage};

use super::error;
use super::wire::Tally;

/// An answer is a JSON object with `output`; a provider's error in a 200, or a response that failed, is an error.
pub(super) fn whole(body: &Bytes) -> Result<Option<Usage>, Error> {
    let payload = checked(body)?;
    Ok(usage(&payload))
}

/// The answer's members.
fn checked(body: &Bytes) -> Result<Payload, Error> {
    let payload = Payload::parse(body.clone()).map_err(|why| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer is not valid JSON.")
            .detail(why.to_string())
    })?;
    let listed = payload.get("output").is_some_and(|output| output.starts_with(b"["));
    if payload.has("error") && (!listed || payload.text("status").as_deref() == Some("failed")) {
        return Err(error::in_answer(&payload));
    }
    if !listed {
        return Err(Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer has no \"output\"."));
    }
    Ok(payload)
}

fn usage(payload: &Payload) -> Option<Usage> {
    payload.get("usage").filter(|usage| *usage != b"null")?;
    serde_json::from_slice::<Tally>(payload.bytes()).ok()?.buckets()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(body: &'static str) -> Kind {
        whole(&Bytes::from_static(body.as_bytes())).unwrap_err().kind()
    }

    #[test]
    fn an_answer_has_output() {
        let body = br#"{"output":[],"error":null,"usage":{"input_tokens":3,"output_tokens":4}}"#;
        let usage = whole(&Bytes::from_static(body)).unwrap().unwrap();
        assert_eq!((usage.input, usage.output), (3, 4));
        assert_eq!(whole(&Bytes::from_static(br#"{"output":[],"status":"queued"}"#)).unwrap(), None);
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        assert_eq!(kind(""), Kind::UpstreamBadAnswer);
        assert_eq!(kind("<html>"), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"output":[{"mess"#), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"ok":true}"#), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"error":{"message":"busy","code":503}}"#), Kind::UpstreamOverloaded);
        assert_eq!(
            kind(r#"{"status":"failed","output":[],"error":{"code":"rate_limit_exceeded","message":"m"}}"#),
            Kind::UpstreamRateLimited
        );
    }
}
