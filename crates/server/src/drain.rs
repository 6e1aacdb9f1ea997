//! How a process ends without breaking what is under way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// The order to stop, and the count of what is still under way.
pub struct Drain {
    phase: watch::Sender<Phase>,
    in_flight: AtomicUsize,
    connections: AtomicUsize,
}

/// How far the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Serving.
    Open,
    /// Not ready any more; each answer closes its connection, and new connections are still served, as balancers and
    /// clients learn of the end only now.
    Leaving,
    /// No new connections; idle ones are closed.
    Closed,
    /// The limit is reached: what is left is cut off.
    Cut,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Open),
            in_flight: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        }
    }
}

impl Drain {
    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Connections open.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether the order to stop was given.
    pub fn is_leaving(&self) -> bool {
        *self.phase.borrow() != Phase::Open
    }

    /// Whether what is left is to be cut off.
    pub(crate) fn is_cut(&self) -> bool {
        *self.phase.borrow() == Phase::Cut
    }

    /// Ends the service: for `notice` new connections are still served, then the doors close, and what is under way may
    /// go on until `limit` after the call. Returns how many requests were still under way then.
    pub async fn run(&self, notice: Duration, limit: Duration) -> usize {
        let end = tokio::time::Instant::now() + limit;
        self.phase.send_replace(Phase::Leaving);
        tokio::time::sleep(notice.min(limit)).await;
        self.phase.send_replace(Phase::Closed);
        while tokio::time::Instant::now() < end && (self.in_flight() > 0 || self.connections() > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.cut()
    }

    /// Cuts off what is under way; how many requests that were.
    pub fn cut(&self) -> usize {
        let cut_off = self.in_flight();
        self.phase.send_replace(Phase::Cut);
        cut_off
    }

    /// Ready when the end is as far as `phase`.
    pub(crate) fn reached(&self, phase: Phase) -> impl Future<Output = ()> + Send + use<> {
        let mut watch = self.phase.subscribe();
        async move {
            // The sender lives as long as the process serves.
            let _ = watch.wait_for(|now| *now >= phase).await.map(drop);
        }
    }

    pub(crate) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn connected(&self) -> usize {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_for_what_is_under_way_up_to_the_limit() {
        let drain = Drain::default();
        drain.enter();
        assert_eq!(drain.run(Duration::from_millis(1), Duration::from_secs(3)).await, 1);
        drain.leave();
        assert_eq!(drain.run(Duration::from_millis(1), Duration::from_secs(3)).await, 0);
        assert!(drain.is_leaving());
    }
}
