//! A gateway without a network: what every test of the walk asks.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body;
use lockgate_catalog::Catalog;
use lockgate_core::record::Target;
use lockgate_core::{Clock, Error, Fault, Key, Kind, Record, RequestId, Upstream};
use lockgate_dialect::Dialect;
use lockgate_dialect::openai_chat::OpenAiChat;
use lockgate_engine::ledger::Purse;
use lockgate_engine::{Engine, Inbound, KeyTable, Reply, ReplyBody, Snapshot, State, chat};
use lockgate_ledger::Limiter;
use lockgate_route::{Registry, Route, RouteSettings, Settings, Table};
use lockgate_testkit::{HandClock, KeptEvents, KeptRecords, Script, builder};

/// A request body that is right and says nothing.
pub(crate) const HELLO: &str = r#"{"model":"a/m","messages":[{"role":"user","content":"Hello"}]}"#;
/// The same for a stream.
pub(crate) const HELLO_STREAM: &str =
    r#"{"model":"a/m","messages":[{"role":"user","content":"Hello"}],"stream":true}"#;

/// The engine, and all that stands around it.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) script: Arc<Script>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) records: Arc<KeptRecords>,
    pub(crate) events: Arc<KeptEvents>,
}

/// How a stage is set.
pub(crate) struct Set {
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) routes: Vec<Route>,
    pub(crate) keys: Vec<Key>,
    pub(crate) breakers: Settings,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) purse: Option<Arc<Purse>>,
    pub(crate) limits: Arc<Limiter>,
}

/// What a client has in its hands at the end.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What the walk failed with before there was an answer.
    pub(crate) error: Option<(Kind, Fault)>,
}

// === impl Set ===

impl Set {
    /// These providers, no route, one key that may use everything.
    pub(crate) fn of(upstreams: impl IntoIterator<Item = Upstream>) -> Self {
        Self {
            upstreams: upstreams.into_iter().collect(),
            routes: Vec::new(),
            keys: vec![builder::key(builder::KEY)],
            breakers: Settings::default(),
            catalog: Arc::new(Catalog::empty()),
            purse: None,
            limits: Arc::default(),
        }
    }

    /// With a route over the providers' models `m`, in this order.
    pub(crate) fn route(mut self, name: &str, providers: &[&str], rounds: u32) -> Self {
        self.routes.push(route(name, providers, rounds));
        self
    }

    /// With breakers that never open.
    pub(crate) fn patient(mut self) -> Self {
        self.breakers = Settings { run: u32::MAX, refused: u32::MAX, least: u32::MAX, ..Settings::default() };
        self
    }

    pub(crate) fn stage(self) -> Stage {
        let registry = Arc::new(Registry::default());
        let upstreams = self.upstreams.into_iter().map(Arc::new).collect();
        let table = Arc::new(Table::new(1, upstreams, self.routes, Arc::clone(&registry)));
        let snapshot = Snapshot {
            table,
            keys: Arc::new(KeyTable::new(self.keys)),
            catalog: self.catalog,
            attribution: Arc::default(),
        };
        let (clock, script) = (Arc::new(HandClock::new()), Script::new());
        let (records, events) = (Arc::new(KeptRecords::default()), Arc::new(KeptEvents::default()));
        let state = State {
            snapshot: Arc::new(snapshot).into(),
            registry,
            breakers: self.breakers,
            clock: clock.clone(),
            events: events.clone(),
            records: records.clone(),
            purse: self.purse,
            limits: self.limits,
            hasher: Box::new(builder::hash),
        };
        let engine = Engine { state: Arc::new(state), transport: script.clone() };
        Stage { engine, script, clock, records, events }
    }
}

/// A route over the providers' models `m`, in this order.
pub(crate) fn route(name: &str, providers: &[&str], rounds: u32) -> Route {
    let targets = providers.iter().map(|p| Target { provider: (*p).into(), model: "m".into() });
    let settings = RouteSettings { rounds: Some(rounds), ..RouteSettings::default() };
    Route { settings, ..Route::ordered(name, targets) }
}

// === impl Stage ===

impl Stage {
    /// A stage with the providers `a` and `b`, and the route `both` over them without a second round.
    pub(crate) fn two() -> Self {
        Set::of([builder::upstream("a"), builder::upstream("b")]).route("both", &["a", "b"], 0).stage()
    }

    /// The walk of a request with the tests' key, up to its answer.
    pub(crate) fn chat(&self, body: impl Into<Bytes>) -> impl Future<Output = Result<Reply, Error>> {
        self.chat_with(&[("authorization", "Bearer lg-test-key")], body)
    }

    /// The walk of a request with these headers, up to its answer.
    pub(crate) fn chat_with(
        &self,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> impl Future<Output = Result<Reply, Error>> {
        let (inbound, body) = (self.inbound(headers), body.into());
        async { chat(&self.engine, inbound, async { Ok(body) }).await }
    }

    /// A request whose body has not been read.
    pub(crate) fn inbound(&self, headers: &[(&str, &str)]) -> Inbound {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        Inbound {
            id: RequestId::new(self.clock.wall_ms()),
            arrived: self.clock.now(),
            dialect: &OpenAiChat,
            named: None,
            headers: map,
        }
    }

    /// A request with the tests' key, and all of its answer.
    pub(crate) async fn ask(&self, body: impl Into<Bytes>) -> Heard {
        hear(self.chat(body).await).await
    }

    /// A request with the tests' key and further headers, and all of its answer.
    pub(crate) async fn ask_with(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Heard {
        let mut all = vec![("authorization", "Bearer lg-test-key")];
        all.extend_from_slice(headers);
        hear(self.chat_with(&all, body).await).await
    }

    /// The one record of the one request since the last look.
    pub(crate) fn record(&self) -> Record {
        let mut records = self.records.take();
        assert_eq!(records.len(), 1, "one request, one record: {records:#?}");
        records.remove(0)
    }
}

/// All of an answer, as the door would hand it over.
pub(crate) async fn hear(answer: Result<Reply, Error>) -> Heard {
    match answer {
        Ok(mut reply) => Heard {
            status: reply.status.as_u16(),
            headers: reply.headers,
            body: drain(&mut reply.body).await,
            error: None,
        },
        Err(error) => refusal(&error),
    }
}

/// An error, as the door would hand it over.
fn refusal(error: &Error) -> Heard {
    let (headers, body) = match error.own_answer() {
        Some(own) => (own.headers.clone(), own.body.clone()),
        None => {
            let (content_type, body) = OpenAiChat.write_error(error, RequestId::from_u128(1));
            let mut headers = error.headers().clone();
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            (headers, body)
        }
    };
    Heard { status: error.status().as_u16(), headers, body, error: Some((error.kind(), error.fault())) }
}

async fn drain(body: &mut ReplyBody) -> Bytes {
    let mut all = BytesMut::new();
    while let Some(piece) = piece(body).await {
        all.extend_from_slice(&piece);
    }
    all.freeze()
}

/// The next piece of a body.
pub(crate) async fn piece(body: &mut ReplyBody) -> Option<Bytes> {
    poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await.map(|frame| frame.unwrap().into_data().unwrap())
}

/// What a future says at its first poll, with nobody to wake.
pub(crate) fn at_once<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
