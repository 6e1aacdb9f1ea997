//! Event streams (`text/event-stream`, WHATWG HTML §9.2.6) taken apart without altering a byte: any chunking, the three
//! line ends mixed, comments; bounded.

use std::borrow::Cow;
use std::mem;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// The longest event that is accepted, in bytes.
pub const MAX_EVENT: usize = 16 << 20;

/// Cuts chunks into events. Every byte that goes in comes out in exactly one [`Event::raw`] or in [`Splitter::rest`].
#[derive(Clone, Debug, Default)]
pub struct Splitter {
    /// The begun event out of earlier chunks.
    pending: BytesMut,
    /// The line under way has bytes already.
    in_line: bool,
    /// The last byte was a CR, so a LF now belongs to it.
    after_cr: bool,
    /// An event has left already.
    started: bool,
}

/// One event with the blank line that ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its bytes as they came.
    pub raw: Bytes,
    /// It is the first of its stream: a byte order mark before it is not a part of it.
    first: bool,
}

/// An event is longer than [`MAX_EVENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Keeps JSON on one line, as an event's data must be: a line end outside its texts is white space, and inside them there
/// is none.
pub(crate) fn one_line(json: &mut [u8]) {
    let mut from = 0;
    while let Some(hit) = memchr2(b'\n', b'\r', &json[from..]) {
        json[from + hit] = b' ';
        from += hit + 1;
    }
}

// === impl Splitter ===

impl Splitter {
    /// The next event of `chunk`, which is shortened by what was read; `None` when the rest of it only begins one (it
    /// is kept for the next chunk).
    ///
    /// # Errors
    /// [`TooLong`]; the stream cannot be read on.
    pub fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Event>, TooLong> {
        let Some(end) = self.end_of_event(chunk) else {
            if self.pending.len() + chunk.len() > MAX_EVENT {
                return Err(TooLong);
            }
            self.pending.extend_from_slice(chunk);
            chunk.clear();
            return Ok(None);
        };
        let head = chunk.split_to(end);
        if self.pending.is_empty() {
            return Ok(Some(self.event(head)));
        }
        if self.pending.len() + head.len() > MAX_EVENT {
            return Err(TooLong);
        }
        self.pending.extend_from_slice(&head);
        let raw = self.pending.split().freeze();
        Ok(Some(self.event(raw)))
    }

    /// Whether an event has begun and not ended.
    pub fn begun(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What is left at the end of the stream: an event without the blank line that would end it.
    pub fn rest(&mut self) -> Option<Event> {
        self.in_line = false;
        self.after_cr = false;
        let raw = self.pending.split().freeze();
        (!raw.is_empty()).then(|| self.event(raw))
    }

    fn event(&mut self, raw: Bytes) -> Event {
        Event { raw, first: !mem::replace(&mut self.started, true) }
    }

    /// Offset behind the blank line that ends the event under way.
    fn end_of_event(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            // The second half of a CRLF: it ends no line of its own.
            at = usize::from(chunk[0] == b'\n');
        }
        while let Some(hit) = memchr2(b'\n', b'\r', &chunk[at..]) {
            let blank = hit == 0 && !self.in_line;
            at += hit + 1;
            self.in_line = false;
            if chunk[at - 1] == b'\r' {
                match chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if blank {
                return Some(at);
            }
        }
        self.in_line |= at < chunk.len();
        None
    }
}

// === impl Event ===

impl Event {
    /// The data of the event: its `data` lines joined by line feeds. `None` when it has none, as with a comment.
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        self.field(b"data")
    }

    /// The name of the event, from its last `event` line.
    pub fn name(&self) -> Option<&[u8]> {
        self.lines().filter_map(|line| value(line, b"event")).last()
    }

    fn field(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut found: Option<Cow<'_, [u8]>> = None;
        for value in self.lines().filter_map(|line| value(line, name)) {
            match &mut found {
                None => found = Some(Cow::Borrowed(value)),
                Some(all) => {
                    let all = all.to_mut();
                    all.push(b'\n');
                    all.extend_from_slice(value);
                }
            }
        }
        found
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mark: &[u8] = if self.first { b"\xef\xbb\xbf" } else { b"" };
        let mut rest = self.raw.strip_prefix(mark).unwrap_or(&self.raw);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            Some(line)
        })
    }
}

fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let rest = rest.strip_prefix(b":")?;
    Some(rest.strip_prefix(b" ").unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> (Vec<Event>, Option<Event>) {
        let (mut splitter, mut events) = (Splitter::default(), Vec::new());
        for chunk in chunks {
            let mut chunk = Bytes::copy_from_slice(chunk);
            while let Some(event) = splitter.next(&mut chunk).unwrap() {
                events.push(event);
            }
        }
        (events, splitter.rest())
    }

    fn data(event: &Event) -> Option<String> {
        event.data().map(|data| String::from_utf8(data.into_owned()).unwrap())
    }

    #[test]
    fn reads_all_line_ends_comments_and_names() {
        let text = b"\xef\xbb\xbfdata: a\n\n: ping\r\n\r\nevent: x\rdata:b\rdata: c\r\rdata\n\nid: 7\n\n";
        let (events, rest) = split(&[text]);
        assert_eq!(rest, None);
        let all: Vec<_> = events.iter().map(data).collect();
        assert_eq!(all, [Some("a".into()), None, Some("b\nc".into()), Some(String::new()), None]);
        assert_eq!(events[2].name(), Some(&b"x"[..]));
    }

    #[test]
    fn a_byte_order_mark_is_one_at_the_start_of_the_stream_only() {
        let (events, _) = split(&[b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n"]);
        assert_eq!(events.iter().map(data).collect::<Vec<_>>(), [Some("a".into()), None]);
    }

    #[test]
    fn keeps_what_is_unfinished() {
        let (events, rest) = split(&[b"data: a\n\ndata: [DO"]);
        assert_eq!(events.len(), 1);
        assert_eq!(rest.unwrap().raw, &b"data: [DO"[..]);
    }

    #[test]
    fn an_event_without_an_end_is_bounded() {
        let mut splitter = Splitter::default();
        let mut result = Ok(None);
        for _ in 0..20 {
            result = splitter.next(&mut Bytes::from(vec![b'x'; 1 << 20]));
            if result.is_err() {
                break;
            }
        }
        assert_eq!(result, Err(TooLong));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_and_loses_nothing(
            pieces in prop::collection::vec(prop::sample::select(
                &["data: x", "\n", "\r", "\r\n", ": c", "event: e", "\n\n", "\r\n\r\n", "é", "data:"][..]), 0..40),
            cuts in prop::collection::vec(0..200_usize, 0..12),
        ) {
            let text = pieces.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            let (events, rest) = split(&chunks);
            let mut joined: Vec<u8> = events.iter().flat_map(|e| e.raw.to_vec()).collect();
            joined.extend(rest.iter().flat_map(|e| e.raw.to_vec()));
            prop_assert_eq!(&joined, &text);
            let (whole, _) = split(&[&text]);
            prop_assert_eq!(
                events.iter().filter_map(data).collect::<Vec<_>>(),
                whole.iter().filter_map(data).collect::<Vec<_>>()
            );
        }
    }
}
