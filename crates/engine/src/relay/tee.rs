//! Whole events to the client as they came, a meter beside them.
//!
//! Only whole events pass. Should the provider break off inside one, the client never sees its beginning, and the error
//! event that follows is read as one.

use bytes::Bytes;
use lockgate_core::{Error, Kind, Usage};
use lockgate_dialect::sse::{Event, Splitter};
use lockgate_dialect::{Meter, Note};

/// The pieces that are to go to the client, in order.
pub(crate) type Flow = Vec<Bytes>;

/// The state of one stream.
pub(crate) struct Tee {
    splitter: Splitter,
    meter: Box<dyn Meter>,
    /// The event that only reports usage is not the client's.
    withhold_usage: bool,
    content: bool,
    /// The provider's own error.
    failed: Option<Error>,
    /// The event with the provider's own error has passed.
    told: bool,
    /// The stream may be gone on with: an error in it is not the client's to see.
    goes_on: bool,
    /// Events with data that have passed.
    passed: u64,
}

impl Tee {
    pub(crate) fn new(meter: Box<dyn Meter>, withhold_usage: bool, goes_on: bool) -> Self {
        Self {
            splitter: Splitter::default(),
            meter,
            withhold_usage,
            content: false,
            failed: None,
            told: false,
            goes_on,
            passed: 0,
        }
    }

    /// Takes a chunk in. Events that stand side by side leave as one piece.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when the stream cannot be read on; what came before is in `out`.
    pub(crate) fn feed(&mut self, chunk: &Bytes, out: &mut Flow) -> Result<(), Error> {
        let mut rest = chunk.clone();
        // The bytes of `chunk` from here to the event under way are to pass.
        let mut from = 0;
        loop {
            let start = chunk.len() - rest.len();
            let begun_before = self.splitter.begun();
            let next = self.splitter.next(&mut rest).map_err(|_| unreadable("an event is too long"));
            let event = match next {
                Ok(Some(event)) => event,
                Ok(None) => {
                    pass(out, chunk.slice(from..start));
                    return Ok(());
                }
                Err(error) => {
                    pass(out, chunk.slice(from..start));
                    return Err(error);
                }
            };
            match self.note(&event) {
                Ok(true) if begun_before => {
                    pass(out, event.raw);
                    from = chunk.len() - rest.len();
                }
                Ok(true) => {}
                Ok(false) => {
                    pass(out, chunk.slice(from..start));
                    from = chunk.len() - rest.len();
                }
                Err(error) => {
                    pass(out, chunk.slice(from..start));
                    return Err(error);
                }
            }
        }
    }

    /// The provider ended the stream in good order. An event without its blank line passes when the answer is complete
    /// with it. Otherwise it is dropped, as readers of the format do: the error event would run into it.
    ///
    /// # Errors
    /// `UpstreamBroken` when the answer was not complete; the provider's own error when that ended it.
    pub(crate) fn end(&mut self, out: &mut Flow) -> Result<(), Error> {
        if let Some(event) = self.splitter.rest() {
            let told = self.told;
            let note = event.data().map_or(Note::Frame, |data| self.meter.note_rest(&data));
            let passes = self.judge(note, &event).unwrap_or(false);
            if passes && (told || self.complete()) {
                pass(out, event.raw);
            }
            // An error in an event that did not pass was not told.
            self.told = told;
        }
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        if !self.meter.complete() {
            return Err(Error::upstream(
                Kind::UpstreamBroken,
                "The provider ended the stream before the answer was complete.",
            ));
        }
        Ok(())
    }

    /// Whether the model has said anything yet.
    pub(crate) const fn content(&self) -> bool {
        self.content
    }

    /// Whether the answer would be whole if the stream ended here.
    pub(crate) fn complete(&self) -> bool {
        self.failed.is_none() && self.meter.complete()
    }

    /// Whether the client has been told of a failure in the provider's own words.
    pub(crate) const fn told(&self) -> bool {
        self.told
    }

    /// The provider's own error.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failed.take()
    }

    /// Events with data that have passed.
    pub(crate) const fn events(&self) -> u64 {
        self.passed
    }

    /// What the provider reported.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.meter.usage()
    }

    /// Content seen so far, in bytes.
    pub(crate) fn content_bytes(&self) -> u64 {
        self.meter.content_bytes()
    }

    /// Whether the event passes.
    fn note(&mut self, event: &Event) -> Result<bool, Error> {
        let Some(data) = event.data() else { return Ok(true) };
        let note = self.meter.note(&data);
        let passes = self.judge(note, event)?;
        self.passed += u64::from(passes);
        Ok(passes)
    }

    fn judge(&mut self, note: Note, event: &Event) -> Result<bool, Error> {
        match note {
            Note::Frame => Ok(true),
            Note::Content => {
                self.content = true;
                Ok(true)
            }
            Note::UsageOnly => Ok(!self.withhold_usage),
            Note::Failed(error) if self.goes_on => Err(error),
            Note::Failed(error) => {
                self.failed.get_or_insert(error);
                self.told = true;
                Ok(true)
            }
            // Nothing behind the provider's own error can make it worse.
            Note::Garbage if self.told => Ok(true),
            Note::Garbage => {
                let data = event.data().unwrap_or_default();
                let start = String::from_utf8_lossy(&data[..data.len().min(80)]).into_owned();
                Err(unreadable("an event is not of the dialect").detail(start))
            }
        }
    }
}

fn pass(out: &mut Flow, piece: Bytes) {
    if !piece.is_empty() {
        out.push(piece);
    }
}

fn unreadable(why: &str) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, format!("The provider's stream cannot be understood: {why}."))
}
