//! Identifiers that do not repeat, within a process and (almost surely) between processes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::words::scramble;

/// 24 hexadecimal digits.
pub(crate) fn unique() -> String {
    static START: OnceLock<u64> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Without a source of randomness the identifiers still differ within the process.
    let start = *START.get_or_init(|| getrandom::u64().unwrap_or(0));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let low = scramble(start ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    format!("{:08x}{low:016x}", scramble(start) as u32)
}

#[cfg(test)]
mod tests {
    use super::unique;

    #[test]
    fn identifiers_differ() {
        let (a, b) = (unique(), unique());
        assert_ne!(a, b);
        assert_eq!(a.len(), 24);
    }
}
