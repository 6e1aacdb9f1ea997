//! Streams of every dialect, in the words of every other: whatever the provider sends, the deltas keep their order, and
//! what the client gets is framed and worded as its dialect demands. The dialect's own meter reads beside.
//!
//! The line of choices: the provider's dialect and the client's. Behind it stands a stream of text events, whatever the
//! framing of the provider: names and data go into frames by themselves.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::Origin as Source;
use lockgate_dialect::frames::Frames;
use lockgate_dialect::neutral::Delta;
use lockgate_dialect::seal::Origin;
use lockgate_dialect::sse::Splitter;
use lockgate_dialect::{Dialect, Note};

use crate::contract::Contract;
use crate::crossing;
use crate::script;
use crate::translate_answer::asked;

pub(crate) fn check(data: &[u8]) {
    let (choices, body) = script::split(data);
    let (provider, client) = (crossing::dialect(choices, 0), crossing::dialect(choices, 1));
    let events = events(body);
    meter(provider, &events);
    let (Some(from), Some(to)) = (provider.hub(), client.hub()) else { return };
    let mut decoder = from.decoder(&Origin("p".into()));
    let mut encoder = to.encoder(&asked(client));
    let (mut contract, mut out) = (Contract::default(), Vec::new());
    let mut sink = |delta: Delta<'_>| {
        contract.see(&delta);
        encoder.delta(delta, &mut out);
    };
    let mut read = Ok(());
    for (name, data) in &events {
        read = decoder.event(name, data, &mut sink);
        if read.is_err() {
            break;
        }
    }
    let read = read.and_then(|()| decoder.end(&mut sink));
    crossing::losses(encoder.losses());
    match &read {
        Ok(()) => assert!(contract.ended(), "ended without an end"),
        Err(error) => {
            assert_eq!(error.origin(), Source::Upstream, "{error:?}");
            crossing::error(error, client);
        }
    }
    written(client, &out, read.is_ok());
}

/// Names and data of a stream of text events.
fn events(body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (mut splitter, mut rest, mut all) = (Splitter::default(), Bytes::copy_from_slice(body), Vec::new());
    while let Ok(Some(event)) = splitter.next(&mut rest) {
        let name = event.name().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
        if let Some(data) = event.data() {
            all.push((name, data.into_owned()));
        }
    }
    all
}

fn meter(provider: &dyn Dialect, events: &[(String, Vec<u8>)]) {
    let mut meter = provider.meter(&asked(provider));
    for (_, data) in events {
        if let Note::Failed(error) = meter.note(data) {
            assert_eq!(error.origin(), Source::Upstream, "{error:?}");
        }
    }
    let (_, _, _) = (meter.usage(), meter.complete(), meter.content_bytes());
    if let Some((_, data)) = events.last() {
        let _ = meter.note_rest(&data[..data.len() / 2]);
    }
}

/// What went to the client: whole events that its own meter knows, and that end an answer which was whole.
fn written(client: &dyn Dialect, out: &[u8], whole: bool) {
    let (mut frames, mut rest) = (Frames::new(client.framing()), Bytes::copy_from_slice(out));
    let mut meter = client.meter(&asked(client));
    loop {
        let frame = match frames.next(&mut rest) {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(why) => panic!("{why:?}: {}", String::from_utf8_lossy(out)),
        };
        let Some(data) = frame.data() else { continue };
        if *data != *b"[DONE]" {
            crossing::json(&data);
        }
        let note = meter.note(&data);
        assert!(!matches!(note, Note::Garbage), "{}", shown(&data));
    }
    assert!(frames.rest().is_none(), "an event without its end: {}", String::from_utf8_lossy(out));
    assert!(!whole || meter.complete(), "not whole: {}", String::from_utf8_lossy(out));
}

fn shown(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}
