//! Whole answers into the neutral form.

use bytes::Bytes;
use lockgate_core::{Error, Kind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::block::read as block;
use super::super::wire::{Txt, WireUsage};
use crate::neutral::Reply;
use crate::seal::Origin;

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Tier<'a> {
    #[serde(borrow)]
    r#type: Txt<'a>,
}

pub(in super::super) fn read(body: &Bytes, origin: &Origin) -> Result<Reply, Error> {
    let bad = |why: String| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer cannot be understood.").detail(why)
    };
    let payload = super::parse(body)?;
    let output: Output<'_> = serde_json::from_slice(payload.get("output").unwrap_or_default())
        .map_err(|why| bad(format!("output: {why}")))?;
    let mut parts = Vec::new();
    for raw in output.message.map(|message| message.content).unwrap_or_default() {
        block::block(raw, Some(origin), &mut parts).map_err(|why| bad(format!("content: {why}")))?;
    }
    let fields = payload.get("additionalModelResponseFields");
    let text = super::stop_text(fields.and_then(|fields| serde_json::from_slice(fields).ok()));
    let tier = payload.get("serviceTier").and_then(|tier| serde_json::from_slice::<Tier<'_>>(tier).ok());
    Ok(Reply {
        id: String::new(),
        model: String::new(),
        created: None,
        parts,
        finish: super::finish(&payload.text("stopReason").unwrap_or_default(), text),
        usage: payload.read::<WireUsage>("usage").and_then(|usage| usage.buckets()),
        logprobs: Vec::new(),
        service_tier: tier.map(|tier| tier.r#type.0.into_owned()),
    })
}
