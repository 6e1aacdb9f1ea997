//! Content blocks read, of requests and of answers.
//!
//! What a block has and the neutral form has not goes before it as a [`Native`] whose name is the block's type, a dot and
//! the member: a note to the part that follows. Only this dialect's writer knows what to do with it.

use serde_json::value::RawValue;

use super::NAME;
use super::wire::{Members, items, text};
use crate::neutral::{
    CacheMark, Call, CallKind, Citation, Content, Media, MediaKind, Native, Outcome, Part, Reasoning, Source,
    Text,
};
use crate::seal::Seal;

/// Outcomes hold blocks, and those none.
const MAX_NESTING: usize = 1;

/// Marks, behind the kind of a state that another dialect bound to a call or a text, on which side of the block that
/// carries it the bound part stands.
pub(crate) const BOUND_TO_NEXT: &str = "@next";
/// The same for the part before.
pub(crate) const BOUND_TO_LAST: &str = "@last";

/// The note of a call that the model did not make itself.
pub(crate) const CALLER: &str = "tool_use.caller";

/// What is wrong with a block, and where below the list of blocks.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) at: String,
    pub(crate) why: &'static str,
}

/// Reads blocks; `seal` makes a state of its kind and its text.
pub(crate) struct Reader<'r> {
    pub(crate) seal: &'r dyn Fn(&'static str, &str) -> Seal,
}

// === impl Flaw ===

impl Flaw {
    pub(crate) fn new(at: impl Into<String>, why: &'static str) -> Self {
        Self { at: at.into(), why }
    }

    fn within(self, outer: &str) -> Self {
        let dot = if self.at.is_empty() { "" } else { "." };
        Self { at: format!("{outer}{dot}{}", self.at), why: self.why }
    }
}

// === impl Reader ===

impl Reader<'_> {
    /// The parts of a `content`: text, or an array of blocks.
    pub(crate) fn content(&self, raw: &RawValue) -> Result<Vec<Part>, Flaw> {
        self.nested(raw, 0)
    }

    fn nested(&self, raw: &RawValue, depth: usize) -> Result<Vec<Part>, Flaw> {
        if let Some(text) = text(raw) {
            return Ok(vec![Part::text(text)]);
        }
        let blocks = items(raw).ok_or(Flaw::new("", "must be text or an array of blocks"))?;
        let mut parts = Vec::with_capacity(blocks.len());
        for (at, block) in blocks.into_iter().enumerate() {
            self.block(block, depth, &mut parts).map_err(|flaw| flaw.within(&format!("[{at}]")))?;
        }
        Ok(parts)
    }

    /// Reads one block, with the notes that go before it.
    pub(crate) fn one(&self, raw: &RawValue) -> Result<Vec<Part>, Flaw> {
        let mut parts = Vec::with_capacity(1);
        self.block(raw, 0, &mut parts)?;
        Ok(parts)
    }

    fn block(&self, raw: &RawValue, depth: usize, parts: &mut Vec<Part>) -> Result<(), Flaw> {
        let mut members = Members::of(raw)
            .ok_or(Flaw::new("", "must be an object, with no member twice and no more than 512"))?;
        let kind = members.take_text("type").ok_or(Flaw::new("type", "must be text"))?;
        let content = match &*kind {
            "text" => Some(Content::Text(self.text(&mut members)?)),
            "image" => media(MediaKind::Image, &mut members).map(Content::Media),
            "document" => media(MediaKind::Document, &mut members).map(Content::Media),
            "thinking" => Some(Content::Reasoning(self.thinking(&mut members)?)),
            "redacted_thinking" => {
                let thought = self.redacted(&mut members)?;
                if thought.seal.as_ref().is_some_and(Seal::is_nobodys) {
                    return Ok(());
                }
                Some(Content::Reasoning(thought))
            }
            "tool_use" => Some(Content::Call(call(&mut members)?)),
            "tool_result" if depth < MAX_NESTING => {
                Some(Content::Outcome(self.outcome(&mut members, depth)?))
            }
            _ => None,
        };
        let Some(content) = content else {
            let native = Native { dialect: NAME, name: kind.into_owned(), json: raw.to_owned() };
            parts.push(Part::new(Content::Native(native)));
            return Ok(());
        };
        let (cache, whole) = members.get("cache_control").map_or((None, true), cache_mark);
        if whole {
            members.take("cache_control");
        }
        for (name, value) in members.rest() {
            // Who called a tool matters only when it was not the model itself.
            if name == "caller" && is_direct(value) {
                continue;
            }
            parts.push(Part::new(Content::Native(note(&kind, &name, value))));
        }
        parts.push(Part { content, cache });
        Ok(())
    }

    fn text(&self, members: &mut Members<'_>) -> Result<Text, Flaw> {
        let text = members.take_text("text").ok_or(Flaw::new("text", "must be text"))?.into_owned();
        let citations = members.take("citations").and_then(items).unwrap_or_default();
        Ok(Text { text, citations: citations.into_iter().map(citation).collect(), seal: None })
    }

    fn thinking(&self, members: &mut Members<'_>) -> Result<Reasoning, Flaw> {
        let text = members.take_text("thinking").ok_or(Flaw::new("thinking", "must be text"))?.into_owned();
        let seal = match members.take("signature").map(text_of) {
            None => None,
            Some(Some(signature)) if signature.is_empty() => None,
            Some(Some(signature)) => {
                Some((self.seal)("signature", &signature)).filter(|seal| !seal.is_nobodys())
            }
            Some(None) => return Err(Flaw::new("signature", "must be text")),
        };
        Ok(Reasoning { text, summary: true, seal })
    }

    fn redacted(&self, members: &mut Members<'_>) -> Result<Reasoning, Flaw> {
        let data = members.take_text("data").ok_or(Flaw::new("data", "must be text"))?;
        Ok(Reasoning { text: String::new(), summary: false, seal: Some((self.seal)("redacted", &data)) })
    }

    fn outcome(&self, members: &mut Members<'_>, depth: usize) -> Result<Outcome, Flaw> {
        let id =
            members.take_text("tool_use_id").ok_or(Flaw::new("tool_use_id", "must be text"))?.into_owned();
        let parts = match members.take("content") {
            None => Vec::new(),
            Some(raw) => self.nested(raw, depth + 1).map_err(|flaw| flaw.within("content"))?,
        };
        let failed = match members.take("is_error").map(RawValue::get) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Flaw::new("is_error", "must be true or false")),
        };
        Ok(Outcome { id, name: None, parts, failed, kind: CallKind::Function })
    }
}

