//! Errors, read and written.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Candidate, Error, Fault, Kind, Payload, RequestId, Retry, Verbatim};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::retry_after;

/// Longer messages of a provider are cut in the log.
const MAX_DETAIL: usize = 2_000;
/// Longer messages of a provider are cut for the client.
const MAX_SHOWN: usize = 170;

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

/// An error as all of OpenAI's dialects write it.
#[derive(Serialize)]
pub(crate) struct Body<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: &'static str,
    /// Ours: whose fault it is.
    fault: &'static str,
    /// Ours: how to find it in the log.
    request_id: &'a str,
    /// Ours: the targets that were looked at.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    candidates: &'a [Candidate],
}

/// A provider's error as its many dialects write it; all members may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    message: Option<Value>,
    r#type: Option<Value>,
    code: Option<Value>,
}

pub(crate) fn write(error: &Error, id: RequestId) -> Bytes {
    let id = id.text();
    let envelope = Envelope { error: Body::of(error, id.as_str()) };
    // Strings and enums only: this cannot fail.
    serde_json::to_vec(&envelope).unwrap_or_default().into()
}

pub(crate) fn event(error: &Error, id: RequestId) -> Bytes {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(&write(error, id));
    event.extend_from_slice(b"\n\n");
    event.into()
}

impl<'a> Body<'a> {
    /// What clients are told of an error.
    pub(crate) fn of(error: &'a Error, id: &'a str) -> Self {
        Self {
            message: error.public(),
            r#type: native_type(error.kind()),
            param: error.at(),
            code: code(error.kind()),
            fault: error.fault().code(),
            request_id: id,
            candidates: error.looked_at(),
        }
    }
}

/// The `code`: the kind's own, but for those that clients act on by the word of OpenAI's own API.
const fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::ContextWindow => "context_length_exceeded",
        _ => kind.code(),
    }
}

/// The `type` that OpenAI's own API uses for such an error.
const fn native_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthenticated => "authentication_error",
        Kind::PermissionDenied => "permission_error",
        Kind::RateLimited | Kind::UpstreamRateLimited => "rate_limit_error",
        Kind::BudgetExceeded => "insufficient_quota",
        Kind::InvalidRequest
        | Kind::NotFound
        | Kind::ModelNotFound
        | Kind::RequestTooLarge
        | Kind::RequestTimeout
        | Kind::ClientClosed
        | Kind::ContextWindow
        | Kind::ContentPolicy
        | Kind::GuardrailBlocked => "invalid_request_error",
        _ => "server_error",
    }
}

/// What an answer other than 2xx means.
pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
    let payload = Payload::parse(body.clone()).ok();
    let told = payload.as_ref().map(told).unwrap_or_default();
    let error = worded(classify(status.as_u16(), &told), status.as_u16(), &told, body)
        .retry_after(retry_after::read(headers));
    let error = match status.as_u16() {
        // Another provider may know the model, take the size, or accept the parameter.
        404 | 413 | 422 => error.retry(Retry::Elsewhere),
        _ => error,
    };
    if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err() {
        return error;
    }
    error.verbatim(Verbatim { status, headers: headers.clone(), body: body.clone() })
}

/// The error that a provider put into an answer that began well.
pub(crate) fn in_answer(payload: &Payload) -> Error {
    let told = told(payload);
    let status = ["code", "status", "status_code"]
        .iter()
        .find_map(|name| payload.read::<Value>("error")?.get(name)?.as_u64())
        .and_then(|code| u16::try_from(code).ok())
        .filter(|code| (400..600).contains(code))
        .unwrap_or(500);
    worded(classify(status, &told), status, &told, payload.bytes())
}

fn told(payload: &Payload) -> Told {
    payload.read::<Told>("error").or_else(|| serde_json::from_slice(payload.bytes()).ok()).unwrap_or_default()
}

fn worded(kind: Kind, status: u16, told: &Told, body: &[u8]) -> Error {
    let text = match &told.message {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::from_utf8_lossy(&body[..body.len().min(MAX_DETAIL)]).into_owned(),
    };
    let text: String = text.chars().take(MAX_DETAIL).collect();
    let public = match &told.message {
        Some(Value::String(text)) if kind.fault() == Fault::Caller => shown(text),
        _ => None,
    };
    let public =
        public.unwrap_or_else(|| format!("The provider answered with {} (status {status}).", meaning(kind)));
    Error::upstream(kind, public).detail(text)
}

/// What a provider says of a request that it does not accept: the client can do nothing without it. Short, plain, and
/// nothing that could be a credential.
fn shown(text: &str) -> Option<String> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ' || b == b'\n');
    let secret = ["sk-", "Bearer", "bearer", "key"].iter().any(|word| text.contains(word));
    if !plain || secret {
        return None;
    }
    let cut: String = text.chars().map(|c| if c == '\n' { ' ' } else { c }).take(MAX_SHOWN).collect();
    Some(format!("The provider answered: {cut}"))
}

/// What a provider's error comes to, in words that go behind "answered with".
pub(crate) const fn meaning(kind: Kind) -> &'static str {
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

