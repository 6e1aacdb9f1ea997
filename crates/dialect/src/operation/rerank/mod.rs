//! Documents in the order in which they answer a query, in the forms of Cohere, Jina and Voyage.
//!
//! Cohere and Jina say `top_n` and answer with `results`, Voyage says `top_k` and answers with `data`: a request tells
//! by its members which answer its client reads. OpenAI-compatible servers that rank (vLLM, llama.cpp, Together) take
//! Jina's form.

mod ask;

use bytes::Bytes;
use lockgate_core::usage::Source;
use lockgate_core::{Error, Payload, Segments, Speech, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::ask::{Ask, Shape};
use super::{
    Answered, Asked, CHAT, Counts, Form, Operation, Outward, Part, bad, beside, expect, object, openai,
    usage, written,
};
use crate::Losses;

/// Who ranks, as far as the form of its requests goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Cohere at home.
    Cohere,
    /// Jina, and servers that took over its form.
    Jina,
    /// Voyage.
    Voyage,
    /// Cohere's and Amazon's models at Bedrock.
    Bedrock,
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    query: &'a str,
    documents: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    top_n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_documents: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<u8>,
}

#[derive(Deserialize)]
struct Ranked {
    index: usize,
    #[serde(alias = "relevanceScore")]
    relevance_score: Box<RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    billed_units: Billed,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Billed {
    search_units: Option<serde_json::Number>,
    input_tokens: Option<u64>,
}

#[derive(Serialize)]
struct Results<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    model: &'a str,
    results: Vec<Rank<'a, Document<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Total>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<WrittenMeta>,
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Rank<'a, &'a str>>,
    model: &'a str,
    usage: Total,
}

#[derive(Serialize)]
struct Rank<'a, D> {
    index: usize,
    relevance_score: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<D>,
}

#[derive(Serialize)]
struct Document<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct Total {
    total_tokens: u64,
}

#[derive(Serialize)]
struct WrittenMeta {
    billed_units: WrittenBilled,
}

#[derive(Serialize)]
struct WrittenBilled {
    search_units: u64,
}

/// Documents that one search at Bedrock covers.
const DOCUMENTS_PER_SEARCH: u64 = 100;

pub(super) fn outward(
    payload: &Payload,
    speech: &Speech,
    model: &str,
    losses: &mut Losses,
) -> Result<Outward, Error> {
    let place = match speech.dialect {
        "cohere.rerank" | "cohere.embed" | "cohere.chat" => Place::Cohere,
        "voyage.rerank" | "voyage.embeddings" => Place::Voyage,
        "bedrock.converse" => Place::Bedrock,
        _ => Place::Jina,
    };
    let whole = speech.paths.whole.as_deref();
    let path = match speech.dialect {
        CHAT => beside(whole, "/chat/completions", "/rerank"),
        "cohere.chat" => beside(whole, "/chat", "/rerank"),
        "cohere.embed" => beside(whole, "/embed", "/rerank"),
        "voyage.embeddings" => beside(whole, "/embeddings", "/rerank"),
        "bedrock.converse" => beside(whole, "/model/{model}/converse", "/model/{model}/invoke"),
        _ => whole.map_or("/rerank".into(), |own| own.to_owned().into()),
    };
    if own(payload, place) {
        return Ok(Outward { path, ..openai::json(Operation::Rerank, payload, speech, model, losses) });
    }
    let ask = Ask::read(payload)?;
    ask.lose(payload, losses);
    let documents: Vec<&str> = ask.documents.iter().map(AsRef::as_ref).collect();
    let top = ask.top;
    let request = Request {
        model: (place != Place::Bedrock).then_some(model),
        query: &ask.query,
        documents: &documents,
        top_n: top.filter(|_| place != Place::Voyage),
        top_k: top.filter(|_| place == Place::Voyage),
        // What the client wants of them stands in its own request.
        return_documents: (place == Place::Jina).then_some(false),
        api_version: (place == Place::Bedrock && model.contains("cohere")).then_some(2),
    };
    let bodies = vec![Segments::one(written(&request))];
    Ok(Outward { form: Form::Rerank(place), path, bodies, content_type: None })
}

