//! Many streams open at once: how many live, and what memory each costs the gateway.
//!
//! The clients are cheap (no buffer of their own while they wait), so that thousands fit beside the mock on one core.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use clap::Args;
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::case::Target;
use crate::http1::{fill, parse_head};
use crate::load::{made_up_body, render_body, split_url};
use crate::post::control_mock;
use crate::{procstat, sys};

/// The name of this case in reports.
pub(crate) const CASE: &str = "streams_open";

#[derive(Args, Clone, Debug)]
pub(crate) struct StreamsArgs {
    /// Where to post, such as http://127.0.0.1:8080/v1/chat/completions
    #[arg(long)]
    url: String,
    /// The mock's chat completions url; the mock is told to send slowly, and set back at the end.
    #[arg(long, default_value = "http://127.0.0.1:9100/v1/chat/completions")]
    direct: String,
    /// How many streams to open.
    #[arg(long, default_value_t = 5000)]
    streams: usize,
    /// Seconds to hold them once all are open.
    #[arg(long, default_value_t = 5.0)]
    hold: f64,
    /// Milliseconds between two events of a stream.
    #[arg(long, default_value_t = 1000)]
    gap_ms: u64,
    /// Streams that may be on their way to their first event at the same time. A gateway that holds a stream back until
    /// its first content lets the next wait for as long as the mock's gap.
    #[arg(long, default_value_t = OPENING)]
    opening: usize,
    #[arg(long, default_value = "gpt-4o-mini")]
    model: String,
    /// A header, "name: value"; repeatable.
    #[arg(long = "header", short = 'H')]
    headers: Vec<String>,
    /// Sample the memory of this process and its descendants.
    #[arg(long)]
    pid: Option<u32>,
    /// Its memory when idle, in MiB; without it, what it has when this begins.
    #[arg(long)]
    idle_mib: Option<f64>,
    /// Core to pin this process to.
    #[arg(long)]
    cpu: Option<usize>,
}

/// What was seen.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StreamsReport {
    pub(crate) streams: usize,
    /// Streams that were still open at the end of the hold and had an event in the last three gaps.
    pub(crate) alive: usize,
    pub(crate) first_error: Option<String>,
    /// From the first connection to the first event of the last stream.
    pub(crate) open_seconds: f64,
    pub(crate) hold_seconds: f64,
    pub(crate) rss_idle_mib: Option<f64>,
    /// The highest seen while they were held.
    pub(crate) rss_held_mib: Option<f64>,
    /// Memory above idle for each stream that was alive, in KiB.
    pub(crate) kib_per_stream: Option<f64>,
}

impl fmt::Display for StreamsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} alive  opened in {:.1} s  rss {:.1} MiB  {:.1} KiB a stream{}",
            self.alive,
            self.streams,
            self.open_seconds,
            self.rss_held_mib.unwrap_or(0.0),
            self.kib_per_stream.unwrap_or(0.0),
            self.first_error.as_deref().map(|e| format!(" ({e})")).unwrap_or_default(),
        )
    }
}

impl StreamsArgs {
    /// The standard case on a target.
    pub(crate) fn on(target: &Target, streams: usize, idle_mib: Option<f64>) -> Self {
        Self {
            url: target.url.clone(),
            direct: target.direct.clone(),
            streams,
            hold: 5.0,
            gap_ms: 1000,
            opening: OPENING,
            model: target.model.clone(),
            headers: target.headers.clone(),
            pid: target.pid,
            idle_mib,
            cpu: None,
        }
    }
}

/// Streams on their way to their first event in the standard case.
const OPENING: usize = 1_000;
/// The longest that opening may take.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

/// What the streams' tasks share.
struct Shared {
    authority: String,
    request: Bytes,
    opening: Semaphore,
    /// Tasks that have seen their first event or failed.
    settled: Cell<usize>,
    /// When each stream had its last bytes; `None` before the first and after its end.
    last: RefCell<Vec<Option<Instant>>>,
    first_error: RefCell<Option<String>>,
    /// One buffer for all: what comes is only counted.
    scratch: RefCell<Vec<u8>>,
}

