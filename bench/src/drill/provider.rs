//! A provider that can be killed, limited and slowed while it is under load.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::http1::{Framing, fill, parse_head};

/// How a provider behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    /// Its first token comes after the usual time.
    Healthy,
    /// Nobody listens, and its connections are gone.
    Killed,
    /// It takes so many calls a second; more are refused with `retry-after: 1`.
    Limited(u64),
    /// Its first token comes later by this factor.
    Slow(f64),
    /// One call in so many takes this long to its first token.
    Tail(u64, Duration),
}

/// A provider under the drill's hand.
pub(super) struct Provider {
    pub(super) address: SocketAddr,
    mood: watch::Sender<Mood>,
    seen: Arc<Seen>,
}

/// What it has seen.
#[derive(Default)]
struct Seen {
    calls: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    /// When the second under way began, and its calls so far.
    window: Mutex<Option<(Instant, u64)>>,
}

/// The usual time to the first token.
const FIRST: Duration = Duration::from_millis(40);
/// Spread of that time, up and down.
const SPREAD_US: u64 = 6_000;
/// Pieces of an answer, and the time between two.
const PIECES: usize = 5;
const GAP: Duration = Duration::from_millis(4);

impl Provider {
    /// Starts one on a port of its own.
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (mood, moods) = watch::channel(Mood::Healthy);
        let seen = Arc::new(Seen::default());
        tokio::spawn(serve(listener, address, moods, Arc::clone(&seen)));
        Ok(Self { address, mood, seen })
    }

    pub(super) fn is(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Calls that came, that were answered, and that were refused.
    pub(super) fn counts(&self) -> [u64; 3] {
        let Seen { calls, answered, refused, .. } = &*self.seen;
        [calls, answered, refused].map(|count| count.load(Ordering::Relaxed))
    }
}

async fn serve(first: TcpListener, address: SocketAddr, mut moods: watch::Receiver<Mood>, seen: Arc<Seen>) {
    let mut listener = Some(first);
    loop {
        let killed = *moods.borrow_and_update() == Mood::Killed;
        if killed {
            // Closed: the system refuses connections from here on.
            listener = None;
            if moods.changed().await.is_err() {
                return;
            }
            continue;
        }
        if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        let Some(open) = &listener else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        tokio::select! {
            accepted = open.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let (mut own, seen) = (moods.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    let mut killed = own.clone();
                    tokio::select! {
                        // What breaks is the drill's own doing.
                        _ = connection(stream, &mut own, &seen) => {}
                        _ = killed.wait_for(|mood| *mood == Mood::Killed) => {}
                    }
                });
            }
            changed = moods.changed() => if changed.is_err() { return },
        }
    }
}

async fn connection(mut stream: TcpStream, moods: &mut watch::Receiver<Mood>, seen: &Seen) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buf = BytesMut::with_capacity(4096);
    loop {
        let head = loop {
            if let Some(head) = parse_head(&buf, true, |_, _| ())? {
                break head;
            }
            fill(&mut stream, &mut buf).await?;
        };
        buf.advance(head.len);
        let Framing::Length(length) = head.framing else { return Ok(()) };
        while buf.len() < length {
            fill(&mut stream, &mut buf).await?;
        }
        buf.advance(length);
        let number = seen.calls.fetch_add(1, Ordering::Relaxed);
        let mood = *moods.borrow();
        if let Mood::Limited(limit) = mood
            && !seen.admits(limit)
        {
            seen.refused.fetch_add(1, Ordering::Relaxed);
            stream.write_all(REFUSAL).await?;
            continue;
        }
        let jitter = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let usual =
            FIRST - Duration::from_micros(SPREAD_US) + Duration::from_micros(jitter % (2 * SPREAD_US));
        let first = match mood {
            Mood::Slow(factor) => usual.mul_f64(factor),
            // Spread evenly and not in step with anything: by a hash of the call's number.
            Mood::Tail(one_in, long) if jitter.is_multiple_of(one_in) => long,
            _ => usual,
        };
        sleep(first).await;
        seen.answered.fetch_add(1, Ordering::Relaxed);
        stream.write_all(HEAD).await?;
        for piece in 0..PIECES {
            if piece > 0 {
                sleep(GAP).await;
            }
            chunk(
                &mut stream,
                r#"{"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}"#,
            )
            .await?;
        }
        chunk(&mut stream, r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#).await?;
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}"#;
        chunk(&mut stream, usage).await?;
        chunk(&mut stream, "[DONE]").await?;
        stream.write_all(b"0\r\n\r\n").await?;
    }
}

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const REFUSAL: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-type: application/json\r\n\
    content-length: 51\r\n\r\n{\"error\":{\"message\":\"slow down\",\"type\":\"requests\"}}";

async fn chunk(stream: &mut TcpStream, data: &str) -> io::Result<()> {
    let event = format!("data: {data}\n\n");
    stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await
}

impl Seen {
    /// Whether a call is among the first `limit` of its second.
    fn admits(&self, limit: u64) -> bool {
        let mut window = self.window.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match *window {
            Some((start, ref mut count)) if start.elapsed() < Duration::from_secs(1) => {
                *count += 1;
                *count <= limit
            }
            _ => {
                *window = Some((Instant::now(), 1));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_says_its_length() {
        let text = std::str::from_utf8(REFUSAL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
