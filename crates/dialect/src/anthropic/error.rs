//! Errors, read and written.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Candidate, Error, Kind, RequestId, Retry, Verbatim};
use serde::{Deserialize, Serialize};

use super::wire::Txt;
use crate::retry_after;

/// Longer messages of a provider are cut.
const MAX_TEXT: usize = 2_000;
/// What a client looks for in the error about a context window that is full; some then shorten the conversation.
const TOO_LONG: &str = "prompt is too long";

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    error: Body<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    message: &'a str,
    /// Ours: what went wrong, finer than the type.
    code: &'static str,
    /// Ours: the member at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    /// Ours: whose fault it is.
    fault: &'static str,
    /// Ours: the targets that were looked at.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    candidates: &'a [Candidate],
}

/// A provider's error; all members may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told<'a> {
    #[serde(rename = "type", borrow)]
    kind: Txt<'a>,
    #[serde(borrow)]
    message: Txt<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    error: Option<Told<'a>>,
    /// Clouds that host the provider put the message at the top.
    #[serde(borrow)]
    message: Txt<'a>,
}

pub(super) fn write(error: &Error, id: RequestId) -> Bytes {
    let id = id.text();
    let mut message = error.public().to_owned();
    if error.kind() == Kind::ContextWindow && !message.to_ascii_lowercase().contains(TOO_LONG) {
        message = format!("{TOO_LONG}: {message}");
    }
    let envelope = Envelope {
        r#type: "error",
        error: Body {
            r#type: native_type(error.kind()),
            message: &message,
            code: error.kind().code(),
            param: error.at(),
            fault: error.fault().code(),
            candidates: error.looked_at(),
        },
        request_id: id.as_str(),
    };
    // Strings and enums only: this cannot fail.
    serde_json::to_vec(&envelope).unwrap_or_default().into()
}

pub(super) fn event(error: &Error, id: RequestId) -> Bytes {
    let mut event = b"event: error\ndata: ".to_vec();
    event.extend_from_slice(&write(error, id));
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// The `type` that the provider's own API uses for such an error.
const fn native_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthenticated => "authentication_error",
        Kind::PermissionDenied => "permission_error",
        Kind::NotFound | Kind::ModelNotFound => "not_found_error",
        Kind::RequestTooLarge => "request_too_large",
        Kind::RateLimited | Kind::UpstreamRateLimited => "rate_limit_error",
        Kind::BudgetExceeded => "billing_error",
        Kind::InvalidRequest
        | Kind::RequestTimeout
        | Kind::ClientClosed
        | Kind::ContextWindow
        | Kind::ContentPolicy
        | Kind::GuardrailBlocked => "invalid_request_error",
        Kind::UpstreamOverloaded | Kind::Unavailable | Kind::NoTarget => "overloaded_error",
        Kind::UpstreamTimeout => "timeout_error",
        _ => "api_error",
    }
}

/// What an answer other than 2xx means.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
    let answer: Option<Answer<'_>> = serde_json::from_slice(body).ok();
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    let told = answer.map(told).unwrap_or_default();
    let error = worded(classify(status.as_u16(), &told), Some(status.as_u16()), &told, body)
        .retry_after(retry_after::read(headers));
    let error = match status.as_u16() {
        // Another provider may know the model, take the size, or accept the parameter.
        404 | 413 | 422 => error.retry(Retry::Elsewhere),
        _ => error,
    };
    if !is_json {
        return error;
    }
    error.verbatim(Verbatim { status, headers: headers.clone(), body: body.clone() })
}

/// The error that a provider put into an answer that began well.
pub(super) fn in_answer(body: &[u8]) -> Error {
    let told = serde_json::from_slice::<Answer<'_>>(body).ok().map(told).unwrap_or_default();
    let status = match told.kind.str() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    };
    worded(classify(status, &told), None, &told, body)
}

fn told(answer: Answer<'_>) -> Told<'_> {
    let mut told = answer.error.unwrap_or_default();
    if told.message.get().is_none() {
        told.message = answer.message;
    }
    told
}

fn worded(kind: Kind, status: Option<u16>, told: &Told<'_>, body: &[u8]) -> Error {
    let text = told.message.get().map_or_else(
        || String::from_utf8_lossy(body.get(..body.len().min(MAX_TEXT)).unwrap_or(body)).into_owned(),
        |message| message.chars().take(MAX_TEXT).collect(),
    );
    let mut public = format!("The provider answered with {}", meaning(kind));
    if let Some(status) = status {
        public.push_str(&format!(" (status {status})"));
    }
    // What is said of the client's own request is for the client. Of keys, accounts and machines nothing is passed on.
    let about_the_request = matches!(
        kind,
        Kind::InvalidRequest | Kind::ContextWindow | Kind::ContentPolicy | Kind::RequestTooLarge
    );
    match told.message.get() {
        Some(_) if about_the_request => public.push_str(&format!(": {text}")),
        _ => public.push('.'),
    }
    Error::upstream(kind, public).detail(text)
}

const fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::ContextWindow => "an error: the input is longer than the model's context window",
        Kind::ContentPolicy => "an error: it refused the content",
        Kind::UpstreamAuth => "an error: it does not accept the gateway's credential",
        Kind::UpstreamCredit => "an error: the gateway's account there has no credit or quota",
        Kind::UpstreamRateLimited => "an error: it limits the gateway's rate",
        Kind::UpstreamOverloaded => "an error: it is overloaded",
        Kind::UpstreamTimeout => "an error: it timed out",
        Kind::ModelNotFound => "an error: it does not know the model",
        Kind::RequestTooLarge => "an error: the request is too large for it",
        Kind::InvalidRequest => "an error: it does not accept the request",
        _ => "an error",
    }
}

