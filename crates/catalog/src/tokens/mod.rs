//! How many tokens a text has.
//!
//! By the family's vocabulary where there is one and it is loaded, else by its letters; times what was learned of the
//! family. Only a count by a family's own vocabulary is exact; any other is an estimate and says so.
//!
//! A vocabulary takes tens of megabytes and a second to load, so none is loaded before somebody asks for it: call
//! [`Counter::load`] on a thread that may wait. Until then, and for families without one, letters decide. No input costs
//! more than linear time.

mod blocks;
mod calibration;
mod estimate;
mod family;
mod vocabulary;

pub use calibration::{Basis, Calibration};
pub use estimate::estimate;
pub use family::{Family, Vocabulary};

use std::sync::OnceLock;

use vocabulary::Encoder;

/// Counts tokens. One for the process, shared.
#[derive(Debug, Default)]
pub struct Counter {
    encoders: [OnceLock<Encoder>; Vocabulary::COUNT],
    calibration: Calibration,
}

/// A count of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many there are, or are thought to be.
    pub tokens: u64,
    /// Whether that is no estimate.
    pub exact: bool,
    /// What it was made with.
    pub basis: Basis,
    /// The count before what was learned was applied: what [`Counter::observe`] wants back.
    pub raw: u64,
}

// === impl Counter ===

impl Counter {
    /// A counter that has loaded and learned nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loads a vocabulary. The first call takes up to a second and must not be made where requests wait.
    pub fn load(&self, vocabulary: Vocabulary) {
        self.encoders[vocabulary as usize].get_or_init(|| Encoder::load(vocabulary));
    }

    /// Whether a vocabulary is loaded.
    pub fn has(&self, vocabulary: Vocabulary) -> bool {
        self.encoder(vocabulary).is_some()
    }

    /// Counts the tokens of a text as a family of models does. Never loads anything.
    pub fn count(&self, family: Family, text: &str) -> Count {
        let (raw, basis, whole) = match self.encoder(family.vocabulary()) {
            Some(encoder) => {
                let (raw, whole) = encoder.count(text);
                (raw, Basis::Vocabulary, whole)
            }
            None => (estimate(text), Basis::Letters, false),
        };
        if family.owns_vocabulary() && whole {
            return Count { tokens: raw, exact: true, basis, raw };
        }
        let tokens = (raw as f64 * self.calibration.ratio(family, basis)).round() as u64;
        Count { tokens, exact: false, basis, raw }
    }

    /// Learns from what a provider reported for the text of an estimate. Exact counts teach nothing.
    pub fn observe(&self, family: Family, count: &Count, reported: u64) {
        if !count.exact {
            self.calibration.observe(family, count.basis, count.raw, reported);
        }
    }

    /// What was learned.
    pub const fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    fn encoder(&self, vocabulary: Vocabulary) -> Option<&Encoder> {
        self.encoders[vocabulary as usize].get()
    }
}

#[cfg(test)]
mod tests;
