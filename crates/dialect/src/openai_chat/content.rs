//! The parts of messages, read. Requests and answers have them in common.
//!
//! What the neutral form has no place for becomes [`Native`], named by where it stood: `content.TYPE` is a part,
//! `part.MEMBER` a further member of the part before it, `call.MEMBER` one of the call before it, and anything else a
//! member of the message (behind `message.`, if it could be taken for one of these).

use std::borrow::Cow;

use lockgate_core::Error;
use serde_json::value::RawValue;

use super::members::{Members, Path, begins};
use super::{NAME, ids, media, reasoning};
use crate::neutral::{CacheMark, Call, CallKind, Citation, Content, Native, Part, Text};
use crate::seal::Origin;

/// What only this dialect has.
pub(super) fn native(name: impl Into<String>, raw: &RawValue) -> Native {
    Native { dialect: NAME, name: name.into(), json: raw.to_owned() }
}

/// Reads the content of a message: text, or a list of parts. `origin` is the provider, in an answer.
///
/// # Errors
/// A caller's error that says which member is wrong.
pub(super) fn read(
    raw: Option<&RawValue>,
    path: &Path<'_>,
    origin: Option<&Origin>,
    parts: &mut Vec<Part>,
) -> Result<(), Error> {
    let Some(raw) = raw else { return Ok(()) };
    if begins(raw, b'"') {
        let text = path.text(raw)?;
        if !text.is_empty() {
            parts.push(Part::text(text));
        }
        return Ok(());
    }
    if !begins(raw, b'[') {
        return Err(path.wrong("a string or an array of parts"));
    }
    for (at, raw) in path.list(raw)?.into_iter().enumerate() {
        let path = Path::Item(path, at);
        if begins(raw, b'"') {
            parts.push(Part::text(path.text(raw)?));
        } else {
            part(raw, &path, origin, parts)?;
        }
    }
    Ok(())
}

fn part(
    raw: &RawValue,
    path: &Path<'_>,
    origin: Option<&Origin>,
    parts: &mut Vec<Part>,
) -> Result<(), Error> {
    let mut members = path.object(raw)?;
    let kind = path.text_of(&mut members, "type")?.ok_or_else(|| path.missing("type"))?;
    let mark = members.take("cache_control");
    let cache = mark.map(|raw| cache_mark(raw, &Path::Member(path, "cache_control"))).transpose()?;
    let content = match &*kind {
        "text" | "input_text" | "output_text" => {
            let text = path.text_of(&mut members, "text")?.ok_or_else(|| path.missing("text"))?;
            if text.is_empty() && cache.is_none() {
                return Ok(());
            }
            Content::Text(Text { text: text.into_owned(), ..Text::default() })
        }
        "refusal" => {
            let text = path.text_of(&mut members, "refusal")?.ok_or_else(|| path.missing("refusal"))?;
            Content::Refusal(text.into_owned())
        }
        "thinking" => Content::Reasoning(reasoning::content_part(&mut members, path, origin)?),
        other => match media::read(other, &mut members, path)? {
            Some(media) => Content::Media(media),
            None => {
                let native = native(format!("content.{other}"), raw);
                parts.push(Part::new(Content::Native(native)));
                return Ok(());
            }
        },
    };
    parts.push(Part { content, cache });
    if origin.is_none() {
        parts.extend(natives("part.", members));
    }
    Ok(())
}

fn natives<'a>(prefix: &'a str, members: Members<'a>) -> impl Iterator<Item = Part> + 'a {
    members.rest().map(move |(name, raw)| Part::new(Content::Native(native(format!("{prefix}{name}"), raw))))
}

/// A member of a message that the neutral form does not have.
pub(super) fn member(name: &str, raw: &RawValue) -> Part {
    let taken = ["part.", "call.", "content.", "tool_calls.", "message."];
    let name = if taken.iter().any(|prefix| name.starts_with(prefix)) {
        format!("message.{name}")
    } else {
        name.to_owned()
    };
    Part::new(Content::Native(native(name, raw)))
}

