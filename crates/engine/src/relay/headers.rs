//! The headers of an answer.

use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, DATE, SERVER, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use lockgate_core::RequestId;

use crate::record::Ticket;

/// What belongs to the provider's connection or its site and not to the answer.
const NOT_PASSED: [HeaderName; 10] = [
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    DATE,
    SERVER,
    SET_COOKIE,
    STRICT_TRANSPORT_SECURITY,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
const NOT_PASSED_BY_NAME: [&str; 4] = ["alt-svc", "keep-alive", "proxy-connection", "nel"];
/// A provider must not speak in the gateway's name.
const OURS: &str = "x-lockgate-";

/// The provider's headers less what is not the client's, and the gateway's own.
pub(crate) fn for_client(mut headers: HeaderMap, ticket: &Ticket, id: RequestId) -> HeaderMap {
    strip(&mut headers);
    identify(&mut headers, id);
    if let Some(target) = ticket.target()
        && let Ok(value) = HeaderValue::try_from(format!("{}/{}", target.provider, target.model))
    {
        headers.insert("x-lockgate-target", value);
    }
    headers.insert("x-lockgate-attempts", HeaderValue::from(ticket.attempts()));
    headers.insert("x-lockgate-overhead-us", HeaderValue::from(ticket.overhead_us()));
    headers
}

/// Takes out what is not the client's.
pub(crate) fn strip(headers: &mut HeaderMap) {
    for name in &NOT_PASSED {
        headers.remove(name);
    }
    for name in NOT_PASSED_BY_NAME {
        headers.remove(name);
    }
    let false_names: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(OURS)).cloned().collect();
    for name in false_names {
        headers.remove(name);
    }
}

/// Puts the request's id in.
pub(crate) fn identify(headers: &mut HeaderMap, id: RequestId) {
    if let Ok(value) = HeaderValue::from_str(id.text().as_str()) {
        headers.insert("x-lockgate-request-id", value);
    }
}
