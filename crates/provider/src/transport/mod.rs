//! Reaches providers over HTTP/1.1 and HTTP/2, with connections that are kept for the next call.
//!
//! A transport belongs to one worker thread: its connections never leave their core, so its pool is never contended.
//! HTTP/2 is hyper's. HTTP/1.1 is our own, for what it saves: no task and no channel between the socket and the client's
//! stream, and no buffer of a stream that waits.

mod body;
mod connect;
mod errors;
mod http1;
mod pool;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Uri, Version};
use hyper::client::conn::http2;
use lockgate_core::port::{Answer, Call, Ready, Switched, Transport, Unsigned};
use lockgate_core::upstream::{Address, Http2, Reach};
use lockgate_core::{Clock, Error, Kind, Retry};
use lockgate_demo::Demo;
use tokio::time::{Instant, timeout};

use self::body::{Limits, Outgoing, Watched};
use self::http1::{Beyond, Broken, Link};
use self::pool::{Found, Place, Pool};

/// The transport of one worker thread.
pub struct HttpTransport {
    pool: Arc<Pool>,
    demo: Demo,
    /// What every call says beside its upstream's own headers: for a whole answer, and for a stream.
    common: [HeaderMap; 2],
    /// For signatures that hold for a time.
    clock: Arc<dyn Clock>,
    /// Calls that wait for the head of their answer.
    waiting: AtomicUsize,
}

const AGENT: &str = concat!("lockgate/", env!("CARGO_PKG_VERSION"));

impl HttpTransport {
    /// A transport without connections. `demo` answers for the built-in demo provider.
    pub fn new(demo: Demo, clock: Arc<dyn Clock>) -> Self {
        let common = ["application/json", "text/event-stream"].map(|accepted| {
            let pairs = [(CONTENT_TYPE, "application/json"), (USER_AGENT, AGENT), (ACCEPT, accepted)];
            pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
        });
        Self { pool: Arc::default(), demo, common, clock, waiting: AtomicUsize::new(0) }
    }

    async fn network(&self, call: Call, address: &Address) -> Result<Answer, Error> {
        let waiting = Waiting::begin(&self.waiting);
        let limits =
            Limits { between: call.upstream.timeouts.between_bytes, deadline: Instant::now() + call.total };
        let place = Place::of(address);
        let mut kept = self.pool.take(&place);
        loop {
            let was_kept = kept.is_some();
            let found = match kept.take() {
                Some(found) => found,
                // Rare, and large with its TLS: in a box, the usual call stays small.
                None => Box::pin(self.open(&call, address, &place)).await?,
            };
            match self.over(found, &call, address, &place, limits, waiting.alone()).await {
                // A kept connection that the other side closed meanwhile says nothing about the provider.
                Err(Lost::Unanswered(_)) if was_kept => {}
                Err(Lost::Unanswered(error) | Lost::Failed(error)) => return Err(error),
                Ok(answer) => return Ok(answer),
            }
        }
    }

    async fn open(&self, call: &Call, address: &Address, place: &Place) -> Result<Found, Error> {
        let found = connect::connect(address, call.upstream.timeouts.connect.min(call.total)).await?;
        if let Found::Many(sender) = &found {
            self.pool.share(place, sender.clone());
        }
        Ok(found)
    }

    async fn over(
        &self,
        found: Found,
        call: &Call,
        address: &Address,
        place: &Place,
        limits: Limits,
        alone: bool,
    ) -> Result<Answer, Lost> {
        let in_time = |_| Lost::Failed(errors::head_timeout(address));
        match found {
            Found::One(link) => {
                timeout(call.first_byte, self.over_http1(link, call, address, place, limits, alone))
                    .await
                    .map_err(in_time)?
            }
            Found::Many(sender) => timeout(call.first_byte, self.over_http2(sender, call, address, limits))
                .await
                .map_err(in_time)?,
        }
    }

    async fn over_http1(
        &self,
        link: Link,
        call: &Call,
        address: &Address,
        place: &Place,
        limits: Limits,
        alone: bool,
    ) -> Result<Answer, Lost> {
        let signed = self.signed(call, address).await.map_err(Lost::Failed)?;
        let headers = [self.common(call), &call.speech.headers, &call.headers, &signed];
        let head = http1::write_head(
            &call.method,
            [prefix(call, address), &call.path],
            address.authority.as_str(),
            headers,
            Some(call.body.len()),
        );
        // Requests that came in together go out together: a provider that is woken once takes them all.
        if !alone {
            tokio::task::yield_now().await;
        }
        let (head, reading) =
            link.call(&head, call.body.pieces(), call.method == Method::HEAD).await.map_err(|broken| {
                let error = errors::sending1(&broken, address);
                let unanswered = matches!(broken, Broken::Io { unanswered: true, .. });
                if unanswered { Lost::Unanswered(error) } else { Lost::Failed(error) }
            })?;
        let body = Watched::http1(reading, &self.pool, place.clone(), limits);
        Ok(Answer { status: head.status, headers: head.headers, body: Box::pin(body) })
    }

