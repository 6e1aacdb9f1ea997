//! Providers that sign what they think: what each says at a turn, and what it must get back.

use bytes::Bytes;
use lockgate_core::Upstream;
use lockgate_dialect::eventstream::{self, Message};
use lockgate_testkit::Play;
use serde_json::{Value, json};

use crate::errands::speaking;

/// A provider, by the dialect that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Provider {
    pub(super) dialect: &'static str,
    /// A model that thinks, by the strictest rules of its kind.
    pub(super) model: &'static str,
}

/// Those that sign.
pub(super) const SIGNING: [Provider; 5] = [
    Provider { dialect: "anthropic.messages", model: "claude-sonnet-4-5" },
    Provider { dialect: "gemini.generateContent", model: "gemini-3-pro-preview" },
    Provider { dialect: "openai.responses", model: "gpt-5" },
    Provider { dialect: "bedrock.converse", model: "anthropic.claude-sonnet-4-5-20250929-v1:0" },
    Provider { dialect: "openai.chat", model: "thinker" },
];

/// One that signs nothing, and has its own rules all the same.
pub(super) const UNSIGNED: Provider =
    Provider { dialect: "cohere.chat", model: "command-a-reasoning-08-2025" };

/// What a thought says: quotes, lines, and letters that JSON may write in several ways.
fn thought(turn: usize) -> String {
    format!("Turn {turn}: \"weigh\" it,\n\tthen caf\u{e9} \u{1f9ca} a/b \u{2028}end ")
}

/// A state, as only its provider can read it.
fn state(turn: usize, what: &str) -> String {
    format!("Eq{what}{turn}/+{}==", "Zm9v".repeat(40 + turn))
}

fn called(turn: usize) -> Value {
    json!({"city": format!("C{turn}"), "n": turn, "deep": {"a": [1, 2.5, null]}})
}

/// Whether the model calls tools at this turn, and how many.
fn calls(turn: usize) -> usize {
    match turn % 3 {
        0 => 1,
        1 if turn != 7 => 2,
        _ => 0,
    }
}

// === impl Provider ===

impl Provider {
    pub(super) fn upstream(self, name: &str) -> Upstream {
        speaking(name, &[self.dialect])
    }

    /// Its answer at a turn.
    pub(super) fn play(self, turn: usize, stream: bool) -> Play {
        let whole = self.whole(turn);
        if !stream {
            return Play::json(200, whole.to_string());
        }
        match self.dialect {
            "anthropic.messages" => sse(&anthropic_events(&whole)),
            "gemini.generateContent" => sse(&gemini_events(&whole)),
            "openai.responses" => sse(&responses_events(&whole)),
            "openai.chat" => sse(&chat_events(&whole)),
            "cohere.chat" => sse(&cohere_events(&whole)),
            _ => Play::status(200)
                .header("content-type", "application/vnd.amazon.eventstream")
                .piece(converse_frames(&whole)),
        }
    }

    /// The same as a whole, written as no serializer would: with its own spaces, lines and escapes.
    pub(super) fn oddly_written(self, turn: usize) -> String {
        let plain = self.whole(turn).to_string();
        plain.replace("caf\u{e9}", "caf\\u00e9").replace("/+", "\\/+").replace(",\"", " ,\n  \"")
    }

    fn whole(self, turn: usize) -> Value {
        match self.dialect {
            "anthropic.messages" => anthropic(turn),
            "gemini.generateContent" => gemini(turn),
            "openai.responses" => responses(turn),
            "openai.chat" => chat(turn),
            "cohere.chat" => cohere(turn),
            _ => converse(turn),
        }
    }

    /// The states of a turn, as they must come back.
    pub(super) fn sent(self, turn: usize) -> Vec<Value> {
        self.states_in_answer(&self.whole(turn))
    }

