//! Errors, read and written.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Candidate, Error, Fault, Kind, RequestId, Retry, Verbatim};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::retry_after;

/// Longer messages of a provider are cut.
const MAX_DETAIL: usize = 2_000;

/// The SDKs tell errors by their status and show `message`.
#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    message: &'a str,
    error_type: &'static str,
    /// Ours: whose fault it is.
    fault: &'static str,
    /// Ours: the member at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    /// Ours: the targets that were looked at.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    candidates: &'a [Candidate],
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    message: Option<String>,
    error_type: Option<String>,
}

pub(super) fn write(error: &Error, id: RequestId) -> Bytes {
    let id = id.text();
    let body = Body {
        id: id.as_str(),
        message: error.public(),
        error_type: error.kind().code(),
        fault: error.fault().code(),
        param: error.at(),
        candidates: error.looked_at(),
    };
    // Strings and enums only: this cannot fail.
    serde_json::to_vec(&body).unwrap_or_default().into()
}

/// The end of a message that failed.
pub(super) fn event(error: &Error) -> Bytes {
    let delta = json!({ "finish_reason": "ERROR", "error": error.public() });
    format!("event: message-end\ndata: {}\n\n", json!({ "type": "message-end", "delta": delta })).into()
}

/// What an answer other than 2xx means.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
    let told: Option<Told> = serde_json::from_slice(body).ok();
    let json = told.is_some() || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    let error =
        worded(status.as_u16(), &told.unwrap_or_default(), body).retry_after(retry_after::read(headers));
    if json {
        error.verbatim(Verbatim { status, headers: headers.clone(), body: body.clone() })
    } else {
        error
    }
}

/// The error that an answer ended with, or is.
pub(super) fn in_answer(message: Option<&str>) -> Error {
    let told = Told { message: message.map(str::to_owned), error_type: None };
    worded(500, &told, message.unwrap_or_default().as_bytes())
}

fn worded(status: u16, told: &Told, body: &[u8]) -> Error {
    let message = told.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    let kind = classify(status, told.error_type.as_deref().unwrap_or_default(), &message);
    let own: String = told.message.as_deref().map_or_else(
        || String::from_utf8_lossy(&body[..body.len().min(MAX_DETAIL)]).into_owned(),
        |said| said.chars().take(MAX_DETAIL).collect(),
    );
    let public = if kind.fault() == Fault::Caller && told.message.is_some() {
        own.clone()
    } else {
        meaning(kind).to_owned()
    };
    let error = Error::upstream(kind, public).detail(format!("status {status}: {own}"));
    match status {
        // Another provider may know the model, take the size, or accept the parameter.
        404 | 413 | 422 => error.retry(Retry::Elsewhere),
        _ => error,
    }
}

const fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::ContextWindow => "The provider says that the input is longer than the model's context window.",
        Kind::ContentPolicy => "The provider refused the content.",
        Kind::UpstreamAuth => "The provider does not accept the gateway's credential.",
        Kind::UpstreamCredit => "The gateway's account at the provider has no credit.",
        Kind::UpstreamRateLimited => "The provider limits the gateway's rate.",
        Kind::UpstreamOverloaded => "The provider is overloaded.",
        Kind::UpstreamTimeout => "The provider timed out.",
        Kind::InvalidRequest => "The provider does not accept the request.",
        Kind::ModelNotFound => "The provider does not know the model.",
        Kind::RequestTooLarge => "The request is too large for the provider.",
        _ => "The provider failed.",
    }
}

fn classify(status: u16, error_type: &str, message: &str) -> Kind {
    let says = |needles: &[&str]| needles.iter().any(|needle| message.contains(needle));
    if error_type == "TOO_MANY_TOKENS" || says(&["too many tokens", "context length", "maximum context"]) {
        return Kind::ContextWindow;
    }
    match status {
        // A request or an answer with a text of the deny list.
        498 => Kind::ContentPolicy,
        400 | 422 if says(&["blocked", "safety", "toxic"]) => Kind::ContentPolicy,
        401 | 403 => Kind::UpstreamAuth,
        402 => Kind::UpstreamCredit,
        404 => Kind::ModelNotFound,
        408 | 504 | 524 => Kind::UpstreamTimeout,
        413 => Kind::RequestTooLarge,
        429 if says(&["monthly", "billing", "payment", "credit"]) => Kind::UpstreamCredit,
        429 => Kind::UpstreamRateLimited,
        503 | 529 => Kind::UpstreamOverloaded,
        409 | 425 | 499 | 500..=599 => Kind::UpstreamError,
        400..=499 => Kind::InvalidRequest,
        _ => Kind::UpstreamBadAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &'static str) -> Error {
        read(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn statuses_and_words_say_what_went_wrong() {
        let kind = |status, body| refused(status, body).kind();
        assert_eq!(
            kind(400, r#"{"error_type":"TOO_MANY_TOKENS","message":"too many tokens: size limit exceeded"}"#),
            Kind::ContextWindow
        );
        assert_eq!(kind(401, r#"{"message":"Incorrect API key provided"}"#), Kind::UpstreamAuth);
        assert_eq!(kind(404, r#"{"message":"model 'x' not found"}"#), Kind::ModelNotFound);
        assert_eq!(kind(498, "{}"), Kind::ContentPolicy);
        assert_eq!(kind(429, r#"{"message":"trial key, 1000 API calls / monthly"}"#), Kind::UpstreamCredit);
        assert_eq!(kind(429, "{}"), Kind::UpstreamRateLimited);
        assert_eq!(kind(529, "<html>"), Kind::UpstreamOverloaded);
    }

    #[test]
    fn the_credential_is_not_spoken_of_to_the_caller() {
        let error = refused(401, r#"{"message":"Incorrect API key provided: ***abc."}"#);
        assert!(!error.public().contains("abc"));
        assert!(error.own_answer().is_some());
        assert!(refused(502, "<html>secret</html>").own_answer().is_none());
        assert_eq!(refused(404, r#"{"message":"model 'x' not found"}"#).public(), "model 'x' not found");
    }

    #[test]
    fn writes_what_the_sdk_reads_and_nothing_private() {
        let error = Error::client(Kind::ModelNotFound, "No model \"x\".").detail("hidden");
        let json: serde_json::Value =
            serde_json::from_slice(&write(&error, RequestId::from_u128(7))).unwrap();
        assert_eq!(json["message"], "No model \"x\".");
        assert!(!json.to_string().contains("hidden"));
        assert!(event(&error).starts_with(b"event: message-end\ndata: {"));
    }
}
