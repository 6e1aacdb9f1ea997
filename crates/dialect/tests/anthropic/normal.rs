//! Requests and answers in one of the ways in which they can be written. What is made equal here means the same to the
//! provider; each rule says why.

use serde_json::{Map, Value, json};

use crate::accumulate;

/// Whether every outcome has its call and every call its outcome. Redaction broke that in some recordings.
pub(crate) fn is_paired(request: &Value) -> bool {
    let ids = |kind: &str, member: &str| {
        let mut ids: Vec<String> = request["messages"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|message| message["content"].as_array())
            .flatten()
            .filter(|block| block["type"] == kind)
            .map(|block| block[member].to_string())
            .collect();
        ids.sort();
        ids
    };
    ids("tool_use", "id") == ids("tool_result", "tool_use_id")
}

pub(crate) fn request(mut request: Value) -> Value {
    let body = request.as_object_mut().unwrap();
    // Members that say what is so without them.
    bare(body);
    drop_if(body, "stream", &json!(false));
    for name in ["tools", "stop_sequences"] {
        drop_if(body, name, &json!([]));
    }
    if let Some(choice) = body.get_mut("tool_choice").and_then(Value::as_object_mut) {
        drop_if(choice, "disable_parallel_tool_use", &json!(false));
    }
    for tool in body.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        let tool = tool.as_object_mut().unwrap();
        if tool.get("type").is_none_or(|kind| kind == "custom") {
            bare(tool);
        }
        drop_if(tool, "type", &json!("custom"));
    }
    if let Some(system) = body.remove("system") {
        let system = blocks(system);
        if system != json!([]) {
            body.insert("system".into(), system);
        }
    }
    // Neighbours of one role are one turn to the provider, and outcomes stand first in it.
    let mut turns: Vec<Value> = Vec::new();
    for message in body["messages"].as_array().unwrap() {
        let (role, content) = (message["role"].clone(), blocks(message["content"].clone()));
        match turns.last_mut() {
            Some(last) if last["role"] == role && role != "system" => {
                last["content"].as_array_mut().unwrap().extend(content.as_array().unwrap().clone());
            }
            _ => turns.push(json!({"role": role, "content": content})),
        }
    }
    for turn in &mut turns {
        turn["content"].as_array_mut().unwrap().sort_by_key(|block| block["type"] != "tool_result");
    }
    body["messages"] = turns.into();
    request
}

/// Content as blocks: a text stands for one block of text; blocks of white space say nothing.
fn blocks(content: Value) -> Value {
    let list = match content {
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        Value::Array(list) => list,
        other => panic!("{other}"),
    };
    let list = list.into_iter().map(block);
    list.filter(|block| block["type"] != "text" || !block["text"].as_str().unwrap().trim().is_empty())
        .collect()
}

fn block(mut block: Value) -> Value {
    let own = ["text", "tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document"];
    if !own.iter().any(|kind| block["type"] == *kind) {
        return block;
    }
    let members = block.as_object_mut().unwrap();
    bare(members);
    drop_if(members, "is_error", &json!(false));
    drop_if(members, "citations", &json!([]));
    drop_if(members, "caller", &json!({"type": "direct"}));
    let is_outcome = members["type"] == "tool_result";
    if let Some(content) = members.remove("content").filter(|_| is_outcome) {
        let content = blocks(content);
        if content != json!([]) {
            members.insert("content".into(), content);
        }
    }
    block
}

/// What a client acts on: blocks, reason, usage and what stands beside them.
pub(crate) fn answer(mut message: Value) -> Value {
    // What the provider consumed on the side is written as a part of the whole.
    let usage = accumulate::usage(&message["usage"]);
    bare(message.as_object_mut().unwrap());
    json!({
        "content": blocks(message["content"].clone()),
        "stop_reason": message["stop_reason"],
        "stop_sequence": message["stop_sequence"],
        "stop_details": message["stop_details"],
        "container": message["container"],
        "context_management": message["context_management"],
        "id": message["id"],
        "model": message["model"],
        "tier": message["usage"]["service_tier"],
        "usage": usage,
    })
}

fn bare(members: &mut Map<String, Value>) {
    members.retain(|_, value| !value.is_null());
}

fn drop_if(members: &mut Map<String, Value>, name: &str, usual: &Value) {
    if members.get(name) == Some(usual) {
        members.remove(name);
    }
}
