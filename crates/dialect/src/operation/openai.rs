//! Operations in OpenAI's form, from a client that speaks it to a provider that does.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use lockgate_core::usage::Source;
use lockgate_core::{Error, Payload, Segments, Speech, Usage};
use serde::de::IgnoredAny;

use super::{
    Answered, Asked, CHAT, Form, Operation, Outward, Part, beside, expect, multipart, object, usage,
};
use crate::Losses;

/// A request in JSON: the client's own bytes with the model's name and what the provider's quirks demand spliced in.
pub(super) fn json(
    operation: Operation,
    payload: &Payload,
    speech: &Speech,
    model: &str,
    losses: &mut Losses,
) -> Outward {
    let mut splice = payload.splice();
    if payload.text("model").is_none_or(|named| named != model) {
        splice = splice.set_text("model", model);
    }
    for (from, to) in &speech.quirks.rename {
        splice = splice.rename(from, to);
    }
    // What a provider demands of a chat turn means nothing beside it.
    if speech.dialect == operation.name() {
        for (name, json) in &speech.quirks.add {
            if !payload.has(name) {
                splice = splice.set(name, Bytes::copy_from_slice(json.as_bytes()));
            }
        }
    }
    for name in speech.quirks.drop.iter().filter(|name| *name != "model") {
        if payload.has(name) {
            losses.lose(name.clone(), "the provider does not take it");
        }
        splice = splice.remove(name);
    }
    outward(operation, speech, splice.segments(), None)
}

/// A request as a form: the client's own bytes with the model's name in its part.
pub(super) fn form(operation: Operation, form: &multipart::Form, speech: &Speech, model: &str) -> Outward {
    let body = if form.text("model") == Some(model) {
        Segments::one(form.bytes().clone())
    } else {
        form.with("model", model)
    };
    outward(operation, speech, body, Some(form.content_type().to_owned()))
}

fn outward(operation: Operation, speech: &Speech, body: Segments, content_type: Option<String>) -> Outward {
    let template = speech.paths.whole.as_deref();
    let path = if speech.dialect == CHAT {
        beside(template, "/chat/completions", operation.path())
    } else {
        template.map_or(operation.path().into(), |own| own.to_owned().into())
    };
    Outward { form: Form::Own, path, bodies: vec![body], content_type }
}

/// An answer that passes as it came: what it consumed is read beside.
pub(super) fn read(asked: &Asked, (headers, body): &Part) -> Result<Answered, Error> {
    let answered = |usage, counts| Answered { body: body.clone(), usage, counts, estimate: false };
    let mut counts = asked.counts;
    let json = headers.get(CONTENT_TYPE).is_none_or(|value| {
        let value = value.as_bytes();
        value.windows(4).any(|word| word.eq_ignore_ascii_case(b"json"))
    });
    match asked.operation {
        Operation::Embeddings => {
            let payload = object(body)?;
            expect(&payload, "data")?;
            Ok(answered(Some(tokens(asked, &payload)), counts))
        }
        Operation::Rerank => {
            let payload = object(body)?;
            let (usage, found) = super::rerank::consumed(asked, &payload)?;
            Ok(answered(Some(usage), found))
        }
        Operation::GeminiEmbed | Operation::GeminiBatchEmbed => {
            let payload = object(body)?;
            let batch = asked.operation == Operation::GeminiBatchEmbed;
            expect(&payload, if batch { "embeddings" } else { "embedding" })?;
            let reported = usage::of_gemini(&payload);
            Ok(answered(Some(reported.unwrap_or_else(|| estimated(asked))), counts))
        }
        Operation::Moderations => {
            expect(&object(body)?, "results")?;
            Ok(answered(None, counts))
        }
        Operation::CountTokens => {
            expect(&object(body)?, "input_tokens")?;
            Ok(answered(None, counts))
        }
        Operation::GeminiCountTokens => {
            expect(&object(body)?, "totalTokens")?;
            Ok(answered(None, counts))
        }
        Operation::Images | Operation::ImageEdits | Operation::ImageVariations => {
            let payload = object(body)?;
            expect(&payload, "data")?;
            counts.images = payload.read::<Vec<IgnoredAny>>("data").map_or(0, |data| data.len() as u64);
            Ok(answered(usage::of(&payload, true), counts))
        }
        // Plain text and subtitles report nothing.
        Operation::Transcriptions | Operation::Translations if json => {
            let payload = object(body)?;
            expect(&payload, "text")?;
            counts.seconds = usage::seconds(&payload);
            Ok(answered(usage::of(&payload, false), counts))
        }
        Operation::Transcriptions | Operation::Translations | Operation::Speech => Ok(answered(None, counts)),
    }
}

/// The tokens of an answer, or what they are thought to be.
pub(super) fn tokens(asked: &Asked, payload: &Payload) -> Usage {
    usage::of(payload, false).unwrap_or_else(|| estimated(asked))
}

/// What a request is thought to consume.
pub(super) fn estimated(asked: &Asked) -> Usage {
    Usage { input: asked.input_estimate(), source: Source::Estimated, ..Usage::default() }
}
