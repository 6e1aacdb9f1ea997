//! Bodies on their way: what is sent, and what comes in under watch.

use std::convert::Infallible;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use lockgate_core::{Error, Kind, Segments};
use tokio::time::{Instant, Sleep, sleep_until};

use super::errors;
use super::http1::Reading;
use super::pool::{Place, Pool};

/// A request's body over HTTP/2: its pieces, none of them copied.
pub(super) struct Outgoing {
    pieces: std::vec::IntoIter<Bytes>,
    left: u64,
}

/// An answer's body, under its time limits. Its connection goes back to the pool when it is read to its end; when it is
/// dropped before, the connection is closed, and so the provider learns that nobody listens.
pub(super) struct Watched {
    source: Source,
    limits: Limits,
    /// When the last piece came.
    last: Instant,
    /// Made at the first wait, and moved only when it fires: a piece that comes in time costs no timer.
    timer: Option<Pin<Box<Sleep>>>,
}

/// How long a body may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Between two pieces.
    pub(super) between: Duration,
    /// In all.
    pub(super) deadline: Instant,
}

enum Source {
    Http1 { reading: Reading, home: Weak<Pool>, place: Place },
    Http2(Incoming),
}

/// The demo provider's body.
pub(super) struct Demonstrated(pub(super) lockgate_demo::Body);

// === impl Outgoing ===

impl Outgoing {
    pub(super) fn new(body: Segments) -> Self {
        let left = body.len() as u64;
        Self { pieces: body.into_pieces().into_iter(), left }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.pieces.next();
        self.left -= next.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

// === impl Watched ===

impl Watched {
    pub(super) fn http1(reading: Reading, pool: &Arc<Pool>, place: Place, limits: Limits) -> Self {
        let source = Source::Http1 { reading, home: Arc::downgrade(pool), place };
        let mut watched = Self { source, limits, last: Instant::now(), timer: None };
        watched.give_back();
        watched
    }

    pub(super) fn http2(body: Incoming, limits: Limits) -> Self {
        Self { source: Source::Http2(body), limits, last: Instant::now(), timer: None }
    }

    /// Gives the connection back if the body has ended.
    fn give_back(&mut self) {
        if let Source::Http1 { reading, home, place } = &mut self.source
            && reading.has_ended()
            && let Some(link) = reading.take_link()
            && let Some(home) = home.upgrade()
        {
            home.give(place, link, self.last);
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.source {
            Source::Http1 { reading, .. } => reading.poll_data(cx).map(|next| {
                next.map(|data| data.map(Frame::data).map_err(|broken| errors::reading1(&broken)))
            }),
            Source::Http2(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|next| next.map(|frame| frame.map_err(|error| errors::reading2(&error)))),
        }
    }

    /// Whether the wait has been too long.
    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        loop {
            let Limits { between, deadline } = self.limits;
            let due = (self.last + between).min(deadline);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= due {
                let what = if due == deadline {
                    "The provider's answer took too long."
                } else {
                    "The provider stopped answering."
                };
                return Poll::Ready(Error::upstream(Kind::UpstreamTimeout, what));
            }
            timer.as_mut().reset(due);
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(next) = this.poll_source(cx) {
            this.last = Instant::now();
            this.give_back();
            return Poll::Ready(next);
        }
        this.poll_limit(cx).map(|error| Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Http1 { reading, .. } => reading.has_ended(),
            Source::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Http1 { reading, .. } => {
                let mut hint = SizeHint::new();
                hint.set_lower(reading.at_least());
                hint
            }
            Source::Http2(body) => body.size_hint(),
        }
    }
}

// === impl Demonstrated ===

impl Body for Demonstrated {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let broken = |error: io::Error| {
            Error::upstream(Kind::UpstreamBroken, "The provider's answer broke off.")
                .detail(error.to_string())
        };
        Pin::new(&mut self.0).poll_frame(cx).map(|next| next.map(|frame| frame.map_err(broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
