//! Event streams.
//!
//! The answer is complete with `messageStop`. Its usage comes behind that, in `metadata`: a stream that ends between the
//! two is an answer without a report of usage, and not a broken one.

pub(super) mod decoder;
pub(super) mod encoder;
pub(super) mod meter;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{Object, Txt, WireUsage};

/// Any event: each has some of these members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow, default)]
    role: Option<Txt<'a>>,
    #[serde(default)]
    content_block_index: Option<u64>,
    #[serde(borrow, default)]
    start: Option<Begin<'a>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Txt<'a>>,
    #[serde(borrow, default)]
    additional_model_response_fields: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<Tier<'a>>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    /// What tells `metadata` from others where it reports no usage.
    #[serde(borrow, default)]
    metrics: Option<&'a RawValue>,
}

/// `start` of a block that has one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Begin<'a> {
    #[serde(borrow, default)]
    tool_use: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    image: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta<'a> {
    #[serde(borrow, default)]
    text: Option<Txt<'a>>,
    #[serde(borrow, default)]
    tool_use: Option<Input<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Thought<'a>>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_result: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    image: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow, default)]
    input: Option<Txt<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thought<'a> {
    #[serde(borrow, default)]
    text: Option<Txt<'a>>,
    #[serde(borrow, default)]
    signature: Option<Txt<'a>>,
    #[serde(borrow, default)]
    redacted_content: Option<Txt<'a>>,
}

#[derive(Deserialize)]
struct Tier<'a> {
    #[serde(borrow)]
    r#type: Txt<'a>,
}

/// The members with which an event begins that stands there without its name.
const BARE: [&str; 14] = [
    "contentBlockIndex",
    "delta",
    "p",
    "role",
    "start",
    "stopReason",
    "usage",
    "metrics",
    "trace",
    "message",
    "serviceTier",
    "performanceConfig",
    "additionalModelResponseFields",
    "originalStatusCode",
];

/// An event that stands under its name, as some records and the data of a failure do, with that name.
fn named(data: &[u8]) -> Option<(String, &[u8])> {
    let inner = data.strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"")?;
    let first = inner.get(..memchr::memchr(b'"', inner)?)?;
    if BARE.iter().any(|name| name.as_bytes() == first) {
        return None;
    }
    let object: Object<'_> = serde_json::from_slice(data).ok()?;
    let (name, value) = object.iter().next().filter(|_| object.len() == 1)?;
    value.get().starts_with('{').then(|| (name.0.as_ref().to_owned(), value.get().as_bytes()))
}

/// Whether an event of this name, or with nothing but a message, is a failure.
fn is_failure(name: &str, event: &Event<'_>) -> bool {
    const EVENTS: [&str; 6] = [
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ];
    !EVENTS.contains(&name) && (name.ends_with("Exception") || event.message.is_some())
}

/// Usage as an event reports it; `None` when it cannot be.
fn usage(raw: Option<&RawValue>) -> Option<lockgate_core::Usage> {
    serde_json::from_str::<WireUsage>(raw?.get()).ok()?.buckets()
}

#[cfg(test)]
mod tests;
