//! Requests out of the neutral form.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Retry};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::block::write as block;
use super::super::model::Family;
use super::super::wire::{Block, CachePoint, Members, Thought, ToolResult};
use super::additional::{self, Around, Fields};
use super::read::has_tool_blocks;
use super::tools;
use crate::neutral::{
    CacheMark, Content, Message, Outcome, Output, Part, Reasoning, Request, Role, ToolChoice,
};
use crate::pairing::{Conversation, Piece};
use crate::{Losses, Target};

/// Marks of the prompt cache that are taken.
const MOST_MARKS: usize = 4;

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// What is known while a request is written.
pub(super) struct Writer<'a, 'l> {
    pub(super) request: &'a Request,
    pub(super) family: Family,
    provider: &'a str,
    pub(super) losses: &'l mut Losses,
    names: block::Names,
    marks: usize,
}

pub(in super::super) fn write(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Bytes, Error> {
    let mut writer = Writer {
        request,
        family: Family::of(target.model),
        provider: target.provider,
        losses,
        names: block::Names::default(),
        marks: 0,
    };
    let mut out = Members::new();
    // In the order of the prompt, which is that of the cache: marks that are too many are the last ones.
    let tool_config = tools::write(&mut writer);
    let (system, messages) = writer.conversation()?;
    let around = Around {
        must_call: matches!(
            request.tool_choice,
            Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. })
        ) && !request.tools.is_empty(),
        thoughtless: thoughtless(&messages),
        prefilled: messages.last().is_some_and(|message| message.role == "assistant"),
    };
    let fields = additional::write(request, writer.family, around, writer.losses);
    out.set("messages", &messages);
    if !system.is_empty() {
        out.set("system", &system);
    }
    if let Some(config) = tool_config {
        out.set("toolConfig", &config);
    }
    writer.inference(&fields, &mut out);
    if !fields.members.is_empty() {
        out.set(additional::MEMBER, &fields.members);
    }
    writer.output(&mut out);
    writer.rest(&mut out);
    Ok(out.finish().into())
}

