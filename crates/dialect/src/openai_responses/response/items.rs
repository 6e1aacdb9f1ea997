//! The items of an answer, as they are read.

use std::borrow::Cow;

use lockgate_core::{Error, Kind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::wire::{Annotation, OutItem, OutPart, Str};
use crate::neutral::{Call, CallKind, Citation, Content, Logprob, Native, Part, Reasoning, Text};
use crate::seal::{Origin, Seal};

/// The kind of a state that is a whole item.
pub(in super::super) const ITEM: &str = "item";
/// The kind of a state that is the namespace of a call's tool.
pub(in super::super) const NAMESPACE: &str = "namespace";
/// The native block that says what a message is for; others than the last need not be shown as the answer.
pub(in super::super) const PHASE: &str = "phase";

/// What an item is to the neutral form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Shape {
    Message,
    Reasoning,
    Call(CallKind),
    Native,
}

#[derive(Deserialize)]
struct Namespaced {
    namespace: Option<String>,
}

// === impl Shape ===

impl Shape {
    /// By the item's type.
    pub(in super::super) fn of(item: &OutItem<'_>) -> Self {
        match item.r#type.as_ref().map(|Str(name)| name.as_ref()) {
            Some("message") => Self::Message,
            Some("reasoning") => Self::Reasoning,
            Some("function_call") => Self::Call(CallKind::Function),
            Some("custom_tool_call") => Self::Call(CallKind::Custom),
            None if item.content.is_some() => Self::Message,
            _ => Self::Native,
        }
    }
}

/// An item's members.
pub(in super::super) fn members(raw: &RawValue) -> Result<OutItem<'_>, Error> {
    serde_json::from_str(raw.get()).map_err(|why| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer has an item that cannot be read.")
            .detail(why.to_string())
    })
}

/// Reads an item into parts, and the tokens of its text.
pub(in super::super) fn parts(
    raw: &RawValue,
    origin: &Origin,
    parts: &mut Vec<Part>,
    logprobs: &mut Vec<Logprob>,
) -> Result<(), Error> {
    let item = members(raw)?;
    match Shape::of(&item) {
        Shape::Message => {
            if let Some(native) = phase(&item) {
                parts.push(Part::new(Content::Native(native)));
            }
            for raw in list(item.content) {
                let part: OutPart<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
                logprobs.extend(tokens(part.logprobs));
                parts.push(Part::new(content(raw, part)));
            }
        }
        Shape::Reasoning => {
            let (text, summary) = thought(&item);
            let seal = seal(raw, &item, origin);
            if !text.is_empty() || seal.is_some() {
                parts.push(Part::new(Content::Reasoning(Reasoning { text, summary, seal })));
            }
        }
        Shape::Call(kind) => {
            let input = if kind == CallKind::Function { item.arguments } else { item.input };
            parts.push(Part::new(Content::Call(Call {
                id: call_id(&item).into_owned(),
                name: item.name.as_ref().map(|Str(name)| name.to_string()).unwrap_or_default(),
                arguments: input.map(loose_text).unwrap_or_default().into_owned(),
                kind,
                seal: namespace(raw, origin),
            })));
        }
        Shape::Native => parts.push(Part::new(Content::Native(native(raw, &item)))),
    }
    Ok(())
}

fn content(raw: &RawValue, part: OutPart<'_>) -> Content {
    match (part.r#type.as_ref().map(|Str(name)| name.as_ref()), part.text, part.refusal) {
        (Some("refusal"), _, Some(Str(refusal))) => Content::Refusal(refusal.into_owned()),
        (Some("output_text") | None, Some(Str(text)), _) => Content::Text(Text {
            text: text.into_owned(),
            citations: part.annotations.unwrap_or_default().into_iter().map(citation).collect(),
            seal: None,
        }),
        (kind, ..) => Content::Native(Native {
            dialect: NAME,
            name: format!("content.{}", kind.unwrap_or("unknown")),
            json: raw.to_owned(),
        }),
    }
}

/// The block that says that a message is not yet the answer. What says that it is one is nothing new.
pub(in super::super) fn phase(item: &OutItem<'_>) -> Option<Native> {
    let Str(phase) = item.phase.as_ref().filter(|Str(phase)| phase != "final_answer")?;
    let json = serde_json::value::to_raw_value(phase.as_ref()).ok()?;
    Some(Native { dialect: NAME, name: PHASE.into(), json })
}

/// An item that only this dialect has.
pub(in super::super) fn native(raw: &RawValue, item: &OutItem<'_>) -> Native {
    let name = item.r#type.as_ref().map_or("item", |Str(name)| name.as_ref());
    Native { dialect: NAME, name: name.to_owned(), json: raw.to_owned() }
}

/// The words of a thought, and whether they are a summary.
pub(in super::super) fn thought(item: &OutItem<'_>) -> (String, bool) {
    let join = |raw| {
        let mut all = String::new();
        for part in list(raw) {
            let part: OutPart<'_> = serde_json::from_str(part.get()).unwrap_or_default();
            if let Some(Str(text)) = part.text {
                if !all.is_empty() {
                    all.push_str("\n\n");
                }
                all.push_str(&text);
            }
        }
        all
    };
    let summary = join(item.summary);
    if summary.is_empty() { (join(item.content), false) } else { (summary, true) }
}

/// The state of a thought: the whole item, as what is encrypted in it is bound to its id.
pub(in super::super) fn seal(raw: &RawValue, item: &OutItem<'_>, origin: &Origin) -> Option<Seal> {
    (item.encrypted_content.is_some() || item.id.is_some()).then(|| Seal::of(origin, NAME, ITEM, raw.get()))
}

/// The state of a call whose tool stands in a namespace.
pub(in super::super) fn namespace(raw: &RawValue, origin: &Origin) -> Option<Seal> {
    if !raw.get().contains("\"namespace\"") {
        return None;
    }
    let found: Namespaced = serde_json::from_str(raw.get()).ok()?;
    Some(Seal::of(origin, NAME, NAMESPACE, found.namespace?))
}

/// What ties a call to its outcome.
pub(in super::super) fn call_id<'a>(item: &OutItem<'a>) -> Cow<'a, str> {
    let own = item.call_id.map(loose_text).filter(|id| !id.is_empty());
    own.or_else(|| item.id.as_ref().map(|Str(id)| id.clone())).unwrap_or_default()
}

/// A source.
pub(in super::super) fn citation(raw: &RawValue) -> Citation {
    let read: Annotation = serde_json::from_str(raw.get()).unwrap_or_default();
    Citation {
        url: read.url,
        title: read.title.or(read.filename),
        quote: None,
        span: read.start_index.zip(read.end_index),
        native: Some(Native { dialect: NAME, name: read.r#type, json: raw.to_owned() }),
    }
}

/// The tokens of a text.
pub(in super::super) fn tokens(raw: Option<&RawValue>) -> Vec<Logprob> {
    match raw {
        Some(raw) if raw.get() != "[]" => serde_json::from_str(raw.get()).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The members of a list; none where there is no list.
pub(in super::super) fn list(raw: Option<&RawValue>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// JSON text decoded; anything else as it stands.
pub(in super::super) fn loose_text(raw: &RawValue) -> Cow<'_, str> {
    match raw.get() {
        "null" => Cow::Borrowed(""),
        text if text.starts_with('"') => {
            serde_json::from_str::<Str<'_>>(text).map_or(Cow::Borrowed(text), |Str(text)| text)
        }
        other => Cow::Borrowed(other),
    }
}
