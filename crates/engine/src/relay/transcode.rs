//! A provider's stream in the words of a client's dialect.

use bytes::Bytes;
use lockgate_core::{Error, Kind, Usage};
use lockgate_dialect::frames::{Frame, Frames};
use lockgate_dialect::neutral::{Block, Delta};
use lockgate_dialect::{Decoder, Encoder, Framing, Losses};

use super::joint::Joint;
use super::transcript::Transcript;
use super::{Diverged, Flow};

/// The state of one stream.
pub(crate) struct Transcode {
    inlet: Inlet,
    outlet: Outlet,
}

/// The provider's side: chunks to deltas.
pub(crate) struct Inlet {
    frames: Frames,
    decoder: Box<dyn Decoder>,
    ended: bool,
}

/// The client's side: deltas to events.
struct Outlet {
    encoder: Box<dyn Encoder>,
    seen: Seen,
    /// What was written and has not left.
    out: Vec<u8>,
    /// What was said, where it may have to be gone on with.
    said: Option<Box<Transcript>>,
    /// The seam, behind one.
    joint: Option<Box<Joint>>,
    diverged: bool,
}

/// What has come by so far of the provider's stream.
#[derive(Default)]
struct Seen {
    content: bool,
    usage: Option<Usage>,
    bytes: u64,
}

// === impl Transcode ===

impl Transcode {
    /// `kept`: what is said is remembered.
    pub(crate) fn new(inlet: Inlet, encoder: Box<dyn Encoder>, kept: bool) -> Self {
        let said = kept.then(Box::default);
        let outlet =
            Outlet { encoder, seen: Seen::default(), out: Vec::new(), said, joint: None, diverged: false };
        Self { inlet, outlet }
    }

    /// Takes a chunk in. What its events come to leaves as one piece.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when the stream cannot be read on, or the provider's own error; what came before is in `out`.
    pub(crate) fn feed(&mut self, chunk: &Bytes, out: &mut Flow) -> Result<(), Error> {
        let Self { inlet, outlet } = self;
        let read = inlet.feed(chunk, &mut |delta| outlet.delta(delta)).and_then(|()| outlet.joined());
        outlet.flush(out);
        read
    }

    /// The provider ended the stream in good order.
    ///
    /// # Errors
    /// `UpstreamBroken` when the answer was not complete; the provider's own error when that ended it.
    pub(crate) fn end(&mut self, out: &mut Flow) -> Result<(), Error> {
        let Self { inlet, outlet } = self;
        // An event without its end mark counts if it can be read: some servers close right behind their last byte.
        if let Some(frame) = inlet.rest() {
            let (content, bytes) = (outlet.seen.content, outlet.seen.bytes);
            if inlet.event(&frame, &mut |delta| outlet.delta(delta)).is_err() {
                (outlet.seen.content, outlet.seen.bytes) = (content, bytes);
            }
        }
        let end = inlet.end(&mut |delta| outlet.delta(delta)).and_then(|()| outlet.joined());
        outlet.flush(out);
        end
    }

    /// The stream broke off. Whether the answer is whole all the same: then it is brought to its end.
    pub(crate) fn settle(&mut self, out: &mut Flow) -> bool {
        let Self { inlet, outlet } = self;
        let mut last = Vec::new();
        if inlet.end(&mut |delta| last.push(super::transcript::owned(delta))).is_err() {
            return false;
        }
        last.into_iter().for_each(|delta| outlet.delta(delta));
        outlet.flush(out);
        !outlet.diverged
    }

    /// Takes in what another hand has sent, in the client's own dialect: nothing of it is sent again.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when it cannot be read.
    pub(crate) fn replay(&mut self, passed: &[Bytes]) -> Result<(), Error> {
        let Self { inlet, outlet } = self;
        for chunk in passed {
            let mut rest = chunk.clone();
            while let Some(frame) = inlet.frames.next(&mut rest).map_err(|_| malformed())? {
                inlet.event(&frame, &mut |delta| outlet.delta(delta))?;
                if let Some(data) = frame.data() {
                    let finished = outlet.encoder.sent(frame.name(), &data);
                    if let Some(said) = &mut outlet.said {
                        said.finished |= finished;
                    }
                }
                outlet.out.clear();
            }
        }
        Ok(())
    }

