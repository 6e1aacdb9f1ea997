//! The conversation, written: every call has its outcome right behind it, and every outcome its call.

use std::collections::{HashMap, HashSet, VecDeque};

use super::content::{Pieces, own};
use crate::neutral::{Call, CallKind, Content, Message, Outcome, Part, Reasoning, Request, Role};
use crate::openai_chat::NAME;
use crate::openai_chat::flavour::Flavour;
use crate::openai_chat::ids::Ids;
use crate::openai_chat::json::Object;
use crate::openai_chat::reasoning::{Thoughts, is_foreign, write_signature};
use crate::{Losses, Target};

/// A part by its message and its place there.
type Place = (usize, usize);

/// Writes the list of messages.
pub(super) fn write(
    out: &mut Vec<u8>,
    request: &Request,
    target: &Target<'_>,
    flavour: Flavour,
    losses: &mut Losses,
) {
    let mut writer = Writer {
        out,
        messages: &request.messages,
        provider: target.provider,
        flavour,
        losses,
        ids: Ids::new(flavour.short_ids),
        calls: places(&request.messages, |content| match content {
            Content::Call(call) => Some(&call.id),
            _ => None,
        }),
        outcomes: places(&request.messages, |content| match content {
            Content::Outcome(outcome) => Some(&outcome.id),
            _ => None,
        }),
        used: HashSet::new(),
        begun: false,
    };
    writer.all();
}

/// Where each id stands, in order.
fn places(messages: &[Message], id: impl Fn(&Content) -> Option<&String>) -> HashMap<&str, VecDeque<Place>> {
    let mut all: HashMap<&str, VecDeque<Place>> = HashMap::new();
    for (at, message) in messages.iter().enumerate() {
        for (part_at, part) in message.parts.iter().enumerate() {
            if let Some(id) = id(&part.content) {
                all.entry(id).or_default().push_back((at, part_at));
            }
        }
    }
    all
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    messages: &'a [Message],
    provider: &'a str,
    flavour: Flavour,
    losses: &'a mut Losses,
    ids: Ids,
    calls: HashMap<&'a str, VecDeque<Place>>,
    outcomes: HashMap<&'a str, VecDeque<Place>>,
    /// Outcomes that stand behind their calls already.
    used: HashSet<Place>,
    begun: bool,
}

// === impl Writer ===

impl<'a> Writer<'a> {
    fn all(&mut self) {
        self.out.push(b'[');
        let mut at = 0;
        while let Some(message) = self.messages.get(at) {
            if message.role == Role::Assistant {
                let end = self.end_of_turn(at);
                self.assistant(at, end);
                at = end;
            } else {
                self.other(message, at);
                at += 1;
            }
        }
        self.out.push(b']');
    }

    /// Behind the assistant's messages that are one turn: after calls there must be outcomes, so what the model says
    /// before they come belongs to the message with the calls.
    fn end_of_turn(&self, from: usize) -> usize {
        let mut calls = false;
        let mut end = from;
        while let Some(message) = self.messages.get(end).filter(|message| message.role == Role::Assistant) {
            if end > from && !calls {
                break;
            }
            calls |= message.parts.iter().any(|part| matches!(part.content, Content::Call(_)));
            end += 1;
        }
        end
    }

