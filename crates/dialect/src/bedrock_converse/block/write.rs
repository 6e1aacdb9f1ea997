//! Blocks as they are written.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::wire::{self, Block, Cited, Medium, Place, Said, Thought, ToolUse};
use super::BOUND;
use crate::neutral::{Call, CallKind, Citation, Media, MediaKind, Native, Reasoning, Source, Text};
use crate::seal::Seal;
use crate::{Losses, pairing};

/// The longest id of a call.
const MAX_ID: usize = 64;
/// The longest name of a document.
const MAX_NAME: usize = 200;

/// An id of a call as the dialect takes it: letters, digits, `_` and `-`. One that does not fit is mapped, the same to
/// the same and different ones to different ones.
pub(in super::super) fn id(id: &str) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(fits) {
        return Cow::Borrowed(id);
    }
    let kept = id.bytes().take(MAX_ID - 17).map(|byte| if fits(byte) { char::from(byte) } else { '_' });
    Cow::Owned(format!("{}_{:016x}", kept.collect::<String>(), pairing::digest(id.as_bytes())))
}

/// A call; its arguments become an object.
pub(in super::super) fn call<'a>(call: &'a Call, losses: &mut Losses) -> Block<'a> {
    Block::ToolUse(ToolUse {
        tool_use_id: id(&call.id),
        name: Cow::Borrowed(&call.name),
        input: input(call, losses),
    })
}

fn input<'a>(call: &'a Call, losses: &mut Losses) -> Cow<'a, RawValue> {
    #[derive(Serialize)]
    struct Value<'a> {
        value: &'a RawValue,
    }
    #[derive(Serialize)]
    struct Input<'a> {
        input: &'a str,
    }
    let raw = serde_json::from_str::<&RawValue>(&call.arguments).ok();
    let owned = match raw {
        Some(raw) if call.kind == CallKind::Function && raw.get().starts_with('{') => {
            return Cow::Borrowed(raw);
        }
        _ if call.kind == CallKind::Custom => {
            serde_json::value::to_raw_value(&Input { input: &call.arguments })
        }
        _ if ["", "null"].contains(&call.arguments.trim()) => RawValue::from_string("{}".into()),
        Some(value) => {
            losses.lose(
                "messages.tool_calls.arguments",
                "the target wants an object; other JSON is its \"value\"",
            );
            serde_json::value::to_raw_value(&Value { value })
        }
        None => {
            losses.lose(
                "messages.tool_calls.arguments",
                "the target wants an object; what is not JSON is its \"input\"",
            );
            serde_json::value::to_raw_value(&Input { input: &call.arguments })
        }
    };
    Cow::Owned(owned.unwrap_or_else(|_| RawValue::NULL.to_owned()))
}

/// A text with the sources that this dialect gave it, or, for a client (`all`), with all.
pub(in super::super) fn text<'a>(text: &'a Text, all: bool, losses: &mut Losses) -> Option<Block<'a>> {
    let citations: Vec<Cow<'a, RawValue>> =
        text.citations.iter().filter_map(|citation| self::citation(citation, all)).collect();
    if citations.len() < text.citations.len() {
        losses.lose("messages.citations", "the target takes only its own");
    }
    let blank = text.text.trim().is_empty();
    if citations.is_empty() {
        return (!blank).then_some(Block::Text(Cow::Borrowed(&text.text)));
    }
    let content = if text.text.is_empty() { Vec::new() } else { vec![Said { text: &text.text }] };
    Some(Block::Citations(Cited { content, citations }))
}

