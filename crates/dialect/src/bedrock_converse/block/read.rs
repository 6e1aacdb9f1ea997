//! Blocks as they are read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::wire::{self, Object, Txt};
use super::BOUND;
use crate::neutral::{
    CacheMark, Call, CallKind, Citation, Content, Media, MediaKind, Native, Outcome, Part, Reasoning, Source,
    Text,
};
use crate::seal::{Origin, Seal};

/// Why a block cannot be read.
pub(in super::super) type Wrong = &'static str;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    tool_use_id: String,
    name: String,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    r#type: Option<Txt<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    tool_use_id: String,
    #[serde(borrow, default)]
    content: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<Txt<'a>>,
    #[serde(borrow, default)]
    r#type: Option<Txt<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thought<'a> {
    #[serde(borrow, default)]
    reasoning_text: Option<Told<'a>>,
    #[serde(borrow, default)]
    redacted_content: Option<Txt<'a>>,
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(default)]
    text: String,
    #[serde(borrow, default)]
    signature: Option<Txt<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CachePoint<'a> {
    #[serde(borrow)]
    r#type: Txt<'a>,
    #[serde(default)]
    ttl: Option<String>,
}

#[derive(Deserialize)]
struct Cited<'a> {
    #[serde(default)]
    content: Vec<Said>,
    #[serde(borrow, default)]
    citations: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    text: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireCitation {
    title: Option<String>,
    source: Option<String>,
    source_content: Vec<Said>,
    location: Option<Location>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location {
    web: Option<Web>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Web {
    url: Option<String>,
}

/// Reads one block behind `parts`. `origin` is the provider, where one speaks.
///
/// # Errors
/// What is wrong with it.
pub(in super::super) fn block(
    raw: &RawValue,
    origin: Option<&Origin>,
    parts: &mut Vec<Part>,
) -> Result<(), Wrong> {
    let object: Object<'_> = object(raw).ok_or("a block must be an object")?;
    if object.is_empty() {
        return Err("a block must have a member that says what it is");
    }
    for (name, value) in object {
        let name = name.0.as_ref();
        if !known(name, value, origin, parts)? {
            parts.push(native(name, value));
        }
    }
    Ok(())
}

/// Reads a block of a known name; `false` when it has what the neutral form has not.
fn known(
    name: &str,
    value: &RawValue,
    origin: Option<&Origin>,
    parts: &mut Vec<Part>,
) -> Result<bool, Wrong> {
    match name {
        "text" => parts.push(Part::text(text(value).ok_or("\"text\" must be text")?)),
        "image" => return Ok(medium(MediaKind::Image, value, parts).is_some()),
        "document" => return Ok(medium(MediaKind::Document, value, parts).is_some()),
        "video" => return Ok(medium(MediaKind::Video, value, parts).is_some()),
        "audio" => return Ok(medium(MediaKind::Audio, value, parts).is_some()),
        "toolUse" => return call(value, parts),
        "toolResult" => return outcome(value, origin, parts),
        "reasoningContent" => return Ok(thought(value, origin, parts).is_some()),
        "cachePoint" => {
            let Some(mark) = mark(value) else { return Ok(false) };
            match parts.last_mut() {
                Some(part) if part.cache.is_none() => part.cache = Some(mark),
                _ => return Ok(false),
            }
        }
        "citationsContent" => return Ok(cited(value, parts).is_some()),
        _ => return Ok(false),
    }
    Ok(true)
}

/// A block that only this dialect has.
fn native(name: &str, value: &RawValue) -> Part {
    Part::new(Content::Native(Native { dialect: NAME, name: name.into(), json: value.to_owned() }))
}

/// A mark of the prompt cache, if it has no more to say than the neutral form can.
pub(in super::super) fn mark(value: &RawValue) -> Option<CacheMark> {
    let point: CachePoint<'_> = serde_json::from_str(value.get()).ok()?;
    (point.r#type.0 == "default").then_some(CacheMark { ttl: point.ttl })
}

fn object(raw: &RawValue) -> Option<Object<'_>> {
    serde_json::from_str(raw.get()).ok()
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn call(value: &RawValue, parts: &mut Vec<Part>) -> Result<bool, Wrong> {
    let call: ToolUse<'_> = serde_json::from_str(value.get())
        .map_err(|_| "\"toolUse\" must have \"toolUseId\", \"name\" and \"input\"")?;
    if call.r#type.is_some_and(|kind| kind.0 != "tool_use") {
        return Ok(false);
    }
    parts.push(Part::new(Content::Call(Call {
        id: call.tool_use_id,
        name: call.name,
        arguments: call.input.map_or_else(|| "{}".into(), |input| input.get().to_owned()),
        kind: CallKind::Function,
        seal: None,
    })));
    Ok(true)
}

fn outcome(value: &RawValue, origin: Option<&Origin>, parts: &mut Vec<Part>) -> Result<bool, Wrong> {
    let result: ToolResult<'_> = serde_json::from_str(value.get())
        .map_err(|_| "\"toolResult\" must have \"toolUseId\" and \"content\"")?;
    if result.r#type.is_some_and(|kind| kind.0 != "tool_result") {
        return Ok(false);
    }
    let mut inner = Vec::with_capacity(result.content.len());
    for raw in result.content {
        let json = object(raw)
            .filter(|block| block.len() == 1)
            .and_then(|mut block| block.remove(&Txt("json".into())));
        match json {
            // JSON is what a text may be as well: the model reads the same.
            Some(json) => inner.push(Part::text(json.get())),
            None => block(raw, origin, &mut inner)?,
        }
    }
    parts.push(Part::new(Content::Outcome(Outcome {
        id: result.tool_use_id,
        name: None,
        parts: inner,
        failed: result.status.is_some_and(|status| status.0 == "error"),
        kind: CallKind::Function,
    })));
    Ok(true)
}

fn thought(value: &RawValue, origin: Option<&Origin>, parts: &mut Vec<Part>) -> Option<()> {
    let thought: Thought<'_> = serde_json::from_str(value.get()).ok()?;
    let reasoning = match (thought.reasoning_text, thought.redacted_content) {
        (Some(told), None) => {
            let seal = told.signature.map(|signature| seal(origin, "signature", &signature.0));
            Reasoning { text: told.text, summary: false, seal }
        }
        (None, Some(redacted)) => {
            let seal = seal(origin, "redacted", &redacted.0);
            if let Some(kind) = seal.kind.strip_prefix(BOUND) {
                let bound = Seal { kind: kind.into(), ..seal.clone() };
                match parts.last_mut().map(|part| &mut part.content) {
                    Some(Content::Call(call)) if call.seal.is_none() => call.seal = Some(bound),
                    Some(Content::Text(text)) if text.seal.is_none() => text.seal = Some(bound),
                    _ => {}
                }
                return Some(());
            }
            Reasoning { text: String::new(), summary: false, seal: Some(seal) }
        }
        _ => return None,
    };
    parts.push(Part::new(Content::Reasoning(reasoning)));
    Some(())
}

/// The state that stands in the dialect's own place for one.
pub(in super::super) fn seal(origin: Option<&Origin>, kind: &str, text: &str) -> Seal {
    match origin {
        Some(origin) => Seal::of(origin, NAME, kind, text),
        None => Seal::read(NAME, kind, text),
    }
}

fn cited(value: &RawValue, parts: &mut Vec<Part>) -> Option<()> {
    let cited: Cited<'_> = serde_json::from_str(value.get()).ok()?;
    let text = cited.content.into_iter().map(|said| said.text).collect();
    let citations = cited.citations.into_iter().map(citation).collect();
    parts.push(Part::new(Content::Text(Text { text, citations, seal: None })));
    Some(())
}

/// A citation, its own words kept.
pub(in super::super) fn citation(raw: &RawValue) -> Citation {
    let told: WireCitation = serde_json::from_str(raw.get()).unwrap_or_default();
    let quote: String = told.source_content.into_iter().map(|said| said.text).collect();
    Citation {
        url: told.location.and_then(|location| location.web?.url).or(told.source),
        title: told.title,
        quote: (!quote.is_empty()).then_some(quote),
        span: None,
        native: Some(Native { dialect: NAME, name: "citation".into(), json: raw.to_owned() }),
    }
}

/// A medium, and behind it what the neutral form has no place for: [`Native`]s by the names `document.citations` and the
/// like, which belong to the medium before them. `None` when it cannot be said so.
fn medium(kind: MediaKind, value: &RawValue, parts: &mut Vec<Part>) -> Option<()> {
    let mut members: BTreeMap<_, _> = object(value)?;
    let mut take = |name: &'static str| members.remove(&Txt(name.into()));
    let format = text(take("format")?)?;
    let raw_source = take("source")?;
    let name = take("name").and_then(text);
    let (source, exact) = source(raw_source)?;
    let mime = wire::mime(kind, &format);
    let of = wire::name(kind);
    let mut behind = Vec::new();
    if !exact {
        behind.push(native(&format!("{of}.source"), raw_source));
    }
    // A format that the dialect does not know stays as it is, with its block.
    if wire::format(kind, &mime)? != format {
        let json = serde_json::value::to_raw_value(&format).ok()?;
        behind.push(native(&format!("{of}.format"), &json));
    }
    behind.extend(members.into_iter().map(|(name, json)| native(&format!("{of}.{}", name.0), json)));
    let media = Media { kind, source, mime: Some(mime), name, detail: None };
    parts.push(Part::new(Content::Media(media)));
    parts.append(&mut behind);
    Some(())
}

/// Where the bytes are, and whether that is all there is to say of it.
fn source(raw: &RawValue) -> Option<(Source, bool)> {
    #[derive(Deserialize)]
    struct S3 {
        uri: String,
    }
    let members = object(raw)?;
    let (name, value) = members.iter().next().filter(|_| members.len() == 1)?;
    match name.0.as_ref() {
        "bytes" => Some((Source::Base64(text(value)?), true)),
        "text" => Some((Source::Text(text(value)?), true)),
        "s3Location" => {
            let exact = object(value)?.len() == 1;
            let place: S3 = serde_json::from_str(value.get()).ok()?;
            Some((Source::Url(place.uri), exact))
        }
        "content" => {
            let said: Vec<Said> = serde_json::from_str(value.get()).ok()?;
            let texts: Vec<String> = said.into_iter().map(|said| said.text).collect();
            Some((Source::Text(texts.join("\n")), false))
        }
        _ => None,
    }
}
