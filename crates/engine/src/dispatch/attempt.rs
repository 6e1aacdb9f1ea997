//! One call to one target, up to its whole answer or its first content.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lockgate_core::port::{Answer, Call, Inflow};
use lockgate_core::{Error, Kind, Retry, Speech, Upstream, Verbatim};
use lockgate_dialect::{Dialect, Framing};
use lockgate_route::health::{Ended, Sample};
use lockgate_route::{Endpoint, OnBreak};
use tokio::time::{Instant, timeout_at};

use super::outbound::{self, Ask, Outbound};
use super::{Budget, Landed, Landing, Try, Underway, collect};
use crate::engine::Engine;
use crate::relay::{Begun, Course, Flow, Tee, input_estimate, strip, usage_estimate};

/// Why an attempt failed.
pub(crate) struct Failed {
    /// The provider's status, where one came.
    pub(crate) status: Option<u16>,
    pub(crate) error: Error,
}

const AWS_EVENT_STREAM: &str = "application/vnd.amazon.eventstream";
/// The longest error answer that is read, in bytes.
const MAX_REFUSAL: usize = 1 << 20;
/// The most that is held back while a stream says nothing, in bytes.
pub(super) const MAX_HELD: usize = 4 << 20;

/// Calls a target.
pub(super) async fn attempt(
    engine: &Engine,
    ask: &Ask<'_>,
    tried: &Try<'_>,
    budget: &Budget,
) -> Result<Landed, Failed> {
    let state = &engine.state;
    let begun = Instant::now();
    let underway = Underway::at(tried.endpoint);
    let result = land(engine, ask, tried, underway, budget).await;
    let ended = match &result {
        Ok(_) => Ended::Well,
        Err(failed) => ended(&failed.error),
    };
    let first = (ask.turn.stream && result.is_ok()).then(|| begun.elapsed());
    let input_tokens = input_estimate(&ask.turn);
    let sample = Sample { ended, input_tokens, first, streamed: None };
    tried.endpoint.health.saw(state.clock.now(), &sample);
    result
}

/// What a failure says of the endpoint's health.
fn ended(error: &Error) -> Ended {
    match error.kind() {
        Kind::UpstreamRateLimited => Ended::Limited,
        kind if kind.counts_against_health() => Ended::Badly,
        _ => Ended::Unsaid,
    }
}

