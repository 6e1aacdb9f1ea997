//! What an answer says, read from its JSON by code that shares nothing with the dialects.

use std::collections::BTreeMap;

use serde_json::Value;

/// An answer, reduced to what must survive a translation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) text: String,
    /// Names and arguments, in order; arguments that are JSON are compared as such.
    pub(crate) calls: Vec<(String, Value)>,
    pub(crate) refusal: String,
    pub(crate) finish: Option<Finish>,
    /// Tokens in and out, everything counted.
    pub(crate) usage: Option<(u64, u64)>,
}

/// Why an answer ended, as coarse as the coarsest dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    Calls,
    Filter,
    /// What some dialects have no word for.
    Other,
}

/// Pieces of a stream, gathered.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) said: Said,
    calls: BTreeMap<u64, (String, String)>,
    /// How many terminal events came.
    pub(crate) ends: usize,
    /// Block indexes in the order of their opening, where the dialect has them.
    pub(crate) blocks: Vec<u64>,
    items: Vec<Value>,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn n(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

pub(crate) fn arguments(text: &str) -> Value {
    if text.is_empty() {
        return Value::Object(serde_json::Map::new());
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn some(usage: (u64, u64)) -> Option<(u64, u64)> {
    (usage != (0, 0)).then_some(usage)
}

/// Whether an answer says the same after its translation. What may differ: a word that the client's dialect does not have.
///
/// # Errors
/// What differs.
pub(crate) fn alike(from: &Said, to: &Said, client: &str) -> Result<(), String> {
    let refusal = |said: &Said| format!("{}{}", said.text, said.refusal);
    if refusal(from) != refusal(to) {
        return Err(format!("text {:?} became {:?}", shorten(&refusal(from)), shorten(&refusal(to))));
    }
    let calls = |said: &Said| -> Vec<(String, Value)> {
        said.calls.iter().map(|(name, given)| (name.clone(), object(given))).collect()
    };
    if calls(from) != calls(to) {
        return Err(format!("calls {:?} became {:?}", from.calls, to.calls));
    }
    if from.usage.is_some() && from.usage != to.usage {
        return Err(format!("usage {:?} became {:?}", from.usage, to.usage));
    }
    let same = match (from.finish, to.finish) {
        (a, b) if a == b => true,
        // A word of one dialect alone, or none at all.
        (None | Some(Finish::Other), _) | (_, Some(Finish::Other)) => true,
        // What calls tools has ended for that in dialects that know it only so.
        (Some(Finish::Stop), Some(Finish::Calls)) => !to.calls.is_empty(),
        (Some(Finish::Calls), Some(Finish::Stop)) => to.calls.is_empty(),
        (Some(Finish::Stop), Some(Finish::Filter)) => !from.refusal.is_empty(),
        (Some(Finish::Filter), Some(Finish::Stop)) => client == "openai.responses" && !to.refusal.is_empty(),
        _ => false,
    };
    if same { Ok(()) } else { Err(format!("finish {:?} became {:?}", from.finish, to.finish)) }
}

/// Arguments that are no object stand in one where the dialect demands it; the words must be there.
fn object(given: &Value) -> Value {
    let Value::Object(members) = given else { return given.clone() };
    match members.values().next() {
        Some(Value::String(text)) if members.len() == 1 => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(_)) => given.clone(),
            Ok(other) if members.contains_key("arguments") => other,
            Ok(_) => given.clone(),
            Err(_) => Value::String(text.clone()),
        },
        _ => given.clone(),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(120).collect()
}

// === OpenAI chat ===

pub(crate) fn chat_whole(json: &Value) -> Said {
    let choice = &json["choices"][0];
    let message = &choice["message"];
    let mut said = Said {
        text: text_of(&message["content"]),
        refusal: text(&message["refusal"]).to_owned(),
        finish: chat_finish(&choice["finish_reason"]),
        usage: chat_usage(&json["usage"]),
        ..Said::default()
    };
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let (name, given) = if call["type"] == "custom" {
            (&call["custom"]["name"], Value::String(text(&call["custom"]["input"]).to_owned()))
        } else {
            (&call["function"]["name"], arguments(text(&call["function"]["arguments"])))
        };
        said.calls.push((text(name).to_owned(), given));
    }
    let legacy = &message["function_call"];
    if let Some(name) = legacy["name"].as_str().filter(|name| !name.is_empty()) {
        said.calls.push((name.to_owned(), arguments(text(&legacy["arguments"]))));
    }
    said
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter(|p| p["type"] == "text").map(|p| text(&p["text"])).collect()
        }
        _ => String::new(),
    }
}

