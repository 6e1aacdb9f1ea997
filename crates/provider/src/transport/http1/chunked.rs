//! The chunked transfer coding (RFC 9112, §7.1), taken apart as it comes.

use bytes::BytesMut;

/// Where in a chunked body the reader is. It keeps no bytes of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of the chunk that are still to come, or its size as far as it was read.
    left: u64,
    /// Digits of the size, or bytes of a trailer, that were read.
    seen: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// What follows the size up to the end of its line.
    Extension,
    Data,
    /// The line end behind a chunk's data.
    DataEnd,
    /// At the start of a line behind the last chunk.
    TrailerStart,
    Trailer,
    Ended,
}

/// A body is not coded as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Miscoded;

/// The longest trailer section, and the longest line of a size.
const MAX_LINE: usize = 16 << 10;

impl Chunked {
    /// Takes `input` apart and puts the data into `out`; how much of it was read, which is all unless the body ended.
    pub(super) fn feed(&mut self, input: &[u8], out: &mut BytesMut) -> Result<usize, Miscoded> {
        let mut at = 0;
        while at < input.len() && self.state != State::Ended {
            if self.state == State::Data {
                let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len() - at);
                out.extend_from_slice(&input[at..at + n]);
                at += n;
                self.left -= n as u64;
                if self.left == 0 {
                    self.state = State::DataEnd;
                }
                continue;
            }
            self.step(input[at])?;
            at += 1;
        }
        Ok(at)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    fn step(&mut self, byte: u8) -> Result<(), Miscoded> {
        match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).ok_or(Miscoded)?;
                self.left = self
                    .left
                    .checked_mul(16)
                    .and_then(|left| left.checked_add(u64::from(digit)))
                    .ok_or(Miscoded)?;
                self.seen += 1;
            }
            (State::Size, b';' | b' ' | b'\t' | b'\r') if self.seen > 0 => self.state = State::Extension,
            (State::Size | State::Extension, b'\n') if self.seen > 0 => {
                self.state = if self.left == 0 { State::TrailerStart } else { State::Data };
                self.seen = 0;
            }
            (State::Extension | State::Trailer, _) if byte != b'\n' => self.count()?,
            (State::DataEnd, b'\r') => {}
            (State::DataEnd, b'\n') => self.state = State::Size,
            (State::TrailerStart, b'\r') => {}
            (State::TrailerStart, b'\n') => self.state = State::Ended,
            (State::TrailerStart, _) => {
                self.count()?;
                self.state = State::Trailer;
            }
            (State::Trailer, _) => self.state = State::TrailerStart,
            _ => return Err(Miscoded),
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Miscoded> {
        self.seen += 1;
        if self.seen > MAX_LINE { Err(Miscoded) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), Miscoded> {
        let (mut chunked, mut out, mut read) = (Chunked::default(), BytesMut::new(), 0);
        for piece in pieces {
            read += chunked.feed(piece, &mut out)?;
        }
        Ok((out.to_vec(), chunked.has_ended(), read))
    }

    #[test]
    fn any_cut_gives_the_same() {
        let wire = b"5\r\nhello\r\nA;x=\"y\"\r\n, world!!!\r\n0\r\nX-T: 1\r\n\r\nrest";
        for cut in 0..=wire.len() {
            let (data, ended, read) = decode(&[&wire[..cut], &wire[cut..]]).unwrap();
            assert_eq!((&data[..], ended), (&b"hello, world!!!"[..], true), "cut at {cut}");
            assert!(wire.len() - read >= 4, "what follows is not read");
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(decode(&bytes).unwrap().0, b"hello, world!!!");
    }

    #[test]
    fn what_is_cut_short_has_not_ended() {
        let wire = b"5\r\nhello\r\n0\r\n\r\n";
        for cut in 0..wire.len() {
            assert!(!decode(&[&wire[..cut]]).unwrap().1, "cut at {cut}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(decode(&[b"\r\nhello"]), Err(Miscoded));
        assert_eq!(decode(&[b"xyz\r\n"]), Err(Miscoded));
        assert_eq!(decode(&[b"5\r\nhelloX"]), Err(Miscoded));
        assert_eq!(decode(&[b"fffffffffffffffff\r\n"]), Err(Miscoded));
        let endless = [b"5;".to_vec(), vec![b'x'; MAX_LINE + 2]].concat();
        assert_eq!(decode(&[&endless]), Err(Miscoded));
    }
}