/// Reads a prompt-cache mark.
///
/// # Errors
/// A caller's error when it is no object.
pub(super) fn cache_mark(raw: &RawValue, path: &Path<'_>) -> Result<CacheMark, Error> {
    let mut members = path.object(raw)?;
    Ok(CacheMark { ttl: path.text_of(&mut members, "ttl")?.map(Cow::into_owned) })
}

/// Reads an assistant's message (its role is taken out already): thoughts, content, refusal, calls. `answer` is what is
/// known of the answer that it stands in: calls without an id get one from it.
///
/// # Errors
/// A caller's error that says which member is wrong.
pub(super) fn assistant(
    mut message: Members<'_>,
    path: &Path<'_>,
    origin: Option<&Origin>,
    answer: (&str, Option<u64>),
) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let signature = match message.take("extra_content") {
        Some(raw) => reasoning::signature(raw, &Path::Member(path, "extra_content"))?,
        None => None,
    };
    let _ = message.take("thought_signature");
    reasoning::read(&mut message, path, origin, &mut parts)?;
    let said = parts.len();
    read(message.take("content"), &Path::Member(path, "content"), origin, &mut parts)?;
    if let Some((whose, data)) = signature {
        sign(&mut parts, said, reasoning::seal(origin, &format!("message.{whose}"), &data));
    }
    if let Some(text) = path.text_of(&mut message, "refusal")?.filter(|text| !text.is_empty()) {
        parts.push(Part::new(Content::Refusal(text.into_owned())));
    }
    if origin.is_some()
        && let Some(raw) = message.take("annotations")
    {
        cite(&mut parts, said, citations(raw));
    }
    let mut calls = 0;
    if let Some(raw) = message.take("tool_calls") {
        let path = Path::Member(path, "tool_calls");
        for (at, raw) in path.list(raw)?.into_iter().enumerate() {
            call(raw, &Path::Item(&path, at), origin, (answer, calls), &mut parts)?;
            calls += 1;
        }
    }
    if let Some(raw) = message.take("function_call") {
        let path = Path::Member(path, "function_call");
        let mut function = path.object(raw)?;
        let name = path.text_of(&mut function, "name")?.unwrap_or_default().into_owned();
        if !name.is_empty() {
            let arguments = arguments(function.take("arguments"), &Path::Member(&path, "arguments"))?;
            let id = ids::made_up(answer.0, answer.1, calls);
            let call = Call { id, name, arguments, kind: CallKind::Function, seal: None };
            parts.push(Part::new(Content::Call(call)));
        }
    }
    if origin.is_none() {
        parts.extend(message.rest().map(|(name, raw)| member(&name, raw)));
    } else {
        // Of an answer only what a client could act on: the rest says how the provider works.
        for name in ["audio", "images"] {
            let Some(raw) = message.take(name).filter(|raw| raw.get().len() > 2) else { continue };
            if name == "images" {
                read(Some(raw), &Path::Member(path, name), origin, &mut parts)?;
            } else if has_sound(raw) {
                parts.push(Part::new(Content::Native(native(name, raw))));
            }
        }
    }
    Ok(parts)
}

fn has_sound(raw: &RawValue) -> bool {
    serde_json::from_str::<Members<'_>>(raw.get())
        .ok()
        .and_then(|mut audio| audio.take("data"))
        .is_some_and(|data| data.get().len() > 2)
}

/// A signature of the message belongs to its text, if another dialect's; one of this dialect's providers stands alone.
fn sign(parts: &mut Vec<Part>, said: usize, seal: crate::seal::Seal) {
    if reasoning::is_foreign(&seal)
        && let Some(Content::Text(text)) = parts.get_mut(said).map(|part| &mut part.content)
    {
        text.seal = Some(seal);
        return;
    }
    let thought = crate::neutral::Reasoning { seal: Some(seal), ..Default::default() };
    parts.insert(said, Part::new(Content::Reasoning(thought)));
}

