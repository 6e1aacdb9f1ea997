//! Clients that keep a conversation: what they hear goes back as they heard it, as the SDKs of each dialect do it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A conversation in progress.
pub(super) struct Client {
    pub(super) dialect: &'static str,
    stream: bool,
    model: String,
    /// Turns in JSON text: whole answers as their bytes were.
    turns: Vec<String>,
    /// Where the turns of the last answer begin.
    last: usize,
    /// The calls that wait: ids and names.
    open: Vec<(Option<String>, String)>,
}

/// The dialects that clients speak.
pub(super) const CLIENTS: [&str; 4] =
    ["anthropic.messages", "openai.chat", "openai.responses", "gemini.generateContent"];

const SCHEMA: &str = r#"{"type":"object","properties":{"city":{"type":"string"}}}"#;

// === impl Client ===

impl Client {
    pub(super) fn new(dialect: &'static str, model: &str, stream: bool) -> Self {
        Self { dialect, stream, model: model.to_owned(), turns: Vec::new(), last: 0, open: Vec::new() }
    }

    /// The model and whether to stream.
    pub(super) fn wants(&self) -> (String, bool) {
        (self.model.clone(), self.stream)
    }

    /// The turns of the last answer, as they go back.
    pub(super) fn last_turns(&self) -> impl Iterator<Item = &str> {
        self.turns[self.last..].iter().map(String::as_str)
    }

    /// Speaks: the outcomes of the calls that wait, or else a question.
    pub(super) fn speak(&mut self, turn: usize) {
        let open = std::mem::take(&mut self.open);
        let question = format!("Question {turn}?");
        let gave = |at: usize| format!("Outcome {turn}.{at}: \"fine\"\n");
        match self.dialect {
            _ if open.is_empty() => self.turns.push(match self.dialect {
                "gemini.generateContent" => {
                    json!({"role": "user", "parts": [{"text": question}]}).to_string()
                }
                _ => json!({"role": "user", "content": question}).to_string(),
            }),
            "anthropic.messages" => {
                let blocks = open.iter().enumerate().map(
                    |(at, (id, _))| json!({"type": "tool_result", "tool_use_id": id, "content": gave(at)}),
                );
                self.turns.push(json!({"role": "user", "content": blocks.collect::<Vec<_>>()}).to_string());
            }
            "gemini.generateContent" => {
                let parts = open.iter().enumerate().map(|(at, (id, name))| {
                    let mut response = json!({"name": name, "response": {"result": gave(at)}});
                    if let Some(id) = id {
                        response["id"] = json!(id);
                    }
                    json!({"functionResponse": response})
                });
                self.turns.push(json!({"role": "user", "parts": parts.collect::<Vec<_>>()}).to_string());
            }
            "openai.responses" => self.turns.extend(open.iter().enumerate().map(|(at, (id, _))| {
                json!({"type": "function_call_output", "call_id": id, "output": gave(at)}).to_string()
            })),
            _ => self.turns.extend(open.iter().enumerate().map(|(at, (id, _))| {
                json!({"role": "tool", "tool_call_id": id, "content": gave(at)}).to_string()
            })),
        }
    }

    /// The request with all that was said.
    pub(super) fn request(&self) -> String {
        let (model, stream, turns) = (&self.model, self.stream, self.turns.join(", "));
        match self.dialect {
            "anthropic.messages" => format!(
                r#"{{"model":"{model}","max_tokens":9000,"stream":{stream},"thinking":{{"type":"enabled","budget_tokens":4000}},
                "tools":[{{"name":"look","input_schema":{SCHEMA}}}], "messages" : [{turns}] }}"#
            ),
            "openai.responses" => format!(
                r#"{{"model":"{model}","stream":{stream},"store":false,"include":["reasoning.encrypted_content"],
                "reasoning":{{"effort":"medium","summary":"auto"}},
                "tools":[{{"type":"function","name":"look","parameters":{SCHEMA}}}],"input":[{turns}]}}"#
            ),
            "gemini.generateContent" => format!(
                r#"{{"generationConfig":{{"thinkingConfig":{{"includeThoughts":true,"thinkingBudget":4000}}}},
                "tools":[{{"functionDeclarations":[{{"name":"look","parametersJsonSchema":{SCHEMA}}}]}}],
                "contents":[{turns}]}}"#
            ),
            _ => format!(
                r#"{{"model":"{model}","stream":{stream},"reasoning_effort":"medium",
                "tools":[{{"type":"function","function":{{"name":"look","parameters":{SCHEMA}}}}}],"messages":[{turns}]}}"#
            ),
        }
    }

    /// Hears an answer: it becomes a turn.
    pub(super) fn hear(&mut self, body: &[u8]) {
        self.last = self.turns.len();
        if self.stream {
            let events = events(body);
            let turns = match self.dialect {
                "anthropic.messages" => vec![anthropic(&events)],
                "openai.responses" => responses(&events),
                "gemini.generateContent" => vec![gemini(&events)],
                _ => vec![chat(&events)],
            };
            self.turns.extend(turns.iter().map(Value::to_string));
            turns.iter().for_each(|turn| self.await_calls(turn));
            return;
        }
        let at = |path: &[&str]| -> String {
            let mut raw: &RawValue = serde_json::from_slice(body).unwrap();
            for name in path {
                raw = match name.parse::<usize>() {
                    Ok(at) => serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap()[at],
                    Err(_) => serde_json::from_str::<BTreeMap<&str, &RawValue>>(raw.get()).unwrap()[name],
                };
            }
            raw.get().to_owned()
        };
        let turns = match self.dialect {
            "anthropic.messages" => vec![format!(r#"{{"role":"assistant","content":{}}}"#, at(&["content"]))],
            "openai.responses" => {
                let items = at(&["output"]);
                let items: Vec<&RawValue> = serde_json::from_str(&items).unwrap();
                items.iter().map(|item| item.get().to_owned()).collect()
            }
            "gemini.generateContent" => vec![at(&["candidates", "0", "content"])],
            _ => vec![at(&["choices", "0", "message"])],
        };
        for turn in turns {
            self.await_calls(&serde_json::from_str(&turn).unwrap());
            self.turns.push(turn);
        }
    }

    fn await_calls(&mut self, turn: &Value) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut wait = |id: &Value, name: &Value| self.open.push((text(id), text(name).unwrap()));
        match self.dialect {
            "anthropic.messages" => {
                for block in list(&turn["content"]).iter().filter(|block| block["type"] == "tool_use") {
                    wait(&block["id"], &block["name"]);
                }
            }
            "openai.responses" if turn["type"] == "function_call" => wait(&turn["call_id"], &turn["name"]),
            "openai.responses" => {}
            "gemini.generateContent" => {
                for part in list(&turn["parts"]).iter().filter(|part| part["functionCall"].is_object()) {
                    wait(&part["functionCall"]["id"], &part["functionCall"]["name"]);
                }
            }
            _ => {
                for call in list(&turn["tool_calls"]) {
                    wait(&call["id"], &call["function"]["name"]);
                }
            }
        }
    }
}