/// A citation as its own dialect wrote it, or as this one words it.
pub(in super::super) fn citation(citation: &Citation, all: bool) -> Option<Cow<'_, RawValue>> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        source_content: Vec<Said<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<Location<'a>>,
    }
    #[derive(Serialize)]
    struct Location<'a> {
        web: Web<'a>,
    }
    #[derive(Serialize)]
    struct Web<'a> {
        url: &'a str,
    }
    match &citation.native {
        Some(native) if native.dialect == NAME => return Some(Cow::Borrowed(&native.json)),
        _ if !all => return None,
        _ => {}
    }
    let wire = Wire {
        title: citation.title.as_deref(),
        source_content: citation.quote.iter().map(|text| Said { text }).collect(),
        location: citation.url.as_deref().map(|url| Location { web: Web { url } }),
    };
    serde_json::value::to_raw_value(&wire).ok().map(Cow::Owned)
}

/// A thought as a client gets it.
pub(in super::super) fn thought(reasoning: &Reasoning) -> Option<Block<'_>> {
    let thought = match &reasoning.seal {
        Some(seal) if &*seal.dialect == NAME && &*seal.kind == "redacted" => {
            Thought::RedactedContent(Cow::Borrowed(&seal.data))
        }
        Some(seal) if &*seal.dialect != NAME && reasoning.text.is_empty() => {
            Thought::RedactedContent(Cow::Owned(seal.wrapped()))
        }
        Some(seal) => {
            let signature = if &*seal.dialect == NAME {
                Cow::Borrowed(seal.data.as_str())
            } else {
                Cow::Owned(seal.wrapped())
            };
            Thought::ReasoningText { text: Cow::Borrowed(&reasoning.text), signature: Some(signature) }
        }
        None if reasoning.text.is_empty() => return None,
        None => Thought::ReasoningText { text: Cow::Borrowed(&reasoning.text), signature: None },
    };
    Some(Block::Reasoning(thought))
}

/// The state of a call or a text as a client gets it: a block behind it.
pub(in super::super) fn bound(seal: &Seal) -> String {
    Seal { kind: format!("{BOUND}{}", seal.kind).into(), ..seal.clone() }.wrapped()
}

/// The names of documents: each once, in the letters that are taken.
#[derive(Debug, Default)]
pub(in super::super) struct Names {
    taken: HashSet<String>,
    /// Only ever counts up, so that many documents of one name cost no more than others.
    next: usize,
}

impl Names {
    /// The name for a document that is called so.
    pub(in super::super) fn name<'a>(&mut self, wanted: Option<&'a str>) -> Cow<'a, str> {
        let base = wanted.map_or(Cow::Borrowed("document"), clean);
        if self.taken.insert(base.clone().into_owned()) {
            return base;
        }
        let short: String = base.chars().take(MAX_NAME - 12).collect();
        loop {
            self.next += 1;
            let name = format!("{short}-{}", self.next + 1);
            if self.taken.insert(name.clone()) {
                return Cow::Owned(name);
            }
        }
    }
}

/// Letters, digits, single spaces, hyphens and brackets.
fn clean(name: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || " -()[]".contains(c);
    if !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(fits) && !name.contains("  ") {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len().min(MAX_NAME));
    for c in name.chars() {
        let c = if c.is_whitespace() {
            ' '
        } else if fits(c) {
            c
        } else {
            '-'
        };
        if out.len() < MAX_NAME && !(c == ' ' && (out.is_empty() || out.ends_with(' '))) {
            out.push(c);
        }
    }
    let out = out.trim_end();
    if out.is_empty() { Cow::Borrowed("document") } else { Cow::Owned(out.to_owned()) }
}

