//! Whole answers.

pub(super) mod read;
pub(super) mod write;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Usage};

use super::error;
use super::wire::WireUsage;
use crate::neutral::Finish;

/// An answer is a JSON object with `output`; a provider's error in a 200 is still an error.
pub(super) fn whole(body: &Bytes) -> Result<Option<Usage>, Error> {
    let payload = parse(body)?;
    Ok(payload.read::<WireUsage>("usage").and_then(|usage| usage.buckets()))
}

fn parse(body: &Bytes) -> Result<Payload, Error> {
    let payload = Payload::parse(body.clone()).map_err(|why| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer is not valid JSON.")
            .detail(why.to_string())
    })?;
    if payload.get("output").is_some_and(|output| output.starts_with(b"{")) {
        return Ok(payload);
    }
    if payload.has("message") || payload.has("__type") {
        let name = payload.text("__type").unwrap_or_default();
        return Err(error::in_stream(&name, payload.bytes()));
    }
    Err(Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer has no \"output\"."))
}

/// Why an answer ended. `text` is the stop text, where the provider says which.
pub(super) fn finish(reason: &str, text: Option<String>) -> Finish {
    match reason {
        "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::StopText(text),
        "max_tokens" => Finish::Length,
        "model_context_window_exceeded" => Finish::ContextWindow,
        "tool_use" => Finish::Calls,
        "guardrail_intervened" | "content_filtered" => Finish::Filtered,
        other => Finish::Other(other.to_owned()),
    }
}

/// The same, written: only what the SDKs know.
pub(super) fn reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Paused => "end_turn",
        Finish::StopText(_) => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ContextWindow => "model_context_window_exceeded",
        Finish::Calls => "tool_use",
        Finish::Filtered | Finish::Refused => "content_filtered",
        Finish::Other(word) => match word.as_str() {
            "malformed_model_output" => "malformed_model_output",
            "malformed_tool_use" => "malformed_tool_use",
            _ => "end_turn",
        },
    }
}

/// The stop text out of `additionalModelResponseFields`, where Anthropic's models put it.
pub(super) fn stop_text(fields: Option<&serde_json::value::RawValue>) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Fields {
        stop_sequence: Option<String>,
        delta: Option<Delta>,
    }
    #[derive(serde::Deserialize)]
    struct Delta {
        stop_sequence: Option<String>,
    }
    let fields: Fields = serde_json::from_str(fields?.get()).ok()?;
    fields.stop_sequence.or_else(|| fields.delta?.stop_sequence)
}

#[cfg(test)]
mod tests;
