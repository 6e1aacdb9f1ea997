//! The data plane: what path means what, and the only place where errors become answers.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use lockgate_core::{Error, Event, Kind, RequestId};
use lockgate_dialect::Dialect;
use lockgate_dialect::openai_chat::OpenAiChat;
use lockgate_engine::{Engine, Errand, Inbound, Reply, ReplyBody, admit, chat, simple};

use crate::body::{Outgoing, UnderWay, read};
use crate::house::House;
use crate::panics::caught;
use crate::paths::{Form, Operation, operation};
use crate::watch::Pulse;
use crate::{admin, models, page};

/// One worker's door.
pub(crate) struct Door {
    pub(crate) house: Arc<House>,
    engine: Engine,
    pages: axum::Router,
}

impl Door {
    pub(crate) fn new(house: Arc<House>, engine: Engine) -> Self {
        let pages = admin::router(&house).merge(page::router(&house));
        Self { house, engine, pages }
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>, pulse: &Arc<Pulse>) -> Response<Outgoing> {
        let under_way = UnderWay::begin(&self.house.drain, pulse);
        let http1 = request.version() < http::Version::HTTP_2;
        let mut response = match operation(request.method(), request.uri(), request.headers()) {
            Some(operation) => self.data(operation, request, under_way).await,
            None => Box::pin(self.page(request, under_way)).await,
        };
        if http1 && self.house.drain.is_leaving() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn data(
        &self,
        operation: Operation,
        request: Request<Incoming>,
        under_way: UnderWay,
    ) -> Response<Outgoing> {
        let state = &self.house.state;
        let id = RequestId::new(state.clock.wall_ms());
        let (mut parts, body) = request.into_parts();
        let dialect: &'static dyn Dialect = match &operation {
            Operation::Chat(dialect, _) => *dialect,
            Operation::Models(form) => models::dialect(*form),
            Operation::Simple(task) => task.words(&parts.headers),
        };
        key_from_query(&mut parts);
        let reply = match operation {
            Operation::Chat(_, named) => {
                let arrived = state.clock.now();
                let inbound = Inbound { id, arrived, dialect, named, headers: parts.headers };
                let limits = &self.house.limits;
                // In a box of its own, as a connection keeps room for its largest future and moves it for each request.
                let walk =
                    Box::pin(chat(&self.engine, inbound, read(body, limits.body, limits.body_timeout)));
                caught(walk).await
            }
            Operation::Simple(task) => {
                let arrived = state.clock.now();
                let query = parts.uri.query().map(str::to_owned);
                let errand =
                    Errand { id, arrived, task, method: parts.method, query, headers: parts.headers };
                let limits = &self.house.limits;
                let walk =
                    Box::pin(simple(&self.engine, errand, read(body, limits.body, limits.body_timeout)));
                caught(walk).await
            }
            Operation::Models(form) => caught(async { self.models(&parts.headers, form, id) }).await,
        };
        let reply = reply.unwrap_or_else(|detail| {
            state.events.emit(&Event::PanicCaught { detail: &detail });
            Err(Error::gateway(
                Kind::Internal,
                "The gateway met an error of its own; the request's id finds it in the log.",
            )
            .detail(detail))
        });
        let reply = reply.unwrap_or_else(|error| {
            if error.kind() == Kind::Unauthenticated {
                state.events.emit(&Event::RequestRefused(&error));
            }
            render(&error, dialect, id)
        });
        // Answers that came in together go out together, as the requests do.
        if self.house.drain.in_flight() > 1 {
            tokio::task::yield_now().await;
        }
        let mut response = Response::new(Outgoing::reply(reply.body, under_way));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }

    /// `GET /v1/models`: what the key may use.
    fn models(&self, headers: &HeaderMap, form: Form, id: RequestId) -> Result<Reply, Error> {
        let snapshot = self.house.state.snapshot.load_full();
        let principal = admit::identify::identify(&self.house.state, &snapshot, headers)?;
        let mut listed = page::models(&snapshot);
        listed.retain(|(name, _)| principal.key.models.is_empty() || principal.key.may_use(name));
        let body = models::list(form, &listed);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        insert_id(&mut headers, id);
        Ok(Reply { status: http::StatusCode::OK, headers, body: ReplyBody::whole(body) })
    }

    async fn page(&self, request: Request<Incoming>, under_way: UnderWay) -> Response<Outgoing> {
        use tower_service::Service as _;
        let path = request.uri().path().to_owned();
        let response = caught(self.pages.clone().call(request.map(axum::body::Body::new))).await;
        match response {
            Ok(Ok(response)) => response.map(|body| Outgoing::page(body, under_way)),
            Err(detail) => {
                self.house.state.events.emit(&Event::PanicCaught { detail: &detail });
                let error =
                    Error::gateway(Kind::Internal, format!("The gateway met an error of its own at {path}."));
                let reply = render(&error, &OpenAiChat, RequestId::new(self.house.state.clock.wall_ms()));
                let mut response = Response::new(Outgoing::reply(reply.body, under_way));
                *response.status_mut() = reply.status;
                response
            }
        }
    }
}

/// An error as the client's dialect words it, or the provider's own answer untouched.
pub(crate) fn render(error: &Error, dialect: &dyn Dialect, id: RequestId) -> Reply {
    let (mut headers, body) = match error.own_answer() {
        Some(own) => (own.headers.clone(), own.body.clone()),
        None => {
            let (content_type, body) = dialect.write_error(error, id);
            let mut headers = error.headers().clone();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            (headers, body)
        }
    };
    headers.insert("x-lockgate-error", HeaderValue::from_static(error.kind().code()));
    headers.insert("x-lockgate-fault", HeaderValue::from_static(error.fault().code()));
    if !headers.contains_key(RETRY_AFTER)
        && let Some(wait) = error.wait()
    {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs_f64().ceil() as u64));
    }
    insert_id(&mut headers, id);
    Reply { status: error.status(), headers, body: ReplyBody::whole(Bytes::clone(&body)) }
}

/// Where a client has its key in the query, as Google's examples do, it is put where every other has it.
fn key_from_query(parts: &mut http::request::Parts) {
    let Some(query) = parts.uri.query() else { return };
    let Some(key) = query.split('&').find_map(|pair| pair.strip_prefix("key=")) else { return };
    if let Ok(value) = HeaderValue::from_str(key) {
        parts.headers.entry("x-goog-api-key").or_insert(value);
    }
}

fn insert_id(headers: &mut HeaderMap, id: RequestId) {
    if let Ok(value) = HeaderValue::from_str(id.text().as_str()) {
        headers.insert("x-lockgate-request-id", value);
    }
}
