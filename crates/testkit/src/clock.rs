//! Time that passes only when a test says so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lockgate_core::{Clock, Tick};

/// A clock that stands still until it is wound.
#[derive(Debug)]
pub struct HandClock {
    /// Nanoseconds.
    now: AtomicU64,
    /// Milliseconds since the Unix epoch.
    wall: AtomicU64,
}

/// Where every hand-wound clock begins: 2026-01-01 00:00:00 UTC, in Unix milliseconds.
pub const START_MS: u64 = 1_767_225_600_000;

impl HandClock {
    /// A clock at [`START_MS`].
    pub const fn new() -> Self {
        Self { now: AtomicU64::new(0), wall: AtomicU64::new(START_MS) }
    }

    /// Moves both readings forward.
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
        self.wall.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

impl Default for HandClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for HandClock {
    fn now(&self) -> Tick {
        Tick(self.now.load(Ordering::SeqCst))
    }

    fn wall_ms(&self) -> u64 {
        self.wall.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_still_until_it_is_wound() {
        let clock = HandClock::new();
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now().since(before), Duration::from_millis(1_500));
        assert_eq!(clock.wall_ms(), START_MS + 1_500);
    }
}
