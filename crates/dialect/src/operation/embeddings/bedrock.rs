//! The models for vectors at Bedrock, by `invoke`: each has a form of its own.

use lockgate_core::{Error, Payload, Segments, Speech};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ask::{Ask, Purpose};
use super::{Found, MOST_CALLS, Place, cohere, foreign};
use crate::Losses;
use crate::operation::{Outward, Part, bad, beside, expect, object, unsayable, usage, written};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Titan<'a> {
    input_text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Nova<'a> {
    task_type: &'static str,
    single_embedding_params: Single<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Single<'a> {
    embedding_purpose: &'static str,
    text: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding_dimension: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Text<'a> {
    value: &'a str,
    truncation_mode: &'static str,
}

#[derive(Deserialize)]
struct Embedded {
    embedding: Box<RawValue>,
}

pub(super) fn outward(
    payload: &Payload,
    speech: &Speech,
    model: &str,
    losses: &mut Losses,
) -> Result<Outward, Error> {
    let path = beside(speech.paths.whole.as_deref(), "/model/{model}/converse", "/model/{model}/invoke");
    if model.contains("cohere.embed") {
        return Ok(foreign(Place::Cohere, path, vec![cohere::request(payload, None, losses)?]));
    }
    let titan = model.contains("titan-embed");
    let nova = model.contains("nova") && model.contains("embed");
    if !titan && !nova {
        return Err(unsayable(
            "model",
            "This model at Bedrock is none for embeddings: Titan, Nova and Cohere's are known here.",
        ));
    }
    let mut ask = Ask::read(payload, losses)?;
    if ask.texts.len() > MOST_CALLS {
        return Err(unsayable(
            "input",
            format!(
                "This model takes one text a call, and no more than {MOST_CALLS} calls are made for a request."
            ),
        ));
    }
    if !titan {
        let bodies = ask.texts.iter().map(|text| nova_body(text, &ask)).collect();
        return Ok(foreign(Place::Nova, path, bodies));
    }
    if ask.purpose.is_some() {
        losses.lose("input_type", "the model has no such member");
    }
    if ask.dimensions.is_some() && !model.contains("text-v2") {
        losses.lose("dimensions", "the model has one length of vectors");
        ask.dimensions = None;
    }
    let body = |text| Segments::one(written(&Titan { input_text: text, dimensions: ask.dimensions }));
    let bodies = ask.texts.iter().map(|text| body(text)).collect();
    Ok(foreign(Place::Titan, path, bodies))
}

fn nova_body(text: &str, ask: &Ask<'_>) -> Segments {
    let embedding_purpose = match ask.purpose {
        None | Some(Purpose::Document | Purpose::Similarity) => "GENERIC_INDEX",
        Some(Purpose::Query) => "TEXT_RETRIEVAL",
        Some(Purpose::Classification) => "CLASSIFICATION",
        Some(Purpose::Clustering) => "CLUSTERING",
    };
    Segments::one(written(&Nova {
        task_type: "SINGLE_EMBEDDING",
        single_embedding_params: Single {
            embedding_purpose,
            text: Text { value: text, truncation_mode: "NONE" },
            embedding_dimension: ask.dimensions,
        },
    }))
}

pub(super) fn read_titan((headers, body): &Part) -> Result<Found, Error> {
    let payload = object(body)?;
    expect(&payload, "embedding")?;
    let vector = payload.read("embedding").ok_or_else(|| bad("its vector is not understood"))?;
    let tokens = payload.number("inputTextTokenCount").or_else(|| usage::of_bedrock(headers));
    Ok(Found { vectors: vec![vector], tokens })
}

pub(super) fn read_nova((headers, body): &Part) -> Result<Found, Error> {
    let payload = object(body)?;
    expect(&payload, "embeddings")?;
    let found: Vec<Embedded> =
        payload.read("embeddings").ok_or_else(|| bad("its embeddings are not understood"))?;
    let vectors = found.into_iter().map(|embedded| embedded.embedding).collect();
    Ok(Found { vectors, tokens: usage::of_bedrock(headers) })
}
