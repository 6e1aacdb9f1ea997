//! Thoughts and the opaque states bound to them.
//!
//! Providers of this dialect have no common place for them. Each is known by the member it came in, which is the `kind`
//! of its state, so that it goes back in the same place:
//! `reasoning_content` or `reasoning` (words and no more), `reasoning.text`, `reasoning.summary`, `reasoning.encrypted`
//! (entries of `reasoning_details`; the state is the entry without its words), `thinking`, `redacted_thinking` (entries
//! of `thinking_blocks`), `content.thinking` (a part of the content), `message.google` (a signature of the message).
//! States of other dialects travel wrapped, as entries of `reasoning_details`.

use std::borrow::Cow;

use lockgate_core::Error;
use serde_json::value::RawValue;

use super::NAME;
use super::json::Object;
use super::members::{Members, Path, begins};
use crate::neutral::{Content, Part, Reasoning};
use crate::seal::{Origin, Seal};

/// The state of something in this dialect: as a provider sent it, or as a client did, which may have it from another
/// dialect.
pub(super) fn seal(origin: Option<&Origin>, kind: &str, data: &str) -> Seal {
    match origin {
        Some(origin) => Seal::of(origin, NAME, kind, data),
        None => Seal::read(NAME, kind, data),
    }
}

/// Whether it is another dialect's.
pub(super) fn is_foreign(seal: &Seal) -> bool {
    *seal.dialect != *NAME
}

/// Reads the thoughts of an assistant's message out of its members.
///
/// # Errors
/// A caller's error that says which member is wrong.
pub(super) fn read(
    message: &mut Members<'_>,
    path: &Path<'_>,
    origin: Option<&Origin>,
    parts: &mut Vec<Part>,
) -> Result<(), Error> {
    let details = message.take("reasoning_details");
    let blocks = message.take("thinking_blocks");
    let content = path.text_of(message, "reasoning_content")?.filter(|text| !text.is_empty());
    let other = message.take("reasoning").filter(|raw| begins(raw, b'"'));
    let other = other.map(|raw| Path::Member(path, "reasoning").text(raw)).transpose()?;
    let words = content
        .map(|text| ("reasoning_content", text))
        .or_else(|| other.filter(|text| !text.is_empty()).map(|text| ("reasoning", text)));

    let mut thoughts = Vec::new();
    if let Some(raw) = details {
        let path = Path::Member(path, "reasoning_details");
        for (at, raw) in path.list(raw)?.into_iter().enumerate() {
            detail(raw, &Path::Item(&path, at), origin, &mut thoughts)?;
        }
    }
    if let Some(raw) = blocks.filter(|_| thoughts.is_empty()) {
        let path = Path::Member(path, "thinking_blocks");
        for (at, raw) in path.list(raw)?.into_iter().enumerate() {
            thoughts.push(block(raw, &Path::Item(&path, at), origin)?);
        }
    }
    if let Some((member, words)) = words
        && thoughts.iter().all(|thought| thought.text.is_empty())
    {
        // Words beside one state that has none are its words.
        let mut bare = thoughts.iter_mut().filter(|thought| takes_words(thought));
        match (bare.next(), bare.next()) {
            (Some(one), None) => one.text = words.into_owned(),
            _ => thoughts.insert(0, plain(member, words.into_owned(), origin)),
        }
    }
    parts.extend(thoughts.into_iter().map(|thought| Part::new(Content::Reasoning(thought))));
    Ok(())
}

/// Words without a state of their own: the state says only whose they are.
pub(super) fn plain(member: &str, text: String, origin: Option<&Origin>) -> Reasoning {
    Reasoning { text, summary: false, seal: Some(seal(origin, member, "")) }
}

fn takes_words(thought: &Reasoning) -> bool {
    thought.seal.as_ref().is_some_and(|seal| {
        if is_foreign(seal) {
            !seal.kind.contains("redacted") && !seal.kind.contains("encrypted")
        } else {
            *seal.kind == *"reasoning.text" || *seal.kind == *"reasoning.summary"
        }
    })
}

