//! Voyage's embeddings: OpenAI's form, but for some names and the usage.

use bytes::Bytes;
use lockgate_core::usage::Source;
use lockgate_core::{Error, Payload, Speech};

use super::ask::{Purpose, purpose, texts};
use super::{Place, answer, foreign};
use crate::Losses;
use crate::operation::{Answered, Asked, Counts, Outward, Part, expect, object, openai, quoted, written};

pub(super) fn outward(
    payload: &Payload,
    speech: &Speech,
    model: &str,
    losses: &mut Losses,
) -> Result<Outward, Error> {
    texts(payload)?;
    let mut splice = payload.splice().rename("dimensions", "output_dimension");
    if payload.text("model").is_none_or(|named| named != model) {
        splice = splice.set_text("model", model);
    }
    // It knows `base64` and nothing.
    if payload.text("encoding_format").is_some_and(|format| format == "float") {
        splice = splice.remove("encoding_format");
    }
    if payload.has("user") {
        losses.lose("user", "the provider has no such member");
    }
    let purpose = purpose(payload, losses);
    for name in ["user", "input_type", "task_type"] {
        splice = splice.remove(name);
    }
    match purpose {
        Some(Purpose::Query) => splice = splice.set("input_type", quoted("query")),
        Some(Purpose::Document) => splice = splice.set("input_type", quoted("document")),
        Some(_) => losses.lose("input_type", "the provider has no such value"),
        None => {}
    }
    let path = speech.paths.whole.clone().map_or("/embeddings".into(), Into::into);
    Ok(foreign(Place::Voyage, path, vec![splice.segments()]))
}

/// The answer as it came, with the usage as OpenAI's clients read it.
pub(super) fn read(asked: &Asked, (_, body): &Part) -> Result<Answered, Error> {
    let payload = object(body)?;
    expect(&payload, "data")?;
    let usage = openai::tokens(asked, &payload);
    let input = usage.input_total();
    let used = written(&answer::Used { prompt_tokens: input, total_tokens: input });
    let body: Bytes = payload.splice().set("usage", used).segments().join();
    let estimate = usage.source == Source::Estimated;
    Ok(Answered { body, usage: Some(usage), counts: Counts::default(), estimate })
}
