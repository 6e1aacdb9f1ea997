//! Errors, read and written.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Candidate, Error, Fault, Kind, RequestId, Retry, Verbatim};
use serde::{Deserialize, Serialize};

use crate::eventstream::{self, Message};
use crate::retry_after;

/// Longer messages of a provider are cut.
const MAX_DETAIL: usize = 2_000;

/// `__type` is where AWS SDKs look for the code when no header says it; a member `code` would go before it.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "__type")]
    exception: &'static str,
    message: &'a str,
    /// Ours: whose fault it is.
    fault: &'static str,
    /// Ours: how to find it in the log.
    request_id: &'a str,
    /// Ours: the member at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    /// Ours: the targets that were looked at.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    candidates: &'a [Candidate],
}

/// What a provider says of an error; all members may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    #[serde(alias = "Message")]
    message: Option<String>,
    #[serde(rename = "__type", alias = "code")]
    exception: Option<String>,
    #[serde(rename = "originalStatusCode")]
    original_status: Option<u16>,
    #[serde(rename = "originalMessage")]
    original_message: Option<String>,
}

// === writing ===

pub(super) fn write(error: &Error, id: RequestId) -> Bytes {
    let id = id.text();
    let body = Body {
        exception: exception(error.kind()),
        message: error.public(),
        fault: error.fault().code(),
        request_id: id.as_str(),
        param: error.at(),
        candidates: error.looked_at(),
    };
    // Strings and enums only: this cannot fail.
    serde_json::to_vec(&body).unwrap_or_default().into()
}

/// An exception of those that a stream of the dialect may carry.
pub(super) fn event(error: &Error, id: RequestId) -> Bytes {
    let name = match exception(error.kind()) {
        "ThrottlingException" | "ServiceQuotaExceededException" => "throttlingException",
        "ServiceUnavailableException" => "serviceUnavailableException",
        "ModelErrorException" | "ModelTimeoutException" => "modelStreamErrorException",
        "InternalServerException" => "internalServerException",
        _ => "validationException",
    };
    let mut out = Vec::new();
    eventstream::write(&mut out, Message::Exception, name, |out| out.extend_from_slice(&write(error, id)));
    out.into()
}

/// The exception that AWS' own SDKs raise for such an error.
const fn exception(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthenticated => "UnrecognizedClientException",
        Kind::PermissionDenied => "AccessDeniedException",
        Kind::NotFound | Kind::ModelNotFound => "ResourceNotFoundException",
        Kind::RateLimited | Kind::UpstreamRateLimited => "ThrottlingException",
        Kind::BudgetExceeded => "ServiceQuotaExceededException",
        Kind::RequestTimeout | Kind::ClientClosed | Kind::UpstreamTimeout => "ModelTimeoutException",
        Kind::UpstreamOverloaded | Kind::NoTarget | Kind::Unavailable => "ServiceUnavailableException",
        Kind::Internal => "InternalServerException",
        _ if matches!(kind.fault(), Fault::Provider) => "ModelErrorException",
        _ => "ValidationException",
    }
}

// === reading ===

/// What an answer other than 2xx means.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
    let told: Option<Told> = serde_json::from_slice(body).ok();
    let json = told.is_some() || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    let told = told.unwrap_or_default();
    let named = headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
    let name = short(named.or(told.exception.as_deref()).unwrap_or_default()).to_owned();
    let error = worded(&name, status.as_u16(), &told, body).retry_after(retry_after::read(headers));
    if json {
        error.verbatim(Verbatim { status, headers: headers.clone(), body: body.clone() })
    } else {
        error
    }
}

/// The error that a stream carries: the exception's name and its JSON.
pub(super) fn in_stream(name: &str, data: &[u8]) -> Error {
    let told: Told = serde_json::from_slice(data).unwrap_or_default();
    let status = told.original_status.filter(|status| (400..600).contains(status)).unwrap_or(500);
    worded(name, status, &told, data)
}

/// `ValidationException` of `ValidationException:http://…` and of `com.amazon#ValidationException`.
fn short(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default()
}

