//! Watches that an answer under way goes on speaking: pings keep a connection alive, and say nothing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lockgate_core::{Error, Kind};
use tokio::time::{Instant, Sleep, sleep_until};

/// The longest pause between two pieces of an answer.
pub(super) struct Quiet {
    limit: Duration,
    /// How much had been said, in bytes, when that was looked at last.
    said: u64,
    since: Instant,
    /// Made at the first wait, and moved only when it fires: a piece that comes in time costs no timer.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Quiet {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, said: u64::MAX, since: Instant::now(), timer: None }
    }

    /// Nothing is there to be read, and so much was said until now: the error when that is so for too long.
    pub(super) fn poll_over(&mut self, said: u64, cx: &mut Context<'_>) -> Option<Error> {
        if self.said != said {
            (self.said, self.since) = (said, Instant::now());
        }
        loop {
            let end = self.since + self.limit;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if timer.as_mut().poll(cx) == Poll::Pending {
                return None;
            }
            if Instant::now() >= end {
                let text = "The provider stopped speaking in the middle of its answer.";
                return Some(Error::upstream(Kind::UpstreamTimeout, text));
            }
            timer.as_mut().reset(end);
        }
    }
}