/// Puts sources to the last text of an answer.
pub(super) fn cite(parts: &mut [Part], from: usize, found: Vec<Citation>) {
    let texts = parts.iter_mut().skip(from).rev();
    let mut texts = texts.filter_map(|part| match &mut part.content {
        Content::Text(text) => Some(text),
        _ => None,
    });
    if let Some(text) = texts.next() {
        text.citations.extend(found);
    }
}

/// Reads `annotations`; what is not of their form is passed over.
pub(super) fn citations(raw: &RawValue) -> Vec<Citation> {
    #[derive(serde::Deserialize)]
    struct Annotation {
        url_citation: Option<Url>,
    }
    #[derive(serde::Deserialize)]
    struct Url {
        url: Option<String>,
        title: Option<String>,
        content: Option<String>,
        start_index: Option<u64>,
        end_index: Option<u64>,
    }
    let all: Vec<Annotation> = serde_json::from_str(raw.get()).unwrap_or_default();
    all.into_iter()
        .filter_map(|annotation| annotation.url_citation)
        .map(|url| Citation {
            span: url.start_index.zip(url.end_index).filter(|(start, end)| start < end),
            url: url.url,
            title: url.title.filter(|title| !title.is_empty()),
            quote: url.content.filter(|quote| !quote.is_empty()),
            native: None,
        })
        .collect()
}

fn call(
    raw: &RawValue,
    path: &Path<'_>,
    origin: Option<&Origin>,
    (answer, at): ((&str, Option<u64>), usize),
    parts: &mut Vec<Part>,
) -> Result<(), Error> {
    let mut members = path.object(raw)?;
    let kind = path.text_of(&mut members, "type")?.unwrap_or(Cow::Borrowed("function"));
    let id = path.text_of(&mut members, "id")?.filter(|id| !id.is_empty());
    let id = id.map_or_else(|| ids::made_up(answer.0, answer.1, at), Cow::into_owned);
    let seal = match members.take("extra_content") {
        Some(raw) => reasoning::signature(raw, &Path::Member(path, "extra_content"))?,
        None => None,
    };
    let seal = seal.map(|(whose, data)| reasoning::seal(origin, whose, &data));
    let mark = members.take("cache_control");
    let cache = mark.map(|raw| cache_mark(raw, &Path::Member(path, "cache_control"))).transpose()?;
    // Only of use in streams; some clients send it back.
    let _ = members.take("index");
    let (member, words, kind) = match &*kind {
        "custom" => ("custom", "input", CallKind::Custom),
        "function" => ("function", "arguments", CallKind::Function),
        _ => {
            parts.push(Part::new(Content::Native(native(format!("tool_calls.{kind}"), raw))));
            return Ok(());
        }
    };
    let inner = members.take(member).ok_or_else(|| path.missing(member))?;
    let inner_path = Path::Member(path, member);
    let mut function = inner_path.object(inner)?;
    let name = inner_path.text_of(&mut function, "name")?.ok_or_else(|| inner_path.missing("name"))?;
    let arguments = arguments(function.take(words), &Path::Member(&inner_path, words))?;
    let call = Call { id, name: name.into_owned(), arguments, kind, seal };
    parts.push(Part { content: Content::Call(call), cache });
    if origin.is_none() {
        parts.extend(natives("call.", members));
    }
    Ok(())
}

/// The arguments of a call: text, though some servers write the object itself.
fn arguments(raw: Option<&RawValue>, path: &Path<'_>) -> Result<String, Error> {
    match raw {
        None => Ok(String::new()),
        Some(raw) if begins(raw, b'"') => path.text(raw).map(Cow::into_owned),
        Some(raw) => Ok(raw.get().to_owned()),
    }
}
