//! A neutral request as a provider gets it.

use bytes::Bytes;
use lockgate_core::Error;

use super::{messages, tools};
use crate::neutral::{Effort, Native, Output, Request, Schema};
use crate::openai_chat::NAME;
use crate::openai_chat::flavour::{Flavour, Spelling};
use crate::openai_chat::json::{Object, quote};
use crate::{Losses, Target};

/// OpenAI's limit.
const MOST_STOPS: usize = 4;
/// OpenAI's limit of `user`, in bytes.
const LONGEST_USER: usize = 64;
/// Of a schema's name, in bytes.
const LONGEST_NAME: usize = 64;

pub(crate) fn write(request: &Request, target: &Target<'_>, losses: &mut Losses) -> Result<Bytes, Error> {
    let flavour = Flavour::of(target.provider);
    let mut out = Vec::with_capacity(4_096);
    let mut body = Object::open(&mut out);
    body.text("model", target.model);
    messages::write(body.member("messages"), request, target, flavour, losses);
    let any = tools::write(&mut body, request, flavour, target.model, losses);
    tools::write_choice(&mut body, request, any, losses);
    write_output(&mut body, &request.output);
    if let Some(effort) = &request.reasoning {
        write_effort(&mut body, effort, request, flavour, target, losses);
    }
    numbers(&mut body, request, target, flavour, losses);
    words(&mut body, request, flavour, losses);
    natives(&mut body, &request.native, losses);
    if target.stream {
        body.show("stream", true);
    }
    body.close();
    Ok(out.into())
}

fn numbers(
    body: &mut Object<'_>,
    request: &Request,
    target: &Target<'_>,
    flavour: Flavour,
    losses: &mut Losses,
) {
    if let Some(most) = request.max_output {
        body.show("max_completion_tokens", most);
    }
    match request.choices {
        // Of a stream only one answer is carried between dialects.
        Some(choices) if choices > 1 && target.stream => {
            losses.lose("n", "only one answer is carried in a stream");
        }
        Some(choices) => body.show("n", choices),
        None => {}
    }
    if let Some(top) = request.logprobs {
        body.show("logprobs", true);
        if top > 0 {
            body.show("top_logprobs", top);
        }
    }
    for (name, number) in [
        ("temperature", &request.temperature),
        ("top_p", &request.top_p),
        ("frequency_penalty", &request.frequency_penalty),
        ("presence_penalty", &request.presence_penalty),
    ] {
        if let Some(number) = number {
            body.show(name, number);
        }
    }
    match request.top_k {
        Some(top) if flavour.extensions => body.show("top_k", top),
        Some(_) => losses.lose("top_k", "this provider has no such parameter"),
        None => {}
    }
    if let Some(seed) = request.seed {
        body.show("seed", seed);
    }
}

fn words(body: &mut Object<'_>, request: &Request, flavour: Flavour, losses: &mut Losses) {
    if !request.stop.is_empty() {
        let most = if flavour.limits { MOST_STOPS } else { usize::MAX };
        if request.stop.len() > most {
            losses.lose("stop", "only the first four are taken");
        }
        body.list("stop", request.stop.iter().take(most), |out, text| quote(out, text));
    }
    if let Some(tier) = &request.service_tier {
        // What Anthropic calls its usual tier.
        let usual = matches!(tier.as_str(), "standard" | "standard_only");
        body.text("service_tier", if usual { "default" } else { tier });
    }
    for (name, text) in [("user", &request.user), ("prompt_cache_key", &request.cache_key)] {
        match text {
            Some(text) if flavour.limits && text.len() > LONGEST_USER => {
                losses.lose(name, "longer than the 64 bytes that are taken");
            }
            Some(text) => body.text(name, text),
            None => {}
        }
    }
    // OpenAI's own; others take it only where they take what they do not know.
    if let Some(retention) = request.cache_retention.as_ref().filter(|_| flavour.limits || flavour.extensions)
    {
        body.text("prompt_cache_retention", retention);
    }
    if let Some(verbosity) = &request.verbosity {
        body.text("verbosity", verbosity);
    }
    if let Some(metadata) = &request.metadata {
        body.raw("metadata", metadata.get());
    }
}

/// Members that the neutral form writes itself.
const WRITTEN: [&str; 29] = [
    "model",
    "messages",
    "tools",
    "functions",
    "function_call",
    "parallel_tool_calls",
    "web_search_options",
    "reasoning_effort",
    "max_completion_tokens",
    "stop",
    "n",
    "logprobs",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "service_tier",
    "user",
    "prompt_cache_key",
    "prompt_cache_retention",
    "verbosity",
    "stream",
    "response_format",
    "tool_choice",
    "top_k",
    "reasoning",
    "thinking",
    "metadata",
];

fn natives(body: &mut Object<'_>, natives: &[Native], losses: &mut Losses) {
    for native in natives {
        if native.dialect != NAME {
            losses.lose(native.name.clone(), "only the dialect that it came in has it");
        } else if native.name.starts_with("tools.") {
            // Stands at its tool.
        } else if !WRITTEN.contains(&native.name.as_str()) || is_rest(&native.name) {
            body.raw(&native.name, native.json.get());
        }
    }
}

