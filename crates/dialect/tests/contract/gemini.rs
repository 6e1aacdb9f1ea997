//! The order of deltas that every decoder keeps.

use lockgate_dialect::neutral::{Block, Delta};

/// Watches the deltas of one stream.
#[derive(Debug, Default)]
pub(crate) struct Order {
    started: bool,
    open: bool,
    /// The open block is a whole one: it closes at once.
    whole: bool,
    finished: bool,
    ended: bool,
}

impl Order {
    /// Takes note of the next delta.
    ///
    /// # Panics
    /// When it may not come here.
    pub(crate) fn see(&mut self, delta: &Delta<'_>) {
        assert!(!self.ended, "behind the end: {delta:?}");
        match delta {
            Delta::Start { .. } => assert!(!std::mem::replace(&mut self.started, true), "starts twice"),
            _ => assert!(self.started, "before the start: {delta:?}"),
        }
        match delta {
            Delta::Start { .. } | Delta::Usage(_) | Delta::Tier(_) => {}
            Delta::Open(block) => {
                assert!(!self.open && !self.finished, "opens where it may not: {delta:?}");
                (self.open, self.whole) = (true, matches!(block, Block::Native(_)));
            }
            Delta::Text(_) | Delta::Seal(_) | Delta::Citation(_) | Delta::Logprobs(_) => {
                assert!(self.open && !self.whole, "outside of a block: {delta:?}");
            }
            Delta::Close => assert!(std::mem::replace(&mut self.open, false), "closes what is not open"),
            Delta::Finish(_) => {
                assert!(
                    !self.open && !std::mem::replace(&mut self.finished, true),
                    "finishes where it may not"
                );
            }
            Delta::End => {
                assert!(self.finished, "ends without a finish");
                self.ended = true;
            }
        }
    }

    /// Whether the end came.
    pub(crate) const fn ended(&self) -> bool {
        self.ended
    }
}
