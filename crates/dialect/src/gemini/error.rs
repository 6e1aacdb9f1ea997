//! Errors, read and written: `google.rpc.Status` in JSON.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Error, Kind, RequestId, Retry, Verbatim};
use serde::Deserialize;
use serde_json::Value;

use super::json::{Array, Object};

/// Longer messages of a provider are cut in the log.
const MAX_DETAIL: usize = 2_000;
/// Longer messages of a provider are cut in the gateway's answer.
const MAX_PUBLIC: usize = 500;
/// More details are not looked at.
const MAX_DETAILS: usize = 32;

/// A provider's error; all members may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    code: Value,
    message: Value,
    status: Value,
    details: Value,
}

// === writing ===

pub(super) fn write(error: &Error, id: RequestId) -> Bytes {
    let mut out = Vec::with_capacity(512);
    let id = id.text();
    let mut envelope = Object::new(&mut out);
    let mut body = Object::new(envelope.key("error"));
    body.show("code", error.status().as_u16());
    body.text("message", error.public());
    body.text("status", native_status(error.kind()));
    let mut details = Array::new(body.key("details"));
    let mut info = Object::new(details.item());
    info.text("@type", "type.googleapis.com/google.rpc.ErrorInfo");
    info.text("reason", &error.kind().code().to_ascii_uppercase());
    info.text("domain", "lockgate");
    let mut metadata = Object::new(info.key("metadata"));
    metadata.text("fault", error.fault().code());
    metadata.text("request_id", id.as_str());
    if let Some(param) = error.at() {
        metadata.text("param", param);
    }
    if !error.looked_at().is_empty() {
        // Metadata is a map of texts. Candidates are plain data: they serialise.
        metadata.text("candidates", &serde_json::to_string(error.looked_at()).unwrap_or_default());
    }
    metadata.end();
    info.end();
    if let Some(wait) = error.wait() {
        let mut retry = Object::new(details.item());
        retry.text("@type", "type.googleapis.com/google.rpc.RetryInfo");
        retry.text("retryDelay", &format!("{}s", wait.as_secs_f64()));
        retry.end();
    }
    details.end();
    body.end();
    envelope.end();
    out.into()
}

pub(super) fn event(error: &Error, id: RequestId) -> Bytes {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(&write(error, id));
    event.extend_from_slice(b"\r\n\r\n");
    event.into()
}

/// The word of `google.rpc.Code` for such an error.
const fn native_status(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidRequest
        | Kind::ContextWindow
        | Kind::ContentPolicy
        | Kind::GuardrailBlocked
        | Kind::RequestTooLarge => "INVALID_ARGUMENT",
        Kind::Unauthenticated => "UNAUTHENTICATED",
        Kind::PermissionDenied => "PERMISSION_DENIED",
        Kind::NotFound | Kind::ModelNotFound => "NOT_FOUND",
        Kind::RateLimited | Kind::BudgetExceeded | Kind::UpstreamRateLimited => "RESOURCE_EXHAUSTED",
        Kind::RequestTimeout | Kind::UpstreamTimeout => "DEADLINE_EXCEEDED",
        Kind::ClientClosed => "CANCELLED",
        Kind::UpstreamOverloaded | Kind::UpstreamUnreachable | Kind::NoTarget | Kind::Unavailable => {
            "UNAVAILABLE"
        }
        _ => "INTERNAL",
    }
}

// === reading ===

/// What an answer other than 2xx means.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
    let json = serde_json::from_slice::<Value>(body).ok();
    let told = json.as_ref().map(told).unwrap_or_default();
    let error =
        worded(&told, status.as_u16(), body).retry_after(header_wait(headers).or_else(|| told_wait(&told)));
    let error = match status.as_u16() {
        // Another provider may know the model, take the size, or accept the parameter.
        404 | 413 | 422 => error.retry(Retry::Elsewhere),
        _ => error,
    };
    if json.is_none() {
        return error;
    }
    error.verbatim(Verbatim { status, headers: headers.clone(), body: body.clone() })
}

