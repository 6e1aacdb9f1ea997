//! Whole answers out of the neutral form.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use super::super::NAME;
use super::super::block::write as block;
use super::super::wire::{Block, Counts, Members, Thought};
use crate::neutral::{Content, Finish, Part, Reply};
use crate::seal::Seal;
use crate::{Losses, tier};

#[derive(Serialize)]
struct Output<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

pub(in super::super) fn write(reply: &Reply, losses: &mut Losses) -> Bytes {
    let mut names = block::Names::default();
    let mut content = Vec::with_capacity(reply.parts.len());
    for part in &reply.parts {
        write_part(part, &mut names, &mut content, losses);
    }
    if !reply.logprobs.is_empty() {
        losses.lose("logprobs", "the client's dialect has none");
    }
    if matches!(reply.finish, Finish::Paused) {
        losses.lose("stopReason", "the client's dialect has no pause");
    }
    let mut out = Members::new();
    // A member that the dialect demands; what it would say was not measured.
    out.set("metrics", &json!({ "latencyMs": 0 }));
    out.set("output", &Output { message: Message { role: "assistant", content } });
    out.set("stopReason", super::reason(&reply.finish));
    if let Finish::StopText(Some(text)) = &reply.finish {
        out.set("additionalModelResponseFields", &json!({ "stop_sequence": text }));
    }
    if let Some(usage) = &reply.usage {
        out.set("usage", &Counts::of(usage));
    }
    if let Some(tier) = reply.service_tier.as_deref().and_then(tier::bedrock) {
        out.set("serviceTier", &json!({ "type": tier }));
    }
    out.finish().into()
}

fn write_part<'a>(part: &'a Part, names: &mut block::Names, out: &mut Vec<Block<'a>>, losses: &mut Losses) {
    match &part.content {
        Content::Text(text) => {
            // White space alone is a piece of an answer like any other.
            let blank = text.citations.is_empty() && !text.text.is_empty() && text.text.trim().is_empty();
            out.extend(if blank {
                Some(Block::Text(Cow::Borrowed(&text.text)))
            } else {
                block::text(text, true, losses)
            });
            out.extend(text.seal.as_ref().map(bound));
        }
        Content::Refusal(text) => out.push(Block::Text(Cow::Borrowed(text))),
        Content::Reasoning(reasoning) => out.extend(block::thought(reasoning)),
        Content::Call(call) => {
            out.push(block::call(call, losses));
            out.extend(call.seal.as_ref().map(bound));
        }
        Content::Media(media) => match block::media(media, names) {
            Ok(medium) => out.push(Block::Media(medium)),
            Err(_) => losses.lose("content.media", "the client's dialect has no place for it"),
        },
        Content::Native(native) if native.dialect == NAME => block::native(native, out),
        Content::Native(native) => {
            losses.lose(format!("content.{}", native.name), "only its own dialect has it");
        }
        Content::Outcome(_) => losses.lose("content.tool_result", "the client's dialect has no place for it"),
    }
}

fn bound<'a>(seal: &Seal) -> Block<'a> {
    Block::Reasoning(Thought::RedactedContent(Cow::Owned(block::bound(seal))))
}
