//! Requests that the tests make.

use serde_json::{Value, json};

/// A chat request for `model` whose one message is short.
pub fn ask(model: &str, stream: bool) -> Value {
    ask_for(model, "one two three four", stream)
}

/// A chat request for `model` with this message.
pub fn ask_for(model: &str, text: &str, stream: bool) -> Value {
    let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": text }] });
    if stream {
        body["stream"] = json!(true);
    }
    body
}