    fn states_in_answer(self, whole: &Value) -> Vec<Value> {
        match self.dialect {
            "anthropic.messages" => self.states(&json!({"messages": [{"content": whole["content"]}]})),
            "gemini.generateContent" => {
                self.states(&json!({"contents": [whole["candidates"][0]["content"]]}))
            }
            "openai.responses" => self.states(&json!({"input": whole["output"]})),
            "openai.chat" => self.states(&json!({"messages": [whole["choices"][0]["message"]]})),
            "cohere.chat" => Vec::new(),
            _ => self.states(&json!({"messages": [whole["output"]["message"]]})),
        }
    }

    /// All states of a request, in order, each with what it is bound to.
    pub(super) fn states(self, request: &Value) -> Vec<Value> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let mut found = Vec::new();
        match self.dialect {
            "anthropic.messages" => {
                for block in list(&request["messages"]).iter().flat_map(|message| list(&message["content"])) {
                    if block["type"] == "thinking" || block["type"] == "redacted_thinking" {
                        found.push(block);
                    }
                }
            }
            "gemini.generateContent" => {
                for part in list(&request["contents"]).iter().flat_map(|content| list(&content["parts"])) {
                    // What stands where a call of another model has no signature.
                    let no_state = part["thoughtSignature"] == "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";
                    if part["thoughtSignature"].is_string() && !no_state {
                        found.push(json!({
                            "signature": part["thoughtSignature"],
                            "call": part["functionCall"]["name"],
                            "args": part["functionCall"]["args"],
                            "text": part["text"],
                        }));
                    }
                }
            }
            "openai.responses" => {
                for item in list(&request["input"]).iter().filter(|item| item["type"] == "reasoning") {
                    found.push(json!({"state": item["encrypted_content"], "summary": item["summary"]}));
                }
            }
            "openai.chat" => {
                found.extend(list(&request["messages"]).iter().flat_map(|it| list(&it["reasoning_details"])));
            }
            "cohere.chat" => {}
            _ => {
                for block in list(&request["messages"]).iter().flat_map(|message| list(&message["content"])) {
                    if block["reasoningContent"].is_object() {
                        found.push(block);
                    }
                }
            }
        }
        found
    }
}

// === whole answers ===

fn text(turn: usize) -> String {
    format!("Answer {turn}.")
}

fn anthropic(turn: usize) -> Value {
    let mut content =
        vec![json!({"type": "thinking", "thinking": thought(turn), "signature": state(turn, "A")})];
    if turn.is_multiple_of(4) {
        content.push(json!({"type": "redacted_thinking", "data": state(turn, "R")}));
    }
    if calls(turn) != 1 {
        content.push(json!({"type": "text", "text": text(turn)}));
    }
    for at in 0..calls(turn) {
        content.push(
            json!({"type": "tool_use", "id": format!("toolu_{turn}_{at}"), "name": "look", "input": called(turn)}),
        );
    }
    let reason = if calls(turn) > 0 { "tool_use" } else { "end_turn" };
    json!({"id": format!("msg_{turn}"), "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": reason, "stop_sequence": null, "usage": {"input_tokens": 9, "output_tokens": 9}})
}

fn gemini(turn: usize) -> Value {
    let mut parts = vec![json!({"text": thought(turn), "thought": true})];
    if calls(turn) == 0 {
        parts.push(json!({"text": text(turn), "thoughtSignature": state(turn, "T")}));
    }
    for at in 0..calls(turn) {
        let mut part = json!({"functionCall": {"name": "look", "args": called(turn)}});
        if at == 0 {
            part["thoughtSignature"] = json!(state(turn, "G"));
        }
        parts.push(part);
    }
    json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18},
        "modelVersion": "m", "responseId": format!("r{turn}")})
}

fn responses(turn: usize) -> Value {
    let mut output = vec![json!({"type": "reasoning", "id": format!("rs_{turn}"),
        "summary": [{"type": "summary_text", "text": thought(turn)}], "encrypted_content": state(turn, "E")})];
    for at in 0..calls(turn) {
        output.push(json!({"type": "function_call", "id": format!("fc_{turn}_{at}"), "status": "completed",
            "call_id": format!("call_{turn}_{at}"), "name": "look", "arguments": called(turn).to_string()}));
    }
    if calls(turn) == 0 {
        output.push(json!({"type": "message", "id": format!("msg_{turn}"), "status": "completed",
            "role": "assistant", "content": [{"type": "output_text", "text": text(turn), "annotations": []}]}));
    }
    json!({"id": format!("resp_{turn}"), "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": output, "usage": {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}})
}

