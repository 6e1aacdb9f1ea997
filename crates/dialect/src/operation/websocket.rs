//! Frames of a WebSocket (RFC 6455 §5), looked at as they pass: where one ends, and what texts say. Nothing is altered.

use bytes::BytesMut;

/// Reads one direction of a connection, in any pieces.
#[derive(Debug, Default)]
pub struct Frames {
    /// The head of the frame under way, as far as it came.
    head: Vec<u8>,
    /// Bytes of its payload that are still to come.
    left: u64,
    /// The message under way, if it is text that can be read.
    text: Option<BytesMut>,
    /// Whether the frame under way is a part of that message.
    within: bool,
    /// Whether it ends the message.
    last: bool,
    closed: bool,
}

/// Longer messages pass unread.
const MOST: usize = 1 << 20;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
/// "Going away" (RFC 6455 §7.4.1).
const GOING_AWAY: [u8; 2] = 1_001_u16.to_be_bytes();

// === impl Frames ===

impl Frames {
    /// Takes note of bytes that pass, and hands each whole text message on. Texts of a client are masked, compressed ones
    /// are not text yet: neither is handed on.
    pub fn hear(&mut self, mut bytes: &[u8], mut message: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            if self.left == 0 {
                let Some((first, rest)) = bytes.split_first() else { return };
                self.head.push(*first);
                bytes = rest;
                let Some(length) = length(&self.head) else { continue };
                self.begin(length);
            }
            let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, rest) = bytes.split_at(n);
            (bytes, self.left) = (rest, self.left - n as u64);
            if self.within
                && let Some(text) = &mut self.text
            {
                if text.len() + n > MOST {
                    self.text = None;
                } else {
                    text.extend_from_slice(piece);
                }
            }
            if self.left == 0 {
                self.head.clear();
                if self.within
                    && self.last
                    && let Some(text) = self.text.take()
                {
                    message(&text);
                }
            }
        }
    }

    /// Whether no frame is under way: something may be said in between.
    pub const fn is_between(&self) -> bool {
        self.left == 0 && self.head.is_empty()
    }

    /// Whether a frame came that ends the conversation.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// A frame begins whose head is complete.
    fn begin(&mut self, length: u64) {
        let (first, second) =
            (self.head.first().copied().unwrap_or(0), self.head.get(1).copied().unwrap_or(0));
        let (opcode, plain) = (first & 0x0f, first & 0x70 == 0 && second & 0x80 == 0);
        self.left = length;
        self.last = first & 0x80 != 0;
        self.within = opcode <= 2;
        self.closed |= opcode == CLOSE;
        match opcode {
            TEXT if plain => self.text = Some(BytesMut::new()),
            CONTINUATION if plain => {}
            0..=2 => self.text = None,
            _ => {}
        }
    }
}

/// The payload's length, once the head is complete.
fn length(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (size, length) = match second & 0x7f {
        126 => (2, u64::from(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?))),
        127 => (8, u64::from_be_bytes(head.get(2..10)?.try_into().ok()?)),
        short => (0, u64::from(short)),
    };
    (head.len() >= 2 + size + mask).then_some(length)
}

/// A frame that says that this side goes away, as a server says it, or as a client does: masked.
pub fn going_away(as_client: bool) -> Vec<u8> {
    let mut frame = vec![0x80 | CLOSE];
    if as_client {
        // A mask hides nothing; it keeps what lies between from taking bytes for its own. Any will do.
        let mask = [0x4c, 0x67, 0x61, 0x77];
        frame.push(0x80 | GOING_AWAY.len() as u8);
        frame.extend_from_slice(&mask);
        frame.extend(GOING_AWAY.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    } else {
        frame.push(GOING_AWAY.len() as u8);
        frame.extend_from_slice(&GOING_AWAY);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            n @ 0..=125 => out.push(n as u8),
            n @ 126..=0xffff => {
                out.push(126);
                out.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                out.push(127);
                out.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(payload);
        out
    }

    /// The messages in a stream that comes in pieces of this size, and whether it ended between frames.
    fn heard(stream: &[u8], size: usize) -> (Vec<Vec<u8>>, Frames) {
        let (mut frames, mut messages) = (Frames::default(), Vec::new());
        for piece in stream.chunks(size) {
            frames.hear(piece, |text| messages.push(text.to_vec()));
        }
        (messages, frames)
    }

    #[test]
    fn texts_are_heard_in_any_pieces_and_nothing_else_is() {
        let long = vec![b'x'; 70_000];
        let stream = [
            frame(0x81, b"one"),
            frame(0x82, b"bytes"),
            frame(0x01, b"t"),
            frame(0x89, b"ping"),
            frame(0x00, b"w"),
            frame(0x80, b"o"),
            frame(0x81, &long),
            frame(0xc1, b"compressed"),
            frame(0x81, b""),
            frame(0x81, &[b'y'; 200]),
        ]
        .concat();
        for size in [1, 3, 1_000, stream.len()] {
            let (messages, frames) = heard(&stream, size);
            let wanted: [&[u8]; 5] = [b"one", b"two", &long, b"", &[b'y'; 200]];
            assert_eq!(messages, wanted, "{size}");
            assert!(frames.is_between() && !frames.is_closed());
        }
    }

    #[test]
    fn what_is_too_long_passes_unread_and_the_next_is_heard() {
        let stream = [frame(0x81, &vec![b'x'; MOST + 1]), frame(0x81, b"next")].concat();
        assert_eq!(heard(&stream, 65_536).0, [b"next"]);
    }

    #[test]
    fn an_end_is_seen_and_said() {
        for as_client in [true, false] {
            let said = going_away(as_client);
            let (messages, frames) = heard(&said, 1);
            assert!(messages.is_empty() && frames.is_between() && frames.is_closed());
        }
        assert_eq!(going_away(false), [0x88, 2, 0x03, 0xe9]);
        let masked = going_away(true);
        assert_eq!([masked[6] ^ masked[2], masked[7] ^ masked[3]], [0x03, 0xe9]);
        let (_, frames) = heard(&frame(0x81, b"abc")[..4], 2);
        assert!(!frames.is_between());
    }
}
