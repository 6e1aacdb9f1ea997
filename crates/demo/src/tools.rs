//! Which tools the demo calls, with which arguments, and what it says about their results.

use crate::request::{Ask, Message, Role, Tool, ToolChoice};
use crate::schema::{self, Material};
use crate::words::{self, Dice, Tokens};

/// Longest part of a tool's result that the answer repeats, in characters.
const RESULT_CHARS: usize = 400;

/// One call of a tool.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON text; for a custom tool any text.
    pub(crate) arguments: Tokens,
    /// The tool takes any text.
    pub(crate) custom: bool,
}

impl Call {
    pub(crate) fn new(tool: &Tool, arguments: Tokens) -> Self {
        let id = format!("call_{}", crate::id::unique());
        Self { id, name: tool.name.clone(), arguments, custom: tool.custom }
    }
}

/// The tools to call now: none unless the user spoke last; the forced one; else those that the user's text names,
/// or the first. More than one only if parallel calls are allowed.
pub(crate) fn choose(ask: &Ask) -> Vec<&Tool> {
    if ask.last_role() != Some(Role::User) {
        return Vec::new();
    }
    let tools = || ask.tools.iter().filter(|tool| !tool.custom);
    let mut chosen: Vec<&Tool> = match &ask.tool_choice {
        ToolChoice::None => return Vec::new(),
        ToolChoice::Forced(name) => tools().filter(|tool| tool.name == *name).take(1).collect(),
        ToolChoice::Free => {
            let prompt = ask.last_user_text();
            let named: Vec<&Tool> = tools().filter(|tool| prompt.contains(&tool.name)).collect();
            if named.is_empty() { tools().take(1).collect() } else { named }
        }
    };
    if !ask.parallel_tool_calls {
        chosen.truncate(1);
    }
    chosen
}

/// A call with arguments that are valid under the tool's schema and made from the prompt.
pub(crate) fn call(tool: &Tool, prompt: &str, flourish: bool, dice: &mut Dice) -> Call {
    // The names of tools are instructions, not material for arguments.
    let prompt = prompt.replace(&tool.name, " ");
    let material = Material { prompt: prompt.trim(), optional: false, flourish };
    let empty = tool.parameters.as_object().is_some_and(serde_json::Map::is_empty);
    let arguments = if empty { "{}".to_owned() } else { schema::sample(&tool.parameters, &material, dice) };
    // The finest pieces put a border inside every escape.
    let arguments = if flourish { Tokens::of_chars(arguments) } else { Tokens::of(arguments) };
    Call::new(tool, arguments)
}

/// What to say when the conversation ends with tool results; `None` when it does not.
pub(crate) fn report(messages: &[Message]) -> Option<String> {
    let trailing = messages.iter().rev().take_while(|message| message.role == Role::Tool).count();
    let (before, results) = messages.split_at(messages.len() - trailing);
    let calls = before.iter().rev().find(|message| message.role == Role::Assistant);
    let lines: Vec<String> = results
        .iter()
        .map(|result| {
            let call = calls.and_then(|calls| {
                calls.calls.iter().find(|(id, _)| Some(id.as_str()) == result.call_id.as_deref())
            });
            let text = words::excerpt(&result.text, RESULT_CHARS);
            match call {
                Some((_, name)) => format!("The tool {name} returned: {text}"),
                None => format!("The tool returned: {text}"),
            }
        })
        .collect();
    (!lines.is_empty()).then(|| format!("{}\nThat is what I base my answer on.", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn ask(text: &str, extra: &Value) -> Ask {
        let mut body = json!({"model": "chat", "messages": [{"role": "user", "content": text}], "tools": [
            {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}}},
            {"type": "function", "function": {"name": "get_time"}},
        ]});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        Ask::read(body.to_string().as_bytes()).unwrap()
    }

    fn names(ask: &Ask) -> Vec<&str> {
        choose(ask).iter().map(|tool| tool.name.as_str()).collect()
    }

    #[test]
    fn the_choice_of_tools() {
        assert_eq!(names(&ask("hello", &json!({}))), ["get_weather"]);
        assert_eq!(names(&ask("call get_time and get_weather", &json!({}))), ["get_weather", "get_time"]);
        let one = json!({"parallel_tool_calls": false});
        assert_eq!(names(&ask("call get_time and get_weather", &one)), ["get_weather"]);
        let forced = json!({"tool_choice": {"type": "function", "function": {"name": "get_time"}}});
        assert_eq!(names(&ask("get_weather", &forced)), ["get_time"]);
        assert!(names(&ask("get_weather", &json!({"tool_choice": "none"}))).is_empty());
        let messages = json!({"messages": [{"role": "user", "content": "x"},
            {"role": "tool", "tool_call_id": "a", "content": "y"}]});
        assert!(names(&ask("", &messages)).is_empty());
    }

    #[test]
    fn arguments_come_from_the_prompt() {
        let ask = ask("Use get_weather for Paris", &json!({}));
        let call = call(&ask.tools[0], ask.last_user_text(), false, &mut Dice::new(0, []));
        assert_eq!(call.arguments.text(), r#"{"city":"Paris"}"#);
        assert!(call.arguments.len() > 3 && call.id.starts_with("call_"));
        let bare = super::call(&ask.tools[1], "", false, &mut Dice::new(0, []));
        assert_eq!(bare.arguments.text(), "{}");
    }

    #[test]
    fn results_are_reported_by_name() {
        let messages = json!({"messages": [{"role": "user", "content": "x"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "12:30"}]});
        let text = report(&ask("", &messages).messages).unwrap();
        assert!(text.contains("get_time returned: 12:30"), "{text}");
        assert_eq!(report(&ask("hello", &json!({})).messages), None);
    }
}
