//! Conversations that are held over a WebSocket: begun as any other request, then bytes both ways.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue, Method};
use lockgate_core::port::{Call, Line, Switched};
use lockgate_core::{Error, Kind, Outcome, Principal, RequestId, Retry, Segments, Tick, Usage};
use lockgate_dialect::operation::websocket::{Frames, going_away};
use lockgate_dialect::operation::{Counts, realtime};
use lockgate_dialect::{Losses, openai_chat};
use lockgate_ledger::rate::Measure;
use lockgate_route::Endpoint;
use tokio::time::{Instant, sleep};

use super::{forward, model};
use crate::Snapshot;
use crate::admit::{attribute, identify, limits, rate};
use crate::chat::unknown;
use crate::dispatch::{Budget, Failed, Tries, Try, bad, filled, healthy, refusal};
use crate::engine::Engine;
use crate::record::{Ticket, Worth};
use crate::relay::for_client;
use crate::route::{self, Seen};

/// A request for a conversation.
pub struct Hail {
    /// Its id.
    pub id: RequestId,
    /// When it arrived.
    pub arrived: Tick,
    /// What stands behind the question mark of its path: the model, above all.
    pub query: Option<String>,
    /// The client's headers.
    pub headers: HeaderMap,
}

/// A conversation that a provider has agreed to.
pub struct Talk {
    /// The headers of the answer that agrees.
    pub headers: HeaderMap,
    line: Line,
    ticket: Ticket,
}

/// One direction of a conversation.
struct Pump {
    buffer: Box<[u8]>,
    /// What was read and is still to be written.
    pending: std::ops::Range<usize>,
    frames: Frames,
    flushed: bool,
    /// Nothing more is read, but what is needed to end a frame.
    stopping: bool,
}

/// How a direction ended.
enum Ended {
    /// Whoever is read from has nothing more to say.
    Silent,
    /// It was told to stop, and did so between two frames.
    Stopped,
    /// A connection failed.
    Failed,
}

/// What is read at once: the most that waits in memory in a direction.
const BUFFER: usize = 16 << 10;
/// Time for both sides to take note of an end.
const PARTING: Duration = Duration::from_secs(1);
/// Clients that cannot set headers send their keys as names of protocols.
const KEYS: [&str; 3] = ["openai-insecure-api-key.", "openai-organization.", "openai-project."];

/// Begins a conversation: as for any other request, targets are tried until one agrees.
///
/// # Errors
/// The caller's, a policy's, the provider's or the gateway's; it is recorded already, and the door renders it.
pub async fn realtime(engine: &Engine, hail: Hail) -> Result<Talk, Error> {
    let state = &engine.state;
    let snapshot = state.snapshot.load_full();
    let principal = identify::identify(state, &snapshot, &hail.headers)?;
    let name = realtime::NAME.into();
    let mut ticket = Ticket::begin((state, &snapshot.catalog), (hail.id, hail.arrived), name, &principal);
    match walk(engine, &snapshot, &hail, &principal, &mut ticket).await {
        Ok((theirs, line)) => {
            ticket.answering(101);
            let mut headers = for_client(theirs, &ticket, hail.id, &Losses::default());
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            Ok(Talk { headers, line, ticket })
        }
        Err(error) => Err(ticket.fail(error)),
    }
}

async fn walk(
    engine: &Engine,
    snapshot: &Snapshot,
    hail: &Hail,
    principal: &Principal,
    ticket: &mut Ticket,
) -> Result<(HeaderMap, Line), Error> {
    let query = hail.query.as_deref().unwrap_or_default();
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("model="));
    let asked = asked.map(|model| percent_encoding::percent_decode_str(model).decode_utf8_lossy());
    let asked: Arc<str> = asked.filter(|model| !model.is_empty()).map(Into::into).ok_or_else(|| {
        Error::client(Kind::InvalidRequest, "Name a model in the address: /v1/realtime?model=...")
            .param("model")
    })?;
    ticket.names(&asked, true, None);
    ticket.attribute(attribute::attribute(&snapshot.attribution, principal, &hail.headers, None)?);
    let resolution = snapshot.table.resolve(&asked).ok_or_else(|| unknown(&asked))?;
    limits::may_use(principal, &asked, &resolution)?;
    rate::admit(&engine.state, ticket, |_| Measure::default())?;
    let seen = Seen {
        model: &asked,
        dialect: realtime::NAME,
        stream: true,
        principal,
        attribution: ticket.attribution(),
        headers: &hail.headers,
        payload: None,
        prompt_bytes: 0,
    };
    let plan = route::plan(&engine.state, &resolution, &seen)?;
    ticket.decided(Arc::clone(&plan.decision));
    let budget = Budget::new(&hail.headers, &plan)?;
    let mut tries = Tries::new(&plan, budget);
    loop {
        let tried = tries.next(&engine.state).await?;
        let at = ticket.attempt(tried.endpoint, tried.credential, tried.role);
        if let Err(error) = ticket.hold_for(at, tried.endpoint, &Worth::Counts(Counts::default())).await {
            tries.failed(&engine.state, ticket, at, &tried, Failed { status: None, error })?;
            continue;
        }
        match attempt(engine, hail, query, &tried, &budget).await {
            Ok(agreed) => {
                ticket.attempted(at, Some(101), None);
                healthy(&engine.state, tried.endpoint, tried.credential);
                return Ok(agreed);
            }
            Err(failed) => tries.failed(&engine.state, ticket, at, &tried, failed)?,
        }
    }
}

