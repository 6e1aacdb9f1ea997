//! Cohere's `embed`, at home (version 2) and at Bedrock.

use std::borrow::Cow;

use lockgate_core::{Error, Payload, Segments, Speech};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ask::{Ask, Purpose};
use super::{Found, Place, foreign};
use crate::Losses;
use crate::operation::{Outward, Part, bad, beside, expect, object, usage, written};

#[derive(Serialize)]
struct Request<'a> {
    /// Bedrock has it in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    texts: Vec<Cow<'a, str>>,
    input_type: &'static str,
    embedding_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
}

#[derive(Deserialize)]
struct ByType {
    float: Vec<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    billed_units: Billed,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Billed {
    input_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

pub(super) fn outward(
    payload: &Payload,
    speech: &Speech,
    model: &str,
    losses: &mut Losses,
) -> Result<Outward, Error> {
    let body = request(payload, Some(model), losses)?;
    let whole = speech.paths.whole.as_deref();
    let path = match (speech.dialect, whole) {
        ("cohere.embed", Some(own)) => Cow::Owned(own.to_owned()),
        _ => beside(whole, "/chat", "/embed"),
    };
    Ok(foreign(Place::Cohere, path, vec![body]))
}

pub(super) fn request(
    payload: &Payload,
    model: Option<&str>,
    losses: &mut Losses,
) -> Result<Segments, Error> {
    let ask = Ask::read(payload, losses)?;
    let input_type = match ask.purpose {
        // It must be said, and who says nothing mostly stores what comes back.
        None | Some(Purpose::Document) => "search_document",
        Some(Purpose::Query) => "search_query",
        Some(Purpose::Classification) => "classification",
        Some(Purpose::Clustering | Purpose::Similarity) => "clustering",
    };
    let request = Request {
        model,
        texts: ask.texts,
        input_type,
        embedding_types: ["float"],
        output_dimension: ask.dimensions,
    };
    Ok(Segments::one(written(&request)))
}

pub(super) fn read((headers, body): &Part) -> Result<Found, Error> {
    let payload = object(body)?;
    expect(&payload, "embeddings")?;
    let raw = payload.get("embeddings").unwrap_or_default();
    // By type, or, in answers to older requests, at once.
    let vectors = if raw.starts_with(b"[") {
        serde_json::from_slice(raw)
    } else {
        serde_json::from_slice::<ByType>(raw).map(|by| by.float)
    };
    let vectors: Vec<Box<RawValue>> = vectors.map_err(|_| bad("it has no vectors of numbers"))?;
    let billed = payload.read::<Meta>("meta").unwrap_or_default().billed_units;
    let tokens = match (billed.input_tokens, billed.image_tokens) {
        (None, None) => usage::of_bedrock(headers),
        (text, image) => Some(text.unwrap_or(0).saturating_add(image.unwrap_or(0))),
    };
    Ok(Found { vectors, tokens })
}