    fn message(&mut self, role: &str) -> Object<'_> {
        if self.begun {
            self.out.push(b',');
        }
        self.begun = true;
        let mut message = Object::open(self.out);
        message.text("role", role);
        message
    }

    /// The outcome of the call at `place`, if it comes before another call with the same id.
    fn outcome_of(&mut self, id: &str, place: Place) -> Option<(Place, &'a Outcome)> {
        let calls = self.calls.get_mut(id)?;
        while calls.front().is_some_and(|at| *at <= place) {
            calls.pop_front();
        }
        let next = calls.front().copied();
        let outcomes = self.outcomes.get_mut(id)?;
        while outcomes.front().is_some_and(|at| *at < place) {
            outcomes.pop_front();
        }
        let found = outcomes.front().copied().filter(|at| next.is_none_or(|next| *at < next))?;
        outcomes.pop_front();
        let part = self.messages.get(found.0)?.parts.get(found.1)?;
        match &part.content {
            Content::Outcome(outcome) => Some((found, outcome)),
            _ => None,
        }
    }

    fn assistant(&mut self, from: usize, end: usize) {
        let messages = self.messages;
        let mut said = Said::default();
        let mut outcomes = Vec::new();
        let mut empty = true;
        for (at, message) in messages.iter().enumerate().take(end).skip(from) {
            for (part_at, part) in message.parts.iter().enumerate() {
                empty = false;
                match &part.content {
                    Content::Call(call) => match self.outcome_of(&call.id, (at, part_at)) {
                        Some((place, outcome)) => {
                            outcomes.push((place, outcome));
                            self.used.insert(place);
                            let id = self.ids.fit(&call.id).into_owned();
                            self.call(&mut said, call, &id, part);
                        }
                        None => {
                            said.open_call = false;
                            self.losses.lose("messages.tool_calls", "a call without an outcome is not taken");
                        }
                    },
                    Content::Reasoning(thought) => self.thought(&mut said, thought),
                    _ => self.say(&mut said, part),
                }
            }
        }
        // A message of which nothing is left says nothing; one that was empty stays.
        if !empty && said.is_empty() {
            return;
        }
        let mut message = self.message("assistant");
        let or = if said.calls.is_empty() { "\"\"" } else { "null" };
        said.content.write(message.member("content"), or);
        said.thoughts.write(&mut message);
        if !said.calls.is_empty() {
            let out = message.member("tool_calls");
            out.push(b'[');
            out.extend_from_slice(&said.calls);
            out.extend_from_slice(b"}]");
        }
        for (name, json) in &said.members {
            message.raw(name, json);
        }
        message.close();
        outcomes.sort_unstable_by_key(|(place, _)| *place);
        self.tools(&outcomes);
    }

    fn say(&mut self, said: &mut Said<'a>, part: &'a Part) {
        match &part.content {
            Content::Text(text) => {
                said.content.text(&text.text);
                said.content.mark(part, self.flavour, self.losses);
                if !text.citations.is_empty() {
                    self.losses.lose("messages.citations", "sources are not sent back here");
                }
                match &text.seal {
                    Some(seal) if seal.opens_at(self.provider, NAME) => {
                        said.thoughts.signature = Some(seal.clone());
                    }
                    Some(_) => self.losses.lose("messages.signature", "it is another provider's"),
                    None => {}
                }
            }
            Content::Refusal(text) => said.content.refusal(text),
            Content::Media(_) => said.content.media(part, self.flavour, self.losses),
            Content::Native(native) => {
                if let Some((name, native)) = own(native, self.losses) {
                    said.native(name, native, self.losses);
                }
            }
            Content::Outcome(_) => self.losses.lose("messages.tool_result", "an assistant has none"),
            Content::Reasoning(_) | Content::Call(_) => {}
        }
    }

    fn thought(&mut self, said: &mut Said<'_>, thought: &Reasoning) {
        let seal = thought.seal.as_ref().filter(|seal| seal.opens_at(self.provider, NAME));
        let written = match seal {
            Some(seal) if *seal.kind == *"content.thinking" => {
                said.content.thinking(&thought.text, &seal.data);
                true
            }
            Some(seal) => {
                said.thought = true;
                said.thoughts.send_back(thought, seal)
            }
            None => false,
        };
        if !written {
            self.losses.lose("messages.thinking", "a thought goes back only to whom it came from");
        }
    }

    fn call(&mut self, said: &mut Said<'_>, call: &Call, id: &str, part: &Part) {
        let out = &mut said.calls;
        if !out.is_empty() {
            out.extend_from_slice(b"},");
        }
        said.open_call = true;
        let (kind, words) = match call.kind {
            CallKind::Function => ("function", "arguments"),
            CallKind::Custom => ("custom", "input"),
        };
        let mut object = Object::open(out);
        object.text("id", id);
        object.text("type", kind);
        let mut inner = Object::open(object.member(kind));
        inner.text("name", &call.name);
        let bare = call.kind == CallKind::Function && call.arguments.trim().is_empty();
        inner.text(words, if bare { "{}" } else { &call.arguments });
        inner.close();
        match &call.seal {
            Some(seal) if seal.opens_at(self.provider, NAME) && !is_foreign(seal) => {
                write_signature(object.member("extra_content"), seal);
            }
            Some(_) => self.losses.lose("messages.tool_calls.signature", "it is another provider's"),
            None => {}
        }
        if let Some(mark) = &part.cache
            && self.flavour.marks(mark, "messages.cache_control", self.losses)
        {
            super::content::write_mark(object.member("cache_control"), mark);
        }
    }

    /// The outcomes of a turn's calls. Providers take text in them; other things follow as the user's.
    fn tools(&mut self, outcomes: &[(Place, &'a Outcome)]) {
        let mut media = Vec::new();
        for (_, outcome) in outcomes {
            let mut pieces = Pieces::default();
            let mut members = Vec::new();
            for part in &outcome.parts {
                match &part.content {
                    Content::Text(text) => {
                        pieces.text(&text.text);
                        pieces.mark(part, self.flavour, self.losses);
                    }
                    Content::Media(_) => media.push(part),
                    Content::Native(native) => {
                        let Some((name, native)) = own(native, self.losses) else { continue };
                        if !native_piece(&mut pieces, &mut members, name, native) {
                            self.losses.lose(format!("messages.{name}"), "nothing is left to put it to");
                        }
                    }
                    _ => self.losses.lose("messages.tool_result.content", "an outcome is text and media"),
                }
            }
            if outcome.failed {
                self.losses
                    .lose("messages.tool_result.is_error", "an outcome says only in words that it failed");
            }
            let id = self.ids.fit(&outcome.id).into_owned();
            let mut message = self.message("tool");
            message.text("tool_call_id", &id);
            if let Some(name) = &outcome.name {
                message.text("name", name);
            }
            pieces.write(message.member("content"), "\"\"");
            for (name, json) in members {
                message.raw(name, json);
            }
            message.close();
        }
        let mut pieces = Pieces::default();
        for part in media {
            pieces.media(part, self.flavour, self.losses);
        }
        if !pieces.is_empty() {
            let mut message = self.message("user");
            pieces.write(message.member("content"), "\"\"");
            message.close();
        }
    }

    fn other(&mut self, message: &'a Message, at: usize) {
        let role = match message.role {
            Role::Developer if self.flavour.developer => "developer",
            Role::System | Role::Developer => "system",
            Role::User | Role::Assistant => "user",
        };
        let mut said = Said::default();
        let mut left = message.parts.is_empty();
        for (part_at, part) in message.parts.iter().enumerate() {
            match &part.content {
                Content::Outcome(_) if self.used.contains(&(at, part_at)) => {}
                Content::Outcome(outcome) => {
                    self.losses.lose("messages.tool_result", "an outcome without its call becomes text");
                    left = true;
                    let told = |part: &&Part| matches!(part.content, Content::Text(_) | Content::Media(_));
                    outcome.parts.iter().filter(told).for_each(|part| self.say(&mut said, part));
                }
                Content::Reasoning(_) | Content::Call(_) => {
                    self.losses.lose("messages.tool_calls", "only an assistant thinks and calls");
                }
                _ => {
                    left = true;
                    self.say(&mut said, part);
                }
            }
        }
        if !left || (said.is_empty() && !message.parts.is_empty()) {
            return;
        }
        let mut object = self.message(role);
        said.content.write(object.member("content"), "\"\"");
        for (name, json) in &said.members {
            object.raw(name, json);
        }
        object.close();
    }
}

/// A message under way.
#[derive(Default)]
struct Said<'a> {
    content: Pieces,
    thoughts: Thoughts,
    thought: bool,
    /// Calls, without the brace that closes the last.
    calls: Vec<u8>,
    /// The last call was written, so that members of it have their place.
    open_call: bool,
    members: Vec<(&'a str, &'a str)>,
}

