//! A gateway whose providers are the demo in this process: behind its own dialect, or behind a second gateway that gives it
//! the client's.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body::{Body, Frame};
use lockgate_catalog::price::{Bucket, Card, Entry};
use lockgate_catalog::{Catalog, ModelOverride};
use lockgate_core::money::Price;
use lockgate_core::port::{Answer, Call, Ready, Transport};
use lockgate_core::record::Target;
use lockgate_core::upstream::Timeouts;
use lockgate_core::{Error, Kind, Prefill, Record, RequestId, Speech, Upstream};
use lockgate_demo::Demo;
use lockgate_dialect::by_name;
use lockgate_engine::{Engine, Inbound, KeyTable, ReplyBody, Snapshot, State, chat};
use lockgate_route::{OnBreak, Registry, Route, RouteSettings, Settings, Table};
use lockgate_testkit::{HandClock, KeptEvents, KeptRecords, builder};
use tokio::time::{Instant, Sleep, sleep_until};

/// How a provider is reached: its own dialect, and what happens to its streams.
pub(crate) struct Provider {
    pub(crate) name: &'static str,
    pub(crate) dialect: &'static str,
    pub(crate) prefill: Prefill,
    /// Ends a stream behind so many events in this way.
    pub(crate) cut: Option<(usize, Cut)>,
}

/// How a stream is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The connection breaks inside an event.
    Reset,
    /// It ends as if that were all.
    Clean,
    /// Nothing more comes.
    Silence,
}

/// Longest silence inside an answer, as the real transport keeps it.
const BETWEEN: Duration = Duration::from_millis(400);

/// A gateway.
pub(crate) struct House {
    pub(crate) engine: Engine,
    records: Arc<KeptRecords>,
}

/// What came of a request.
pub(crate) struct Came {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) record: Record,
}

impl House {
    /// A gateway with a route over these targets in order, which goes on with what breaks, and prices of 1 and 2 dollars for
    /// a million tokens in and out.
    pub(crate) fn new(providers: Vec<Provider>, targets: &[(&str, &str)]) -> Self {
        let upstreams: Vec<Arc<Upstream>> = providers.iter().map(|it| Arc::new(upstream(it))).collect();
        let settings = RouteSettings {
            rounds: Some(1),
            attempt_timeout: Some(Duration::from_secs(1)),
            timeout: Some(Duration::from_secs(60)),
            on_break: Some(OnBreak::Continue),
            ..RouteSettings::default()
        };
        let names = targets
            .iter()
            .map(|(provider, model)| Target { provider: (*provider).into(), model: (*model).into() });
        let route = Route { settings, ..Route::ordered("bot", names) };
        let registry = Arc::new(Registry::default());
        let entry = |bucket, dollars: u64| Entry {
            card: Card::STANDARD,
            bucket,
            price: Price(dollars * 1_000_000_000),
        };
        let priced = |(provider, id): &(&str, &str)| ModelOverride {
            provider: (*provider).into(),
            id: (*id).into(),
            prices: vec![entry(Bucket::Input, 1), entry(Bucket::Output, 2)],
            ..ModelOverride::default()
        };
        let overrides: Vec<ModelOverride> = targets.iter().map(priced).collect();
        let snapshot = Snapshot {
            table: Arc::new(Table::new(1, upstreams, [route], Arc::clone(&registry))),
            keys: Arc::new(KeyTable::new([builder::key(builder::KEY)])),
            catalog: Arc::new(Catalog::empty().with(&overrides)),
            attribution: Arc::default(),
        };
        let records = Arc::new(KeptRecords::default());
        let state = State {
            snapshot: Arc::new(snapshot).into(),
            registry,
            breakers: Settings { run: u32::MAX, refused: u32::MAX, least: u32::MAX, ..Settings::default() },
            clock: Arc::new(HandClock::new()),
            events: Arc::new(KeptEvents::default()),
            records: records.clone(),
            purse: None,
            limits: Arc::default(),
            hasher: Box::new(builder::hash),
        };
        let engine = Engine { state: Arc::new(state), transport: Arc::new(InProcess { providers }) };
        Self { engine, records }
    }

    /// A gateway straight to the demo.
    pub(crate) fn direct(targets: &[(&str, &str)], prefill: Prefill) -> Self {
        let provider = |name| Provider { name, dialect: "openai.chat", prefill, cut: None };
        Self::new(vec![provider("a"), provider("b")], targets)
    }

    /// A request of this dialect, and all that comes of it.
    pub(crate) async fn ask(&self, dialect: &str, named: Option<(String, bool)>, body: Bytes) -> Came {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer lg-test-key"));
        let state = &self.engine.state;
        let inbound = Inbound {
            id: RequestId::new(state.clock.wall_ms()),
            arrived: state.clock.now(),
            dialect: by_name(dialect).unwrap(),
            named,
            headers,
        };
        let (status, body) = match chat(&self.engine, inbound, async { Ok(body) }).await {
            Ok(mut reply) => {
                let mut all = Vec::new();
                while let Some(frame) =
                    std::future::poll_fn(|cx| Pin::new(&mut reply.body).poll_frame(cx)).await
                {
                    all.extend_from_slice(&frame.unwrap().into_data().unwrap());
                }
                (reply.status.as_u16(), all.into())
            }
            Err(error) => {
                (error.status().as_u16(), Bytes::from(format!("{{\"error\":{{\"message\":\"{error:?}\"}}}}")))
            }
        };
        let mut records = self.records.take();
        assert_eq!(records.len(), 1, "one request, one record");
        Came { status, body, record: records.remove(0) }
    }
}

