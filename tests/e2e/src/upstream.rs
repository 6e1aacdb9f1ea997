//! A provider whose every answer a test writes, and which keeps what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A provider at a port of its own; dropping it closes it.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Heard {
    /// What was to be done.
    pub method: Method,
    /// The path with its query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Said {
    status: u16,
    headers: BTreeMap<&'static str, String>,
    pieces: Vec<Bytes>,
}

/// The body of an answer: in one piece with its length, in several without.
struct Pieces(VecDeque<Bytes>);

// === impl Upstream ===

impl Upstream {
    /// A provider that answers each request as `answer` says.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn start(answer: impl Fn(&Heard) -> Said + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), Arc::clone(&heard));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = whole(body).await;
                        let path = parts.uri.to_string();
                        let heard = Heard { method: parts.method, path, headers: parts.headers, body };
                        let said = answer(&heard);
                        kept.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
                        Ok::<_, Infallible>(said.into_response())
                    }
                });
                // A connection that ends early is the gateway's doing, which the test sees there.
                tokio::spawn(async move {
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Ok(Self { address, heard, task })
    }

    /// Its address as text, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked since the last call, in order.
    pub fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests' own requests are not long")]
async fn whole(body: Incoming) -> Bytes {
    body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default()
}

// === impl Heard ===

impl Heard {
    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

// === impl Said ===

impl Said {
    /// These bytes of this type.
    pub fn bytes(content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = BTreeMap::from([("content-type", content_type.to_owned())]);
        Self { status: 200, headers, pieces: vec![body.into()] }
    }

    /// JSON as it is written here.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::bytes("application/json", body)
    }

    /// With this status.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.to_owned());
        self
    }

    /// With a further piece, sent on its own.
    #[must_use]
    pub fn piece(mut self, piece: impl Into<Bytes>) -> Self {
        self.pieces.push(piece.into());
        self
    }

    fn into_response(self) -> http::Response<Pieces> {
        let mut response = http::Response::new(Pieces(self.pieces.into()));
        *response.status_mut() = http::StatusCode::from_u16(self.status).expect("a status");
        for (name, value) in self.headers {
            let value = HeaderValue::from_str(&value).expect("a header's value");
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
        response
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.len() {
            0 | 1 => SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum()),
            _ => SizeHint::new(),
        }
    }
}
