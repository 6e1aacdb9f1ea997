//! Event streams.

pub(super) mod decoder;
pub(super) mod encoder;
pub(super) mod meter;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{Txt, WireUsage};

/// Any event.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    r#type: Option<Txt<'a>>,
    #[serde(borrow, default)]
    id: Option<Txt<'a>>,
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    /// What an error that came instead of an answer has.
    #[serde(borrow, default)]
    message: Option<Txt<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Txt<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<Txt<'a>>,
}

/// In the event that begins a message the members are lists, in the others objects; so they stay unread here.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_plan: Option<Txt<'a>>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    text: Option<Txt<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Txt<'a>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow, default)]
    id: Option<Txt<'a>>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Option<Txt<'a>>,
    #[serde(borrow, default)]
    arguments: Option<Txt<'a>>,
}

/// Usage as an event reports it; `None` when it cannot be.
fn usage(raw: Option<&RawValue>) -> Option<lockgate_core::Usage> {
    serde_json::from_str::<WireUsage>(raw?.get()).ok()?.buckets()
}

#[cfg(test)]
mod tests;
