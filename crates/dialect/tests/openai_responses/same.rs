//! What it means that two texts of the dialect say the same, worked out on plain JSON trees.

use std::collections::BTreeMap;

use lockgate_core::Usage;
use serde_json::{Map, Value, json};

/// Usage as the members of a response say it.
pub(crate) fn usage(response: &Value) -> Option<Usage> {
    let usage = response.get("usage").filter(|usage| usage.get("input_tokens").is_some())?;
    let number = |path: &str| response.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let own = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let (cached, written) =
        (own("/input_tokens_details/cached_tokens"), own("/input_tokens_details/cache_write_tokens"));
    let reasoning = own("/output_tokens_details/reasoning_tokens");
    Some(Usage {
        input: own("/input_tokens") - cached - written,
        cache_read: cached,
        cache_write: written,
        output: own("/output_tokens") - reasoning,
        reasoning,
        image_input: number("/tool_usage/image_gen/input_tokens"),
        image_output: number("/tool_usage/image_gen/output_tokens"),
        searches: number("/tool_usage/web_search/num_requests")
            + own("/server_side_tool_usage_details/web_search_calls")
            + own("/server_side_tool_usage_details/x_search_calls"),
        ..Usage::default()
    })
}

/// A request with everything in one wording. What is evened out, and why it means the same:
///
/// 1. a text for `input` is one user message; an item without a type is a message;
/// 2. a text for `content` or `output` is a list of one text part, `annotations` and `logprobs` that are empty say nothing;
/// 3. `status` of items that come in is not acted on;
/// 4. the id of a message is acted on only where it follows a thought;
/// 5. a member of the request, its tools, `reasoning` or `text` that is `null` is absent, as are `stream: false` and no tools;
/// 6. a message without content says nothing;
/// 7. an encrypted thought has no id where what follows has none: a provider that stores answers refuses it so, as one
///    recorded exchange shows;
/// 8. a function in the older dialect's nested form has the members of the nested one.
pub(crate) fn normal(bytes: &[u8]) -> Value {
    let mut request: Value = serde_json::from_slice(bytes).unwrap();
    let object = request.as_object_mut().unwrap();
    object.retain(|name, value| !(value.is_null() || name == "stream" && *value == json!(false)));
    object.retain(|name, value| name != "tools" || *value != json!([]));
    if let Some(text) = object.get("input").filter(|input| input.is_string()).cloned() {
        object.insert("input".into(), json!([{"role":"user","content":text}]));
    }
    for name in ["reasoning", "text"] {
        if let Some(member) = object.get_mut(name).and_then(Value::as_object_mut) {
            member.retain(|_, value| !value.is_null());
        }
    }
    if let Some(items) = object.get_mut("input").and_then(Value::as_array_mut) {
        items.retain(|item| item["content"] != json!([]) || item.get("role").is_none());
        for at in 0..items.len() {
            let alone = items.get(at + 1).is_none_or(|next| next.get("id").is_none());
            if alone && items[at]["type"] == "reasoning" && items[at].get("encrypted_content").is_some() {
                items[at].as_object_mut().unwrap().remove("id");
            }
        }
    }
    let mut thought = false;
    for item in object.get_mut("input").and_then(Value::as_array_mut).into_iter().flatten() {
        let item = item.as_object_mut().unwrap();
        item.retain(|name, value| name != "status" || value.is_null() || !is_plain(value));
        let kind = item.entry("type").or_insert("message".into()).as_str().unwrap_or_default().to_owned();
        let said = item.get("role").is_some_and(|role| role == "assistant");
        match kind.as_str() {
            "message" => {
                if !thought {
                    item.remove("id");
                }
                parts(item, "content", if said { "output_text" } else { "input_text" });
            }
            "function_call_output" | "custom_tool_call_output" => parts(item, "output", "input_text"),
            _ => {}
        }
        thought = kind == "reasoning";
    }
    for tool in object.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        tool.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        if let Some(nested) = tool.get("function").and_then(Value::as_object).cloned() {
            for (name, value) in nested {
                tool.as_object_mut().unwrap().entry(name).or_insert(value);
            }
        }
    }
    request
}

fn is_plain(value: &Value) -> bool {
    value.is_string()
}

fn parts(item: &mut Map<String, Value>, member: &str, kind: &str) {
    if let Some(text) = item.get(member).filter(|content| content.is_string()).cloned() {
        item.insert(member.into(), json!([{"type":kind,"text":text}]));
    }
    for part in item.get_mut(member).and_then(Value::as_array_mut).into_iter().flatten() {
        let part = part.as_object_mut().unwrap();
        part.retain(|name, value| {
            !(matches!(name.as_str(), "annotations" | "logprobs") && *value == json!([]))
        });
    }
}

/// What an answer says, by its items or by its events.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Accumulated {
    text: String,
    refusal: String,
    /// Without the blank lines between parts.
    thoughts: String,
    /// Call id, name, arguments or input.
    calls: Vec<(String, String, String)>,
    /// Types of other items, sorted.
    others: Vec<String>,
    sources: usize,
    tokens: usize,
    status: String,
    reason: Value,
    totals: [u64; 5],
}

// === impl Accumulated ===

impl Accumulated {
    /// Of a whole answer.
    pub(crate) fn whole(response: &Value) -> Self {
        let mut said = Self::default();
        for item in response["output"].as_array().unwrap() {
            said.item(item);
        }
        said.frame(response);
        said
    }

