//! The whole reader of requests: what is peeked is what a full parser sees, and what is prepared differs in nothing
//! but what the model and the provider's quirks demand.
//!
//! The line of choices: a byte for the model's name at the provider, a byte for how usage of streams is treated, then
//! two bytes for each quirk: a name, and its new name (a dot drops it).

use bytes::Bytes;
use lockgate_core::upstream::StreamUsage;
use lockgate_core::{Error, Fault, Kind, Payload, Quirks};
use lockgate_dialect::openai_chat::OpenAiChat;
use lockgate_dialect::{Dialect, Turn};
use serde_json::Value;

use crate::{script, wording};

const MODELS: [&str; 3] = ["gpt-x", "org/model:free", "a\"b\\c\n\u{1f9ca}"];
/// Names that a quirk can be about, beside those of the request.
const NAMES: [&str; 6] = ["stream_options", "max_tokens", "max_completion_tokens", "stream", "model", "x"];
const MOST_QUIRKS: usize = 6;

pub(crate) fn check(data: &[u8]) {
    let (choices, body) = script::split(data);
    let body = Bytes::copy_from_slice(body);
    match OpenAiChat.peek(body.clone(), None) {
        Ok(turn) => {
            assert_eq!(turn.payload.bytes(), &body);
            peeked(&turn);
            let quirks = quirks(&turn, choices.get(1..).unwrap_or_default());
            let model = choices.first().map(|byte| usize::from(*byte) % (MODELS.len() + 1));
            let model = model.and_then(|at| MODELS.get(at)).map_or(&*turn.model, |model| *model);
            prepared(&turn, model, &quirks);
        }
        Err(error) => refused(&error, &body),
    }
}

fn peeked(turn: &Turn) {
    let Ok(Value::Object(whole)) = serde_json::from_slice::<Value>(turn.payload.bytes()) else { return };
    assert_eq!(whole["model"], &*turn.model);
    assert!(whole["messages"].is_array());
    assert_eq!(turn.stream, whole.get("stream") == Some(&Value::Bool(true)));
    let options = whole.get("stream_options").and_then(|options| options.get("include_usage"));
    assert_eq!(turn.usage_asked, turn.stream && options == Some(&Value::Bool(true)));
}

/// A refusal is the caller's fault, names the member that is wrong, and it is wrong.
fn refused(error: &Error, body: &Bytes) {
    assert_eq!((error.kind(), error.fault()), (Kind::InvalidRequest, Fault::Caller));
    wording::check(error);
    let Some(at) = error.at() else {
        assert!(Payload::parse(body.clone()).is_err());
        return;
    };
    let Ok(Value::Object(whole)) = serde_json::from_slice::<Value>(body) else { return };
    let value = whole.get(at);
    let fine = match at {
        "model" => value.and_then(Value::as_str).is_some_and(|model| (1..=256).contains(&model.len())),
        "messages" => value.is_some_and(Value::is_array),
        "stream" => value.is_none_or(|value| value.is_boolean() || value.is_null()),
        "stream_options" => {
            let raw = Payload::parse(body.clone()).ok().and_then(|p| p.get(at).map(<[u8]>::to_vec));
            value.is_none_or(Value::is_null) || raw.is_some_and(|raw| Payload::parse(raw.into()).is_ok())
        }
        other => panic!("{other} is blamed"),
    };
    assert!(!fine, "{at} is refused: {body:?}");
}

/// As the config allows them: no two members are given the same name.
fn quirks(turn: &Turn, choices: &[u8]) -> Quirks {
    let stream_usage = match choices.first().map_or(0, |byte| byte % 3) {
        0 => StreamUsage::Ask,
        1 => StreamUsage::Always,
        _ => StreamUsage::Never,
    };
    let mut quirks = Quirks { stream_usage, ..Quirks::default() };
    let names: Vec<&str> = turn.payload.names().chain(NAMES).collect();
    let pick = |byte: u8| names[usize::from(byte) % names.len()].to_owned();
    for pair in choices.get(1..).unwrap_or_default().chunks_exact(2).take(MOST_QUIRKS) {
        let name = pick(pair[0]);
        if pair[1] == b'.' {
            quirks.drop.push(name);
        } else if !quirks.rename.iter().any(|(from, to)| *from == name || *to == pick(pair[1])) {
            quirks.rename.push((name, pick(pair[1])));
        }
    }
    quirks
}

