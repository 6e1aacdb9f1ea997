//! Requests: peek into them, and prepare them for a provider.

mod content;
mod messages;
pub(crate) mod read;
mod tools;
pub(crate) mod write;

use std::sync::Arc;

use bytes::Bytes;
use lockgate_core::upstream::StreamUsage;
use lockgate_core::{Error, Kind, Payload, Quirks};

use crate::{Prepared, Turn};

/// Longer names are no models.
const MAX_MODEL: usize = 256;

pub(crate) fn peek(body: Bytes) -> Result<Turn, Error> {
    let payload = Payload::parse(body)
        .map_err(|why| Error::client(Kind::InvalidRequest, format!("Invalid JSON: {why}.")))?;
    let model = model_of(&payload)?;
    if !payload.get("messages").is_some_and(|messages| messages.starts_with(b"[")) {
        return Err(invalid("messages", "\"messages\" must be an array of messages."));
    }
    let (stream, usage_asked) = stream_of(&payload)?;
    let prompt_bytes = payload.get("messages").map_or(0, |messages| messages.len() as u64);
    Ok(Turn { payload, model, stream, usage_asked, prompt_bytes })
}

/// The model that a body names.
///
/// # Errors
/// A caller's error when it names none.
pub(crate) fn model_of(payload: &Payload) -> Result<Arc<str>, Error> {
    match payload.text("model") {
        Some(model) if !model.is_empty() && model.len() <= MAX_MODEL => Ok(model.as_ref().into()),
        Some(_) => Err(invalid("model", "\"model\" must have 1 to 256 bytes.")),
        None if payload.has("model") => Err(invalid("model", "\"model\" must be a string.")),
        None => Err(invalid(
            "model",
            "\"model\" is missing: name a route, \"provider/model\" or a model; GET /v1/models lists them.",
        )),
    }
}

/// Whether a stream is asked for, and usage in it.
///
/// # Errors
/// A caller's error when a member of these has a wrong type.
pub(crate) fn stream_of(payload: &Payload) -> Result<(bool, bool), Error> {
    let stream = match payload.get("stream") {
        None | Some(b"null" | b"false") => false,
        Some(b"true") => true,
        Some(_) => return Err(invalid("stream", "\"stream\" must be true or false.")),
    };
    let asked = stream && options(payload)?.is_some_and(|o| o.flag("include_usage") == Some(true));
    Ok((stream, asked))
}

pub(crate) fn prepare(turn: &Turn, model: &str, quirks: &Quirks) -> Prepared {
    let mut splice = turn.payload.splice();
    if *turn.model != *model {
        splice = splice.set_text("model", model);
    }
    let refused = quirks.drop.iter().any(|name| name == "stream_options");
    let withhold_usage =
        turn.stream && !turn.usage_asked && quirks.stream_usage == StreamUsage::Ask && !refused;
    if withhold_usage {
        let asked = Bytes::from_static(b"true");
        let options = match options(&turn.payload) {
            Ok(Some(options)) => options.splice().set("include_usage", asked).segments().join(),
            _ => Bytes::from_static(br#"{"include_usage":true}"#),
        };
        splice = splice.set("stream_options", options);
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
    Prepared { body: splice.segments(), withhold_usage, dropped }
}

fn options(payload: &Payload) -> Result<Option<Payload>, Error> {
    match payload.get("stream_options") {
        None | Some(b"null") => Ok(None),
        Some(raw) => Payload::parse(payload.bytes().slice_ref(raw))
            .map(Some)
            .map_err(|_| invalid("stream_options", "\"stream_options\" must be an object.")),
    }
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

    fn sent(json: &str, model: &str, quirks: &Quirks) -> (String, bool) {
        let prepared = prepare(&turn(json), model, quirks);
        (String::from_utf8(prepared.body.join().to_vec()).unwrap(), prepared.withhold_usage)
    }

    #[test]
    fn an_unchanged_request_goes_out_as_it_came() {
        let json = "{ \"model\":\"m\", \"messages\":[ ] , \"extra\":{\"a\":1} }";
        assert_eq!(sent(json, "m", &Quirks::default()), (json.into(), false));
    }

    #[test]
    fn usage_of_a_stream_is_asked_for_once() {
        let ask = Quirks::default();
        let json = r#"{"model":"m","messages":[],"stream":true}"#;
        let with = r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
        assert_eq!(sent(json, "m", &ask), (with.into(), true));
        assert_eq!(sent(with, "m", &ask), (with.into(), false));
        let other = r#"{"model":"m","messages":[],"stream":true,"stream_options":{"x":1}}"#;
        let both =
            r#"{"model":"m","messages":[],"stream":true,"stream_options":{"x":1,"include_usage":true}}"#;
        assert_eq!(sent(other, "m", &ask), (both.into(), true));
        let never = Quirks { stream_usage: StreamUsage::Never, ..Quirks::default() };
        assert_eq!(sent(json, "m", &never), (json.into(), false));
    }

    #[test]
    fn quirks_drop_and_rename() {
        let quirks = Quirks {
            drop: vec!["seed".into()],
            rename: vec![("max_tokens".into(), "max_completion_tokens".into())],
            ..Quirks::default()
        };
        let (out, _) = sent(r#"{"model":"m","seed":1,"max_tokens":5,"messages":[]}"#, "x", &quirks);
        assert_eq!(out, r#"{"model":"x","max_completion_tokens":5,"messages":[]}"#);
        let prepared = prepare(&turn(r#"{"model":"m","seed":1,"messages":[]}"#), "x", &quirks);
        assert_eq!(prepared.dropped, ["seed"]);
    }

    #[test]
    fn a_provider_that_refuses_stream_options_is_not_asked_with_them() {
        let quirks = Quirks { drop: vec!["stream_options".into()], ..Quirks::default() };
        let json = r#"{"model":"m","messages":[],"stream":true}"#;
        assert_eq!(sent(json, "m", &quirks), (json.into(), false));
    }

    #[test]
    fn says_which_member_is_wrong() {
        let at =
            |json: &str| peek(Bytes::copy_from_slice(json.as_bytes())).unwrap_err().at().map(str::to_owned);
        assert_eq!(at(r#"{"messages":[]}"#).as_deref(), Some("model"));
        assert_eq!(at(r#"{"model":7,"messages":[]}"#).as_deref(), Some("model"));
        assert_eq!(at(r#"{"model":"","messages":[]}"#).as_deref(), Some("model"));
        assert_eq!(at(r#"{"model":"m"}"#).as_deref(), Some("messages"));
        assert_eq!(at(r#"{"model":"m","messages":[],"stream":1}"#).as_deref(), Some("stream"));
        assert_eq!(
            at(r#"{"model":"m","messages":[],"stream":true,"stream_options":1}"#).as_deref(),
            Some("stream_options")
        );
        assert_eq!(at("{"), None);
    }
}
