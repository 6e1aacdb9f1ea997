//! Reaches providers over HTTP/1.1 and HTTP/2, with connections that are kept for the next call.
//!
//! A transport belongs to one worker thread: its connections never leave their core, so its pool is never contended.

mod body;
mod connect;
mod errors;
mod pool;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Uri, Version};
use http_body::Body as _;
use lockgate_core::port::{Answer, Call, Ready, Transport};
use lockgate_core::upstream::{Address, Reach};
use lockgate_core::{Error, Kind, Segments};
use lockgate_demo::Demo;
use tokio::time::{Instant, timeout};

use self::body::{Incoming, Outgoing, Watched};
use self::pool::{Lease, Pool};

/// The transport of one worker thread.
pub struct HttpTransport {
    pool: Arc<Pool>,
    demo: Demo,
}

const AGENT: &str = concat!("lockgate/", env!("CARGO_PKG_VERSION"));

impl HttpTransport {
    /// A transport without connections. `demo` answers for the built-in demo provider.
    pub fn new(demo: Demo) -> Self {
        Self { pool: Arc::default(), demo }
    }

    async fn network(&self, call: &Call, address: &Address) -> Result<Answer, Error> {
        let deadline = Instant::now() + call.total;
        loop {
            let mut lease = self.pool.lease(address, call.upstream.timeouts.connect.min(call.total)).await?;
            let request = request(call, address, lease.is_http2())?;
            let sent = timeout(call.first_byte, lease.send(request)).await.map_err(|_| {
                Error::upstream(Kind::UpstreamTimeout, "The provider did not answer in time.").detail(
                    format!("no head of an answer from {} within {:?}", address.authority, call.first_byte),
                )
            })?;
            let response = match sent {
                Ok(response) => response,
                // A kept connection that the other side closed meanwhile says nothing about the provider.
                Err(error) if lease.was_kept() && errors::never_answered(&error) => continue,
                Err(error) => return Err(errors::sending(&error, address)),
            };
            return Ok(answer(response, lease, call.upstream.timeouts.between_bytes, deadline));
        }
    }

    async fn demo(&self, call: Call) -> Result<Answer, Error> {
        let mut request = Request::builder().method(Method::POST).uri(format!("/v1{}", call.path));
        if let Some(headers) = request.headers_mut() {
            *headers = call.headers;
        }
        let request = request.body(call.body.join()).map_err(|error| {
            Error::gateway(Kind::Internal, "The request could not be made.").detail(error.to_string())
        })?;
        let (parts, body) = self.demo.answer(request).await.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body: Box::pin(body::Demonstrated(body)) })
    }
}

impl Transport for HttpTransport {
    fn call(&self, call: Call) -> Ready<'_, Result<Answer, Error>> {
        Box::pin(async move {
            let upstream = Arc::clone(&call.upstream);
            match &upstream.reach {
                Reach::Network(address) => self.network(&call, address).await,
                Reach::Demo => self.demo(call).await,
            }
        })
    }
}

fn answer(response: http::Response<Incoming>, lease: Lease, between: Duration, deadline: Instant) -> Answer {
    let (parts, body) = response.into_parts();
    let body = if body.is_end_stream() {
        lease.give_back();
        Watched::empty(body, between, deadline)
    } else {
        Watched::new(body, lease, between, deadline)
    };
    Answer { status: parts.status, headers: parts.headers, body: Box::pin(body) }
}

fn request(call: &Call, address: &Address, http2: bool) -> Result<Request<Outgoing>, Error> {
    let path = format!("{}{}", address.prefix, call.path);
    let uri = if http2 {
        Uri::builder()
            .scheme(address.scheme.clone())
            .authority(address.authority.clone())
            .path_and_query(path)
            .build()
    } else {
        Uri::try_from(path).map_err(Into::into)
    };
    let uri = uri.map_err(|error| {
        Error::gateway(Kind::Internal, "The provider's address cannot be used.").detail(error.to_string())
    })?;
    let mut headers = HeaderMap::with_capacity(12);
    if !http2 && let Ok(host) = HeaderValue::from_str(address.authority.as_str()) {
        headers.insert(HOST, host);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    for (name, value) in call.upstream.headers.iter().chain(&call.headers) {
        headers.insert(name, value.clone());
    }
    let mut request = Request::new(Outgoing::new(Segments::clone(&call.body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.version_mut() = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
    *request.headers_mut() = headers;
    Ok(request)
}

/// The bytes that go through bodies here.
type Data = Bytes;

#[cfg(test)]
mod tests;
