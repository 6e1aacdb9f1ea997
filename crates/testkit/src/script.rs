//! A transport that says what it was told to say, and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::{Body, Frame};
use lockgate_core::port::{Answer, Call, Ready, Transport};
use lockgate_core::{Error, Kind};
use tokio::time::Sleep;

/// A transport with a script: for each provider, by name, what it answers next. It keeps a call's limits up to the head
/// of the answer, as every transport must; the body comes when the script says so.
#[derive(Default)]
pub struct Script {
    plays: Mutex<HashMap<String, VecDeque<Play>>>,
    seen: Mutex<Vec<Seen>>,
    open: Arc<AtomicUsize>,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Whom it went to.
    pub upstream: String,
    /// The path behind the provider's prefix.
    pub path: String,
    /// The dialect it was called in.
    pub dialect: &'static str,
    /// Headers of this call alone.
    pub headers: HeaderMap,
    /// Whether an event stream was asked for.
    pub stream: bool,
    /// The body in one piece.
    pub body: Bytes,
    /// How long the head of the answer may take.
    pub first_byte: Duration,
    /// How long all of it may take.
    pub total: Duration,
}

/// What a provider does with one call.
#[derive(Default)]
pub struct Play {
    /// Before the head.
    before: VecDeque<Step>,
    head: Option<(StatusCode, HeaderMap)>,
    /// Behind the head.
    body: VecDeque<Step>,
}

enum Step {
    Bytes(Bytes),
    /// `Pending` once; the reader is woken at once.
    Pause,
    /// `Pending` for so long.
    Wait(Duration),
    /// `Pending` for ever.
    Hang,
    Fail(Error),
    /// A clean end, whatever was to follow.
    End,
}

/// The body of a scripted answer. Counted as open until it is dropped.
struct Performance {
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
    open: Arc<AtomicUsize>,
}

// === impl Script ===

impl Script {
    /// A script without a line: every call is an unreachable provider until [`Script::then`].
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What this provider does with its next call, after those that were given before.
    pub fn then(&self, upstream: &str, play: Play) {
        let mut plays = lock(&self.plays);
        match plays.get_mut(upstream) {
            Some(queue) => queue.push_back(play),
            None => drop(plays.insert(upstream.to_owned(), VecDeque::from([play]))),
        }
    }

    /// The calls so far in order; none is remembered any longer.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *lock(&self.seen))
    }

    /// Answers whose body is still being read.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Forgets what was not played.
    pub fn clear(&self) {
        lock(&self.plays).clear();
    }
}

impl Transport for Script {
    fn call(&self, call: Call) -> Ready<'_, Result<Answer, Error>> {
        let play = lock(&self.plays).get_mut(&*call.upstream.name).and_then(VecDeque::pop_front);
        lock(&self.seen).push(Seen {
            upstream: call.upstream.name.to_string(),
            path: call.path.into_owned(),
            dialect: call.speech.dialect,
            headers: call.headers,
            stream: call.stream,
            body: call.body.join(),
            first_byte: call.first_byte,
            total: call.total,
        });
        Box::pin(async move {
            let play = play.ok_or_else(crate::builder::unreachable)?;
            if !play.before.is_empty() {
                let mut before = self.perform(play.before);
                let next = std::future::poll_fn(|cx| before.as_mut().poll_frame(cx));
                // Before the head there are no bytes: the first thing that comes is an error or the end.
                let limit = call.first_byte.min(call.total);
                if let Some(frame) = tokio::time::timeout(limit, next).await.map_err(|_| too_late())? {
                    frame?;
                }
            }
            let Some((status, headers)) = play.head else { return Err(crate::builder::unreachable()) };
            Ok(Answer { status, headers, body: self.perform(play.body) })
        })
    }
}

impl Script {
    fn perform(&self, steps: VecDeque<Step>) -> Pin<Box<Performance>> {
        self.open.fetch_add(1, Ordering::SeqCst);
        Box::pin(Performance { steps, waiting: None, open: Arc::clone(&self.open) })
    }
}

// === impl Play ===

