//! Events that must wait: those of an item while another is open.

use std::collections::{BTreeMap, VecDeque};

/// The most that waits, in bytes.
const MOST_BYTES: usize = 16 << 20;
/// The most items that wait.
const MOST_ITEMS: usize = 1_024;

/// Events by the item that they belong to, the items in the order in which they began to wait.
#[derive(Debug, Default)]
pub(super) struct Held {
    events: BTreeMap<u64, Vec<Vec<u8>>>,
    order: VecDeque<u64>,
    bytes: usize,
}

/// More waits than is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

// === impl Held ===

impl Held {
    /// Keeps an event of an item.
    pub(super) fn keep(&mut self, item: u64, data: &[u8]) -> Result<(), TooMuch> {
        self.bytes += data.len();
        if self.bytes > MOST_BYTES {
            return Err(TooMuch);
        }
        if !self.events.contains_key(&item) {
            if self.order.len() >= MOST_ITEMS {
                return Err(TooMuch);
            }
            self.order.push_back(item);
        }
        self.events.entry(item).or_default().push(data.to_vec());
        Ok(())
    }

    /// Whether events of this item wait.
    pub(super) fn has(&self, item: u64) -> bool {
        self.events.contains_key(&item)
    }

    /// The item that waits longest, and its events.
    pub(super) fn next(&mut self) -> Option<(u64, Vec<Vec<u8>>)> {
        let item = self.order.pop_front()?;
        let events = self.events.remove(&item).unwrap_or_default();
        self.bytes -= events.iter().map(Vec::len).sum::<usize>().min(self.bytes);
        Some((item, events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_back_in_their_order_with_all_their_events() {
        let mut held = Held::default();
        held.keep(2, b"a").unwrap();
        held.keep(1, b"b").unwrap();
        held.keep(2, b"c").unwrap();
        assert!(held.has(1));
        assert_eq!(held.next(), Some((2, vec![b"a".to_vec(), b"c".to_vec()])));
        assert_eq!(held.next(), Some((1, vec![b"b".to_vec()])));
        assert_eq!(held.next(), None);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut held = Held::default();
        let big = vec![b'x'; MOST_BYTES / 2 + 1];
        assert_eq!(held.keep(1, &big), Ok(()));
        assert_eq!(held.keep(1, &big), Err(TooMuch));
    }
}
