//! Whole answers out of the neutral form.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::spoken::Spoken;
use super::super::wire::{Counts, Item, ToolCall};
use crate::Losses;
use crate::neutral::{Content, Finish, Reply};

#[derive(Serialize)]
struct WireReply<'a> {
    id: &'a str,
    finish_reason: &'static str,
    message: Message<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Counts>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_plan: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    content: &'a [Item<'a>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: &'a [ToolCall<'a>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    citations: &'a [Box<RawValue>],
}

pub(in super::super) fn write(reply: &Reply, losses: &mut Losses) -> Bytes {
    let mut spoken = Spoken::default();
    let calls = reply.parts.iter().any(|part| matches!(part.content, Content::Call(_)));
    for part in &reply.parts {
        spoken.part(part, calls, true, "content", losses);
    }
    if !reply.logprobs.is_empty() {
        losses.lose("logprobs", "the client's dialect names tokens by numbers");
    }
    if matches!(reply.finish, Finish::Paused | Finish::Filtered | Finish::Refused) {
        losses.lose("finish_reason", "the client's dialect has no word for it");
    }
    if reply.service_tier.is_some() {
        losses.lose("service_tier", "the client's dialect has none");
    }
    let wire = WireReply {
        id: &reply.id,
        finish_reason: super::reason(&reply.finish),
        message: Message {
            role: "assistant",
            tool_plan: spoken.plan.as_deref(),
            content: &spoken.items,
            tool_calls: &spoken.calls,
            citations: &spoken.citations,
        },
        usage: reply.usage.as_ref().map(Counts::of),
    };
    // Types of our own: this cannot fail.
    serde_json::to_vec(&wire).unwrap_or_default().into()
}