/// Whether a client's form is a provider's, so that bytes pass.
fn own(payload: &Payload, place: Place) -> bool {
    match (Shape::of(payload), place) {
        (Shape::Results, Place::Jina) | (Shape::Data, Place::Voyage) => true,
        // Its present version has no such member; the documents are put back from the request.
        (Shape::Results, Place::Cohere) => !payload.has("return_documents"),
        _ => false,
    }
}

/// What an answer reports, in tokens or in searches; estimated where it reports nothing.
pub(super) fn consumed(asked: &Asked, payload: &Payload) -> Result<(Usage, Counts), Error> {
    if !payload.has("data") {
        expect(payload, "results")?;
    }
    let billed = payload.read::<Meta>("meta").unwrap_or_default().billed_units;
    let searches = billed.search_units.as_ref().and_then(usage::whole).unwrap_or(0);
    let tokens = billed.input_tokens.map(|input| Usage { input, ..Usage::default() });
    let reported = usage::of(payload, false).or(tokens);
    let usage = match reported {
        Some(usage) => Usage { searches, ..usage },
        None if searches > 0 => Usage { searches, ..Usage::default() },
        None => openai::estimated(asked),
    };
    Ok((usage, Counts { searches, ..Counts::default() }))
}

pub(super) fn read(
    place: Place,
    asked: &Asked,
    model: &str,
    (headers, body): &Part,
) -> Result<Answered, Error> {
    let client = asked.payload().ok_or_else(|| bad("there was no request"))?;
    let ask = Ask::read(client)?;
    let payload = object(body)?;
    let (mut usage, mut counts) = consumed(asked, &payload)?;
    if place == Place::Bedrock && usage.source == Source::Estimated {
        // It reports nothing in the body; a price is for a search of so many documents.
        let searches = (ask.documents.len() as u64).div_ceil(DOCUMENTS_PER_SEARCH).max(1);
        counts.searches = searches;
        usage = match usage::of_bedrock(headers) {
            Some(input) => Usage { input, searches, ..Usage::default() },
            None => Usage { searches, ..usage },
        };
    }
    let name = if payload.has("results") { "results" } else { "data" };
    let mut ranked: Vec<Ranked> = payload.read(name).ok_or_else(|| bad("its ranks are not understood"))?;
    if ranked.iter().any(|rank| rank.index >= ask.documents.len()) {
        return Err(bad("a rank is of no document"));
    }
    order(&mut ranked)?;
    if let Some(top) = ask.top {
        ranked.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    }
    let estimate = usage.source == Source::Estimated;
    let total = Total { total_tokens: usage.input_total() };
    let document = |rank: &Ranked| -> Option<&str> {
        ask.documents.get(rank.index).filter(|_| ask.return_documents).map(AsRef::as_ref)
    };
    let body: Bytes = match ask.shape {
        Shape::Data => {
            let data = ranked.iter().map(|rank| Rank {
                index: rank.index,
                relevance_score: &rank.relevance_score,
                document: document(rank),
            });
            written(&List { object: "list", data: data.collect(), model, usage: total })
        }
        Shape::Results => {
            let results = ranked.iter().map(|rank| Rank {
                index: rank.index,
                relevance_score: &rank.relevance_score,
                document: document(rank).map(|text| Document { text }),
            });
            let searches = counts.searches;
            written(&Results {
                id: payload.text("id").as_deref(),
                model,
                results: results.collect(),
                usage: (usage.input_total() > 0).then_some(total),
                meta: (searches > 0)
                    .then_some(WrittenMeta { billed_units: WrittenBilled { search_units: searches } }),
            })
        }
    };
    Ok(Answered { body, usage: Some(usage), counts, estimate })
}

/// The best first. The scores stay as they were written; of equal ones the provider's order stays.
fn order(ranked: &mut [Ranked]) -> Result<(), Error> {
    let score = |rank: &Ranked| rank.relevance_score.get().parse::<f64>().ok();
    if ranked.iter().any(|rank| score(rank).is_none()) {
        return Err(bad("a score is no number"));
    }
    ranked.sort_by(|a, b| score(b).unwrap_or(f64::MIN).total_cmp(&score(a).unwrap_or(f64::MIN)));
    Ok(())
}
