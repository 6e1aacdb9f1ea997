//! How long answers are: learned for each route and model, so that a request holds what it is likely to need.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The length that nine of ten answers stay under, by route and model. A stochastic approximation of that quantile: a longer
/// answer raises it by nine steps, a shorter one lowers it by one, a step being a share of it (Robbins and Monro 1951). A
/// count, not money: an error here makes a hold too large or a top-up more frequent, and nothing else.
#[derive(Debug, Default)]
pub struct Expectations {
    hasher: RandomState,
    learned: RwLock<HashMap<u64, Arc<AtomicU64>>>,
}

/// More pairs than this are not learned: names may come from clients.
const MOST: usize = 8_192;
/// What is expected of an answer that nothing is known of, in tokens.
pub const UNKNOWN: u64 = 1_024;
/// Of a quantile, its share that is a step down: a 64th. Steps up are nine times as long.
const SHARE: u64 = 64;
/// Fixed point: sixteenths of a token.
const SCALE: u64 = 16;
const LONGEST: u64 = 1 << 32;

// === impl Expectations ===

impl Expectations {
    /// Output tokens that nine of ten answers of this model by this route stay under.
    pub fn of(&self, route: &str, model: &str) -> u64 {
        let known = self.read().get(&self.key(route, model)).map(|at| at.load(Ordering::Relaxed) / SCALE);
        known.unwrap_or(UNKNOWN).max(1)
    }

    /// Learns from an answer.
    pub fn learn(&self, route: &str, model: &str, tokens: u64) {
        let key = self.key(route, model);
        let known = self.read().get(&key).cloned();
        let tokens = tokens.min(LONGEST) * SCALE;
        let Some(at) = known else {
            let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
            if learned.len() < MOST {
                learned
                    .entry(key)
                    .or_insert_with(|| Arc::new(AtomicU64::new(tokens.max(UNKNOWN * SCALE / 4))));
            }
            return;
        };
        let _ = at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |expected| {
            let step = (expected / SHARE).max(1);
            Some(if tokens > expected {
                expected + (9 * step).min(tokens - expected)
            } else {
                expected - step.min(expected - tokens)
            })
        });
    }

    fn key(&self, route: &str, model: &str) -> u64 {
        self.hasher.hash_one((route, model))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<u64, Arc<AtomicU64>>> {
        self.learned.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_of_ten_answers_stay_under_what_is_expected() {
        let expectations = Expectations::default();
        assert_eq!(expectations.of("r", "m"), UNKNOWN);
        // Lengths 1 to 1000 in an order that is far from sorted.
        let length = |i: u64| i * 617 % 1_000 + 1;
        for i in 0..20_000 {
            expectations.learn("r", "m", length(i));
        }
        let expected = expectations.of("r", "m");
        assert!((820..=980).contains(&expected), "{expected}");
        assert_eq!(expectations.of("r", "other"), UNKNOWN);
    }

    #[test]
    fn a_change_is_learned() {
        let expectations = Expectations::default();
        (0..2_000).for_each(|_| expectations.learn("r", "m", 50));
        assert!(expectations.of("r", "m") <= 60);
        (0..100).for_each(|_| expectations.learn("r", "m", 5_000));
        assert!(expectations.of("r", "m") >= 4_000);
    }
}
