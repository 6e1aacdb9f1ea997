//! One call to one target, up to its whole answer or its first content.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use lockgate_core::port::{Answer, Call, Inflow};
use lockgate_core::{Error, Kind, Upstream, Verbatim};
use lockgate_dialect::{Dialect, Turn};
use lockgate_route::Endpoint;
use tokio::time::{Instant, timeout_at};

use super::{Budget, Landed, Landing, collect};
use crate::engine::Engine;
use crate::relay::{Begun, Flow, Tee, input_estimate, strip};

/// Why an attempt failed.
pub(super) struct Failed {
    /// The provider's status, where one came.
    pub(super) status: Option<u16>,
    pub(super) error: Error,
}

/// The longest error answer that is read, in bytes.
const MAX_REFUSAL: usize = 1 << 20;
/// The most that is held back while a stream says nothing, in bytes.
const MAX_HELD: usize = 4 << 20;

pub(super) async fn attempt(
    engine: &Engine,
    dialect: &'static dyn Dialect,
    turn: &Arc<Turn>,
    endpoint: &Arc<Endpoint>,
    budget: &Budget,
) -> Result<Landed, Failed> {
    let upstream = &endpoint.upstream;
    let prepared = dialect.prepare(turn, &endpoint.target.model, &upstream.quirks);
    let patience = budget.attempt(upstream.timeouts.first_byte);
    let end = budget.whole();
    let call = Call {
        upstream: Arc::clone(upstream),
        path: dialect.path(),
        stream: turn.stream,
        body: prepared.body,
        first_byte: patience.saturating_duration_since(Instant::now()),
        total: upstream.timeouts.total.min(budget.left()),
    };
    let answer = engine.transport.call(call).await.map_err(|error| Failed { status: None, error })?;
    let status = answer.status;
    let failed = |error| Failed { status: Some(status.as_u16()), error };
    if !status.is_success() {
        return Err(failed(refusal(dialect, upstream, answer, budget).await));
    }
    if answer.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(failed(bad("The provider's answer is compressed, which was not asked for.")));
    }
    let Answer { mut headers, mut body, .. } = answer;
    if !turn.stream {
        let body = timely(end, collect::whole(None, &mut body, upstream.max_answer)).await.map_err(failed)?;
        // Under a status of its own: a client that reads a 200 does not look for an error.
        let usage = dialect.whole(&body).map_err(|error| {
            let told = error.kind().status();
            failed(native(error, upstream, told, &headers, &body))
        })?;
        // Some providers send their answers under another type.
        headers.insert(CONTENT_TYPE, media_type(&headers, "application/json"));
        return Ok(Landed {
            status,
            headers,
            losses: prepared.dropped,
            landing: Landing::Whole { body, usage },
        });
    }
    let mut tee = Tee::new(dialect.meter(turn), prepared.withhold_usage);
    let held = timely(patience, first_content(dialect, upstream, &headers, &mut body, &mut tee))
        .await
        .map_err(failed)?;
    headers.insert(CONTENT_TYPE, media_type(&headers, "text/event-stream"));
    let begun = Begun {
        state: Arc::clone(&engine.state),
        dialect,
        endpoint: Arc::clone(endpoint),
        inflow: body,
        tee,
        held,
        input_estimate: input_estimate(&turn.payload),
    };
    Ok(Landed { status, headers, losses: prepared.dropped, landing: Landing::Stream(begun) })
}