fn upstream(provider: &Provider) -> Upstream {
    let mut speech = Speech::plain(provider.dialect);
    speech.quirks.prefill = provider.prefill;
    let timeouts = Timeouts {
        first_byte: Duration::from_millis(400),
        between_bytes: BETWEEN,
        total: Duration::from_secs(3),
        ..Timeouts::default()
    };
    Upstream { speaks: vec![Arc::new(speech)], timeouts, ..builder::upstream(provider.name) }
}

/// Reaches the demo without a socket.
struct InProcess {
    providers: Vec<Provider>,
}

impl Transport for InProcess {
    fn call(&self, call: Call) -> Ready<'_, Result<Answer, Error>> {
        Box::pin(async move {
            let limit = call.first_byte.min(call.total);
            let end = Instant::now() + call.total;
            let late = || Error::upstream(Kind::UpstreamTimeout, "The provider did not answer in time.");
            tokio::time::timeout(limit, self.answer(call, end)).await.map_err(|_| late())?
        })
    }
}

impl InProcess {
    async fn answer(&self, call: Call, end: Instant) -> Result<Answer, Error> {
        let provider = self.providers.iter().find(|it| *it.name == *call.upstream.name).unwrap();
        let watch = |source| Watched { source, cut: provider.cut, events: 0, end, timer: None };
        if provider.dialect == "openai.chat" {
            let request = Request::post(format!("/v1{}", call.path)).body(call.body.join()).unwrap();
            let demo = Demo::instant();
            let (parts, body) = demo.answer(request).await.into_parts();
            let body = Box::pin(watch(Source::Demo(body)));
            return Ok(Answer { status: parts.status, headers: parts.headers, body });
        }
        // A second gateway says the demo's answer in the dialect of this provider.
        let model = call.path.split("/models/").nth(1).and_then(|rest| rest.split(':').next());
        let named = model.map(|model| (format!("b/{}", model.replace("%3A", ":")), call.stream));
        let body = call.body.join();
        let body = match &named {
            Some(_) => body,
            None => {
                let mut json: serde_json::Value = serde_json::from_slice(&body).unwrap();
                json["model"] = format!("b/{}", json["model"].as_str().unwrap()).into();
                json.to_string().into()
            }
        };
        let inner = House::direct(&[("b", "chat")], Prefill::No);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer lg-test-key"));
        let inbound = Inbound {
            id: RequestId::new(1),
            arrived: inner.engine.state.clock.now(),
            dialect: by_name(provider.dialect).unwrap(),
            named,
            headers,
        };
        let reply = chat(&inner.engine, inbound, async { Ok(body) }).await?;
        let body = Box::pin(watch(Source::Gateway(reply.body)));
        Ok(Answer { status: reply.status, headers: reply.headers, body })
    }
}

enum Source {
    Demo(lockgate_demo::Body),
    Gateway(ReplyBody),
}

/// A body under the transport's time limits, and under the test's knife.
struct Watched {
    source: Source,
    cut: Option<(usize, Cut)>,
    events: usize,
    end: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let next = match (this.cut, &mut this.source) {
            (Some((after, cut)), _) if this.events >= after => match cut {
                Cut::Silence => Poll::Pending,
                Cut::Clean => return Poll::Ready(None),
                Cut::Reset => return Poll::Ready(Some(Err(builder::broken()))),
            },
            (_, Source::Demo(body)) => Pin::new(body)
                .poll_frame(cx)
                .map(|next| next.map(|frame| frame.map_err(|why| builder::broken().detail(why.to_string())))),
            (_, Source::Gateway(body)) => Pin::new(body).poll_frame(cx),
        };
        if let Poll::Ready(next) = next {
            this.timer = None;
            let Some((after, cut)) = this.cut else { return Poll::Ready(next) };
            let Some(Ok(frame)) = next else { return Poll::Ready(next) };
            let Ok(data) = frame.into_data() else { return Poll::Ready(None) };
            let ends: Vec<usize> = memchr::memmem::find_iter(&data, b"\n\n")
                .chain(memchr::memmem::find_iter(&data, b"\r\n\r\n"))
                .collect();
            let before = this.events;
            this.events += ends.len();
            if this.events < after {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            // Inside the event behind the last one that passes, or right behind it.
            let mut ends = ends;
            ends.sort_unstable();
            let last = ends.get(after - before - 1).map_or(0, |at| at + 2);
            let inside = if cut == Cut::Reset { 9 } else { 2 };
            let upto = (last + inside).min(data.len());
            return Poll::Ready(Some(Ok(Frame::data(data.slice(..upto)))));
        }
        let end = this.end.min(Instant::now() + BETWEEN);
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        timer.as_mut().poll(cx).map(|()| {
            this.timer = None;
            let text = "The provider stopped in the middle of its answer.";
            Some(Err(Error::upstream(Kind::UpstreamTimeout, text)))
        })
    }
}