fn chat_finish(reason: &Value) -> Option<Finish> {
    Some(match reason.as_str()? {
        "stop" | "eos" => Finish::Stop,
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::Calls,
        "content_filter" => Finish::Filter,
        "" => return None,
        _ => Finish::Other,
    })
}

fn chat_usage(usage: &Value) -> Option<(u64, u64)> {
    let (prompt, completion) = (n(&usage["prompt_tokens"]), n(&usage["completion_tokens"]));
    let cached = [
        &usage["prompt_tokens_details"]["cached_tokens"],
        &usage["prompt_cache_hit_tokens"],
        &usage["cached_tokens"],
        &usage["num_cached_tokens"],
        &usage["cache_read_input_tokens"],
    ];
    let cached = cached.into_iter().map(n).max().unwrap_or(0);
    let thought =
        n(&usage["completion_tokens_details"]["reasoning_tokens"]).max(n(&usage["reasoning_tokens"]));
    // A part that is larger than its whole stands beside it; what the total has beyond both is reasoning.
    let beside = |whole: u64, part: u64| if part > whole { whole + part } else { whole };
    let beyond = n(&usage["total_tokens"]).saturating_sub(prompt + completion);
    let output = if beyond > 0 { completion + beyond } else { beside(completion, thought) };
    some((beside(prompt, cached), output))
}

pub(crate) fn chat_event(all: &mut Gathered, json: &Value) {
    if let Some(usage) = chat_usage(&json["usage"]).or_else(|| chat_usage(&json["x_groq"]["usage"])) {
        all.said.usage = Some(usage);
    }
    let Some(choice) = json["choices"].as_array().and_then(|c| c.iter().find(|c| n(&c["index"]) == 0)) else {
        return;
    };
    let delta = &choice["delta"];
    all.said.text.push_str(&text_of(&delta["content"]));
    all.said.refusal.push_str(text(&delta["refusal"]));
    for call in delta["tool_calls"].as_array().into_iter().flatten() {
        let slot = all.calls.entry(n(&call["index"])).or_default();
        slot.0.push_str(text(&call["function"]["name"]));
        slot.1.push_str(text(&call["function"]["arguments"]));
        if slot.0.is_empty() {
            slot.0.push_str(text(&call["custom"]["name"]));
        }
        slot.1.push_str(text(&call["custom"]["input"]));
    }
    if let Some(finish) = chat_finish(&choice["finish_reason"]) {
        all.said.finish = Some(finish);
    }
}

// === Anthropic ===

pub(crate) fn anthropic_whole(json: &Value) -> Said {
    let mut said = Said {
        finish: anthropic_finish(&json["stop_reason"]),
        usage: anthropic_usage(&json["usage"]),
        ..Said::default()
    };
    for block in json["content"].as_array().into_iter().flatten() {
        match text(&block["type"]) {
            "text" => said.text.push_str(text(&block["text"])),
            "tool_use" => said.calls.push((text(&block["name"]).to_owned(), block["input"].clone())),
            _ => {}
        }
    }
    said
}

fn anthropic_finish(reason: &Value) -> Option<Finish> {
    Some(match reason.as_str()? {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" => Finish::Length,
        "tool_use" => Finish::Calls,
        "refusal" => Finish::Filter,
        _ => Finish::Other,
    })
}