fn classify(status: u16, told: &Told<'_>) -> Kind {
    let message = told.message.str().to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| message.contains(needle));
    match status {
        400 | 413 | 422 | 500
            if says(&[
                TOO_LONG,
                "exceed context limit",
                "context window",
                "context length",
                "input is too long",
            ]) =>
        {
            Kind::ContextWindow
        }
        400 | 403 | 422 | 500
            if says(&["content filtering policy", "content filter", "content policy", "usage policy"]) =>
        {
            Kind::ContentPolicy
        }
        400 | 403 | 429
            if told.kind.str() == "billing_error"
                || says(&[
                    "credit balance is too low",
                    "specified api usage limits",
                    "out of extra usage",
                ]) =>
        {
            Kind::UpstreamCredit
        }
        401 | 403 => Kind::UpstreamAuth,
        402 => Kind::UpstreamCredit,
        404 => Kind::ModelNotFound,
        408 | 504 | 524 => Kind::UpstreamTimeout,
        413 => Kind::RequestTooLarge,
        429 => Kind::UpstreamRateLimited,
        503 | 529 => Kind::UpstreamOverloaded,
        500..=599 if told.kind.str() == "overloaded_error" => Kind::UpstreamOverloaded,
        409 | 425 | 500..=599 => Kind::UpstreamError,
        400..=499 => Kind::InvalidRequest,
        _ => Kind::UpstreamBadAnswer,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn told_of(status: u16, body: &'static str) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        read(status, &HeaderMap::new(), &Bytes::from_static(body.as_bytes()))
    }

    fn says(message: &str) -> &'static str {
        let json =
            format!(r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"{message}"}}}}"#);
        Box::leak(json.into_boxed_str())
    }

    #[test]
    fn reads_statuses_types_and_messages() {
        let kind = |status, body| told_of(status, body).kind();
        assert_eq!(kind(401, "{}"), Kind::UpstreamAuth);
        assert_eq!(kind(402, "{}"), Kind::UpstreamCredit);
        assert_eq!(kind(404, "{}"), Kind::ModelNotFound);
        assert_eq!(kind(413, "{}"), Kind::RequestTooLarge);
        assert_eq!(kind(429, "{}"), Kind::UpstreamRateLimited);
        assert_eq!(kind(529, "{}"), Kind::UpstreamOverloaded);
        assert_eq!(kind(500, r#"{"error":{"type":"overloaded_error"}}"#), Kind::UpstreamOverloaded);
        assert_eq!(kind(500, "{}"), Kind::UpstreamError);
        assert_eq!(
            kind(400, says("prompt is too long: 210000 tokens > 200000 maximum")),
            Kind::ContextWindow
        );
        assert_eq!(
            kind(400, says("input length and `max_tokens` exceed context limit: 1 + 2 > 3")),
            Kind::ContextWindow
        );
        assert_eq!(kind(400, says("Output blocked by content filtering policy")), Kind::ContentPolicy);
        assert_eq!(kind(400, says("Your credit balance is too low to access the API")), Kind::UpstreamCredit);
        assert_eq!(kind(400, says("tools.0.name: too long")), Kind::InvalidRequest);
    }

    #[test]
    fn an_error_in_a_stream_is_known_by_its_type() {
        let kind = |json: &str| in_answer(json.as_bytes()).kind();
        let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        assert_eq!(kind(overloaded), Kind::UpstreamOverloaded);
        assert_eq!(
            kind(r#"{"type":"error","error":{"type":"rate_limit_error"}}"#),
            Kind::UpstreamRateLimited
        );
        assert_eq!(kind(r#"{"type":"error","error":{"type":"api_error"}}"#), Kind::UpstreamError);
        assert_eq!(kind(r#"{"type":"error"}"#), Kind::UpstreamError);
    }

    #[test]
    fn the_client_reads_what_is_about_its_request_and_nothing_about_the_gateways_account() {
        let own = told_of(400, says("messages.0: bad"));
        assert!(own.public().contains("messages.0: bad"));
        assert!(own.own_answer().is_some());
        let account = told_of(401, r#"{"error":{"message":"key sk-1 of org 7 is invalid"}}"#);
        assert!(!account.public().contains("sk-1"));
        assert!(account.private().unwrap().contains("sk-1"));
        assert!(told_of(502, "<html>secret host</html>").own_answer().is_none());
    }

    #[test]
    fn writes_what_the_sdk_reads_and_nothing_private() {
        let error = Error::client(Kind::ModelNotFound, "No model \"x\".").param("model").detail("hidden");
        let json: Value = serde_json::from_slice(&write(&error, RequestId::from_u128(7))).unwrap();
        assert_eq!(json["type"], "error");
        assert_eq!(json["error"]["type"], "not_found_error");
        assert_eq!(json["error"]["message"], "No model \"x\".");
        assert_eq!(json["error"]["fault"], "caller");
        assert!(json["request_id"].is_string());
        assert!(!json.to_string().contains("hidden"));
        let event = event(&error, RequestId::from_u128(7));
        assert!(event.starts_with(b"event: error\ndata: {\"type\":\"error\"") && event.ends_with(b"\n\n"));
    }

    #[test]
    fn a_full_context_window_is_worded_as_clients_look_for_it() {
        let error = Error::upstream(Kind::ContextWindow, "It does not fit.");
        let json: Value = serde_json::from_slice(&write(&error, RequestId::from_u128(7))).unwrap();
        assert_eq!(json["error"]["message"], "prompt is too long: It does not fit.");
        assert_eq!(json["error"]["type"], "invalid_request_error");
    }

    #[test]
    fn every_kind_has_a_type_that_the_sdk_knows() {
        for kind in Kind::ALL {
            assert!(native_type(*kind).ends_with("_error") || *kind == Kind::RequestTooLarge);
        }
    }
}
