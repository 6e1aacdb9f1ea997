//! A second reader of streams and usage, which shares nothing with the first.

use bytes::Bytes;
use lockgate_dialect::sse::Splitter;
use serde_json::{Map, Value, json};

/// The data of a stream's events that are JSON.
pub(crate) fn events(body: &[u8]) -> Vec<Vec<u8>> {
    let (mut splitter, mut chunk, mut found) =
        (Splitter::default(), Bytes::copy_from_slice(body), Vec::new());
    while let Ok(Some(event)) = splitter.next(&mut chunk) {
        found.extend(event.data().map(|data| data.trim_ascii().to_vec()));
    }
    found.extend(splitter.rest().and_then(|event| event.data().map(|data| data.trim_ascii().to_vec())));
    found.retain(|data| !data.is_empty() && data != b"[DONE]");
    found
}

/// The streams that a recording holds: some hold several, one behind the other.
pub(crate) fn streams(body: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut streams = vec![Vec::new()];
    for event in events(body) {
        let is_last = serde_json::from_slice::<Value>(&event).unwrap()["type"] == "message_stop";
        streams.last_mut().unwrap().push(event);
        if is_last {
            streams.push(Vec::new());
        }
    }
    streams.retain(|events| !events.is_empty());
    streams
}

/// The message that a stream comes to, as the official SDKs put it together.
///
/// # Panics
/// When the stream breaks the rules of the dialect: indexes with gaps, pieces of closed blocks, more than one end.
pub(crate) fn message(events: &[Vec<u8>]) -> Value {
    let mut message = Value::Null;
    let (mut blocks, mut inputs, mut open, mut stopped) = (Vec::<Value>::new(), String::new(), false, 0);
    for event in events {
        let event: Value = serde_json::from_slice(event).unwrap();
        assert_eq!(stopped, 0, "behind the end: {event}");
        match event["type"].as_str().unwrap() {
            "message_start" => {
                assert!(message.is_null());
                message = event["message"].clone();
                blocks = message["content"].as_array().cloned().unwrap_or_default();
            }
            "content_block_start" => {
                assert!(!open && event["index"] == blocks.len(), "{event}");
                open = true;
                inputs.clear();
                blocks.push(event["content_block"].clone());
            }
            "content_block_delta" => {
                assert!(open && event["index"] == blocks.len() - 1, "{event}");
                let (block, delta) = (blocks.last_mut().unwrap(), &event["delta"]);
                let append = |block: &mut Value, name: &str| {
                    let text = block[name].as_str().unwrap_or_default().to_owned();
                    block[name] = (text + delta[name].as_str().unwrap()).into();
                };
                match delta["type"].as_str().unwrap() {
                    "text_delta" => append(block, "text"),
                    "thinking_delta" => append(block, "thinking"),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => inputs.push_str(delta["partial_json"].as_str().unwrap()),
                    "compaction_delta" => block["content"] = delta["content"].clone(),
                    "citations_delta" => {
                        if !block["citations"].is_array() {
                            block["citations"] = json!([]);
                        }
                        block["citations"].as_array_mut().unwrap().push(delta["citation"].clone());
                    }
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                assert!(open && event["index"] == blocks.len() - 1, "{event}");
                open = false;
                if !inputs.is_empty() {
                    let input = serde_json::from_str(&inputs).unwrap_or_else(|_| inputs.clone().into());
                    blocks.last_mut().unwrap()["input"] = input;
                }
            }
            "message_delta" => {
                assert!(!open);
                for (name, value) in event["delta"].as_object().unwrap() {
                    message[name] = value.clone();
                }
                if event.get("context_management").is_some() {
                    message["context_management"] = event["context_management"].clone();
                }
                let usage = message["usage"].as_object_mut().unwrap();
                for (name, value) in event["usage"].as_object().unwrap_or(&Map::new()) {
                    usage.insert(name.clone(), value.clone());
                }
            }
            "message_stop" => stopped += 1,
            "ping" => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!((stopped, open), (1, false));
    message["content"] = blocks.into();
    message
}

/// Usage in the order of `Usage::counts`.
pub(crate) fn usage(report: &Value) -> [u64; 11] {
    let mut counts = [0; 11];
    let mut add = |report: &Value| {
        let count = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let long = count("/cache_creation/ephemeral_1h_input_tokens");
        let written = count("/cache_creation_input_tokens")
            .max(long + count("/cache_creation/ephemeral_5m_input_tokens"));
        let thought = count("/output_tokens_details/thinking_tokens");
        let long_alone = long > 0 && count("/cache_creation/ephemeral_5m_input_tokens") == 0;
        let long = if long_alone { written } else { long };
        for (at, more) in [
            (0, count("/input_tokens")),
            (1, count("/cache_read_input_tokens")),
            (2, written - long),
            (3, long),
            (6, count("/output_tokens") - thought),
            (7, thought),
            (10, count("/server_tool_use/web_search_requests")),
        ] {
            counts[at] += more;
        }
    };
    add(report);
    for pass in report["iterations"].as_array().into_iter().flatten() {
        if pass["type"] == "compaction" || pass["type"] == "advisor_message" {
            add(pass);
        }
    }
    counts
}
