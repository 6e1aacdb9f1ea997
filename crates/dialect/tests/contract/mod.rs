//! The order that `Delta` states: every reader of a stream keeps it, and every writer may rely on it.

use lockgate_dialect::neutral::{Block, Delta};

/// Watches the deltas of one stream.
#[derive(Debug, Default)]
pub(crate) struct Contract {
    started: bool,
    open: Option<Open>,
    finished: bool,
    ended: bool,
}

/// What may stand in the open block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// Pieces of it.
    Pieces,
    /// Nothing: it came whole.
    Whole,
}

// === impl Contract ===

impl Contract {
    /// Takes note of the next delta.
    ///
    /// # Panics
    /// When it may not come here.
    pub(crate) fn see(&mut self, delta: &Delta<'_>) {
        assert!(!self.ended, "{delta:?} behind the end");
        assert_eq!(
            self.started,
            !matches!(delta, Delta::Start { .. }),
            "the start is first, and once: {delta:?}"
        );
        match delta {
            Delta::Start { .. } => self.started = true,
            Delta::Open(block) => {
                assert!(self.open.is_none() && !self.finished, "{delta:?} in a block or behind the finish");
                let whole = matches!(block, Block::Native(_));
                self.open = Some(if whole { Open::Whole } else { Open::Pieces });
            }
            Delta::Text(_) | Delta::Seal(_) | Delta::Citation(_) | Delta::Logprobs(_) => {
                assert_eq!(self.open, Some(Open::Pieces), "{delta:?}");
            }
            Delta::Close => assert!(self.open.take().is_some(), "a close, and nothing is open"),
            Delta::Usage(_) | Delta::Tier(_) => {}
            Delta::Finish(_) => {
                assert!(self.open.is_none() && !self.finished, "a finish in a block, or a second one");
                self.finished = true;
            }
            Delta::End => {
                assert!(self.finished, "an end without a finish");
                self.ended = true;
            }
        }
    }

    /// Whether the end has come.
    pub(crate) const fn ended(&self) -> bool {
        self.ended
    }
}
