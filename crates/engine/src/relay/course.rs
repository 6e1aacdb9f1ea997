//! The way that a stream takes through the gateway.

use bytes::Bytes;
use lockgate_core::{Error, Usage};
use lockgate_dialect::Losses;

use super::{Flow, Tee, Transcode};

/// Untouched, or translated.
pub(crate) enum Course {
    /// Client and provider speak the same dialect.
    Tee(Tee),
    /// They do not.
    Transcode(Box<Transcode>),
}

impl Course {
    /// Takes a chunk in; what is to go to the client is in `out`.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when the stream cannot be read on; a translated stream gives the provider's own error here.
    pub(crate) fn feed(&mut self, chunk: &Bytes, out: &mut Flow) -> Result<(), Error> {
        match self {
            Self::Tee(tee) => tee.feed(chunk, out),
            Self::Transcode(transcode) => transcode.feed(chunk, out),
        }
    }

    /// The provider ended the stream in good order.
    ///
    /// # Errors
    /// `UpstreamBroken` when the answer was not complete; the provider's own error when that ended it.
    pub(crate) fn end(&mut self, out: &mut Flow) -> Result<(), Error> {
        match self {
            Self::Tee(tee) => tee.end(out),
            Self::Transcode(transcode) => transcode.end(out),
        }
    }

    /// Whether the model has said anything yet.
    pub(crate) const fn content(&self) -> bool {
        match self {
            Self::Tee(tee) => tee.content(),
            Self::Transcode(transcode) => transcode.content(),
        }
    }

    /// Whether the answer would be whole if the stream ended here.
    pub(crate) fn complete(&self) -> bool {
        match self {
            Self::Tee(tee) => tee.complete(),
            Self::Transcode(transcode) => transcode.complete(),
        }
    }

    /// Whether the client has been told of a failure in the provider's own words.
    pub(crate) const fn told(&self) -> bool {
        match self {
            Self::Tee(tee) => tee.told(),
            Self::Transcode(_) => false,
        }
    }

    /// The provider's own error.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        match self {
            Self::Tee(tee) => tee.take_failure(),
            Self::Transcode(_) => None,
        }
    }

    /// Events that the client has had, where its dialect numbers them.
    pub(crate) fn events(&self) -> u64 {
        match self {
            Self::Tee(tee) => tee.events(),
            Self::Transcode(transcode) => transcode.events(),
        }
    }

    /// What the provider reported.
    pub(crate) fn usage(&self) -> Option<Usage> {
        match self {
            Self::Tee(tee) => tee.usage(),
            Self::Transcode(transcode) => transcode.usage(),
        }
    }

    /// What could not be carried so far; `None` where nothing is translated.
    pub(crate) fn losses(&self) -> Option<&Losses> {
        match self {
            Self::Tee(_) => None,
            Self::Transcode(transcode) => Some(transcode.losses()),
        }
    }

    /// Content seen so far, in bytes.
    pub(crate) fn content_bytes(&self) -> u64 {
        match self {
            Self::Tee(tee) => tee.content_bytes(),
            Self::Transcode(transcode) => transcode.content_bytes(),
        }
    }
}
