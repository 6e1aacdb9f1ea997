//! AWS event streams (`application/vnd.amazon.eventstream`): frames read without altering a byte, whatever the chunking,
//! and frames written. Bounded: the length that a frame claims is believed only after the checksum over it holds, and
//! never beyond [`MAX_FRAME`].
//!
//! A frame is: its length, the length of its headers, a checksum of these two (4 bytes each, big-endian), the headers,
//! the payload, and a checksum of all that stands before it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// The longest frame that is accepted, in bytes.
pub const MAX_FRAME: usize = 16 << 20;

/// The two lengths and their checksum.
const PRELUDE: usize = 12;
/// The checksum at the end.
const TAIL: usize = 4;

/// Cuts chunks into frames. Every byte that goes in comes out in exactly one [`Frame::raw`], or is still held.
#[derive(Clone, Debug, Default)]
pub struct Splitter {
    /// The begun frame out of earlier chunks.
    pending: BytesMut,
    /// What was found wrong: nothing is read behind it.
    broken: Option<Broken>,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its bytes as they came.
    pub raw: Bytes,
    /// What kind of message it is.
    pub message: Message,
    /// What it carries.
    pub payload: Bytes,
    /// Where in `raw` its name is.
    name: Range<usize>,
    /// Where in `raw` the words of an [`Message::Error`] are.
    words: Range<usize>,
}

/// What kind of message a frame is (`:message-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// One of the stream's events; its name is the `:event-type`.
    Event,
    /// A modelled failure; its name is the `:exception-type`.
    Exception,
    /// Any other failure; its name is the `:error-code`, its words stand in `:error-message`.
    Error,
}

/// Why a stream of frames cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The checksum over the lengths does not hold, or they do not fit each other: this is no frame.
    Prelude,
    /// A frame is longer than [`MAX_FRAME`].
    TooLong,
    /// The checksum over the frame does not hold.
    Checksum,
    /// The headers are not of the format.
    Headers,
}

// === impl Splitter ===

impl Splitter {
    /// The next frame of `chunk`, which is shortened by what was read; `None` when the rest of it only begins one (it is
    /// kept for the next chunk).
    ///
    /// # Errors
    /// [`Broken`]; the stream cannot be read on, and every later call says the same.
    pub fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Frame>, Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let read = self.read(chunk);
        if let Err(broken) = &read {
            self.broken = Some(*broken);
            self.pending = BytesMut::new();
            chunk.clear();
        }
        read
    }

    /// Whether a frame has begun and not ended.
    pub fn begun(&self) -> bool {
        !self.pending.is_empty()
    }

    fn read(&mut self, chunk: &mut Bytes) -> Result<Option<Frame>, Broken> {
        if self.pending.is_empty() {
            let Some(len) = length(chunk)?.filter(|len| *len <= chunk.len()) else {
                self.pending.extend_from_slice(chunk);
                chunk.clear();
                return Ok(None);
            };
            return Frame::read(chunk.split_to(len)).map(Some);
        }
        if !self.fill(chunk, PRELUDE) {
            return Ok(None);
        }
        let Some(len) = length(&self.pending)? else { return Ok(None) };
        if !self.fill(chunk, len) {
            return Ok(None);
        }
        Frame::read(self.pending.split().freeze()).map(Some)
    }

    /// Moves bytes of the chunk over until `len` are held; whether they are.
    fn fill(&mut self, chunk: &mut Bytes, len: usize) -> bool {
        let missing = len.saturating_sub(self.pending.len()).min(chunk.len());
        self.pending.extend_from_slice(&chunk.split_to(missing));
        self.pending.len() >= len
    }
}

/// The length of the frame that begins here; `None` when its prelude is not there yet.
fn length(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    let Some(prelude) = bytes.first_chunk::<PRELUDE>() else { return Ok(None) };
    let [a, b, c, d, e, f, g, h, crc @ ..] = *prelude;
    if crc32fast::hash(&[a, b, c, d, e, f, g, h]) != u32::from_be_bytes(crc) {
        return Err(Broken::Prelude);
    }
    let (total, headers) = (size([a, b, c, d]), size([e, f, g, h]));
    if total > MAX_FRAME {
        return Err(Broken::TooLong);
    }
    if total < PRELUDE + TAIL || headers > total - PRELUDE - TAIL {
        return Err(Broken::Prelude);
    }
    Ok(Some(total))
}

fn size(bytes: [u8; 4]) -> usize {
    usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX)
}

// === impl Frame ===

impl Frame {
    /// The name of the event, exception or error; empty where it has none.
    pub fn name(&self) -> &str {
        self.raw.get(self.name.clone()).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }

