//! The request as a provider gets it.

use bytes::Bytes;
use lockgate_core::Error;
use serde_json::Number;

use super::dialogue::{Dialogue, Piece, What};
use super::pieces::{Marks, Writer, opens};
use super::schema;
use super::thinking::{Obstacles, Thinking};
use super::tools;
use crate::anthropic::NAME;
use crate::anthropic::json::{Array, Object};
use crate::anthropic::model::Model;
use crate::neutral::{Content, Effort, Native, Output, Request, Role, Tool};
use crate::{Losses, Target};

/// The longest `metadata.user_id`.
const MAX_USER: usize = 256;

pub(in crate::anthropic) fn write(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Bytes, Error> {
    let model = Model::of(target.model);
    let dialogue = Dialogue::of(request, model, losses);
    let obstacles = Obstacles {
        forced: tools::forced(request),
        thoughtless_calls: dialogue.thoughtless_calls(|content| opens(content, target)),
    };
    let own = |name: &str| request.native.iter().find(|native| native.dialect == NAME && native.name == name);
    let thinking = match own("thinking") {
        Some(_) => Thinking::of(&lean(request), model, obstacles, losses),
        None => Thinking::of(request, model, obstacles, losses),
    };
    let mut marks =
        Marks::of(wanted_marks(request, &dialogue) + usize::from(own("cache_control").is_some()), losses);

    let mut out = Vec::with_capacity(4_096);
    let mut body = Object::begin(&mut out);
    body.text("model", target.model);
    body.number("max_tokens", thinking.limit);
    let count = tools::write(&mut body, request, model, &mut marks, losses);
    {
        let mut writer =
            Writer { target, marks: &mut marks, losses, role: Role::System, is_last_word: false };
        write_system(&mut body, &dialogue, &mut writer);
        write_messages(&mut body, &dialogue, &mut writer);
    }
    tools::write_choice(&mut body, request, count, losses);
    thinking.write(&mut body);
    write_output(&mut body, request, &thinking, losses);
    write_sampling(&mut body, request, model, &thinking, losses);
    write_rest(&mut body, request, losses);
    if target.stream {
        body.raw("stream", "true");
    }
    for native in &request.native {
        if native.dialect != NAME {
            losses.lose(native.name.clone(), "only its own dialect has it");
        } else if !native.name.contains('.') && native.name != "tool_choice" {
            body.raw(&native.name, native.json.get());
        }
    }
    body.end();
    Ok(out.into())
}

/// What thinking is decided by when the client's own words about it pass as they are.
fn lean(request: &Request) -> Request {
    let level = request.reasoning.as_ref().and_then(|effort| effort.level.clone());
    let reasoning = level.map(|level| Effort { level: Some(level), adaptive: true, ..Effort::default() });
    Request { max_output: request.max_output, reasoning, ..Request::default() }
}

fn wanted_marks(request: &Request, dialogue: &Dialogue<'_>) -> usize {
    let tools = request
        .tools
        .iter()
        .filter(|tool| {
            matches!(tool, Tool::Function(function) if function.cache.is_some() && tools::allowed(request, &function.name))
        })
        .count();
    let turns = dialogue.turns.iter().flat_map(|turn| &turn.pieces);
    tools + dialogue.system.iter().chain(turns).map(marks_of).sum::<usize>()
}

fn marks_of(piece: &Piece<'_>) -> usize {
    let inner = match &piece.what {
        What::Outcome(outcome, _) => outcome.parts.iter().filter(|part| part.cache.is_some()).count(),
        _ => 0,
    };
    inner + usize::from(piece.cache.is_some())
}

fn write_system(body: &mut Object<'_>, dialogue: &Dialogue<'_>, writer: &mut Writer<'_>) {
    let mut out = Vec::new();
    let mut array = Array::begin(&mut out);
    for piece in &dialogue.system {
        match piece.what {
            What::Part(Content::Text(_) | Content::Native(_) | Content::Refusal(_)) => {
                writer.piece(piece, &mut array);
            }
            _ => writer.losses.lose("messages.system", "the target's system is made of texts"),
        }
    }
    array.end();
    if out != b"[]" {
        body.member("system").extend_from_slice(&out);
    }
}

fn write_messages(body: &mut Object<'_>, dialogue: &Dialogue<'_>, writer: &mut Writer<'_>) {
    let mut written: Vec<(Role, Vec<u8>)> = Vec::with_capacity(dialogue.turns.len());
    for (at, turn) in dialogue.turns.iter().enumerate() {
        let mut blocks = Vec::new();
        let mut array = Array::begin(&mut blocks);
        writer.role = turn.role;
        let is_last_turn = turn.role == Role::Assistant && at + 1 == dialogue.turns.len();
        for (at, piece) in turn.pieces.iter().enumerate() {
            writer.is_last_word = is_last_turn && at + 1 == turn.pieces.len();
            writer.piece(piece, &mut array);
        }
        array.end();
        // A message that has nothing left goes; its neighbours of one role become one.
        if blocks == b"[]" {
            continue;
        }
        match written.last_mut() {
            Some((role, held)) if *role == turn.role && turn.role != Role::System => {
                held.pop();
                held.push(b',');
                held.extend_from_slice(blocks.get(1..).unwrap_or_default());
            }
            _ => written.push((turn.role, blocks)),
        }
    }
    let mut messages = Array::begin(body.member("messages"));
    for (role, blocks) in &written {
        let mut message = Object::begin(messages.item());
        message.text(
            "role",
            match role {
                Role::Assistant => "assistant",
                Role::User => "user",
                Role::System | Role::Developer => "system",
            },
        );
        message.member("content").extend_from_slice(blocks);
        message.end();
    }
    messages.end();
}

fn write_output(body: &mut Object<'_>, request: &Request, thinking: &Thinking, losses: &mut Losses) {
    let natives: Vec<(&str, &Native)> = request
        .native
        .iter()
        .filter(|native| native.dialect == NAME)
        .filter_map(|native| Some((native.name.strip_prefix("output_config.")?, native)))
        .collect();
    let schema = match &request.output {
        Output::Text => None,
        Output::Json => {
            losses.lose("response_format", "the target has no JSON without a schema");
            None
        }
        Output::Schema(schema) => Some(schema),
    };
    if schema.is_none() && thinking.level.is_none() && natives.is_empty() {
        return;
    }
    let mut config = Object::begin(body.member("output_config"));
    if let Some(schema) = schema {
        if schema.description.is_some() {
            losses.lose("response_format.description", "the target's schema has no place for it");
        }
        let mut format = Object::begin(config.member("format"));
        format.text("type", "json_schema");
        format.raw("schema", &schema::of_answer(&schema.schema, losses));
        format.end();
    }
    if let Some(level) = &thinking.level {
        config.text("effort", level);
    }
    for (name, native) in natives {
        config.raw(name, native.json.get());
    }
    config.end();
}

/// Sampling as the model takes it: while it thinks, and in newer generations always, only what is usual.
fn write_sampling(
    body: &mut Object<'_>,
    request: &Request,
    model: Model,
    thinking: &Thinking,
    losses: &mut Losses,
) {
    const THINKS: &str = "the target does not take it while it thinks";
    const NOT_AT_ALL: &str = "the model does not take it";
    let refusal = if model.adaptive_only() { Some(NOT_AT_ALL) } else { thinking.is_on().then_some(THINKS) };
    let mut has_temperature = false;
    if let Some(temperature) = &request.temperature {
        let value = temperature.as_f64().unwrap_or(1.0);
        let is_usual = (value - 1.0).abs() < f64::EPSILON;
        match refusal {
            Some(why) if !is_usual => losses.lose("temperature", why),
            _ => {
                has_temperature = true;
                if value > 1.0 {
                    losses.lose("temperature", "the target goes to 1: that is sent");
                    body.raw("temperature", "1");
                } else {
                    body.raw("temperature", &temperature.to_string());
                }
            }
        }
    }
    if let Some(top_p) = &request.top_p {
        let value = top_p.as_f64().unwrap_or(1.0);
        let is_taken = match refusal {
            Some(NOT_AT_ALL) => value >= 1.0,
            Some(_) => value >= 0.95,
            None => true,
        };
        if !is_taken {
            losses.lose("top_p", refusal.unwrap_or(NOT_AT_ALL));
        } else if has_temperature && model.one_of_sampling() {
            if value < 1.0 {
                losses.lose("top_p", "the model takes it or the temperature");
            }
        } else {
            number(body, "top_p", top_p);
        }
    }
    if let Some(top_k) = request.top_k {
        match refusal {
            Some(why) => losses.lose("top_k", why),
            None => body.number("top_k", top_k),
        }
    }
}

fn number(body: &mut Object<'_>, name: &str, number: &Number) {
    body.raw(name, &number.to_string());
}

fn write_rest(body: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    let stop: Vec<&String> = request.stop.iter().filter(|text| !text.trim().is_empty()).collect();
    if stop.len() < request.stop.len() {
        losses.lose("stop", "the target refuses stop texts of white space");
    }
    if !stop.is_empty() {
        let mut array = Array::begin(body.member("stop_sequences"));
        for text in stop {
            crate::anthropic::json::text(array.item(), text);
        }
        array.end();
    }
    match request.service_tier.as_deref() {
        None => {}
        Some(tier @ ("auto" | "standard_only")) => body.text("service_tier", tier),
        Some("default" | "standard") => body.text("service_tier", "standard_only"),
        Some(_) => losses.lose("service_tier", "the target does not have this tier"),
    }
    let has_metadata =
        request.native.iter().any(|native| native.dialect == NAME && native.name == "metadata");
    match &request.user {
        Some(_) if has_metadata => {}
        Some(user) if user.len() > MAX_USER => losses.lose("user", "the target takes 256 characters"),
        Some(user) => {
            let mut metadata = Object::begin(body.member("metadata"));
            metadata.text("user_id", user);
            metadata.end();
        }
        None => {}
    }
    let is_set = |number: &Option<Number>| {
        number.as_ref().is_some_and(|number| number.as_f64().is_none_or(|value| value != 0.0))
    };
    let missing = [
        ("n", request.choices.is_some_and(|choices| choices > 1)),
        ("logprobs", request.logprobs.is_some()),
        ("frequency_penalty", is_set(&request.frequency_penalty)),
        ("presence_penalty", is_set(&request.presence_penalty)),
        ("seed", request.seed.is_some()),
        ("prompt_cache_key", request.cache_key.is_some()),
        ("verbosity", request.verbosity.is_some()),
        ("metadata", request.metadata.is_some()),
    ];
    for (name, _) in missing.into_iter().filter(|(_, there)| *there) {
        losses.lose(name, "the target has none");
    }
}

#[cfg(test)]
mod tests;
