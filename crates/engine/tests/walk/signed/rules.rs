//! The rules of each dialect for a request that its providers take, written down anew from their documentation and
//! error messages: nothing of the gateway's own is used, so it cannot share a mistake.

use std::collections::BTreeSet;

use serde_json::Value;

type Rule = Result<(), String>;

/// Whether a provider of the dialect takes this request.
pub(super) fn check(dialect: &str, request: &Value) -> Rule {
    match dialect {
        "openai.chat" => chat(request),
        "anthropic.messages" => anthropic(request),
        "openai.responses" => responses(request),
        "gemini.generateContent" => gemini(request),
        "bedrock.converse" => converse(request),
        "cohere.chat" => cohere(request),
        other => Err(format!("no rules are known for {other}")),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn said(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

fn ensure(fine: bool, why: impl Into<String>) -> Rule {
    if fine { Ok(()) } else { Err(why.into()) }
}

fn ids<'v>(values: impl Iterator<Item = &'v Value>) -> Result<Vec<&'v str>, String> {
    values.map(|id| id.as_str().filter(|id| !id.is_empty()).ok_or(format!("an id is {id}"))).collect()
}

/// The outcomes are those of the calls, each once.
fn paired(calls: &[&str], outcomes: &[&str]) -> Rule {
    let unique: BTreeSet<_> = calls.iter().collect();
    ensure(unique.len() == calls.len(), "two calls have one id")?;
    let given: BTreeSet<_> = outcomes.iter().collect();
    ensure(given.len() == outcomes.len(), "a call has two outcomes")?;
    ensure(unique == given, format!("calls {calls:?}, outcomes {outcomes:?}"))
}

/// An id as Anthropic and Bedrock take it.
fn plain(id: &str) -> Rule {
    let fine = id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    ensure(fine, format!("the id {id:?} has other letters"))
}

// === openai.chat ===

fn chat(request: &Value) -> Rule {
    let messages = list(&request["messages"]);
    ensure(!messages.is_empty(), "no messages")?;
    let mut at = 0;
    while let Some(message) = messages.get(at) {
        at += 1;
        match message["role"].as_str() {
            Some("system" | "developer" | "user") => {
                ensure(message["content"].is_string() || message["content"].is_array(), "no content")?;
            }
            Some("assistant") => {
                let calls = list(&message["tool_calls"]);
                let content = &message["content"];
                let says = said(content) || !list(content).is_empty() || content == "";
                ensure(says || !calls.is_empty(), "an assistant without content and calls")?;
                ensure(message["tool_calls"].is_null() || !calls.is_empty(), "an empty list of calls")?;
                for call in calls {
                    ensure(call["function"]["arguments"].is_string(), "arguments are text")?;
                    ensure(call["id"].as_str().is_some_and(|id| id.len() <= 40), "an id is too long")?;
                }
                let calls = ids(calls.iter().map(|call| &call["id"]))?;
                let behind = messages[at..].iter().take_while(|message| message["role"] == "tool");
                let outcomes = ids(behind.map(|message| &message["tool_call_id"]))?;
                paired(&calls, &outcomes)?;
                at += outcomes.len();
            }
            Some("tool") => return Err("an outcome that follows no calls".into()),
            other => return Err(format!("the role {other:?}")),
        }
    }
    ensure(messages.last().is_some_and(|last| last["role"] != "assistant"), "ends with the assistant")
}

// === anthropic.messages ===

fn anthropic(request: &Value) -> Rule {
    let thinks = request["thinking"]["type"] == "enabled";
    let limit = request["max_tokens"].as_u64().ok_or("no max_tokens")?;
    if thinks {
        let budget = request["thinking"]["budget_tokens"].as_u64().ok_or("no budget")?;
        ensure((1_024..limit).contains(&budget), format!("a budget of {budget} in {limit}"))?;
        let choice = request["tool_choice"]["type"].as_str().unwrap_or("auto");
        ensure(matches!(choice, "auto" | "none"), "a forced call while it thinks")?;
        ensure(
            request["temperature"].is_null() || request["temperature"] == 1,
            "a temperature while it thinks",
        )?;
        ensure(request["top_k"].is_null(), "top_k while it thinks")?;
    }
    let messages = list(&request["messages"]);
    turns(messages)?;
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        let blocks = list(&message["content"]);
        ensure(message["content"].is_array() || said(&message["content"]), "no content")?;
        let results: Vec<_> = blocks.iter().take_while(|block| block["type"] == "tool_result").collect();
        let all = blocks.iter().filter(|block| block["type"] == "tool_result").count();
        ensure(all == results.len(), "outcomes stand behind other blocks")?;
        let outcomes = ids(results.iter().map(|block| &block["tool_use_id"]))?;
        paired(&open.iter().map(String::as_str).collect::<Vec<_>>(), &outcomes)?;
        open.clear();
        for block in blocks {
            match block["type"].as_str() {
                Some("text") => ensure(said(&block["text"]), "a blank text")?,
                Some("thinking") => {
                    ensure(message["role"] == "assistant", "a user's thought")?;
                    ensure(
                        said(&block["signature"]) && block["thinking"].is_string(),
                        "an unsigned thought",
                    )?;
                }
                Some("redacted_thinking") => ensure(said(&block["data"]), "no data")?,
                Some("tool_use") => {
                    ensure(message["role"] == "assistant", "a user's call")?;
                    ensure(block["input"].is_object(), "input is no object")?;
                    plain(block["id"].as_str().unwrap_or("?"))?;
                    open.push(block["id"].as_str().unwrap_or_default().to_owned());
                }
                Some("tool_result") => ensure(message["role"] == "user", "an assistant's outcome")?,
                other => return Err(format!("a block {other:?}")),
            }
        }
    }
    ensure(open.is_empty(), "calls without outcomes at the end")?;
    if thinks && let [.., before, last] = messages {
        let waits = list(&last["content"]).iter().any(|block| block["type"] == "tool_result");
        let first = list(&before["content"]).first().map(|block| block["type"].clone());
        let thought = first.is_some_and(|kind| kind == "thinking" || kind == "redacted_thinking");
        ensure(!waits || thought, "it thinks, and its last turn with calls does not begin with a thought")?;
    }
    Ok(())
}

