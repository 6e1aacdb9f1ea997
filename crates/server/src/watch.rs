//! A client's connection under watch: one that is too slow to speak or to listen is closed.
//!
//! The watch knows in which phase its connection is and holds one timer, made when it is first needed and moved only
//! when it fires; a request in good time costs two stores.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a connection may rest between two requests. Longer than common balancers do (60 s), so that it's they who
/// close it, and no request meets a closed door.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// In which phase a connection is. Set by the door, read by the watch.
#[derive(Debug)]
pub(crate) struct Pulse {
    phase: AtomicU8,
    /// When the phase began, in milliseconds since `start`.
    since: AtomicU64,
    start: Instant,
}

const RESTING: u8 = 0;
const HEAD: u8 = 1;
const SERVING: u8 = 2;

/// A connection under watch.
pub(crate) struct Watched<S> {
    inner: S,
    pulse: Arc<Pulse>,
    header_timeout: Duration,
    write_timeout: Duration,
    /// When a write began to wait.
    stalled: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

// === impl Pulse ===

impl Pulse {
    /// A connection that has just opened: its first head is due.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { phase: AtomicU8::new(HEAD), since: AtomicU64::new(0), start: Instant::now() })
    }

    /// A head is complete.
    pub(crate) fn serving(&self) {
        self.phase.store(SERVING, Ordering::Relaxed);
    }

    /// An answer is complete.
    pub(crate) fn resting(&self) {
        self.enter(RESTING);
    }

    fn enter(&self, phase: u8) {
        let since = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(since, Ordering::Relaxed);
        self.phase.store(phase, Ordering::Relaxed);
    }

    fn since(&self) -> Instant {
        self.start + Duration::from_millis(self.since.load(Ordering::Relaxed))
    }
}

// === impl Watched ===

impl<S> Watched<S> {
    pub(crate) fn new(
        inner: S,
        pulse: Arc<Pulse>,
        header_timeout: Duration,
        write_timeout: Duration,
    ) -> Self {
        Self { inner, pulse, header_timeout, write_timeout, stalled: None, timer: None }
    }

    /// Ready when `due` has passed.
    fn poll_due(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    fn poll_read_limit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limit = match self.pulse.phase.load(Ordering::Relaxed) {
            RESTING => KEEP_ALIVE,
            HEAD => self.header_timeout,
            _ => return Poll::Pending,
        };
        let due = self.pulse.since() + limit;
        self.poll_due(due, cx)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client is too slow to speak")))
    }

    fn poll_write_limit<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let since = *self.stalled.get_or_insert_with(Instant::now);
        self.poll_due(since + self.write_timeout, cx)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client is too slow to listen")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(result) => {
                if buf.filled().len() > before && this.pulse.phase.load(Ordering::Relaxed) == RESTING {
                    this.pulse.enter(HEAD);
                }
                Poll::Ready(result)
            }
            Poll::Pending => this.poll_read_limit(cx),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.poll_write_limit(result, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.poll_write_limit(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.poll_write_limit(result, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.poll_write_limit(result, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const HEADER: Duration = Duration::from_secs(15);
    const WRITE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_closes_the_connection() {
        let (client, server) = duplex(64);
        let mut watched = Watched::new(server, Pulse::new(), HEADER, WRITE);
        let begin = Instant::now();
        let error = watched.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), begin.elapsed().as_secs()), (io::ErrorKind::TimedOut, 15));
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_drips_does_not_extend_its_time() {
        let (mut client, server) = duplex(64);
        let mut watched = Watched::new(server, Pulse::new(), HEADER, WRITE);
        let begin = Instant::now();
        let dripping = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
        });
        let error = loop {
            if let Err(error) = watched.read_u8().await {
                break error;
            }
        };
        assert_eq!((error.kind(), begin.elapsed().as_secs()), (io::ErrorKind::TimedOut, 15));
        dripping.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_under_way_has_no_read_limit_and_rest_has_a_longer_one() {
        let (client, server) = duplex(64);
        let pulse = Pulse::new();
        let mut watched = Watched::new(server, Arc::clone(&pulse), HEADER, WRITE);
        pulse.serving();
        let quiet = tokio::time::timeout(Duration::from_secs(3_600), watched.read_u8()).await;
        assert!(quiet.is_err());
        pulse.resting();
        let begin = Instant::now();
        watched.read_u8().await.unwrap_err();
        assert_eq!(begin.elapsed().as_secs(), 75);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_listen_is_left() {
        let (client, server) = duplex(8);
        let mut watched = Watched::new(server, Pulse::new(), HEADER, WRITE);
        let begin = Instant::now();
        let error = watched.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!((error.kind(), begin.elapsed().as_secs()), (io::ErrorKind::TimedOut, 60));
        drop(client);
    }
}
