//! Whole answers.

pub(super) mod read;
pub(super) mod write;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Usage};

use super::error;
use super::wire::WireUsage;
use crate::neutral::Finish;

/// An answer is a JSON object with a `message` that is one; a provider's error in a 200 is still an error.
pub(super) fn whole(body: &Bytes) -> Result<Option<Usage>, Error> {
    let payload = parse(body)?;
    Ok(payload.read::<WireUsage>("usage").and_then(|usage| usage.buckets()))
}

fn parse(body: &Bytes) -> Result<Payload, Error> {
    let payload = Payload::parse(body.clone()).map_err(|why| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer is not valid JSON.")
            .detail(why.to_string())
    })?;
    if payload.text("finish_reason").as_deref() == Some("ERROR") {
        return Err(error::in_answer(payload.text("error").as_deref()));
    }
    if payload.get("message").is_some_and(|message| message.starts_with(b"{")) {
        return Ok(payload);
    }
    if let Some(message) = payload.text("message") {
        return Err(error::in_answer(Some(&message)));
    }
    Err(Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer has no \"message\"."))
}

/// Why an answer ended.
pub(super) fn finish(reason: &str) -> Finish {
    match reason {
        "COMPLETE" => Finish::Stop,
        "STOP_SEQUENCE" => Finish::StopText(None),
        "MAX_TOKENS" => Finish::Length,
        "TOOL_CALL" => Finish::Calls,
        "ERROR_LIMIT" => Finish::ContextWindow,
        "ERROR_TOXIC" => Finish::Filtered,
        other => Finish::Other(other.to_owned()),
    }
}

/// The same, written: only what the SDKs know.
pub(super) fn reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::StopText(_) => "STOP_SEQUENCE",
        Finish::Length | Finish::ContextWindow => "MAX_TOKENS",
        Finish::Calls => "TOOL_CALL",
        Finish::Other(word) if word == "TIMEOUT" => "TIMEOUT",
        Finish::Stop | Finish::Paused | Finish::Filtered | Finish::Refused | Finish::Other(_) => "COMPLETE",
    }
}

#[cfg(test)]
mod tests;