/// User and assistant in turn, the user first and last.
fn turns(messages: &[Value]) -> Rule {
    for (at, message) in messages.iter().enumerate() {
        let role = if at % 2 == 0 { "user" } else { "assistant" };
        ensure(message["role"] == role, format!("message {at} is not the {role}'s"))?;
    }
    ensure(messages.len() % 2 == 1, "the user does not speak last")
}

// === openai.responses ===

fn responses(request: &Value) -> Rule {
    let items = list(&request["input"]);
    ensure(!items.is_empty(), "no input")?;
    let calls =
        ids(items.iter().filter(|item| item["type"] == "function_call").map(|item| &item["call_id"]))?;
    let outcomes =
        ids(items.iter().filter(|item| item["type"] == "function_call_output").map(|item| &item["call_id"]))?;
    paired(&calls, &outcomes)?;
    let stored = request["store"] != false;
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for (at, item) in items.iter().enumerate() {
        let next = items.get(at + 1);
        let id = item["id"].as_str();
        match item["type"].as_str().unwrap_or("message") {
            "message" => ensure(item["role"].is_string() && !item["content"].is_null(), "half a message")?,
            "reasoning" => {
                ensure(item["summary"].is_array(), "a thought without a summary")?;
                ensure(stored || said(&item["encrypted_content"]), "a thought without its state")?;
                let own = |item: &Value| match item["type"].as_str() {
                    Some("function_call" | "reasoning" | "custom_tool_call") => true,
                    _ => item["role"] == "assistant",
                };
                ensure(next.is_some_and(own), "a thought without the item that follows it")?;
            }
            "function_call" => {
                ensure(item["arguments"].is_string() && said(&item["name"]), "half a call")?;
                known.insert(item["call_id"].as_str().unwrap_or_default());
            }
            "function_call_output" => {
                let call = item["call_id"].as_str().unwrap_or_default();
                ensure(known.contains(call), "an outcome before its call")?;
                ensure(!item["output"].is_null(), "no output")?;
            }
            other => return Err(format!("an item {other:?}")),
        }
        let prefix = match item["type"].as_str() {
            Some("reasoning") => "rs_",
            Some("function_call") => "fc_",
            _ => "msg_",
        };
        ensure(id.is_none_or(|id| id.starts_with(prefix)), format!("the id {id:?} is of another kind"))?;
    }
    ensure(items.last().is_some_and(|last| last["role"] != "assistant"), "ends with the assistant")
}

