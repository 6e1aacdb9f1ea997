//! Every recorded answer in the words of every other dialect: what is said, which tools are called with what, why it
//! ended and what it consumed must be the same; streams must also keep their order and end once.

use std::collections::BTreeMap;

use bytes::Bytes;
use lockgate_dialect::frames::Frames;
use lockgate_dialect::neutral::Delta;
use lockgate_dialect::seal::Origin;
use lockgate_dialect::{Dialect, Framing, Losses, Named, Turn, by_name};
use lockgate_testkit::vectors::{self, Exchange};
use serde_json::Value;

use crate::said::{self, Finish, Gathered, Said};

/// The recorded APIs and the dialect of each.
const APIS: [(&str, &str); 7] = [
    ("openai.chat", "openai.chat"),
    ("anthropic.messages", "anthropic.messages"),
    ("openai.responses", "openai.responses"),
    ("gemini.generateContent", "gemini.generateContent"),
    ("bedrock.converse", "bedrock.converse"),
    ("bedrock.converse-stream", "bedrock.converse"),
    ("cohere.chat", "cohere.chat"),
];
/// The dialects that clients speak.
const CLIENTS: [&str; 4] =
    ["openai.chat", "anthropic.messages", "openai.responses", "gemini.generateContent"];

fn turn(client: &'static dyn Dialect, stream: bool) -> Turn {
    let body = match client.name() {
        "openai.responses" => format!(r#"{{"model":"m","input":"hi","stream":{stream}}}"#),
        "gemini.generateContent" => r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#.to_owned(),
        _ => format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}],"stream":{stream},"stream_options":{{"include_usage":true}}}}"#
        ),
    };
    client.peek(Bytes::from(body), Some(Named { model: "m", stream })).unwrap()
}

fn origin() -> Origin {
    Origin("recorded".into())
}

fn read_whole(dialect: &str, body: &[u8]) -> Option<Said> {
    let json: Value = serde_json::from_slice(body).ok()?;
    Some(match dialect {
        "openai.chat" => said::chat_whole(&json),
        "anthropic.messages" => said::anthropic_whole(&json),
        "openai.responses" => said::responses_whole(&json),
        "gemini.generateContent" => said::gemini_whole(&json),
        "bedrock.converse" => said::converse_whole(&json),
        "cohere.chat" => said::cohere_whole(&json),
        _ => return None,
    })
}

fn frames(framing: Framing, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (mut frames, mut rest, mut all) = (Frames::new(framing), Bytes::copy_from_slice(body), Vec::new());
    while let Some(frame) = frames.next(&mut rest).unwrap() {
        if let Some(data) = frame.data() {
            all.push((frame.name().to_owned(), data.into_owned()));
        }
    }
    if let Some(frame) = frames.rest()
        && let Some(data) = frame.data()
    {
        all.push((frame.name().to_owned(), data.into_owned()));
    }
    all
}

fn gather(dialect: &str, events: &[(String, Vec<u8>)]) -> Gathered {
    let mut all = Gathered::default();
    for (name, data) in events {
        if data == b"[DONE]" {
            all.ends += 1;
        }
        let Ok(json) = serde_json::from_slice::<Value>(data) else { continue };
        match dialect {
            "openai.chat" => said::chat_event(&mut all, &json),
            "anthropic.messages" => said::anthropic_event(&mut all, &json),
            "openai.responses" => said::responses_event(&mut all, &json),
            "gemini.generateContent" => said::gemini_event(&mut all, &json),
            "bedrock.converse" => said::converse_event(&mut all, name, &json),
            "cohere.chat" => said::cohere_event(&mut all, &json),
            _ => {}
        }
    }
    all
}

/// What may differ: a word that the client's dialect does not have.
fn alike(from: &Said, to: &Said, client: &str) -> Result<(), String> {
    let refusal = |said: &Said| format!("{}{}", said.text, said.refusal);
    if refusal(from) != refusal(to) {
        return Err(format!("text {:?} became {:?}", shorten(&refusal(from)), shorten(&refusal(to))));
    }
    let calls = |said: &Said| -> Vec<(String, Value)> {
        said.calls.iter().map(|(name, given)| (name.clone(), object(given))).collect()
    };
    if calls(from) != calls(to) {
        return Err(format!("calls {:?} became {:?}", from.calls, to.calls));
    }
    if from.usage.is_some() && from.usage != to.usage {
        return Err(format!("usage {:?} became {:?}", from.usage, to.usage));
    }
    let same = match (from.finish, to.finish) {
        (a, b) if a == b => true,
        // A word of one dialect alone, or none at all.
        (None | Some(Finish::Other), _) | (_, Some(Finish::Other)) => true,
        // What calls tools has ended for that in dialects that know it only so.
        (Some(Finish::Stop), Some(Finish::Calls)) => !to.calls.is_empty(),
        (Some(Finish::Calls), Some(Finish::Stop)) => to.calls.is_empty(),
        (Some(Finish::Stop), Some(Finish::Filter)) => !from.refusal.is_empty(),
        (Some(Finish::Filter), Some(Finish::Stop)) => client == "openai.responses" && !to.refusal.is_empty(),
        _ => false,
    };
    if same { Ok(()) } else { Err(format!("finish {:?} became {:?}", from.finish, to.finish)) }
}

/// Arguments that are no object stand in one where the dialect demands it; the words must be there.
fn object(given: &Value) -> Value {
    let Value::Object(members) = given else { return given.clone() };
    match members.values().next() {
        Some(Value::String(text)) if members.len() == 1 => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(_)) => given.clone(),
            Ok(other) if members.contains_key("arguments") => other,
            Ok(_) => given.clone(),
            Err(_) => Value::String(text.clone()),
        },
        _ => given.clone(),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(120).collect()
}

