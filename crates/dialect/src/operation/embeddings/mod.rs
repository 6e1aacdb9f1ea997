//! Vectors of texts: OpenAI's form for the client, and for providers that of OpenAI, Voyage, Cohere, Gemini, Vertex and
//! the models at Bedrock.

mod answer;
mod ask;
mod bedrock;
mod cohere;
mod google;
mod voyage;

use lockgate_core::usage::Source;
use lockgate_core::{Error, Payload, Speech, Usage};
use serde_json::value::RawValue;

use super::{Answered, Asked, Counts, Form, Outward, Part, openai};
use crate::Losses;

/// Where vectors come from, as far as the form of its answers goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Voyage: OpenAI's form but for the usage.
    Voyage,
    /// Cohere, at home or at Bedrock.
    Cohere,
    /// Gemini's `batchEmbedContents`.
    Gemini,
    /// Vertex' `predict`.
    Vertex,
    /// Amazon's Titan at Bedrock: one text a call.
    Titan,
    /// Amazon's Nova at Bedrock: one text a call.
    Nova,
}

/// Vectors in the order of their texts, and the tokens that were reported for them.
struct Found {
    vectors: Vec<Box<RawValue>>,
    tokens: Option<u64>,
}

/// More texts are not sent to a provider that takes one a call.
const MOST_CALLS: usize = 256;

pub(super) fn outward(
    asked: &Asked,
    payload: &Payload,
    speech: &Speech,
    model: &str,
    losses: &mut Losses,
) -> Result<Outward, Error> {
    match speech.dialect {
        "voyage.embeddings" => voyage::outward(payload, speech, model, losses),
        "cohere.embed" | "cohere.chat" => cohere::outward(payload, speech, model, losses),
        "gemini.generateContent" => google::outward(payload, speech, model, losses),
        "bedrock.converse" => bedrock::outward(payload, speech, model, losses),
        _ => Ok(openai::json(asked.operation, payload, speech, model, losses)),
    }
}

pub(super) fn read(place: Place, asked: &Asked, model: &str, parts: &[Part]) -> Result<Answered, Error> {
    if place == Place::Voyage
        && let [part] = parts
    {
        return voyage::read(asked, part);
    }
    let mut found = Found { vectors: Vec::new(), tokens: Some(0) };
    for part in parts {
        let Found { vectors, tokens } = one(place, part)?;
        found.vectors.extend(vectors);
        // One call without a report makes the sum an estimate.
        found.tokens = found.tokens.and_then(|sum| Some(sum.saturating_add(tokens?)));
    }
    let usage = match found.tokens {
        Some(input) => Usage { input, ..Usage::default() },
        None => openai::estimated(asked),
    };
    let wish = asked.payload().and_then(|payload| payload.text("encoding_format"));
    let base64 = wish.is_some_and(|wish| wish == "base64");
    let body = answer::write(model, &found.vectors, base64, usage.input)?;
    let estimate = usage.source == Source::Estimated;
    Ok(Answered { body, usage: Some(usage), counts: Counts::default(), estimate })
}

pub(super) fn spent(place: Place, parts: &[Part]) -> Option<Usage> {
    let tokens = parts.iter().filter_map(|part| one(place, part).ok()?.tokens).fold(0, u64::saturating_add);
    (tokens > 0).then(|| Usage { input: tokens, ..Usage::default() })
}

fn one(place: Place, part: &Part) -> Result<Found, Error> {
    match place {
        Place::Cohere => cohere::read(part),
        Place::Gemini => google::read(part),
        Place::Vertex => google::read_vertex(part),
        Place::Titan => bedrock::read_titan(part),
        Place::Nova => bedrock::read_nova(part),
        Place::Voyage => Err(super::bad("it came in several parts")),
    }
}

fn foreign(
    place: Place,
    path: std::borrow::Cow<'static, str>,
    bodies: Vec<lockgate_core::Segments>,
) -> Outward {
    Outward { form: Form::Embeddings(place), path, bodies, content_type: None }
}
