//! The demo behind a socket.

use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::answer::Demo;
use crate::body::{Act, Pace};
use crate::chunks;
use crate::fault::{Fault, Injection};
use crate::performance::{Framing, Opening, Performance};
use crate::stats::{Book, Cancelled, Stats};
use crate::wire::{self, Broken};

/// Header that orders a fault for one request.
const FAULT_HEADER: &str = "x-demo-fault";
/// Bytes of further requests that are taken from a client while it is being answered.
const MAX_AHEAD: usize = 64 * 1024;

/// How a demo upstream behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// How fast it answers.
    pub pace: Pace,
    /// The fault that stands from the start; control calls replace it, headers and models override it.
    pub fault: Option<Injection>,
    /// How many requests are kept for inspection.
    pub keep: usize,
}

/// A demo upstream for tests: listens on a free port of 127.0.0.1 and stops when dropped, with all its connections.
#[derive(Debug)]
pub struct DemoUpstream {
    address: SocketAddr,
    book: Arc<Book>,
    task: JoinHandle<io::Result<()>>,
}

/// How the answering of a request ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// As announced: the connection can carry another request.
    Good,
    /// The connection is to be closed.
    Close,
    /// The connection is to be reset.
    Reset,
    /// The client went away.
    Gone,
}

/// How far an answer got.
#[derive(Debug, Default)]
struct Progress {
    head_sent: bool,
    pieces: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { pace: Pace::default(), fault: None, keep: 32 }
    }
}

impl Options {
    /// Answers without waiting.
    pub fn instant() -> Self {
        Self { pace: Pace::INSTANT, ..Self::default() }
    }

    /// The same, with a fault from the start.
    pub fn fault(self, fault: impl Into<Injection>) -> Self {
        Self { fault: Some(fault.into()), ..self }
    }
}

impl DemoUpstream {
    /// Starts in a task of the current runtime.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let book = Arc::new(Book::new(options.keep, options.fault));
        let task = tokio::spawn(accept(listener, Demo { pace: options.pace }, Arc::clone(&book)));
        Ok(Self { address, book, task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What an SDK takes as base URL: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it saw until now.
    pub fn stats(&self) -> Stats {
        self.book.stats()
    }

    /// Misbehaves from the next request on.
    pub fn set_fault(&self, fault: impl Into<Injection>) {
        self.book.set_fault(Some(fault.into()));
    }

    /// Behaves again from the next request on.
    pub fn heal(&self) {
        self.book.set_fault(None);
    }
}

impl Drop for DemoUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves until the listener fails; dropping the future ends all connections.
///
/// Besides the answers of [`Demo`]: `POST /control?fault=NAME` (with `after`, `delay_ms`, `retry_after`, `count`,
/// `rate`; `fault=none` heals), `GET /control` (the list of faults) and `GET /stats`. One request is struck by a
/// header `x-demo-fault: NAME;after=K`, or by a model `fault:NAME`. Later ones override earlier ones: options,
/// control, header, model. Faults strike POST requests only, so that a list of models is always served.
///
/// # Errors
/// When accepting fails for another reason than a client's or a shortage of file descriptors.
pub async fn serve(listener: TcpListener, options: Options) -> io::Result<()> {
    let book = Arc::new(Book::new(options.keep, options.fault));
    accept(listener, Demo { pace: options.pace }, book).await
}

/// An address of this machine where nobody listens: a connection to it is refused (until somebody takes the port).
///
/// # Errors
/// When no port can be bound.
pub fn refused_addr() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

async fn accept(listener: TcpListener, demo: Demo, book: Arc<Book>) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    book.connected();
                    connections.spawn(connection(stream, demo, Arc::clone(&book)));
                }
                Err(error) if is_passing(&error) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => return Err(error),
            },
            // Ended connections are taken out of the set; how they ended is in the book.
            Some(_) = connections.join_next() => {}
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
        || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}

async fn connection(mut stream: TcpStream, demo: Demo, book: Arc<Book>) {
    // Without it small events would wait for each other; a socket that refuses is soon seen to be broken anyway.
    let _ = stream.set_nodelay(true);
    let mut buffer = BytesMut::with_capacity(4096);
    loop {
        let (performance, path, keep_alive, in_flight) = match wire::read_request(&mut stream, &mut buffer)
            .await
        {
            Ok(request) if is_control(&request) => {
                (control(&request, &book), String::new(), wire::keeps_alive(&request), None)
            }
            Ok(request) => {
                let in_flight = book.begin(&request);
                let path = request.uri().path().to_owned();
                (answer(&request, demo, &book), path, wire::keeps_alive(&request), Some(in_flight))
            }
            Err(Broken::Syntax(why)) => {
                let body = chunks::json(&json!({"error": {"message": why, "type": "invalid_request_error"}}));
                (Performance::json(400, body), String::new(), false, None)
            }
            Err(Broken::Ended | Broken::Io) => return,
        };
        let mut progress = Progress::default();
        let close_after = performance.close_after || !keep_alive;
        let (reader, writer) = stream.split();
        let end = tokio::select! {
            // First the answer: one that is complete counts as such, even if the client has gone meanwhile.
            biased;
            end = play(writer, performance, &mut progress) => end.unwrap_or(End::Gone),
            () = gone(reader, &mut buffer) => End::Gone,
        };
        let counted = in_flight.is_some();
        drop(in_flight);
        match end {
            End::Good if !close_after => {}
            End::Good | End::Close => {
                // The client may have closed first; then there is nothing left to close.
                let _ = stream.shutdown().await;
                return;
            }
            End::Reset => {
                // A socket that cannot linger closes normally.
                let _ = stream.set_zero_linger();
                return;
            }
            End::Gone => {
                if counted {
                    let Progress { head_sent, pieces } = progress;
                    book.cancelled(Cancelled { at: Instant::now(), path, pieces, head_sent });
                }
                return;
            }
        }
    }
}