/// An entry of `reasoning_details`.
fn detail(
    raw: &RawValue,
    path: &Path<'_>,
    origin: Option<&Origin>,
    thoughts: &mut Vec<Reasoning>,
) -> Result<(), Error> {
    let mut entry = path.object(raw)?;
    let kind = path.text_of(&mut entry, "type")?.unwrap_or(Cow::Borrowed("reasoning.text"));
    let text = path.text_of(&mut entry, words_of(&kind))?.unwrap_or_default().into_owned();
    let summary = *kind == *"reasoning.summary";
    let state = match &*kind {
        "reasoning.encrypted" => entry.clone().take("data"),
        _ => entry.clone().take("signature"),
    };
    // Only what a client sends back can be wrapped.
    let wrapped = match state.filter(|raw| origin.is_none() && begins(raw, b'"')) {
        Some(raw) => Some(Seal::read(NAME, &kind, &path.text(raw)?)).filter(is_foreign),
        None => None,
    };
    if let Some(foreign) = wrapped {
        // A summary and its state are two entries here and one thought elsewhere.
        if let Some(last) = thoughts.last_mut()
            && text.is_empty()
            && last.summary
            && last.seal.as_ref().is_none_or(|seal| !is_foreign(seal))
        {
            last.seal = Some(foreign);
        } else {
            thoughts.push(Reasoning { text, summary, seal: Some(foreign) });
        }
        return Ok(());
    }
    let data = entry.json().unwrap_or_else(|| "{}".to_owned());
    thoughts.push(Reasoning { text, summary, seal: Some(own(origin, &kind, data)) });
    Ok(())
}

/// The member of an entry that has its words.
pub(super) fn words_of(kind: &str) -> &'static str {
    if kind == "reasoning.summary" { "summary" } else { "text" }
}

/// A state of this dialect, which is never wrapped in it.
pub(super) fn own(origin: Option<&Origin>, kind: &str, data: String) -> Seal {
    Seal { origin: origin.cloned(), dialect: NAME.into(), kind: kind.into(), data }
}

/// An entry of `thinking_blocks`.
fn block(raw: &RawValue, path: &Path<'_>, origin: Option<&Origin>) -> Result<Reasoning, Error> {
    let mut entry = path.object(raw)?;
    let kind = path.text_of(&mut entry, "type")?.unwrap_or(Cow::Borrowed("thinking"));
    if *kind == *"redacted_thinking" {
        let data = path.text_of(&mut entry, "data")?.unwrap_or_default();
        return Ok(Reasoning { seal: Some(seal(origin, &kind, &data)), ..Reasoning::default() });
    }
    let text = path.text_of(&mut entry, "thinking")?.unwrap_or_default().into_owned();
    let signature = path.text_of(&mut entry, "signature")?.unwrap_or_default();
    Ok(Reasoning { text, summary: false, seal: Some(seal(origin, "thinking", &signature)) })
}

/// A `thinking` part of the content: Mistral's, whose words are parts again.
pub(super) fn content_part(
    part: &mut Members<'_>,
    path: &Path<'_>,
    origin: Option<&Origin>,
) -> Result<Reasoning, Error> {
    let raw = part.take("thinking").ok_or_else(|| path.missing("thinking"))?;
    let path = Path::Member(path, "thinking");
    let text = if begins(raw, b'"') { path.text(raw)?.into_owned() } else { joined(raw, &path)? };
    let data = std::mem::take(part).json().unwrap_or_default();
    Ok(Reasoning { text, summary: false, seal: Some(own(origin, "content.thinking", data)) })
}

fn joined(raw: &RawValue, path: &Path<'_>) -> Result<String, Error> {
    let mut all = String::new();
    for (at, raw) in path.list(raw)?.into_iter().enumerate() {
        let path = Path::Item(path, at);
        if let Some(text) = path.text_of(&mut path.object(raw)?, "text")? {
            all.push_str(&text);
        }
    }
    Ok(all)
}

/// The signature of a message or a call, and the word of whose it is; Google's own two front doors differ in it.
pub(super) fn signature(extra: &RawValue, path: &Path<'_>) -> Result<Option<(&'static str, String)>, Error> {
    let mut extra = path.object(extra)?;
    for whose in ["google", "vertex"] {
        if let Some(raw) = extra.take(whose) {
            let path = Path::Member(path, whose);
            let found = path.text_of(&mut path.object(raw)?, "thought_signature")?;
            return Ok(found.map(|text| (whose, text.into_owned())));
        }
    }
    Ok(None)
}