fn worded(name: &str, status: u16, told: &Told, body: &[u8]) -> Error {
    let said = told.message.as_deref().or(told.original_message.as_deref());
    let message = said.unwrap_or_default().to_ascii_lowercase();
    let kind = classify(&name.to_ascii_lowercase(), status, &message);
    let own: String = said.map_or_else(
        || String::from_utf8_lossy(&body[..body.len().min(MAX_DETAIL)]).into_owned(),
        |said| said.chars().take(MAX_DETAIL).collect(),
    );
    let safe = kind.fault() == Fault::Caller && said.is_some() && !message.contains("arn:aws:iam");
    let public = if safe { own.clone() } else { meaning(kind, status).to_owned() };
    let error = Error::upstream(kind, public).detail(format!("{name} (status {status}): {own}"));
    let elsewhere = matches!(kind, Kind::ModelNotFound | Kind::RequestTooLarge)
        || ["support", "extraneous key", "not permitted"].iter().any(|word| message.contains(word));
    if elsewhere && kind.fault() == Fault::Caller { error.retry(Retry::Elsewhere) } else { error }
}

const fn meaning(kind: Kind, status: u16) -> &'static str {
    match kind {
        Kind::ContextWindow => "The provider says that the input is longer than the model's context window.",
        Kind::ContentPolicy => "The provider refused the content.",
        Kind::UpstreamAuth => "The provider does not accept the gateway's credential.",
        Kind::UpstreamCredit => "The gateway's account at the provider has no credit.",
        Kind::UpstreamRateLimited => "The provider limits the gateway's rate.",
        Kind::UpstreamOverloaded => "The provider is overloaded.",
        Kind::UpstreamTimeout => "The model at the provider timed out.",
        Kind::ModelNotFound => "The provider does not know the model.",
        Kind::RequestTooLarge => "The request is too large for the provider.",
        Kind::InvalidRequest => "The provider does not accept the request.",
        _ if status == 424 => "The model at the provider failed.",
        _ => "The provider failed.",
    }
}