    /// The stream goes on from another provider, whose first deltas are these.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when they cannot be joined on.
    pub(crate) fn splice(
        &mut self,
        inlet: Inlet,
        joint: Joint,
        first: Vec<Delta<'_>>,
        out: &mut Flow,
    ) -> Result<(), Error> {
        let outlet = &mut self.outlet;
        self.inlet = inlet;
        outlet.joint = Some(Box::new(joint));
        outlet.seen = Seen::default();
        outlet.diverged = false;
        first.into_iter().for_each(|delta| outlet.delta(delta));
        let joined = outlet.joined();
        outlet.flush(out);
        joined
    }

    /// What was said so far, if that is remembered.
    pub(crate) fn said(&self) -> Option<&Transcript> {
        self.outlet.said.as_deref()
    }

    /// Whether the model has said anything yet.
    pub(crate) const fn content(&self) -> bool {
        self.outlet.seen.content
    }

    /// Whether the answer is whole.
    pub(crate) const fn complete(&self) -> bool {
        self.inlet.ended
    }

    /// What the provider reported.
    pub(crate) const fn usage(&self) -> Option<Usage> {
        self.outlet.seen.usage
    }

    /// Content seen so far, in bytes.
    pub(crate) const fn content_bytes(&self) -> u64 {
        self.outlet.seen.bytes
    }

    /// What could not be carried so far.
    pub(crate) fn losses(&self) -> &Losses {
        self.outlet.encoder.losses()
    }

    /// Events written so far, where the client's dialect numbers them.
    pub(crate) fn events(&self) -> u64 {
        self.outlet.encoder.events()
    }
}

// === impl Inlet ===

impl Inlet {
    pub(crate) fn new(framing: Framing, decoder: Box<dyn Decoder>) -> Self {
        Self { frames: Frames::new(framing), decoder, ended: false }
    }

    /// Takes a chunk in.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when the stream cannot be read on, or the provider's own error.
    pub(crate) fn feed(&mut self, chunk: &Bytes, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let mut rest = chunk.clone();
        while let Some(frame) = self.frames.next(&mut rest).map_err(|_| malformed())? {
            self.event(&frame, sink)?;
        }
        Ok(())
    }

    /// The provider ended the stream.
    ///
    /// # Errors
    /// `UpstreamBroken` when the answer was not complete; the provider's own error when that ended it.
    pub(crate) fn end(&mut self, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        self.decoder.end(sink)?;
        self.ended = true;
        Ok(())
    }

    fn rest(&mut self) -> Option<Frame> {
        self.frames.rest()
    }

    fn event(&mut self, frame: &Frame, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let Some(data) = frame.data().filter(|_| !self.ended) else { return Ok(()) };
        let ended = &mut self.ended;
        self.decoder.event(frame.name(), &data, &mut |delta| {
            *ended |= matches!(delta, Delta::End);
            sink(delta);
        })
    }
}

// === impl Outlet ===

impl Outlet {
    fn delta(&mut self, delta: Delta<'_>) {
        let Self { encoder, seen, out, said, joint, diverged } = self;
        seen.note(&delta);
        let mut write = |delta: Delta<'_>| {
            if let Some(said) = said {
                said.note(&delta);
            }
            encoder.delta(delta, out);
        };
        match joint {
            None => write(delta),
            Some(joint) if !*diverged => *diverged = joint.pass(delta, &mut write) == Err(Diverged),
            Some(_) => {}
        }
    }

    fn joined(&self) -> Result<(), Error> {
        if !self.diverged {
            return Ok(());
        }
        let text = "The provider began the answer anew instead of going on with it.";
        Err(Error::upstream(Kind::UpstreamBadAnswer, text))
    }

    fn flush(&mut self, out: &mut Flow) {
        if !self.out.is_empty() {
            out.push(Bytes::from(std::mem::take(&mut self.out)));
        }
    }
}

impl Seen {
    fn note(&mut self, delta: &Delta<'_>) {
        self.content |= says_something(delta);
        match delta {
            Delta::Text(text) => self.bytes += text.len() as u64,
            Delta::Usage(usage) => self.usage = Some(*usage),
            _ => {}
        }
    }
}

/// Whether a delta is the first sign of an answer.
pub(crate) fn says_something(delta: &Delta<'_>) -> bool {
    match delta {
        Delta::Text(text) => !text.is_empty(),
        Delta::Open(Block::Call { .. } | Block::Native(_)) | Delta::Finish(_) => true,
        _ => false,
    }
}

fn malformed() -> Error {
    Error::upstream(
        Kind::UpstreamBadAnswer,
        "The provider's stream cannot be understood: its events are malformed or too long.",
    )
}
