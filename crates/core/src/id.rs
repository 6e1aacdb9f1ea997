//! Identifiers that sort by time and can be read aloud.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

/// Crockford's base 32 in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const PREFIX: &str = "req_";
const DIGITS: usize = 26;

/// The id of one request: 48 bits of Unix milliseconds, then 80 bits of chance. Written `req_` and 26 base-32 digits,
/// so that ids sort by time as numbers and as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u128);

/// The text is not a request id.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnId;

// === impl RequestId ===

impl RequestId {
    /// A new id for a request that arrived at `wall_ms` (Unix milliseconds; 48 bits are kept).
    pub fn new(wall_ms: u64) -> Self {
        let chance = (u128::from(chance()) << 16) | u128::from(chance() & 0xffff);
        Self((u128::from(wall_ms & 0xffff_ffff_ffff) << 80) | chance)
    }

    /// The id whose number this is.
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// The number; it sorts by time of arrival.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// When the request arrived, in Unix milliseconds.
    pub const fn wall_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }

    /// The text form without allocation.
    pub fn text(self) -> IdText {
        let mut text = [0; PREFIX.len() + DIGITS];
        text[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
        for (i, digit) in text[PREFIX.len()..].iter_mut().enumerate() {
            let shift = 5 * (DIGITS - 1 - i);
            *digit = ALPHABET[(self.0 >> shift) as usize & 31];
        }
        IdText(text)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl FromStr for RequestId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotAnId)?.as_bytes();
        if digits.len() != DIGITS || digits[0] > b'7' {
            return Err(NotAnId);
        }
        digits
            .iter()
            .try_fold(0_u128, |number, digit| {
                let value = ALPHABET.iter().position(|a| a == digit)?;
                Some((number << 5) | value as u128)
            })
            .map(Self)
            .ok_or(NotAnId)
    }
}

/// A [`RequestId`] as text.
#[derive(Clone, Copy)]
pub struct IdText([u8; PREFIX.len() + DIGITS]);

impl IdText {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or(PREFIX)
    }
}

// === chance ===

/// 64 bits that need not be secret: SplitMix64 (Steele, Lea, Flood 2014), one state a thread, seeded by the system.
/// For ids, jitter and sampling; never for keys.
pub fn chance() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(seed());
    }
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mut z = next;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

fn seed() -> u64 {
    // Without a random source ids are still unique per thread: the address of a thread-local differs.
    getrandom::u64().unwrap_or_else(|_| {
        let here = 0_u8;
        std::ptr::from_ref(&here).addr() as u64
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sorts_by_time_as_number_and_as_text() {
        let (a, b) = (RequestId::new(1_000), RequestId::new(1_001));
        assert!(a < b);
        assert!(a.to_string() < b.to_string());
        assert_eq!(b.wall_ms(), 1_001);
    }

    #[test]
    fn refuses_what_is_no_id() {
        for text in ["", "req_", "req_0", "key_00000000000000000000000000", "req_8zzzzzzzzzzzzzzzzzzzzzzzzz"]
        {
            assert_eq!(text.parse::<RequestId>(), Err(NotAnId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(number: u128) {
            let id = RequestId::from_u128(number);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