fn anthropic_usage(usage: &Value) -> Option<(u64, u64)> {
    let cached = n(&usage["cache_read_input_tokens"]) + n(&usage["cache_creation_input_tokens"]);
    // Steps that are charged beside the top-level counts are not compared.
    let beside = |step: &Value| matches!(text(&step["type"]), "compaction" | "advisor_message");
    if usage["iterations"].as_array().is_some_and(|steps| steps.iter().any(beside)) {
        return None;
    }
    some((n(&usage["input_tokens"]) + cached, n(&usage["output_tokens"])))
}

pub(crate) fn anthropic_event(all: &mut Gathered, json: &Value) {
    match text(&json["type"]) {
        "message_start" => all.said.usage = anthropic_usage(&json["message"]["usage"]),
        "content_block_start" => {
            let (index, block) = (n(&json["index"]), &json["content_block"]);
            all.blocks.push(index);
            all.said.text.push_str(if block["type"] == "text" { text(&block["text"]) } else { "" });
            if block["type"] == "tool_use" {
                all.calls.insert(index, (text(&block["name"]).to_owned(), String::new()));
            }
        }
        "content_block_delta" => {
            let delta = &json["delta"];
            match text(&delta["type"]) {
                "text_delta" => all.said.text.push_str(text(&delta["text"])),
                "input_json_delta" => {
                    if let Some(call) = all.calls.get_mut(&n(&json["index"])) {
                        call.1.push_str(text(&delta["partial_json"]));
                    }
                }
                _ => {}
            }
        }
        "message_delta" => {
            all.said.finish = anthropic_finish(&json["delta"]["stop_reason"]).or(all.said.finish);
            let usage = &json["usage"];
            let before = all.said.usage.unwrap_or_default();
            let now = anthropic_usage(usage);
            let beside = usage["iterations"].is_array() && now.is_none();
            let (input, output) = now.unwrap_or_default();
            let input = if usage["input_tokens"].is_u64() { input } else { before.0 };
            all.said.usage = if beside { None } else { some((input, output)) };
        }
        "message_stop" => all.ends += 1,
        _ => {}
    }
}

// === OpenAI responses ===

pub(crate) fn responses_whole(json: &Value) -> Said {
    let mut said = Said { usage: responses_usage(&json["usage"]), ..Said::default() };
    for item in json["output"].as_array().into_iter().flatten() {
        match text(&item["type"]) {
            "message" => {
                for part in item["content"].as_array().into_iter().flatten() {
                    said.text.push_str(if part["type"] == "output_text" { text(&part["text"]) } else { "" });
                    said.refusal.push_str(text(&part["refusal"]));
                }
            }
            "function_call" => {
                said.calls.push((text(&item["name"]).to_owned(), arguments(text(&item["arguments"]))));
            }
            "custom_tool_call" => {
                said.calls
                    .push((text(&item["name"]).to_owned(), Value::String(text(&item["input"]).to_owned())));
            }
            _ => {}
        }
    }
    said.finish = match (text(&json["status"]), text(&json["incomplete_details"]["reason"])) {
        ("incomplete", "content_filter") => Some(Finish::Filter),
        ("incomplete", _) => Some(Finish::Length),
        ("completed", _) if !said.calls.is_empty() => Some(Finish::Calls),
        ("completed", _) => Some(Finish::Stop),
        _ => None,
    };
    said
}

fn responses_usage(usage: &Value) -> Option<(u64, u64)> {
    some((n(&usage["input_tokens"]), n(&usage["output_tokens"])))
}

pub(crate) fn responses_event(all: &mut Gathered, json: &Value) {
    match text(&json["type"]) {
        "response.output_item.added" => all.blocks.push(n(&json["output_index"])),
        "response.output_item.done" => all.items.push(json["item"].clone()),
        "response.completed" | "response.incomplete" | "response.failed" => {
            all.ends += 1;
            let mut response = json["response"].clone();
            // Some servers leave the items out of the last event.
            if response["output"].as_array().is_none_or(Vec::is_empty) {
                response["output"] = Value::Array(std::mem::take(&mut all.items));
            }
            all.said = responses_whole(&response);
        }
        _ => {}
    }
}