    /// What a meter reads, which does not see names: the payload of an event; of a failure an object with its name as
    /// the only member.
    pub fn data(&self) -> Cow<'_, [u8]> {
        if self.message == Message::Event {
            return Cow::Borrowed(&self.payload);
        }
        let mut data = b"{".to_vec();
        text(&mut data, self.name());
        data.push(b':');
        if self.payload.is_empty() {
            let words = self.raw.get(self.words.clone()).unwrap_or_default();
            data.extend_from_slice(b"{\"message\":");
            text(&mut data, &String::from_utf8_lossy(words));
            data.push(b'}');
        } else {
            data.extend_from_slice(&self.payload);
        }
        data.push(b'}');
        Cow::Owned(data)
    }

    /// Reads a frame whose length is right.
    fn read(raw: Bytes) -> Result<Self, Broken> {
        let Some((body, tail)) = raw.split_last_chunk::<TAIL>() else { return Err(Broken::Prelude) };
        if crc32fast::hash(body) != u32::from_be_bytes(*tail) {
            return Err(Broken::Checksum);
        }
        let headers = raw.get(4..8).and_then(|len| len.try_into().ok()).map_or(0, size);
        let end = PRELUDE + headers;
        let found = Found::read(&raw, end).ok_or(Broken::Headers)?;
        let (message, name) = match found.message.and_then(|at| raw.get(at)) {
            Some(b"exception") => (Message::Exception, found.exception),
            Some(b"error") => (Message::Error, found.error),
            _ => (Message::Event, found.event),
        };
        let payload = raw.slice(end..raw.len() - TAIL);
        Ok(Self {
            message,
            payload,
            name: name.unwrap_or_default(),
            words: found.words.unwrap_or_default(),
            raw,
        })
    }
}

/// Where in a frame the values of the headers are that are read.
#[derive(Default)]
struct Found {
    message: Option<Range<usize>>,
    event: Option<Range<usize>>,
    exception: Option<Range<usize>>,
    error: Option<Range<usize>>,
    words: Option<Range<usize>>,
}

impl Found {
    /// Walks the headers up to `end`; `None` when they are not of the format.
    fn read(raw: &[u8], end: usize) -> Option<Self> {
        let mut found = Self::default();
        let mut at = PRELUDE;
        while at < end {
            let name_len = usize::from(*raw.get(at)?);
            let name = raw.get(at + 1..at + 1 + name_len)?;
            at += 1 + name_len;
            let kind = *raw.get(at)?;
            at += 1;
            let len = match kind {
                0 | 1 => 0,
                2 => 1,
                3 => 2,
                4 => 4,
                5 | 8 => 8,
                6 | 7 => {
                    let len = u16::from_be_bytes(raw.get(at..at + 2)?.try_into().ok()?);
                    at += 2;
                    usize::from(len)
                }
                9 => 16,
                _ => return None,
            };
            let value = at..at + len;
            at += len;
            if at > end {
                return None;
            }
            if kind != TEXT {
                continue;
            }
            match name {
                b":message-type" => found.message = Some(value),
                b":event-type" => found.event = Some(value),
                b":exception-type" => found.exception = Some(value),
                b":error-code" => found.error = Some(value),
                b":error-message" => found.words = Some(value),
                _ => {}
            }
        }
        Some(found)
    }
}

// === writing ===

/// The type of a header's value that is text.
const TEXT: u8 = 7;

/// Writes a frame behind `out`; `payload` writes what it carries, which is JSON.
pub fn write(out: &mut Vec<u8>, message: Message, name: &str, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PRELUDE]);
    let (kind, named) = match message {
        Message::Event => ("event", ":event-type"),
        Message::Exception => ("exception", ":exception-type"),
        Message::Error => ("error", ":error-code"),
    };
    header(out, named, name);
    header(out, ":content-type", "application/json");
    header(out, ":message-type", kind);
    let headers = out.len() - start - PRELUDE;
    payload(out);
    let total = out.len() - start + TAIL;
    // Frames that are written are an answer's pieces: far below the 4 GiB where a length would not fit.
    let size = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    let mut lengths = [0; 8];
    lengths[..4].copy_from_slice(&size(total));
    lengths[4..].copy_from_slice(&size(headers));
    let crc = crc32fast::hash(&lengths).to_be_bytes();
    out[start..start + 8].copy_from_slice(&lengths);
    out[start + 8..start + PRELUDE].copy_from_slice(&crc);
    let crc = crc32fast::hash(&out[start..]).to_be_bytes();
    out.extend_from_slice(&crc);
}

fn header(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
    out.push(TEXT);
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&value.as_bytes()[..usize::from(len)]);
}

