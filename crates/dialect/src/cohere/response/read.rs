//! Whole answers into the neutral form, and the content of messages, which requests share.

use bytes::Bytes;
use lockgate_core::{Error, Kind};
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::super::wire::{ToolCall, Txt, WireUsage};
use super::super::{NAME, citation, request};
use crate::neutral::{Content, Logprob, Media, MediaKind, Native, Part, Reasoning, Reply, Source, Text};

/// The name of a [`Native`] with the exact words of the item that the part before it stands for.
pub(in super::super) const EXACT: &str = "content.exact";

/// Who says a piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Said {
    /// A tool: its documents are its results.
    ByTool,
    /// Anyone else.
    Else,
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    tool_plan: Option<String>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow, default)]
    citations: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct WireItem<'a> {
    #[serde(borrow)]
    r#type: Txt<'a>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    image_url: Option<ImageUrl>,
    #[serde(borrow, default)]
    document: Option<Document<'a>>,
}

#[derive(Deserialize)]
struct ImageUrl {
    url: String,
    #[serde(default)]
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default)]
    id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    text: Option<String>,
    title: Option<String>,
}

#[derive(Deserialize)]
struct WireLogprob {
    #[serde(default)]
    text: String,
    #[serde(default)]
    logprobs: Vec<Number>,
}

pub(in super::super) fn read(body: &Bytes) -> Result<Reply, Error> {
    let bad = |why: String| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer cannot be understood.").detail(why)
    };
    let payload = super::parse(body)?;
    let message: WireMessage<'_> = serde_json::from_slice(payload.get("message").unwrap_or_default())
        .map_err(|why| bad(format!("message: {why}")))?;
    let mut parts = Vec::new();
    content(message.content, Said::Else, &mut parts).map_err(|why| bad(why.into()))?;
    let items = parts.len();
    if let Some(plan) = message.tool_plan.filter(|plan| !plan.is_empty()) {
        parts.push(Part::text(plan));
    }
    for raw in message.citations.unwrap_or_default() {
        cite(citation::read(raw), items, &mut parts);
    }
    parts.extend(message.tool_calls.unwrap_or_default().into_iter().map(request::read::call));
    let logprobs: Vec<WireLogprob> = payload.read("logprobs").unwrap_or_default();
    Ok(Reply {
        id: payload.text("id").unwrap_or_default().into_owned(),
        model: String::new(),
        created: None,
        parts,
        finish: super::finish(&payload.text("finish_reason").unwrap_or_default()),
        usage: payload.read::<WireUsage>("usage").and_then(|usage| usage.buckets()),
        logprobs: logprobs.into_iter().flat_map(tokens).collect(),
        service_tier: None,
    })
}

/// Puts a citation to the text that it is of: what it says, else the last.
fn cite(placed: citation::Placed, items: usize, parts: &mut Vec<Part>) {
    let at = if placed.of_plan { Some(items) } else { placed.at };
    let is_text = |part: &Part| matches!(part.content, Content::Text(_));
    let at = at.filter(|at| parts.get(*at).is_some_and(is_text)).or_else(|| parts.iter().rposition(is_text));
    match at.and_then(|at| parts.get_mut(at)).map(|part| &mut part.content) {
        Some(Content::Text(text)) => text.citations.push(placed.citation),
        _ => {
            parts
                .push(Part::new(Content::Text(Text { citations: vec![placed.citation], ..Text::default() })));
        }
    }
}

/// Probabilities come for pieces of several tokens; the text goes to the first of them.
fn tokens(wire: WireLogprob) -> impl Iterator<Item = Logprob> {
    let mut text = Some(wire.text);
    wire.logprobs.into_iter().map(move |logprob| Logprob {
        token: text.take().unwrap_or_default(),
        logprob,
        bytes: None,
        top_logprobs: Vec::new(),
    })
}

/// Reads the content of a message: text, or a list of items.
///
/// # Errors
/// What is wrong with it.
pub(in super::super) fn content(
    raw: Option<&RawValue>,
    by: Said,
    parts: &mut Vec<Part>,
) -> Result<(), &'static str> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(()) };
    if raw.get().starts_with('"') {
        let text: String = serde_json::from_str(raw.get()).map_err(|_| "its content is not valid text")?;
        if !text.is_empty() {
            parts.push(Part::text(text));
        }
        return Ok(());
    }
    let items: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| "its content must be text or a list")?;
    for raw in items {
        item(raw, by, parts)?;
    }
    Ok(())
}

fn item(raw: &RawValue, by: Said, parts: &mut Vec<Part>) -> Result<(), &'static str> {
    let item: WireItem<'_> = serde_json::from_str(raw.get())
        .map_err(|_| "an item of its content must be an object with a \"type\"")?;
    let native = |name: &str| {
        Part::new(Content::Native(Native { dialect: NAME, name: name.to_owned(), json: raw.to_owned() }))
    };
    let kind = item.r#type.0.clone();
    match (kind.as_ref(), item) {
        ("text", WireItem { text: Some(text), .. }) => parts.push(Part::text(text)),
        ("thinking", WireItem { thinking: Some(text), .. }) => {
            parts.push(Part::new(Content::Reasoning(Reasoning { text, summary: false, seal: None })));
        }
        ("image_url", WireItem { image_url: Some(image), .. }) => parts.push(image_part(image)),
        ("document", WireItem { document: Some(document), .. }) => {
            let data: Option<Data> = serde_json::from_str(document.data.get()).ok();
            let plain: Option<String> = serde_json::from_str(document.data.get()).ok();
            let data = data.unwrap_or_default();
            let text = data.text.or(plain).unwrap_or_else(|| document.data.get().to_owned());
            parts.push(if by == Said::ByTool {
                Part::text(text)
            } else {
                Part::new(Content::Media(Media {
                    kind: MediaKind::Document,
                    source: Source::Text(text),
                    mime: Some("text/plain".into()),
                    name: data.title.or(document.id),
                    detail: None,
                }))
            });
            parts.push(native(EXACT));
        }
        (kind, _) => parts.push(native(kind)),
    }
    Ok(())
}

fn image_part(image: ImageUrl) -> Part {
    let data = image.url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    let (source, mime) = match data {
        Some((mime, data)) => (Source::Base64(data.to_owned()), Some(mime.to_owned())),
        None => (Source::Url(image.url), None),
    };
    Part::new(Content::Media(Media {
        kind: MediaKind::Image,
        source,
        mime,
        name: None,
        detail: image.detail,
    }))
}
