//! Vocabularies that are public. Each is named by its own function, so that only those named here are linked in.

use std::fmt;

use tiktoken::{CoreBpe, encoding};

use super::Vocabulary;
use super::blocks::{Block, blocks};
use super::estimate;

/// A vocabulary, loaded.
pub(super) struct Encoder {
    words: CoreBpe,
    /// Whether it is fast with letters beyond ASCII. The pattern by which o200k cuts text makes them a hundred times as slow.
    wide: bool,
}

/// What was counted and what is left to conclude.
#[derive(Default)]
struct Sum {
    /// Bytes seen.
    bytes: usize,
    /// Blocks seen.
    blocks: usize,
    /// Tokens counted, and what letters say of the same blocks.
    counted: u64,
    judged: u64,
    /// What letters say of the blocks that only look like text.
    strange: u64,
    /// What letters say of the blocks that were passed over.
    passed: u64,
    torn: bool,
}

/// A text is counted whole up to so many bytes.
const WHOLE: usize = 64 * 1_024;
/// Of what is beyond, one block in so many is counted and speaks for the others.
const SAMPLE: usize = 16;

// === impl Encoder ===

impl Encoder {
    /// Unpacks a vocabulary: up to a second, tens of megabytes.
    pub(super) fn load(vocabulary: Vocabulary) -> Self {
        let make = match vocabulary {
            Vocabulary::O200k => encoding::o200k_base,
            Vocabulary::Cl100k => encoding::cl100k_base,
            Vocabulary::Qwen2 => encoding::qwen2,
            Vocabulary::MistralV3 => encoding::mistral_v3,
        };
        Self { words: make(), wide: vocabulary != Vocabulary::O200k }
    }

    /// The tokens of a text, and whether each was counted.
    pub(super) fn count(&self, text: &str) -> (u64, bool) {
        let judge = text.len() > WHOLE;
        let sum = blocks(text).fold(Sum::default(), |sum, block| self.add(sum, block, judge));
        (sum.tokens(), !sum.torn && sum.strange == 0 && sum.passed == 0)
    }

    fn add(&self, mut sum: Sum, block: Block<'_>, judge: bool) -> Sum {
        if !block.regular || (block.wide && !self.wide) {
            sum.strange += estimate(block.text);
        } else if sum.bytes <= WHOLE || sum.blocks.is_multiple_of(SAMPLE) {
            sum.counted += self.words.count(block.text) as u64;
            sum.judged += if judge { estimate(block.text) } else { 0 };
            sum.torn |= block.torn;
        } else {
            sum.passed += estimate(block.text);
        }
        sum.bytes += block.text.len();
        sum.blocks += 1;
        sum
    }
}

// === impl Sum ===

impl Sum {
    /// All tokens: those passed over have the ratio of those counted.
    fn tokens(&self) -> u64 {
        let concluded = u128::from(self.passed) * u128::from(self.counted) / u128::from(self.judged.max(1));
        let concluded =
            if self.judged == 0 { self.passed } else { u64::try_from(concluded).unwrap_or(u64::MAX) };
        self.counted + self.strange + concluded
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoder({} entries)", self.words.vocab_size())
    }
}
