//! Recorded answers in the words of another dialect, as the gateway gives them: what its relay does, without its walk.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use lockgate_core::{Error, Kind, RequestId};
use lockgate_dialect::frames::{Frame, Frames};
use lockgate_dialect::neutral::{Block, Delta};
use lockgate_dialect::seal::Origin;
use lockgate_dialect::{Decoder, Dialect, Encoder, Framing, Losses, Named, Turn};
use lockgate_testkit::vectors::Exchange;
use serde_json::Value;

use crate::said::{self, Gathered, Said};

/// The recorded APIs and the dialect of each.
pub(crate) const APIS: [(&str, &str); 7] = [
    ("openai.chat", "openai.chat"),
    ("anthropic.messages", "anthropic.messages"),
    ("openai.responses", "openai.responses"),
    ("gemini.generateContent", "gemini.generateContent"),
    ("bedrock.converse", "bedrock.converse"),
    ("bedrock.converse-stream", "bedrock.converse"),
    ("cohere.chat", "cohere.chat"),
];

/// An answer as a client gets it.
pub(crate) enum Translated {
    /// Not a stream.
    Whole(Bytes),
    /// A stream; with the error that ended it, if one did.
    Stream { body: Vec<u8>, error: Option<Error> },
    /// An error, before the model had said anything.
    Refused(Error),
}

/// A stream under way.
struct Relay {
    frames: Frames,
    decoder: Box<dyn Decoder>,
    encoder: Box<dyn Encoder>,
    out: Vec<u8>,
    /// The model has said something, so that an error can only follow it.
    content: bool,
    ended: bool,
}

/// A request in the dialect of a client, in which nothing matters but that it is one.
pub(crate) fn turn(client: &'static dyn Dialect, stream: bool) -> Turn {
    let body = match client.name() {
        "openai.responses" => format!(r#"{{"model":"m","input":"hi","stream":{stream}}}"#),
        "gemini.generateContent" => r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#.to_owned(),
        _ => format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}],"stream":{stream},"stream_options":{{"include_usage":true}}}}"#
        ),
    };
    client.peek(Bytes::from(body), Some(Named { model: "m", stream })).unwrap()
}

pub(crate) fn origin() -> Origin {
    Origin("recorded".into())
}

/// The error's id in every answer here.
pub(crate) const ID: RequestId = RequestId::from_u128(7);

/// Whether the exchange is a stream of events. What was recorded without its frames is one in dialects whose frames are text.
pub(crate) fn is_stream(provider: &dyn Dialect, exchange: &Exchange) -> bool {
    match exchange.response.body_kind.as_str() {
        "chunks" => provider.framing() == Framing::Sse,
        kind => matches!(kind, "sse" | "eventstream"),
    }
}

/// What a client of `client` gets for this exchange of `provider`.
pub(crate) fn translate(
    provider: &'static dyn Dialect,
    client: &'static dyn Dialect,
    exchange: &Exchange,
) -> Translated {
    let (status, body) = (exchange.response.status.unwrap_or(200), exchange.response.bytes());
    if !(200..300).contains(&status) {
        let headers: HeaderMap = exchange.response.headers.iter().filter_map(header).collect();
        let status = StatusCode::from_u16(status).unwrap();
        return Translated::Refused(provider.refusal(status, &headers, &body).in_other_words());
    }
    if is_stream(provider, exchange) {
        return stream(provider, client, [body]);
    }
    let (from, to) = (provider.hub().unwrap(), client.hub().unwrap());
    match from.read_reply(&body, &origin()) {
        Ok(reply) => Translated::Whole(to.write_reply(&reply, &turn(client, false), &mut Losses::default())),
        Err(error) => Translated::Refused(error.in_other_words()),
    }
}

fn header((name, value): (&String, &String)) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
}

