//! Requests: peek into them, and prepare them for a provider.

mod input;
mod items;
pub(super) mod read;
mod tools;
pub(super) mod write;

use std::sync::Arc;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Quirks};

use crate::{Prepared, Turn};

/// Longer names are no models.
const MAX_MODEL: usize = 256;
/// Members that bring the conversation along, so that `input` may be missing.
const CONVERSATIONS: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

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
    match payload.get("input") {
        Some([b'"' | b'[', ..]) => {}
        None | Some(b"null") if CONVERSATIONS.iter().any(|name| payload.has(name)) => {}
        _ => return Err(invalid("input", "\"input\" must be a string or an array of items.")),
    }
    let stream = match payload.get("stream") {
        None | Some(b"null" | b"false") => false,
        Some(b"true") => true,
        Some(_) => return Err(invalid("stream", "\"stream\" must be true or false.")),
    };
    let length = |name| payload.get(name).map_or(0, |value| value.len() as u64);
    let prompt_bytes = length("input").saturating_add(length("instructions"));
    // The last event of a stream reports usage, asked or not.
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

    fn turn(json: &str) -> Result<Turn, Error> {
        peek(Bytes::copy_from_slice(json.as_bytes()))
    }

    #[test]
    fn an_unchanged_request_goes_out_as_it_came() {
        let json = "{ \"model\":\"m\", \"input\":\"hi\" , \"extra\":{\"a\":1} }";
        let prepared = prepare(&turn(json).unwrap(), "m", &Quirks::default());
        assert_eq!(prepared.body.join(), json.as_bytes());
        assert!(!prepared.withhold_usage);
    }

    #[test]
    fn quirks_drop_rename_and_add() {
        let quirks = Quirks {
            drop: vec!["include".into()],
            rename: vec![("user".into(), "safety_identifier".into())],
            add: vec![("store".into(), "false".into())],
            ..Quirks::default()
        };
        let turn = turn(r#"{"model":"m","input":[],"include":[],"user":"u"}"#).unwrap();
        let prepared = prepare(&turn, "x", &quirks);
        assert_eq!(
            prepared.body.join(),
            r#"{"model":"x","input":[],"safety_identifier":"u","store":false}"#.as_bytes()
        );
        assert_eq!(prepared.dropped, ["include"]);
    }

    #[test]
    fn says_which_member_is_wrong() {
        let at = |json: &str| turn(json).unwrap_err().at().map(str::to_owned);
        assert_eq!(at(r#"{"input":[]}"#).as_deref(), Some("model"));
        assert_eq!(at(r#"{"model":7,"input":[]}"#).as_deref(), Some("model"));
        assert_eq!(at(r#"{"model":"m"}"#).as_deref(), Some("input"));
        assert_eq!(at(r#"{"model":"m","input":{}}"#).as_deref(), Some("input"));
        assert_eq!(at(r#"{"model":"m","input":"","stream":1}"#).as_deref(), Some("stream"));
        assert_eq!(at("{"), None);
    }

    #[test]
    fn a_conversation_at_the_provider_stands_for_the_input() {
        assert!(turn(r#"{"model":"m","prompt":{"id":"p"}}"#).is_ok());
        assert!(turn(r#"{"model":"m","previous_response_id":"r","input":null}"#).is_ok());
    }
}