/// Whether the last turn is the outcome of calls that do not begin with a thought.
fn thoughtless(messages: &[WireMessage<'_>]) -> bool {
    let [.., before, last] = messages else { return false };
    last.content.iter().any(|block| matches!(block, Block::ToolResult(_)))
        && !matches!(before.content.first(), Some(Block::Reasoning(_)))
}

impl<'a> Writer<'a, '_> {
    // --- the conversation ---

    fn conversation(&mut self) -> Result<(Vec<Block<'a>>, Vec<WireMessage<'a>>), Error> {
        let conversation = Conversation::of(&self.request.messages);
        let mut system = Vec::new();
        for part in &conversation.system {
            self.system(part, &mut system);
        }
        let mut messages: Vec<WireMessage<'a>> = Vec::new();
        for turn in &conversation.turns {
            let mut content = Vec::new();
            for piece in &turn.pieces {
                match piece {
                    Piece::Part(part) => self.part(part, turn.assistant, &mut content)?,
                    Piece::Missing(call) => {
                        self.losses
                            .lose("messages.tool_calls", "a call has no outcome; it is sent as failed");
                        content.push(Block::ToolResult(ToolResult {
                            tool_use_id: block::id(&call.id),
                            content: vec![Block::Text("No outcome was recorded.".into())],
                            status: self.family.takes_status().then_some("error"),
                        }));
                    }
                    Piece::Orphan(outcome) => {
                        self.losses
                            .lose("messages.tool_results", "its call is not before it; it is sent as text");
                        self.outcome_parts(outcome, &mut content)?;
                    }
                }
            }
            let document = |block: &Block<'_>| matches!(block, Block::Media(medium) if medium.name.is_some());
            if content.iter().any(document) && !content.iter().any(Block::is_text) {
                // The provider demands a text beside a document.
                content.push(Block::Text("See the document.".into()));
            }
            if content.is_empty() {
                continue;
            }
            let role = if turn.assistant { "assistant" } else { "user" };
            match messages.last_mut() {
                Some(last) if last.role == role => last.content.append(&mut content),
                _ => messages.push(WireMessage { role, content }),
            }
        }
        self.begin_with_user(&mut system, &mut messages);
        if let Some(Block::Text(text)) = messages
            .last_mut()
            .filter(|last| last.role == "assistant")
            .and_then(|last| last.content.last_mut())
        {
            // The provider refuses white space at the end of what the model is to go on with.
            *text = Cow::Owned(text.trim_end().to_owned());
        }
        Ok((system, messages))
    }

    fn begin_with_user(&mut self, system: &mut Vec<Block<'a>>, messages: &mut Vec<WireMessage<'a>>) {
        let has_prompt = self
            .request
            .native
            .iter()
            .any(|native| native.dialect == NAME && native.name == "promptVariables");
        if messages.is_empty() && has_prompt {
            return;
        }
        if messages.is_empty() && !system.is_empty() {
            self.losses
                .lose("messages.system", "the target wants a user's turn; the system text is sent as one");
            messages.push(WireMessage { role: "user", content: std::mem::take(system) });
        } else if messages.first().is_none_or(|first| first.role == "assistant" && !self.family.is_claude()) {
            self.losses.lose("messages", "the target wants a user's turn first; an empty one was put in");
            let content = vec![Block::Text("(no message)".into())];
            messages.insert(0, WireMessage { role: "user", content });
        }
    }

    fn system(&mut self, part: &'a Part, out: &mut Vec<Block<'a>>) {
        match &part.content {
            Content::Text(text) if text.text.trim().is_empty() => {}
            Content::Text(text) => out.push(Block::Text(Cow::Borrowed(&text.text))),
            Content::Native(native) if native.dialect == NAME => block::native(native, out),
            _ => self.losses.lose("messages.system", "the target takes only text there"),
        }
        self.cache(part.cache.as_ref(), out);
    }

    fn part(&mut self, part: &'a Part, assistant: bool, out: &mut Vec<Block<'a>>) -> Result<(), Error> {
        match &part.content {
            Content::Text(text) => {
                out.extend(block::text(text, false, self.losses));
                if text.seal.is_some() {
                    self.losses.lose("messages.signature", "the state is another provider's");
                }
            }
            Content::Refusal(text) if text.trim().is_empty() => {}
            Content::Refusal(text) => out.push(Block::Text(Cow::Borrowed(text))),
            Content::Media(_) if assistant => {
                self.losses.lose("messages.media", "the target takes no media in the model's own messages");
            }
            Content::Media(media) => {
                let medium = block::media(media, &mut self.names).map_err(refused)?;
                out.push(Block::Media(medium));
            }
            Content::Reasoning(reasoning) => out.extend(self.thought(reasoning)),
            Content::Call(call) => {
                out.push(block::call(call, self.losses));
                if call.seal.is_some() {
                    self.losses.lose("messages.signature", "the state is another provider's");
                }
            }
            Content::Outcome(outcome) => {
                let mut content = Vec::with_capacity(outcome.parts.len());
                self.outcome_parts(outcome, &mut content)?;
                let status = outcome.failed.then_some("error").filter(|_| self.family.takes_status());
                if outcome.failed && status.is_none() {
                    self.losses.lose("messages.tool_results.failed", "the target has no place for it");
                }
                out.push(Block::ToolResult(ToolResult {
                    tool_use_id: block::id(&outcome.id),
                    content,
                    status,
                }));
            }
            Content::Native(native) if native.dialect == NAME => block::native(native, out),
            Content::Native(native) => {
                self.losses.lose(format!("messages.{}", native.name), "only its own dialect has it");
            }
        }
        self.cache(part.cache.as_ref(), out);
        Ok(())
    }

    fn outcome_parts(&mut self, outcome: &'a Outcome, out: &mut Vec<Block<'a>>) -> Result<(), Error> {
        for part in &outcome.parts {
            match &part.content {
                Content::Text(text) => {
                    out.extend(
                        (!text.text.trim().is_empty()).then_some(Block::Text(Cow::Borrowed(&text.text))),
                    );
                }
                Content::Media(media) => {
                    let medium = block::media(media, &mut self.names).map_err(refused)?;
                    out.push(Block::Media(medium));
                }
                Content::Native(native) if native.dialect == NAME => block::native(native, out),
                Content::Refusal(text) => out.push(Block::Text(Cow::Borrowed(text))),
                _ => self.losses.lose("messages.tool_results.content", "the target does not take this there"),
            }
            if part.cache.is_some() {
                self.losses.lose(
                    "messages.tool_results.cache_control",
                    "the target takes marks behind the result only",
                );
            }
        }
        Ok(())
    }

    /// A thought goes only to whom it came from: signed, or unsigned where that is taken.
    fn thought(&mut self, reasoning: &'a Reasoning) -> Option<Block<'a>> {
        match &reasoning.seal {
            Some(seal) if seal.opens_at(self.provider, NAME) => return block::thought(reasoning),
            None if reasoning.text.trim().is_empty() => return None,
            None if self.family.takes_unsigned_thoughts() && !reasoning.summary => {
                let text = Cow::Borrowed(reasoning.text.as_str());
                return Some(Block::Reasoning(Thought::ReasoningText { text, signature: None }));
            }
            _ => self.losses.lose("messages.reasoning", "the target takes only thoughts that it signed"),
        }
        None
    }

    /// A mark of the prompt cache behind what was written; whether one was.
    pub(super) fn cache(&mut self, mark: Option<&'a CacheMark>, out: &mut Vec<Block<'a>>) {
        let Some(mark) = mark else { return };
        if let Some(point) = self.mark(mark, !out.is_empty()) {
            out.push(Block::CachePoint(point));
        }
    }

    pub(super) fn mark(&mut self, mark: &'a CacheMark, behind_something: bool) -> Option<CachePoint<'a>> {
        if !self.family.caches() {
            self.losses.lose("cache_control", "the target has no marks of its prompt cache");
            return None;
        }
        if self.marks >= MOST_MARKS || !behind_something {
            self.losses.lose("cache_control", "the target takes four marks, each behind something");
            return None;
        }
        self.marks += 1;
        let ttl = mark.ttl.as_deref().filter(|ttl| ["5m", "1h"].contains(ttl));
        if mark.ttl.is_some() && ttl.is_none() {
            self.losses.lose("cache_control.ttl", "the target knows five minutes and an hour");
        }
        Some(CachePoint { r#type: "default", ttl })
    }

    // --- beside the conversation ---

    fn inference(&mut self, fields: &Fields, out: &mut Members) {
        let request = self.request;
        let mut config = Members::new();
        if let Some(most) = request.max_output {
            config.set("maxTokens", &most);
        }
        let mut temperature = request.temperature.as_ref();
        let mut top_p = request.top_p.as_ref();
        if fields.thinks {
            if temperature.is_some_and(|number| number.as_f64() != Some(1.0)) {
                self.losses.lose("temperature", "the target takes only 1 while it thinks");
                temperature = None;
            }
            if top_p.is_some_and(|number| number.as_f64().is_none_or(|p| p < 0.95)) {
                self.losses.lose("top_p", "the target takes only 0.95 and more while it thinks");
                top_p = None;
            }
        }
        if temperature.is_some() && top_p.is_some() && self.family.takes_one_randomness() {
            self.losses.lose("top_p", "the target takes only one of temperature and top_p");
            top_p = None;
        }
        match temperature {
            Some(number) if number.as_f64().is_some_and(|t| t > 1.0) => {
                self.losses.lose("temperature", "the target takes at most 1, which is sent");
                config.set("temperature", &1);
            }
            Some(number) => config.set("temperature", number),
            None => {}
        }
        if let Some(number) = top_p {
            config.set("topP", number);
        }
        let stop: Vec<&String> = request.stop.iter().filter(|text| !text.trim().is_empty()).collect();
        if stop.len() < request.stop.len() {
            self.losses.lose("stop", "the target takes no text of white space alone");
        }
        if !stop.is_empty() {
            config.set("stopSequences", &stop);
        }
        if !config.is_empty()
            && let Some(config) = config.raw()
        {
            out.set("inferenceConfig", &config);
        }
    }

    fn output(&mut self, out: &mut Members) {
        match &self.request.output {
            Output::Text => {}
            Output::Json => {
                self.losses.lose("response_format", "the target answers in JSON only after a schema");
            }
            Output::Schema(schema) => {
                let mut told = json!({ "schema": schema.schema.get() });
                for (name, text) in [("name", &schema.name), ("description", &schema.description)] {
                    if let Some(text) = text {
                        told[name] = json!(text);
                    }
                }
                let structure = json!({ "jsonSchema": told });
                out.set(
                    "outputConfig",
                    &json!({ "textFormat": { "type": "json_schema", "structure": structure } }),
                );
            }
        }
    }

    fn rest(&mut self, out: &mut Members) {
        let request = self.request;
        for native in &request.native {
            if native.dialect != NAME {
                self.losses.lose(native.name.clone(), "only its own dialect has it");
            } else if native.name != additional::MEMBER {
                out.set(&native.name, &native.json);
            }
        }
        if let Some(metadata) = &request.metadata {
            if is_metadata(metadata) {
                out.set("requestMetadata", metadata);
            } else {
                self.losses.lose("metadata", "the target takes 16 texts of up to 256 plain characters");
            }
        }
        match request.service_tier.as_deref() {
            None | Some("auto") => {}
            Some(tier @ ("default" | "flex" | "priority" | "reserved")) => {
                out.set("serviceTier", &json!({ "type": tier }));
            }
            Some(_) => self.losses.lose("service_tier", "the target has no tier of this name"),
        }
        let losses = &mut self.losses;
        let mut none = |there: bool, what: &'static str| {
            if there {
                losses.lose(what, "the target has none");
            }
        };
        none(request.choices.is_some_and(|n| n > 1), "n");
        none(request.logprobs.is_some(), "logprobs");
        none(request.frequency_penalty.is_some(), "frequency_penalty");
        none(request.presence_penalty.is_some(), "presence_penalty");
        none(request.seed.is_some(), "seed");
        none(request.user.is_some(), "user");
        none(request.cache_key.is_some(), "prompt_cache_key");
        none(request.verbosity.is_some(), "verbosity");
        none(request.parallel_tools == Some(false) && !request.tools.is_empty(), "parallel_tool_calls");
    }

    /// The names of the tools that the history calls, if it has any blocks of tools.
    pub(super) fn called(&self) -> Option<BTreeSet<&'a str>> {
        let messages: &'a [Message] = &self.request.messages;
        let spoken =
            messages.iter().filter(|message| !matches!(message.role, Role::System | Role::Developer));
        let parts = spoken.clone().flat_map(|message| &message.parts);
        let names = parts.filter_map(|part| match &part.content {
            Content::Call(call) => Some(call.name.as_str()),
            _ => None,
        });
        spoken.clone().any(|message| has_tool_blocks(&message.parts)).then(|| names.collect())
    }
}

fn refused(why: &'static str) -> Error {
    // Left out, it would be another question; another target may take it.
    Error::client(Kind::InvalidRequest, why).param("messages").retry(Retry::Elsewhere)
}

fn is_metadata(json: &RawValue) -> bool {
    let Ok(labels) = serde_json::from_str::<std::collections::BTreeMap<String, String>>(json.get()) else {
        return false;
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c.is_whitespace() || ":_@$#=/+,-.".contains(c);
    let fits = |text: &str| text.chars().all(plain) && text.len() <= 256;
    labels.len() <= 16 && labels.iter().all(|(name, text)| !name.is_empty() && fits(name) && fits(text))
}
