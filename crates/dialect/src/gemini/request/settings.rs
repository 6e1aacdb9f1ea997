//! `generationConfig`: how to answer.

use lockgate_core::Error;
use serde_json::Number;
use serde_json::value::RawValue;

use super::super::json::{Many, Members, Object, text};
use super::super::{NAME, model, schema};
use super::invalid;
use super::read::unread;
use crate::neutral::{Effort, Native, Output, Request, Schema};
use crate::{Losses, Target, Turn};

/// More texts that end the answer are refused.
const MAX_STOPS: usize = 5;
/// More alternatives of a token are refused.
const MAX_LOGPROBS: u64 = 20;

// === reading ===

pub(super) fn read(raw: &RawValue, turn: &Turn, request: &mut Request) -> Result<(), Error> {
    const AT: &str = "generationConfig";
    let config: Members<'_> = serde_json::from_str(raw.get()).map_err(|why| invalid(AT, unread(AT, &why)))?;
    let native = |name: &str, raw: &RawValue| Native {
        dialect: NAME,
        name: format!("{AT}.{name}"),
        json: raw.to_owned(),
    };
    for (name, value) in config.set() {
        match name {
            "stopSequences" => request.stop = texts(name, value)?,
            "candidateCount" => request.choices = Some(whole(name, value)?),
            "maxOutputTokens" => request.max_output = Some(whole(name, value)?),
            "temperature" => request.temperature = Some(number(name, value)?),
            "topP" => request.top_p = Some(number(name, value)?),
            "topK" => request.top_k = Some(whole(name, value)?),
            "presencePenalty" => request.presence_penalty = Some(number(name, value)?),
            "frequencyPenalty" => request.frequency_penalty = Some(number(name, value)?),
            "seed" => {
                let seed = value.get().parse().map_err(|_| wrong(name, "a whole number"))?;
                request.seed = Some(seed);
            }
            "responseLogprobs" if value.get() == "true" => {
                let alternatives =
                    config.get("logprobs").map(|count| whole("logprobs", count)).transpose()?;
                request.logprobs = Some(alternatives.unwrap_or(0));
            }
            "responseLogprobs" => {}
            "logprobs" if config.get("responseLogprobs").is_some_and(|asked| asked.get() == "true") => {}
            "thinkingConfig" => request.reasoning = Some(thinking(value)?),
            "responseMimeType" | "responseSchema" | "responseJsonSchema" | "_responseJsonSchema" => {}
            // The default of whatever answers in texts.
            "responseModalities" if is_text_alone(value) && !turn.model.contains("image") => {}
            _ => request.native.push(native(name, value)),
        }
    }
    let mime = config.get("responseMimeType").and_then(text).unwrap_or_default();
    let json = config.get("responseJsonSchema").or_else(|| config.get("_responseJsonSchema"));
    let json = json.map(RawValue::to_owned);
    let schema = json.or_else(|| config.get("responseSchema").map(schema::to_json));
    request.output = match (&*mime, schema) {
        ("" | "application/json", Some(schema)) => {
            Output::Schema(Schema { name: None, description: None, schema, strict: None })
        }
        ("application/json", None) => Output::Json,
        ("" | "text/plain", None) => Output::Text,
        _ => {
            let names = ["responseMimeType", "responseSchema", "responseJsonSchema"];
            let own = names.iter().filter_map(|name| Some(native(name, config.get(name)?)));
            request.native.extend(own);
            Output::Text
        }
    };
    Ok(())
}

