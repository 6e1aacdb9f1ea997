//! Reading a chat-completions request: strict about what the demo uses, blind to everything else.

use serde_json::{Map, Value};

use crate::words;

/// Tokens that an image in a message counts for, whatever its size.
const IMAGE_TOKENS: u64 = 85;

/// A request that can be answered.
#[derive(Debug)]
pub(crate) struct Ask {
    /// As sent: the answer repeats it.
    pub(crate) model: String,
    pub(crate) messages: Vec<Message>,
    pub(crate) stream: bool,
    /// `stream_options.include_usage`
    pub(crate) include_usage: bool,
    /// The smaller of `max_completion_tokens` and `max_tokens`.
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stop: Vec<String>,
    /// Number of choices, 1 to [`MAX_CHOICES`].
    pub(crate) n: usize,
    pub(crate) seed: u64,
    /// Number of alternatives for each token; `None` when no log probabilities are wanted.
    pub(crate) logprobs: Option<usize>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) parallel_tool_calls: bool,
    pub(crate) format: Format,
    pub(crate) prompt_tokens: u64,
}

/// Most choices that one request may ask for.
pub(crate) const MAX_CHOICES: u64 = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Also `developer`.
    System,
    User,
    Assistant,
    /// Also `function`.
    Tool,
}

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) role: Role,
    /// The text parts, joined.
    pub(crate) text: String,
    /// Of a tool result: which call it answers.
    pub(crate) call_id: Option<String>,
    /// Of an assistant message: id and tool of each call.
    pub(crate) calls: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// JSON schema of the arguments; an empty object when the request has none.
    pub(crate) parameters: Value,
    /// It takes any text instead of arguments.
    pub(crate) custom: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    None,
    /// `auto` and `required` alike: the demo calls tools whenever it may.
    Free,
    Forced(String),
}

#[derive(Debug)]
pub(crate) enum Format {
    Text,
    JsonObject,
    JsonSchema(Value),
}

/// Why a request cannot be answered, in the words of the dialect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) kind: &'static str,
    pub(crate) param: Option<&'static str>,
    pub(crate) code: Option<&'static str>,
}

impl Refusal {
    fn bad(param: &'static str, code: Option<&'static str>, message: String) -> Self {
        Self { status: 400, message, kind: "invalid_request_error", param: Some(param), code }
    }

    fn wrong_type(param: &'static str, expected: &str, got: &Value) -> Self {
        let message =
            format!("Invalid type for '{param}': expected {expected}, but got {} instead.", noun(got));
        Self::bad(param, Some("invalid_type"), message)
    }

    fn missing(param: &'static str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::bad(param, Some("missing_required_parameter"), message)
    }

    fn out_of_range(param: &'static str, range: &str) -> Self {
        let code = Some("integer_out_of_range");
        Self::bad(param, code, format!("Invalid value for '{param}': expected an integer {range}."))
    }
}

