//! How often something extra may be done: a share of the usual, so that a bad day is not made worse.

use std::sync::atomic::{AtomicU64, Ordering};

/// A bucket that every usual call fills a little and every extra one empties by a whole. No lock, no clock.
#[derive(Debug)]
pub struct Allowance {
    /// In thousandths of an extra call.
    level: AtomicU64,
    /// What a usual call adds.
    share: u64,
    /// The most there can be.
    most: u64,
}

const WHOLE: u64 = 1_000;

// === impl Allowance ===

impl Allowance {
    /// `share` extra calls for a thousand usual ones. At the start and at the most `burst` may be made at once.
    pub const fn new(share: u64, burst: u64) -> Self {
        let most = burst * WHOLE;
        Self { level: AtomicU64::new(most), share, most }
    }

    /// A usual call is made.
    pub fn earn(&self) {
        // Full is the usual state: then there is nothing to write, and no cache line to fight over.
        if self.level.load(Ordering::Relaxed) < self.most {
            let add = |level: u64| Some((level + self.share).min(self.most));
            let _ = self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
    }

    /// Whether an extra call may be made; if so, it is counted.
    pub fn spend(&self) -> bool {
        let take = |level: u64| level.checked_sub(WHOLE);
        self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Extra calls that may be made now.
    pub fn left(&self) -> u64 {
        self.level.load(Ordering::Relaxed) / WHOLE
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn extra_calls_never_exceed_the_share_and_the_burst(calls in prop::collection::vec(any::<bool>(), 0..2_000)) {
            let allowance = Allowance::new(200, 10);
            let (mut usual, mut extra) = (0_u64, 0_u64);
            for wants in calls {
                allowance.earn();
                usual += 1;
                extra += u64::from(wants && allowance.spend());
                prop_assert!(extra <= 10 + usual / 5);
            }
        }
    }

    #[test]
    fn a_steady_wish_gets_just_its_share() {
        let allowance = Allowance::new(80, 5);
        let extra = (0..10_000)
            .filter(|_| {
                allowance.earn();
                allowance.spend()
            })
            .count();
        assert_eq!(extra, 804, "5 at the start but one, and 8 %");
    }
}