// === Gemini ===

pub(crate) fn gemini_whole(json: &Value) -> Said {
    let mut all = Gathered::default();
    gemini_event(&mut all, json);
    all.finished()
}

pub(crate) fn gemini_event(all: &mut Gathered, json: &Value) {
    let candidate = &json["candidates"][0];
    for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
        if part["thought"] == true {
            continue;
        }
        all.said.text.push_str(text(&part["text"]));
        let call = &part["functionCall"];
        if let Some(name) = call["name"].as_str() {
            let given = if call["args"].is_null() { arguments("") } else { call["args"].clone() };
            all.said.calls.push((name.to_owned(), given));
        }
        // Arguments that come in pieces: each says where it belongs.
        for piece in call["partialArgs"].as_array().into_iter().flatten() {
            if let (Some((_, given)), Some(path)) = (all.said.calls.last_mut(), piece["jsonPath"].as_str()) {
                add_piece(place(given, path), piece);
            }
        }
    }
    let usage = &json["usageMetadata"];
    let input = n(&usage["promptTokenCount"]) + n(&usage["toolUsePromptTokenCount"]);
    let output = n(&usage["candidatesTokenCount"]) + n(&usage["thoughtsTokenCount"]);
    if usage.is_object() {
        all.said.usage = some((input, output)).or(all.said.usage);
    }
    if let Some(reason) = candidate["finishReason"].as_str() {
        all.said.finish = Some(match reason {
            "STOP" if !all.said.calls.is_empty() => Finish::Calls,
            "STOP" => Finish::Stop,
            "MAX_TOKENS" => Finish::Length,
            "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => Finish::Filter,
            _ => Finish::Other,
        });
    } else if json["promptFeedback"]["blockReason"].is_string() {
        all.said.finish = Some(Finish::Filter);
    }
}

/// The value at a path such as `$.steps[2].name`, made if it is not there.
fn place<'v>(root: &'v mut Value, path: &str) -> &'v mut Value {
    path.split(['.', '[']).skip(1).fold(root, |at, step| match step.strip_suffix(']') {
        Some(index) => {
            let index: usize = index.parse().unwrap();
            if !at.is_array() {
                *at = Value::Array(Vec::new());
            }
            let items = at.as_array_mut().unwrap();
            items.resize(items.len().max(index + 1), Value::Null);
            &mut items[index]
        }
        None => {
            if !at.is_object() {
                *at = arguments("");
            }
            &mut at[step]
        }
    })
}

fn add_piece(at: &mut Value, piece: &Value) {
    match (&piece["stringValue"], at) {
        (Value::String(more), Value::String(text)) => text.push_str(more),
        (Value::String(text), at) => *at = Value::String(text.clone()),
        (_, at) => {
            let value =
                ["numberValue", "boolValue"].into_iter().map(|kind| &piece[kind]).find(|v| !v.is_null());
            *at = value.cloned().unwrap_or(Value::Null);
        }
    }
}

// === Bedrock Converse ===

pub(crate) fn converse_whole(json: &Value) -> Said {
    let mut said = Said {
        finish: converse_finish(&json["stopReason"]),
        usage: converse_usage(&json["usage"]),
        ..Said::default()
    };
    for block in json["output"]["message"]["content"].as_array().into_iter().flatten() {
        said.text.push_str(text(&block["text"]));
        if block["toolUse"].is_object() && block["toolUse"]["type"] != "server_tool_use" {
            said.calls.push((text(&block["toolUse"]["name"]).to_owned(), block["toolUse"]["input"].clone()));
        }
        for part in block["citationsContent"]["content"].as_array().into_iter().flatten() {
            said.text.push_str(text(&part["text"]));
        }
    }
    said
}