/// Reads a stream up to its first content, and holds back what comes before.
async fn first_content(
    dialect: &dyn Dialect,
    upstream: &Upstream,
    headers: &HeaderMap,
    inflow: &mut Inflow,
    tee: &mut Tee,
) -> Result<Flow, Error> {
    let mut held = Flow::new();
    let mut size = 0;
    let mut first = true;
    while let Some(chunk) = collect::next(inflow).await {
        let chunk = chunk?;
        if std::mem::take(&mut first) && !begins_as_stream(headers, &chunk) {
            return Err(not_a_stream(dialect, upstream, chunk, inflow).await);
        }
        size += chunk.len();
        let fed = tee.feed(&chunk, &mut held);
        // What cannot be read behind the content fails the attempt as well: the client has seen nothing of it.
        fed?;
        if tee.content() {
            return Ok(held);
        }
        if let Some(error) = tee.take_failure() {
            return Err(native(error, upstream, StatusCode::OK, headers, &held.concat().into()));
        }
        if size > MAX_HELD {
            return Err(bad("The provider's stream says nothing for too long."));
        }
    }
    if first {
        return Err(bad("The provider's answer is empty."));
    }
    match tee.end(&mut held) {
        Ok(()) if tee.content() => Ok(held),
        Ok(()) => Err(bad("The provider's stream ended without an answer.")),
        Err(error) if tee.told() => {
            Err(native(error, upstream, StatusCode::OK, headers, &held.concat().into()))
        }
        Err(error) => Err(error),
    }
}

/// Whether an answer is an event stream: by its type, or, as some providers mislabel theirs, by its first bytes.
fn begins_as_stream(headers: &HeaderMap, chunk: &Bytes) -> bool {
    let labelled =
        headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    let fields: [&[u8]; 5] = [b"data", b"event", b":", b"id:", b"retry"];
    let start = chunk.trim_ascii_start();
    labelled && !start.starts_with(b"{") && !start.starts_with(b"<")
        || fields.iter().any(|f| start.starts_with(f))
}

/// An answer that should have been a stream: an error in a 200, or something else altogether.
async fn not_a_stream(
    dialect: &dyn Dialect,
    upstream: &Upstream,
    first: Bytes,
    inflow: &mut Inflow,
) -> Error {
    let most = upstream.max_answer.min(MAX_REFUSAL);
    match collect::whole(Some(first), inflow, most).await.and_then(|body| dialect.whole(&body)) {
        Ok(_) => bad("The provider answered as a whole where a stream was asked for."),
        Err(error) => error,
    }
}

/// Reads a refusal. It passes untouched, unless it would show the gateway's own credential.
async fn refusal(dialect: &dyn Dialect, upstream: &Upstream, mut answer: Answer, budget: &Budget) -> Error {
    let read = timely(budget.deadline(), collect::whole(None, &mut answer.body, MAX_REFUSAL)).await;
    // The status alone says enough when the body cannot be read.
    let body = read.unwrap_or_default();
    let plain = !answer.headers.contains_key(CONTENT_ENCODING);
    strip(&mut answer.headers);
    let shown = if plain && !shows_credential(upstream, &body) { body } else { Bytes::new() };
    dialect.refusal(answer.status, &answer.headers, &shown)
}

/// The provider's own error inside an answer that began well, kept as it came unless it would show the gateway's own
/// credential.
fn native(error: Error, upstream: &Upstream, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
    if error.kind() == Kind::UpstreamBadAnswer || shows_credential(upstream, body) {
        return error;
    }
    let mut headers = headers.clone();
    strip(&mut headers);
    error.verbatim(Verbatim { status, headers, body: body.clone() })
}

fn shows_credential(upstream: &Upstream, body: &[u8]) -> bool {
    upstream.headers.iter().filter(|(_, value)| value.is_sensitive()).any(|(name, value)| {
        let value = value.as_bytes();
        let secret = if name == AUTHORIZATION {
            value.split(|b| *b == b' ').next_back().unwrap_or(value)
        } else {
            value
        };
        secret.len() >= 8 && memchr::memmem::find(body, secret).is_some()
    })
}

/// The answer's own type, with its parameters, if it is the right one.
fn media_type(headers: &HeaderMap, right: &'static str) -> HeaderValue {
    match headers.get(CONTENT_TYPE) {
        Some(value) if value.as_bytes().starts_with(right.as_bytes()) => value.clone(),
        _ => HeaderValue::from_static(right),
    }
}

async fn timely<T>(deadline: Instant, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| {
        Err(Error::upstream(Kind::UpstreamTimeout, "The provider did not answer in time."))
    })
}

fn bad(text: &'static str) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, text)
}