/// Gives states that other dialects bound to a call or a text back to it.
pub(crate) fn bind_seals(parts: &mut Vec<Part>) {
    let mut at = 0;
    while let Some(part) = parts.get(at) {
        let bound = match &part.content {
            Content::Reasoning(Reasoning { text, seal: Some(seal), .. }) if text.is_empty() => seal
                .kind
                .strip_suffix(BOUND_TO_NEXT)
                .map(|kind| (kind, 1_isize))
                .or_else(|| seal.kind.strip_suffix(BOUND_TO_LAST).map(|kind| (kind, -1)))
                .map(|(kind, step)| (Seal { kind: kind.into(), ..seal.clone() }, step)),
            _ => None,
        };
        let Some((seal, step)) = bound else {
            at += 1;
            continue;
        };
        let place = at.checked_add_signed(step).and_then(|other| parts.get_mut(other));
        let taken = match place.map(|part| &mut part.content) {
            Some(
                Content::Call(Call { seal: place @ None, .. })
                | Content::Text(Text { seal: place @ None, .. }),
            ) => {
                *place = Some(seal.clone());
                true
            }
            _ => false,
        };
        if taken {
            parts.remove(at);
        } else {
            if let Some(Part { content: Content::Reasoning(reasoning), .. }) = parts.get_mut(at) {
                reasoning.seal = Some(seal);
            }
            at += 1;
        }
    }
}

/// A `cache_control` as a mark, and whether that is all it says.
pub(crate) fn cache_mark(raw: &RawValue) -> (Option<CacheMark>, bool) {
    let Some(mut members) = Members::of(raw) else { return (None, false) };
    if members.take_text("type").as_deref() != Some("ephemeral") {
        return (None, false);
    }
    let ttl = members.take_text("ttl").map(std::borrow::Cow::into_owned);
    (Some(CacheMark { ttl }), members.rest().next().is_none())
}

/// A note for the part that follows.
pub(crate) fn note(kind: &str, name: &str, value: &RawValue) -> Native {
    Native { dialect: NAME, name: format!("{kind}.{name}"), json: value.to_owned() }
}

/// The member that a note sets, if a native is a note of this dialect.
pub(crate) fn noted(native: &Native) -> Option<&str> {
    if native.dialect != NAME {
        return None;
    }
    native.name.split_once('.').map(|(_, member)| member)
}

/// Reads a source of a text.
pub(crate) fn citation(raw: &RawValue) -> Citation {
    let Some(mut members) = Members::of(raw) else { return Citation::default() };
    let mut taken = |name| members.take_text(name).map(std::borrow::Cow::into_owned);
    let kind = taken("type").unwrap_or_default();
    let url = taken("url").or_else(|| taken("source")).filter(|url| url.contains("://"));
    let title = taken("title").or_else(|| taken("document_title"));
    let quote = taken("cited_text");
    // One that the gateway wrote for another provider's source has no index, and this provider refuses it.
    let foreign =
        kind == "web_search_result_location" && taken("encrypted_index").is_none_or(|i| i.is_empty());
    let native = (!foreign).then(|| Native { dialect: NAME, name: kind, json: raw.to_owned() });
    Citation { url, title, quote, span: None, native }
}

