//! Every recorded answer in the words of every other dialect: what is said, which tools are called with what, why it
//! ended and what it consumed must be the same; streams must also keep their order and end once.

use std::collections::BTreeMap;

use bytes::Bytes;
use lockgate_dialect::neutral::Delta;
use lockgate_dialect::{Dialect, by_name};
use lockgate_testkit::chunking;
use lockgate_testkit::vectors::{self, Exchange};

use crate::said::alike;
use crate::translate::{
    APIS, Translated, boundaries, events_of, gather, is_stream, origin, said_whole, stream, translate, turn,
};

/// The dialects that clients speak.
const CLIENTS: [&str; 4] =
    ["openai.chat", "anthropic.messages", "openai.responses", "gemini.generateContent"];

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
        let Translated::Whole(written) = translate(provider, client, exchange) else { return Ok(false) };
        client.whole(&written).map_err(|error| format!("its own reader refuses it: {error:?}"))?;
        let (Some(source), Some(result)) =
            (said_whole(provider.name(), &body), said_whole(client.name(), &written))
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
        let events = events_of(provider.framing(), &exchange.response.bytes());
        let Ok((out, ended)) = transcode(provider, client, &events) else { return Ok(false) };
        if !ended {
            return Err("no end".into());
        }
        let written = events_of(client.framing(), &out);
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

/// The bytes that a client gets, and whether in good order.
fn told(translated: &Translated) -> (Vec<u8>, bool) {
    match translated {
        Translated::Whole(body) => (body.to_vec(), true),
        Translated::Stream { body, error } => (body.clone(), error.is_none()),
        Translated::Refused(error) => (format!("{error:?}").into_bytes(), false),
    }
}

#[test]
fn a_stream_says_the_same_in_whatever_pieces_it_comes() {
    every("streams in pieces", |provider, client, exchange| {
        if !is_stream(provider, exchange) {
            return Ok(false);
        }
        let body = exchange.response.bytes();
        let whole = told(&stream(provider, client, [body.clone()]));
        for pieces in [chunking::every(1, &body), chunking::random(body.len() as u64, 900, &body)] {
            if told(&stream(provider, client, pieces)) != whole {
                return Err("other pieces, another answer".into());
            }
        }
        Ok(true)
    });
}

/// Where a stream is cut: behind each event (every so many of a long one), and, of every fourth stream, at so many bytes
/// elsewhere (all of a short one).
fn cuts(provider: &'static dyn Dialect, body: &Bytes) -> Vec<usize> {
    let mut cuts = boundaries(provider.framing(), body);
    let step = cuts.len().div_ceil(120).max(1);
    cuts = cuts.into_iter().rev().skip(1).step_by(step).collect();
    if body.len().is_multiple_of(4) {
        cuts.extend((0..body.len()).step_by(body.len().div_ceil(200).max(1)));
    }
    cuts
}

#[test]
fn a_stream_that_ends_early_is_an_error_or_whole() {
    every("cut streams", |provider, client, exchange| {
        if !is_stream(provider, exchange) {
            return Ok(false);
        }
        let body = exchange.response.bytes();
        let said = |out: &[u8]| gather(client.name(), &events_of(client.framing(), out));
        let Translated::Stream { body: whole, error: None } = stream(provider, client, [body.clone()]) else {
            return Ok(false);
        };
        let whole = said(&whole).finished();
        for at in cuts(provider, &body) {
            let head = body.slice(..at);
            // A provider that states the reason with every piece cannot be told from one that has finished.
            if memchr::memmem::find(&head, b"\"finishReason\"").is_some() {
                continue;
            }
            match stream(provider, client, [head]) {
                Translated::Stream { body: out, error: None } => {
                    let result = said(&out).finished();
                    if result.text != whole.text || result.calls != whole.calls {
                        return Err(format!("cut behind {at} of {} bytes, and called whole", body.len()));
                    }
                }
                Translated::Stream { body: out, error: Some(_) } => {
                    let result = said(&out);
                    // In this dialect an error is the last event of the answer too.
                    if result.ends != usize::from(client.name() == "openai.responses") {
                        return Err(format!(
                            "cut behind {at} of {} bytes: an error behind the end",
                            body.len()
                        ));
                    }
                    let text = result.finished().text;
                    if !whole.text.starts_with(&text) {
                        return Err(format!("cut behind {at} of {} bytes: other words", body.len()));
                    }
                }
                Translated::Refused(_) | Translated::Whole(_) => {}
            }
        }
        Ok(true)
    });
}
