//! A client's request in the neutral form.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;

use lockgate_core::Error;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::json::{Many, Str, camel, text};
use super::super::{NAME, wire};
use super::{Source, invalid, neutral, settings, tools};
use crate::Turn;
use crate::neutral::{Content, Message, Native, Part, Reasoning, Request, Role, Text};
use crate::seal::Seal;
use crate::tied::Tied;

/// How an id begins that was made up because Gemini gave none. Such an id is not sent to Gemini.
pub(in super::super) const MADE_UP: &str = "lgc_";

/// What Google documents for a call that has no signature, plain and in base64. It says nothing.
pub(super) const NO_SIGNATURE: [&str; 3] = [
    "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",
    "skip_thought_signature_validator",
    "context_engineering_is_the_way_to_go",
];

/// The calls of a conversation, as far as it was read.
#[derive(Debug, Default)]
struct Calls {
    count: usize,
    known: HashSet<String>,
    /// Ids of calls without outcome, by the name of the function.
    open: HashMap<String, VecDeque<String>>,
    /// The same in order.
    all: VecDeque<String>,
    answered: HashSet<String>,
}

#[derive(Deserialize)]
struct WireContent<'a> {
    #[serde(borrow, default)]
    role: Option<Str<'a>>,
    #[serde(borrow, default)]
    parts: Option<Many<'a>>,
}

/// Reads all of a request.
pub(in super::super) fn read(turn: &Turn) -> Result<Request, Error> {
    let mut request = Request::default();
    let mut seen = HashSet::new();
    let mut contents = Vec::new();
    for written in turn.payload.names() {
        let name = camel(written);
        if !seen.insert(name.to_string()) {
            return Err(invalid(written, format!("The member \"{name}\" stands twice, in both spellings.")));
        }
        let Some(raw) = turn.payload.get(written).filter(|raw| *raw != b"null") else { continue };
        let raw: &RawValue =
            serde_json::from_slice(raw).map_err(|why| invalid(written, unread(written, &why)))?;
        match &*name {
            "contents" => contents = read_contents(raw)?,
            "systemInstruction" => request.messages.extend(read_system(raw)?),
            "tools" => tools::read(raw, &mut request)?,
            "toolConfig" => tools::read_config(raw, &mut request)?,
            "generationConfig" => settings::read(raw, turn, &mut request)?,
            "serviceTier" => request.service_tier = text(raw).map(|tier| tier.to_ascii_lowercase()),
            // The path has it.
            "model" => {}
            "cachedContent" => {
                let remedy = "Send what it holds in \"contents\", and leave this member out.";
                request.tied = Some(Tied { dialect: NAME, member: "cachedContent", remedy });
                request.native.push(Native { dialect: NAME, name: name.into_owned(), json: raw.to_owned() });
            }
            _ => request.native.push(Native { dialect: NAME, name: name.into_owned(), json: raw.to_owned() }),
        }
    }
    request.messages.extend(contents);
    join_thoughts(&mut request.messages);
    Ok(request)
}

pub(super) fn unread(name: &str, why: &serde_json::Error) -> String {
    format!("\"{name}\" cannot be read: {why}.")
}

// === contents ===

fn read_contents(raw: &RawValue) -> Result<Vec<Message>, Error> {
    let Many(contents) =
        serde_json::from_str(raw.get()).map_err(|why| invalid("contents", unread("contents", &why)))?;
    let mut calls = Calls::default();
    let mut messages = Vec::with_capacity(contents.len());
    for (i, content) in contents.into_iter().enumerate() {
        let at = format!("contents[{i}]");
        let content: WireContent<'_> =
            serde_json::from_str(content.get()).map_err(|why| invalid(&*at, unread(&at, &why)))?;
        let role = match content.role.as_ref().map(|Str(role)| &**role) {
            None | Some("" | "user" | "function" | "tool") => Role::User,
            Some("model") => Role::Assistant,
            Some("system") => Role::System,
            Some(_) => {
                let at = format!("{at}.role");
                return Err(invalid(at, "A role must be \"user\" or \"model\"."));
            }
        };
        let there = content.parts.as_ref().is_some_and(|Many(parts)| !parts.is_empty());
        let mut parts = read_parts(content.parts, &at, &mut calls)?;
        if parts.is_empty() && there && role == Role::User {
            // Gemini answers to nothing as well.
            parts.push(Part::text(""));
        }
        if !parts.is_empty() {
            messages.push(Message { role, parts });
        }
    }
    Ok(messages)
}

