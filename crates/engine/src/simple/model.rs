//! What is asked of a model: the same rooms as a chat turn has, and targets tried in the same way.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use lockgate_core::port::{Answer, Call};
use lockgate_core::{Error, Kind, Principal, Retry, Usage};
use lockgate_dialect::operation::{Asked, Counts, Listener, Operation};
use lockgate_dialect::{Losses, by_name, openai_chat};
use lockgate_ledger::rate::Measure;
use lockgate_route::Endpoint;
use tokio::time::Instant;

use super::passage::Begun;
use super::{Arrived, Cargo, Errand, estimate};
use crate::Snapshot;
use crate::admit::{attribute, limits, rate};
use crate::chat::unknown;
use crate::dispatch::{
    Budget, Failed, Tries, Try, bad, collect, filled, healthy, native, refusal, strict, timely, within,
};
use crate::engine::Engine;
use crate::record::{Ticket, Worth};
use crate::relay::tokens;
use crate::route::{self, Seen};

/// Why an attempt failed, and what it consumed all the same.
struct Lost {
    failed: Failed,
    spent: Option<Usage>,
}

const EVENTS: &str = "text/event-stream";

pub(super) async fn walk(
    engine: &Engine,
    snapshot: &Snapshot,
    errand: &Errand,
    (operation, named): (Operation, Option<&str>),
    ticket: &mut Ticket,
    principal: &Principal,
    body: impl Future<Output = Result<Bytes, Error>>,
) -> Result<Arrived, Error> {
    let headers = &errand.headers;

    // Peek: the members that decide, nothing else.
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = operation.peek(body.await?, content_type, named)?;
    ticket.names(&asked.model, asked.stream, asked.payload());

    // Attribute, admit, route: as for a chat turn.
    ticket.attribute(attribute::attribute(&snapshot.attribution, principal, headers, asked.payload())?);
    let resolution = snapshot.table.resolve(&asked.model).ok_or_else(|| unknown(&asked.model))?;
    limits::may_use(principal, &asked.model, &resolution)?;
    rate::admit(&engine.state, ticket, |_| Measure { input: tokens(asked.prompt_bytes), output: 0 })?;
    let seen = Seen {
        model: &asked.model,
        dialect: operation.words().name(),
        stream: asked.stream,
        principal,
        attribution: ticket.attribution(),
        headers,
        payload: asked.payload(),
        prompt_bytes: asked.prompt_bytes,
    };
    let plan = route::plan(&engine.state, &resolution, &seen)?;
    ticket.decided(Arc::clone(&plan.decision));

    // Dispatch: until one target has answered.
    let budget = Budget::new(headers, &plan)?;
    let strict = strict(headers)?;
    let mut spent: Option<Usage> = None;
    let mut tries = Tries::new(&plan, budget);
    loop {
        let tried = tries.next(&engine.state).await?;
        let endpoint = tried.endpoint;
        let serves = asked.speech(&endpoint.upstream, &endpoint.target.model).is_some();
        if operation.counts_tokens() && !serves {
            return Ok(estimate::answer(&asked, &endpoint.target.model));
        }
        let at = ticket.attempt(endpoint, tried.credential, tried.role);
        if !operation.counts_tokens()
            && let Err(error) = ticket.hold_for(at, endpoint, &worth(&asked)).await
        {
            tries.failed(&engine.state, ticket, at, &tried, Failed { status: None, error })?;
            continue;
        }
        match attempt(engine, &asked, &tried, &budget, headers, strict).await {
            Ok(mut arrived) => {
                ticket.attempted(at, Some(arrived.status.as_u16()), None);
                healthy(&engine.state, endpoint, tried.credential);
                // What failed attempts consumed is paid for as well.
                if let Cargo::Whole { usage, .. } = &mut arrived.cargo {
                    *usage = sum(*usage, spent);
                }
                return Ok(arrived);
            }
            Err(lost) => {
                if lost.spent.is_some() {
                    spent = sum(spent, lost.spent);
                    ticket.counted(spent, &Counts::default());
                }
                tries.failed(&engine.state, ticket, at, &tried, lost.failed)?;
            }
        }
    }
}

