//! What the translating targets share: which dialects an input is about, and what holds of every loss and error.

use lockgate_core::{Error, RequestId};
use lockgate_dialect::{ALL, Dialect, Losses};
use serde::de::IgnoredAny;

/// Longer lists and names would make a header of any length.
const MOST_LOSSES: usize = 32;
const LONGEST_LOSS: usize = 96;

/// The dialect that a byte of the choices stands for.
pub(crate) fn dialect(choices: &[u8], at: usize) -> &'static dyn Dialect {
    let byte = choices.get(at).copied().unwrap_or_default();
    ALL[usize::from(byte) % ALL.len()]
}

/// The byte of the choices at this place.
pub(crate) fn choice(choices: &[u8], at: usize) -> u8 {
    choices.get(at).copied().unwrap_or_default()
}

pub(crate) fn losses(losses: &Losses) {
    assert!(losses.iter().count() <= MOST_LOSSES);
    for loss in losses.iter() {
        assert!(!loss.what.is_empty() && loss.what.len() <= LONGEST_LOSS, "{loss:?}");
        assert!(loss.what.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','), "{loss:?}");
        assert!(!loss.why.is_empty(), "{loss:?}");
    }
}

/// An error says something, and is JSON in every dialect's words.
pub(crate) fn error(error: &Error, client: &dyn Dialect) {
    assert!(!error.public().is_empty());
    let (content_type, body) = client.write_error(error, RequestId::from_u128(7));
    assert!(content_type.contains("json"), "{content_type}");
    json(&body);
    assert!(!client.error_event(error, RequestId::from_u128(7), 3).is_empty());
}

/// The bytes are JSON, in UTF-8.
pub(crate) fn json(bytes: &[u8]) {
    assert!(is_json(bytes), "{}", String::from_utf8_lossy(bytes));
}

/// Whether the bytes are JSON, in UTF-8.
pub(crate) fn is_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}