/// Writes a signature in its place: the value of `extra_content`.
pub(super) fn write_signature(out: &mut Vec<u8>, seal: &Seal) {
    let whose = if seal.kind.ends_with("vertex") && !is_foreign(seal) { "vertex" } else { "google" };
    let mut extra = Object::open(out);
    let mut inner = Object::open(extra.member(whose));
    let wrapped =
        if is_foreign(seal) { Cow::Owned(seal.wrapped()) } else { Cow::Borrowed(seal.data.as_str()) };
    inner.text("thought_signature", &wrapped);
    inner.close();
    extra.close();
}

/// The thoughts of one message, as far as they are written outside of its content.
#[derive(Debug, Default)]
pub(super) struct Thoughts {
    /// Plain words and the member that they go into.
    words: Option<(&'static str, String)>,
    details: Vec<u8>,
    blocks: Vec<u8>,
    /// Entries of `reasoning_details` so far.
    pub(super) entries: u64,
    /// A signature of the message.
    pub(super) signature: Option<Seal>,
}

// === impl Thoughts ===

impl Thoughts {
    /// A thought goes back to the provider whose it is. `false`: it cannot be said here.
    pub(super) fn send_back(&mut self, thought: &Reasoning, seal: &Seal) -> bool {
        match &*seal.kind {
            "reasoning_content" => self.say("reasoning_content", &thought.text),
            "reasoning" => self.say("reasoning", &thought.text),
            "message.google" | "message.vertex" => self.signature = Some(seal.clone()),
            _ => return self.state(thought, seal),
        }
        true
    }

    /// A thought goes out to a client: its words where most clients look for them, its state beside them.
    pub(super) fn show(&mut self, thought: &Reasoning) {
        if !thought.text.is_empty() {
            self.say("reasoning_content", &thought.text);
        }
        let Some(seal) = &thought.seal else { return };
        if is_foreign(seal) {
            let out = separated(&mut self.details);
            self.entries += foreign(out, thought, seal, self.entries);
        } else if seal.kind.starts_with("message.") {
            self.signature = Some(seal.clone());
        } else {
            let _ = self.state(thought, seal);
        }
    }

    fn say(&mut self, member: &'static str, text: &str) {
        self.words.get_or_insert((member, String::new())).1.push_str(text);
    }

    fn state(&mut self, thought: &Reasoning, seal: &Seal) -> bool {
        if *seal.kind == *"thinking" || *seal.kind == *"redacted_thinking" {
            write_block(separated(&mut self.blocks), thought, seal);
            return true;
        }
        let mark = self.details.len();
        let written = entry(separated(&mut self.details), &seal.kind, &thought.text, &seal.data);
        if written {
            self.entries += 1;
        } else {
            self.details.truncate(mark);
        }
        written
    }

    /// Writes them as members of a message.
    pub(super) fn write(&self, message: &mut Object<'_>) {
        if let Some((member, words)) = &self.words {
            message.text(member, words);
        }
        for (name, items) in [("reasoning_details", &self.details), ("thinking_blocks", &self.blocks)] {
            if !items.is_empty() {
                let out = message.member(name);
                out.push(b'[');
                out.extend_from_slice(items);
                out.push(b']');
            }
        }
        if let Some(seal) = &self.signature {
            write_signature(message.member("extra_content"), seal);
        }
    }
}

/// Writes an entry of `thinking_blocks`.
pub(super) fn write_block(out: &mut Vec<u8>, thought: &Reasoning, seal: &Seal) {
    let mut block = Object::open(out);
    block.text("type", &seal.kind);
    if *seal.kind == *"thinking" {
        block.text("thinking", &thought.text);
        block.text("signature", &seal.data);
    } else {
        block.text("data", &seal.data);
    }
    block.close();
}

fn separated(items: &mut Vec<u8>) -> &mut Vec<u8> {
    if !items.is_empty() {
        items.push(b',');
    }
    items
}

/// Writes an entry of `reasoning_details` anew: its words, and its state as it was. The state may come from a client, so
/// it is read and not trusted. `false`: it is no such state, and nothing is written.
pub(super) fn entry(out: &mut Vec<u8>, kind: &str, text: &str, data: &str) -> bool {
    let known = kind.starts_with("reasoning.");
    let Some(mut members) = serde_json::from_str::<Members<'_>>(data).ok().filter(|_| known) else {
        return false;
    };
    let words = words_of(kind);
    let _ = (members.take("type"), members.take(words));
    let mut entry = Object::open(out);
    entry.text("type", kind);
    if !text.is_empty() || kind == "reasoning.summary" {
        entry.text(words, text);
    }
    for (name, value) in members.all() {
        entry.raw(name, value.get());
    }
    entry.close();
    true
}

