//! Gemini's `batchEmbedContents`, and Vertex' `predict`.

use std::borrow::Cow;

use lockgate_core::{Error, Payload, Segments, Speech};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use serde_json::value::RawValue;

use super::ask::{Ask, Purpose};
use super::{Found, MOST_CALLS, Place, foreign};
use crate::Losses;
use crate::operation::gemini::resource;
use crate::operation::{Outward, Part, bad, beside, expect, object, unsayable, usage, written};

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<Request<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    model: &'a str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct Content<'a> {
    parts: [Text<'a>; 1],
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct Predict<'a> {
    instances: Vec<Instance<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
}

#[derive(Serialize)]
struct Instance<'a> {
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    output_dimensionality: u64,
}

#[derive(Deserialize)]
struct Embedding {
    values: Box<RawValue>,
}

#[derive(Deserialize)]
struct Prediction {
    embeddings: Predicted,
}

#[derive(Deserialize)]
struct Predicted {
    values: Box<RawValue>,
    #[serde(default)]
    statistics: Statistics,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Statistics {
    token_count: Option<Number>,
}

pub(super) fn outward(
    payload: &Payload,
    speech: &Speech,
    model: &str,
    losses: &mut Losses,
) -> Result<Outward, Error> {
    let ask = Ask::read(payload, losses)?;
    let task_type = ask.purpose.map(|purpose| match purpose {
        Purpose::Query => "RETRIEVAL_QUERY",
        Purpose::Document => "RETRIEVAL_DOCUMENT",
        Purpose::Classification => "CLASSIFICATION",
        Purpose::Clustering => "CLUSTERING",
        Purpose::Similarity => "SEMANTIC_SIMILARITY",
    });
    let paths = &speech.paths;
    let at_publisher =
        |path: &Option<String>| path.as_deref().is_some_and(|path| path.contains("/publishers/"));
    if at_publisher(&paths.prefix) || at_publisher(&paths.whole) {
        return vertex(&ask, task_type, speech, model);
    }
    let model = resource(model);
    let request = |text| Request {
        model: &model,
        content: Content { parts: [Text { text }] },
        task_type,
        output_dimensionality: ask.dimensions,
    };
    let batch = Batch { requests: ask.texts.iter().map(|text| request(text)).collect() };
    let path = beside(
        paths.whole.as_deref(),
        "/models/{model}:generateContent",
        "/models/{model}:batchEmbedContents",
    );
    Ok(foreign(Place::Gemini, path, vec![Segments::one(written(&batch))]))
}

fn vertex(
    ask: &Ask<'_>,
    task_type: Option<&'static str>,
    speech: &Speech,
    model: &str,
) -> Result<Outward, Error> {
    // The Gemini models take one text a call here, the older ones several.
    let at_once = if model.contains("gemini-embedding") { 1 } else { ask.texts.len().max(1) };
    if ask.texts.len().div_ceil(at_once) > MOST_CALLS {
        return Err(unsayable(
            "input",
            format!(
                "This provider takes one text a call, and no more than {MOST_CALLS} calls are made for a request."
            ),
        ));
    }
    let body = |texts: &[Cow<'_, str>]| {
        let instances = texts.iter().map(|content| Instance { content, task_type }).collect();
        let parameters = ask.dimensions.map(|output_dimensionality| Parameters { output_dimensionality });
        Segments::one(written(&Predict { instances, parameters }))
    };
    let bodies = ask.texts.chunks(at_once).map(body).collect();
    let path =
        beside(speech.paths.whole.as_deref(), "/models/{model}:generateContent", "/models/{model}:predict");
    Ok(foreign(Place::Vertex, path, bodies))
}

pub(super) fn read((_, body): &Part) -> Result<Found, Error> {
    let payload = object(body)?;
    expect(&payload, "embeddings")?;
    let embeddings: Vec<Embedding> =
        payload.read("embeddings").ok_or_else(|| bad("its embeddings are not understood"))?;
    let tokens = usage::of_gemini(&payload).map(|usage| usage.input);
    Ok(Found { vectors: embeddings.into_iter().map(|embedding| embedding.values).collect(), tokens })
}

pub(super) fn read_vertex((_, body): &Part) -> Result<Found, Error> {
    let payload = object(body)?;
    expect(&payload, "predictions")?;
    let predictions: Vec<Prediction> =
        payload.read("predictions").ok_or_else(|| bad("its predictions are not understood"))?;
    let counted = |prediction: &Prediction| {
        prediction.embeddings.statistics.token_count.as_ref().and_then(usage::whole)
    };
    let tokens =
        predictions.iter().try_fold(0_u64, |sum, prediction| Some(sum.saturating_add(counted(prediction)?)));
    let vectors = predictions.into_iter().map(|prediction| prediction.embeddings.values).collect();
    Ok(Found { vectors, tokens })
}
