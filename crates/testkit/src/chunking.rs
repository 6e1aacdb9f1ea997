//! A body in other pieces: what a network makes of it.

use bytes::Bytes;

/// Pieces of `size` bytes; the last may be shorter.
///
/// # Panics
/// When `size` is 0.
pub fn every(size: usize, body: &Bytes) -> Vec<Bytes> {
    assert!(size > 0, "a piece has bytes");
    (0..body.len()).step_by(size).map(|at| body.slice(at..body.len().min(at + size))).collect()
}

/// Pieces of 1 to `most` bytes, their lengths drawn from `seed`; the same seed gives the same pieces.
///
/// # Panics
/// When `most` is 0.
pub fn random(seed: u64, most: usize, body: &Bytes) -> Vec<Bytes> {
    assert!(most > 0, "a piece has bytes");
    let mut dice = Dice(seed);
    let (mut rest, mut pieces) = (body.clone(), Vec::new());
    while !rest.is_empty() {
        let size = (1 + dice.below(most)).min(rest.len());
        pieces.push(rest.split_to(size));
    }
    pieces
}

/// Reproducible chance for tests: xorshift64* (Vigna 2016).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// A number from 0 up to, but not including, `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        // Zero would stay zero.
        let mut x = self.0 | u64::from(self.0 == 0);
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0 = x;
        let drawn = x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or(usize::MAX).checked_rem(end).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_body() {
        let body = Bytes::from_static(b"the quick brown fox jumps over the lazy dog");
        for pieces in [every(1, &body), every(7, &body), random(3, 9, &body), random(0, 1, &body)] {
            assert_eq!(pieces.concat(), body);
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
        }
        assert_ne!(random(1, 9, &body), random(2, 9, &body));
        assert_eq!(random(5, 9, &body), random(5, 9, &body));
    }
}
