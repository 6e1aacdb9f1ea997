//! A client's request, read for providers of other forms.

use std::borrow::Cow;

use lockgate_core::{Error, Payload};

use crate::Losses;
use crate::operation::{invalid, unsayable};

/// What is asked for.
pub(super) struct Ask<'a> {
    pub(super) texts: Vec<Cow<'a, str>>,
    /// How long the vectors are to be.
    pub(super) dimensions: Option<u64>,
    pub(super) purpose: Option<Purpose>,
}

/// What the vectors are for. OpenAI's form has no member for it; `input_type` and `task_type` are those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Query,
    Document,
    Classification,
    Clustering,
    Similarity,
}

const READ: [&str; 6] = ["model", "input", "dimensions", "encoding_format", "input_type", "task_type"];

impl<'a> Ask<'a> {
    /// Reads a request. What is not carried is lost and named.
    pub(super) fn read(payload: &'a Payload, losses: &mut Losses) -> Result<Self, Error> {
        let dimensions = match payload.get("dimensions") {
            None | Some(b"null") => None,
            Some(_) => {
                Some(payload.number("dimensions").filter(|length| *length > 0).ok_or_else(|| {
                    invalid("dimensions", "\"dimensions\" must be a whole number from 1 up.")
                })?)
            }
        };
        match payload.text("encoding_format").as_deref() {
            None if !payload.has("encoding_format") => {}
            Some("float" | "base64") => {}
            _ => {
                return Err(invalid(
                    "encoding_format",
                    "\"encoding_format\" must be \"float\" or \"base64\".",
                ));
            }
        }
        for name in payload.names().filter(|name| !READ.contains(name) && payload.has(name)) {
            losses.lose(name.to_owned(), "the provider has no such member");
        }
        Ok(Self { texts: texts(payload)?, dimensions, purpose: purpose(payload, losses) })
    }
}

/// The texts of a request.
pub(super) fn texts(payload: &Payload) -> Result<Vec<Cow<'_, str>>, Error> {
    let wrong = || invalid("input", "\"input\" must be a string, or an array of strings.");
    let raw = payload.get("input").ok_or_else(wrong)?;
    if let Some(text) = lockgate_core::payload::text(raw) {
        return Ok(vec![text]);
    }
    let inside = raw.strip_prefix(b"[").ok_or_else(wrong)?.trim_ascii_start();
    if inside.first().is_some_and(|first| first.is_ascii_digit() || *first == b'[') {
        return Err(unsayable(
            "input",
            "This provider takes texts and no tokens: \"input\" must be a string, or an array of strings.",
        ));
    }
    let texts: Vec<String> = serde_json::from_slice(raw).map_err(|_| wrong())?;
    if texts.is_empty() {
        return Err(invalid("input", "\"input\" is empty."));
    }
    Ok(texts.into_iter().map(Cow::Owned).collect())
}

/// What the vectors are for, in the words of Voyage, Cohere or Gemini.
pub(super) fn purpose(payload: &Payload, losses: &mut Losses) -> Option<Purpose> {
    let name = ["input_type", "task_type"].into_iter().find(|name| payload.has(name))?;
    let said = payload.text(name).unwrap_or_default().to_ascii_lowercase();
    let purpose = match said.as_str() {
        "query" | "search_query" | "retrieval_query" | "question_answering" => Purpose::Query,
        "document" | "search_document" | "retrieval_document" | "passage" => Purpose::Document,
        "classification" => Purpose::Classification,
        "clustering" => Purpose::Clustering,
        "semantic_similarity" => Purpose::Similarity,
        _ => {
            losses.lose(name, "the value is not known");
            return None;
        }
    };
    Some(purpose)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn read(json: &str) -> Result<(usize, Vec<String>), Error> {
        let payload = Payload::parse(Bytes::copy_from_slice(json.as_bytes())).unwrap();
        let mut losses = Losses::default();
        let ask = Ask::read(&payload, &mut losses)?;
        Ok((ask.texts.len(), losses.iter().map(|loss| loss.what.to_string()).collect()))
    }

    #[test]
    fn texts_come_alone_or_together() {
        assert_eq!(read(r#"{"input":"a"}"#).unwrap().0, 1);
        assert_eq!(read(r#"{"input":["a","b\n"]}"#).unwrap().0, 2);
    }

    #[test]
    fn what_is_no_text_is_refused_by_name() {
        for json in [
            r#"{"input":[1,2]}"#,
            r#"{"input":[[1],[2]]}"#,
            r#"{"input":[]}"#,
            r#"{"input":7}"#,
            r#"{"input":["a",null]}"#,
        ] {
            assert_eq!(read(json).unwrap_err().at(), Some("input"), "{json}");
        }
        assert_eq!(read(r#"{"input":"a","dimensions":0}"#).unwrap_err().at(), Some("dimensions"));
        assert_eq!(read(r#"{"input":"a","dimensions":1.5}"#).unwrap_err().at(), Some("dimensions"));
        assert_eq!(
            read(r#"{"input":"a","encoding_format":"hex"}"#).unwrap_err().at(),
            Some("encoding_format")
        );
    }

    #[test]
    fn what_is_not_carried_is_named() {
        let (_, lost) = read(r#"{"input":"a","user":"u","seed":null,"input_type":"poem"}"#).unwrap();
        assert_eq!(lost, ["user", "input_type"]);
    }
}
