//! What is asked of a provider and not of a model: files and batches that it keeps, and anything else that it has.
//!
//! One provider, one attempt: what is kept at one is not at another, and whether a call may be made twice is not known.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use lockgate_core::port::{Answer, Call};
use lockgate_core::record::Target;
use lockgate_core::upstream::Reach;
use lockgate_core::{
    Decision, Error, Kind, Matched, Payload, Principal, Role, Segments, Speech, Standing, Upstream,
};
use lockgate_dialect::operation::{Asked, Counts, Form, Listener, Operation};
use lockgate_dialect::{Dialect, Losses, Named, Turn, by_name, openai_chat};
use lockgate_ledger::rate::Measure;
use lockgate_route::{Endpoint, Patience, Plan, Refused};
use tokio::time::Instant;

use super::passage::Begun;
use super::{ANTHROPIC, ANTHROPIC_VERSION, Arrived, Cargo, Errand, Task, forward};
use crate::Snapshot;
use crate::admit::{attribute, rate};
use crate::dispatch::{Budget, bad, collect, refusal, timely};
use crate::engine::Engine;
use crate::record::{Ticket, Worth};
use crate::relay::{input_estimate, tokens, usage_estimate};
use crate::route::{self, Seen};

/// What a request is, as far as that is known: then its answer's usage is read.
enum Known {
    Chat(&'static dyn Dialect, Box<Turn>),
    Operation(Box<Asked>),
    Nothing,
}

const PROVIDER: &str = "x-lockgate-provider";
const ROUTE: &str = "x-lockgate-route";
/// No model of its own.
const ANY: &str = "*";
/// The ends of paths that are a chat turn.
const CHATS: [(&str, &str); 4] = [
    ("/chat/completions", openai_chat::NAME),
    ("/completions", "openai.completions"),
    ("/responses", "openai.responses"),
    ("/messages", ANTHROPIC),
];

pub(super) async fn walk(
    engine: &Engine,
    snapshot: &Snapshot,
    errand: &Errand,
    ticket: &mut Ticket,
    principal: &Principal,
    body: impl Future<Output = Result<Bytes, Error>>,
) -> Result<Arrived, Error> {
    let headers = &errand.headers;

    // Admit: which provider, and whether this key may use all of it.
    let (upstream, path) = match &errand.task {
        Task::Passthrough { provider, path } => (named(snapshot, provider)?, &**path),
        Task::Kept(path) => (keeper(snapshot, headers, principal)?, &**path),
        Task::Model(..) => return Err(Error::gateway(Kind::Internal, "This is asked of a model.")),
    };
    ticket.names(&ANY.into(), false, None);
    permitted(principal, upstream)?;
    if matches!(errand.method, Method::CONNECT | Method::TRACE) {
        return Err(Error::client(Kind::NotFound, format!("{} is not passed on.", errand.method)));
    }
    let path = forward::path(path)?;
    let body = body.await?;

    // What it is decides the headers of the call and whether its answer can be metered.
    let known = Known::of(upstream, &errand.method, path, headers, &body);
    let payload = known.payload();
    ticket.attribute(attribute::attribute(&snapshot.attribution, principal, headers, payload)?);
    let model = known.model().unwrap_or_else(|| ANY.into());
    ticket.names(&model, known.streams(), payload);
    rate::admit(&engine.state, ticket, |likely| known.measure(likely))?;
    let speech = known.speech(upstream).ok_or_else(|| nothing_spoken(upstream))?;

    let target = Target { provider: Arc::clone(&upstream.name), model: Arc::clone(&model) };
    // All that passes shares one health: what the model is, if there is one, only the path may know.
    let any = Target { model: ANY.into(), ..target.clone() };
    let known_of = Endpoint::new(any, Arc::clone(upstream), Arc::default(), &engine.state.registry);
    let endpoint = Arc::new(Endpoint { target, ..known_of });
    // The policies see it as that model at that provider, or as any of the provider's models.
    let name = format!("{}/{model}", upstream.name);
    let seen = Seen {
        model: &name,
        dialect: "",
        stream: known.streams(),
        principal,
        attribution: ticket.attribution(),
        headers,
        payload: None,
        prompt_bytes: 0,
    };
    let candidate =
        snapshot.table.permits(upstream, &model, &route::ask(&seen, engine.state.clock.wall_ms())?);
    let refused = candidate.standing != Standing::Eligible;
    let decision = Arc::new(Decision {
        snapshot: snapshot.table.version(),
        matched: Matched::Direct,
        candidates: [candidate].into(),
        choice: None,
    });
    ticket.decided(Arc::clone(&decision));
    if refused {
        return Err(Refused { decision }.error(&name));
    }
    let plan = plan(decision, &endpoint);
    let budget = Budget::new(headers, &plan)?;
    let query = errand.query.as_deref().map(forward::query).filter(|query| !query.is_empty());
    let path = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let patience = budget.attempt(upstream.timeouts.first_byte);
    let mut segments = Segments::default();
    segments.push(body);
    let call = Call {
        upstream: Arc::clone(upstream),
        speech: Arc::clone(speech),
        method: errand.method.clone(),
        prefix: speech.paths.prefix.as_deref().map(Arc::from),
        path: Cow::Owned(path),
        headers: forward::headers(headers, speech),
        stream: known.streams(),
        body: segments,
        first_byte: patience.saturating_duration_since(Instant::now()),
        total: upstream.timeouts.total.min(budget.left()),
    };

    let at = ticket.attempt(&endpoint, None, Role::Usual);
    let worth = Worth::Counts(Counts::default());
    ticket
        .hold_for(at, &endpoint, &worth)
        .await
        .inspect_err(|error| ticket.attempted(at, None, Some(error)))?;
    let answer =
        engine.transport.call(call).await.inspect_err(|error| ticket.attempted(at, None, Some(error)))?;
    let status = answer.status;
    match arrived(answer, &known, speech, upstream, &budget).await {
        Ok(arrived) => {
            ticket.attempted(at, Some(status.as_u16()), None);
            Ok(arrived)
        }
        Err(error) => {
            ticket.attempted(at, Some(status.as_u16()), Some(&error));
            Err(error)
        }
    }
}

async fn arrived(
    answer: Answer,
    known: &Known,
    speech: &Speech,
    upstream: &Upstream,
    budget: &Budget,
) -> Result<Arrived, Error> {
    let status = answer.status;
    if status.is_client_error() || status.is_server_error() {
        let dialect = by_name(speech.dialect).unwrap_or(&openai_chat::OpenAiChat);
        return Err(refusal(dialect, speech, answer, budget).await);
    }
    if answer.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(bad("The provider's answer is compressed, which was not asked for."));
    }
    let Answer { headers, body: mut inflow, .. } = answer;
    let arrived = |cargo| {
        let losses = Losses::default();
        Arrived { status, headers: headers.clone(), losses, estimate: false, cargo }
    };
    if known.is_read_whole(&headers) {
        let whole = collect::whole(None, &mut inflow, upstream.max_answer);
        let body = timely(budget.whole(), whole).await?;
        let (usage, counts) = known.consumed(&headers, &body);
        return Ok(arrived(Cargo::Whole { body, usage, counts }));
    }
    let patience = budget.attempt(upstream.timeouts.first_byte);
    let first = timely(patience, async { collect::next(&mut inflow).await.transpose() }).await?;
    let Some(first) = first else {
        return Ok(arrived(Cargo::Whole { body: Bytes::new(), usage: None, counts: Counts::default() }));
    };
    let listener = known.listener(&headers);
    Ok(arrived(Cargo::Passing(Box::new(Begun { first, inflow, listener, endpoint: None }))))
}