fn read_parts(parts: Option<Many<'_>>, at: &str, calls: &mut Calls) -> Result<Vec<Part>, Error> {
    let mut out = Vec::new();
    for (i, raw) in parts.map(|Many(parts)| parts).unwrap_or_default().into_iter().enumerate() {
        let part: wire::Part<'_> = serde_json::from_str(raw.get()).map_err(|why| {
            let at = format!("{at}.parts[{i}]");
            invalid(&*at, unread(&at, &why))
        })?;
        neutral(part, calls, &mut out);
    }
    Ok(out)
}

fn read_system(raw: &RawValue) -> Result<Option<Message>, Error> {
    let at = "systemInstruction";
    let parts = if raw.get().starts_with('"') {
        text(raw).map(Part::text).into_iter().collect()
    } else {
        let content: WireContent<'_> =
            serde_json::from_str(raw.get()).map_err(|why| invalid(at, unread(at, &why)))?;
        read_parts(content.parts, at, &mut Calls::default())?
    };
    Ok((!parts.is_empty()).then_some(Message { role: Role::System, parts }))
}

// === impl Calls ===

impl Source for Calls {
    fn seal(&self, kind: &str, data: &str) -> Option<Seal> {
        let seal = Seal::read(NAME, kind, data);
        (!NO_SIGNATURE.contains(&data) && !seal.is_nobodys()).then_some(seal)
    }

    fn call(&mut self, id: Option<&str>, name: &str) -> String {
        // A made-up id counts calls, so that it stays the same as the conversation grows.
        let id = id.map_or_else(|| format!("{MADE_UP}{}", self.count), str::to_owned);
        self.count += 1;
        self.known.insert(id.clone());
        self.answered.remove(&id);
        self.open.entry(name.to_owned()).or_default().push_back(id.clone());
        self.all.push_back(id.clone());
        id
    }

    fn outcome(&mut self, id: Option<&str>, name: &str) -> String {
        if let Some(id) = id.filter(|id| self.known.contains(*id)) {
            self.answered.insert(id.to_owned());
            return id.to_owned();
        }
        let answered = &self.answered;
        let next = |queue: &mut VecDeque<String>| {
            while let Some(id) = queue.pop_front() {
                if !answered.contains(&id) {
                    return Some(id);
                }
            }
            None
        };
        let found = self.open.get_mut(name).and_then(next).or_else(|| next(&mut self.all));
        let found = found.or_else(|| id.map(str::to_owned));
        let found = found.unwrap_or_else(|| format!("{MADE_UP}none_{}", self.answered.len()));
        self.answered.insert(found.clone());
        found
    }
}

// === thoughts of other dialects ===

/// A thought of another dialect reached the client in pieces, with its state on the last one, and every piece may have
/// come back as a part or a message of its own. Its provider takes it back whole or not at all.
fn join_thoughts(messages: &mut Vec<Message>) {
    let foreign = |part: &Part| match &part.content {
        Content::Reasoning(Reasoning { seal: Some(seal), .. }) => *seal.dialect != *NAME,
        _ => false,
    };
    if !messages.iter().any(|message| message.parts.iter().any(foreign)) {
        return;
    }
    let mut joined: Vec<Message> = Vec::with_capacity(messages.len());
    // Texts of thoughts without a state that end what was read so far.
    let mut open: Vec<Part> = Vec::new();
    for Message { role, parts } in mem::take(messages) {
        let mut out = Vec::with_capacity(parts.len());
        if role != Role::Assistant {
            settle(&mut joined, &mut open);
        }
        for part in parts {
            match part.content {
                Content::Reasoning(mut thought) if thought.seal.is_some() => {
                    if thought.seal.as_ref().is_some_and(|seal| *seal.dialect != *NAME) {
                        let mut text = String::new();
                        for part in open.drain(..) {
                            if let Content::Reasoning(piece) = part.content {
                                text.push_str(&piece.text);
                            }
                        }
                        text.push_str(&thought.text);
                        thought.text = text;
                    } else {
                        out.append(&mut open);
                    }
                    out.push(Part { content: Content::Reasoning(thought), cache: part.cache });
                }
                Content::Reasoning(_) if role == Role::Assistant => open.push(part),
                // What streams end with where they have nothing more to say.
                Content::Text(Text { ref text, seal: None, .. }) if text.is_empty() => {}
                _ => {
                    out.append(&mut open);
                    out.push(part);
                }
            }
        }
        if !out.is_empty() {
            joined.push(Message { role, parts: out });
        }
    }
    settle(&mut joined, &mut open);
    *messages = joined;
}

/// Puts thoughts that no state followed where they were: at the end of the last message of the model.
fn settle(joined: &mut Vec<Message>, open: &mut Vec<Part>) {
    if open.is_empty() {
        return;
    }
    match joined.last_mut().filter(|message| message.role == Role::Assistant) {
        Some(message) => message.parts.append(open),
        None => joined.push(Message { role: Role::Assistant, parts: mem::take(open) }),
    }
}
