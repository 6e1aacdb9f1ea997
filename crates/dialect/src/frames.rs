//! The events of a stream, however they are framed.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{Framing, eventstream, sse};

/// Cuts chunks into events.
pub enum Frames {
    /// `text/event-stream`.
    Sse(sse::Splitter),
    /// `application/vnd.amazon.eventstream`.
    Aws(eventstream::Splitter),
}

/// One event.
pub enum Frame {
    /// Of `text/event-stream`.
    Sse(sse::Event),
    /// Of `application/vnd.amazon.eventstream`.
    Aws(eventstream::Frame),
}

/// A stream cannot be read on: an event is too long or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Frames {
    /// For streams framed so.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Sse => Self::Sse(sse::Splitter::default()),
            Framing::AwsEventStream => Self::Aws(eventstream::Splitter::default()),
        }
    }

    /// The next event of `chunk`, which is shortened by what was read; `None` when the rest of it only begins one.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Frame>, Unreadable> {
        match self {
            Self::Sse(splitter) => {
                splitter.next(chunk).map(|event| event.map(Frame::Sse)).map_err(|_| Unreadable)
            }
            Self::Aws(splitter) => {
                splitter.next(chunk).map(|frame| frame.map(Frame::Aws)).map_err(|_| Unreadable)
            }
        }
    }

    /// What is left at the end of the stream, if it could be an event whose end mark did not come.
    pub fn rest(&mut self) -> Option<Frame> {
        match self {
            Self::Sse(splitter) => splitter.rest().map(Frame::Sse),
            // A frame says its length: what is shorter is none.
            Self::Aws(_) => None,
        }
    }
}

impl Frame {
    /// Its name; empty when it has none.
    pub fn name(&self) -> &str {
        match self {
            Self::Sse(event) => event.name().and_then(|name| std::str::from_utf8(name).ok()).unwrap_or(""),
            // What is no event of the service has no name that a reader knows.
            Self::Aws(frame) if frame.message == eventstream::Message::Error => "",
            Self::Aws(frame) => frame.name(),
        }
    }

    /// Its data; `None` when it has none, as with a comment.
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Sse(event) => event.data(),
            Self::Aws(frame) if frame.message == eventstream::Message::Error => Some(frame.data()),
            Self::Aws(frame) => Some(Cow::Borrowed(&frame.payload)),
        }
    }
}