fn chat(turn: usize) -> Value {
    let details = json!([
        {"type": "reasoning.text", "text": thought(turn), "signature": state(turn, "D"),
         "format": "anthropic-claude-v1", "index": 0},
    ]);
    let mut message = json!({"role": "assistant", "content": null, "reasoning_details": details});
    let calls: Vec<Value> = (0..calls(turn))
        .map(|at| {
            json!({"id": format!("call_{turn}_{at}"), "type": "function",
                "function": {"name": "look", "arguments": called(turn).to_string()}})
        })
        .collect();
    if calls.is_empty() {
        message["content"] = json!(text(turn));
    } else {
        message["tool_calls"] = json!(calls);
    }
    let reason = if message["tool_calls"].is_null() { "stop" } else { "tool_calls" };
    json!({"id": format!("c{turn}"), "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}})
}

fn converse(turn: usize) -> Value {
    let mut content = vec![
        json!({"reasoningContent": {"reasoningText": {"text": thought(turn), "signature": state(turn, "B")}}}),
    ];
    if turn.is_multiple_of(4) {
        content
            .push(json!({"reasoningContent": {"redactedContent": state(turn, "X").replace("Eq", "Eqxx")}}));
    }
    if calls(turn) == 0 {
        content.push(json!({"text": text(turn)}));
    }
    for at in 0..calls(turn) {
        content.push(
            json!({"toolUse": {"toolUseId": format!("tooluse_{turn}_{at}"), "name": "look", "input": called(turn)}}),
        );
    }
    let reason = if calls(turn) > 0 { "tool_use" } else { "end_turn" };
    json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason,
        "usage": {"inputTokens": 9, "outputTokens": 9, "totalTokens": 18}, "metrics": {"latencyMs": 1}})
}

fn cohere(turn: usize) -> Value {
    let calls: Vec<Value> = (0..calls(turn))
        .map(|at| {
            json!({"id": format!("look_{turn}_{at}"), "type": "function",
                "function": {"name": "look", "arguments": called(turn).to_string()}})
        })
        .collect();
    let mut message = json!({"role": "assistant"});
    let mut reason = "COMPLETE";
    if calls.is_empty() {
        message["content"] = json!([{"type": "text", "text": text(turn)}]);
    } else {
        message["tool_plan"] = json!("I look.");
        message["tool_calls"] = json!(calls);
        reason = "TOOL_CALL";
    }
    json!({"id": format!("co{turn}"), "finish_reason": reason, "message": message,
        "usage": {"tokens": {"input_tokens": 9, "output_tokens": 9}}})
}

// === streams ===

/// Events, each with its type as its name, all in one piece and cut apart in the middle.
fn sse(events: &[Value]) -> Play {
    let mut all = Vec::new();
    for event in events {
        if let Some(name) = event["type"].as_str() {
            all.extend_from_slice(format!("event: {name}\n").as_bytes());
        }
        match event {
            Value::String(mark) => all.extend_from_slice(format!("data: {mark}\n\n").as_bytes()),
            event => all.extend_from_slice(format!("data: {event}\n\n").as_bytes()),
        }
    }
    let all = Bytes::from(all);
    let middle = all.len() / 2;
    Play::stream([all.slice(..middle), all.slice(middle..)])
}