impl Ask {
    /// Reads a body.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let root: Value = serde_json::from_slice(body).map_err(|error| Refusal {
            status: 400,
            message: format!("The body of the request is not valid JSON: {error}."),
            kind: "invalid_request_error",
            param: None,
            code: None,
        })?;
        let Value::Object(root) = root else {
            return Err(Refusal {
                status: 400,
                message: format!("The body must be a JSON object, but is {}.", noun(&root)),
                kind: "invalid_request_error",
                param: None,
                code: None,
            });
        };
        let model = match root.get("model") {
            None | Some(Value::Null) => return Err(Refusal::missing("model")),
            Some(Value::String(model)) if !model.is_empty() => model.clone(),
            Some(other) => return Err(Refusal::wrong_type("model", "a string that is not empty", other)),
        };
        let messages = read_messages(&root)?;
        let stream = flag(&root, "stream", false)?;
        let include_usage = match present(&root, "stream_options") {
            None => false,
            Some(_) if !stream => {
                let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
                return Err(Refusal::bad("stream_options", None, message.to_owned()));
            }
            Some(Value::Object(options)) => flag(options, "include_usage", false)?,
            Some(other) => return Err(Refusal::wrong_type("stream_options", "an object", other)),
        };
        let tools = read_tools(&root)?;
        let (tools, tool_choice) = read_choice(&root, tools)?;
        let max_tokens = match (
            integer(&root, "max_completion_tokens", 1..=u64::MAX, "of at least 1")?,
            integer(&root, "max_tokens", 1..=u64::MAX, "of at least 1")?,
        ) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let top = integer(&root, "top_logprobs", 0..=20, "from 0 to 20")?;
        let logprobs = flag(&root, "logprobs", false)?.then_some(top.unwrap_or(0) as usize);
        let prompt_tokens = prompt_tokens(&root, &messages);
        Ok(Self {
            model,
            stream,
            include_usage,
            max_tokens,
            stop: read_stop(&root)?,
            n: integer(&root, "n", 1..=MAX_CHOICES, "from 1 to 128")?.unwrap_or(1) as usize,
            seed: present(&root, "seed")
                .map_or(0, |seed| words::Dice::new(0, [seed.to_string().as_str()]).next()),
            logprobs,
            tools,
            tool_choice,
            parallel_tool_calls: flag(&root, "parallel_tool_calls", true)?,
            format: read_format(&root)?,
            prompt_tokens,
            messages,
        })
    }

    /// The text of the last message of the user; empty when there is none.
    pub(crate) fn last_user_text(&self) -> &str {
        self.messages.iter().rev().find(|m| m.role == Role::User).map_or("", |m| m.text.as_str())
    }

    /// The role of the last message.
    pub(crate) fn last_role(&self) -> Option<Role> {
        self.messages.last().map(|m| m.role)
    }
}

fn present<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn flag(object: &Map<String, Value>, name: &'static str, default: bool) -> Result<bool, Refusal> {
    match present(object, name) {
        None => Ok(default),
        Some(Value::Bool(on)) => Ok(*on),
        Some(other) => Err(Refusal::wrong_type(name, "a boolean", other)),
    }
}

fn integer(
    object: &Map<String, Value>,
    name: &'static str,
    allowed: std::ops::RangeInclusive<u64>,
    range: &str,
) -> Result<Option<u64>, Refusal> {
    match present(object, name) {
        None => Ok(None),
        Some(Value::Number(number)) => match number.as_u64() {
            Some(value) if allowed.contains(&value) => Ok(Some(value)),
            _ => Err(Refusal::out_of_range(name, range)),
        },
        Some(other) => Err(Refusal::wrong_type(name, "an integer", other)),
    }
}

fn read_stop(root: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let expected = "a string or an array of strings";
    let stops = match present(root, "stop") {
        None => Vec::new(),
        Some(Value::String(stop)) => vec![stop.clone()],
        Some(Value::Array(stops)) => stops
            .iter()
            .map(|stop| {
                stop.as_str().map(str::to_owned).ok_or_else(|| Refusal::wrong_type("stop", expected, stop))
            })
            .collect::<Result<_, _>>()?,
        Some(other) => return Err(Refusal::wrong_type("stop", expected, other)),
    };
    Ok(stops.into_iter().filter(|stop| !stop.is_empty()).collect())
}

fn read_messages(root: &Map<String, Value>) -> Result<Vec<Message>, Refusal> {
    let messages = match root.get("messages") {
        None | Some(Value::Null) => return Err(Refusal::missing("messages")),
        Some(Value::Array(messages)) => messages,
        Some(other) => return Err(Refusal::wrong_type("messages", "an array of objects", other)),
    };
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with at least 1 message.";
        return Err(Refusal::bad("messages", Some("empty_array"), message.to_owned()));
    }
    messages.iter().enumerate().map(|(index, message)| read_message(index, message)).collect()
}

