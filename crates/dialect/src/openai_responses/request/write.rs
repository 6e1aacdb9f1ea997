//! Requests, written from the neutral form.

use bytes::Bytes;
use lockgate_core::{Error, Payload};
use serde_json::value::RawValue;

use super::items::{BREAKPOINTS, IDS};
use super::read::{INSTRUCTIONS, LOGPROBS, STORE};
use super::tools::EXTRAS;
use super::{CONVERSATIONS, input, tools};
use crate::neutral::{Content, Effort, Output, Request};
use crate::openai_responses::NAME;
use crate::openai_responses::item::hash;
use crate::openai_responses::wire::{push_json, push_number, push_text};
use crate::{Losses, Target};

/// What stands in `include` for the states of thoughts.
const STATES: &str = "reasoning.encrypted_content";
/// The provider takes no smaller bound.
const LEAST_OUTPUT: u64 = 16;

/// A JSON object under way.
struct Body(Vec<u8>);

pub(in super::super) fn request(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Bytes, Error> {
    request.may_go_to(NAME)?;
    let foreign = hint(request, STORE).is_none();
    let mut body = Body(Vec::with_capacity(4_096));
    body.text("model", target.model);
    let items = input::write(request, target, foreign, losses);
    if let Some(instructions) = &items.instructions {
        body.text("instructions", instructions);
    }
    let elsewhere =
        request.native.iter().any(|n| n.dialect == NAME && CONVERSATIONS.contains(&n.name.as_str()));
    if !elsewhere || !items.json.is_empty() {
        body.with("input", |out| {
            out.push(b'[');
            out.extend_from_slice(&items.json);
            out.push(b']');
        });
    }
    if target.stream {
        body.raw("stream", "true");
    }
    if !request.tools.is_empty() {
        body.with("tools", |out| tools::write(out, request, foreign, losses));
    }
    if let Some(choice) = &request.tool_choice {
        body.with("tool_choice", |out| tools::write_choice(out, choice, request));
    }
    if let Some(parallel) = request.parallel_tools {
        body.raw("parallel_tool_calls", if parallel { "true" } else { "false" });
    }
    output(&mut body, request);
    reasoning(&mut body, request, foreign, losses);
    include(&mut body, request, foreign);
    sampling(&mut body, request, foreign, losses);
    plain(&mut body, request);
    // Elsewhere nothing is stored unless asked for, and nobody can ask for what is stored here.
    if foreign {
        body.raw("store", "false");
    }
    for own in request.hints.iter().filter(|hint| hint.dialect == NAME) {
        let apart = matches!(
            own.name.as_str(),
            INSTRUCTIONS | IDS | BREAKPOINTS | EXTRAS | "reasoning" | "text" | "include"
        );
        if !apart && own.json.get() != "null" {
            body.raw(&own.name, own.json.get());
        }
    }
    for native in &request.native {
        if native.dialect == NAME {
            body.raw(&native.name, native.json.get());
        } else {
            losses.lose(native.name.clone(), "only its own dialect has it");
        }
    }
    body.0.push(b'}');
    Ok(body.0.into())
}

pub(super) fn hint<'a>(request: &'a Request, name: &str) -> Option<&'a RawValue> {
    let found = request.hints.iter().find(|hint| hint.dialect == NAME && hint.name == name)?;
    Some(&found.json)
}

/// The members of an object among the hints, but for some.
fn others(request: &Request, name: &str, but: &[&str]) -> Vec<(String, Box<RawValue>)> {
    let Some(raw) = hint(request, name) else { return Vec::new() };
    let Ok(payload) = Payload::parse(raw.get().to_owned().into()) else { return Vec::new() };
    let names = payload.names().filter(|name| !but.contains(name));
    names.filter_map(|name| Some((name.to_owned(), payload.read(name)?))).collect()
}

fn output(body: &mut Body, request: &Request) {
    let others = others(request, "text", &["format", "verbosity"]);
    let said = hint(request, "text").is_some();
    if matches!(request.output, Output::Text) && request.verbosity.is_none() && others.is_empty() && !said {
        return;
    }
    body.with("text", |out| {
        let mut text = Body(std::mem::take(out));
        text.begin();
        match &request.output {
            Output::Text => text.raw("format", r#"{"type":"text"}"#),
            Output::Json => text.raw("format", r#"{"type":"json_object"}"#),
            Output::Schema(schema) => text.with("format", |out| {
                let mut format = Body(std::mem::take(out));
                format.begin();
                format.raw("type", "\"json_schema\"");
                format.text("name", &schema_name(schema.name.as_deref()));
                if let Some(description) = &schema.description {
                    format.text("description", description);
                }
                format.raw("schema", schema.schema.get());
                if let Some(strict) = schema.strict {
                    format.raw("strict", if strict { "true" } else { "false" });
                }
                format.0.push(b'}');
                *out = format.0;
            }),
        }
        if let Some(verbosity) = &request.verbosity {
            text.text("verbosity", verbosity);
        }
        for (name, json) in &others {
            text.raw(name, json.get());
        }
        text.0.push(b'}');
        *out = text.0;
    });
}

/// A name in the letters that are allowed, and not too long.
fn schema_name(name: Option<&str>) -> String {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return "answer".into() };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.chars().take(64).map(|c| if fits(c) { c } else { '_' }).collect()
}

fn reasoning(body: &mut Body, request: &Request, foreign: bool, losses: &mut Losses) {
    let others = others(request, "reasoning", &["effort", "summary", "generate_summary"]);
    let Some(effort) = &request.reasoning else { return };
    let level = if foreign { level(effort, losses) } else { effort.level() };
    let summary = effort.summary.as_deref().filter(|summary| *summary != "none");
    if level.is_none() && summary.is_none() && others.is_empty() {
        return;
    }
    body.with("reasoning", |out| {
        let mut object = Body(std::mem::take(out));
        object.begin();
        if let Some(level) = level {
            object.text("effort", level);
        }
        if let Some(summary) = summary {
            object.text("summary", summary);
        }
        for (name, json) in &others {
            object.raw(name, json.get());
        }
        object.0.push(b'}');
        *out = object.0;
    });
}

/// The level that most models take for what another dialect asked.
fn level<'a>(effort: &'a Effort, losses: &mut Losses) -> Option<&'a str> {
    match (effort.level()?, &effort.level) {
        ("none", _) => {
            losses.lose("reasoning", "most models of the target cannot be told not to think");
            None
        }
        // A budget stands for the levels that every thinking model has.
        ("minimal", None) => Some("low"),
        ("xhigh" | "max", None) => Some("high"),
        ("max", _) => {
            losses.lose("reasoning", "the target knows no more than xhigh");
            Some("xhigh")
        }
        (level, _) => Some(level),
    }
}

