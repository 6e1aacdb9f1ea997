//! Time as a port, so that a test can wind it by hand.

use std::time::Duration;

/// A reading of the monotonic clock: nanoseconds since the process's own zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(pub u64);

/// The two clocks a gateway needs.
pub trait Clock: Send + Sync {
    /// Monotonic; never goes back; unrelated to the time of day.
    fn now(&self) -> Tick;
    /// Time of day in milliseconds since the Unix epoch. May jump in either direction.
    fn wall_ms(&self) -> u64;
}

// === impl Tick ===

impl Tick {
    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Whole microseconds from `earlier` to `self`, at most `u32::MAX` (71 minutes).
    pub fn micros_since(self, earlier: Self) -> u32 {
        u32::try_from(self.0.saturating_sub(earlier.0) / 1_000).unwrap_or(u32::MAX)
    }

    /// This reading moved forward by `by`, saturating.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}
