//! Bodies of answers.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};

use super::chunked::Chunked;
use super::head::Head;
use super::{Broken, Link};

/// How a body ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Framing {
    /// After so many bytes more.
    Length(u64),
    /// With its last chunk.
    Chunked(Chunked),
    /// With its connection.
    UntilClose,
    /// It has.
    Ended,
}

/// A body that comes in.
pub(in super::super) struct Reading {
    link: Option<Link>,
    framing: Framing,
    /// What came with the head.
    early: Bytes,
    keep_alive: bool,
}

impl Reading {
    pub(super) fn new(link: Link, head: &Head, early: Bytes) -> Self {
        Self { link: Some(link), framing: head.framing, early, keep_alive: head.keep_alive }
    }

    /// The next piece; `None` at the end of the body.
    pub(in super::super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            if self.has_ended() {
                return Poll::Ready(None);
            }
            if !self.early.is_empty() {
                let early = std::mem::take(&mut self.early);
                match self.decode_owned(early) {
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => return Poll::Ready(Some(Ok(data))),
                    Err(broken) => return self.give_up(broken),
                }
            }
            let Some(link) = &mut self.link else { return Poll::Ready(None) };
            let (framing, early) = (&mut self.framing, &mut self.early);
            match ready!(link.poll_scratch(cx, |bytes| decode(framing, bytes, early))) {
                Ok(Some(Ok(data))) if data.is_empty() => {}
                Ok(Some(Ok(data))) => return Poll::Ready(Some(Ok(data))),
                Ok(Some(Err(broken))) => return self.give_up(broken),
                Ok(None) if matches!(self.framing, Framing::UntilClose) => self.framing = Framing::Ended,
                Ok(None) => {
                    let error = io::ErrorKind::UnexpectedEof.into();
                    return self.give_up(Broken::Io { error, unanswered: false });
                }
                Err(error) => return self.give_up(Broken::Io { error, unanswered: false }),
            }
        }
    }

    pub(in super::super) const fn has_ended(&self) -> bool {
        matches!(self.framing, Framing::Ended)
    }

    /// Bytes that are certain to come.
    pub(in super::super) const fn at_least(&self) -> u64 {
        match self.framing {
            Framing::Length(left) => left,
            _ => 0,
        }
    }

    /// The connection, if the body was read to its end and it can be used again.
    pub(in super::super) fn take_link(&mut self) -> Option<Link> {
        let clean = self.has_ended() && self.keep_alive && self.early.is_empty();
        self.link.take().filter(|_| clean)
    }

    /// What came with the head is owned already, so a plain piece of it is not copied again.
    fn decode_owned(&mut self, mut bytes: Bytes) -> Result<Bytes, Broken> {
        match &mut self.framing {
            Framing::Length(left) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let data = bytes.split_to(n);
                *left -= n as u64;
                if *left == 0 {
                    self.framing = Framing::Ended;
                }
                self.early = bytes;
                Ok(data)
            }
            Framing::UntilClose => Ok(bytes),
            Framing::Chunked(_) => {
                let mut rest = Bytes::new();
                let data = decode(&mut self.framing, &bytes, &mut rest);
                bytes.advance(bytes.len());
                self.early = rest;
                data
            }
            Framing::Ended => Ok(Bytes::new()),
        }
    }

    fn give_up(&mut self, broken: Broken) -> Poll<Option<Result<Bytes, Broken>>> {
        self.framing = Framing::Ended;
        self.keep_alive = false;
        self.link = None;
        Poll::Ready(Some(Err(broken)))
    }
}

/// The data in `bytes`; what follows the end of the body goes to `rest`.
fn decode(framing: &mut Framing, bytes: &[u8], rest: &mut Bytes) -> Result<Bytes, Broken> {
    match framing {
        Framing::Length(left) => {
            let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            *left -= n as u64;
            if *left == 0 {
                *framing = Framing::Ended;
                *rest = Bytes::copy_from_slice(&bytes[n..]);
            }
            Ok(Bytes::copy_from_slice(&bytes[..n]))
        }
        Framing::Chunked(chunked) => {
            let mut data = BytesMut::with_capacity(bytes.len());
            let read =
                chunked.feed(bytes, &mut data).map_err(|_| Broken::Invalid("its chunks are malformed"))?;
            if chunked.has_ended() {
                *framing = Framing::Ended;
                *rest = Bytes::copy_from_slice(&bytes[read..]);
            }
            Ok(data.freeze())
        }
        Framing::UntilClose => Ok(Bytes::copy_from_slice(bytes)),
        Framing::Ended => Ok(Bytes::new()),
    }
}