// === streams ===

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn events(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|json| serde_json::from_str(json).unwrap_or_else(|_| panic!("{json}"))).collect()
}

/// Adds a piece to a text.
fn add(to: &mut Value, piece: &Value) {
    let text = format!("{}{}", to.as_str().unwrap_or_default(), piece.as_str().unwrap_or_default());
    *to = json!(text);
}

fn anthropic(events: &[Value]) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    for event in events {
        let block = usize::try_from(event["index"].as_u64().unwrap_or(0)).unwrap();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!(block, blocks.len());
                let mut start = event["content_block"].clone();
                if start["type"] == "tool_use" {
                    start["input"] = json!("");
                }
                blocks.push(start);
            }
            "content_block_delta" => {
                let (delta, block) = (&event["delta"], &mut blocks[block]);
                match delta["type"].as_str().unwrap() {
                    "text_delta" => add(&mut block["text"], &delta["text"]),
                    "thinking_delta" => add(&mut block["thinking"], &delta["thinking"]),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => add(&mut block["input"], &delta["partial_json"]),
                    other => panic!("{other}"),
                }
            }
            "error" => panic!("{event}"),
            _ => {}
        }
    }
    for block in blocks.iter_mut().filter(|block| block["type"] == "tool_use") {
        block["input"] = serde_json::from_str(block["input"].as_str().unwrap()).unwrap();
    }
    json!({"role": "assistant", "content": blocks})
}

fn responses(events: &[Value]) -> Vec<Value> {
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed", "{last}");
    // Agents keep the items as they come, the SDK the whole response: they must agree.
    let done: Vec<Value> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["item"].clone())
        .collect();
    assert_eq!(last["response"]["output"], json!(done));
    done
}

fn gemini(events: &[Value]) -> Value {
    let parts: Vec<Value> =
        events.iter().flat_map(|event| list(&event["candidates"][0]["content"]["parts"])).collect();
    json!({"role": "model", "parts": parts})
}

/// As clients of routers keep it: words joined, entries of lists one behind the other, calls by their index.
fn chat(events: &[Value]) -> Value {
    let mut message = json!({"role": "assistant", "content": ""});
    let mut calls: Vec<Value> = Vec::new();
    for delta in events.iter().map(|event| &event["choices"][0]["delta"]) {
        for (name, value) in delta.as_object().into_iter().flatten() {
            match name.as_str() {
                "role" => {}
                "tool_calls" => {
                    for piece in list(value) {
                        let at = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
                        if at == calls.len() {
                            calls.push(json!({"type": "function", "function": {"arguments": ""}}));
                        }
                        let call = &mut calls[at];
                        for member in ["id", "extra_content"] {
                            if !piece[member].is_null() {
                                call[member] = piece[member].clone();
                            }
                        }
                        if !piece["function"]["name"].is_null() {
                            call["function"]["name"] = piece["function"]["name"].clone();
                        }
                        add(&mut call["function"]["arguments"], &piece["function"]["arguments"]);
                    }
                }
                _ if value.is_string() => add(&mut message[name], value),
                _ if value.is_array() => {
                    let mut all = list(&message[name]);
                    all.extend(list(value));
                    message[name] = json!(all);
                }
                _ => message[name] = value.clone(),
            }
        }
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    message
}
