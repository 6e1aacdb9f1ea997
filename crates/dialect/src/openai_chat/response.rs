//! Whole answers.

pub(crate) mod read;
pub(crate) mod write;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Usage};

use super::error;
use super::wire::WireUsage;

/// An answer is a JSON object with `choices`; a provider's error in a 200 is still an error.
pub(crate) fn whole(body: &Bytes) -> Result<Option<Usage>, Error> {
    let payload = Payload::parse(body.clone()).map_err(|why| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer is not valid JSON.")
            .detail(why.to_string())
    })?;
    if !payload.get("choices").is_some_and(|choices| choices.starts_with(b"[")) {
        if payload.has("error") {
            return Err(error::in_answer(&payload));
        }
        return Err(Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer has no \"choices\"."));
    }
    Ok(payload.read::<WireUsage>("usage").and_then(|usage| usage.buckets()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(body: &'static str) -> Kind {
        whole(&Bytes::from_static(body.as_bytes())).unwrap_err().kind()
    }

    #[test]
    fn an_answer_has_choices() {
        let body = br#"{"choices":[{"message":{}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        let usage = whole(&Bytes::from_static(body)).unwrap().unwrap();
        assert_eq!((usage.input, usage.output), (3, 4));
        assert_eq!(whole(&Bytes::from_static(br#"{"choices":[]}"#)).unwrap(), None);
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        assert_eq!(kind(""), Kind::UpstreamBadAnswer);
        assert_eq!(kind("<html>"), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"choices":[{"mess"#), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"ok":true}"#), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"error":{"message":"busy","code":503}}"#), Kind::UpstreamOverloaded);
    }
}