/// The error that a provider put into an answer that began well.
pub(super) fn in_answer(error: &[u8]) -> Error {
    let told = serde_json::from_slice::<Told>(error).unwrap_or_default();
    let status = told.code.as_u64().and_then(|code| u16::try_from(code).ok());
    let status = status.filter(|code| (400..600).contains(code)).unwrap_or(500);
    worded(&told, status, error).retry_after(told_wait(&told))
}

/// Streams without `alt=sse` wrap the error into an array.
fn told(json: &Value) -> Told {
    let first = json.as_array().and_then(|all| all.first()).unwrap_or(json);
    Told::deserialize(first.get("error").unwrap_or(first)).unwrap_or_default()
}

fn worded(told: &Told, status: u16, body: &[u8]) -> Error {
    let kind = classify(status, told);
    let text = match &told.message {
        Value::String(text) => text.clone(),
        Value::Null => String::from_utf8_lossy(body.get(..MAX_DETAIL).unwrap_or(body)).into_owned(),
        other => other.to_string(),
    };
    let text: String = text.chars().take(MAX_DETAIL).collect();
    let public = match told.message.as_str().filter(|_| is_for_the_caller(kind, &text)) {
        Some(message) => {
            let short: String = message.chars().filter(|c| !c.is_control()).take(MAX_PUBLIC).collect();
            format!("The provider answered with {} (status {status}): {short}", meaning(kind))
        }
        None => format!("The provider answered with {} (status {status}).", meaning(kind)),
    };
    Error::upstream(kind, public).detail(text)
}

/// A message about the caller's own request is the caller's to read; one that names the gateway's account is not.
fn is_for_the_caller(kind: Kind, message: &str) -> bool {
    matches!(kind, Kind::InvalidRequest | Kind::ContextWindow | Kind::ContentPolicy | Kind::RequestTooLarge)
        && !["projects/", "project ", "API key", "consumer", "AIza"].iter().any(|word| message.contains(word))
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

fn classify(status: u16, told: &Told) -> Kind {
    let message = told.message.as_str().unwrap_or_default().to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| message.contains(needle));
    let word = told.status.as_str().unwrap_or_default();
    let reason = |wanted: &str| {
        details(told).any(|detail| detail["reason"].as_str().is_some_and(|reason| reason.contains(wanted)))
    };
    match status {
        400 | 401 | 403 if reason("API_KEY") || says(&["api key not valid", "api key expired"]) => {
            Kind::UpstreamAuth
        }
        400 | 413 | 500
            if (message.contains("token count") && message.contains("exceed"))
                || says(&["maximum number of tokens allowed", "context window", "context length"]) =>
        {
            Kind::ContextWindow
        }
        400 if word == "FAILED_PRECONDITION" && message.contains("billing") => Kind::UpstreamCredit,
        400 if says(&["user location is not supported"]) => Kind::UpstreamAuth,
        400 | 403 if says(&["content policy", "safety filter", "prohibited use", "violates our"]) => {
            Kind::ContentPolicy
        }
        403 if reason("BILLING_DISABLED") => Kind::UpstreamCredit,
        401 | 403 => Kind::UpstreamAuth,
        402 => Kind::UpstreamCredit,
        404 => Kind::ModelNotFound,
        408 | 504 | 524 => Kind::UpstreamTimeout,
        413 => Kind::RequestTooLarge,
        // What everybody gets who is too fast speaks of "plan and billing" as well.
        429 if says(&["credits are depleted", "spending cap", "spend limit"]) => Kind::UpstreamCredit,
        429 => Kind::UpstreamRateLimited,
        503 | 529 => Kind::UpstreamOverloaded,
        409 | 425 | 499 | 500..=599 => Kind::UpstreamError,
        400..=498 => Kind::InvalidRequest,
        _ => Kind::UpstreamBadAnswer,
    }
}

