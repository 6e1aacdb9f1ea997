//! The order that `Delta` states, held to by every reader of a stream.

use lockgate_dialect::neutral::{Block, Delta};

/// Watches the deltas of one stream.
#[derive(Debug, Default)]
pub(crate) struct Contract {
    started: bool,
    open: bool,
    /// The open block came whole.
    whole: bool,
    finished: bool,
    /// `End` has come.
    pub(crate) ended: bool,
}

impl Contract {
    /// Takes note of the next delta.
    pub(crate) fn note(&mut self, delta: &Delta<'_>) {
        assert!(!self.ended, "{delta:?} behind End");
        assert_eq!(
            matches!(delta, Delta::Start { .. }),
            !self.started,
            "Start is first, and once: {delta:?}"
        );
        match delta {
            Delta::Start { .. } => self.started = true,
            Delta::Open(block) => {
                assert!(!self.open && !self.finished, "{block:?} opens where none can");
                self.open = true;
                self.whole = matches!(block, Block::Native(_));
            }
            Delta::Text(_) | Delta::Seal(_) | Delta::Citation(_) | Delta::Logprobs(_) => {
                assert!(self.open && !self.whole, "{delta:?} belongs to an open block");
            }
            Delta::Close => {
                assert!(self.open, "Close without a block");
                self.open = false;
            }
            Delta::Usage(_) | Delta::Tier(_) => {}
            Delta::Finish(_) => {
                assert!(!self.open && !self.finished, "Finish comes once, behind the last Close");
                self.finished = true;
            }
            Delta::End => {
                assert!(self.finished, "End without Finish");
                self.ended = true;
            }
        }
    }
}
