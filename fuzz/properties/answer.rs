//! Whole answers and refusals of a provider: any bytes under any status are either an answer, or an error that says
//! no more than it should.
//!
//! The line of choices is a status and a `retry-after` header: `429 2.5`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use lockgate_core::{Error, Origin, Payload};
use lockgate_dialect::Dialect;
use lockgate_dialect::openai_chat::OpenAiChat;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{script, wording};

/// Longer than any text of the gateway's own about an answer.
const LONGEST_PUBLIC: usize = 200;

pub(crate) fn check(data: &[u8]) {
    let (choices, body) = script::split(data);
    let body = Bytes::copy_from_slice(body);
    whole(&body);
    refusal(choices, &body);
}

fn whole(body: &Bytes) {
    let payload = Payload::parse(body.clone());
    match OpenAiChat.whole(body) {
        Ok(usage) => {
            let payload = payload.unwrap_or_else(|why| panic!("taken for an answer: {why}"));
            assert!(payload.get("choices").is_some_and(|choices| choices.starts_with(b"[")));
            let Some(usage) = usage else { return };
            let reported = payload.read::<Value>("usage").unwrap_or_default();
            let count = |name: &str| reported[name].as_u64().unwrap_or(0);
            // The parts are never less than the whole that was reported: no token is lost.
            assert!(usage.input_total() >= count("prompt_tokens"), "{usage:?}");
            assert!(usage.output_total() >= count("completion_tokens"), "{usage:?}");
        }
        Err(error) => fault(&error),
    }
}

fn refusal(choices: &[u8], body: &Bytes) {
    let mut words = choices.splitn(2, |byte| *byte == b' ');
    let status = words.next().and_then(|status| StatusCode::from_bytes(status).ok());
    let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
    let mut headers = HeaderMap::new();
    if let Some(value) = words.next().and_then(|value| HeaderValue::from_bytes(value).ok()) {
        headers.insert("retry-after", value);
    }
    let error = OpenAiChat.refusal(status, &headers, body);
    fault(&error);
    assert!(error.wait().is_none_or(|wait| wait <= Duration::from_secs(86_400)));
    // A page of some proxy on the way is not for the client; what is JSON goes as it came.
    assert_eq!(error.own_answer().is_some(), serde_json::from_slice::<IgnoredAny>(body).is_ok());
    if let Some(own) = error.own_answer() {
        assert_eq!((own.status, &own.body, &own.headers), (status, body, &headers));
    }
}

/// A provider's error, worded by the gateway: nothing of the provider's words is in it.
fn fault(error: &Error) {
    assert_eq!(error.origin(), Origin::Upstream);
    assert!(error.public().len() <= LONGEST_PUBLIC && error.public().is_ascii(), "{error}");
    wording::check(error);
}
