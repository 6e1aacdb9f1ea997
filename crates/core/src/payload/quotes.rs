//! Where a string ends: the hot loop of the pass over a body.
//!
//! Sixty-four bytes at a time become one bit each, and which quotes are escaped is arithmetic on those bits
//! (G. Langdale and D. Lemire, "Parsing Gigabytes of JSON per Second", 2019, section 3.1.1).

use wide::u8x16;

/// The quote that ends a string whose inside begins `rest`, and whether there is an escape before it.
pub(super) fn closing(rest: &[u8]) -> Option<(usize, bool)> {
    let (blocks, tail) = rest.as_chunks::<64>();
    // Whether the first byte of the next block is escaped: the lowest bit.
    let mut carried = 0;
    let mut any = false;
    for (i, block) in blocks.iter().enumerate() {
        let [quotes, backslashes] = marks(block);
        let open = quotes & !escaped(backslashes, &mut carried);
        if open != 0 {
            let at = open.trailing_zeros();
            let before = backslashes & ((1 << at) - 1);
            return Some((i * 64 + at as usize, any || before != 0));
        }
        any |= backslashes != 0;
    }
    let mut at = usize::try_from(carried).unwrap_or(0);
    while let Some(byte) = tail.get(at) {
        match byte {
            b'"' => return Some((blocks.len() * 64 + at, any)),
            b'\\' => {
                any = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
    None
}

/// The bytes that a backslash stands before which is not itself escaped.
const fn escaped(backslashes: u64, carried: &mut u64) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let backslashes = backslashes & !*carried;
    let follows = (backslashes << 1) | *carried;
    let odd_starts = backslashes & !EVEN & !follows;
    let (runs, over) = odd_starts.overflowing_add(backslashes);
    *carried = over as u64;
    (EVEN ^ (runs << 1)) & follows
}

/// Which bytes are quotes, and which are backslashes; the first byte is the lowest bit.
fn marks(block: &[u8; 64]) -> [u64; 2] {
    let mut marks = [0; 2];
    let (lanes, _) = block.as_chunks::<16>();
    for (i, lane) in lanes.iter().enumerate() {
        let lane = u8x16::new(*lane);
        for (mark, byte) in marks.iter_mut().zip([b'"', b'\\']) {
            *mark |= u64::from(lane.simd_eq(u8x16::splat(byte)).to_bitmask()) << (16 * i);
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one_by_one(rest: &[u8]) -> Option<(usize, bool)> {
        let (mut at, mut any) = (0, false);
        loop {
            match rest.get(at)? {
                b'"' => return Some((at, any)),
                b'\\' => (at, any) = (at + 2, true),
                _ => at += 1,
            }
        }
    }

    proptest! {
        #[test]
        fn finds_what_a_reader_byte_by_byte_finds(
            bytes in prop::collection::vec(prop::sample::select(b"\\\\\\\"ax\xC3".to_vec()), 0..300),
            plain in 0_usize..200,
        ) {
            let mut text = vec![b'a'; plain];
            text.extend(bytes);
            prop_assert_eq!(closing(&text), one_by_one(&text));
        }

        #[test]
        fn runs_of_backslashes_over_the_edges_of_blocks(start in 0_usize..130, run in 0_usize..200) {
            let mut text = vec![b'a'; start];
            text.extend(vec![b'\\'; run]);
            text.extend(b"\"a\"");
            prop_assert_eq!(closing(&text), one_by_one(&text));
        }
    }
}