fn named<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Arc<Upstream>, Error> {
    snapshot.table.upstreams().iter().find(|upstream| *upstream.name == *name).ok_or_else(|| {
        let shown: String = name.chars().take(100).collect();
        Error::client(Kind::NotFound, format!("No provider is named \"{shown}\"."))
    })
}

/// The provider that keeps a client's files and batches: the one that it names, the first of the route that it names,
/// or the only one.
fn keeper<'a>(
    snapshot: &'a Snapshot,
    headers: &HeaderMap,
    principal: &Principal,
) -> Result<&'a Arc<Upstream>, Error> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(name) = text(PROVIDER).filter(|name| !name.is_empty()) {
        return named(snapshot, name);
    }
    if let Some(name) = text(ROUTE).filter(|name| !name.is_empty()) {
        let first = snapshot.table.resolve(&name.into());
        let first = first.as_ref().and_then(|resolution| resolution.endpoints.first());
        return match first {
            Some(endpoint) => named(snapshot, &endpoint.target.provider),
            None => {
                let shown: String = name.chars().take(100).collect();
                Err(Error::client(Kind::NotFound, format!("No route is named \"{shown}\".")).param(ROUTE))
            }
        };
    }
    let family = if headers.contains_key(ANTHROPIC_VERSION) { ANTHROPIC } else { openai_chat::NAME };
    let keeps = |upstream: &&Arc<Upstream>| {
        matches!(upstream.reach, Reach::Network(_))
            && upstream.speaks.iter().any(|speech| speech.dialect == family)
            && principal.key.may_use(&whole(upstream))
    };
    let found: Vec<_> = snapshot.table.upstreams().iter().filter(keeps).collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(Error::client(
            Kind::NotFound,
            "No provider that this API key may use keeps files and batches in this form.",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|upstream| &*upstream.name).collect();
            Err(Error::client(
                Kind::InvalidRequest,
                format!(
                    "Which provider keeps it? Name one in the header \"{PROVIDER}\": {}; or a route in \"{ROUTE}\".",
                    names.join(", ")
                ),
            )
            .param(PROVIDER))
        }
    }
}

