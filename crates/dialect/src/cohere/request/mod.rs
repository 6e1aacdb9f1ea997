//! Requests: peek into them, and prepare them for a provider.

pub(super) mod read;
pub(super) mod write;

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Quirks};

use crate::{Prepared, Turn};

/// Longer names are no models.
const MAX_MODEL: usize = 256;

pub(super) fn peek(body: Bytes) -> Result<Turn, Error> {
    let payload = Payload::parse(body)
        .map_err(|why| Error::client(Kind::InvalidRequest, format!("Invalid JSON: {why}.")))?;
    let model = match payload.text("model") {
        Some(model) if !model.is_empty() && model.len() <= MAX_MODEL => model.as_ref().into(),
        Some(_) => return Err(invalid("model", "\"model\" must have 1 to 256 bytes.")),
        None if payload.has("model") => return Err(invalid("model", "\"model\" must be a string.")),
        None => {
            return Err(invalid(
                "model",
                "\"model\" is missing: name a route, \"provider/model\" or a model.",
            ));
        }
    };
    if !payload.get("messages").is_some_and(|messages| messages.starts_with(b"[")) {
        return Err(invalid("messages", "\"messages\" must be an array of messages."));
    }
    let stream = match payload.get("stream") {
        None | Some(b"null" | b"false") => false,
        Some(b"true") => true,
        Some(_) => return Err(invalid("stream", "\"stream\" must be true or false.")),
    };
    let len = |name| payload.get(name).map_or(0, |json: &[u8]| json.len() as u64);
    let prompt_bytes = len("messages") + len("documents");
    Ok(Turn { model, stream, usage_asked: true, prompt_bytes, payload })
}

pub(super) fn prepare(turn: &Turn, model: &str, quirks: &Quirks) -> Prepared {
    let mut splice = turn.payload.splice();
    if *turn.model != *model {
        splice = splice.set_text("model", model);
    }
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

fn invalid(param: &'static str, text: impl Into<Cow<'static, str>>) -> Error {
    Error::client(Kind::InvalidRequest, text).param(param)
}

#[cfg(test)]
mod tests;
