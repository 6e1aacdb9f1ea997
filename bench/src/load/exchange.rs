//! One request and its answer, on a kept connection.

use std::io;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use memchr::memmem;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::http1::{Chunked, Framing, fill, parse_head};

/// A connection that is kept, and what was read from it beyond the last answer.
pub(crate) type Connection = (TcpStream, BytesMut);

/// What came back.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) first_event: Option<Instant>,
    pub(crate) bytes: u64,
    pub(crate) events: u64,
    /// A stream that ended cleanly, but without its end mark.
    pub(crate) unfinished: bool,
}

/// Counts `data:` lines and looks for the end mark, across reads.
#[derive(Default)]
struct Events {
    carry: Vec<u8>,
    events: u64,
    done: bool,
}

/// Sends a request, on the connection at hand or a new one, and reads its answer to the end. The connection is put
/// back if it can serve again.
pub(crate) async fn exchange(
    authority: &str,
    request: &[u8],
    is_stream: bool,
    conn: &mut Option<Connection>,
) -> io::Result<Answer> {
    let (mut stream, mut buf) = match conn.take() {
        Some(c) => c,
        None => {
            let stream = TcpStream::connect(authority).await?;
            stream.set_nodelay(true)?;
            (stream, BytesMut::with_capacity(16 * 1024))
        }
    };
    stream.write_all(request).await?;
    let head = loop {
        if let Some(head) = parse_head(&buf, false, |_, _| ())? {
            break head;
        }
        fill(&mut stream, &mut buf).await?;
    };
    buf.advance(head.len);
    let mut answer = Answer::default();
    let mut seen = Events::default();
    let mut error = Vec::new();
    let mut take = |data: &[u8]| {
        answer.bytes += data.len() as u64;
        if head.status != 200 {
            error.extend_from_slice(&data[..data.len().min(300)]);
        } else if is_stream {
            if answer.first_event.is_none() {
                answer.first_event = Some(Instant::now());
            }
            seen.feed(data);
        }
    };
    match head.framing {
        Framing::Length(mut left) => {
            while left > 0 {
                if buf.is_empty() {
                    fill(&mut stream, &mut buf).await?;
                }
                let n = left.min(buf.len());
                take(&buf[..n]);
                buf.advance(n);
                left -= n;
            }
        }
        Framing::Chunked => {
            let mut decoder = Chunked::default();
            while !decoder.feed(&mut buf, &mut take)? {
                fill(&mut stream, &mut buf).await?;
            }
        }
        Framing::UntilClose => loop {
            take(&buf);
            buf.clear();
            if fill(&mut stream, &mut buf).await.is_err() {
                break;
            }
        },
    }
    if head.keep_alive {
        *conn = Some((stream, buf));
    }
    if head.status != 200 {
        return Err(io::Error::other(format!("status {}: {}", head.status, String::from_utf8_lossy(&error))));
    }
    if is_stream {
        answer.events = seen.events;
        answer.unfinished = !seen.done;
    }
    Ok(answer)
}

impl Events {
    fn feed(&mut self, data: &[u8]) {
        const KEEP: usize = 64;
        // A line cut by a read is counted once its end is in: `carry` is what follows the last newline.
        self.carry.extend_from_slice(data);
        let Some(end) = memchr::memrchr(b'\n', &self.carry) else { return };
        let lines = &self.carry[..=end];
        self.events += memmem::find_iter(lines, b"data:").count() as u64;
        if !self.done {
            let tail = &lines[lines.len().saturating_sub(KEEP)..];
            self.done =
                memmem::find(tail, b"[DONE]").is_some() || memmem::find(tail, b"message_stop").is_some();
        }
        self.carry.drain(..=end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_events_across_reads() {
        let wire = b"data: {\"a\":1}\n\ndata: {\"b\":2}\n\ndata: [DONE]\n\n";
        for cut in 0..wire.len() {
            let mut e = Events::default();
            e.feed(&wire[..cut]);
            e.feed(&wire[cut..]);
            assert_eq!((e.events, e.done), (3, true), "cut at {cut}");
        }
    }
}