/// A medium.
///
/// # Errors
/// Why it cannot be sent.
pub(in super::super) fn media<'a>(media: &'a Media, names: &mut Names) -> Result<Medium<'a>, &'static str> {
    let kind = media.kind;
    let source = match &media.source {
        Source::Base64(data) => Place::Bytes(data),
        Source::Text(text) => Place::Text(text),
        Source::Url(uri) if uri.starts_with("s3://") => Place::S3(uri),
        Source::Url(_) => return Err("The target fetches nothing by URL but from S3: send the bytes."),
        Source::File(_) => return Err("The target does not know files by id: send the bytes."),
    };
    let text = matches!(media.source, Source::Text(_));
    let format = match media.mime.as_deref() {
        Some(mime) => wire::format(kind, mime).map(Cow::Borrowed),
        None => None,
    };
    let ending = || {
        let name = match &media.source {
            Source::Url(uri) => uri,
            _ => media.name.as_deref()?,
        };
        let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
        let mime = wire::mime(kind, &ending);
        Some(Cow::Owned(wire::format(kind, &mime)?.to_owned()))
    };
    let format = format
        .or_else(ending)
        .or_else(|| (text && kind == MediaKind::Document).then_some(Cow::Borrowed("txt")))
        .ok_or("The target does not take media of this type.")?;
    let name = (kind == MediaKind::Document).then(|| names.name(media.name.as_deref()));
    Ok(Medium { kind, format, name, source, more: Vec::new() })
}

/// Puts a native member into the block that it belongs to, or makes a block of it.
pub(in super::super) fn native<'a>(native: &'a Native, blocks: &mut Vec<Block<'a>>) {
    let Some((of, member)) = native.name.split_once('.') else {
        blocks.push(Block::Raw(Cow::Borrowed(&native.name), Cow::Borrowed(&native.json)));
        return;
    };
    let Some(Block::Media(medium)) = blocks.last_mut() else { return };
    if wire::name(medium.kind) != of {
        return;
    }
    match member {
        "source" => medium.source = Place::Raw(&native.json),
        "format" => {
            if let Ok(format) = serde_json::from_str::<String>(native.json.get()) {
                medium.format = Cow::Owned(format);
            }
        }
        _ => medium.more.push((member, &native.json)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_do_not_fit_are_mapped_alike_and_apart() {
        assert_eq!(id("tooluse_a-B9"), "tooluse_a-B9");
        let (a, b) = (id("call|1"), id("call:1"));
        assert_ne!(a, b);
        assert_eq!(a, id("call|1"));
        let long = "x".repeat(200);
        for mapped in [&a, &b, &id(&long), &id("")] {
            assert!(
                mapped.len() <= MAX_ID
                    && mapped.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
            );
        }
    }

    #[test]
    fn names_of_documents_are_clean_and_each_once() {
        let mut names = Names::default();
        assert_eq!(names.name(Some("Q3 report.v2.pdf")), "Q3 report-v2-pdf");
        assert_eq!(names.name(Some("Q3 report.v2.pdf")), "Q3 report-v2-pdf-2");
        assert_eq!(names.name(Some("a   b\t")), "a b");
        assert_eq!(names.name(Some("日本")), "--");
        assert_eq!(names.name(None), "document");
        assert_eq!(names.name(Some("")), "document-3");
        for _ in 0..50 {
            assert!(names.name(Some(&"x".repeat(300))).len() <= MAX_NAME);
        }
    }

    #[test]
    fn arguments_become_an_object_and_what_is_not_one_is_kept() {
        let said = |arguments: &str, kind| {
            let call =
                Call { id: "a".into(), name: "f".into(), arguments: arguments.into(), kind, seal: None };
            let mut losses = Losses::default();
            let input = input(&call, &mut losses).get().to_owned();
            (input, losses.is_empty())
        };
        assert_eq!(said(" {\"b\":1.0,\"a\":2}", CallKind::Function), ("{\"b\":1.0,\"a\":2}".into(), true));
        assert_eq!(said("", CallKind::Function), ("{}".into(), true));
        assert_eq!(said("[1]", CallKind::Function), ("{\"value\":[1]}".into(), false));
        assert_eq!(said("{\"a\":", CallKind::Function), ("{\"input\":\"{\\\"a\\\":\"}".into(), false));
        assert_eq!(said("*** patch", CallKind::Custom), ("{\"input\":\"*** patch\"}".into(), true));
    }
}
