//! What a request means, whatever the spelling.

use serde_json::{Map, Value, json};

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| all + &word[..1].to_uppercase() + &word[1..])
}

/// The members of an object in camel case, without `null`.
fn members(value: &Value) -> Map<String, Value> {
    let all = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    all.map(|(name, value)| (camel(name), value.clone())).collect()
}

pub(crate) fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// What may differ: the spelling of members; `null`, `false` and empty objects, which are the defaults; roles left out; whole numbers with a point;
/// neighbours of one role as one content; base64 in the other alphabet; ids of outcomes that the client left out, and
/// file names, which Gemini does not read; a signature that says there is none; schemas in OpenAPI as JSON Schema;
/// functions in several tools, and the mode that is the default; answers in texts where that is the default; the model, which is in the path.
pub(crate) fn normal_request(body: &Value) -> Value {
    let mut body = members(body);
    body.remove("model");
    let mut contents: Vec<Value> = Vec::new();
    for content in list(&body["contents"]) {
        let (role, mut parts) = normal_content(&content);
        if parts.is_empty() {
            continue;
        }
        match contents.last_mut().filter(|last| last["role"] == role) {
            Some(last) => last["parts"].as_array_mut().unwrap().append(&mut parts),
            None => contents.push(json!({"role": role, "parts": parts})),
        }
    }
    body.insert("contents".into(), contents.into());
    if let Some(system) = body.remove("systemInstruction") {
        body.insert("systemInstruction".into(), normal_content(&system).1.into());
    }
    if let Some(tools) = body.remove("tools") {
        let (mut functions, mut others) = (Vec::new(), Vec::new());
        for tool in list(&tools) {
            for (name, value) in members(&tool) {
                if name == "functionDeclarations" {
                    functions.extend(list(&value).iter().map(normal_function));
                } else {
                    others.push(json!({ name: value }));
                }
            }
        }
        if !functions.is_empty() || !others.is_empty() {
            body.insert("tools".into(), json!([functions, others]));
        }
    }
    if let Some(config) = body.remove("toolConfig") {
        let mut config = members(&config);
        if let Some(calling) = config.get_mut("functionCallingConfig") {
            let mut own = members(calling);
            own["mode"] = own["mode"].as_str().unwrap_or_default().to_uppercase().into();
            *calling = own.into();
        }
        if config.get("functionCallingConfig") == Some(&json!({"mode": "AUTO"})) {
            config.remove("functionCallingConfig");
        }
        if !config.is_empty() {
            body.insert("toolConfig".into(), config.into());
        }
    }
    if let Some(config) = body.remove("generationConfig") {
        let mut config = members(&config);
        if config.get("responseModalities") == Some(&json!(["TEXT"])) {
            config.remove("responseModalities");
        }
        if let Some(schema) = config.remove("responseSchema").or_else(|| config.remove("responseJsonSchema"))
        {
            config.insert("responseJsonSchema".into(), normal_schema(&schema));
        }
        if let Some(thinking) = config.get_mut("thinkingConfig") {
            let mut own = members(thinking);
            if let Some(level) = own.get_mut("thinkingLevel") {
                *level = level.as_str().unwrap_or_default().to_lowercase().into();
            }
            *thinking = own.into();
        }
        if let Some(most) = config.get("topK").and_then(Value::as_f64) {
            config["topK"] = most.into();
        }
        if !config.is_empty() {
            body.insert("generationConfig".into(), config.into());
        }
    }
    body.into()
}

fn normal_content(content: &Value) -> (String, Vec<Value>) {
    let content = members(content);
    let role = content.get("role").and_then(Value::as_str).unwrap_or("user").to_owned();
    let parts =
        list(content.get("parts").unwrap_or(&Value::Null)).iter().map(normal_part).collect::<Vec<_>>();
    (role, parts.into_iter().filter(|part| part.as_object().is_some_and(|part| !part.is_empty())).collect())
}

fn normal_part(part: &Value) -> Value {
    let mut part = members(part);
    if part.get("thought") == Some(&json!(false)) {
        part.remove("thought");
    }
    let no_signature = json!("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=");
    part.retain(|name, value| !(name == "thoughtSignature" && *value == no_signature));
    if part.get("text") == Some(&json!("")) && (part.len() == 1 || part.contains_key("thoughtSignature")) {
        part.remove("text");
    }
    for name in ["inlineData", "fileData"] {
        if let Some(data) = part.get_mut(name) {
            let mut own = members(data);
            own.remove("displayName");
            if let Some(data) = own.get_mut("data") {
                *data = data.as_str().unwrap_or_default().replace('-', "+").replace('_', "/").into();
            }
            *data = own.into();
        }
    }
    if let Some(call) = part.get_mut("functionCall") {
        let mut own = members(call);
        own.entry("args").or_insert_with(|| json!({}));
        *call = own.into();
    }
    if let Some(response) = part.get_mut("functionResponse") {
        let mut own = members(response);
        own.remove("id");
        if let Some(parts) = own.get_mut("parts") {
            *parts = list(parts).iter().map(normal_part).collect();
        }
        *response = own.into();
    }
    part.into()
}

fn normal_function(function: &Value) -> Value {
    let mut function = members(function);
    if let Some(schema) = function.remove("parameters").or_else(|| function.remove("parametersJsonSchema")) {
        function.insert("parametersJsonSchema".into(), normal_schema(&schema));
    }
    function.into()
}

fn normal_schema(schema: &Value) -> Value {
    match schema {
        Value::Array(all) => all.iter().map(normal_schema).collect(),
        Value::Object(own) => {
            let mut out: Map<String, Value> =
                own.iter().map(|(name, value)| (name.clone(), normal_schema(value))).collect();
            if let Some(Value::String(kind)) = out.get_mut("type") {
                *kind = kind.to_lowercase();
            }
            if out.remove("nullable") == Some(json!(true)) && out.get("type").is_some_and(Value::is_string) {
                out["type"] = json!([out["type"], "null"]);
                if let Some(Value::Array(values)) = out.get_mut("enum") {
                    values.push(Value::Null);
                }
            }
            out.into()
        }
        other => other.clone(),
    }
}