async fn attempt(
    engine: &Engine,
    hail: &Hail,
    query: &str,
    tried: &Try<'_>,
    budget: &Budget,
) -> Result<(HeaderMap, Line), Failed> {
    let endpoint = tried.endpoint;
    let unsent = |error| Failed { status: None, error };
    let (upstream, model) = (&endpoint.upstream, &*endpoint.target.model);
    let speech = upstream.speech(openai_chat::NAME, model);
    let (speech, path) = speech
        .and_then(|speech| Some((upstream.shown(speech, tried.credential), realtime::path(speech)?)))
        .ok_or_else(|| unsent(no_conversations(endpoint)))?;
    // Its own query, with the target's model in the place of the client's.
    let others = forward::query(query);
    let others = others.split('&').filter(|pair| !pair.starts_with("model=") && !pair.is_empty());
    let mut path =
        format!("{path}{}model={}", if path.contains('?') { '&' } else { '?' }, filled("{model}", model));
    others.for_each(|pair| path.extend(["&", pair]));
    let patience = budget.attempt(upstream.timeouts.first_byte);
    let call = Call {
        upstream: Arc::clone(upstream),
        speech: Arc::clone(speech),
        method: Method::GET,
        prefix: speech.paths.prefix.as_deref().map(Arc::from),
        path: path.into(),
        headers: onward(&hail.headers, speech),
        stream: true,
        body: Segments::default(),
        first_byte: patience.saturating_duration_since(Instant::now()),
        total: upstream.timeouts.total.min(budget.left()),
    };
    match engine.transport.switch(call).await.map_err(unsent)? {
        Switched::Yes(headers, line) => Ok((headers, line)),
        Switched::No(answer) => {
            let status = Some(answer.status.as_u16());
            let error = if answer.status.is_client_error() || answer.status.is_server_error() {
                refusal(&openai_chat::OpenAiChat, speech, answer, budget).await
            } else {
                bad("The provider did not agree to a conversation.")
            };
            Err(Failed { status, error })
        }
    }
}

/// The client's headers that go on: a handshake, without compression, as compressed events could not be counted, and
/// without keys.
fn onward(headers: &HeaderMap, speech: &lockgate_core::Speech) -> HeaderMap {
    let mut onward = forward::headers(headers, speech);
    onward.remove(SEC_WEBSOCKET_EXTENSIONS);
    let listed = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let kept: Vec<&str> = listed
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|name| !KEYS.iter().any(|key| name.starts_with(key)))
        .collect();
    onward.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(kept) = HeaderValue::from_str(&kept.join(", ")).ok().filter(|kept| !kept.is_empty()) {
        onward.insert(SEC_WEBSOCKET_PROTOCOL, kept);
    }
    onward.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    onward.insert(UPGRADE, HeaderValue::from_static("websocket"));
    onward
}

fn no_conversations(endpoint: &Endpoint) -> Error {
    let text = format!("{} holds no conversations in OpenAI's form.", endpoint.target.provider);
    Error::client(Kind::ModelNotFound, text).param("model").retry(Retry::Elsewhere)
}

// === impl Talk ===

