//! How a client of each dialect asks, and what it has in its hands at the end. Written beside the dialects and not with them.

use bytes::Bytes;
use serde_json::{Value, json};

/// A client's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Chat,
    Completions,
    Responses,
    Anthropic,
    Gemini,
}

/// What a client heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) text: String,
    /// Beginnings of the answer, and its ends.
    pub(crate) starts: usize,
    pub(crate) ends: usize,
    /// Errors, whole or as events.
    pub(crate) errors: usize,
    /// Input and output tokens, as last told.
    pub(crate) usage: Option<(u64, u64)>,
    /// What is wrong with the order and the numbers of events.
    pub(crate) wrong: Vec<String>,
}

pub(crate) const ALL: [Client; 5] =
    [Client::Chat, Client::Completions, Client::Responses, Client::Anthropic, Client::Gemini];

impl Client {
    pub(crate) const fn dialect(self) -> &'static str {
        match self {
            Self::Chat => "openai.chat",
            Self::Completions => "openai.completions",
            Self::Responses => "openai.responses",
            Self::Anthropic => "anthropic.messages",
            Self::Gemini => "gemini.generateContent",
        }
    }

    /// Whether it has tools.
    pub(crate) const fn has_tools(self) -> bool {
        !matches!(self, Self::Completions)
    }

    /// A question for a model; `tool` offers a tool as well.
    pub(crate) fn ask(self, model: &str, question: &str, stream: bool, tool: bool) -> Bytes {
        let schema = json!({"type": "object", "properties": {"query": {"type": "string"}, "place": {"type": "string"}},
            "required": ["query", "place"]});
        let mut body = match self {
            Self::Chat => json!({"model": model, "messages": [{"role": "user", "content": question}]}),
            Self::Completions => json!({"model": model, "prompt": question}),
            Self::Responses => json!({"model": model, "input": question}),
            Self::Anthropic => json!({"model": model, "max_tokens": 4096,
                "messages": [{"role": "user", "content": question}]}),
            Self::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": question}]}]}),
        };
        if self != Self::Gemini {
            body["stream"] = stream.into();
        }
        if stream && matches!(self, Self::Chat | Self::Completions) {
            body["stream_options"] = json!({"include_usage": true});
        }
        if tool {
            let (name, about) = ("look_up", "Looks a thing up.");
            body["tools"] = match self {
                Self::Chat | Self::Completions => {
                    json!([{"type": "function", "function": {"name": name, "description": about, "parameters": schema}}])
                }
                Self::Responses => json!([{"type": "function", "name": name, "parameters": schema}]),
                Self::Anthropic => json!([{"name": name, "description": about, "input_schema": schema}]),
                Self::Gemini => json!([{"functionDeclarations": [{"name": name, "description": about,
                    "parameters": schema}]}]),
            };
        }
        body.to_string().into()
    }

    /// What is in a whole answer.
    pub(crate) fn whole(self, body: &[u8]) -> Heard {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = |list: &Value, name: &str| -> String {
            list.as_array().into_iter().flatten().map(|part| text(&part[name])).collect()
        };
        let said = match self {
            Self::Chat => text(&json["choices"][0]["message"]["content"]),
            Self::Completions => text(&json["choices"][0]["text"]),
            Self::Responses => {
                json["output"].as_array().into_iter().flatten().map(|i| all(&i["content"], "text")).collect()
            }
            Self::Anthropic => all(&json["content"], "text"),
            Self::Gemini => all(&json["candidates"][0]["content"]["parts"], "text"),
        };
        let usage = self.usage(&json);
        let errors = usize::from(json["error"].is_object() || json["type"] == "error");
        Heard { text: said, starts: 1, ends: 1, errors, usage, wrong: Vec::new() }
    }

    fn usage(self, json: &Value) -> Option<(u64, u64)> {
        let (from, input, output) = match self {
            Self::Chat | Self::Completions => (&json["usage"], "prompt_tokens", "completion_tokens"),
            Self::Responses => (&json["response"]["usage"], "input_tokens", "output_tokens"),
            Self::Anthropic => (&json["usage"], "input_tokens", "output_tokens"),
            Self::Gemini => (&json["usageMetadata"], "promptTokenCount", "candidatesTokenCount"),
        };
        let from = if self == Self::Responses && from.is_null() { &json["usage"] } else { from };
        from.is_object().then(|| (from[input].as_u64().unwrap_or(0), from[output].as_u64().unwrap_or(0)))
    }

    /// What is in a stream.
    pub(crate) fn stream(self, body: &[u8]) -> Heard {
        let mut heard = Heard::default();
        let mut open: Option<u64> = None;
        let mut next_block = 0;
        let mut sequence = 0;
        let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
        for event in text.split("\n\n").filter(|event| !event.trim().is_empty()) {
            let data: Vec<&str> =
                event.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect();
            let data = data.join("\n");
            if data.is_empty() {
                continue;
            }
            if data == "[DONE]" {
                heard.ends += 1;
                continue;
            }
            if heard.ends > 0 {
                heard.wrong.push(format!("an event behind the end: {data}"));
            }
            let Ok(json) = serde_json::from_str::<Value>(&data) else {
                heard.wrong.push(format!("not JSON: {data}"));
                continue;
            };
            // This dialect tells an error twice: by itself, and as the end of the response.
            if self == Self::Responses && json["type"] == "error" {
                sequence += 1;
                continue;
            }
            if json["error"].is_object() || json["type"] == "error" || json["type"] == "response.failed" {
                heard.errors += 1;
                continue;
            }
            if let Some(usage) = self.usage(&json) {
                heard.usage = Some(usage);
            }
            let mut say = |value: &Value| heard.text.push_str(value.as_str().unwrap_or_default());
            match self {
                Self::Chat => {
                    say(&json["choices"][0]["delta"]["content"]);
                    heard.starts += usize::from(json["choices"][0]["delta"]["role"].is_string());
                }
                Self::Completions => {
                    say(&json["choices"][0]["text"]);
                    heard.starts = 1;
                }
                Self::Gemini => {
                    json["candidates"][0]["content"]["parts"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .for_each(|p| say(&p["text"]));
                    heard.starts = 1;
                    heard.ends += usize::from(json["candidates"][0]["finishReason"].is_string());
                }
                Self::Responses => {
                    if json["sequence_number"].as_u64() != Some(sequence) {
                        heard
                            .wrong
                            .push(format!("number {} where {sequence} was due", json["sequence_number"]));
                    }
                    sequence += 1;
                    match json["type"].as_str().unwrap_or_default() {
                        "response.created" => heard.starts += 1,
                        "response.output_text.delta" => say(&json["delta"]),
                        "response.completed" => {
                            heard.ends += 1;
                            let whole = self.whole(json["response"].to_string().as_bytes()).text;
                            if whole != heard.text {
                                heard.wrong.push(format!("the last event says {whole:?}"));
                            }
                        }
                        _ => {}
                    }
                }
                Self::Anthropic => {
                    let index = json["index"].as_u64();
                    match json["type"].as_str().unwrap_or_default() {
                        "message_start" => heard.starts += 1,
                        "message_stop" => heard.ends += 1,
                        "content_block_start" => {
                            if open.is_some() || index != Some(next_block) {
                                heard
                                    .wrong
                                    .push(format!("block {index:?} begins where {next_block} was due"));
                            }
                            open = index;
                            next_block += 1;
                        }
                        "content_block_delta" => {
                            if index != open {
                                heard.wrong.push(format!("block {index:?} speaks where {open:?} is open"));
                            }
                            say(&json["delta"]["text"]);
                        }
                        "content_block_stop" => {
                            if index != open {
                                heard.wrong.push(format!("block {index:?} ends where {open:?} is open"));
                            }
                            open = None;
                        }
                        _ => {}
                    }
                }
            }
        }
        if open.is_some() && heard.errors == 0 {
            heard.wrong.push("a block stays open".to_owned());
        }
        heard
    }
}
