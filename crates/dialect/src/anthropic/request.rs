//! Requests: peek into them, prepare them for a provider, and their meeting with other dialects.

mod dialogue;
mod pieces;
mod read;
mod schema;
mod thinking;
mod tools;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Quirks};

pub(super) use read::read;
pub(super) use write::write;

use crate::{Prepared, Turn};

/// Longer names are no models.
const MAX_MODEL: usize = 256;

pub(super) fn peek(body: Bytes) -> Result<Turn, Error> {
    let payload = Payload::parse(body)
        .map_err(|why| Error::client(Kind::InvalidRequest, format!("Invalid JSON: {why}.")))?;
    let model: Arc<str> = match payload.text("model") {
        Some(model) if !model.is_empty() && model.len() <= MAX_MODEL => model.as_ref().into(),
        Some(_) => return Err(invalid("model", "\"model\" must have 1 to 256 bytes.")),
        None if payload.has("model") => return Err(invalid("model", "\"model\" must be a string.")),
        None => {
            return Err(invalid(
                "model",
                "\"model\" is missing: name a route, \"provider/model\" or a model; GET /v1/models lists them.",
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
    let said = ["messages", "system", "tools"];
    let prompt_bytes = said.iter().filter_map(|name| payload.get(name)).map(|raw| raw.len() as u64).sum();
    // Streams of this dialect always report usage.
    Ok(Turn { payload, model, stream, usage_asked: stream, prompt_bytes })
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

fn invalid(param: &'static str, text: &'static str) -> Error {
    Error::client(Kind::InvalidRequest, text).param(param)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(json: &str) -> Turn {
        peek(Bytes::copy_from_slice(json.as_bytes())).unwrap()
    }

    fn sent(json: &str, model: &str, quirks: &Quirks) -> String {
        String::from_utf8(prepare(&turn(json), model, quirks).body.join().to_vec()).unwrap()
    }

    #[test]
    fn an_unchanged_request_goes_out_as_it_came() {
        let json = "{ \"model\":\"m\", \"messages\":[ ] , \"context_management\":{\"edits\":[]}, \"new\":1 }";
        assert_eq!(sent(json, "m", &Quirks::default()), json);
    }

    #[test]
    fn quirks_drop_rename_and_add() {
        let quirks = Quirks {
            drop: vec!["service_tier".into()],
            rename: vec![("max_tokens".into(), "max_output".into())],
            add: vec![("anthropic_version".into(), "\"vertex-2023-10-16\"".into())],
            ..Quirks::default()
        };
        let json = r#"{"model":"m","max_tokens":1,"service_tier":"auto","messages":[]}"#;
        let out = r#"{"model":"x","max_output":1,"messages":[],"anthropic_version":"vertex-2023-10-16"}"#;
        assert_eq!(sent(json, "x", &quirks), out);
        assert_eq!(prepare(&turn(json), "x", &quirks).dropped, ["service_tier"]);
    }

    #[test]
    fn says_which_member_is_wrong() {
        let at =
            |json: &str| peek(Bytes::copy_from_slice(json.as_bytes())).unwrap_err().at().map(str::to_owned);
        assert_eq!(at(r#"{"messages":[]}"#).as_deref(), Some("model"));
        assert_eq!(at(r#"{"model":7,"messages":[]}"#).as_deref(), Some("model"));
        assert_eq!(at(r#"{"model":"m"}"#).as_deref(), Some("messages"));
        assert_eq!(at(r#"{"model":"m","messages":[],"stream":1}"#).as_deref(), Some("stream"));
        assert_eq!(at("{"), None);
    }
}
