//! How far a count is from what providers report, learned family by family.

use std::sync::atomic::{AtomicU64, Ordering};

use super::family::Family;

/// What a count was made with; each errs in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Basis {
    /// Letters, without a vocabulary.
    Letters,
    /// A vocabulary.
    Vocabulary,
}

/// Ratios of reported to counted tokens, each an average in which old reports fade. Shared by all threads; no lock.
///
/// No money is in it: it makes estimates better, and whatever rests on it is marked as an estimate.
#[derive(Debug)]
pub struct Calibration {
    /// The bits of an `f64` for each family and basis.
    ratios: [[AtomicU64; 2]; Family::COUNT],
}

/// A report of so many tokens moves the average half as far as one report can.
const WEIGHTY: f64 = 2_000.0;
/// The most that one report moves the average.
const STEP: f64 = 0.1;
/// Reports of fewer tokens are mostly the frame around a message.
const LEAST: u64 = 64;
/// No vocabulary is further from another; a report beyond is about something that was not counted, such as images.
const BOUNDS: (f64, f64) = (0.25, 4.0);

// === impl Calibration ===

impl Calibration {
    /// Nothing learned yet.
    pub fn new() -> Self {
        const FAMILIES: [Family; Family::COUNT] = [
            Family::Gpt,
            Family::Gpt4,
            Family::Claude,
            Family::Gemini,
            Family::Llama,
            Family::DeepSeek,
            Family::Qwen,
            Family::Mistral,
            Family::Grok,
            Family::Command,
            Family::Glm,
            Family::Kimi,
            Family::Other,
        ];
        let start = |ratio: f64| AtomicU64::new(ratio.to_bits());
        let own = |family: Family| {
            // Against its own vocabulary a family needs no factor; against o200k it does.
            if family.vocabulary() == super::Vocabulary::O200k { family.prior() } else { 1.0 }
        };
        Self { ratios: FAMILIES.map(|family| [start(family.prior()), start(own(family))]) }
    }

    /// What to multiply a count by.
    pub fn ratio(&self, family: Family, basis: Basis) -> f64 {
        f64::from_bits(self.cell(family, basis).load(Ordering::Relaxed))
    }

    /// Learns from an answer: what was counted for its text (before any ratio), and what the provider reported for it.
    pub fn observe(&self, family: Family, basis: Basis, counted: u64, reported: u64) {
        if counted < LEAST || reported < LEAST {
            return;
        }
        let ratio = reported as f64 / counted as f64;
        if !(BOUNDS.0..=BOUNDS.1).contains(&ratio) {
            return;
        }
        let step = STEP * (counted as f64 / (counted as f64 + WEIGHTY));
        let moved = |bits| {
            let old = f64::from_bits(bits);
            Some((old + (ratio - old) * step).to_bits())
        };
        // The closure always has an answer, so the update always succeeds.
        let _ = self.cell(family, basis).fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }

    fn cell(&self, family: Family, basis: Basis) -> &AtomicU64 {
        &self.ratios[family as usize][basis as usize]
    }
}

impl Default for Calibration {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(reports: &[(u64, u64)]) -> f64 {
        let calibration = Calibration::new();
        for (counted, reported) in reports {
            calibration.observe(Family::Gemini, Basis::Letters, *counted, *reported);
        }
        calibration.ratio(Family::Gemini, Basis::Letters)
    }

    #[test]
    fn it_comes_near_what_is_reported() {
        let ratio = learned(&[(1_000, 1_300); 200]);
        assert!((ratio - 1.3).abs() < 0.01, "{ratio}");
    }

    #[test]
    fn one_report_moves_it_little() {
        let ratio = learned(&[(1_000_000, 2_000_000)]);
        assert!(ratio > 1.0 && ratio < 1.11, "{ratio}");
    }

    #[test]
    fn old_reports_fade() {
        let ratio = learned(&[[(10_000, 20_000); 100], [(10_000, 8_000); 100]].concat());
        assert!((ratio - 0.8).abs() < 0.01, "{ratio}");
    }

    #[test]
    fn what_cannot_be_is_passed_over() {
        assert_eq!(
            learned(&[(10, 20), (1_000, 100_000), (100_000, 100), (0, 0), (u64::MAX, 1)]).to_bits(),
            1_f64.to_bits()
        );
        assert!(learned(&[(u64::MAX, u64::MAX)]).is_finite());
    }

    #[test]
    fn families_do_not_disturb_each_other() {
        let calibration = Calibration::new();
        let claude = calibration.ratio(Family::Claude, Basis::Letters);
        calibration.observe(Family::Grok, Basis::Letters, 10_000, 20_000);
        assert_eq!(calibration.ratio(Family::Claude, Basis::Letters).to_bits(), claude.to_bits());
        assert_eq!(calibration.ratio(Family::Grok, Basis::Vocabulary).to_bits(), 1_f64.to_bits());
    }
}
