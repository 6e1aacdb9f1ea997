//! How much of an account one node may have, and for how long.

use std::time::Duration;

use lockgate_core::Money;

/// When a node that is silent no longer counts as alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fences {
    /// A node stops spending so long after the last exchange that it began and that was answered, by its own monotonic clock.
    pub own: Duration,
    /// Other nodes take what a node has leased as uncertain when it was silent for so long, by the time of day. Longer
    /// than `own`, by more than clocks differ.
    pub others: Duration,
}

/// A share of what is left, so that slices shrink as an account empties: a half, divided among the nodes.
const SHARE: i64 = 2;

// === impl Fences ===

impl Default for Fences {
    fn default() -> Self {
        Self { own: Duration::from_secs(45), others: Duration::from_secs(60) }
    }
}

/// What to lease of an account of which `left` is left, to one of `nodes` nodes that needs `at_least` now and would like
/// `wish` to be ahead of its need. What is needed now is given as far as there is any; a wish only out of plenty, so
/// that the last dollars go out by exact amounts. Never more than is left, never below zero.
pub fn grant(left: Money, at_least: Money, wish: Money, nodes: u32) -> Money {
    let left = left.nanos().max(0);
    let share = left / SHARE / i64::from(nodes.max(1));
    let need = at_least.nanos().max(0);
    Money::from_nanos(wish.nanos().min(share).max(need).min(left))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn granted(left: i64, at_least: i64, wish: i64, nodes: u32) -> i64 {
        let m = Money::from_nanos;
        grant(m(left), m(at_least), m(wish), nodes).nanos()
    }

    #[test]
    fn slices_shrink_and_the_last_dollars_are_exact() {
        assert_eq!(granted(1_000, 10, 100, 1), 100, "plenty");
        assert_eq!(granted(100, 10, 100, 4), 12, "a share");
        assert_eq!(granted(20, 10, 100, 4), 10, "by need");
        assert_eq!(granted(7, 10, 100, 4), 7, "what there is");
        assert_eq!(granted(0, 10, 100, 1), 0);
        assert_eq!(granted(-5, 10, 100, 1), 0);
    }

    proptest! {
        #[test]
        fn never_more_than_is_left_and_never_less_than_can_be(left: i64, need: i64, wish: i64, nodes: u32) {
            let got = granted(left, need, wish, nodes);
            prop_assert!(got >= 0 && got <= left.max(0));
            prop_assert!(got >= need.min(left).max(0));
        }
    }
}