/// Native ones that take the place of what the neutral form would write, which then does not write it.
fn is_rest(name: &str) -> bool {
    matches!(name, "reasoning" | "thinking" | "response_format" | "tool_choice" | "top_k" | "metadata")
}

fn write_output(body: &mut Object<'_>, output: &Output) {
    match output {
        Output::Text => {}
        Output::Json => {
            let mut format = Object::open(body.member("response_format"));
            format.text("type", "json_object");
            format.close();
        }
        Output::Schema(schema) => {
            let mut format = Object::open(body.member("response_format"));
            format.text("type", "json_schema");
            write_schema(format.member("json_schema"), schema);
            format.close();
        }
    }
}

fn write_schema(out: &mut Vec<u8>, schema: &Schema) {
    let mut object = Object::open(out);
    object.text("name", &schema_name(schema.name.as_deref()));
    if let Some(description) = &schema.description {
        object.text("description", description);
    }
    object.raw("schema", schema.schema.get());
    if let Some(strict) = schema.strict {
        object.show("strict", strict);
    }
    object.close();
}

/// A name is demanded, and has letters, digits, `_` and `-`.
fn schema_name(name: Option<&str>) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name = name.unwrap_or_default();
    let name: String = name.chars().take(LONGEST_NAME).map(|c| if fits(c) { c } else { '_' }).collect();
    if name.is_empty() { "response".to_owned() } else { name }
}

fn write_effort(
    body: &mut Object<'_>,
    effort: &Effort,
    request: &Request,
    flavour: Flavour,
    target: &Target<'_>,
    losses: &mut Losses,
) {
    let own = |name: &str| request.native.iter().any(|own| own.dialect == NAME && own.name == name);
    if own("reasoning") {
        return;
    }
    match flavour.effort {
        Spelling::Object => {
            write_object(body, effort);
            return;
        }
        Spelling::Thinking => {
            let enabled = effort.enabled.or_else(|| effort.adaptive.then_some(true));
            let enabled = enabled.or_else(|| effort.budget.map(|budget| budget > 0));
            if let Some(enabled) = enabled.filter(|_| !own("thinking")) {
                let mut thinking = Object::open(body.member("thinking"));
                thinking.text("type", if enabled { "enabled" } else { "disabled" });
                thinking.close();
            }
            let level = effort.level.as_deref().or_else(|| effort.budget.and_then(|_| derived(effort)));
            if let Some(level) = level.filter(|_| effort.enabled != Some(false)) {
                body.text("reasoning_effort", level);
            }
        }
        Spelling::Effort => {
            let level = match &effort.level {
                Some(level) if effort.enabled != Some(false) => Some(level.as_str()),
                _ => derived(effort),
            };
            match level {
                Some("none") if effort.level.as_deref() != Some("none") && !knows_none(target.model) => {
                    off(target.model, losses);
                }
                Some(level) => body.text("reasoning_effort", level),
                None => {}
            }
        }
    }
    if effort.summary.is_some() {
        losses.lose("reasoning.summary", "thoughts are shown as the provider likes");
    }
}

/// A model is to be told not to think, and has no word for it.
fn off(model: &str, losses: &mut Losses) {
    if may_think(model) {
        losses.lose("reasoning.enabled", "this model cannot be told not to think");
    }
}

fn write_object(body: &mut Object<'_>, effort: &Effort) {
    let mut reasoning = Object::open(body.member("reasoning"));
    if let Some(enabled) = effort.enabled {
        reasoning.show("enabled", enabled);
    }
    // One of the two is taken.
    if let Some(level) = &effort.level {
        reasoning.text("effort", level);
    } else if let Some(budget) = effort.budget {
        reasoning.show("max_tokens", budget);
    } else if effort.adaptive && effort.enabled.is_none() {
        reasoning.show("enabled", true);
    }
    match effort.summary.as_deref() {
        Some("none") => reasoning.show("exclude", true),
        Some(summary) => reasoning.text("summary", summary),
        None => {}
    }
    reasoning.close();
}

/// The level for a budget: not above what every model that thinks knows.
fn derived(effort: &Effort) -> Option<&str> {
    effort.level().map(|level| if matches!(level, "xhigh" | "max") { "high" } else { level })
}

/// Whether a model can be told not to think: OpenAI's can since GPT-5.1.
fn knows_none(model: &str) -> bool {
    base(model).starts_with("gpt-5.")
}

/// Whether a model may think: all but those of OpenAI's that never do.
fn may_think(model: &str) -> bool {
    let base = base(model);
    !["gpt-4", "gpt-3", "chatgpt-4"].iter().any(|start| base.starts_with(start))
}

fn base(model: &str) -> &str {
    model.rsplit_once('/').map_or(model, |(_, base)| base)
}