/// A text in two pieces, cut between characters.
fn halves(text: &str) -> [&str; 2] {
    let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap();
    [&text[..middle], &text[middle..]]
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn anthropic_events(whole: &Value) -> Vec<Value> {
    let mut start = whole.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    let mut events = vec![json!({"type": "message_start", "message": start})];
    for (at, block) in list(&whole["content"]).iter().enumerate() {
        let mut head = block.clone();
        let mut deltas = Vec::new();
        let pieces = |text: &Value, kind: &str, member: &str| {
            halves(text.as_str().unwrap()).map(|piece| json!({"type": kind, member: piece})).to_vec()
        };
        match block["type"].as_str().unwrap() {
            "thinking" => {
                deltas = pieces(&block["thinking"], "thinking_delta", "thinking");
                deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
                (head["thinking"], head["signature"]) = (json!(""), json!(""));
            }
            "text" => {
                deltas = pieces(&block["text"], "text_delta", "text");
                head["text"] = json!("");
            }
            "tool_use" => {
                deltas = pieces(&json!(block["input"].to_string()), "input_json_delta", "partial_json");
                head["input"] = json!({});
            }
            _ => {}
        }
        events.push(json!({"type": "content_block_start", "index": at, "content_block": head}));
        events.extend(
            deltas.into_iter().map(|it| json!({"type": "content_block_delta", "index": at, "delta": it})),
        );
        events.push(json!({"type": "content_block_stop", "index": at}));
    }
    events.push(json!({"type": "message_delta", "usage": {"output_tokens": 9},
        "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": null}}));
    events.push(json!({"type": "message_stop"}));
    events
}

fn gemini_events(whole: &Value) -> Vec<Value> {
    let parts = list(&whole["candidates"][0]["content"]["parts"]);
    let last = parts.len() - 1;
    let event = |at: usize, part: Value| {
        let mut event = whole.clone();
        event["candidates"][0]["content"]["parts"] = json!([part]);
        if at != last {
            event["candidates"][0].as_object_mut().unwrap().remove("finishReason");
        }
        event
    };
    parts.into_iter().enumerate().map(|(at, part)| event(at, part)).collect()
}

