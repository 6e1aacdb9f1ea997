//! What every decoder owes every encoder: the order of deltas.

use lockgate_dialect::neutral::{Block, Delta};

/// Watches the deltas of one stream.
#[derive(Debug, Default)]
pub(crate) struct Contract {
    started: bool,
    open: bool,
    native: bool,
    finished: bool,
    ended: bool,
}

impl Contract {
    /// Takes the next delta.
    ///
    /// # Panics
    /// When it may not come here.
    pub(crate) fn see(&mut self, delta: &Delta<'_>) {
        assert!(!self.ended, "{delta:?} behind the end");
        if !matches!(delta, Delta::Start { .. }) {
            assert!(self.started, "{delta:?} before the start");
        }
        assert!(!self.native || matches!(delta, Delta::Close), "{delta:?} in a native block");
        match delta {
            Delta::Start { .. } => assert!(!std::mem::replace(&mut self.started, true), "a second start"),
            Delta::Open(block) => {
                assert!(!self.finished, "a block behind the finish");
                assert!(!std::mem::replace(&mut self.open, true), "a block in a block");
                self.native = matches!(block, Block::Native(_));
            }
            Delta::Text(_) | Delta::Seal(_) | Delta::Citation(_) | Delta::Logprobs(_) => {
                assert!(self.open, "{delta:?} outside of a block");
            }
            Delta::Close => {
                assert!(std::mem::replace(&mut self.open, false), "a close without an open block");
                self.native = false;
            }
            Delta::Usage(_) | Delta::Tier(_) => {}
            Delta::Finish(_) => {
                assert!(!self.open, "a finish in a block");
                assert!(!std::mem::replace(&mut self.finished, true), "a second finish");
            }
            Delta::End => {
                assert!(!self.open && self.finished, "an end without a finish, or in a block");
                self.ended = true;
            }
        }
    }

    /// Whether the end came.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}
