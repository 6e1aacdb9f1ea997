//! Operations in Gemini's form, from a client that speaks it to a provider that does.

use bytes::{Bytes, BytesMut};
use lockgate_core::{Error, Payload, Segments, Speech};
use serde_json::value::RawValue;

use super::{Form, Operation, Outward, beside, invalid, quoted};

/// The request as it came. Where it names the model in its body as well, as these requests do, the name there is the
/// target's too.
///
/// # Errors
/// `InvalidRequest` when a part that can name a model is no object, or has a member twice.
pub(super) fn outward(
    operation: Operation,
    payload: &Payload,
    speech: &Speech,
    model: &str,
) -> Result<Outward, Error> {
    let name = resource(model);
    let whole = || Segments::one(payload.bytes().clone());
    let body = match operation {
        Operation::GeminiBatchEmbed => batch(payload, &name)?,
        Operation::GeminiCountTokens => {
            let inner = payload.get(WRAPPED).map(|raw| payload.bytes().slice_ref(raw));
            match inner.map(|inner| renamed(inner, &name, WRAPPED)).transpose()?.flatten() {
                Some(inner) => payload.splice().set(WRAPPED, inner).segments(),
                None => whole(),
            }
        }
        _ => renamed(payload.bytes().clone(), &name, "model")?.map_or_else(whole, Segments::one),
    };
    let path = beside(speech.paths.whole.as_deref(), "/models/{model}:generateContent", operation.path());
    Ok(Outward { form: Form::Own, path, bodies: vec![body], content_type: None })
}

/// A model as Gemini names it in bodies.
pub(super) fn resource(model: &str) -> String {
    if model.starts_with("models/") { model.to_owned() } else { format!("models/{model}") }
}

/// The object with another model's name, if it names another.
fn renamed(object: Bytes, name: &str, param: &'static str) -> Result<Option<Bytes>, Error> {
    let payload = Payload::parse(object).map_err(|why| invalid(param, format!("\"{param}\": {why}.")))?;
    let other = payload.text("model").is_some_and(|named| resource(&named) != name);
    Ok(other.then(|| payload.splice().set("model", quoted(name)).segments().join()))
}

fn batch(payload: &Payload, name: &str) -> Result<Segments, Error> {
    let raw = payload.get(BATCH).unwrap_or_default();
    let requests: Vec<&RawValue> = serde_json::from_slice(raw)
        .map_err(|_| invalid(BATCH, "\"requests\" must be an array of requests."))?;
    let mut changed = false;
    let mut list = BytesMut::from(&b"["[..]);
    for (at, request) in requests.iter().enumerate() {
        if at > 0 {
            list.extend_from_slice(b",");
        }
        match renamed(payload.bytes().slice_ref(request.get().as_bytes()), name, BATCH)? {
            Some(request) => {
                changed = true;
                list.extend_from_slice(&request);
            }
            None => list.extend_from_slice(request.get().as_bytes()),
        }
    }
    list.extend_from_slice(b"]");
    if changed {
        return Ok(payload.splice().set(BATCH, list.freeze()).segments());
    }
    Ok(Segments::one(payload.bytes().clone()))
}

/// Holds a whole chat turn, model included.
const WRAPPED: &str = "generateContentRequest";
/// Holds one request for each content.
const BATCH: &str = "requests";