/// Appends JSON text.
fn text(out: &mut Vec<u8>, text: &str) {
    // Writing text to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

// === impl Broken ===

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prelude => "this is no frame of an AWS event stream",
            Self::TooLong => "a frame is longer than 16 MiB",
            Self::Checksum => "the checksum of a frame does not hold",
            Self::Headers => "the headers of a frame cannot be read",
        })
    }
}

impl std::error::Error for Broken {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(message: Message, name: &str, payload: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, message, name, |out| out.extend_from_slice(payload.as_bytes()));
        out
    }

    fn read(chunks: &[&[u8]]) -> Result<(Vec<Frame>, bool), Broken> {
        let (mut splitter, mut frames) = (Splitter::default(), Vec::new());
        for chunk in chunks {
            let mut chunk = Bytes::copy_from_slice(chunk);
            while let Some(frame) = splitter.next(&mut chunk)? {
                frames.push(frame);
            }
        }
        Ok((frames, splitter.begun()))
    }

    #[test]
    fn the_known_frame_of_the_format_is_read() {
        // An empty message: lengths 16 and 0 and the two checksums that the format's own test vectors give for it.
        let bytes = [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        let (frames, begun) = read(&[&bytes]).unwrap();
        assert_eq!((frames.len(), begun), (1, false));
        assert_eq!((frames[0].name(), frames[0].payload.len()), ("", 0));
    }

    #[test]
    fn what_was_written_is_read() {
        let (frames, _) =
            read(&[&frame(Message::Event, "messageStart", "{\"role\":\"assistant\"}")]).unwrap();
        assert_eq!((frames[0].name(), frames[0].message), ("messageStart", Message::Event));
        assert_eq!(frames[0].payload, &b"{\"role\":\"assistant\"}"[..]);
        assert_eq!(frames[0].data(), &b"{\"role\":\"assistant\"}"[..]);
    }

    #[test]
    fn a_failure_carries_its_name_into_its_data() {
        let (frames, _) =
            read(&[&frame(Message::Exception, "throttlingException", "{\"message\":\"slow\"}")]).unwrap();
        assert_eq!(frames[0].message, Message::Exception);
        assert_eq!(frames[0].data(), &b"{\"throttlingException\":{\"message\":\"slow\"}}"[..]);
        let (frames, _) = read(&[&frame(Message::Error, "InternalFailure", "")]).unwrap();
        assert_eq!(frames[0].data(), &b"{\"InternalFailure\":{\"message\":\"\"}}"[..]);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let good = frame(Message::Event, "x", "{\"a\":1}");
        for at in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(read(&[&bad]).is_err(), "bit {at}");
        }
    }

    #[test]
    fn a_length_is_believed_only_under_the_bound() {
        let mut bytes = [0xff_u8, 0xff, 0xff, 0xff, 0, 0, 0, 0].to_vec();
        let crc = crc32fast::hash(&bytes).to_be_bytes();
        bytes.extend_from_slice(&crc);
        assert_eq!(read(&[&bytes]), Err(Broken::TooLong));
        let mut splitter = Splitter::default();
        let first = splitter.next(&mut Bytes::copy_from_slice(&bytes));
        assert_eq!(first, Err(Broken::TooLong));
        assert_eq!(splitter.next(&mut Bytes::from_static(b"more")), Err(Broken::TooLong));
        assert!(!splitter.begun());
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_and_loses_nothing(
            payloads in prop::collection::vec("[a-z]{0,40}", 0..6),
            rest in 0_usize..30,
            cuts in prop::collection::vec(0..2_000_usize, 0..12),
        ) {
            let mut stream: Vec<u8> = payloads.iter().flat_map(|p| frame(Message::Event, "e", p)).collect();
            let cut_off = frame(Message::Event, "cut", "off");
            stream.extend_from_slice(&cut_off[..rest]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
            let (frames, begun) = read(&chunks).unwrap();
            prop_assert_eq!(begun, rest > 0);
            let read: Vec<Bytes> = frames.iter().map(|f| f.payload.clone()).collect();
            prop_assert_eq!(read, payloads.iter().map(|p| Bytes::from(p.clone())).collect::<Vec<_>>());
            let raw: Vec<u8> = frames.iter().flat_map(|f| f.raw.to_vec()).collect();
            prop_assert_eq!(&raw[..], &stream[..stream.len() - rest]);
        }

        #[test]
        fn hostile_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&bytes]);
        }

        #[test]
        fn hostile_headers_are_refused_without_a_panic(headers in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = u32::try_from(headers.len() + 16).unwrap().to_be_bytes().to_vec();
            bytes.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
            bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
            bytes.extend(headers);
            bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
            let _ = read(&[&bytes]);
        }
    }
}