    /// Of the events of a stream: texts by their pieces, the rest by the ends of items.
    pub(crate) fn streamed(events: &[Value]) -> Self {
        let mut said = Self::default();
        let mut pieces: BTreeMap<(u64, &'static str), String> = BTreeMap::new();
        for event in events {
            let index = event["output_index"].as_u64().unwrap_or(0);
            let kind = event["type"].as_str().unwrap_or_default();
            let place = match kind {
                "response.output_text.delta" => "text",
                "response.refusal.delta" => "refusal",
                "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => "thought",
                "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                    "arguments"
                }
                "response.output_item.done" => {
                    let mut whole = Self::default();
                    whole.item(&event["item"]);
                    for (name, text) in
                        [("text", &whole.text), ("refusal", &whole.refusal), ("thought", &whole.thoughts)]
                    {
                        let streamed = pieces.get(&(index, name)).cloned().unwrap_or_default();
                        if !streamed.is_empty() {
                            assert_eq!(&lines(&streamed), &lines(text), "{name}");
                        }
                    }
                    if let (Some(streamed), Some(call)) =
                        (pieces.get(&(index, "arguments")), whole.calls.first())
                    {
                        assert_eq!(streamed, &call.2);
                    }
                    said.item(&event["item"]);
                    continue;
                }
                "response.completed" | "response.incomplete" => {
                    said.frame(&event["response"]);
                    continue;
                }
                _ => continue,
            };
            pieces.entry((index, place)).or_default().push_str(event["delta"].as_str().unwrap_or_default());
        }
        said
    }

    fn item(&mut self, item: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match item["type"].as_str().unwrap_or_default() {
            "message" => {
                for part in item["content"].as_array().into_iter().flatten() {
                    self.text.push_str(&text(&part["text"]));
                    self.refusal.push_str(&text(&part["refusal"]));
                    self.sources += part["annotations"].as_array().map_or(0, Vec::len);
                    self.tokens += part["logprobs"].as_array().map_or(0, Vec::len);
                }
            }
            "reasoning" => {
                let mut lists = ["summary", "content"].into_iter().filter_map(|name| item[name].as_array());
                let list = lists.find(|list| !list.is_empty()).into_iter().flatten();
                self.thoughts.extend(list.map(|part| lines(&text(&part["text"]))));
            }
            "function_call" => {
                self.calls.push((text(&item["call_id"]), text(&item["name"]), text(&item["arguments"])));
            }
            "custom_tool_call" => {
                self.calls.push((text(&item["call_id"]), text(&item["name"]), text(&item["input"])));
            }
            other => {
                self.others.push(other.to_owned());
                self.others.sort();
            }
        }
    }

    fn frame(&mut self, response: &Value) {
        self.status = response["status"].as_str().unwrap_or("completed").to_owned();
        self.reason = response["incomplete_details"].clone();
        let number = |path: &str| response.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        // What was drawn is counted apart by the provider and written with the rest.
        let drawn =
            [number("/tool_usage/image_gen/input_tokens"), number("/tool_usage/image_gen/output_tokens")];
        self.totals = [
            number("/usage/input_tokens") + drawn[0],
            number("/usage/output_tokens") + drawn[1],
            number("/usage/total_tokens") + drawn[0] + drawn[1],
            number("/usage/input_tokens_details/cached_tokens"),
            number("/usage/output_tokens_details/reasoning_tokens"),
        ];
    }
}

fn lines(text: &str) -> String {
    text.replace('\n', "")
}

/// The thoughts of an answer that have a state or an id: they must come back whole.
pub(crate) fn states(response: &Value) -> Vec<Value> {
    let items = response["output"].as_array().into_iter().flatten();
    items.filter(|item| item["type"] == "reasoning").cloned().collect()
}

/// The thoughts that a stream ended.
pub(crate) fn reasoning(events: &[Value]) -> Vec<&Value> {
    let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
    done.map(|event| &event["item"]).filter(|item| item["type"] == "reasoning").collect()
}

/// The events of a written stream, with what strict clients check of their order.
pub(crate) fn checked(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    let mut events: Vec<Value> = Vec::new();
    let (mut added, mut done): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for event in text.split_terminator("\n\n") {
        let (name, data) = event.split_once('\n').unwrap();
        let event: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        let kind = event["type"].as_str().unwrap();
        assert_eq!(name.strip_prefix("event: "), Some(kind));
        assert_eq!(event["sequence_number"], events.len());
        match kind {
            "response.output_item.added" => {
                assert_eq!(event["output_index"], added.len());
                added.push(event["item"].clone());
            }
            "response.output_item.done" => {
                assert_eq!(event["output_index"], done.len());
                assert_eq!(added[done.len()]["id"], event["item"]["id"]);
                assert_eq!(added[done.len()]["type"], event["item"]["type"]);
                done.push(event["item"].clone());
            }
            "response.created" | "response.in_progress" | "response.completed" | "response.incomplete" => {}
            _ => {
                assert_eq!(event["output_index"], added.len() - 1);
                assert_eq!(event["item_id"], added[added.len() - 1]["id"]);
            }
        }
        events.push(event);
    }
    let ends = |event: &&Value| {
        matches!(
            event["type"].as_str(),
            Some("response.completed" | "response.incomplete" | "response.failed")
        )
    };
    assert_eq!(events.iter().filter(ends).count(), 1);
    assert!(events.last().as_ref().is_some_and(ends));
    assert_eq!(added.len(), done.len());
    assert_eq!(events.last().unwrap()["response"]["output"], Value::Array(done));
    events
}