async fn land(
    engine: &Engine,
    ask: &Ask<'_>,
    tried: &Try<'_>,
    underway: Underway,
    budget: &Budget,
) -> Result<Landed, Failed> {
    let unsent = |error| Failed { status: None, error };
    let endpoint = tried.endpoint;
    let limited = tried.limit.map(|tokens| ask.limited(tokens)).transpose().map_err(unsent)?;
    let ask = limited.as_ref().unwrap_or(ask);
    let upstream = &endpoint.upstream;
    let (turn, model) = (&ask.turn, &*endpoint.target.model);
    let speech = upstream.speech(ask.dialect.name(), model).ok_or_else(|| unsent(unserved(endpoint)))?;
    let speech = upstream.shown(speech, tried.credential);
    let Outbound { dialect, prepared, headers, mut losses, crossing } =
        Outbound::new(ask, speech, &endpoint.target, tried.settings).map_err(unsent)?;
    // Where the path names the model, the body need not.
    for name in prepared.dropped.into_iter().filter(|name| name != "model") {
        losses.lose(name, "the provider does not take it");
    }
    let (prefix, path) = outbound::path(dialect, speech, model, turn.stream);
    let Patience { head, content } = Patience::new(tried, budget);
    let end = budget.whole();
    let call = Call {
        upstream: Arc::clone(upstream),
        speech: Arc::clone(speech),
        method: Method::POST,
        prefix,
        path,
        headers,
        stream: turn.stream,
        body: prepared.body,
        first_byte: head.saturating_duration_since(Instant::now()),
        total: upstream.timeouts.total.min(budget.left()),
    };
    let answer = engine.transport.call(call).await.map_err(unsent)?;
    let status = answer.status;
    let foreign = crossing.is_some();
    let failed = |error: Error| Failed {
        status: Some(status.as_u16()),
        error: if foreign { error.in_other_words() } else { error },
    };
    if !status.is_success() {
        return Err(failed(refusal(dialect, speech, answer, budget).await));
    }
    if answer.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(failed(bad("The provider's answer is compressed, which was not asked for.")));
    }
    let Answer { mut headers, mut body, .. } = answer;
    if !turn.stream {
        let body = timely(end, collect::whole(None, &mut body, upstream.max_answer)).await.map_err(failed)?;
        // Under a status of its own: a client that reads a 200 does not look for an error.
        let own = |error: Error| {
            let told = error.kind().status();
            failed(native(error, speech, told, &headers, &body))
        };
        let (body, usage) = match &crossing {
            None => {
                let usage = dialect.whole(&body).map_err(own)?;
                (body, usage)
            }
            Some(crossing) => {
                let (body, reply) = crossing.whole(&body, ask, &mut losses).map_err(own)?;
                (body, reply.usage)
            }
        };
        // The model has spoken and will be paid for, reported or not.
        let usage = usage.unwrap_or_else(|| usage_estimate(input_estimate(turn), body.len() as u64));
        // Some providers send their answers under another type.
        headers.insert(CONTENT_TYPE, media_type(&headers, "application/json", foreign));
        return Ok(Landed { status, headers, losses, landing: Landing::Whole { body, usage: Some(usage) } });
    }
    let goes_on = tried.settings.on_break == Some(OnBreak::Continue);
    let mut course = match &crossing {
        None => Course::Tee(Tee::new(dialect.meter(turn), prepared.withhold_usage, goes_on)),
        Some(crossing) => Course::Transcode(Box::new(crossing.stream(ask, goes_on))),
    };
    let held = timely(content, first_content(dialect, upstream, speech, &headers, &mut body, &mut course))
        .await
        .map_err(failed)?;
    if let Some(lost) = course.losses() {
        losses.extend(lost.clone());
    }
    let right = if ask.dialect.framing() == Framing::Sse { "text/event-stream" } else { AWS_EVENT_STREAM };
    headers.insert(CONTENT_TYPE, media_type(&headers, right, foreign));
    let begun = Begun {
        state: Arc::clone(&engine.state),
        dialect: ask.dialect,
        endpoint: underway,
        inflow: body,
        course,
        held,
        input_estimate: input_estimate(turn),
        between: tried.settings.between_timeout,
        at: 0,
        seam: None,
    };
    Ok(Landed { status, headers, losses, landing: Landing::Stream(begun) })
}

/// Until when an attempt that begins now has time.
pub(super) struct Patience {
    /// For the head of the answer.
    pub(super) head: Instant,
    /// For its first content.
    pub(super) content: Instant,
}

impl Patience {
    pub(super) fn new(tried: &Try<'_>, budget: &Budget) -> Self {
        let settings = tried.settings;
        let first_byte = settings.first_byte_timeout.unwrap_or(tried.endpoint.upstream.timeouts.first_byte);
        let head = budget.attempt(first_byte);
        let content = settings.first_token_timeout.map_or(head, |limit| budget.attempt(limit));
        // A head that comes later than the first content may come is of no use.
        Self { head: head.min(content), content }
    }
}

pub(super) fn unserved(endpoint: &Endpoint) -> Error {
    let lockgate_core::record::Target { provider, model } = &endpoint.target;
    Error::client(
        Kind::ModelNotFound,
        format!("{provider} serves no model named \"{model}\" in a dialect known here."),
    )
    .param("model")
    .retry(Retry::Elsewhere)
}