fn classify(name: &str, status: u16, message: &str) -> Kind {
    let says = |needles: &[&str]| needles.iter().any(|needle| message.contains(needle));
    match name {
        "validationexception" | "modelstreamerrorexception" | "modelerrorexception" | ""
            if says(&[
                "input is too long",
                "input tokens exceeded",
                "prompt is too long",
                "context window",
                "context length",
                "maximum number of tokens",
                "too many input tokens",
            ]) =>
        {
            return Kind::ContextWindow;
        }
        "validationexception" | "" if says(&["model identifier is invalid", "model id is not valid"]) => {
            return Kind::ModelNotFound;
        }
        "validationexception"
            if says(&["content filter", "content policy", "blocked by", "responsible ai"]) =>
        {
            return Kind::ContentPolicy;
        }
        "accessdeniedexception" if says(&["payment_instrument", "payment instrument", "subscription"]) => {
            return Kind::UpstreamCredit;
        }
        "accessdeniedexception"
        | "unrecognizedclientexception"
        | "expiredtokenexception"
        | "invalidsignatureexception"
        | "incompletesignatureexception"
        | "missingauthenticationtokenexception" => return Kind::UpstreamAuth,
        "throttlingexception" | "toomanyrequestsexception" | "servicequotaexceededexception" => {
            return Kind::UpstreamRateLimited;
        }
        "modelnotreadyexception" | "serviceunavailableexception" => return Kind::UpstreamOverloaded,
        "modeltimeoutexception" => return Kind::UpstreamTimeout,
        "internalserverexception" | "internalfailure" => return Kind::UpstreamError,
        "modelerrorexception" | "modelstreamerrorexception" if says(&["overloaded", "too many requests"]) => {
            return Kind::UpstreamOverloaded;
        }
        "modelerrorexception" | "modelstreamerrorexception" => return Kind::UpstreamError,
        "resourcenotfoundexception" => return Kind::ModelNotFound,
        "validationexception" => return Kind::InvalidRequest,
        _ => {}
    }
    match status {
        401 | 403 => Kind::UpstreamAuth,
        402 => Kind::UpstreamCredit,
        404 => Kind::ModelNotFound,
        408 | 504 => Kind::UpstreamTimeout,
        413 => Kind::RequestTooLarge,
        429 => Kind::UpstreamRateLimited,
        503 | 529 => Kind::UpstreamOverloaded,
        409 | 424 | 425 | 500..=599 => Kind::UpstreamError,
        400..=499 => Kind::InvalidRequest,
        _ => Kind::UpstreamBadAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, name: &str, body: &'static str) -> Error {
        let mut headers = HeaderMap::new();
        if !name.is_empty() {
            headers.insert("x-amzn-errortype", name.parse().unwrap());
        }
        read(StatusCode::from_u16(status).unwrap(), &headers, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn the_header_says_what_went_wrong() {
        let kind = |status, name: &str, body| refused(status, name, body).kind();
        assert_eq!(
            kind(403, "ExpiredTokenException:http://x/", r#"{"message":"expired"}"#),
            Kind::UpstreamAuth
        );
        assert_eq!(kind(429, "ThrottlingException", r#"{"message":"slow"}"#), Kind::UpstreamRateLimited);
        assert_eq!(kind(424, "ModelErrorException", "{}"), Kind::UpstreamError);
        assert_eq!(kind(408, "ModelTimeoutException", "{}"), Kind::UpstreamTimeout);
        assert_eq!(kind(529, "", "{}"), Kind::UpstreamOverloaded);
        assert_eq!(
            kind(
                400,
                "ValidationException",
                r#"{"message":"The model returned the following errors: Input Tokens Exceeded: x"}"#
            ),
            Kind::ContextWindow
        );
        assert_eq!(
            kind(400, "", r#"{"message":"The provided model identifier is invalid."}"#),
            Kind::ModelNotFound
        );
        assert_eq!(kind(400, "", r#"{"__type":"a#ThrottlingException"}"#), Kind::UpstreamRateLimited);
    }

    #[test]
    fn the_caller_reads_the_providers_words_where_the_fault_is_its_own() {
        let error = refused(400, "ValidationException", r#"{"message":"This model doesn't support video."}"#);
        assert_eq!(error.public(), "This model doesn't support video.");
        assert_eq!(error.retry_advice(), Retry::Elsewhere);
        assert_eq!(error.own_answer().map(|own| own.status.as_u16()), Some(400));
        let error =
            refused(403, "AccessDeniedException", r#"{"message":"User: arn:aws:iam::1:user/x may not"}"#);
        assert!(!error.public().contains("arn:"));
        assert!(error.private().unwrap().contains("arn:"));
    }

    #[test]
    fn an_exception_of_a_stream_is_told_by_its_name() {
        let kind = |name, data: &str| in_stream(name, data.as_bytes()).kind();
        assert_eq!(kind("throttlingException", r#"{"message":"x"}"#), Kind::UpstreamRateLimited);
        assert_eq!(kind("serviceUnavailableException", "{}"), Kind::UpstreamOverloaded);
        assert_eq!(kind("modelStreamErrorException", r#"{"originalStatusCode":424}"#), Kind::UpstreamError);
        assert_eq!(kind("somethingNewException", "not json"), Kind::UpstreamError);
    }

    #[test]
    fn writes_what_the_sdk_reads_and_nothing_private() {
        let error = Error::client(Kind::ModelNotFound, "No model \"x\".").param("modelId").detail("hidden");
        let id = RequestId::from_u128(7);
        let json: serde_json::Value = serde_json::from_slice(&write(&error, id)).unwrap();
        assert_eq!(json["__type"], "ResourceNotFoundException");
        assert_eq!(json["message"], "No model \"x\".");
        assert!(json.get("code").is_none());
        assert!(!json.to_string().contains("hidden"));
        for kind in Kind::ALL {
            let frame = event(&Error::gateway(*kind, "x"), id);
            let frame = eventstream::Splitter::default().next(&mut frame.clone()).unwrap().unwrap();
            assert_eq!(frame.message, Message::Exception);
            assert!(frame.name().ends_with("Exception"));
        }
    }
}
