//! Whole answers.

mod citations;
mod read;
mod time;
mod write;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Usage};

use super::{error, wire};

pub(super) use citations::{Spans, choose, grounded, recited};
pub(super) use read::{Answering, finish, logprobs, read, tier};
pub(super) use time::{from_text, to_text};
pub(super) use write::{Beside, FOREIGN, call, media_part, note_arguments, reason, said, tail, write};

/// Members of which an answer has at least one; Google leaves out what is empty.
const MARKS: [&str; 5] = ["candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId"];

/// An answer is a JSON object with candidates, or one that says why there are none; a provider's error in a 200 is still
/// an error.
pub(super) fn whole(body: &Bytes) -> Result<Option<Usage>, Error> {
    let payload = Payload::parse(body.clone()).map_err(|why| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer is not valid JSON.")
            .detail(why.to_string())
    })?;
    check(&payload)?;
    let text = |name| payload.get(name).and_then(|raw| std::str::from_utf8(raw).ok());
    let usage = text("usageMetadata").and_then(wire::usage);
    Ok(usage.map(|usage| {
        let model = payload.text("modelVersion").unwrap_or_default();
        Usage { searches: text("candidates").map_or(0, |all| searches(all, &model)), ..usage }
    }))
}

fn check(payload: &Payload) -> Result<(), Error> {
    if payload.has("error") && !payload.has("candidates") {
        return Err(error::in_answer(payload.get("error").unwrap_or_default()));
    }
    let is_array = payload.get("candidates").is_none_or(|all| all.starts_with(b"[") || all == b"null");
    if is_array && MARKS.iter().any(|name| payload.has(name)) {
        return Ok(());
    }
    Err(Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer has no \"candidates\"."))
}

/// The searches that grounded these candidates.
pub(super) fn searches(candidates: &str, model: &str) -> u64 {
    #[derive(serde::Deserialize)]
    struct Grounded<'a> {
        #[serde(borrow, default, rename = "groundingMetadata")]
        grounding: Option<&'a serde_json::value::RawValue>,
    }
    if memchr::memmem::find(candidates.as_bytes(), b"\"webSearchQueries\"").is_none() {
        return 0;
    }
    let all: Vec<Grounded<'_>> = serde_json::from_str(candidates).unwrap_or_default();
    let all = all.iter().filter_map(|one| one.grounding);
    all.map(|grounding| wire::searches(grounding.get(), model)).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(body: &'static str) -> Kind {
        whole(&Bytes::from_static(body.as_bytes())).unwrap_err().kind()
    }

    #[test]
    fn an_answer_has_candidates_or_says_why_not() {
        let body = br#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["a"]}}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4}}"#;
        let usage = whole(&Bytes::from_static(body)).unwrap().unwrap();
        assert_eq!((usage.input, usage.output, usage.searches), (3, 4, 1));
        assert_eq!(
            whole(&Bytes::from_static(br#"{"promptFeedback":{"blockReason":"SAFETY"}}"#)).unwrap(),
            None
        );
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        assert_eq!(kind(""), Kind::UpstreamBadAnswer);
        assert_eq!(kind("[{\"candidates\":[]}]"), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"candidates":7}"#), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"ok":true}"#), Kind::UpstreamBadAnswer);
        assert_eq!(kind(r#"{"error":{"message":"busy","code":503}}"#), Kind::UpstreamOverloaded);
    }
}
