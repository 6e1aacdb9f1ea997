//! Chat requests in one wording, so that those that mean the same are the same. Each step is something that providers of
//! the dialect take in two ways, or that the gateway's own `prepare` does later.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A request in one wording of several that mean the same.
pub(crate) fn normal(mut request: Value) -> Value {
    strip(&mut request);
    let Value::Object(top) = &mut request else { return request };
    if let Some(Value::Object(options)) = top.get_mut("stream_options") {
        options.remove("include_usage");
    }
    for (name, value) in [
        ("stream_options", json!({})),
        ("stream", json!(false)),
        ("logprobs", json!(false)),
        ("response_format", json!({"type": "text"})),
        ("web_search_options", json!(null)),
        ("top_logprobs", json!(0)),
        ("tools", json!([])),
    ] {
        if top.get(name) == Some(&value) {
            top.remove(name);
        }
    }
    rename(top, "max_tokens", "max_completion_tokens");
    rename(top, "safety_identifier", "user");
    if let Some(schema) = top.get_mut("response_format").and_then(|format| format.get_mut("json_schema")) {
        // A name is demanded, so one is given.
        schema.as_object_mut().unwrap().entry("name").or_insert(json!("response"));
    }
    if let Some(stop @ Value::String(_)) = top.get_mut("stop") {
        *stop = json!([stop.clone()]);
    }
    if let Some(Value::Array(functions)) = top.remove("functions") {
        let tools = functions.into_iter().map(|function| json!({"type": "function", "function": function}));
        top.insert("tools".into(), tools.collect());
    }
    rename(top, "function_call", "tool_choice");
    for tool in top.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        tool.as_object_mut().unwrap().entry("type").or_insert(json!("function"));
    }
    if top.contains_key("tools") {
        choice(top);
    } else {
        top.remove("tool_choice");
        top.remove("parallel_tool_calls");
    }
    effort(top);
    messages(top);
    request
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            for (name, value) in members.iter_mut() {
                if name != "parameters" && name != "schema" {
                    strip(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn rename(members: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = members.remove(from) {
        members.entry(to).or_insert(value);
    }
}

fn choice(top: &mut Map<String, Value>) {
    let Some(choice) = top.get_mut("tool_choice") else { return };
    let name = choice["function"]["name"].as_str().or(choice["custom"]["name"].as_str());
    if let Some(name) = name.or(choice["name"].as_str()) {
        *choice = json!({"name": name});
    } else if *choice == "any" {
        *choice = json!("required");
    }
}

fn effort(top: &mut Map<String, Value>) {
    let mut asked = Map::new();
    if let Some(Value::Object(reasoning)) = top.remove("reasoning") {
        asked.extend(reasoning);
    }
    if let Some(level) = top.remove("reasoning_effort") {
        asked.insert("effort".into(), level);
    }
    if let Some(Value::Object(mut thinking)) = top.remove("thinking") {
        if let Some(kind) = thinking.remove("type") {
            asked.insert("enabled".into(), json!(kind == "enabled"));
        }
        asked.extend(thinking);
    }
    // One of level and budget is taken, and a level beside "off" says nothing.
    if asked.contains_key("effort") {
        asked.remove("max_tokens");
    }
    if asked.get("enabled") == Some(&json!(false)) {
        asked.remove("effort");
    }
    if !asked.is_empty() {
        top.insert("reasoning".into(), Value::Object(asked));
    }
}

fn messages(top: &mut Map<String, Value>) {
    let Some(Value::Array(all)) = top.remove("messages") else { return };
    let (mut out, mut ids, mut media) = (Vec::new(), BTreeMap::<String, usize>::new(), Vec::<Value>::new());
    let mut waiting: Vec<Value> = Vec::new();
    for mut message in all {
        let message = message.as_object_mut().unwrap();
        if message["role"] != "tool" && !media.is_empty() {
            out.push(json!({"role": "user", "content": std::mem::take(&mut media)}));
        }
        if message["role"] == "developer" {
            message.insert("role".into(), json!("system"));
        }
        if message["role"] == "tool" && !message.contains_key("tool_call_id") {
            message.insert("tool_call_id".into(), waiting.remove(0));
        }
        if message["role"] == "tool" {
            media.extend(take_media(message));
        }
        content(message);
        if message.get("tool_calls") == Some(&json!([])) {
            message.remove("tool_calls");
        }
        if message.contains_key("reasoning_details") || message.contains_key("reasoning_content") {
            message.remove("reasoning");
        }
        if message.contains_key("reasoning_details") {
            message.remove("reasoning_content");
        }
        for name in ["reasoning", "reasoning_content"] {
            if message.get(name) == Some(&json!("")) {
                message.remove(name);
            }
        }
        let mut number = |id: &mut Value| {
            let count = ids.len();
            *id = json!(*ids.entry(id.as_str().unwrap_or_default().to_owned()).or_insert(count));
        };
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            waiting.push(call["id"].clone());
            number(&mut call["id"]);
            call.as_object_mut().unwrap().remove("index");
        }
        if let Some(id) = message.get_mut("tool_call_id") {
            number(id);
        }
        out.push(Value::Object(std::mem::take(message)));
    }
    if !media.is_empty() {
        out.push(json!({"role": "user", "content": media}));
    }
    top.insert("messages".into(), Value::Array(out));
}

fn take_media(message: &mut Map<String, Value>) -> Vec<Value> {
    let Some(Value::Array(parts)) = message.get_mut("content") else { return Vec::new() };
    let (texts, media) = std::mem::take(parts).into_iter().partition(|part| part["type"] == "text");
    *parts = texts;
    media
}

fn content(message: &mut Map<String, Value>) {
    let mark = message.remove("cache_control");
    let content = message.entry("content").or_insert(json!(""));
    if let (Some(mark), Value::String(text)) = (&mark, &*content) {
        *content = json!([{"type": "text", "text": text, "cache_control": mark}]);
    } else if let (Some(mark), Value::Array(parts)) = (mark, &mut *content) {
        parts.last_mut().unwrap()["cache_control"] = mark;
    }
    if let Value::Array(parts) = content {
        parts.retain(|part| part["text"] != "" || part.get("cache_control").is_some());
        for part in parts.iter_mut() {
            if let Some(url @ Value::String(_)) = part.get_mut("image_url") {
                *url = json!({"url": url.clone()});
            }
            if let Some(Value::Array(pieces)) = part.get_mut("thinking") {
                let joined: String = pieces.iter().filter_map(|piece| piece["text"].as_str()).collect();
                *pieces = vec![json!({"type": "text", "text": joined})];
            }
        }
        let plain =
            parts.len() == 1 && parts[0]["type"] == "text" && parts[0].as_object().unwrap().len() == 2;
        if plain {
            *content = parts[0]["text"].clone();
        } else if parts.is_empty() {
            *content = json!("");
        }
    }
}
