//! A client's request, read for providers of another form.

use std::borrow::Cow;

use lockgate_core::{Error, Payload};
use serde::Deserialize;

use crate::Losses;
use crate::operation::{invalid, unsayable};

/// What is asked for.
pub(super) struct Ask<'a> {
    pub(super) shape: Shape,
    pub(super) query: Cow<'a, str>,
    pub(super) documents: Vec<Cow<'a, str>>,
    /// How many are wanted.
    pub(super) top: Option<u64>,
    pub(super) return_documents: bool,
}

/// The answer that the client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Cohere's and Jina's.
    Results,
    /// Voyage's.
    Data,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Text(String),
    Object { text: String },
}

const READ: [&str; 6] = ["model", "query", "documents", "top_n", "top_k", "return_documents"];

impl Shape {
    /// Told by members that only Voyage's clients send.
    pub(super) fn of(payload: &Payload) -> Self {
        let voyage = payload.names().any(|name| name == "top_k" || name == "truncation");
        if voyage && !payload.has("top_n") { Self::Data } else { Self::Results }
    }
}

impl<'a> Ask<'a> {
    pub(super) fn read(payload: &'a Payload) -> Result<Self, Error> {
        let query = payload.text("query").ok_or_else(|| {
            unsayable("query", "This provider takes texts only: \"query\" must be a string.")
        })?;
        let documents: Vec<Document> = payload.read("documents").ok_or_else(|| {
            unsayable(
                "documents",
                "This provider takes texts only: \"documents\" must be an array of strings, or of objects with \"text\".",
            )
        })?;
        if documents.is_empty() {
            return Err(invalid("documents", "\"documents\" is empty."));
        }
        let documents = documents.into_iter().map(|document| match document {
            Document::Text(text) | Document::Object { text } => Cow::Owned(text),
        });
        let name = if payload.has("top_n") { "top_n" } else { "top_k" };
        let top = match payload.has(name) {
            false => None,
            true => Some(
                payload
                    .number(name)
                    .filter(|top| *top > 0)
                    .ok_or_else(|| invalid(name, format!("\"{name}\" must be a whole number from 1 up.")))?,
            ),
        };
        Ok(Self {
            shape: Shape::of(payload),
            query,
            documents: documents.collect(),
            top,
            return_documents: payload.flag("return_documents") == Some(true),
        })
    }

    /// What another form has no member for.
    pub(super) fn lose(&self, payload: &Payload, losses: &mut Losses) {
        for name in payload.names().filter(|name| !READ.contains(name) && payload.has(name)) {
            losses.lose(name.to_owned(), "the provider has no such member");
        }
    }
}
