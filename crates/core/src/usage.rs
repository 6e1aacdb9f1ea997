//! What a request consumed, in buckets that do not overlap.

use serde::{Deserialize, Serialize};

/// Token counts of one request. The buckets are disjoint: a cached input token is in `cache_read` and not in `input`,
/// a reasoning token is in `reasoning` and not in `output`; so a price applies to each bucket and nothing is paid twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Fresh text (and image) input tokens.
    pub input: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cache_read: u64,
    /// Input tokens written to the provider's prompt cache for its usual time (five minutes, where there are two).
    pub cache_write: u64,
    /// Input tokens written to it for an hour.
    #[serde(default)]
    pub cache_write_1h: u64,
    /// Input tokens of audio.
    pub audio_input: u64,
    /// Input tokens of images, where the provider counts them apart from text.
    #[serde(default)]
    pub image_input: u64,
    /// Visible output tokens.
    pub output: u64,
    /// Output tokens spent on reasoning, shown or not.
    pub reasoning: u64,
    /// Output tokens of audio.
    pub audio_output: u64,
    /// Output tokens of images.
    #[serde(default)]
    pub image_output: u64,
    /// Searches that the provider made and charges one by one. No tokens, so in no total.
    #[serde(default)]
    pub searches: u64,
    /// Where the numbers come from.
    pub source: Source,
}

/// Who says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The provider reported it.
    #[default]
    Reported,
    /// The gateway estimated it, as no report came; shown as such wherever it is shown.
    Estimated,
}

// === impl Usage ===

impl Usage {
    /// The names of the counts, in the order of [`Usage::counts`].
    pub const COUNTS: [&str; 11] = [
        "input",
        "cache_read",
        "cache_write",
        "cache_write_1h",
        "audio_input",
        "image_input",
        "output",
        "reasoning",
        "audio_output",
        "image_output",
        "searches",
    ];

    /// All counts.
    pub const fn counts(&self) -> [u64; 11] {
        [
            self.input,
            self.cache_read,
            self.cache_write,
            self.cache_write_1h,
            self.audio_input,
            self.image_input,
            self.output,
            self.reasoning,
            self.audio_output,
            self.image_output,
            self.searches,
        ]
    }

    /// The usage of these counts.
    pub const fn from_counts(counts: [u64; 11], source: Source) -> Self {
        let [
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            audio_input,
            image_input,
            output,
            reasoning,
            audio_output,
            image_output,
            searches,
        ] = counts;
        Self {
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            audio_input,
            image_input,
            output,
            reasoning,
            audio_output,
            image_output,
            searches,
            source,
        }
    }

    /// All tokens that went in. A report can say anything, so the sum ends at the largest number there is.
    pub const fn input_total(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_1h)
            .saturating_add(self.audio_input)
            .saturating_add(self.image_input)
    }

    /// All tokens that came out, summed in the same way.
    pub const fn output_total(&self) -> u64 {
        self.output
            .saturating_add(self.reasoning)
            .saturating_add(self.audio_output)
            .saturating_add(self.image_output)
    }

    /// The usage of two calls together. It is reported only if both are.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let (mut counts, more) = (self.counts(), other.counts());
        for (count, more) in counts.iter_mut().zip(more) {
            *count = count.saturating_add(more);
        }
        let source = if self.reported() && other.reported() { Source::Reported } else { Source::Estimated };
        Self::from_counts(counts, source)
    }

    /// Whether the provider reported these numbers.
    pub const fn reported(&self) -> bool {
        matches!(self.source, Source::Reported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonsensical_report_has_a_sum() {
        let usage =
            Usage { input: 9, cache_read: u64::MAX, output: 1, reasoning: u64::MAX, ..Usage::default() };
        assert_eq!((usage.input_total(), usage.output_total()), (u64::MAX, u64::MAX));
    }
}
