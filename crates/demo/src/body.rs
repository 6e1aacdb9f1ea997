//! What happens after the head of an answer, act by act, at the pace of a model.
//!
//! A [`Body`] does nothing between two polls: no task, no channel. Dropping it ends the answer.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::chunks::Script;
use crate::twist::Twist;
use crate::words::time_for;

/// How fast the demo answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Time to the first event of a stream; a whole answer waits it too.
    pub first_token: Duration,
    /// Tokens per second after the first one; zero means without waiting.
    pub tokens_per_second: f64,
    /// Longest wait for the tokens of a whole answer, so that a first try on the command line is not slow.
    pub whole_at_most: Duration,
}

/// The body of an answer: pull-driven, paced by timers of the current runtime.
#[derive(Debug)]
pub struct Body {
    /// What to do next; when it is empty the player is asked for more.
    acts: VecDeque<Act>,
    player: Option<Player>,
    sleep: Option<Pin<Box<Sleep>>>,
    asleep: bool,
}

/// One thing that happens to a body.
#[derive(Debug)]
pub(crate) enum Act {
    /// A piece of the body: one chunk on a socket, one frame in process.
    Data(Bytes),
    /// A chunk that announces one byte more than it has.
    ShortChunk(Bytes),
    /// A chunk whose size is no number.
    BadChunk,
    Wait(Duration),
    /// Nothing more ever happens.
    Hang,
    /// The connection is closed, whatever was announced.
    Close,
    /// The connection is reset.
    Reset,
}

/// Makes acts for as long as the body lasts.
#[derive(Debug)]
enum Player {
    Script(Box<Paced>),
    /// The same bytes for ever.
    Refrain {
        bytes: Bytes,
        every: Duration,
    },
}

#[derive(Debug)]
struct Paced {
    script: Script,
    twist: Twist,
    pace: Pace,
    /// When the body was first asked for; waits that a fault adds move it.
    start: Option<Instant>,
}

impl Default for Pace {
    /// 120 ms to the first token, then 60 tokens per second; a whole answer within about half a second.
    fn default() -> Self {
        Self {
            first_token: Duration::from_millis(120),
            tokens_per_second: 60.0,
            whole_at_most: Duration::from_millis(400),
        }
    }
}

impl Pace {
    /// No waiting at all.
    pub const INSTANT: Self =
        Self { first_token: Duration::ZERO, tokens_per_second: 0.0, whole_at_most: Duration::ZERO };

    /// When an event is due, counted from the start of the answer.
    fn due(&self, tokens_before: u64) -> Duration {
        self.first_token.saturating_add(time_for(tokens_before, self.tokens_per_second))
    }

    /// How long a whole answer of so many tokens takes.
    pub(crate) fn whole(&self, tokens: u64) -> Duration {
        self.first_token + time_for(tokens, self.tokens_per_second).min(self.whole_at_most)
    }
}

impl Body {
    /// A body of these acts.
    pub(crate) fn acts(acts: impl IntoIterator<Item = Act>) -> Self {
        Self { acts: acts.into_iter().collect(), player: None, sleep: None, asleep: false }
    }