fn read_message(index: usize, message: &Value) -> Result<Message, Refusal> {
    let Some(message) = message.as_object() else {
        return Err(Refusal::wrong_type("messages", "an array of objects", message));
    };
    let role = match message.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => Role::Tool,
        _ => {
            let text = format!(
                "Invalid 'messages[{index}].role': expected one of 'system', 'developer', 'user', 'assistant', 'tool'."
            );
            return Err(Refusal::bad("messages", Some("invalid_value"), text));
        }
    };
    let calls: Vec<(String, String)> = present(message, "tool_calls")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|call| (string_at(call, "/id"), either_name(call)))
        .collect();
    let text = match present(message, "content") {
        None if role == Role::Assistant => String::new(),
        None => {
            let text =
                format!("Invalid 'messages[{index}].content': expected a string or an array of parts.");
            return Err(Refusal::bad("messages", Some("invalid_type"), text));
        }
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        Some(other) => {
            return Err(Refusal::wrong_type("messages", "content that is a string or an array", other));
        }
    };
    let call_id = message.get("tool_call_id").and_then(Value::as_str).map(str::to_owned);
    if role == Role::Tool && call_id.is_none() && message.get("role").and_then(Value::as_str) == Some("tool")
    {
        let text = format!("Missing required parameter: 'messages[{index}].tool_call_id'.");
        return Err(Refusal::bad("messages", Some("missing_required_parameter"), text));
    }
    Ok(Message { role, text, call_id, calls })
}

fn read_tools(root: &Map<String, Value>) -> Result<Vec<Tool>, Refusal> {
    let tools = match present(root, "tools") {
        None => return Ok(Vec::new()),
        Some(Value::Array(tools)) => tools,
        Some(other) => return Err(Refusal::wrong_type("tools", "an array of objects", other)),
    };
    // Tools of other types, hosted ones, are accepted and never called.
    let ours =
        tools.iter().filter(|tool| ["function", "custom"].contains(&string_at(tool, "/type").as_str()));
    ours.map(|tool| {
        let custom = string_at(tool, "/type") == "custom";
        let name = either_name(tool);
        if name.is_empty() {
            return Err(Refusal::missing("tools"));
        }
        let parameters = tool.pointer("/function/parameters").filter(|schema| !schema.is_null());
        let parameters = parameters.cloned().unwrap_or_else(|| Value::Object(Map::new()));
        Ok(Tool { name, parameters, custom })
    })
    .collect()
}

fn read_choice(root: &Map<String, Value>, mut tools: Vec<Tool>) -> Result<(Vec<Tool>, ToolChoice), Refusal> {
    let Some(choice) = present(root, "tool_choice") else { return Ok((tools, ToolChoice::Free)) };
    if present(root, "tools").is_none() {
        let message = "'tool_choice' is only allowed when 'tools' are specified.";
        return Err(Refusal::bad("tool_choice", None, message.to_owned()));
    }
    let named = string_at(choice, "/function/name");
    let choice = match (choice.as_str(), string_at(choice, "/type").as_str()) {
        (Some("none"), _) => ToolChoice::None,
        (Some("auto" | "required"), _) => ToolChoice::Free,
        (_, "function") if tools.iter().any(|tool| tool.name == named) => ToolChoice::Forced(named),
        (_, "allowed_tools") => {
            let allowed = choice.pointer("/allowed_tools/tools").and_then(Value::as_array);
            let names: Vec<String> =
                allowed.into_iter().flatten().map(|tool| string_at(tool, "/function/name")).collect();
            tools.retain(|tool| names.contains(&tool.name));
            ToolChoice::Free
        }
        _ => {
            let message =
                format!("Invalid value for 'tool_choice': {choice} is no choice among the given tools.");
            return Err(Refusal::bad("tool_choice", Some("invalid_value"), message));
        }
    };
    Ok((tools, choice))
}

fn read_format(root: &Map<String, Value>) -> Result<Format, Refusal> {
    let Some(format) = present(root, "response_format") else { return Ok(Format::Text) };
    match string_at(format, "/type").as_str() {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::JsonObject),
        "json_schema" => {
            let schema = format.pointer("/json_schema/schema").filter(|s| s.is_object() || s.is_boolean());
            let Some(schema) = schema else {
                let message = "Missing required parameter: 'response_format.json_schema.schema'.".to_owned();
                return Err(Refusal::bad("response_format", Some("missing_required_parameter"), message));
            };
            Ok(Format::JsonSchema(schema.clone()))
        }
        _ => {
            let message = "Invalid value for 'response_format.type': expected one of 'text', 'json_object', 'json_schema'.";
            Err(Refusal::bad("response_format", Some("invalid_value"), message.to_owned()))
        }
    }
}