impl Play {
    /// An answer with this status and no body yet.
    ///
    /// # Panics
    /// When it is no status.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a test's status is one");
        Self { head: Some((status, HeaderMap::new())), ..Self::default() }
    }

    /// A whole answer in JSON.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::status(status).header("content-type", "application/json").piece(body)
    }

    /// An event stream in these pieces.
    pub fn stream(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let play = Self::status(200).header("content-type", "text/event-stream");
        pieces.into_iter().fold(play, Self::piece)
    }

    /// No answer: the transport's own error.
    pub fn refuse(error: Error) -> Self {
        Self { before: VecDeque::from([Step::Fail(error)]), ..Self::default() }
    }

    /// Neither an answer nor an error, ever.
    pub fn silence() -> Self {
        Self { before: VecDeque::from([Step::Hang]), ..Self::default() }
    }

    /// With this header.
    ///
    /// # Panics
    /// When it is no header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Some((_, headers)) = &mut self.head {
            let name = HeaderName::try_from(name).expect("a test's header has a name");
            headers.append(name, HeaderValue::try_from(value).expect("a test's header has a value"));
        }
        self
    }

    /// The head comes so much later (on tokio's clock).
    #[must_use]
    pub fn late(mut self, by: Duration) -> Self {
        self.before.push_back(Step::Wait(by));
        self
    }

    /// Then these bytes.
    #[must_use]
    pub fn piece(mut self, piece: impl Into<Bytes>) -> Self {
        self.body.push_back(Step::Bytes(piece.into()));
        self
    }

    /// Then nothing for one poll.
    #[must_use]
    pub fn pause(mut self) -> Self {
        self.body.push_back(Step::Pause);
        self
    }

    /// Then nothing for so long (on tokio's clock).
    #[must_use]
    pub fn wait(mut self, time: Duration) -> Self {
        self.body.push_back(Step::Wait(time));
        self
    }

    /// Then nothing, ever.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.body.push_back(Step::Hang);
        self
    }

    /// Then the connection fails.
    #[must_use]
    pub fn fail(mut self, error: Error) -> Self {
        self.body.push_back(Step::Fail(error));
        self
    }

    /// Ends behind `bytes` bytes of its body: with `error`, or as if that were all.
    #[must_use]
    pub fn cut(mut self, bytes: usize, error: Option<Error>) -> Self {
        let mut left = bytes;
        for at in 0..self.body.len() {
            if let Step::Bytes(piece) = &mut self.body[at] {
                if piece.len() < left {
                    left -= piece.len();
                    continue;
                }
                piece.truncate(left);
                self.body.truncate(at + 1);
                break;
            }
        }
        self.body.push_back(error.map_or(Step::End, Step::Fail));
        self
    }
}

// === impl Performance ===

impl Body for Performance {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            if let Some(sleep) = &mut self.waiting {
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.waiting = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Bytes(piece)) if piece.is_empty() => {}
                Some(Step::Bytes(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Some(Step::Pause) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Wait(time)) => self.waiting = Some(Box::pin(tokio::time::sleep(time))),
                Some(Step::Hang) => {
                    self.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
                Some(Step::Fail(error)) => {
                    self.steps.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Step::End) => self.steps.clear(),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_none()
    }
}

impl Drop for Performance {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn too_late() -> Error {
    Error::upstream(Kind::UpstreamTimeout, "The provider did not answer in time.")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that failed elsewhere must not hide its own message behind this one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// What a body says when it is polled with nobody to wake: its bytes, and how it ended.
    fn heard(play: Play) -> (Vec<u8>, &'static str) {
        let mut body = Script::new().perform(play.body);
        let (mut bytes, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
        loop {
            match body.as_mut().poll_frame(&mut cx) {
                Poll::Pending => return (bytes, "pending"),
                Poll::Ready(None) => return (bytes, "end"),
                Poll::Ready(Some(Err(_))) => return (bytes, "error"),
                Poll::Ready(Some(Ok(frame))) => bytes.extend(frame.into_data().unwrap()),
            }
        }
    }

    #[test]
    fn a_cut_ends_the_body_at_its_byte() {
        let whole = || Play::stream([Bytes::from_static(b"abc"), Bytes::from_static(b"defg")]);
        assert_eq!(heard(whole()), (b"abcdefg".to_vec(), "end"));
        for at in 0..=7 {
            assert_eq!(heard(whole().cut(at, None)), (b"abcdefg"[..at].to_vec(), "end"), "{at}");
            let broken = whole().cut(at, Some(crate::builder::broken()));
            assert_eq!(heard(broken), (b"abcdefg"[..at].to_vec(), "error"), "{at}");
        }
    }

    #[test]
    fn pauses_and_hangs_are_pending() {
        assert_eq!(heard(Play::json(200, "x").pause()), (b"x".to_vec(), "pending"));
        assert_eq!(heard(Play::json(200, "x").hang().piece("y")), (b"x".to_vec(), "pending"));
    }
}