fn prepared(turn: &Turn, model: &str, quirks: &Quirks) {
    let prepared = OpenAiChat.prepare(turn, model, quirks);
    let asks = turn.stream && !turn.usage_asked && quirks.stream_usage == StreamUsage::Ask;
    let refuses = quirks.drop.iter().any(|name| name == "stream_options");
    assert_eq!(prepared.withhold_usage, asks && !refuses);
    let has = |name: &&String| turn.payload.has(name);
    assert!(prepared.dropped.iter().eq(quirks.drop.iter().filter(has)));

    let bytes = prepared.body.join();
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    let sent = Payload::parse(bytes).unwrap_or_else(|why| panic!("{why}: {shown}"));
    let expected = expected(turn, model, quirks, prepared.withhold_usage);
    assert!(sent.names().eq(expected.iter().map(|(name, _)| name)), "{shown}");
    for (name, value) in &expected {
        assert_eq!(sent.get(name), Some(&value[..]), "{name} in {shown}");
    }
    if expected.iter().map(|(name, value)| (name.as_str(), &value[..])).eq(members(&turn.payload)) {
        assert_eq!(sent.bytes(), turn.payload.bytes(), "rewritten without need");
    }
    if quirks.drop.is_empty() && quirks.rename.is_empty() {
        let again = OpenAiChat.peek(sent.bytes().clone(), None).unwrap_or_else(|e| panic!("{e:?}: {shown}"));
        assert_eq!((&*again.model, again.stream), (model, turn.stream));
        assert_eq!(again.usage_asked, turn.usage_asked || prepared.withhold_usage);
    }
}

/// The members that are to go out, in order.
fn expected(turn: &Turn, model: &str, quirks: &Quirks, ask: bool) -> Vec<(String, Bytes)> {
    let mut members: Vec<(String, Bytes)> = members(&turn.payload)
        .map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value)))
        .collect();
    let find = |members: &[(String, Bytes)], name: &str| members.iter().position(|(other, _)| other == name);
    if let Some(at) = find(&members, "model").filter(|_| model != &*turn.model) {
        members[at].1 = Value::from(model).to_string().into();
    }
    if ask {
        match find(&members, "stream_options") {
            Some(at) => members[at].1 = asking(&members[at].1),
            None => members.push(("stream_options".into(), asking(b"null"))),
        }
    }
    // Drops and renames are about the names that the request came with, all at once. Only the member that was added
    // goes by the name that it has by then.
    let came_with = turn.payload.names().count();
    let mut names: Vec<Option<String>> = members.iter().map(|(name, _)| Some(name.clone())).collect();
    for (from, to) in &quirks.rename {
        let taken = find(&members, to).is_some() || names.contains(&Some(to.clone()));
        if let Some(at) = find(&members, from).filter(|_| !taken) {
            names[at] = Some(to.clone());
            if at >= came_with {
                members[at].0.clone_from(to);
            }
        }
    }
    for name in &quirks.drop {
        if let Some(at) = find(&members, name) {
            names[at] = None;
        }
    }
    names.into_iter().zip(members).filter_map(|(name, (_, value))| Some((name?, value))).collect()
}

/// `stream_options` with usage asked for.
fn asking(options: &[u8]) -> Bytes {
    if options == b"null" {
        return Bytes::from_static(br#"{"include_usage":true}"#);
    }
    let payload = Payload::parse(Bytes::copy_from_slice(options)).unwrap_or_else(|why| panic!("{why}"));
    payload.splice().set("include_usage", Bytes::from_static(b"true")).segments().join()
}

fn members(payload: &Payload) -> impl Iterator<Item = (&str, &[u8])> {
    payload.names().filter_map(|name| Some((name, payload.get(name)?)))
}
