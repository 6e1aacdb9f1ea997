//! HTTP/1.1 towards providers (RFC 9112), without a task or a channel: whoever waits for an answer reads it. An open
//! stream holds no read buffer while it waits; the connections of a thread share one.

mod body;
mod chunked;
mod head;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use lockgate_core::port::Wire;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

pub(super) use self::body::Reading;
pub(super) use self::head::{Head, write as write_head};

/// A connection between two calls.
pub(super) struct Link(Io);

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What follows a head that may switch to another protocol.
pub(super) enum Beyond {
    Line(Switching),
    Body(Reading),
}

/// A connection that speaks another protocol now.
pub(super) struct Switching {
    io: Io,
    /// What came with the head.
    early: Bytes,
}

/// Why an answer could not be read.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection failed.
    Io {
        /// How.
        error: io::Error,
        /// Not a byte of an answer had come.
        unanswered: bool,
    },
    /// The answer is not valid HTTP.
    Invalid(&'static str),
}

/// What is read at once.
const SCRATCH: usize = 64 << 10;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

// === impl Link ===

impl Link {
    pub(super) const fn plain(stream: TcpStream) -> Self {
        Self(Io::Plain(stream))
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self(Io::Tls(Box::new(stream)))
    }

    /// Whether a connection that rested can be used: the other side has neither closed it nor said anything.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.0).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// Sends a request and reads the head of its answer. `bodiless`: no body comes, whatever the head says of one (the
    /// answer to `HEAD`).
    pub(super) async fn call(
        mut self,
        head: &[u8],
        body: &[Bytes],
        bodiless: bool,
    ) -> Result<(Head, Reading), Broken> {
        let (head, early) = self.exchange(head, body).await?;
        if head.switches() {
            return Err(Broken::Invalid("it switches to another protocol"));
        }
        let head = if bodiless { head.without_body() } else { head };
        let body = Reading::new(self, &head, early);
        Ok((head, body))
    }

    /// Sends a request that asks for another protocol, and reads the head of its answer.
    pub(super) async fn switch(mut self, head: &[u8]) -> Result<(Head, Beyond), Broken> {
        let (head, early) = self.exchange(head, &[]).await?;
        let beyond = if head.switches() {
            Beyond::Line(Switching { io: self.0, early })
        } else {
            Beyond::Body(Reading::new(self, &head, early))
        };
        Ok((head, beyond))
    }

    /// Sends a request and reads the head of its answer, and with it what followed at once.
    async fn exchange(&mut self, head: &[u8], body: &[Bytes]) -> Result<(Head, Bytes), Broken> {
        // A provider may refuse a request before it has read all of it; then its answer tells more than the failed write.
        let written = self.write(head, body).await;
        let mut partial = Vec::new();
        loop {
            let read = poll_fn(|cx| self.poll_scratch(cx, |bytes| head::read(&mut partial, bytes))).await;
            match read {
                Ok(Some(Ok(Some(found)))) => return Ok(found),
                Ok(Some(Ok(None))) => {}
                Ok(Some(Err(why))) => return Err(Broken::Invalid(why)),
                Ok(None) => {
                    let error = written.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                    return Err(Broken::Io { error, unanswered: partial.is_empty() });
                }
                Err(error) => return Err(Broken::Io { error, unanswered: partial.is_empty() }),
            }
        }
    }

    async fn write(&mut self, head: &[u8], body: &[Bytes]) -> io::Result<()> {
        let mut pieces: Vec<IoSlice<'_>> =
            std::iter::once(head).chain(body.iter().map(|piece| &piece[..])).map(IoSlice::new).collect();
        let mut left = &mut pieces[..];
        while !left.is_empty() {
            let n = poll_fn(|cx| Pin::new(&mut self.0).poll_write_vectored(cx, left)).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut left, n);
        }
        poll_fn(|cx| Pin::new(&mut self.0).poll_flush(cx)).await
    }

    /// Reads once into the thread's buffer and lets `take` see it; `None` at the end of the connection.
    fn poll_scratch<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Poll<io::Result<Option<T>>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
            let read = buffer.filled();
            Poll::Ready(Ok((!read.is_empty()).then(|| take(read))))
        })
    }
}

// === impl Switching ===

impl Wire for Switching {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.early.is_empty() {
            let n = self.early.len().min(into.len());
            into[..n].copy_from_slice(&self.early.split_to(n));
            return Poll::Ready(Ok(n));
        }
        let mut buffer = ReadBuf::new(into);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

// === impl Io ===

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