// === gemini.generateContent ===

fn gemini(request: &Value) -> Rule {
    let contents = list(&request["contents"]);
    ensure(contents.first().is_some_and(|first| first["role"] == "user"), "the user does not begin")?;
    ensure(contents.last().is_some_and(|last| last["role"] == "user"), "the user does not end")?;
    let of = |content: &Value, name: &str| -> Vec<Value> {
        list(&content["parts"]).iter().map(|part| part[name].clone()).filter(Value::is_object).collect()
    };
    for (at, content) in contents.iter().enumerate() {
        ensure(!list(&content["parts"]).is_empty(), "a content without parts")?;
        ensure(content["role"] == "user" || content["role"] == "model", "another role")?;
        let calls = of(content, "functionCall");
        let outcomes = of(content, "functionResponse");
        for part in list(&content["parts"]) {
            let data = ["text", "functionCall", "functionResponse", "inlineData", "fileData"];
            let count = data.iter().filter(|name| !part[**name].is_null()).count();
            ensure(count == 1, format!("a part of {count} kinds: {part}"))?;
        }
        if !calls.is_empty() {
            ensure(content["role"] == "model", "a user's call")?;
            ensure(at == 0 || contents[at - 1]["role"] == "user", "calls do not follow a user's content")?;
            let next = contents.get(at + 1).map(|next| of(next, "functionResponse")).unwrap_or_default();
            ensure(next.len() == calls.len(), format!("{} calls, {} outcomes", calls.len(), next.len()))?;
            for (call, outcome) in calls.iter().zip(&next) {
                ensure(call["args"].is_object() && outcome["response"].is_object(), "no object")?;
                ensure(call["name"] == outcome["name"], "outcomes in another order")?;
                ensure(call["id"] == outcome["id"], "outcomes with other ids")?;
            }
            // Gemini 3: the first call of a content is signed.
            let first = list(&content["parts"]).iter().find(|part| part["functionCall"].is_object());
            ensure(first.is_some_and(|part| said(&part["thoughtSignature"])), "an unsigned call")?;
        }
        if !outcomes.is_empty() {
            let before = at.checked_sub(1).map(|at| of(&contents[at], "functionCall")).unwrap_or_default();
            ensure(content["role"] == "user" && before.len() == outcomes.len(), "outcomes of no calls")?;
        }
    }
    Ok(())
}

// === bedrock.converse ===

fn converse(request: &Value) -> Rule {
    let messages = list(&request["messages"]);
    turns(messages)?;
    let fields = &request["additionalModelRequestFields"];
    let thinks = fields["thinking"]["type"] == "enabled" || fields["reasoning_config"]["type"] == "enabled";
    let mut open: Vec<String> = Vec::new();
    let mut tools = false;
    for message in messages {
        let blocks = list(&message["content"]);
        ensure(!blocks.is_empty(), "no content")?;
        let outcomes = ids(blocks
            .iter()
            .filter(|b| b["toolResult"].is_object())
            .map(|b| &b["toolResult"]["toolUseId"]))?;
        paired(&open.iter().map(String::as_str).collect::<Vec<_>>(), &outcomes)?;
        open.clear();
        for block in blocks {
            let members: Vec<&String> = block.as_object().map(|it| it.keys().collect()).unwrap_or_default();
            let [member] = members.as_slice() else { return Err(format!("a block of {members:?}")) };
            match member.as_str() {
                "text" => ensure(said(&block["text"]), "a blank text")?,
                "toolUse" => {
                    let call = &block["toolUse"];
                    ensure(message["role"] == "assistant" && call["input"].is_object(), "a call")?;
                    plain(call["toolUseId"].as_str().unwrap_or("?"))?;
                    open.push(call["toolUseId"].as_str().unwrap_or_default().to_owned());
                    tools = true;
                }
                "toolResult" => ensure(message["role"] == "user", "an assistant's outcome")?,
                "reasoningContent" => {
                    let told = &block["reasoningContent"]["reasoningText"];
                    let redacted = &block["reasoningContent"]["redactedContent"];
                    ensure(said(&told["signature"]) || said(redacted), "an unsigned thought")?;
                }
                "cachePoint" => {}
                other => return Err(format!("a block {other}")),
            }
        }
    }
    ensure(open.is_empty(), "calls without outcomes at the end")?;
    ensure(!tools || request["toolConfig"].is_object(), "calls without tools")?;
    if thinks && let [.., before, last] = messages {
        let waits = list(&last["content"]).iter().any(|block| block["toolResult"].is_object());
        let thought = list(&before["content"]).first().is_some_and(|b| b["reasoningContent"].is_object());
        ensure(!waits || thought, "it thinks, and its last turn with calls does not begin with a thought")?;
    }
    Ok(())
}

