//! Requests: peek into them, prepare them for a provider, read them and write them.

mod contents;
mod parts;
mod read;
mod settings;
mod tools;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Quirks};

use super::json::Members;
use crate::{Named, Prepared, Turn};

pub(super) use parts::{Source, neutral};
pub(super) use read::{MADE_UP, read};
pub(super) use tools::FREE_TEXT;
pub(super) use write::write;

/// Longer names are no models.
const MAX_MODEL: usize = 256;
/// More answers to one request are not asked for.
const MAX_CANDIDATES: u64 = 64;
/// What stands before a model's name in Google's own resource names.
const FOLDER: &str = "models/";

pub(super) fn peek(body: Bytes, named: Option<Named<'_>>) -> Result<Turn, Error> {
    let payload = Payload::parse(body)
        .map_err(|why| Error::client(Kind::InvalidRequest, format!("Invalid JSON: {why}.")))?;
    let (model, stream) = match named {
        Some(Named { model, stream }) => (model.into(), stream),
        // Whoever calls without a path may name the model where the batch forms of the API have it.
        None => (payload.text("model").unwrap_or_default(), false),
    };
    let model = model.strip_prefix(FOLDER).unwrap_or(&model);
    if model.is_empty() || model.len() > MAX_MODEL {
        return Err(invalid(
            "model",
            "The model in the path must have 1 to 256 bytes: name a route, \"provider/model\" or a model.",
        ));
    }
    let model: Arc<str> = model.into();
    let contents =
        payload.get("contents").filter(|contents| contents.starts_with(b"[") || contents.starts_with(b"{"));
    let Some(contents) = contents else {
        return Err(invalid("contents", "\"contents\" must be an array of messages."));
    };
    let system = payload.get("systemInstruction").or_else(|| payload.get("system_instruction"));
    let prompt_bytes = (contents.len() + system.map_or(0, <[u8]>::len)) as u64;
    Ok(Turn { payload, model, stream, usage_asked: true, prompt_bytes })
}

pub(super) fn prepare(turn: &Turn, model: &str, quirks: &Quirks) -> Prepared {
    let mut splice = turn.payload.splice();
    // The path decides. A body that names another model would contradict it.
    let named = turn.payload.text("model");
    if named.is_some_and(|named| named.strip_prefix(FOLDER).unwrap_or(&named) != model) {
        splice = splice.remove("model");
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

/// How many answers are asked for.
pub(super) fn candidates(turn: &Turn) -> u64 {
    let config = turn.payload.get("generationConfig").or_else(|| turn.payload.get("generation_config"));
    let config = config.filter(|config| memchr::memmem::find(config, b"andidate").is_some());
    let asked = config.and_then(|config| {
        let members: Members<'_> = serde_json::from_slice(config).ok()?;
        members.get("candidateCount")?.get().parse().ok()
    });
    asked.unwrap_or(1).clamp(1, MAX_CANDIDATES)
}

pub(super) fn invalid(param: impl Into<String>, text: impl Into<String>) -> Error {
    Error::client(Kind::InvalidRequest, text.into()).param(param.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: Named<'_> = Named { model: "models/gemini-2.5-flash", stream: true };

    fn turn(json: &str) -> Turn {
        peek(Bytes::copy_from_slice(json.as_bytes()), Some(NAMED)).unwrap()
    }

    fn sent(json: &str, model: &str, quirks: &Quirks) -> String {
        String::from_utf8(prepare(&turn(json), model, quirks).body.join().to_vec()).unwrap()
    }

    #[test]
    fn model_and_stream_come_from_the_path() {
        let turn = turn(r#"{"contents":[],"model":"models/other"}"#);
        assert_eq!((&*turn.model, turn.stream), ("gemini-2.5-flash", true));
    }

    #[test]
    fn a_request_goes_out_as_it_came_but_for_a_model_that_contradicts_the_path() {
        let json = "{ \"contents\":[ ] , \"model\":\"models/m\", \"x\":1 }";
        assert_eq!(sent(json, "m", &Quirks::default()), json);
        assert_eq!(sent(json, "n", &Quirks::default()), "{ \"contents\":[ ], \"x\":1 }");
    }

    #[test]
    fn quirks_drop_rename_and_add() {
        let quirks = Quirks {
            drop: vec!["labels".into()],
            rename: vec![("safetySettings".into(), "safety".into())],
            add: vec![("store".into(), "false".into())],
            ..Quirks::default()
        };
        let json = r#"{"labels":{},"safetySettings":[],"contents":[]}"#;
        assert_eq!(sent(json, "m", &quirks), r#"{"safety":[],"contents":[],"store":false}"#);
        assert_eq!(prepare(&turn(json), "m", &quirks).dropped, ["labels"]);
    }

    #[test]
    fn says_which_member_is_wrong() {
        let at = |json: &str, named| {
            peek(Bytes::copy_from_slice(json.as_bytes()), named).unwrap_err().at().map(str::to_owned)
        };
        assert_eq!(at("{}", Some(NAMED)).as_deref(), Some("contents"));
        assert_eq!(at(r#"{"contents":"hi"}"#, Some(NAMED)).as_deref(), Some("contents"));
        assert_eq!(at(r#"{"contents":[]}"#, None).as_deref(), Some("model"));
        assert_eq!(
            at(r#"{"contents":[]}"#, Some(Named { model: "", stream: false })).as_deref(),
            Some("model")
        );
        assert_eq!(at("[", Some(NAMED)), None);
    }

    #[test]
    fn the_number_of_answers_is_read_and_bounded() {
        assert_eq!(candidates(&turn(r#"{"contents":[]}"#)), 1);
        assert_eq!(candidates(&turn(r#"{"contents":[],"generation_config":{"candidate_count":3}}"#)), 3);
        assert_eq!(candidates(&turn(r#"{"contents":[],"generationConfig":{"candidateCount":9999999}}"#)), 64);
    }
}
