//! `embedContent` and `batchEmbedContents`: texts as vectors.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::{Error, Kind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Array, Many, Members, Object, Str, text};
use super::{model, wire};
use crate::neutral::Raw;

/// More texts in one request are refused by Google as well.
pub const MOST_TEXTS: usize = 10_000;

/// What is to be embedded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// The texts, each with what is said of it alone.
    pub texts: Vec<Text>,
    /// They came as a batch, so the answer is one.
    pub batch: bool,
}

/// One text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text itself, its parts joined.
    pub text: String,
    /// What it is for: `RETRIEVAL_QUERY`, …
    pub task: Option<String>,
    /// Its title, for documents.
    pub title: Option<String>,
    /// The length of the vector asked for.
    pub dimensions: Option<u64>,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    /// The vectors in the order of the texts, each an array of numbers as the provider wrote it.
    pub vectors: Vec<Raw>,
    /// Input tokens, where the provider reports them.
    pub tokens: Option<u64>,
}

/// The path of the operation behind a provider's base address.
pub fn path(model: &str, batch: bool) -> Cow<'static, str> {
    Cow::Owned(model::path(model, if batch { "batchEmbedContents" } else { "embedContent" }))
}

/// Reads a request.
///
/// # Errors
/// A caller's error that says which member is wrong and why.
pub fn read(body: &[u8], batch: bool) -> Result<Texts, Error> {
    let members: Members<'_> = serde_json::from_slice(body)
        .map_err(|why| Error::client(Kind::InvalidRequest, format!("Invalid JSON: {why}.")))?;
    if !batch {
        return Ok(Texts { texts: vec![read_one(&members, "content")?], batch });
    }
    let requests = members.get("requests").and_then(|raw| serde_json::from_str::<Many<'_>>(raw.get()).ok());
    let Some(Many(requests)) = requests.filter(|Many(all)| !all.is_empty() && all.len() <= MOST_TEXTS) else {
        return Err(invalid("requests", "\"requests\" must be an array of requests."));
    };
    let texts = requests.into_iter().enumerate().map(|(i, raw)| {
        let at = format!("requests[{i}]");
        let members: Members<'_> =
            serde_json::from_str(raw.get()).map_err(|why| invalid(&at, &format!("\"{at}\": {why}.")))?;
        read_one(&members, &at)
    });
    Ok(Texts { texts: texts.collect::<Result<_, _>>()?, batch })
}

fn read_one(members: &Members<'_>, at: &str) -> Result<Text, Error> {
    let wrong = || invalid(at, "A text to embed must be a content with parts of text.");
    let content = members.get("content").ok_or_else(wrong)?;
    let content: wire::Content<'_> = serde_json::from_str(content.get()).map_err(|_| wrong())?;
    let parts = content.parts.filter(|parts| !parts.is_empty()).ok_or_else(wrong)?;
    let mut joined = String::new();
    for part in parts {
        let Some(Str(piece)) = part.text else { return Err(wrong()) };
        joined.push_str(&piece);
    }
    Ok(Text {
        text: joined,
        task: members.get("taskType").and_then(text),
        title: members.get("title").and_then(text),
        dimensions: members.get("outputDimensionality").and_then(|raw| raw.get().parse().ok()),
    })
}

fn invalid(at: &str, why: &str) -> Error {
    Error::client(Kind::InvalidRequest, why.to_owned()).param(at.to_owned())
}

/// The request for a provider: a batch where there is more than one text, or it came as one.
pub fn write(texts: &Texts, model: &str) -> Bytes {
    let model = format!("models/{}", model.strip_prefix("models/").unwrap_or(model));
    let mut out = Vec::new();
    if let ([one], false) = (texts.texts.as_slice(), texts.batch) {
        write_one(one, &model, &mut out);
        return out.into();
    }
    let mut object = Object::new(&mut out);
    let mut requests = Array::new(object.key("requests"));
    for text in &texts.texts {
        write_one(text, &model, requests.item());
    }
    requests.end();
    object.end();
    out.into()
}

fn write_one(text: &Text, model: &str, out: &mut Vec<u8>) {
    let mut object = Object::new(out);
    object.text("model", model);
    let mut content = Object::new(object.key("content"));
    let mut parts = Array::new(content.key("parts"));
    let mut part = Object::new(parts.item());
    part.text("text", &text.text);
    part.end();
    parts.end();
    content.end();
    if let Some(task) = &text.task {
        object.text("taskType", task);
    }
    if let Some(title) = &text.title {
        object.text("title", title);
    }
    if let Some(dimensions) = text.dimensions {
        object.show("outputDimensionality", dimensions);
    }
    object.end();
}

/// Reads an answer of either operation.
///
/// # Errors
/// `UpstreamBadAnswer` when it has no vectors.
pub fn read_answer(body: &[u8]) -> Result<Vectors, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        #[serde(borrow, default)]
        embedding: Option<Vector<'a>>,
        #[serde(borrow, default)]
        embeddings: Option<Vec<Vector<'a>>>,
        #[serde(borrow, default)]
        usage_metadata: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Vector<'a> {
        #[serde(borrow)]
        values: &'a RawValue,
    }
    let bad = || Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer has no vectors.");
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|why| bad().detail(why.to_string()))?;
    let vectors: Vec<Raw> = answer
        .embedding
        .into_iter()
        .chain(answer.embeddings.into_iter().flatten())
        .map(|vector| vector.values.to_owned())
        .collect();
    if vectors.is_empty() || vectors.iter().any(|vector| !vector.get().starts_with('[')) {
        return Err(bad());
    }
    let usage = answer.usage_metadata.and_then(|raw| wire::usage(raw.get()));
    Ok(Vectors { vectors, tokens: usage.map(|usage| usage.input_total()) })
}

