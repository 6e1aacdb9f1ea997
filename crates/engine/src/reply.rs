//! An answer as the door sends it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use lockgate_core::Error;

use crate::relay::Relay;
use crate::simple::Passage;

/// An answer to a client.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: ReplyBody,
}

/// The body of a reply. A stream of events does not fail: what breaks is told in the dialect's own words. Only what has
/// no words, such as sound, ends with an error, so that no client takes a part for the whole.
pub enum ReplyBody {
    /// All of it.
    Whole(Option<Bytes>),
    /// An event stream under way; pulled by the client's connection.
    Stream(Box<Relay>),
    /// The same, with something before its first event.
    Told(Option<Bytes>, Box<Relay>),
    /// An answer that passes as it comes, whatever it is.
    Passing(Box<Passage>),
}

impl ReplyBody {
    /// A body of these bytes.
    pub fn whole(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(relay) => relay.poll_next(cx).map(|next| next.map(|bytes| Ok(Frame::data(bytes)))),
            Self::Told(first, relay) => match first.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => relay.poll_next(cx).map(|next| next.map(|bytes| Ok(Frame::data(bytes)))),
            },
            Self::Passing(passage) => {
                passage.poll_next(cx).map(|next| next.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(relay) => relay.is_over(),
            Self::Told(first, relay) => first.is_none() && relay.is_over(),
            Self::Passing(passage) => passage.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) | Self::Told(..) => SizeHint::default(),
            Self::Passing(passage) => passage.left(),
        }
    }
}
