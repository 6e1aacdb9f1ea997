//! Errors, read and written.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Error, Kind, Payload, RequestId, Retry, Verbatim};
use serde::Deserialize;
use serde_json::Value;

use super::object;
use super::wire::{push_json, push_number, push_text};
use crate::openai_chat::error::{Body, meaning};
use crate::retry_after;

/// Longer messages of a provider are cut.
const MAX_TEXT: usize = 2_000;

/// A provider's error; all members may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    message: Option<Value>,
    r#type: Option<Value>,
    code: Option<Value>,
    /// xAI: the message itself.
    error: Option<Value>,
}

/// The members that hold an error, in answers and events.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Failed {
    error: Option<Told>,
}

/// The pair of events that the dialect ends a broken stream with: SDKs raise at the first, coding agents wait for the
/// second. Their numbers go on behind those of the `before` events that were sent.
pub(super) fn event(error: &Error, id: RequestId, before: u64) -> Bytes {
    let id = id.text();
    let body = Body::of(error, id.as_str());
    let code = failure_code(error.kind());
    let mut out = b"event: error\ndata: {\"type\":\"error\",\"sequence_number\":".to_vec();
    push_number(&mut out, before);
    out.extend_from_slice(b",\"code\":");
    push_text(&mut out, code);
    out.extend_from_slice(b",\"message\":");
    push_text(&mut out, error.public());
    out.extend_from_slice(b",\"param\":");
    push_json(&mut out, &error.at());
    out.extend_from_slice(b",\"error\":");
    push_json(&mut out, &body);
    let failed = b"}\n\nevent: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":";
    out.extend_from_slice(failed);
    push_number(&mut out, before.saturating_add(1));
    out.extend_from_slice(b",\"response\":");
    object::failed(&mut out, &format!("resp_{}", id.as_str()), code, error.public());
    out.extend_from_slice(b"}\n\n");
    out.into()
}

/// The `code` of a failed response. Agents compact on the first and give up on the second.
const fn failure_code(kind: Kind) -> &'static str {
    match kind {
        Kind::ContextWindow => "context_length_exceeded",
        Kind::BudgetExceeded | Kind::UpstreamCredit => "insufficient_quota",
        Kind::RateLimited | Kind::UpstreamRateLimited => "rate_limit_exceeded",
        Kind::InvalidRequest | Kind::ContentPolicy | Kind::GuardrailBlocked | Kind::RequestTooLarge => {
            "invalid_prompt"
        }
        _ => "server_error",
    }
}

/// What an answer other than 2xx means.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
    let told = Payload::parse(body.clone()).ok().map(|payload| told(&payload)).unwrap_or_default();
    let kind = classify(status.as_u16(), &told);
    let error = worded(kind, status.as_u16(), &told, body).retry_after(retry_after::read(headers));
    let error = match (status.as_u16(), kind) {
        // Another provider may know the model, take the size, or accept the parameter.
        (404 | 413 | 422, _) | (_, Kind::ModelNotFound) => error.retry(Retry::Elsewhere),
        _ => error,
    };
    if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err() {
        return error;
    }
    error.verbatim(Verbatim { status, headers: headers.clone(), body: body.clone() })
}

/// The error in an answer or an event that began well: `error`, that of a failed response, or the event itself.
pub(super) fn in_answer(payload: &Payload) -> Error {
    let told =
        payload.read::<Failed>("response").and_then(|failed| failed.error).unwrap_or_else(|| told(payload));
    let status = match word(told.code.as_ref()).as_str() {
        "rate_limit_exceeded" | "insufficient_quota" | "usage_limit_reached" => 429,
        "context_length_exceeded" | "invalid_prompt" | "content_filter" | "cyber_policy" => 400,
        "server_is_overloaded" | "slow_down" | "overloaded" => 503,
        code if code.contains("image") || code.starts_with("invalid_") => 400,
        code => code.parse().ok().filter(|code| (400..600).contains(code)).unwrap_or(500),
    };
    worded(classify(status, &told), status, &told, payload.bytes())
}

fn told(payload: &Payload) -> Told {
    payload.read::<Told>("error").or_else(|| serde_json::from_slice(payload.bytes()).ok()).unwrap_or_default()
}

fn worded(kind: Kind, status: u16, told: &Told, body: &[u8]) -> Error {
    let text = match told.message.as_ref().or(told.error.as_ref()) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => {
            String::from_utf8_lossy(body.get(..MAX_TEXT).unwrap_or(body)).into_owned()
        }
        Some(other) => other.to_string(),
    };
    let text: String = text.chars().take(MAX_TEXT).collect();
    let meaning = meaning(kind);
    // What is about the request may be told; what is about the gateway's account there may not.
    let public = match (kind, told.message.as_ref()) {
        (Kind::InvalidRequest | Kind::ContextWindow | Kind::ContentPolicy, Some(Value::String(_))) => {
            format!("The provider answered with {meaning} (status {status}): {text}")
        }
        _ => format!("The provider answered with {meaning} (status {status})."),
    };
    Error::upstream(kind, public).detail(text)
}

