//! The data plane: what path means what, and the only place where errors become answers.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use lockgate_core::{Error, Event, Kind, RequestId};
use lockgate_dialect::Dialect;
use lockgate_dialect::openai_chat::OpenAiChat;
use lockgate_engine::{
    Engine, Errand, Hail, Inbound, Reply, ReplyBody, admit, chat, explain, realtime, simple,
};

use crate::body::{Outgoing, UnderWay, read};
use crate::drain::Phase;
use crate::house::House;
use crate::panics::caught;
use crate::paths::{Form, Operation, operation};
use crate::watch::Pulse;
use crate::{admin, key, models, page, talk};

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
        if http1 && length(&request) > self.house.limits.header {
            return too_long(under_way);
        }
        let mut response = match operation(request.method(), request.uri(), request.headers()) {
            Some(Operation::Realtime) => Box::pin(self.talk(request, under_way)).await,
            Some(operation) => self.data(operation, request, under_way).await,
            None => Box::pin(self.page(request, under_way)).await,
        };
        let is_http = response.status() != http::StatusCode::SWITCHING_PROTOCOLS;
        if http1 && is_http && self.house.drain.is_leaving() {
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
            Operation::Realtime | Operation::Explain | Operation::Key => &OpenAiChat,
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
            Operation::Explain => {
                let limits = &self.house.limits;
                let body = read(body, limits.body, limits.body_timeout);
                caught(Box::pin(explain(state, &parts.headers, id, &OpenAiChat, body))).await
            }
            Operation::Models(form) => caught(async { self.models(&parts.headers, form, id) }).await,
            Operation::Key => caught(Box::pin(key::page(&self.house, &parts.headers, id))).await,
            // Answered before.
            Operation::Realtime => Ok(Err(talk::no_handshake())),
        };
        let reply = self.settled(reply).unwrap_or_else(|error| render(&error, dialect, id));
        // Answers that came in together go out together, as the requests do.
        if self.house.drain.in_flight() > 1 {
            tokio::task::yield_now().await;
        }
        let mut response = Response::new(Outgoing::reply(reply.body, under_way));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }

    /// `GET /v1/realtime`: a conversation that goes on without HTTP.
    async fn talk(&self, mut request: Request<Incoming>, under_way: UnderWay) -> Response<Outgoing> {
        let state = &self.house.state;
        let id = RequestId::new(state.clock.wall_ms());
        let upgrade = talk::is_handshake(request.headers()).then(|| hyper::upgrade::on(&mut request));
        let (mut parts, _) = request.into_parts();
        key_from_query(&mut parts);
        talk::key_from_protocol(&mut parts.headers);
        let begun = match upgrade {
            None => Err(talk::no_handshake()),
            Some(upgrade) => {
                let query = parts.uri.query().map(str::to_owned);
                let hail = Hail { id, arrived: state.clock.now(), query, headers: parts.headers };
                let begun = caught(Box::pin(realtime(&self.engine, hail))).await;
                self.settled(begun).map(|talk| (talk, upgrade))
            }
        };
        match begun {
            Ok((mut talk, upgrade)) => {
                let mut response = Response::new(Outgoing::nothing());
                *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
                *response.headers_mut() = std::mem::take(&mut talk.headers);
                let leaving = self.house.drain.reached(Phase::Closed);
                tokio::spawn(talk::hold(talk, upgrade, leaving, under_way));
                response
            }
            Err(error) => {
                let reply = render(&error, &OpenAiChat, id);
                let mut response = Response::new(Outgoing::reply(reply.body, under_way));
                *response.status_mut() = reply.status;
                *response.headers_mut() = reply.headers;
                response
            }
        }
    }

    /// A walk's end, or that of a panic; noted where nobody else does.
    fn settled<T>(&self, walked: Result<Result<T, Error>, String>) -> Result<T, Error> {
        let state = &self.house.state;
        let walked = walked.unwrap_or_else(|detail| {
            state.events.emit(&Event::PanicCaught { detail: &detail });
            Err(Error::gateway(
                Kind::Internal,
                "The gateway met an error of its own; the request's id finds it in the log.",
            )
            .detail(detail))
        });
        walked.inspect_err(|error| {
            if error.kind() == Kind::Unauthenticated {
                state.events.emit(&Event::RequestRefused(error));
            }
        })
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

/// The length of a request's head, in bytes.
fn length<B>(request: &Request<B>) -> usize {
    /// Colon, space and the end of the line; also, about, what a request line has beside its path.
    const AROUND: usize = 4;
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + AROUND);
    path + 4 * AROUND + fields.sum::<usize>()
}

/// The answer to a head that is too long. What is behind it was not looked at, so the connection ends.
fn too_long(under_way: UnderWay) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::reply(ReplyBody::whole(Bytes::new()), under_way));
    *response.status_mut() = http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
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

pub(crate) fn insert_id(headers: &mut HeaderMap, id: RequestId) {
    if let Ok(value) = HeaderValue::from_str(id.text().as_str()) {
        headers.insert("x-lockgate-request-id", value);
    }
}
