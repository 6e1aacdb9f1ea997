//! Usage where the provider reported none: an estimate, and marked as one.

use lockgate_core::usage::Source;
use lockgate_core::{Payload, Usage};

/// Bytes of text that make a token, on the average of English prose and code.
const BYTES_PER_TOKEN: u64 = 4;

/// Input tokens of a request, from the length of its messages.
pub(crate) fn input_estimate(payload: &Payload) -> u64 {
    tokens(payload.get("messages").map_or(0, <[u8]>::len) as u64)
}

/// Usage of an answer that broke off: what went in, and what came out so far.
pub(crate) fn usage_estimate(input: u64, content_bytes: u64) -> Usage {
    Usage { input, output: tokens(content_bytes), source: Source::Estimated, ..Usage::default() }
}

const fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}