fn thinking(raw: &RawValue) -> Result<Effort, Error> {
    const AT: &str = "generationConfig.thinkingConfig";
    let config: Members<'_> = serde_json::from_str(raw.get()).map_err(|why| invalid(AT, unread(AT, &why)))?;
    let mut effort = Effort::default();
    for (name, value) in config.set() {
        match name {
            "thinkingBudget" => match value.get().parse::<i64>() {
                Ok(0) => (effort.enabled, effort.budget) = (Some(false), Some(0)),
                Ok(-1) => (effort.enabled, effort.adaptive) = (Some(true), true),
                Ok(budget) if budget > 0 => {
                    (effort.enabled, effort.budget) = (Some(true), Some(budget.unsigned_abs()));
                }
                _ => return Err(wrong("thinkingConfig.thinkingBudget", "a whole number from -1 up")),
            },
            "thinkingLevel" => {
                let level = text(value).map(|level| level.to_ascii_lowercase());
                effort.level = level.filter(|level| level != "thinking_level_unspecified");
                effort.enabled = effort.level.is_some().then_some(true).or(effort.enabled);
            }
            "includeThoughts" => {
                effort.summary = Some(if value.get() == "true" { "auto" } else { "none" }.to_owned());
            }
            _ => return Err(invalid(format!("{AT}.{name}"), format!("\"{AT}\" has no member \"{name}\"."))),
        }
    }
    Ok(effort)
}

fn is_text_alone(raw: &RawValue) -> bool {
    let Ok(Many(all)) = serde_json::from_str(raw.get()) else { return false };
    matches!(all.as_slice(), [one] if text(one).is_some_and(|name| name.eq_ignore_ascii_case("text")))
}

fn texts(name: &str, raw: &RawValue) -> Result<Vec<String>, Error> {
    let Many(all) = serde_json::from_str(raw.get()).map_err(|_| wrong(name, "an array of strings"))?;
    all.into_iter().map(|raw| text(raw).ok_or_else(|| wrong(name, "an array of strings"))).collect()
}

fn number(name: &str, raw: &RawValue) -> Result<Number, Error> {
    serde_json::from_str(raw.get()).map_err(|_| wrong(name, "a number"))
}

/// A whole number, which may be written as `40.0`.
fn whole(name: &str, raw: &RawValue) -> Result<u64, Error> {
    let text = raw.get();
    let plain =
        text.split_once('.').filter(|(_, rest)| rest.bytes().all(|b| b == b'0')).map_or(text, |(n, _)| n);
    plain.parse().map_err(|_| wrong(name, "a whole number from 0 up"))
}

fn wrong(name: &str, what: &str) -> Error {
    invalid(format!("generationConfig.{name}"), format!("\"generationConfig.{name}\" must be {what}."))
}

// === writing ===

/// Writes `generationConfig`; nothing when there is nothing to say.
pub(super) fn write(request: &Request, target: &Target<'_>, losses: &mut Losses, body: &mut Object<'_>) {
    let mut out = Vec::new();
    let mut config = Object::new(&mut out);
    stops(request, losses, &mut config);
    match request.choices {
        Some(1) => config.show("candidateCount", 1),
        Some(_) => losses.lose("n", "a translated request has one answer"),
        None => {}
    }
    if let Some(tokens) = request.max_output {
        config.show("maxOutputTokens", tokens.min(i32::MAX.unsigned_abs().into()));
    }
    sampling(request, losses, &mut config);
    if let Some(alternatives) = request.logprobs {
        config.raw("responseLogprobs", "true");
        if alternatives > MAX_LOGPROBS {
            losses.lose("top_logprobs", "no more than 20");
        }
        if alternatives > 0 {
            config.show("logprobs", alternatives.min(MAX_LOGPROBS));
        }
    }
    output(request, target, losses, &mut config);
    if let Some(effort) = &request.reasoning {
        write_thinking(effort, target, losses, &mut config);
    }
    write_natives(request, "generationConfig.", &mut config);
    config.end();
    if out.len() > 2 {
        body.key("generationConfig").append(&mut out);
    }
}

fn stops(request: &Request, losses: &mut Losses, config: &mut Object<'_>) {
    let stops: Vec<&str> = request.stop.iter().map(String::as_str).filter(|stop| !stop.is_empty()).collect();
    if stops.len() > MAX_STOPS {
        losses.lose("stop", "no more than five");
    }
    if !stops.is_empty() {
        config.texts("stopSequences", stops.into_iter().take(MAX_STOPS));
    }
}

