//! Requests: peek into them, and prepare them for a provider.

pub(super) mod additional;
pub(super) mod read;
mod tools;
pub(super) mod write;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Quirks};

use crate::{Named, Prepared, Turn};

/// Longer names are no models; ARNs of inference profiles are long.
const MAX_MODEL: usize = 2_048;

pub(super) fn peek(body: Bytes, named: Option<Named<'_>>) -> Result<Turn, Error> {
    let payload = Payload::parse(body)
        .map_err(|why| Error::client(Kind::InvalidRequest, format!("Invalid JSON: {why}.")))?;
    let Some(named) = named.filter(|named| !named.model.is_empty() && named.model.len() <= MAX_MODEL) else {
        return Err(invalid(
            "modelId",
            "The path must name a model of 1 to 2,048 bytes: /model/{modelId}/converse.",
        ));
    };
    for member in ["messages", "system"] {
        let array = payload.get(member).is_none_or(|json| json.starts_with(b"[") || json == b"null");
        if !array {
            return Err(invalid(member, "\"messages\" and \"system\" must be arrays."));
        }
    }
    let len = |name| payload.get(name).map_or(0, |json: &[u8]| json.len() as u64);
    let prompt_bytes = len("messages") + len("system");
    Ok(Turn { model: named.model.into(), stream: named.stream, usage_asked: true, prompt_bytes, payload })
}

pub(super) fn prepare(turn: &Turn, quirks: &Quirks) -> Prepared {
    let mut splice = turn.payload.splice();
    for (from, to) in &quirks.rename {
        splice = splice.rename(from, to);
    }
    for (name, json) in &quirks.add {
        if !turn.payload.has(name) {
            splice = splice.set(name, Bytes::copy_from_slice(json.as_bytes()));
        }
    }
    let dropped: Vec<String> = quirks.drop.iter().filter(|name| turn.payload.has(name)).cloned().collect();
    for name in &quirks.drop {
        splice = splice.remove(name);
    }
    Prepared { body: splice.segments(), withhold_usage: false, dropped }
}

fn invalid(param: &'static str, text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::client(Kind::InvalidRequest, text).param(param)
}

#[cfg(test)]
mod tests;