fn converse_finish(reason: &Value) -> Option<Finish> {
    Some(match reason.as_str()? {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" => Finish::Length,
        "tool_use" => Finish::Calls,
        "guardrail_intervened" | "content_filtered" => Finish::Filter,
        _ => Finish::Other,
    })
}

fn converse_usage(usage: &Value) -> Option<(u64, u64)> {
    let cached = n(&usage["cacheReadInputTokens"]) + n(&usage["cacheWriteInputTokens"]);
    some((n(&usage["inputTokens"]) + cached, n(&usage["outputTokens"])))
}

pub(crate) fn converse_event(all: &mut Gathered, name: &str, json: &Value) {
    let index = n(&json["contentBlockIndex"]);
    match name {
        "contentBlockStart" => {
            let tool = &json["start"]["toolUse"];
            if let Some(tool) = tool["name"].as_str().filter(|_| tool["type"] != "server_tool_use") {
                all.calls.insert(index, (tool.to_owned(), String::new()));
            }
        }
        "contentBlockDelta" => {
            all.said.text.push_str(text(&json["delta"]["text"]));
            if let (Some(call), Some(input)) =
                (all.calls.get_mut(&index), json["delta"]["toolUse"]["input"].as_str())
            {
                call.1.push_str(input);
            }
        }
        "messageStop" => all.said.finish = converse_finish(&json["stopReason"]),
        "metadata" => {
            all.ends += 1;
            all.said.usage = converse_usage(&json["usage"]);
        }
        _ => {}
    }
}

// === Cohere ===

pub(crate) fn cohere_whole(json: &Value) -> Said {
    let mut said = Said {
        text: text(&json["message"]["tool_plan"]).to_owned() + &text_of(&json["message"]["content"]),
        finish: cohere_finish(&json["finish_reason"]),
        usage: cohere_usage(&json["usage"]),
        ..Said::default()
    };
    for call in json["message"]["tool_calls"].as_array().into_iter().flatten() {
        let given = arguments(text(&call["function"]["arguments"]));
        // This provider writes `null` for none.
        let given = if given.is_null() { arguments("") } else { given };
        said.calls.push((text(&call["function"]["name"]).to_owned(), given));
    }
    said
}

fn cohere_finish(reason: &Value) -> Option<Finish> {
    Some(match reason.as_str()? {
        "COMPLETE" | "STOP_SEQUENCE" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "TOOL_CALL" => Finish::Calls,
        _ => Finish::Other,
    })
}

fn cohere_usage(usage: &Value) -> Option<(u64, u64)> {
    let billed = &usage["billed_units"];
    let tokens = if billed["input_tokens"].is_number() { billed } else { &usage["tokens"] };
    some((tokens["input_tokens"].as_f64()? as u64, tokens["output_tokens"].as_f64()? as u64))
}

pub(crate) fn cohere_event(all: &mut Gathered, json: &Value) {
    let (index, message) = (n(&json["index"]), &json["delta"]["message"]);
    match text(&json["type"]) {
        "content-start" | "content-delta" => all.said.text.push_str(text(&message["content"]["text"])),
        "tool-plan-delta" => all.said.text.push_str(text(&message["tool_plan"])),
        "tool-call-start" | "tool-call-delta" => {
            let function = &message["tool_calls"]["function"];
            let call = all.calls.entry(index).or_default();
            call.0.push_str(text(&function["name"]));
            call.1.push_str(text(&function["arguments"]));
        }
        "message-end" => {
            all.said.finish = cohere_finish(&json["delta"]["finish_reason"]);
            all.said.usage = cohere_usage(&json["delta"]["usage"]);
        }
        _ => {}
    }
}

// === impl Gathered ===

impl Gathered {
    /// What the pieces come to.
    pub(crate) fn finished(mut self) -> Said {
        for (name, given) in self.calls.into_values() {
            self.said.calls.push((name, arguments(&given)));
        }
        self.said
    }
}