/// The answer for a client.
pub fn write_answer(vectors: &Vectors, batch: bool) -> Bytes {
    let mut out = Vec::new();
    let mut object = Object::new(&mut out);
    if batch {
        let mut array = Array::new(object.key("embeddings"));
        for vector in &vectors.vectors {
            let mut one = Object::new(array.item());
            one.raw("values", vector.get());
            one.end();
        }
        array.end();
    } else if let Some(vector) = vectors.vectors.first() {
        let mut one = Object::new(object.key("embedding"));
        one.raw("values", vector.get());
        one.end();
    }
    if let Some(tokens) = vectors.tokens {
        let mut usage = Object::new(object.key("usageMetadata"));
        usage.show("promptTokenCount", tokens);
        usage.end();
    }
    object.end();
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_and_written() {
        let one = br#"{"model":"models/m","content":{"parts":[{"text":"a"},{"text":"b"}]},"task_type":"RETRIEVAL_QUERY","outputDimensionality":8}"#;
        let texts = read(one, false).unwrap();
        assert_eq!((&*texts.texts[0].text, texts.texts[0].dimensions), ("ab", Some(8)));
        assert_eq!(read(&write(&texts, "m"), false).unwrap(), texts);
        let batch = read(
            br#"{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":{"text":"b"}}}]}"#,
            true,
        );
        assert_eq!(batch.unwrap_err().at(), Some("requests[1]"));
        let batch = read(br#"{"requests":[{"content":{"parts":[{"text":"a"}]}}]}"#, true).unwrap();
        assert_eq!(read(&write(&batch, "m"), true).unwrap(), batch);
        assert_eq!(read(b"{}", false).unwrap_err().at(), Some("content"));
    }

    #[test]
    fn vectors_pass_as_they_came() {
        let body = br#"{"embeddings":[{"values":[0.10,-2e-3]}],"usageMetadata":{"promptTokenCount":3}}"#;
        let vectors = read_answer(body).unwrap();
        assert_eq!((vectors.vectors[0].get(), vectors.tokens), ("[0.10,-2e-3]", Some(3)));
        assert_eq!(write_answer(&vectors, true), &body[..]);
        assert_eq!(read_answer(br#"{"embedding":{"values":[1]}}"#).unwrap().vectors.len(), 1);
        assert_eq!(read_answer(b"{}").unwrap_err().kind(), Kind::UpstreamBadAnswer);
    }
}