fn word(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.to_ascii_lowercase(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn classify(status: u16, told: &Told) -> Kind {
    let (code, kind) = (word(told.code.as_ref()), word(told.r#type.as_ref()));
    let message = word(told.message.as_ref().or(told.error.as_ref()));
    let says = |needles: &[&str]| needles.iter().any(|needle| message.contains(needle));
    match status {
        400 | 413 | 422 | 500
            if code.contains("context_length") || says(&["context length", "context window"]) =>
        {
            Kind::ContextWindow
        }
        400 | 403 | 422
            if code.contains("content_filter")
                || code.contains("content_policy")
                || code == "invalid_prompt"
                || code == "cyber_policy"
                || says(&["content management policy", "content policy", "usage policy"]) =>
        {
            Kind::ContentPolicy
        }
        400 if code == "model_not_found" => Kind::ModelNotFound,
        // xAI refuses a key with a 400.
        400 if code == "invalid_api_key" || says(&["incorrect api key"]) => Kind::UpstreamAuth,
        401 | 403 => Kind::UpstreamAuth,
        402 => Kind::UpstreamCredit,
        404 => Kind::ModelNotFound,
        408 | 504 | 524 => Kind::UpstreamTimeout,
        413 => Kind::RequestTooLarge,
        429 if [&code, &kind]
            .into_iter()
            .any(|w| w == "insufficient_quota" || w == "usage_limit_reached") =>
        {
            Kind::UpstreamCredit
        }
        429 => Kind::UpstreamRateLimited,
        503 | 529 => Kind::UpstreamOverloaded,
        409 | 425 | 500..=599 => Kind::UpstreamError,
        400..=499 => Kind::InvalidRequest,
        _ => Kind::UpstreamBadAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &'static str) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        read(status, &HeaderMap::new(), &Bytes::from_static(body.as_bytes()))
    }

    fn in_event(body: &'static str) -> Kind {
        in_answer(&Payload::parse(Bytes::from_static(body.as_bytes())).unwrap()).kind()
    }

    #[test]
    fn reads_statuses_and_codes() {
        let kind = |status, body| refused(status, body).kind();
        assert_eq!(kind(401, "{}"), Kind::UpstreamAuth);
        assert_eq!(
            kind(400, r#"{"code":"invalid-argument","error":"Incorrect API key provided. See x."}"#),
            Kind::UpstreamAuth
        );
        assert_eq!(kind(400, r#"{"error":{"code":"model_not_found"}}"#), Kind::ModelNotFound);
        assert_eq!(kind(400, r#"{"error":{"code":"context_length_exceeded"}}"#), Kind::ContextWindow);
        assert_eq!(kind(429, r#"{"error":{"code":"insufficient_quota"}}"#), Kind::UpstreamCredit);
        assert_eq!(kind(429, "{}"), Kind::UpstreamRateLimited);
        assert_eq!(kind(529, "busy"), Kind::UpstreamOverloaded);
        assert_eq!(kind(502, "<html>"), Kind::UpstreamError);
        assert_eq!(kind(302, ""), Kind::UpstreamBadAnswer);
        assert_eq!(kind(400, r#"{"error":{"message":"bad","code":null}}"#), Kind::InvalidRequest);
    }

    #[test]
    fn an_unknown_model_is_looked_for_elsewhere() {
        let error = refused(400, r#"{"error":{"code":"model_not_found","message":"no"}}"#);
        assert_eq!(error.retry_advice(), Retry::Elsewhere);
    }

    #[test]
    fn what_is_about_the_request_is_told_and_what_is_about_the_account_is_not() {
        let bad = refused(400, r#"{"error":{"message":"Unsupported parameter: 'temperature'"}}"#);
        assert!(bad.public().contains("'temperature'"));
        let account = refused(401, r#"{"error":{"message":"Incorrect API key provided: sk-abc"}}"#);
        assert!(!account.public().contains("sk-abc"));
        assert!(account.own_answer().is_some());
        assert!(refused(502, "<html>secret</html>").own_answer().is_none());
    }

    #[test]
    fn events_name_their_errors_in_three_ways() {
        assert_eq!(
            in_event(r#"{"type":"error","code":"rate_limit_exceeded","message":"slow","param":null}"#),
            Kind::UpstreamRateLimited
        );
        assert_eq!(
            in_event(r#"{"type":"error","error":{"code":"context_length_exceeded","message":"long"}}"#),
            Kind::ContextWindow
        );
        assert_eq!(
            in_event(
                r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"x"}}}"#
            ),
            Kind::UpstreamError
        );
        assert_eq!(in_event(r#"{"type":"error","error":{"code":"unknown-error"}}"#), Kind::UpstreamError);
        assert_eq!(in_event(r#"{"type":"error"}"#), Kind::UpstreamError);
    }

    #[test]
    fn a_broken_stream_ends_in_an_error_and_a_failed_response() {
        let error = Error::upstream(Kind::UpstreamBroken, "It broke \"off\".").detail("hidden");
        let text = String::from_utf8(event(&error, RequestId::from_u128(7), 41).to_vec()).unwrap();
        assert!(!text.contains("hidden"));
        let data: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert_eq!(data.len(), 2);
        assert_eq!((&data[0]["sequence_number"], &data[1]["sequence_number"]), (&41.into(), &42.into()));
        assert_eq!(data[0]["error"]["message"], "It broke \"off\".");
        assert_eq!(data[1]["response"]["status"], "failed");
        assert_eq!(data[1]["response"]["error"]["code"], "server_error");
        assert_eq!(data[1]["response"]["output"], Value::Array(Vec::new()));
    }
}