async fn attempt(
    engine: &Engine,
    asked: &Asked,
    tried: &Try<'_>,
    budget: &Budget,
    headers: &HeaderMap,
    strict: bool,
) -> Result<Arrived, Lost> {
    let endpoint = tried.endpoint;
    let unsent = |error| Lost { failed: Failed { status: None, error }, spent: None };
    let (upstream, model) = (&endpoint.upstream, &*endpoint.target.model);
    let speech = asked.speech(upstream, model).ok_or_else(|| unsent(unserved(asked.operation, endpoint)))?;
    let speech = upstream.shown(speech, tried.credential);
    let mut losses = Losses::default();
    let outward = asked.outward(speech, model, &mut losses).map_err(unsent)?;
    within(strict, tried.settings, &losses, &endpoint.target).map_err(unsent)?;
    let dialect = by_name(speech.dialect).unwrap_or(&openai_chat::OpenAiChat);
    let foreign = outward.form.is_foreign();
    let own = own_headers(asked.operation, headers, outward.content_type.as_deref());
    let path =
        if outward.path.contains("{model}") { filled(&outward.path, model).into() } else { outward.path };
    let (mut parts, mut status) = (Vec::with_capacity(outward.bodies.len()), StatusCode::OK);
    for body in outward.bodies {
        // A provider that takes one text a call has been paid for those before.
        let spent = outward.form.spent(&parts);
        let lost = |status: Option<StatusCode>, error: Error| {
            let error = if foreign { error.in_other_words() } else { error };
            Lost { failed: Failed { status: status.map(|status| status.as_u16()), error }, spent }
        };
        let patience =
            budget.attempt(tried.settings.first_byte_timeout.unwrap_or(upstream.timeouts.first_byte));
        let call = Call {
            upstream: Arc::clone(upstream),
            speech: Arc::clone(speech),
            method: Method::POST,
            prefix: speech.paths.prefix.as_deref().map(Arc::from),
            path: path.clone(),
            headers: own.clone(),
            stream: asked.stream,
            body,
            first_byte: patience.saturating_duration_since(Instant::now()),
            total: upstream.timeouts.total.min(budget.left()),
        };
        let answer = engine.transport.call(call).await.map_err(|error| lost(None, error))?;
        status = answer.status;
        let failed = |error| lost(Some(status), error);
        if !status.is_success() {
            return Err(failed(refusal(dialect, speech, answer, budget).await));
        }
        if answer.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(failed(bad("The provider's answer is compressed, which was not asked for.")));
        }
        let Answer { headers, body: mut inflow, .. } = answer;
        if let Some(listener) = flowing(asked, &headers) {
            // Up to its first piece a failure is passed over; behind it the client has seen something.
            let first = timely(patience, async { collect::next(&mut inflow).await.transpose() });
            let first =
                first.await.and_then(|first| first.ok_or_else(|| bad("The provider's answer is empty.")));
            let first = first.map_err(failed)?;
            let endpoint = Some(Arc::clone(endpoint));
            let cargo = Cargo::Passing(Box::new(Begun { first, inflow, listener, endpoint }));
            return Ok(Arrived { status, headers, losses, estimate: false, cargo });
        }
        let whole = timely(budget.whole(), collect::whole(None, &mut inflow, upstream.max_answer));
        parts.push((headers, whole.await.map_err(failed)?));
    }
    let read = outward.form.read(asked, model, &parts);
    let spent = outward.form.spent(&parts);
    let (mut headers, body) = parts.into_iter().next_back().unwrap_or_default();
    let answered = read.map_err(|error| {
        // Under a status of its own: a client that reads a 200 does not look for an error.
        let told = error.kind().status();
        let error = native(error, speech, told, &headers, &body);
        let error = if foreign { error.in_other_words() } else { error };
        Lost { failed: Failed { status: Some(status.as_u16()), error }, spent }
    })?;
    if foreign {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let estimate = answered.estimate;
    let cargo = Cargo::Whole { body: answered.body, usage: answered.usage, counts: answered.counts };
    Ok(Arrived { status, headers, losses, estimate, cargo })
}

/// What it can be worth: only of what is read and not answered in words the most is known.
fn worth(asked: &Asked) -> Worth {
    match asked.operation {
        Operation::Embeddings
        | Operation::GeminiEmbed
        | Operation::GeminiBatchEmbed
        | Operation::Moderations => {
            Worth::Text(asked.payload().map_or(asked.prompt_bytes, |payload| payload.bytes().len() as u64))
        }
        _ => Worth::Counts(asked.counts),
    }
}

/// How an answer is heard that passes as it comes; `None` where it is read whole.
fn flowing(asked: &Asked, headers: &HeaderMap) -> Option<Listener> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if kind.starts_with(EVENTS.as_bytes()) {
        let images = matches!(asked.operation, Operation::Images | Operation::ImageEdits);
        return Some(Listener::events(asked.counts, images));
    }
    let json = kind.starts_with(b"application/json");
    (asked.operation.flows() && !json).then(|| Listener::deaf(asked.counts))
}

fn own_headers(operation: Operation, headers: &HeaderMap, content_type: Option<&str>) -> HeaderMap {
    let mut own = HeaderMap::new();
    for name in operation.client_headers() {
        if let Some(value) = headers.get(*name) {
            own.insert(HeaderName::from_static(name), value.clone());
        }
    }
    if let Some(value) = content_type.and_then(|value| HeaderValue::from_str(value).ok()) {
        own.insert(CONTENT_TYPE, value);
    }
    own
}

/// Both together.
pub(super) fn sum(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    let (Some(a), Some(b)) = (one, other) else { return one.or(other) };
    let mut counts = a.counts();
    for (count, more) in counts.iter_mut().zip(b.counts()) {
        *count = count.saturating_add(more);
    }
    let source = if a.reported() { b.source } else { a.source };
    Some(Usage::from_counts(counts, source))
}

fn unserved(operation: Operation, endpoint: &Endpoint) -> Error {
    let lockgate_core::record::Target { provider, model } = &endpoint.target;
    Error::client(
        Kind::ModelNotFound,
        format!("{provider} does not do {} with \"{model}\" in a form known here.", operation.name()),
    )
    .param("model")
    .retry(Retry::Elsewhere)
}
