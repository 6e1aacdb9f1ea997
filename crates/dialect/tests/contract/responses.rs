//! The order of deltas that every reader keeps, checked.

use lockgate_dialect::neutral::{Block, Delta};

/// Looks at the deltas of one stream.
#[derive(Debug, Default)]
pub(crate) struct Contract {
    started: bool,
    open: Option<&'static str>,
    finished: bool,
    ended: bool,
}

// === impl Contract ===

impl Contract {
    /// Looks at the next delta.
    ///
    /// # Panics
    /// When it may not stand here.
    pub(crate) fn see(&mut self, delta: &Delta<'_>) {
        assert!(!self.ended, "{delta:?} behind the end");
        if !matches!(delta, Delta::Start { .. }) {
            assert!(self.started, "{delta:?} before the start");
        }
        match delta {
            Delta::Start { .. } => assert!(!std::mem::replace(&mut self.started, true), "two starts"),
            Delta::Open(block) => {
                assert!(!self.finished, "a block behind the finish");
                assert_eq!(self.open, None, "a block in a block");
                self.open = Some(match block {
                    Block::Native(_) => "native",
                    Block::Text => "text",
                    _ => "block",
                });
            }
            Delta::Close => assert!(self.open.take().is_some(), "nothing is open"),
            Delta::Text(text) => {
                assert!(!text.is_empty(), "an empty piece");
                assert!(matches!(self.open, Some("text" | "block")), "text in {:?}", self.open);
            }
            Delta::Seal(_) => assert!(matches!(self.open, Some("text" | "block")), "a state of nothing"),
            Delta::Citation(_) | Delta::Logprobs(_) => assert_eq!(self.open, Some("text")),
            Delta::Usage(_) | Delta::Tier(_) => {}
            Delta::Finish(_) => {
                assert_eq!(self.open, None, "a block is open at the finish");
                assert!(!std::mem::replace(&mut self.finished, true), "two finishes");
            }
            Delta::End => {
                assert!(self.finished, "an end without a finish");
                self.ended = true;
            }
        }
    }

    /// Whether the end was seen.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}
