//! The events of a stream, however they are framed.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{Framing, sse};

/// Cuts chunks into events.
pub enum Frames {
    /// `text/event-stream`.
    Sse(sse::Splitter),
}

/// One event.
pub enum Frame {
    /// Of `text/event-stream`.
    Sse(sse::Event),
}

/// A stream cannot be read on: an event is too long or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Frames {
    /// For streams framed so.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Sse | Framing::AwsEventStream => Self::Sse(sse::Splitter::default()),
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
        }
    }

    /// What is left at the end of the stream, if it could be an event whose end mark did not come.
    pub fn rest(&mut self) -> Option<Frame> {
        match self {
            Self::Sse(splitter) => splitter.rest().map(Frame::Sse),
        }
    }
}

impl Frame {
    /// Its name; empty when it has none.
    pub fn name(&self) -> &str {
        match self {
            Self::Sse(event) => event.name().and_then(|name| std::str::from_utf8(name).ok()).unwrap_or(""),
        }
    }

    /// Its data; `None` when it has none, as with a comment.
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Sse(event) => event.data(),
        }
    }
}