impl Talk {
    /// Passes bytes on, both ways, until a side ends it or `leaving` says that the gateway goes: then both are told so,
    /// between two frames. What the provider reports is booked as it comes.
    pub async fn hold(self, mut client: Line, leaving: impl Future<Output = ()> + Send) {
        let Self { mut line, mut ticket, .. } = self;
        let (mut up, mut down) = (Pump::new(), Pump::new());
        let mut leaving = pin!(leaving);
        let mut parting: Option<Pin<Box<tokio::time::Sleep>>> = None;
        let mut spent: Option<Usage> = None;
        let (mut up_ended, mut down_ended) = (None, None);
        poll_fn(|cx| {
            if parting.is_none() && leaving.as_mut().poll(cx).is_ready() {
                (up.stopping, down.stopping) = (true, true);
                parting = Some(Box::pin(sleep(PARTING)));
            }
            if up_ended.is_none()
                && let Poll::Ready(ended) = up.poll(cx, &mut client, &mut line, |_| {})
            {
                up_ended = Some(ended);
            }
            if down_ended.is_none() {
                let ended = down.poll(cx, &mut line, &mut client, |event| {
                    if let Some(usage) = realtime::usage(event) {
                        spent = model::sum(spent, Some(usage));
                        ticket.counted(spent, &Counts::default());
                    }
                });
                if let Poll::Ready(ended) = ended {
                    down_ended = Some(ended);
                }
            }
            let late = parting.as_mut().is_some_and(|parting| parting.as_mut().poll(cx).is_ready());
            // One side's end is the end, but that a stop waits for the other's frame.
            let gone = |ended: &Option<Ended>| matches!(ended, Some(Ended::Silent | Ended::Failed));
            let stopped = up_ended.is_some() && down_ended.is_some();
            if gone(&up_ended) || gone(&down_ended) || stopped || late {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        let stopped = parting.is_some();
        let closed = up.frames.is_closed() || down.frames.is_closed();
        if stopped && !closed {
            let telling = async {
                say(&mut client, &going_away(false)).await;
                say(&mut line, &going_away(true)).await;
            };
            // Whoever does not listen is not waited for.
            let _ = tokio::time::timeout(PARTING, telling).await;
        }
        let ending = async {
            for side in [&mut client, &mut line] {
                let _ = poll_fn(|cx| side.as_mut().poll_close(cx)).await;
            }
        };
        let _ = tokio::time::timeout(PARTING, ending).await;
        let outcome = if closed {
            Outcome::Ok
        } else if stopped || down_ended.is_some() {
            Outcome::Broken
        } else {
            Outcome::Cancelled
        };
        ticket.finish(outcome, None);
    }
}

async fn say(line: &mut Line, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match poll_fn(|cx| line.as_mut().poll_write(cx, bytes)).await {
            Ok(n) if n > 0 => bytes = bytes.get(n..).unwrap_or_default(),
            _ => return,
        }
    }
    let _ = poll_fn(|cx| line.as_mut().poll_flush(cx)).await;
}

// === impl Pump ===

impl Pump {
    fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into(),
            pending: 0..0,
            frames: Frames::default(),
            flushed: true,
            stopping: false,
        }
    }

    /// Moves what can be moved. Nothing is read before what was read is written, so that a slow side slows the other.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Line,
        to: &mut Line,
        mut message: impl FnMut(&[u8]),
    ) -> Poll<Ended> {
        loop {
            match ready!(self.poll_once(cx, from, to, &mut message)) {
                Ok(None) => {}
                Ok(Some(ended)) => return Poll::Ready(ended),
                Err(_) => return Poll::Ready(Ended::Failed),
            }
        }
    }

    fn poll_once(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Line,
        to: &mut Line,
        message: &mut impl FnMut(&[u8]),
    ) -> Poll<io::Result<Option<Ended>>> {
        if let Some(bytes) = self.buffer.get(self.pending.clone()).filter(|bytes| !bytes.is_empty()) {
            let n = ready!(to.as_mut().poll_write(cx, bytes))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.start += n;
            self.flushed = false;
            return Poll::Ready(Ok(None));
        }
        if !self.flushed {
            ready!(to.as_mut().poll_flush(cx))?;
            self.flushed = true;
        }
        if self.stopping && self.frames.is_between() {
            return Poll::Ready(Ok(Some(Ended::Stopped)));
        }
        let n = ready!(from.as_mut().poll_read(cx, &mut self.buffer))?;
        self.pending = 0..n;
        self.frames.hear(self.buffer.get(..n).unwrap_or_default(), message);
        Poll::Ready(Ok((n == 0).then_some(Ended::Silent)))
    }
}