/// Opens the streams, holds them, lets them go.
///
/// # Errors
/// If the limit on open files is too low, or the mock cannot be told how to behave. Streams that fail are counted.
pub(crate) fn run(args: &StreamsArgs) -> io::Result<StreamsReport> {
    sys::pin(args.cpu)?;
    let need = args.streams as u64 + 100;
    let may = sys::raise_open_files(need.max(sys::OPEN_FILES))?;
    if may < need {
        return Err(io::Error::other(format!("{need} open files are needed, {may} are permitted")));
    }
    let (mock, _) = split_url(&args.direct)?;
    let lasting = (OPEN_LIMIT.as_millis() as u64 * 2 + (args.hold * 1000.0) as u64) / args.gap_ms.max(1);
    control_mock(&mock, &format!("gap_ms={}&chunks={lasting}", args.gap_ms))?;
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = tokio::task::LocalSet::new().block_on(&rt, hold(args));
    drop(rt);
    control_mock(&mock, "")?;
    report
}

async fn hold(args: &StreamsArgs) -> io::Result<StreamsReport> {
    let (authority, path) = split_url(&args.url)?;
    let body = made_up_body(&args.model, 900, true);
    let shared = Rc::new(Shared {
        request: render_body(&authority, &path, &args.headers, &body),
        authority,
        opening: Semaphore::new(args.opening),
        settled: Cell::new(0),
        last: RefCell::new(vec![None; args.streams]),
        first_error: RefCell::new(None),
        scratch: RefCell::new(vec![0; 16 * 1024]),
    });
    let rss_mib = || args.pid.map(|pid| procstat::sample(&procstat::tree(pid)).rss_kib as f64 / 1024.0);
    let idle = args.idle_mib.or_else(rss_mib);
    let start = Instant::now();
    let tasks: Vec<_> =
        (0..args.streams).map(|i| tokio::task::spawn_local(client(Rc::clone(&shared), i))).collect();
    while shared.settled.get() < args.streams && start.elapsed() < OPEN_LIMIT {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let open_seconds = start.elapsed().as_secs_f64();
    let (held_from, mut held) = (Instant::now(), rss_mib());
    while held_from.elapsed().as_secs_f64() < args.hold {
        tokio::time::sleep(Duration::from_millis(250)).await;
        held = held.zip(rss_mib()).map(|(a, b)| a.max(b));
    }
    let recent = Duration::from_millis(args.gap_ms * 3);
    let alive = shared.last.borrow().iter().flatten().filter(|at| at.elapsed() <= recent).count();
    for task in &tasks {
        task.abort();
    }
    Ok(StreamsReport {
        streams: args.streams,
        alive,
        first_error: shared.first_error.take(),
        open_seconds,
        hold_seconds: args.hold,
        rss_idle_mib: idle,
        rss_held_mib: held,
        kib_per_stream: idle
            .zip(held)
            .filter(|_| alive > 0)
            .map(|(idle, held)| (held - idle) * 1024.0 / alive as f64),
    })
}

async fn client(shared: Rc<Shared>, index: usize) {
    let mut settled = false;
    let end = follow(&shared, index, &mut settled).await;
    shared.last.borrow_mut()[index] = None;
    if !settled {
        shared.settled.set(shared.settled.get() + 1);
    }
    let text = end.err().map_or_else(|| "a stream ended early".to_owned(), |e| e.to_string());
    shared.first_error.borrow_mut().get_or_insert(text);
}

/// Opens one stream and reads it to its end.
async fn follow(shared: &Shared, index: usize, settled: &mut bool) -> io::Result<()> {
    let permit = shared.opening.acquire().await.map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(&shared.authority).await?;
    stream.write_all(&shared.request).await?;
    read_head(&mut stream).await?;
    drop(permit);
    shared.last.borrow_mut()[index] = Some(Instant::now());
    shared.settled.set(shared.settled.get() + 1);
    *settled = true;
    loop {
        stream.readable().await?;
        match stream.try_read(&mut shared.scratch.borrow_mut()) {
            Ok(0) => return Ok(()),
            Ok(_) => shared.last.borrow_mut()[index] = Some(Instant::now()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
}

/// Reads the head and the first bytes behind it, and frees what it needed for that.
async fn read_head(stream: &mut TcpStream) -> io::Result<()> {
    let mut buf = BytesMut::new();
    let head = loop {
        if let Some(head) = parse_head(&buf, false, |_, _| ())? {
            break head;
        }
        fill(stream, &mut buf).await?;
    };
    buf.advance(head.len);
    if buf.is_empty() {
        fill(stream, &mut buf).await?;
    }
    if head.status == 200 {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&buf[..buf.len().min(300)]).into_owned();
    Err(io::Error::other(format!("status {}: {text}", head.status)))
}