// === impl Said ===

impl<'a> Said<'a> {
    fn is_empty(&self) -> bool {
        self.content.is_empty()
            && self.calls.is_empty()
            && !self.thought
            && self.thoughts.signature.is_none()
            && !self.members.iter().any(|(name, _)| *name == "audio")
    }

    fn native(&mut self, name: &'a str, native: &'a crate::neutral::Native, losses: &mut Losses) {
        let written = if let Some(member) = name.strip_prefix("call.") {
            if self.open_call {
                self.calls.push(b',');
                crate::openai_chat::json::quote(&mut self.calls, member);
                self.calls.push(b':');
                self.calls.extend_from_slice(native.json.get().as_bytes());
            }
            self.open_call
        } else if name.starts_with("tool_calls.") {
            // Nobody knows what would be its outcome, so it cannot be kept beside one.
            false
        } else {
            native_piece(&mut self.content, &mut self.members, name, native)
        };
        if !written {
            losses.lose(format!("messages.{name}"), "nothing is left to put it to");
        }
    }
}

/// A native thing of a message: a part, a member of the last part, or a member of the message.
fn native_piece<'a>(
    pieces: &mut Pieces,
    members: &mut Vec<(&'a str, &'a str)>,
    name: &'a str,
    native: &'a crate::neutral::Native,
) -> bool {
    if name.starts_with("content.") {
        return pieces.raw(native.json.get());
    }
    if let Some(member) = name.strip_prefix("part.") {
        return pieces.member(member, native);
    }
    let member = name.strip_prefix("message.").unwrap_or(name);
    if !matches!(member, "role" | "content" | "tool_call_id" | "tool_calls") {
        members.push((member, native.json.get()));
    }
    true
}
