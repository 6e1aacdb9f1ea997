//! Event streams: however they are cut into chunks, no byte is lost, the events are those of the format's definition,
//! and the meter's notes are true.
//!
//! The line of choices holds the sizes of the chunks, in turn: `a` is 1, `b` is 2, `@` is an empty one. A first `B`
//! asks for two choices of the model.

use std::collections::BTreeSet;

use bytes::Bytes;
use lockgate_core::Payload;
use lockgate_dialect::openai_chat::OpenAiChat;
use lockgate_dialect::sse::{Event, Splitter};
use lockgate_dialect::{Dialect, Meter, Note};
use serde_json::Value;

use crate::script;

/// Name and data of an event.
type Read = (Option<Vec<u8>>, Vec<u8>);

pub(crate) fn check(data: &[u8]) {
    let (sizes, stream) = script::split(data);
    let chunks = cut(stream, sizes);
    let (events, rest) = pull(&chunks);
    let bytes: Vec<u8> = events.iter().chain(&rest).flat_map(|event| event.raw.iter().copied()).collect();
    assert_eq!(bytes, stream);

    let read: Vec<Read> = events.iter().filter_map(read).collect();
    assert_eq!(read, defined(stream));

    let two = sizes.first() == Some(&b'B');
    let mut meter = meter(if two { 2 } else { 1 });
    for event in &events {
        if let Some(data) = event.data() {
            let note = meter.note(&data);
            is_true(&note, &data);
        }
    }
    if let Some(data) = rest.as_ref().and_then(Event::data) {
        let before = meter.complete();
        let note = meter.note_rest(&data);
        is_true(&note, &data);
        assert!(!matches!(note, Note::Garbage) || meter.complete() == before);
    }
    totals(meter.as_ref(), stream);
}

/// The stream in chunks of these sizes, over and over.
fn cut<'a>(stream: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let sizes: Vec<usize> = sizes.iter().map(|size| usize::from(size & 31)).collect();
    if sizes.iter().all(|size| *size == 0) {
        return vec![stream];
    }
    let (mut chunks, mut rest) = (Vec::new(), stream);
    for size in sizes.into_iter().cycle() {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        chunks.push(chunk);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    chunks
}

fn pull(chunks: &[&[u8]]) -> (Vec<Event>, Option<Event>) {
    let (mut splitter, mut events) = (Splitter::default(), Vec::new());
    for chunk in chunks {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while let Some(event) = splitter.next(&mut chunk).unwrap_or_else(|_| panic!("these are short")) {
            assert!(!event.raw.is_empty());
            events.push(event);
        }
        assert!(chunk.is_empty());
    }
    let begun = splitter.begun();
    let rest = splitter.rest();
    assert_eq!(begun, rest.is_some());
    (events, rest)
}

fn read(event: &Event) -> Option<Read> {
    let data = event.data()?;
    Some((event.name().map(<[u8]>::to_vec), data.into_owned()))
}

/// The events with data, after the letter of WHATWG HTML §9.2.6: line by line, without a thought for speed.
fn defined(stream: &[u8]) -> Vec<Read> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let (mut events, mut name, mut data): (Vec<Read>, _, Option<Vec<u8>>) = (Vec::new(), None, None);
    let mut line = Vec::new();
    let mut bytes = stream.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\n' && byte != b'\r' {
            line.push(byte);
            continue;
        }
        if byte == b'\r' {
            bytes.next_if_eq(&b'\n');
        }
        if line.is_empty() {
            let name = name.take();
            events.extend(data.take().map(|data| (name, data)));
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                let mut all = data.take().map_or_else(Vec::new, |mut all| {
                    all.push(b'\n');
                    all
                });
                all.extend_from_slice(value);
                data = Some(all);
            }
            b"event" => name = Some(value.to_vec()),
            _ => {}
        }
        line.clear();
    }
    events
}

fn meter(choices: u8) -> Box<dyn Meter> {
    let request = format!(r#"{{"model":"m","messages":[],"stream":true,"n":{choices}}}"#);
    let turn = OpenAiChat.peek(request.into(), None).unwrap_or_else(|e| panic!("{e:?}"));
    OpenAiChat.meter(&turn)
}

/// What a note says of an event is so in the eyes of a full parser.
fn is_true(note: &Note, data: &[u8]) {
    let data = data.trim_ascii();
    let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
    let error = event.get("error").is_some_and(|error| !error.is_null());
    match note {
        // Such an event may be withheld, so there must be nothing in it for the client.
        Note::UsageOnly => {
            let choices = event.get("choices");
            assert!(choices.is_none_or(|choices| choices.as_array().is_some_and(Vec::is_empty)));
            assert!(event.get("usage").is_some_and(Value::is_object));
        }
        Note::Failed(_) => assert!(error),
        Note::Frame | Note::Content => {
            // Its own comment says that names are written without escapes.
            let plain = !data.contains(&b'\\') && Payload::parse(Bytes::copy_from_slice(data)).is_ok();
            assert!(!(plain && error), "an error is not seen");
        }
        Note::Garbage => {}
    }
}

fn totals(meter: &dyn Meter, stream: &[u8]) {
    let has = |what: &[u8]| stream.windows(what.len()).any(|window| window == what);
    assert!(!meter.complete() || has(b"[DONE]") || has(b"finish_reason"));
    assert!(meter.content_bytes() <= stream.len() as u64);
    if let Some(usage) = meter.usage() {
        assert!(usage.reported());
        let buckets = BTreeSet::from([usage.input, usage.cache_read, usage.cache_write, usage.audio_input]);
        assert!(buckets.last().is_some_and(|most| *most <= usage.input_total()));
        assert!(usage.output.max(usage.reasoning).max(usage.audio_output) <= usage.output_total());
    }
}