fn media(kind: MediaKind, members: &mut Members<'_>) -> Option<Media> {
    let mut source = Members::of(members.get("source")?)?;
    let form = source.take_text("type")?;
    let mut taken = |name| source.take_text(name).map(std::borrow::Cow::into_owned);
    let (data, mime) = match &*form {
        "base64" => {
            let mime = taken("media_type")?;
            (Source::Base64(taken("data")?), Some(mime))
        }
        "text" if kind == MediaKind::Document => {
            let mime = taken("media_type");
            (Source::Text(taken("data")?), mime)
        }
        "url" => (Source::Url(taken("url")?), None),
        "file" => (Source::File(taken("file_id")?), None),
        _ => return None,
    };
    if source.rest().next().is_some() {
        return None;
    }
    members.take("source");
    let name = match kind {
        MediaKind::Document => members.take_text("title").map(std::borrow::Cow::into_owned),
        _ => None,
    };
    Some(Media { kind, source: data, mime, name, detail: None })
}

fn call(members: &mut Members<'_>) -> Result<Call, Flaw> {
    let id = members.take_text("id").ok_or(Flaw::new("id", "must be text"))?.into_owned();
    let name = members.take_text("name").ok_or(Flaw::new("name", "must be text"))?.into_owned();
    let arguments = members.take("input").map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned());
    Ok(Call { id, name, arguments, kind: CallKind::Function, seal: None })
}

fn is_direct(caller: &RawValue) -> bool {
    Members::of(caller).and_then(|mut caller| caller.take_text("type")).as_deref() == Some("direct")
}

fn text_of(raw: &RawValue) -> Option<String> {
    text(raw).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Origin;

    fn parts(json: &str) -> Result<Vec<Part>, Flaw> {
        let raw = RawValue::from_string(json.into()).unwrap();
        Reader { seal: &|kind, data| Seal::read(NAME, kind, data) }.content(&raw)
    }

    #[test]
    fn what_the_neutral_form_lacks_stands_before_its_part() {
        let parts = parts(
            r#"[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"},
                 "title":"t","citations":{"enabled":true},"cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
        )
        .unwrap();
        let [note, document] = parts.as_slice() else { panic!("{parts:?}") };
        let Content::Native(note) = &note.content else { panic!("{note:?}") };
        assert_eq!((noted(note), note.json.get()), (Some("citations"), r#"{"enabled":true}"#));
        let Content::Media(media) = &document.content else { panic!("{document:?}") };
        assert_eq!((media.source.clone(), media.name.as_deref()), (Source::Text("x".into()), Some("t")));
        assert_eq!(document.cache, Some(CacheMark { ttl: Some("1h".into()) }));
    }

    #[test]
    fn a_mark_that_says_more_is_kept_as_a_note_too() {
        let parts =
            parts(r#"[{"type":"text","text":"x","cache_control":{"type":"ephemeral","scope":"global"}}]"#)
                .unwrap();
        assert!(matches!(&parts[0].content, Content::Native(n) if n.name == "text.cache_control"));
        assert_eq!(parts[1].cache, Some(CacheMark { ttl: None }));
    }

    #[test]
    fn arguments_are_kept_as_they_are_written() {
        let parts = parts(r#"[{"type":"tool_use","id":"a","name":"f","input":{"z":1.0,"a": 1e3}}]"#).unwrap();
        let Content::Call(call) = &parts[0].content else { panic!("{parts:?}") };
        assert_eq!(call.arguments, r#"{"z":1.0,"a": 1e3}"#);
    }

    #[test]
    fn a_flaw_says_where_it_is() {
        let flaw = parts(r#"[{"type":"text","text":"a"},{"type":"tool_result","tool_use_id":"a","content":[{"type":"text"}]}]"#)
            .unwrap_err();
        assert_eq!(flaw.at, "[1].content.[0].text");
        assert_eq!(parts("7").unwrap_err().at, "");
    }

    #[test]
    fn a_state_that_was_bound_to_a_call_comes_back_to_it() {
        let seal = Seal::of(&Origin("gemini".into()), "gemini.generate", "thought", "sig");
        for (kind, order) in [(BOUND_TO_NEXT, [0, 1]), (BOUND_TO_LAST, [1, 0])] {
            let travelling = Seal { kind: format!("thought{kind}").into(), ..seal.clone() };
            let blocks = [
                format!(r#"{{"type":"redacted_thinking","data":"{}"}}"#, travelling.wrapped()),
                r#"{"type":"tool_use","id":"a","name":"f","input":{}}"#.to_owned(),
            ];
            let json = format!("[{},{}]", blocks[order[0]], blocks[order[1]]);
            let mut parts = parts(&json).unwrap();
            bind_seals(&mut parts);
            let [Part { content: Content::Call(call), .. }] = parts.as_slice() else { panic!("{parts:?}") };
            assert_eq!(call.seal.as_ref(), Some(&seal));
        }
    }
}
