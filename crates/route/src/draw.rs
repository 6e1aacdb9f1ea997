//! Chance that can be repeated: draws from a seed, each for a purpose of its own, and the hash that breaks ties.

/// SplitMix64 (Steele, Lea, Flood 2014) of a seed and a purpose.
pub(crate) fn draw(seed: u64, purpose: u64) -> u64 {
    let mut z = seed ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93);
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from 0 up to 1, from the upper 53 bits of a draw.
pub(crate) fn share(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1_u64 << 53) as f64
}

/// FNV-1a of 64 bits, mixed once more so that close names lie far apart.
pub(crate) fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in *part {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // Between two parts, so that "ab", "c" is not "a", "bc".
        hash = (hash ^ 0xff).wrapping_mul(0x0100_0000_01b3);
    }
    draw(hash, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_repeatable_and_differs_by_purpose() {
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    }

    #[test]
    fn shares_are_spread_evenly() {
        let mean = (0..10_000).map(|seed| share(draw(seed, 3))).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!((0..10_000).all(|seed| (0.0..1.0).contains(&share(draw(seed, 3)))));
    }
}
