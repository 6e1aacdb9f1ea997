//! Requests that are not chat turns, as tests send them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lockgate_catalog::Catalog;
use lockgate_core::{Clock, Error, RequestId, Speech, Upstream};
use lockgate_dialect::operation::Operation;
use lockgate_engine::{Errand, Reply, Snapshot, Task, simple};
use lockgate_testkit::builder;

use crate::stage::{Heard, Set, Stage, hear};

/// A request under way to the gateway.
pub(crate) struct Sent {
    task: Task,
    method: Method,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

/// Something asked of a model, in JSON, with the tests' key.
pub(crate) fn ask(operation: Operation, body: impl Into<Bytes>) -> Sent {
    Sent::new(Task::Model(operation, None), Method::POST, body).with("content-type", "application/json")
}

/// The same of a model that the path names.
pub(crate) fn ask_named(operation: Operation, model: &str, body: impl Into<Bytes>) -> Sent {
    Sent { task: Task::Model(operation, Some(model.into())), ..ask(operation, body) }
}

/// A call to files or batches.
pub(crate) fn kept(method: Method, path: &str) -> Sent {
    Sent::new(Task::Kept(path.into()), method, Bytes::new())
}

/// A call that goes on as it is.
pub(crate) fn through(method: Method, provider: &str, path: &str, body: impl Into<Bytes>) -> Sent {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let task = Task::Passthrough { provider: provider.into(), path: path.into() };
    Sent { query: query.map(str::to_owned), ..Sent::new(task, method, body) }
}

/// A provider that is spoken to in these dialects, each with the credential `sk-NAME-secret`.
pub(crate) fn speaking(name: &str, dialects: &[&'static str]) -> Upstream {
    let upstream = builder::upstream(name);
    let headers = upstream.speaks[0].headers.clone();
    let speech = |name: &&'static str| Arc::new(Speech { headers: headers.clone(), ..Speech::plain(name) });
    Upstream { speaks: dialects.iter().map(speech).collect(), ..upstream }
}

/// A stage with these providers and the prices of the built-in catalogue.
pub(crate) fn priced(upstreams: impl IntoIterator<Item = Upstream>) -> Stage {
    with_prices(Set::of(upstreams).patient().stage())
}

pub(crate) fn with_prices(stage: Stage) -> Stage {
    let before = stage.engine.state.snapshot.load_full();
    stage.engine.state.snapshot.store(Arc::new(Snapshot {
        table: Arc::clone(&before.table),
        keys: Arc::clone(&before.keys),
        catalog: Arc::new(Catalog::built_in()),
        attribution: Arc::default(),
    }));
    stage
}

// === impl Sent ===

impl Sent {
    fn new(task: Task, method: Method, body: impl Into<Bytes>) -> Self {
        let sent = Self { task, method, query: None, headers: HeaderMap::new(), body: body.into() };
        sent.with("authorization", "Bearer lg-test-key")
    }

    /// With this header, in place of another of its name.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).unwrap();
        self.headers.insert(name, HeaderValue::try_from(value).unwrap());
        self
    }

    /// Up to the answer's head.
    pub(crate) async fn begin(self, stage: &Stage) -> Result<Reply, Error> {
        let errand = Errand {
            id: RequestId::new(stage.clock.wall_ms()),
            arrived: stage.clock.now(),
            task: self.task,
            method: self.method,
            query: self.query,
            headers: self.headers,
        };
        let body = self.body;
        simple(&stage.engine, errand, async { Ok(body) }).await
    }

    /// All of the answer.
    pub(crate) async fn to(self, stage: &Stage) -> Heard {
        hear(self.begin(stage).await).await
    }
}
