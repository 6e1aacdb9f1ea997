//! Bodies at the door: read under limits, and sent with the count of what is under way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use lockgate_core::{Error, Kind};
use lockgate_engine::ReplyBody;
use tokio::time::timeout;

use crate::drain::Drain;
use crate::watch::Pulse;

/// The body of any answer. While it lives its request is under way.
pub(crate) struct Outgoing {
    inner: Inner,
    _under_way: Option<UnderWay>,
}

enum Inner {
    Reply(ReplyBody),
    Page(axum::body::Body),
}

/// A request under way, from its head to the end of its answer.
pub(crate) struct UnderWay {
    drain: Arc<Drain>,
    pulse: Arc<Pulse>,
}

/// The most that is set aside for a body on the word of its `content-length`.
const MOST_AT_ONCE: usize = 1 << 20;

/// Reads a request's body.
///
/// # Errors
/// `RequestTooLarge`, `RequestTimeout`, or `ClientClosed` when it breaks off.
pub(crate) async fn read(mut body: Incoming, most: usize, within: Duration) -> Result<Bytes, Error> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > most {
        return Err(too_large(most));
    }
    let reading = async {
        let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
        if first.len() > most {
            return Err(too_large(most));
        }
        // A body in one piece is not copied.
        if body.is_end_stream() {
            return Ok(first);
        }
        let room = if announced > 0 { announced.min(MOST_AT_ONCE) } else { first.len() * 2 };
        let mut all = BytesMut::with_capacity(room.max(first.len()));
        all.extend_from_slice(&first);
        drop(first);
        while let Some(piece) = next(&mut body).await? {
            if all.len() + piece.len() > most {
                return Err(too_large(most));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    };
    timeout(within, reading).await.unwrap_or_else(|_| {
        Err(Error::client(Kind::RequestTimeout, "The body of the request did not come in time."))
    })
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::client(Kind::ClientClosed, "The request's body broke off.").detail(error.to_string())
        })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn too_large(most: usize) -> Error {
    Error::client(Kind::RequestTooLarge, format!("The body of the request is longer than {most} bytes."))
}

// === impl Outgoing ===

impl Outgoing {
    pub(crate) const fn reply(body: ReplyBody, under_way: UnderWay) -> Self {
        Self { inner: Inner::Reply(body), _under_way: Some(under_way) }
    }

    /// No body: what is under way goes on without HTTP.
    pub(crate) const fn nothing() -> Self {
        Self { inner: Inner::Reply(ReplyBody::Whole(None)), _under_way: None }
    }

    pub(crate) const fn page(body: axum::body::Body, under_way: UnderWay) -> Self {
        Self { inner: Inner::Page(body), _under_way: Some(under_way) }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.inner {
            Inner::Reply(body) => {
                Pin::new(body).poll_frame(cx).map(|next| next.map(|frame| frame.map_err(axum::Error::new)))
            }
            Inner::Page(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Reply(body) => body.is_end_stream(),
            Inner::Page(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Reply(body) => body.size_hint(),
            Inner::Page(body) => body.size_hint(),
        }
    }
}

// === impl UnderWay ===

impl UnderWay {
    pub(crate) fn begin(drain: &Arc<Drain>, pulse: &Arc<Pulse>) -> Self {
        drain.enter();
        pulse.serving();
        Self { drain: Arc::clone(drain), pulse: Arc::clone(pulse) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.pulse.resting();
        self.drain.leave();
    }
}