/// Runs `check` on every exchange with every client dialect but its own, and fails with a summary.
fn every(
    kind: &str,
    check: impl Fn(&'static dyn Dialect, &'static dyn Dialect, &Exchange) -> Result<bool, String>,
) {
    let (mut done, mut failed) = (BTreeMap::<String, usize>::new(), Vec::new());
    for (api, name) in APIS {
        let Some(provider) = by_name(name).filter(|dialect| dialect.hub().is_some()) else { continue };
        let Some(exchanges) = vectors::of(api) else { return };
        for exchange in exchanges.iter().filter(|e| e.response.status.is_none_or(|status| status == 200)) {
            for client in CLIENTS.iter().filter(|client| **client != name) {
                let Some(client) = by_name(client).filter(|dialect| dialect.hub().is_some()) else {
                    continue;
                };
                match check(provider, client, exchange) {
                    Ok(true) => *done.entry(format!("{name} → {}", client.name())).or_default() += 1,
                    Ok(false) => {}
                    Err(why) => failed.push(format!("{} {name} → {}: {why}", exchange.id, client.name())),
                }
            }
        }
    }
    println!("{kind}: {done:#?}");
    let shown: Vec<_> = failed.iter().take(25).collect();
    assert!(
        failed.is_empty(),
        "{} failed of {}: {shown:#?}",
        failed.len(),
        done.values().sum::<usize>() + failed.len()
    );
}

#[test]
fn whole_answers_say_the_same_in_every_other_dialect() {
    every("whole answers", |provider, client, exchange| {
        if exchange.response.body_kind != "json" {
            return Ok(false);
        }
        let body = exchange.response.bytes();
        let (from, to) = (provider.hub().unwrap(), client.hub().unwrap());
        let Ok(reply) = from.read_reply(&body, &origin()) else { return Ok(false) };
        let mut losses = Losses::default();
        let written = to.write_reply(&reply, &turn(client, false), &mut losses);
        client.whole(&written).map_err(|error| format!("its own reader refuses it: {error:?}"))?;
        let (Some(source), Some(result)) =
            (read_whole(provider.name(), &body), read_whole(client.name(), &written))
        else {
            return Err("not JSON".into());
        };
        alike(&source, &result, client.name()).map(|()| true)
    });
}

/// The stream in the client's dialect; an error is the decoder's.
fn transcode(
    provider: &'static dyn Dialect,
    client: &'static dyn Dialect,
    events: &[(String, Vec<u8>)],
) -> Result<(Vec<u8>, bool), lockgate_core::Error> {
    let mut decoder = provider.hub().unwrap().decoder(&origin());
    let mut encoder = client.hub().unwrap().encoder(&turn(client, true));
    let (mut out, mut ended) = (Vec::new(), false);
    let mut sink = |delta: Delta<'_>| {
        assert!(!ended, "something behind the end: {delta:?}");
        ended |= matches!(delta, Delta::End);
        encoder.delta(delta, &mut out);
    };
    for (name, data) in events {
        decoder.event(name, data, &mut sink)?;
    }
    decoder.end(&mut sink)?;
    Ok((out, ended))
}

#[test]
fn streams_say_the_same_in_every_other_dialect() {
    every("streams", |provider, client, exchange| {
        if !matches!(exchange.response.body_kind.as_str(), "sse" | "eventstream")
            || exchange.response.stream_complete == Some(false)
        {
            return Ok(false);
        }
        let events = frames(provider.framing(), &exchange.response.bytes());
        let Ok((out, ended)) = transcode(provider, client, &events) else { return Ok(false) };
        if !ended {
            return Err("no end".into());
        }
        let written = frames(client.framing(), &out);
        let result = gather(client.name(), &written);
        let contiguous = result.blocks.iter().enumerate().all(|(at, index)| at as u64 == *index);
        if !contiguous {
            return Err(format!("blocks {:?}", result.blocks));
        }
        if client.name() != "gemini.generateContent" && result.ends != 1 {
            return Err(format!("{} terminal events", result.ends));
        }
        let source = gather(provider.name(), &events).finished();
        alike(&source, &result.finished(), client.name()).map(|()| true)
    });
}

#[test]
fn a_stream_that_ends_early_is_an_error_or_whole() {
    every("cut streams", |provider, client, exchange| {
        if !matches!(exchange.response.body_kind.as_str(), "sse" | "eventstream") {
            return Ok(false);
        }
        let events = frames(provider.framing(), &exchange.response.bytes());
        let Ok((whole, _)) = transcode(provider, client, &events) else { return Ok(false) };
        let whole = gather(client.name(), &frames(client.framing(), &whole)).finished();
        // Every cut of a short stream, and some of a long one.
        let step = (events.len() / 40).max(1);
        for at in (0..events.len()).step_by(step) {
            // A provider that states the reason with every piece cannot be told from one that has finished.
            let finished = |data: &[u8]| memchr::memmem::find(data, b"\"finishReason\"").is_some();
            if events[..at].iter().any(|(_, data)| finished(data)) {
                break;
            }
            let Ok((out, ended)) = transcode(provider, client, &events[..at]) else { continue };
            let result = gather(client.name(), &frames(client.framing(), &out)).finished();
            if !ended || result.text != whole.text || result.calls != whole.calls {
                return Err(format!("cut behind {at} of {} events, and called whole", events.len()));
            }
        }
        Ok(true)
    });
}