fn include(body: &mut Body, request: &Request, foreign: bool) {
    let said = hint(request, "include");
    let mut names: Vec<String> =
        said.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let mut want = |name: &str| {
        if !names.iter().any(|have| have == name) {
            names.push(name.to_owned());
        }
    };
    // Models that do not think refuse to be asked for it.
    if foreign && thinks(request) {
        want(STATES);
    }
    if foreign && request.logprobs.is_some() {
        want(LOGPROBS);
    }
    if said.is_some() || !names.is_empty() {
        body.with("include", |out| push_json(out, &names));
    }
}

fn thinks(request: &Request) -> bool {
    let asked = request.reasoning.as_ref().is_some_and(|effort| effort.level() != Some("none"));
    let sealed = |content: &Content| match content {
        Content::Reasoning(thought) => thought.seal.as_ref().is_some_and(|seal| &*seal.dialect == NAME),
        _ => false,
    };
    asked || request.messages.iter().flat_map(|message| &message.parts).any(|part| sealed(&part.content))
}

fn sampling(body: &mut Body, request: &Request, foreign: bool, losses: &mut Losses) {
    const NONE: &str = "this dialect has no such parameter";
    if let Some(most) = request.max_output {
        let least = if foreign { LEAST_OUTPUT } else { 0 };
        if most < least {
            losses.lose("max_tokens", "raised to 16, the least that the target takes");
        }
        body.number("max_output_tokens", most.max(least));
    }
    for (name, value) in [("temperature", &request.temperature), ("top_p", &request.top_p)] {
        if let Some(value) = value {
            body.raw(name, &value.to_string());
        }
    }
    for (name, value) in
        [("frequency_penalty", &request.frequency_penalty), ("presence_penalty", &request.presence_penalty)]
    {
        match value {
            Some(value) if !foreign => body.raw(name, &value.to_string()),
            Some(value) if value.as_f64() != Some(0.0) => losses.lose(name, NONE),
            _ => {}
        }
    }
    match request.top_k {
        Some(value) if !foreign => body.number("top_k", value),
        Some(_) => losses.lose("top_k", NONE),
        None => {}
    }
    if request.seed.is_some() {
        losses.lose("seed", NONE);
    }
    if !request.stop.is_empty() {
        losses.lose("stop", NONE);
    }
    if request.choices.is_some_and(|choices| choices > 1) {
        losses.lose("n", "this dialect gives one answer");
    }
    if let Some(top) = request.logprobs.filter(|top| *top > 0) {
        body.number("top_logprobs", top);
    }
}

fn plain(body: &mut Body, request: &Request) {
    if let Some(tier) = &request.service_tier {
        body.text("service_tier", tier);
    }
    let identifier =
        hint(request, "safety_identifier").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    if let Some(user) = request.user.as_ref().filter(|user| Some(*user) != identifier.as_ref()) {
        body.text("user", user);
    }
    if let Some(key) = &request.cache_key {
        // The provider takes keys of 64 characters; a longer one is told from others as well by its hash.
        let fits = key.chars().count() <= 64;
        body.text("prompt_cache_key", &if fits { key.clone() } else { format!("{:016x}", hash(key)) });
    }
    if let Some(retention) = &request.cache_retention {
        body.text("prompt_cache_retention", retention);
    }
    if let Some(metadata) = &request.metadata {
        body.raw("metadata", metadata.get());
    }
}

// === impl Body ===

impl Body {
    /// Begins an object inside of another.
    fn begin(&mut self) {
        self.0.push(b'{');
    }

    fn with(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        match self.0.last() {
            None => self.0.push(b'{'),
            Some(b'{') => {}
            Some(_) => self.0.push(b','),
        }
        push_text(&mut self.0, name);
        self.0.push(b':');
        write(&mut self.0);
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.with(name, |out| out.extend_from_slice(json.as_bytes()));
    }

    fn text(&mut self, name: &str, text: &str) {
        self.with(name, |out| push_text(out, text));
    }

    fn number(&mut self, name: &str, number: u64) {
        self.with(name, |out| push_number(out, number));
    }
}

#[cfg(test)]
mod tests;