fn classify(status: u16, told: &Told) -> Kind {
    let word = |value: &Option<Value>| match value {
        Some(Value::String(text)) => text.to_ascii_lowercase(),
        _ => String::new(),
    };
    let (code, kind, message) = (word(&told.code), word(&told.r#type), word(&told.message));
    let says = |needles: &[&str]| needles.iter().any(|needle| message.contains(needle));
    match status {
        400 | 413 | 422 | 500
            if code.contains("context_length")
                || kind.contains("exceed_context")
                || says(&["context length", "context window", "context size", "prompt is too long"]) =>
        {
            Kind::ContextWindow
        }
        400 | 403 | 422
            if code.contains("content_filter")
                || code.contains("content_policy")
                || says(&["content management policy", "content policy", "flagged by moderation"]) =>
        {
            Kind::ContentPolicy
        }
        401 | 403 => Kind::UpstreamAuth,
        402 => Kind::UpstreamCredit,
        404 => Kind::ModelNotFound,
        408 | 504 | 524 => Kind::UpstreamTimeout,
        413 => Kind::RequestTooLarge,
        429 if code == "insufficient_quota" || kind == "insufficient_quota" => Kind::UpstreamCredit,
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

    fn kind(status: u16, body: &'static str) -> Kind {
        read(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &Bytes::from_static(body.as_bytes()))
            .kind()
    }

    #[test]
    fn reads_statuses_and_codes() {
        assert_eq!(kind(401, "{}"), Kind::UpstreamAuth);
        assert_eq!(kind(402, "{}"), Kind::UpstreamCredit);
        assert_eq!(kind(429, "{}"), Kind::UpstreamRateLimited);
        assert_eq!(kind(429, r#"{"error":{"code":"insufficient_quota"}}"#), Kind::UpstreamCredit);
        assert_eq!(kind(529, "busy"), Kind::UpstreamOverloaded);
        assert_eq!(kind(502, "<html>"), Kind::UpstreamError);
        assert_eq!(kind(504, ""), Kind::UpstreamTimeout);
        assert_eq!(kind(302, ""), Kind::UpstreamBadAnswer);
        assert_eq!(kind(400, r#"{"error":{"code":"context_length_exceeded"}}"#), Kind::ContextWindow);
        assert_eq!(
            kind(400, r#"{"message":"This model's maximum context length is 8 tokens"}"#),
            Kind::ContextWindow
        );
        assert_eq!(kind(400, r#"{"error":{"code":"content_filter"}}"#), Kind::ContentPolicy);
        assert_eq!(kind(400, r#"{"error":{"message":"bad"}}"#), Kind::InvalidRequest);
    }

    #[test]
    fn only_json_is_passed_on_untouched() {
        let error = read(
            StatusCode::BAD_GATEWAY,
            &HeaderMap::new(),
            &Bytes::from_static(b"<html>secret host</html>"),
        );
        assert!(error.own_answer().is_none());
        assert!(!error.public().contains("secret"));
        let error = read(StatusCode::BAD_REQUEST, &HeaderMap::new(), &Bytes::from_static(b"{\"error\":{}}"));
        assert_eq!(error.own_answer().unwrap().body, &b"{\"error\":{}}"[..]);
    }

    #[test]
    fn a_client_reads_why_its_request_was_not_accepted_and_no_secret() {
        let public = |status: u16, body: &'static str| {
            let status = StatusCode::from_u16(status).unwrap();
            read(status, &HeaderMap::new(), &Bytes::from_static(body.as_bytes())).public().to_owned()
        };
        let said = public(400, r#"{"error":{"message":"temperature must be at most 2"}}"#);
        assert_eq!(said, "The provider answered: temperature must be at most 2");
        for (status, body) in [
            (401, r#"{"error":{"message":"Incorrect API key"}}"#),
            (429, r#"{"error":{"message":"Limit of organization org-7"}}"#),
            (400, r#"{"error":{"message":"bad sk-7"}}"#),
        ] {
            assert!(public(status, body).starts_with("The provider answered with an error"), "{body}");
        }
    }

    #[test]
    fn a_full_context_window_has_the_code_that_clients_act_on() {
        let error = Error::upstream(Kind::ContextWindow, "Too long.");
        let json: Value = serde_json::from_slice(&write(&error, RequestId::from_u128(7))).unwrap();
        assert_eq!(json["error"]["code"], "context_length_exceeded");
        assert_eq!(json["error"]["type"], "invalid_request_error");
    }

    #[test]
    fn writes_what_the_sdk_reads_and_nothing_private() {
        let error = Error::client(Kind::ModelNotFound, "No model \"x\".").param("model").detail("hidden");
        let json: Value = serde_json::from_slice(&write(&error, RequestId::from_u128(7))).unwrap();
        assert_eq!(json["error"]["code"], "model_not_found");
        assert_eq!(json["error"]["type"], "invalid_request_error");
        assert_eq!(json["error"]["param"], "model");
        assert_eq!(json["error"]["fault"], "caller");
        assert!(!json.to_string().contains("hidden"));
    }
}