    /// A body in one piece.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::acts((!bytes.is_empty()).then_some(Act::Data(bytes)))
    }

    pub(crate) fn stream(script: Script, pace: Pace, twist: Twist) -> Self {
        let paced = Paced { script, twist, pace, start: None };
        Self { player: Some(Player::Script(Box::new(paced))), ..Self::acts([]) }
    }

    /// A beginning, then the same bytes for ever.
    pub(crate) fn refrain(beginning: Bytes, bytes: Bytes, every: Duration) -> Self {
        Self { player: Some(Player::Refrain { bytes, every }), ..Self::whole(beginning) }
    }

    /// The next act that leaves the body: data, or the end of the connection. Never [`Act::Wait`] or [`Act::Hang`].
    pub(crate) fn poll_act(&mut self, cx: &mut Context<'_>) -> Poll<Option<Act>> {
        loop {
            if self.asleep {
                if let Some(sleep) = &mut self.sleep {
                    ready!(sleep.as_mut().poll(cx));
                }
                self.asleep = false;
            }
            match self.acts.pop_front() {
                Some(Act::Wait(time)) => {
                    if let Some(Player::Script(paced)) = &mut self.player {
                        paced.start = paced.start.map(|start| start + time);
                    }
                    self.sleep_until(Instant::now() + time);
                    continue;
                }
                Some(Act::Hang) => {
                    self.acts.push_front(Act::Hang);
                    return Poll::Pending;
                }
                Some(act) => return Poll::Ready(Some(act)),
                None => {}
            }
            match &mut self.player {
                None => return Poll::Ready(None),
                Some(Player::Refrain { bytes, every }) => {
                    self.acts.extend([Act::Data(bytes.clone()), Act::Wait(*every)]);
                }
                Some(Player::Script(paced)) => match paced.play(&mut self.acts) {
                    None => self.player = None,
                    Some(due) if due > Instant::now() => self.sleep_until(due),
                    Some(_) => {}
                },
            }
        }
    }

    fn sleep_until(&mut self, due: Instant) {
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(due),
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(due))),
        }
        self.asleep = true;
    }

    /// Exact length in bytes, if no time, fault or player stands between the pieces.
    fn length(&self) -> Option<u64> {
        if self.player.is_some() {
            return None;
        }
        self.acts
            .iter()
            .map(|act| if let Act::Data(bytes) = act { Some(bytes.len() as u64) } else { None })
            .sum()
    }
}

impl Paced {
    /// Adds the acts of the next event and says when they are due; `None` at the end.
    fn play(&mut self, acts: &mut VecDeque<Act>) -> Option<Instant> {
        let start = *self.start.get_or_insert_with(Instant::now);
        if self.twist.is_over() {
            return None;
        }
        let step = self.script.step()?;
        let due = start + self.pace.due(step.tokens_before);
        self.twist.apply(step, &self.script, acts);
        Some(due)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let failed = |kind, text: &str| Poll::Ready(Some(Err(io::Error::new(kind, text.to_owned()))));
        let result = match ready!(self.poll_act(cx)) {
            None => return Poll::Ready(None),
            Some(Act::Data(bytes) | Act::ShortChunk(bytes)) => {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Some(Act::Reset) => failed(io::ErrorKind::ConnectionReset, "connection reset"),
            Some(Act::BadChunk) => failed(io::ErrorKind::InvalidData, "chunk size is no number"),
            Some(Act::Close | Act::Wait(_) | Act::Hang) => {
                failed(io::ErrorKind::UnexpectedEof, "connection closed before the body was complete")
            }
        };
        // After an error a body has nothing more to say.
        *self = Self::acts([]);
        result
    }

    fn is_end_stream(&self) -> bool {
        self.acts.is_empty() && self.player.is_none() && !self.asleep
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body as _;
    use std::future::poll_fn;

    async fn frame(body: &mut Body) -> Option<Result<Bytes, io::Error>> {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    #[test]
    fn a_body_can_be_moved_to_any_thread() {
        fn holds<T: Send + Unpin + 'static>() {}
        holds::<Body>();
    }

    #[tokio::test]
    async fn whole_bodies_know_their_length() {
        let mut body = Body::whole(Bytes::from_static(b"hello"));
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(frame(&mut body).await.unwrap().unwrap(), "hello");
        assert!(body.is_end_stream() && frame(&mut body).await.is_none());
        assert!(Body::whole(Bytes::new()).is_end_stream());
    }

    #[tokio::test]
    async fn a_closed_connection_is_an_error_and_then_the_end() {
        let mut body = Body::acts([Act::Data(Bytes::from_static(b"x")), Act::Close]);
        assert_eq!(body.size_hint().exact(), None);
        frame(&mut body).await.unwrap().unwrap();
        let error = frame(&mut body).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(frame(&mut body).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn waits_are_kept() {
        let start = Instant::now();
        let mut body = Body::refrain(Bytes::new(), Bytes::from_static(b":\n\n"), Duration::from_secs(2));
        for _ in 0..3 {
            frame(&mut body).await.unwrap().unwrap();
        }
        assert_eq!(start.elapsed().as_secs(), 4);
    }
}