fn details(told: &Told) -> impl Iterator<Item = &Value> {
    told.details.as_array().into_iter().flatten().take(MAX_DETAILS)
}

/// `retry-after` in seconds. The form with a date is left: Google does not send it.
fn header_wait(headers: &HeaderMap) -> Option<Duration> {
    seconds(headers.get("retry-after")?.to_str().ok()?)
}

/// `RetryInfo.retryDelay`: seconds with an `s` behind.
fn told_wait(told: &Told) -> Option<Duration> {
    details(told).find_map(|detail| seconds(detail["retryDelay"].as_str()?.strip_suffix('s')?))
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds.clamp(0.0, 86_400.0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Error {
        read(
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            &Bytes::copy_from_slice(body.as_bytes()),
        )
    }

    #[test]
    fn reads_statuses_words_and_reasons() {
        let kind = |status, body| answered(status, body).kind();
        let key = r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;
        assert_eq!(kind(400, key), Kind::UpstreamAuth);
        let long = r#"{"error":{"code":400,"message":"The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#;
        assert_eq!(kind(400, long), Kind::ContextWindow);
        assert_eq!(kind(400, r#"[{"error":{"message":"bad"}}]"#), Kind::InvalidRequest);
        assert_eq!(kind(403, "{}"), Kind::UpstreamAuth);
        assert_eq!(kind(404, "{}"), Kind::ModelNotFound);
        assert_eq!(
            kind(429, r#"{"error":{"message":"check your plan and billing details"}}"#),
            Kind::UpstreamRateLimited
        );
        assert_eq!(kind(503, "{}"), Kind::UpstreamOverloaded);
        assert_eq!(kind(504, "{}"), Kind::UpstreamTimeout);
        assert_eq!(kind(500, "<html>"), Kind::UpstreamError);
        assert_eq!(kind(302, ""), Kind::UpstreamBadAnswer);
    }

    #[test]
    fn the_delay_is_read_from_the_details() {
        let body = r#"{"error":{"code":429,"details":[{"@type":"x"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}"#;
        assert_eq!(answered(429, body).wait(), Some(Duration::from_millis(34_400)));
        assert_eq!(
            in_answer(br#"{"code":429,"details":[{"retryDelay":"2s"}]}"#).wait(),
            Some(Duration::from_secs(2))
        );
    }

    #[test]
    fn the_caller_reads_what_is_about_the_request_and_nothing_of_the_account() {
        let error = answered(400, r#"{"error":{"message":"topK is wrong"}}"#);
        assert!(error.public().contains("topK is wrong"));
        assert_eq!(error.own_answer().unwrap().status, StatusCode::BAD_REQUEST);
        for (status, body) in [
            (404, r#"{"error":{"message":"Publisher Model `projects/secret/m` not found."}}"#),
            (400, r#"{"error":{"message":"in projects/secret"}}"#),
            (502, "<html>secret</html>"),
        ] {
            assert!(!answered(status, body).public().contains("secret"));
        }
        assert!(answered(502, "<html>").own_answer().is_none());
    }

    #[test]
    fn writes_what_the_sdk_reads_and_nothing_private() {
        let error = Error::client(Kind::RateLimited, "Too fast.")
            .param("contents")
            .detail("hidden")
            .retry_after(Some(Duration::from_millis(1_500)));
        let json: Value = serde_json::from_slice(&write(&error, RequestId::from_u128(7))).unwrap();
        assert_eq!(
            (&json["error"]["code"], &json["error"]["status"]),
            (&429.into(), &"RESOURCE_EXHAUSTED".into())
        );
        assert_eq!(json["error"]["details"][0]["reason"], "RATE_LIMITED");
        assert_eq!(json["error"]["details"][0]["metadata"]["param"], "contents");
        assert_eq!(json["error"]["details"][1]["retryDelay"], "1.5s");
        assert!(!json.to_string().contains("hidden"));
        assert_eq!(answered(429, &json.to_string()).wait(), Some(Duration::from_millis(1_500)));
    }
}