// === cohere.chat ===

fn cohere(request: &Value) -> Rule {
    let messages = list(&request["messages"]);
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            let at = open.iter().position(|call| *call == id).ok_or("an outcome of no call")?;
            open.remove(at);
            continue;
        }
        ensure(open.is_empty(), "a call without outcome")?;
        let calls = list(&message["tool_calls"]);
        let says = said(&message["content"]) || !list(&message["content"]).is_empty();
        ensure(says || !calls.is_empty(), "a message that says nothing")?;
        open = ids(calls.iter().map(|call| &call["id"]))?;
    }
    ensure(open.is_empty(), "calls without outcomes at the end")?;
    ensure(messages.last().is_some_and(|last| last["role"] != "assistant"), "ends with the assistant")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refuses(dialect: &str, request: &Value) -> bool {
        check(dialect, request).is_err()
    }

    /// The checkers see what they are for.
    #[test]
    fn broken_requests_are_seen() {
        let user = json!({"role": "user", "content": [{"type": "text", "text": "hi"}]});
        let call = json!({"type": "tool_use", "id": "a", "name": "f", "input": {}});
        let result =
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}]});
        let thought = json!({"type": "thinking", "thinking": "t", "signature": "s"});
        let with = |blocks: &[&Value], thinks: bool| {
            let mut request = json!({"max_tokens": 9000, "messages": [user, {"role": "assistant", "content": blocks}, result]});
            if thinks {
                request["thinking"] = json!({"type": "enabled", "budget_tokens": 2000});
            }
            request
        };
        let name = "anthropic.messages";
        assert!(!refuses(name, &with(&[&thought, &call], true)));
        assert!(refuses(name, &with(&[&call], true)), "no thought before the call");
        assert!(!refuses(name, &with(&[&call], false)));
        let unsigned = json!({"type": "thinking", "thinking": "t", "signature": ""});
        assert!(refuses(name, &with(&[&unsigned, &call], false)));
        assert!(refuses(name, &with(&[&json!({"type": "text", "text": "no call"})], false)), "an orphan");
        assert!(refuses(name, &json!({"max_tokens": 9, "messages": [user, user]})), "no turns");

        let chat = |messages: Value| refuses("openai.chat", &json!({"messages": messages}));
        let calls = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
        let tool = json!({"role": "tool", "tool_call_id": "a", "content": "x"});
        assert!(!chat(json!([{"role": "user", "content": "q"}, calls, tool])));
        assert!(chat(json!([calls, {"role": "user", "content": "q"}])), "no outcome");
        assert!(chat(json!([tool])), "no call");

        let gemini = |contents: Value| refuses("gemini.generateContent", &json!({"contents": contents}));
        let asked = json!({"role": "user", "parts": [{"text": "q"}]});
        let signed = json!({"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s"}]});
        let bare = json!({"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]});
        let gave = json!({"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]});
        assert!(!gemini(json!([asked, signed, gave])));
        assert!(gemini(json!([asked, bare, gave])), "unsigned");
        assert!(gemini(json!([asked, signed, asked])), "no outcome");

        let responses = |items: Value| refuses("openai.responses", &json!({"input": items, "store": false}));
        let thought = json!({"type": "reasoning", "summary": [], "encrypted_content": "s"});
        let call = json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"});
        let gave = json!({"type": "function_call_output", "call_id": "a", "output": "x"});
        assert!(!responses(json!([{"role": "user", "content": "q"}, thought, call, gave])));
        assert!(responses(json!([thought, {"role": "user", "content": "q"}])), "nothing follows the thought");
        assert!(responses(json!([gave, call])), "the outcome goes before");
    }
}