/// Writes a thought of another dialect as entries of `reasoning_details`; says how many.
pub(super) fn foreign(out: &mut Vec<u8>, thought: &Reasoning, seal: &Seal, index: u64) -> u64 {
    let format = format(&seal.dialect);
    let mut begin = |kind: &str, words: Option<(&str, &str)>, state: Option<&str>| {
        if out.last() == Some(&b'}') {
            out.push(b',');
        }
        let mut entry = Object::open(&mut *out);
        entry.text("type", kind);
        if let Some((name, text)) = words {
            entry.text(name, text);
        }
        if let Some(name) = state {
            entry.text(name, &seal.wrapped());
        }
        entry.text("format", format);
        entry.show("index", index);
        entry.close();
    };
    if thought.text.is_empty() {
        begin("reasoning.encrypted", None, Some("data"));
    } else if thought.summary {
        begin("reasoning.summary", Some(("summary", &thought.text)), None);
        begin("reasoning.encrypted", None, Some("data"));
    } else {
        begin("reasoning.text", Some(("text", &thought.text)), Some("signature"));
    }
    1
}

/// The word for whose form a state has; clients take only those that they know.
fn format(dialect: &str) -> &'static str {
    match dialect {
        "anthropic.messages" => "anthropic-claude-v1",
        "openai.responses" => "openai-responses-v1",
        other if other.starts_with("gemini") => "google-gemini-v1",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(json: &str, origin: Option<&Origin>) -> Vec<Reasoning> {
        let mut members: Members<'_> = serde_json::from_str(json).unwrap();
        let mut parts = Vec::new();
        read(&mut members, &Path::Top("messages"), origin, &mut parts).unwrap();
        parts
            .into_iter()
            .map(|part| match part.content {
                Content::Reasoning(thought) => thought,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn message(thoughts: &Thoughts) -> String {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        thoughts.write(&mut object);
        object.close();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_form_goes_back_where_it_came_from() {
        for json in [
            r#"{"reasoning_content":"hm"}"#,
            r#"{"reasoning":"hm"}"#,
            r#"{"reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s","format":"f","index":0}]}"#,
            r#"{"reasoning_details":[{"type":"reasoning.summary","summary":"hm","index":0},{"type":"reasoning.encrypted","data":"d","id":null,"index":1}]}"#,
            r#"{"thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"d"}]}"#,
        ] {
            let mut thoughts = Thoughts::default();
            for thought in read_back(json, Some(&Origin("p".into()))) {
                let seal = thought.seal.clone().unwrap();
                assert!(seal.opens_at("p", NAME) && !seal.opens_at("q", NAME));
                assert!(thoughts.send_back(&thought, &seal));
            }
            assert_eq!(message(&thoughts), json);
        }
    }

    #[test]
    fn a_state_of_another_dialect_comes_back_over_the_client_byte_for_byte() {
        let origin = Origin("anthropic".into());
        for (text, summary) in [("hm", false), ("hm", true), ("", false)] {
            let seal = Seal::of(&origin, "anthropic.messages", "signature", "EqQB\u{1}==");
            let thought = Reasoning { text: text.into(), summary, seal: Some(seal.clone()) };
            let mut thoughts = Thoughts::default();
            thoughts.show(&thought);
            thoughts.show(&Reasoning { text: "more".into(), ..thought.clone() });
            let back = read_back(&message(&thoughts), None);
            assert_eq!(back.len(), 2);
            assert_eq!((back[0].text.as_str(), back[0].seal.as_ref()), (text, Some(&seal)));
            assert_eq!(back[1].text, "more");
        }
    }

    #[test]
    fn a_state_without_words_gets_those_beside_it() {
        let json =
            r#"{"reasoning_content":"hm","reasoning_details":[{"type":"reasoning.text","signature":"s"}]}"#;
        let back = read_back(json, None);
        assert_eq!((back.len(), back[0].text.as_str()), (1, "hm"));
    }

    #[test]
    fn a_forged_state_writes_nothing() {
        let mut out = Vec::new();
        assert!(!entry(&mut out, "reasoning.text", "x", r#"{}],"model":"other""#));
        assert!(!entry(&mut out, "model", "x", "{}"));
        assert!(out.is_empty());
    }
}