fn sampling(request: &Request, losses: &mut Losses, config: &mut Object<'_>) {
    if let Some(temperature) = &request.temperature {
        if temperature.as_f64().is_some_and(|degrees| degrees > 2.0) {
            losses.lose("temperature", "no more than 2");
            config.raw("temperature", "2");
        } else {
            config.show("temperature", temperature);
        }
    }
    if let Some(nucleus) = &request.top_p {
        config.show("topP", nucleus);
    }
    if let Some(most) = request.top_k {
        config.show("topK", most);
    }
    if let Some(penalty) = &request.presence_penalty {
        config.show("presencePenalty", penalty);
    }
    if let Some(penalty) = &request.frequency_penalty {
        config.show("frequencyPenalty", penalty);
    }
    match request.seed.map(i32::try_from) {
        Some(Ok(seed)) => config.show("seed", seed),
        Some(Err(_)) => losses.lose("seed", "must fit into 32 bits"),
        None => {}
    }
}

fn output(request: &Request, target: &Target<'_>, losses: &mut Losses, config: &mut Object<'_>) {
    let calls = request.tools.iter().any(|tool| !matches!(tool, crate::neutral::Tool::Native(_)));
    if calls && !matches!(request.output, Output::Text) && !model::is_new(target.model) {
        losses.lose("response_format", "before Gemini 3 not together with tools");
        return;
    }
    match &request.output {
        Output::Text => {}
        Output::Json => config.text("responseMimeType", "application/json"),
        Output::Schema(schema) => {
            config.text("responseMimeType", "application/json");
            config.raw("responseJsonSchema", schema.schema.get());
            if schema.description.is_some() {
                losses.lose("response_format.description", "a schema for answers has none");
            }
        }
    }
}

/// Gemini 3 has levels, older models have budgets, the oldest do not think.
fn write_thinking(effort: &Effort, target: &Target<'_>, losses: &mut Losses, config: &mut Object<'_>) {
    let model = target.model;
    let off = effort.level() == Some("none");
    if model::is_old(model) {
        if !off {
            losses.lose("reasoning", "the model does not think");
        }
        return;
    }
    let mut out = Vec::new();
    let mut thinking = Object::new(&mut out);
    if model::is_new(model) && effort.budget.is_none_or(|budget| budget == 0) {
        if let Some(level) = effort.level() {
            let (level, same) = level_of(level, model);
            if !same {
                losses.lose("reasoning.effort", "the model has no such level; the next one is taken");
            }
            thinking.text("thinkingLevel", level);
        }
    } else if effort.adaptive && effort.budget.is_none() {
        thinking.raw("thinkingBudget", "-1");
    } else if let Some(budget) = effort.budget() {
        let (least, most, can_rest) = model::budgets(model);
        let taken = if budget == 0 && can_rest { 0 } else { budget.clamp(least, most) };
        if taken != budget && (effort.budget.is_some() || off) {
            losses.lose("reasoning.budget", "outside of the model's bounds");
        }
        thinking.show("thinkingBudget", taken);
    } else if effort.level.is_some() {
        losses.lose("reasoning.effort", "unknown");
    }
    match effort.summary.as_deref() {
        None => {}
        Some("none") => thinking.raw("includeThoughts", "false"),
        Some(_) => thinking.raw("includeThoughts", "true"),
    }
    thinking.end();
    if out.len() > 2 {
        config.key("thinkingConfig").append(&mut out);
    }
}

/// The level of Gemini 3 for one of the neutral form, and whether it is the same.
fn level_of(level: &str, model: &str) -> (&'static str, bool) {
    let pro = model.contains("pro");
    match level {
        "none" if pro => ("low", false),
        "none" => ("minimal", false),
        "minimal" if pro => ("low", false),
        "minimal" => ("minimal", true),
        "low" => ("low", true),
        // The first Gemini 3 Pro is the only one without.
        "medium" if pro && model::generation(model) == Some((3, 0)) => ("high", false),
        "medium" => ("medium", true),
        "high" => ("high", true),
        _ => ("high", false),
    }
}

/// Writes natives that belong under another member.
pub(super) fn write_natives(request: &Request, prefix: &str, object: &mut Object<'_>) {
    for native in request.native.iter().filter(|native| native.dialect == NAME) {
        if let Some(name) = native.name.strip_prefix(prefix) {
            object.any_key(name).extend_from_slice(native.json.get().as_bytes());
        }
    }
}