/// Ends when the client does. What it sends meanwhile is kept for the next request, up to a limit.
async fn gone(mut reader: ReadHalf<'_>, buffer: &mut BytesMut) {
    loop {
        if buffer.len() > MAX_AHEAD {
            pending::<()>().await;
        }
        match reader.read_buf(buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Decides how a request is answered.
fn answer(request: &Request<Bytes>, demo: Demo, book: &Book) -> Performance {
    let ordered =
        request.headers().get(FAULT_HEADER).map(|value| Injection::parse(value.to_str().unwrap_or_default()));
    let ordered = match ordered {
        None => None,
        Some(Ok(injection)) => Some(injection),
        Some(Err(message)) => {
            let error =
                json!({"message": message, "type": "invalid_request_error", "param": null, "code": null});
            return Performance::json(400, chunks::json(&json!({"error": error})));
        }
    };
    let performance = demo.perform(request, || ordered.unwrap_or_else(|| book.draw()));
    if let Some(fault) = performance.fault {
        book.struck(fault.name());
    }
    performance
}

/// Carries an answer out on a socket.
async fn play(
    mut writer: WriteHalf<'_>,
    mut performance: Performance,
    progress: &mut Progress,
) -> io::Result<End> {
    if performance.wait > Duration::ZERO {
        tokio::time::sleep(performance.wait).await;
    }
    match performance.opening {
        Opening::Head => {}
        Opening::Hang => pending().await,
        Opening::Close => return Ok(End::Close),
        Opening::Reset => return Ok(End::Reset),
    }
    let chunked = performance.framing == Framing::Chunked;
    let mut out = Vec::with_capacity(1024);
    wire::head(performance.status, &performance.headers, performance.framing, &mut out);
    progress.head_sent = true;
    loop {
        // What is ready travels together with the head; otherwise the head goes first.
        let act = tokio::select! {
            biased;
            act = poll_fn(|cx| performance.body.poll_act(cx)) => act,
            () = std::future::ready(()) => {
                send(&mut writer, &mut out, performance.drip).await?;
                poll_fn(|cx| performance.body.poll_act(cx)).await
            }
        };
        let end = match act {
            Some(Act::Data(data)) => {
                progress.pieces += 1;
                if chunked {
                    wire::chunk(data.len(), &data, &mut out);
                } else {
                    out.extend_from_slice(&data);
                }
                None
            }
            Some(Act::ShortChunk(data)) => {
                wire::chunk(data.len() + 1, &data, &mut out);
                None
            }
            Some(Act::BadChunk) => {
                out.extend_from_slice(b"no-size\r\n");
                None
            }
            Some(Act::Wait(_) | Act::Hang) => pending().await,
            Some(Act::Close) => Some(End::Close),
            Some(Act::Reset) => Some(End::Reset),
            None => {
                if chunked {
                    out.extend_from_slice(b"0\r\n\r\n");
                }
                Some(End::Good)
            }
        };
        send(&mut writer, &mut out, performance.drip).await?;
        if let Some(end) = end {
            return Ok(end);
        }
    }
}

async fn send(writer: &mut WriteHalf<'_>, out: &mut Vec<u8>, drip: bool) -> io::Result<()> {
    if drip {
        for byte in out.chunks(1) {
            writer.write_all(byte).await?;
        }
    } else {
        writer.write_all(out).await?;
    }
    out.clear();
    Ok(())
}

fn is_control(request: &Request<Bytes>) -> bool {
    matches!(request.uri().path(), "/control" | "/stats")
}

fn control(request: &Request<Bytes>, book: &Book) -> Performance {
    let ok = |value: &serde_json::Value| Performance::json(200, chunks::json(value));
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/stats") => ok(&stats_json(&book.stats())),
        (&Method::GET, "/control") => {
            let faults = Fault::ALL.iter().map(|fault| json!({"name": fault.name(), "about": fault.about()}));
            ok(&json!({"faults": faults.collect::<Vec<_>>()}))
        }
        (&Method::POST, "/control") => match Injection::from_query(request.uri().query().unwrap_or_default())
        {
            Ok(injection) => {
                let name = injection.as_ref().map_or("none", |injection| injection.fault.name());
                let answer = json!({"fault": name});
                book.set_fault(injection);
                ok(&answer)
            }
            Err(message) => Performance::json(400, chunks::json(&json!({"error": {"message": message}}))),
        },
        _ => Performance::json(
            405,
            chunks::json(&json!({"error": {"message": "use GET, or POST on /control"}})),
        ),
    }
}

fn stats_json(stats: &Stats) -> serde_json::Value {
    let now = Instant::now();
    let cancelled = stats.cancelled.iter().map(|cancelled| {
        json!({
            "ms_ago": u64::try_from((now - cancelled.at).as_millis()).unwrap_or(u64::MAX),
            "path": cancelled.path,
            "pieces": cancelled.pieces,
            "head_sent": cancelled.head_sent,
        })
    });
    json!({
        "connections": stats.connections,
        "requests": stats.requests,
        "by_path": stats.by_path,
        "in_flight": stats.in_flight,
        "faults": stats.faults,
        "cancelled": cancelled.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
