//! Event streams: what the meter reads beside the bytes, and how events and neutral deltas become each other.

pub(super) mod decoder;
pub(super) mod encoder;
mod held;
pub(super) mod meter;

use std::borrow::Cow;

use serde::Deserialize;

use super::wire::Str;

/// The event's name, which its data repeat.
pub(super) fn kind(data: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        r#type: Str<'a>,
    }
    const FIRST: &[u8] = b"{\"type\":\"";
    if let Some(rest) = data.strip_prefix(FIRST) {
        let end = memchr::memchr2(b'"', b'\\', rest)?;
        let name = rest.get(..end)?;
        if rest.get(end) == Some(&b'"') {
            return std::str::from_utf8(name).ok().map(Cow::Borrowed);
        }
    }
    serde_json::from_slice::<Head<'_>>(data).ok().map(|head| head.r#type.0)
}
