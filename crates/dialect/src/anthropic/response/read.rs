//! A provider's whole answer in the neutral form.

use bytes::Bytes;
use lockgate_core::{Error, Kind};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::anthropic::block::{Reader, note};
use crate::anthropic::wire::{Txt, WireUsage, said};
use crate::anthropic::{NAME, finish};
use crate::neutral::{Content, Finish, Part, Reply};
use crate::seal::{Origin, Seal};

/// An answer. What the neutral form has no place for goes behind its parts as notes to the message.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    id: Txt<'a>,
    #[serde(borrow, default)]
    model: Txt<'a>,
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(borrow, default)]
    stop_reason: Txt<'a>,
    #[serde(borrow, default)]
    stop_sequence: Txt<'a>,
    #[serde(borrow, default)]
    stop_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    container: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context_management: Option<&'a RawValue>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

pub(in crate::anthropic) fn read(body: &Bytes, origin: &Origin) -> Result<Reply, Error> {
    super::answer(body)?;
    let bad = |why: String| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer cannot be understood.").detail(why)
    };
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    let reader = Reader { seal: &|kind, data| Seal::of(origin, NAME, kind, data) };
    let mut parts =
        reader.content(answer.content).map_err(|flaw| bad(format!("content{}: {}", flaw.at, flaw.why)))?;
    for (name, value) in [
        ("stop_details", answer.stop_details),
        ("container", answer.container),
        ("context_management", answer.context_management),
    ] {
        if let Some(value) = said(value) {
            parts.push(Part::new(Content::Native(note("message", name, value))));
        }
    }
    let finish =
        answer.stop_reason.get().map_or(Finish::Stop, |r| finish::read(r, answer.stop_sequence.get()));
    let service_tier = answer.usage.as_ref().and_then(|usage| usage.tier()).map(str::to_owned);
    Ok(Reply {
        id: answer.id.str().to_owned(),
        model: answer.model.str().to_owned(),
        created: None,
        parts,
        finish,
        usage: answer.usage.and_then(|usage| usage.buckets()),
        logprobs: Vec::new(),
        service_tier,
    })
}
