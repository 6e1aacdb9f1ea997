//! A client that sees how an answer comes as well as what it says.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// A request to send.
pub type Request = http::Request<Full<Bytes>>;

/// A connection to the gateway; dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

/// An answer whose head has come.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// When its request was sent.
    pub asked: Instant,
    body: Incoming,
    /// Held so that it lives as long as the answer is read.
    _connection: Option<Connection>,
}

/// An answer that has been read.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// What came of its body.
    pub body: Bytes,
    /// How it ended.
    pub ending: Ending,
    /// From the request to the end.
    pub took: Duration,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// As announced.
    Complete,
    /// The connection ended before.
    Broken(String),
    /// It had not ended when patience did.
    Unfinished,
}

// === impl Connection ===

impl Connection {
    /// A new connection.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Self::over(stream).await
    }

    /// A connection over a stream, such as one of TLS.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn over<S>(stream: S) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // What ends the connection is told to whoever waits for an answer.
        let task = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, task })
    }

    /// Sends a request and waits for the head of its answer. The answer must be read before the next request.
    ///
    /// # Errors
    /// When the connection ends before the head has come.
    pub async fn send(&mut self, request: Request) -> io::Result<Reply> {
        self.sender.ready().await.map_err(io::Error::other)?;
        let asked = Instant::now();
        let (parts, body) = self.sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, asked, body, _connection: None })
    }

    /// Sends a request on this connection alone, which lives as long as the answer.
    ///
    /// # Errors
    /// When the connection ends before the head has come.
    pub async fn send_last(mut self, request: Request) -> io::Result<Reply> {
        let reply = self.send(request).await?;
        Ok(Reply { _connection: Some(self), ..reply })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Reply ===

impl Reply {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// When the connection ends before the body does.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Reads to the end, but no longer than `limit` from the request on.
    pub async fn read(mut self, limit: Duration) -> Answer {
        let end = self.asked + limit;
        let mut body = BytesMut::new();
        let ending = loop {
            match timeout_at(end, self.next()).await {
                Err(_) => break Ending::Unfinished,
                Ok(Ok(Some(data))) => body.extend_from_slice(&data),
                Ok(Ok(None)) => break Ending::Complete,
                Ok(Err(error)) => break Ending::Broken(error.to_string()),
            }
        };
        let took = self.asked.elapsed();
        Answer { status: self.status, headers: self.headers, body: body.freeze(), ending, took }
    }

    /// The client leaves: its connection is closed now.
    pub fn leave(self) -> Instant {
        drop(self);
        Instant::now()
    }
}

// === impl Answer ===

impl Answer {
    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The id under which the gateway remembers the request.
    pub fn id(&self) -> &str {
        self.header("x-lockgate-request-id")
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The data of each event of a stream, in order; `[DONE]` is a string, and what is no JSON is null.
    pub fn events(&self) -> Vec<Value> {
        let text = String::from_utf8_lossy(&self.body).replace("\r\n", "\n");
        let data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
        data.map(|data| match data {
            "[DONE]" => Value::from(data),
            data => serde_json::from_str(data).unwrap_or_default(),
        })
        .collect()
    }

    /// What the model said, in a stream or as a whole.
    pub fn text(&self) -> String {
        if self.header("content-type").starts_with("text/event-stream") {
            let events = self.events();
            return events
                .iter()
                .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
                .collect();
        }
        self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether a model's answer came to its own end.
    pub fn is_finished(&self) -> bool {
        let reason = |value: &Value, at: &str| value["choices"][0][at].is_string();
        self.status == 200
            && self.ending == Ending::Complete
            && (reason(&self.json(), "finish_reason")
                || self.events().iter().any(|e| reason(e, "finish_reason")))
    }
}

/// A request to `path` with a key or token and a body of JSON.
pub(crate) fn request(method: Method, host: SocketAddr, path: &str, secret: &str, body: &Value) -> Request {
    let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let mut request = http::Request::new(Full::new(bytes));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().expect("a path");
    let headers = request.headers_mut();
    headers.insert(HOST, host.to_string().parse().expect("an address is a header value"));
    if !secret.is_empty() {
        headers
            .insert(AUTHORIZATION, format!("Bearer {secret}").parse().expect("a secret is a header value"));
    }
    if !body.is_null() {
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    }
    request
}

/// Sends bytes on a connection of their own and listens until the other side closes it or `limit` has passed; what
/// came, and whether the other side closed.
pub async fn talk(address: SocketAddr, bytes: &[u8], limit: Duration) -> (Vec<u8>, bool) {
    let mut heard = Vec::new();
    let talking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(bytes).await?;
        while stream.read_buf(&mut heard).await? > 0 {}
        io::Result::Ok(())
    };
    // A reset is an end as well.
    let closed = timeout(limit, talking).await.is_ok();
    (heard, closed)
}
