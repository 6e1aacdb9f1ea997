//! The order of deltas that every reader keeps and every writer may rely on.

use lockgate_dialect::neutral::{Block, Delta};

/// Watches the deltas of one answer.
#[derive(Debug, Default)]
pub(crate) struct Contract {
    started: bool,
    open: bool,
    whole: bool,
    finished: bool,
    ended: bool,
}

impl Contract {
    /// Takes note of a delta.
    ///
    /// # Panics
    /// When it may not stand here.
    pub(crate) fn note(&mut self, delta: &Delta<'_>) {
        assert!(!self.ended, "behind the end: {delta:?}");
        assert_eq!(self.started, !matches!(delta, Delta::Start { .. }), "start: {delta:?}");
        match delta {
            Delta::Start { .. } => self.started = true,
            Delta::Open(block) => {
                assert!(!self.open && !self.finished, "opened inside or too late: {delta:?}");
                self.open = true;
                self.whole = matches!(block, Block::Native(_));
            }
            Delta::Close => {
                assert!(self.open, "closed and not open");
                self.open = false;
            }
            Delta::Text(_) | Delta::Seal(_) | Delta::Citation(_) | Delta::Logprobs(_) => {
                assert!(self.open && !self.whole, "of no open block: {delta:?}");
            }
            Delta::Finish(_) => {
                assert!(!self.open && !self.finished, "finished inside a block or twice: {delta:?}");
                self.finished = true;
            }
            Delta::Usage(_) | Delta::Tier(_) => {}
            Delta::End => {
                assert!(self.finished, "ended without a finish");
                self.ended = true;
            }
        }
    }

    /// Whether the end has come.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}
