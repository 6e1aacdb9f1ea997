//! Requests, as far as is needed to decide about them.

use std::sync::Arc;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload};

use super::{Asked, Body, Counts, Operation, invalid, multipart};

/// Longer names are no models.
const MAX_MODEL: usize = 256;
/// The model that judges where a client names none, as OpenAI has it.
const MODERATOR: &str = "omni-moderation-latest";

pub(super) fn peek(
    operation: Operation,
    body: Bytes,
    content_type: &str,
    named: Option<&str>,
) -> Result<Asked, Error> {
    if operation.takes_files() && multipart::is(content_type) {
        return form(operation, body, content_type);
    }
    let payload = Payload::parse(body)
        .map_err(|why| Error::client(Kind::InvalidRequest, format!("Invalid JSON: {why}.")))?;
    let said = match named {
        Some(named) => Some(named.into()),
        None => payload.text("model"),
    };
    let model = match said {
        Some(model) => checked(&model)?,
        None if payload.has("model") => return Err(invalid("model", "\"model\" must be a string.")),
        None if operation == Operation::Moderations => MODERATOR.into(),
        None => return Err(missing()),
    };
    for name in operation.required() {
        if !payload.has(name) {
            return Err(invalid(name, format!("\"{name}\" is missing.")));
        }
    }
    let stream = match payload.get("stream") {
        None | Some(b"null" | b"false") => payload.text("stream_format").is_some_and(|form| form == "sse"),
        Some(b"true") => true,
        Some(_) => return Err(invalid("stream", "\"stream\" must be true or false.")),
    };
    let prompt_bytes = operation.required().iter().filter_map(|name| payload.get(name)).map(<[u8]>::len);
    let prompt_bytes = prompt_bytes.sum::<usize>() as u64;
    let mut counts = Counts::default();
    if operation == Operation::Speech {
        let text = payload.text("input").ok_or_else(|| invalid("input", "\"input\" must be a string."))?;
        counts.characters = text.chars().count() as u64;
    }
    Ok(Asked { operation, model, stream, prompt_bytes, counts, body: Body::Json(payload) })
}

fn form(operation: Operation, body: Bytes, content_type: &str) -> Result<Asked, Error> {
    let form = multipart::Form::read(body, content_type)
        .map_err(|why| Error::client(Kind::InvalidRequest, format!("Invalid form: {why}.")))?;
    let model = checked(form.text("model").ok_or_else(missing)?)?;
    let stream = match form.text("stream").map(str::trim) {
        None | Some("" | "false" | "False" | "0") => false,
        Some("true" | "True" | "1") => true,
        Some(_) => return Err(invalid("stream", "\"stream\" must be true or false.")),
    };
    let prompt_bytes = form.text("prompt").map_or(0, |prompt| prompt.len() as u64);
    Ok(Asked { operation, model, stream, prompt_bytes, counts: Counts::default(), body: Body::Form(form) })
}

fn checked(model: &str) -> Result<Arc<str>, Error> {
    if model.is_empty() || model.len() > MAX_MODEL {
        return Err(invalid("model", "\"model\" must have 1 to 256 bytes."));
    }
    Ok(model.into())
}

fn missing() -> Error {
    invalid(
        "model",
        "\"model\" is missing: name a route, \"provider/model\" or a model; GET /v1/models lists them.",
    )
}

impl Operation {
    /// The members without which there is nothing to do; together they are what is said to the model.
    const fn required(self) -> &'static [&'static str] {
        match self {
            Self::Embeddings | Self::Moderations | Self::Speech => &["input"],
            Self::GeminiEmbed => &["content"],
            Self::GeminiBatchEmbed => &["requests"],
            Self::Rerank => &["query", "documents"],
            Self::Images => &["prompt"],
            Self::CountTokens => &["messages"],
            Self::ImageEdits
            | Self::ImageVariations
            | Self::Transcriptions
            | Self::Translations
            | Self::GeminiCountTokens => &[],
        }
    }

    /// Whether its request may be a form with files.
    const fn takes_files(self) -> bool {
        matches!(self, Self::ImageEdits | Self::ImageVariations | Self::Transcriptions | Self::Translations)
    }
}