/// A stream that comes in these pieces and then ends.
pub(crate) fn stream(
    provider: &'static dyn Dialect,
    client: &'static dyn Dialect,
    pieces: impl IntoIterator<Item = Bytes>,
) -> Translated {
    let mut relay = Relay {
        frames: Frames::new(provider.framing()),
        decoder: provider.hub().unwrap().decoder(&origin()),
        encoder: client.hub().unwrap().encoder(&turn(client, true)),
        out: Vec::new(),
        content: false,
        ended: false,
    };
    let fed = pieces.into_iter().try_for_each(|piece| relay.feed(piece));
    let error = fed.and_then(|()| relay.end()).err().map(Error::in_other_words);
    match error {
        Some(error) if !relay.content => Translated::Refused(error),
        error => {
            if let Some(error) = &error {
                let event = client.error_event(error, ID, relay.encoder.events());
                relay.out.extend_from_slice(&event);
            }
            assert!(relay.ended || error.is_some(), "neither an end nor an error");
            Translated::Stream { body: relay.out, error }
        }
    }
}

// === impl Relay ===

impl Relay {
    fn feed(&mut self, mut piece: Bytes) -> Result<(), Error> {
        let unreadable =
            |_| Error::upstream(Kind::UpstreamBadAnswer, "The provider's stream cannot be understood.");
        while let Some(frame) = self.frames.next(&mut piece).map_err(unreadable)? {
            self.event(&frame)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        if let Some(frame) = self.frames.rest() {
            let content = self.content;
            if self.event(&frame).is_err() {
                self.content = content;
            }
        }
        if self.ended {
            return Ok(());
        }
        let Self { decoder, encoder, out, content, ended, .. } = self;
        decoder.end(&mut |delta| note(delta, encoder.as_mut(), out, content, ended))
    }

    fn event(&mut self, frame: &Frame) -> Result<(), Error> {
        let Some(data) = frame.data().filter(|_| !self.ended) else { return Ok(()) };
        let Self { decoder, encoder, out, content, ended, .. } = self;
        decoder.event(frame.name(), &data, &mut |delta| note(delta, encoder.as_mut(), out, content, ended))
    }
}

fn note(
    delta: Delta<'_>,
    encoder: &mut dyn Encoder,
    out: &mut Vec<u8>,
    content: &mut bool,
    ended: &mut bool,
) {
    assert!(!*ended, "something behind the end: {delta:?}");
    match &delta {
        Delta::Text(text) => *content |= !text.is_empty(),
        Delta::Open(Block::Call { .. } | Block::Native(_)) | Delta::Finish(_) => *content = true,
        Delta::End => *ended = true,
        _ => {}
    }
    encoder.delta(delta, out);
}

/// How many bytes of a recorded stream have come when each of its events has.
pub(crate) fn boundaries(framing: Framing, body: &Bytes) -> Vec<usize> {
    let (mut frames, mut rest, mut all) = (Frames::new(framing), body.clone(), Vec::new());
    while let Ok(Some(_)) = frames.next(&mut rest) {
        all.push(body.len() - rest.len());
    }
    all
}

// === what answers say ===

/// The events of a stream: name and data of each.
pub(crate) fn events_of(framing: Framing, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (mut frames, mut rest, mut all) = (Frames::new(framing), Bytes::copy_from_slice(body), Vec::new());
    let mut keep = |frame: &Frame| {
        if let Some(data) = frame.data() {
            all.push((frame.name().to_owned(), data.into_owned()));
        }
    };
    while let Ok(Some(frame)) = frames.next(&mut rest) {
        keep(&frame);
    }
    if let Some(frame) = frames.rest() {
        keep(&frame);
    }
    all
}

/// What a whole answer of a dialect says; `None` when it is no JSON.
pub(crate) fn said_whole(dialect: &str, body: &[u8]) -> Option<Said> {
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

/// What the events of a stream say.
pub(crate) fn gather(dialect: &str, events: &[(String, Vec<u8>)]) -> Gathered {
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