fn responses_events(whole: &Value) -> Vec<Value> {
    let mut begun = whole.clone();
    begun["output"] = json!([]);
    begun["status"] = json!("in_progress");
    let mut events = vec![json!({"type": "response.created", "response": begun})];
    for (at, item) in list(&whole["output"]).iter().enumerate() {
        let mut head = item.clone();
        let id = item["id"].clone();
        let mut deltas = Vec::new();
        match item["type"].as_str().unwrap() {
            "reasoning" => {
                head["summary"] = json!([]);
                // The state of the start is not that of the end.
                head["encrypted_content"] = json!("gAAAstart");
                let text = item["summary"][0]["text"].as_str().unwrap();
                deltas.push(json!({"type": "response.reasoning_summary_part.added", "item_id": id,
                    "output_index": at, "summary_index": 0, "part": {"type": "summary_text", "text": ""}}));
                deltas.extend(halves(text).map(|piece| {
                    json!({"type": "response.reasoning_summary_text.delta", "item_id": id, "output_index": at,
                        "summary_index": 0, "delta": piece})
                }));
                deltas.push(json!({"type": "response.reasoning_summary_text.done", "item_id": id,
                    "output_index": at, "summary_index": 0, "text": text}));
            }
            "function_call" => {
                head["arguments"] = json!("");
                let text = item["arguments"].as_str().unwrap();
                deltas.extend(halves(text).map(|piece| {
                    json!({"type": "response.function_call_arguments.delta", "item_id": id, "output_index": at,
                        "delta": piece})
                }));
            }
            _ => {
                head["content"] = json!([]);
                let text = item["content"][0]["text"].as_str().unwrap();
                deltas.push(json!({"type": "response.content_part.added", "item_id": id, "output_index": at,
                    "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}));
                deltas.extend(halves(text).map(|piece| {
                    json!({"type": "response.output_text.delta", "item_id": id, "output_index": at,
                        "content_index": 0, "delta": piece})
                }));
            }
        }
        events.push(json!({"type": "response.output_item.added", "output_index": at, "item": head}));
        events.append(&mut deltas);
        events.push(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }
    events.push(json!({"type": "response.completed", "response": whole}));
    for (at, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(at);
    }
    events
}

fn chat_events(whole: &Value) -> Vec<Value> {
    let message = &whole["choices"][0]["message"];
    let chunk = |delta: Value, finish: &Value| {
        json!({"id": whole["id"], "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), &Value::Null)];
    for detail in list(&message["reasoning_details"]) {
        events.push(chunk(json!({"reasoning_details": [detail]}), &Value::Null));
    }
    if let Some(text) = message["content"].as_str() {
        events.extend(halves(text).map(|piece| chunk(json!({"content": piece}), &Value::Null)));
    }
    for (at, call) in list(&message["tool_calls"]).iter().enumerate() {
        let mut head = call.clone();
        head["index"] = json!(at);
        head["function"]["arguments"] = json!("");
        events.push(chunk(json!({"tool_calls": [head]}), &Value::Null));
        events.extend(halves(call["function"]["arguments"].as_str().unwrap()).map(|piece| {
            chunk(json!({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}), &Value::Null)
        }));
    }
    events.push(chunk(json!({}), &whole["choices"][0]["finish_reason"]));
    events.push(json!({"id": whole["id"], "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [], "usage": whole["usage"]}));
    events.push(json!("[DONE]"));
    events
}

fn cohere_events(whole: &Value) -> Vec<Value> {
    let message = &whole["message"];
    let mut events = vec![json!({"type": "message-start", "id": whole["id"],
        "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}}})];
    if let Some(plan) = message["tool_plan"].as_str() {
        events.push(json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": plan}}}));
    }
    for (at, item) in list(&message["content"]).iter().enumerate() {
        let event = |kind: &str, content: Value| json!({"type": kind, "index": at, "delta": {"message": {"content": content}}});
        events.push(event("content-start", json!({"type": "text", "text": ""})));
        events.push(event("content-delta", json!({"text": item["text"]})));
        events.push(json!({"type": "content-end", "index": at}));
    }
    for (at, call) in list(&message["tool_calls"]).iter().enumerate() {
        let event = |kind: &str, call: Value| json!({"type": kind, "index": at, "delta": {"message": {"tool_calls": call}}});
        let mut head = call.clone();
        head["function"]["arguments"] = json!("");
        events.push(event("tool-call-start", head));
        events.push(event(
            "tool-call-delta",
            json!({"function": {"arguments": call["function"]["arguments"]}}),
        ));
        events.push(json!({"type": "tool-call-end", "index": at}));
    }
    events.push(json!({"type": "message-end",
        "delta": {"finish_reason": whole["finish_reason"], "usage": whole["usage"]}}));
    events
}

fn converse_frames(whole: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let mut frame = |name: &str, json: Value| {
        eventstream::write(&mut out, Message::Event, name, |out| {
            out.extend_from_slice(json.to_string().as_bytes());
        });
    };
    frame("messageStart", json!({"role": "assistant"}));
    for (at, block) in list(&whole["output"]["message"]["content"]).iter().enumerate() {
        let mut deltas = Vec::new();
        if let Some(text) = block["text"].as_str() {
            deltas.extend(halves(text).map(|piece| json!({"text": piece})));
        } else if block["toolUse"].is_object() {
            let call = &block["toolUse"];
            let start = json!({"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}});
            frame("contentBlockStart", json!({"contentBlockIndex": at, "start": start}));
            deltas
                .extend(halves(&call["input"].to_string()).map(|piece| json!({"toolUse": {"input": piece}})));
        } else if let Some(told) = block["reasoningContent"]["reasoningText"].as_object() {
            let pieces = halves(told["text"].as_str().unwrap());
            deltas.extend(pieces.map(|piece| json!({"reasoningContent": {"text": piece}})));
            deltas.push(json!({"reasoningContent": {"signature": told["signature"]}}));
        } else {
            deltas.push(json!({"reasoningContent": block["reasoningContent"]}));
        }
        for delta in deltas {
            frame("contentBlockDelta", json!({"contentBlockIndex": at, "delta": delta}));
        }
        frame("contentBlockStop", json!({"contentBlockIndex": at}));
    }
    frame("messageStop", json!({"stopReason": whole["stopReason"]}));
    frame("metadata", json!({"usage": whole["usage"], "metrics": {"latencyMs": 1}}));
    out
}
