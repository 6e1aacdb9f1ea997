//! A provider's stream in the words of a client's dialect.

use bytes::Bytes;
use lockgate_core::{Error, Kind, Usage};
use lockgate_dialect::frames::{Frame, Frames};
use lockgate_dialect::neutral::{Block, Delta};
use lockgate_dialect::{Decoder, Encoder, Framing};

use super::Flow;

/// The state of one stream.
pub(crate) struct Transcode {
    frames: Frames,
    decoder: Box<dyn Decoder>,
    encoder: Box<dyn Encoder>,
    seen: Seen,
    /// What was written and has not left.
    out: Vec<u8>,
}

/// What has come by so far.
#[derive(Default)]
struct Seen {
    content: bool,
    ended: bool,
    usage: Option<Usage>,
    bytes: u64,
}

impl Transcode {
    pub(crate) fn new(framing: Framing, decoder: Box<dyn Decoder>, encoder: Box<dyn Encoder>) -> Self {
        Self { frames: Frames::new(framing), decoder, encoder, seen: Seen::default(), out: Vec::new() }
    }

    /// Takes a chunk in. What its events come to leaves as one piece.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when the stream cannot be read on, or the provider's own error; what came before is in `out`.
    pub(crate) fn feed(&mut self, chunk: &Bytes, out: &mut Flow) -> Result<(), Error> {
        let mut rest = chunk.clone();
        let read = loop {
            match self.frames.next(&mut rest) {
                Ok(Some(frame)) => {
                    if let Err(error) = self.event(&frame) {
                        break Err(error);
                    }
                }
                Ok(None) => break Ok(()),
                Err(_) => {
                    break Err(Error::upstream(
                        Kind::UpstreamBadAnswer,
                        "The provider's stream cannot be understood: its events are malformed or too long.",
                    ));
                }
            }
        };
        self.flush(out);
        read
    }

    /// The provider ended the stream in good order.
    ///
    /// # Errors
    /// `UpstreamBroken` when the answer was not complete; the provider's own error when that ended it.
    pub(crate) fn end(&mut self, out: &mut Flow) -> Result<(), Error> {
        // An event without its end mark counts if it can be read: some servers close right behind their last byte.
        if let Some(frame) = self.frames.rest() {
            let (content, bytes) = (self.seen.content, self.seen.bytes);
            if self.event(&frame).is_err() {
                (self.seen.content, self.seen.bytes) = (content, bytes);
            }
        }
        let end = if self.seen.ended {
            Ok(())
        } else {
            let Self { decoder, encoder, seen, out, .. } = self;
            decoder.end(&mut |delta| {
                seen.note(&delta);
                encoder.delta(delta, out);
            })
        };
        self.flush(out);
        end
    }

    /// Whether the model has said anything yet.
    pub(crate) const fn content(&self) -> bool {
        self.seen.content
    }

    /// Whether the answer is whole.
    pub(crate) const fn complete(&self) -> bool {
        self.seen.ended
    }

    /// What the provider reported.
    pub(crate) const fn usage(&self) -> Option<Usage> {
        self.seen.usage
    }

    /// Content seen so far, in bytes.
    pub(crate) const fn content_bytes(&self) -> u64 {
        self.seen.bytes
    }

    fn event(&mut self, frame: &Frame) -> Result<(), Error> {
        let Some(data) = frame.data().filter(|_| !self.seen.ended) else { return Ok(()) };
        let Self { decoder, encoder, seen, out, .. } = self;
        decoder.event(frame.name(), &data, &mut |delta| {
            seen.note(&delta);
            encoder.delta(delta, out);
        })
    }

    fn flush(&mut self, out: &mut Flow) {
        if !self.out.is_empty() {
            out.push(Bytes::from(std::mem::take(&mut self.out)));
        }
    }
}

impl Seen {
    fn note(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Text(text) => {
                self.content |= !text.is_empty();
                self.bytes += text.len() as u64;
            }
            Delta::Open(Block::Call { .. } | Block::Native(_)) | Delta::Finish(_) => self.content = true,
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::End => self.ended = true,
            _ => {}
        }
    }
}