/// Reads a stream up to its first content, and holds back what comes before.
async fn first_content(
    dialect: &dyn Dialect,
    upstream: &Upstream,
    speech: &Speech,
    headers: &HeaderMap,
    inflow: &mut Inflow,
    course: &mut Course,
) -> Result<Flow, Error> {
    let mut held = Flow::new();
    let mut size = 0;
    let mut first = true;
    while let Some(chunk) = collect::next(inflow).await {
        let chunk = chunk?;
        let framed = dialect.framing() != Framing::Sse;
        if std::mem::take(&mut first) && !framed && !begins_as_stream(headers, &chunk) {
            return Err(not_a_stream(dialect, upstream, chunk, inflow).await);
        }
        size += chunk.len();
        let fed = course.feed(&chunk, &mut held);
        // What cannot be read behind the content fails the attempt as well: the client has seen nothing of it.
        fed?;
        if course.content() {
            return Ok(held);
        }
        if let Some(error) = course.take_failure() {
            return Err(native(error, speech, StatusCode::OK, headers, &held.concat().into()));
        }
        if size > MAX_HELD {
            return Err(bad("The provider's stream says nothing for too long."));
        }
    }
    if first {
        return Err(bad("The provider's answer is empty."));
    }
    match course.end(&mut held) {
        Ok(()) if course.content() => Ok(held),
        Ok(()) => Err(bad("The provider's stream ended without an answer.")),
        Err(error) if course.told() => {
            Err(native(error, speech, StatusCode::OK, headers, &held.concat().into()))
        }
        Err(error) => Err(error),
    }
}

/// Whether an answer is an event stream: by its type, or, as some providers mislabel theirs, by its first bytes.
pub(super) fn begins_as_stream(headers: &HeaderMap, chunk: &Bytes) -> bool {
    let labelled =
        headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    let fields: [&[u8]; 5] = [b"data", b"event", b":", b"id:", b"retry"];
    let start = chunk.trim_ascii_start();
    labelled && !start.starts_with(b"{") && !start.starts_with(b"<")
        || fields.iter().any(|f| start.starts_with(f))
}

/// An answer that should have been a stream: an error in a 200, or something else altogether.
pub(super) async fn not_a_stream(
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
pub(crate) async fn refusal(
    dialect: &dyn Dialect,
    speech: &Speech,
    mut answer: Answer,
    budget: &Budget,
) -> Error {
    let read = timely(budget.deadline(), collect::whole(None, &mut answer.body, MAX_REFUSAL)).await;
    // The status alone says enough when the body cannot be read.
    let body = read.unwrap_or_default();
    let plain = !answer.headers.contains_key(CONTENT_ENCODING);
    strip(&mut answer.headers);
    let shown = if plain && !shows_credential(speech, &body) { body } else { Bytes::new() };
    dialect.refusal(answer.status, &answer.headers, &shown)
}

/// The provider's own error inside an answer that began well, kept as it came unless it would show the gateway's own
/// credential.
pub(crate) fn native(
    error: Error,
    speech: &Speech,
    status: StatusCode,
    headers: &HeaderMap,
    body: &Bytes,
) -> Error {
    if error.kind() == Kind::UpstreamBadAnswer || shows_credential(speech, body) {
        return error;
    }
    let mut headers = headers.clone();
    strip(&mut headers);
    error.verbatim(Verbatim { status, headers, body: body.clone() })
}

fn shows_credential(speech: &Speech, body: &[u8]) -> bool {
    speech.headers.iter().filter(|(_, value)| value.is_sensitive()).any(|(name, value)| {
        let value = value.as_bytes();
        let secret = if name == AUTHORIZATION {
            value.split(|b| *b == b' ').next_back().unwrap_or(value)
        } else {
            value
        };
        secret.len() >= 8 && memchr::memmem::find(body, secret).is_some()
    })
}

/// The answer's own type, with its parameters, if it is the right one and the answer its own.
fn media_type(headers: &HeaderMap, right: &'static str, foreign: bool) -> HeaderValue {
    match headers.get(CONTENT_TYPE) {
        Some(value) if !foreign && value.as_bytes().starts_with(right.as_bytes()) => value.clone(),
        _ => HeaderValue::from_static(right),
    }
}

pub(crate) async fn timely<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| {
        Err(Error::upstream(Kind::UpstreamTimeout, "The provider did not answer in time."))
    })
}

pub(crate) fn bad(text: &'static str) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, text)
}