    async fn over_http2(
        &self,
        mut sender: http2::SendRequest<Outgoing>,
        call: &Call,
        address: &Address,
        limits: Limits,
    ) -> Result<Answer, Lost> {
        let signed = self.signed(call, address).await.map_err(Lost::Failed)?;
        let request = self.request(call, address, &signed).map_err(Lost::Failed)?;
        let sent = match sender.ready().await {
            Ok(()) => sender.send_request(request).await,
            Err(error) => Err(error),
        };
        let response = sent.map_err(|error| {
            let lost = errors::sending2(&error, address);
            if error.is_canceled() || error.is_closed() { Lost::Unanswered(lost) } else { Lost::Failed(lost) }
        })?;
        let (parts, body) = response.into_parts();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: Box::pin(Watched::http2(body, limits)),
        })
    }

    /// Asks for another protocol on a connection of its own, which is not kept.
    async fn switched(&self, call: Call, address: &Address) -> Result<Switched, Error> {
        let limits =
            Limits { between: call.upstream.timeouts.between_bytes, deadline: Instant::now() + call.total };
        // Only HTTP/1.1 steps aside.
        let address = &Address { http2: Http2::Never, ..address.clone() };
        let limit = call.upstream.timeouts.connect.min(call.total);
        let Found::One(link) = connect::connect(address, limit).await? else {
            return Err(Error::gateway(Kind::Internal, "The connection is not one of HTTP/1.1."));
        };
        let signed = self.signed(&call, address).await?;
        let mut common = HeaderMap::new();
        common.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let headers = [&common, &call.speech.headers, &call.headers, &signed];
        let path = [prefix(&call, address), &call.path];
        let head = http1::write_head(&call.method, path, address.authority.as_str(), headers, None);
        let (head, beyond) = timeout(call.first_byte, link.switch(&head))
            .await
            .map_err(|_| errors::head_timeout(address))?
            .map_err(|broken| errors::sending1(&broken, address))?;
        Ok(match beyond {
            Beyond::Line(line) => Switched::Yes(head.headers, Box::pin(line)),
            Beyond::Body(reading) => {
                let body = Watched::http1(reading, &self.pool, Place::of(address), limits);
                Switched::No(Answer { status: head.status, headers: head.headers, body: Box::pin(body) })
            }
        })
    }

    /// The headers that prove who calls, where fixed ones are not enough.
    async fn signed(&self, call: &Call, address: &Address) -> Result<HeaderMap, Error> {
        let Some(signer) = &call.speech.signer else { return Ok(HeaderMap::new()) };
        let own = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let unsigned = Unsigned {
            upstream: &call.upstream,
            method: &call.method,
            authority: address.authority.as_str(),
            path: &format!("{}{}", prefix(call, address), call.path),
            content_type: own.unwrap_or("application/json"),
            body: &call.body,
            wall_ms: self.clock.wall_ms(),
        };
        signer.sign(unsigned, self).await
    }

    fn request(
        &self,
        call: &Call,
        address: &Address,
        signed: &HeaderMap,
    ) -> Result<Request<Outgoing>, Error> {
        let uri = Uri::builder()
            .scheme(address.scheme.clone())
            .authority(address.authority.clone())
            .path_and_query(format!("{}{}", prefix(call, address), call.path))
            .build()
            .map_err(|error| {
                Error::gateway(Kind::Internal, "The provider's address cannot be used.")
                    .detail(error.to_string())
            })?;
        let mut request = Request::new(Outgoing::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        headers.clone_from(self.common(call));
        for further in [&call.speech.headers, &call.headers, signed] {
            for (name, value) in further {
                headers.insert(name.clone(), value.clone());
            }
        }
        Ok(request)
    }

    const fn common(&self, call: &Call) -> &HeaderMap {
        &self.common[call.stream as usize]
    }

    async fn demo(&self, call: Call) -> Result<Answer, Error> {
        let request = Request::builder()
            .method(call.method)
            .uri(format!("/v1{}", call.path))
            .body(call.body.join())
            .map_err(|error| {
                Error::gateway(Kind::Internal, "The request could not be made.").detail(error.to_string())
            })?;
        let (parts, body) = self.demo.answer(request).await.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body: Box::pin(body::Demonstrated(body)) })
    }
}

fn prefix<'a>(call: &'a Call, address: &'a Address) -> &'a str {
    call.prefix.as_deref().unwrap_or(&address.prefix)
}

/// A call that waits for the head of its answer.
struct Waiting<'a>(&'a AtomicUsize);

/// No answer came over a connection.
enum Lost {
    /// The connection was gone before a byte of an answer came.
    Unanswered(Error),
    /// Anything else.
    Failed(Error),
}

// === impl Waiting ===

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }

    fn alone(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 1
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Transport for HttpTransport {
    fn switch(&self, call: Call) -> Ready<'_, Result<Switched, Error>> {
        Box::pin(async move {
            let upstream = Arc::clone(&call.upstream);
            match &upstream.reach {
                Reach::Network(address) => self.switched(call, address).await,
                Reach::Demo => {
                    Err(Error::client(Kind::NotFound, "The demo provider has no realtime models.")
                        .retry(Retry::Elsewhere))
                }
            }
        })
    }

    fn call(&self, call: Call) -> Ready<'_, Result<Answer, Error>> {
        Box::pin(async move {
            let upstream = Arc::clone(&call.upstream);
            match &upstream.reach {
                Reach::Network(address) => self.network(call, address).await,
                Reach::Demo => self.demo(call).await,
            }
        })
    }
}

#[cfg(test)]
mod tests;
