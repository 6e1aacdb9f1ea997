//! Usage where the provider reported none: an estimate, and marked as one.

use lockgate_core::Usage;
use lockgate_core::usage::Source;
use lockgate_dialect::Turn;

/// Bytes of text that make a token, on the average of English prose and code.
const BYTES_PER_TOKEN: u64 = 4;

/// Input tokens of a request, from the length of what is said in it.
pub(crate) const fn input_estimate(turn: &Turn) -> u64 {
    tokens(turn.prompt_bytes)
}

/// Usage of an answer that broke off: what went in, and what came out so far.
pub(crate) fn usage_estimate(input: u64, content_bytes: u64) -> Usage {
    Usage { input, output: tokens(content_bytes), source: Source::Estimated, ..Usage::default() }
}

/// Usage of an attempt that nobody heard the end of.
pub(crate) fn usage_of(input: u64, output: u64) -> Usage {
    Usage { input, output, source: Source::Estimated, ..Usage::default() }
}

/// Tokens of a text, from its length.
pub(crate) const fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}
