//! Bodies on their way: what is sent, and what comes in under watch.

use std::convert::Infallible;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use lockgate_core::{Error, Kind, Segments};
use tokio::time::{Instant, Sleep, sleep_until};

use super::pool::Lease;
use super::{Data, errors};

pub(super) use hyper::body::Incoming;

/// A request's body: its pieces, none of them copied.
pub(super) struct Outgoing {
    pieces: std::vec::IntoIter<Data>,
    left: u64,
}

/// An answer's body, under its time limits. Its connection goes back to the pool when it is read to its end; when it is
/// dropped before, the connection is closed, and so the provider learns that nobody listens.
pub(super) struct Watched {
    body: Incoming,
    lease: Option<Lease>,
    between: Duration,
    deadline: Instant,
    /// When the last piece came.
    last: Instant,
    /// Made at the first wait, and moved only when it fires: a piece that comes in time costs no timer.
    timer: Option<Pin<Box<Sleep>>>,
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
    type Data = Data;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Data>, Infallible>>> {
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
    pub(super) fn new(body: Incoming, lease: Lease, between: Duration, deadline: Instant) -> Self {
        Self { lease: Some(lease), ..Self::empty(body, between, deadline) }
    }

    /// A body that has ended already.
    pub(super) fn empty(body: Incoming, between: Duration, deadline: Instant) -> Self {
        Self { body, lease: None, between, deadline, last: Instant::now(), timer: None }
    }

    /// Whether the wait has been too long.
    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        loop {
            let due = (self.last + self.between).min(self.deadline);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= due {
                let what = if due == self.deadline {
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
    type Data = Data;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Data>, Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.last = Instant::now();
                if this.body.is_end_stream()
                    && let Some(lease) = this.lease.take()
                {
                    lease.give_back();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                if let Some(lease) = this.lease.take() {
                    lease.give_back();
                }
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                this.lease = None;
                Poll::Ready(Some(Err(errors::reading(&error))))
            }
            Poll::Pending => {
                let error = ready!(this.poll_limit(cx));
                this.lease = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Demonstrated ===

impl Body for Demonstrated {
    type Data = Data;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Data>, Error>>> {
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