/// A provider as a whole, as keys name it.
fn whole(upstream: &Upstream) -> String {
    format!("{}/{ANY}", upstream.name)
}

fn permitted(principal: &Principal, upstream: &Upstream) -> Result<(), Error> {
    if principal.key.may_use(&whole(upstream)) {
        return Ok(());
    }
    Err(Error::gateway(
        Kind::PermissionDenied,
        format!(
            "This API key may not use {0} as a whole: its list of models would have to say \"{0}/{ANY}\".",
            upstream.name
        ),
    ))
}

fn nothing_spoken(upstream: &Upstream) -> Error {
    Error::gateway(Kind::NotFound, format!("How {} is called is not known here.", upstream.name))
}

/// A plan of one attempt at one target.
fn plan(decision: Arc<Decision>, endpoint: &Arc<Endpoint>) -> Plan {
    Plan {
        endpoints: vec![Arc::clone(endpoint)],
        patience: Patience { rounds: 0, attempt: None, total: None },
        decision,
        settings: Arc::default(),
        apart: Vec::new(),
        detours: Arc::default(),
        remember: Vec::new(),
    }
}

// === impl Known ===

impl Known {
    /// Told by the end of the path, if the provider speaks that dialect.
    fn of(upstream: &Upstream, method: &Method, path: &str, headers: &HeaderMap, body: &Bytes) -> Self {
        if *method != Method::POST {
            return Self::Nothing;
        }
        let speaks = |name: &str| upstream.speaks.iter().any(|speech| speech.dialect == name);
        if let Some((_, name)) = CHATS.iter().find(|(end, _)| path.ends_with(end)).filter(|(_, n)| speaks(n))
        {
            return Self::chat(name, body, None);
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        let (name, model, stream) = match last.rsplit_once(':') {
            Some((model, "generateContent")) => ("gemini.generateContent", model, false),
            Some((model, "streamGenerateContent")) => ("gemini.generateContent", model, true),
            _ => {
                let before = path.strip_suffix(last).and_then(|path| path.strip_suffix('/'));
                let model = before.and_then(|path| path.rsplit('/').next()).unwrap_or_default();
                ("bedrock.converse", model, last == "converse-stream")
            }
        };
        let decoded = percent_encoding::percent_decode_str(model).decode_utf8_lossy();
        if name != "bedrock.converse" || matches!(last, "converse" | "converse-stream") {
            let named = Named { model: &decoded, stream };
            return if speaks(name) { Self::chat(name, body, Some(named)) } else { Self::Nothing };
        }
        let content_type =
            headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let operation = Operation::ALL.into_iter().find(|operation| path.ends_with(operation.path()));
        let asked = operation.and_then(|operation| operation.peek(body.clone(), content_type, None).ok());
        asked.map_or(Self::Nothing, |asked| Self::Operation(Box::new(asked)))
    }

    /// A body that the dialect cannot read is for the provider to refuse.
    fn chat(name: &str, body: &Bytes, named: Option<Named<'_>>) -> Self {
        let read = by_name(name).and_then(|dialect| Some((dialect, dialect.peek(body.clone(), named).ok()?)));
        read.map_or(Self::Nothing, |(dialect, turn)| Self::Chat(dialect, Box::new(turn)))
    }

    /// How the provider is called for it: in its own dialect, else as it prefers.
    fn speech<'a>(&self, upstream: &'a Upstream) -> Option<&'a Arc<Speech>> {
        let own = match self {
            Self::Chat(dialect, _) => dialect.name(),
            Self::Operation(asked) => {
                asked.speech(upstream, &asked.model).map_or("", |speech| speech.dialect)
            }
            Self::Nothing => "",
        };
        upstream.speaks.iter().find(|speech| speech.dialect == own).or(upstream.speaks.first())
    }

    fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Chat(_, turn) => Some(&turn.payload),
            Self::Operation(asked) => asked.payload(),
            Self::Nothing => None,
        }
    }

    fn model(&self) -> Option<Arc<str>> {
        match self {
            Self::Chat(_, turn) => Some(Arc::clone(&turn.model)),
            Self::Operation(asked) => Some(Arc::clone(&asked.model)),
            Self::Nothing => None,
        }
    }

    /// What it is likely to use, if answers are `likely` so long.
    fn measure(&self, likely: u64) -> Measure {
        match self {
            Self::Chat(dialect, turn) => {
                let said = dialect.ceiling().read(&turn.payload);
                let each = said.tokens.map_or(likely, |most| most.min(likely));
                Measure { input: input_estimate(turn), output: each.saturating_mul(said.answers) }
            }
            Self::Operation(asked) => Measure { input: tokens(asked.prompt_bytes), output: 0 },
            Self::Nothing => Measure::default(),
        }
    }

    fn streams(&self) -> bool {
        match self {
            Self::Chat(_, turn) => turn.stream,
            Self::Operation(asked) => asked.stream,
            Self::Nothing => false,
        }
    }

    /// Whether the answer is one whose usage stands in it as a whole.
    fn is_read_whole(&self, headers: &HeaderMap) -> bool {
        let json = kind(headers).starts_with(b"application/json");
        json && !matches!(self, Self::Nothing)
    }

    /// What a whole answer reports. An answer that is not understood passes, and nothing is known of it.
    fn consumed(&self, headers: &HeaderMap, body: &Bytes) -> (Option<lockgate_core::Usage>, Counts) {
        match self {
            Self::Chat(dialect, turn) => {
                // The model has spoken and will be paid for, reported or not.
                let estimate = || usage_estimate(input_estimate(turn), body.len() as u64);
                let usage = dialect.whole(body).ok().map(|usage| usage.unwrap_or_else(estimate));
                (usage, Counts::default())
            }
            Self::Operation(asked) => {
                let part = [(headers.clone(), body.clone())];
                let read = Form::Own.read(asked, &asked.model, &part);
                read.map_or((None, Counts::default()), |answered| (answered.usage, answered.counts))
            }
            Self::Nothing => (None, Counts::default()),
        }
    }

    fn listener(&self, headers: &HeaderMap) -> Listener {
        let events = kind(headers).starts_with(b"text/event-stream");
        let aws = kind(headers).starts_with(b"application/vnd.amazon.eventstream");
        match self {
            Self::Chat(dialect, turn) if events || aws => {
                Listener::chat(dialect.framing(), dialect.meter(turn), turn)
            }
            Self::Operation(asked) if events => {
                let images = matches!(asked.operation, Operation::Images | Operation::ImageEdits);
                Listener::events(asked.counts, images)
            }
            Self::Operation(asked) => Listener::deaf(asked.counts),
            Self::Chat(..) | Self::Nothing => Listener::deaf(Counts::default()),
        }
    }
}

fn kind(headers: &HeaderMap) -> &[u8] {
    headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default()
}