/// Three tokens for the frame of each message and three for the answer's start, as the dialect's own counters do,
/// then what the texts, the names, the calls and the tools' definitions count.
fn prompt_tokens(root: &Map<String, Value>, messages: &[Message]) -> u64 {
    let texts: u64 = messages.iter().map(|message| 3 + words::count(&message.text)).sum();
    let raw = root.get("messages").and_then(Value::as_array).into_iter().flatten();
    let rest: u64 = raw
        .map(|message| {
            let parts = message.get("content").and_then(Value::as_array).into_iter().flatten();
            let images = parts.filter(|part| string_at(part, "/type") == "image_url").count() as u64;
            let name = message.get("name").and_then(Value::as_str).map_or(0, |name| 1 + words::count(name));
            let calls = message.get("tool_calls").filter(|calls| calls.is_array());
            images * IMAGE_TOKENS + name + calls.map_or(0, |calls| words::count(&calls.to_string()))
        })
        .sum();
    let tools = present(root, "tools").map_or(0, |tools| words::count(&tools.to_string()));
    let format = present(root, "response_format").and_then(|format| format.get("json_schema"));
    3 + texts + rest + tools + format.map_or(0, |schema| words::count(&schema.to_string()))
}

/// The name in a tool or a call, by its kind.
fn either_name(value: &Value) -> String {
    let kind = if value.get("custom").is_some() { "custom" } else { "function" };
    string_at(value, &format!("/{kind}/name"))
}

fn string_at(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: &Value) -> Result<Ask, Refusal> {
        Ask::read(body.to_string().as_bytes())
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(Ask::read(b"{").unwrap_err().status, 400);
        assert_eq!(Ask::read(b"[]").unwrap_err().param, None);
        assert_eq!(read(&json!({"messages": []})).unwrap_err().param, Some("model"));
        let error = read(&json!({"model": "chat"})).unwrap_err();
        assert_eq!((error.param, error.code), (Some("messages"), Some("missing_required_parameter")));
        let error = read(&json!({"model": "chat", "messages": "hi"})).unwrap_err();
        assert!(error.message.contains("a string"), "{}", error.message);
    }

    #[test]
    fn parts_are_joined_and_counted() {
        let ask = read(&json!({"model": "chat", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "one two"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            {"type": "text", "text": "three"},
        ]}]}))
        .unwrap();
        assert_eq!(ask.last_user_text(), "one two\nthree");
        assert_eq!(ask.prompt_tokens, 3 + 3 + 4 + IMAGE_TOKENS);
    }

    #[test]
    fn limits_and_ranges() {
        let with = |name: &str, value: Value| {
            let mut body = json!({"model": "chat", "messages": [{"role": "user", "content": "hi"}]});
            body[name] = value;
            read(&body)
        };
        assert_eq!(with("max_tokens", json!(7)).unwrap().max_tokens, Some(7));
        assert_eq!(with("max_tokens", json!(0)).unwrap_err().param, Some("max_tokens"));
        assert_eq!(with("n", json!(129)).unwrap_err().param, Some("n"));
        assert_eq!(with("stop", json!(["a", "", "b"])).unwrap().stop, ["a", "b"]);
        assert_eq!(with("stream", json!("yes")).unwrap_err().param, Some("stream"));
        assert_eq!(with("stream_options", json!({})).unwrap_err().param, Some("stream_options"));
        assert_eq!(with("tool_choice", json!("auto")).unwrap_err().param, Some("tool_choice"));
        assert_eq!(with("response_format", json!({"type": "x"})).unwrap_err().param, Some("response_format"));
    }

    #[test]
    fn a_forced_tool_must_exist() {
        let body = |name: &str| {
            json!({"model": "chat", "messages": [{"role": "user", "content": "hi"}],
                "tools": [{"type": "function", "function": {"name": "look"}}],
                "tool_choice": {"type": "function", "function": {"name": name}}})
        };
        assert_eq!(read(&body("look")).unwrap().tool_choice, ToolChoice::Forced("look".to_owned()));
        assert_eq!(read(&body("fly")).unwrap_err().param, Some("tool_choice"));
    }
}
