//! Whether the calls of tools that a model made were sound: read from the request that brings their results.
//!
//! A call is bad if its arguments are not JSON, if it names a tool that was not offered, or if its result is marked as an error.
//! All dialects write calls and results in one of five forms, which are told apart by their members.

use std::collections::HashSet;

use lockgate_core::Payload;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::health::Tally;

/// A call of a tool.
struct Call {
    id: Option<String>,
    name: String,
    sound: bool,
}

/// Members that hold the dialogue, and those that offer tools.
const SAID: [&str; 3] = ["messages", "contents", "input"];
const OFFERS: [&str; 3] = ["tools", "functions", "toolConfig"];
/// Messages at the end that are looked at.
const MOST: usize = 64;

/// The calls whose results are the last that was said; none where the dialogue does not end so, or cannot be read.
pub(crate) fn tally(payload: &Payload) -> Tally {
    let said = SAID.iter().find_map(|name| payload.get(name)).unwrap_or_default();
    let Ok(messages) = serde_json::from_slice::<Vec<&RawValue>>(said) else { return Tally::default() };
    let offered = offered(payload);
    let (mut failed, mut calls, mut results) = (HashSet::new(), Vec::new(), 0);
    for message in messages.iter().rev().take(MOST) {
        let Ok(message) = serde_json::from_str::<Json>(message.get()) else { break };
        let called = calls_of(&message);
        if called.is_empty() {
            let brought = if calls.is_empty() { results_of(&message, &mut failed) } else { 0 };
            if brought == 0 {
                break;
            }
            results += brought;
        }
        calls.extend(called);
    }
    if results == 0 {
        return Tally::default();
    }
    let is_bad = |call: &Call| {
        !call.sound
            || (!offered.is_empty() && !offered.contains(&call.name))
            || call.id.as_ref().is_some_and(|id| failed.contains(id))
    };
    let bad = calls.iter().filter(|call| is_bad(call)).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Tally { ok: count(calls.len() - bad), bad: count(bad) }
}

/// The calls of a message, or of an item.
fn calls_of(message: &Json) -> Vec<Call> {
    // OpenAI chat.
    if let Some(calls) = message.get("tool_calls").and_then(Json::as_array) {
        let call = |call: &Json| {
            let function = call.get("function")?;
            Some(Call { sound: is_json(function.get("arguments")), ..Call::of(function, call.get("id"))? })
        };
        return calls.iter().filter_map(call).collect();
    }
    // OpenAI responses.
    if message.get("type").and_then(Json::as_str) == Some("function_call") {
        let sound = is_json(message.get("arguments"));
        return Call::of(message, message.get("call_id"))
            .map(|call| Call { sound, ..call })
            .into_iter()
            .collect();
    }
    // Anthropic, Gemini, Bedrock: arguments are JSON by their form.
    let blocks = blocks(message).iter().filter_map(|block| match block.get("type").and_then(Json::as_str) {
        Some("tool_use") => Call::of(block, block.get("id")),
        _ => {
            let own = block.get("toolUse").map(|call| Call::of(call, call.get("toolUseId")));
            own.or_else(|| block.get("functionCall").map(|call| Call::of(call, call.get("id"))))?
        }
    });
    blocks.collect()
}

/// How many results a message brings; the calls of those that are errors are put into `failed`.
fn results_of(message: &Json, failed: &mut HashSet<String>) -> usize {
    let is = |value: &Json, name: &str, word: &str| value.get(name).and_then(Json::as_str) == Some(word);
    if is(message, "role", "tool") || is(message, "type", "function_call_output") {
        return 1;
    }
    let mut results = 0;
    for block in blocks(message) {
        let (id, bad) = if is(block, "type", "tool_result") {
            (block.get("tool_use_id"), block.get("is_error") == Some(&Json::Bool(true)))
        } else if let Some(result) = block.get("toolResult") {
            (result.get("toolUseId"), is(result, "status", "error"))
        } else if let Some(result) = block.get("functionResponse") {
            (result.get("id"), result.pointer("/response/error").is_some())
        } else {
            continue;
        };
        results += 1;
        failed.extend(id.and_then(Json::as_str).filter(|_| bad).map(str::to_owned));
    }
    results
}

fn blocks(message: &Json) -> &[Json] {
    let blocks = message.get("content").or_else(|| message.get("parts"));
    blocks.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The names of the tools that a request offers.
fn offered(payload: &Payload) -> HashSet<String> {
    let mut names = HashSet::new();
    let offers = OFFERS.iter().find_map(|name| payload.get(name)).unwrap_or_default();
    let Ok(offers) = serde_json::from_slice::<Json>(offers) else { return names };
    let list = offers.get("tools").unwrap_or(&offers).as_array().map_or(&[][..], Vec::as_slice);
    for tool in list {
        let many = tool.get("functionDeclarations").or_else(|| tool.get("function_declarations"));
        let several = many.and_then(Json::as_array).map_or(std::slice::from_ref(tool), Vec::as_slice);
        for tool in several {
            let inner = tool.get("function").or_else(|| tool.get("toolSpec")).unwrap_or(tool);
            names.extend(inner.get("name").and_then(Json::as_str).map(str::to_owned));
        }
    }
    names
}

/// Whether arguments in a text are JSON. None at all are those of a tool that takes none.
fn is_json(arguments: Option<&Json>) -> bool {
    match arguments {
        Some(Json::String(text)) => text.trim().is_empty() || serde_json::from_str::<&RawValue>(text).is_ok(),
        _ => true,
    }
}

impl Call {
    fn of(named: &Json, id: Option<&Json>) -> Option<Self> {
        let name = named.get("name")?.as_str()?.to_owned();
        Some(Self { id: id.and_then(Json::as_str).map(str::to_owned), name, sound: true })
    }
}

#[cfg(test)]
mod tests {
    use lockgate_core::Tick;

    use super::*;
    use crate::strategy::Cost;
    use crate::testing::{House, branches, facts, target};
    use crate::view::Facts;
    use crate::{Ask, Strategy, Told};

    fn of(body: &str) -> (u32, u32) {
        let Tally { ok, bad } = tally(&Payload::parse(body.to_owned().into()).unwrap());
        (ok, bad)
    }

    #[test]
    fn calls_are_judged_by_what_came_of_them_in_every_dialect() {
        let chat = |name: &str, arguments: &str| {
            format!(
                r#"{{"tools":[{{"type":"function","function":{{"name":"find"}}}}],"messages":[{{"role":"user","content":"x"}},
                {{"role":"assistant","tool_calls":[{{"id":"1","function":{{"name":"{name}","arguments":"{arguments}"}}}}]}},
                {{"role":"tool","tool_call_id":"1","content":"y"}}]}}"#
            )
        };
        assert_eq!(of(&chat("find", r#"{\"a\":1}"#)), (1, 0));
        assert_eq!(of(&chat("find", "")), (1, 0), "a tool that takes nothing");
        assert_eq!(of(&chat("find", r#"{\"a\":"#)), (0, 1), "no JSON");
        assert_eq!(of(&chat("made_up", "{}")), (0, 1), "not offered");
        let messages = r#"{"tools":[{"name":"find"},{"name":"buy"}],"messages":[{"role":"assistant","content":[
            {"type":"text","text":"t"},{"type":"tool_use","id":"1","name":"find","input":{}},
            {"type":"tool_use","id":"2","name":"buy","input":{}}]},{"role":"user","content":[
            {"type":"tool_result","tool_use_id":"1"},{"type":"tool_result","tool_use_id":"2","is_error":true}]}]}"#;
        assert_eq!(of(messages), (1, 1));
        let responses = r#"{"tools":[{"type":"function","name":"find"}],"input":[{"role":"user","content":"x"},
            {"type":"function_call","call_id":"1","name":"find","arguments":"{}"},
            {"type":"function_call","call_id":"2","name":"find","arguments":"{"},
            {"type":"function_call_output","call_id":"1","output":"y"},
            {"type":"function_call_output","call_id":"2","output":"y"}]}"#;
        assert_eq!(of(responses), (1, 1));
        let gemini = r#"{"tools":[{"functionDeclarations":[{"name":"find"}]}],"contents":[
            {"role":"model","parts":[{"functionCall":{"name":"find","args":{}}},{"functionCall":{"name":"other","args":{}}}]},
            {"role":"user","parts":[{"functionResponse":{"name":"find","response":{}}}]}]}"#;
        assert_eq!(of(gemini), (1, 1));
        let bedrock = r#"{"toolConfig":{"tools":[{"toolSpec":{"name":"find"}}]},"messages":[
            {"role":"assistant","content":[{"toolUse":{"toolUseId":"1","name":"find","input":{}}}]},
            {"role":"user","content":[{"toolResult":{"toolUseId":"1","status":"error"}}]}]}"#;
        assert_eq!(of(bedrock), (0, 1));
    }

    #[test]
    fn earlier_calls_of_the_turn_were_counted_when_their_results_came() {
        let call =
            r#"{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{"}}]}"#;
        let good =
            r#"{"role":"assistant","tool_calls":[{"id":"2","function":{"name":"f","arguments":"{}"}}]}"#;
        let result = r#"{"role":"tool","content":"y"}"#;
        let body = |parts: &[&str]| format!(r#"{{"messages":[{}]}}"#, parts.join(","));
        assert_eq!(of(&body(&[call, result, good, result])), (1, 0));
        assert_eq!(of(&body(&[call, result, r#"{"role":"user","content":"go on"}"#])), (0, 0));
        assert_eq!(of(r#"{"messages":"text"}"#), (0, 0));
    }

    #[test]
    fn the_calls_of_tools_that_a_target_made_are_heard_of_when_their_results_come() {
        let of = |price| Facts { abilities: None, ..facts("f", price, price, &[]) };
        let facts = [("p/a", of(1.0)), ("p/b", of(2.0))];
        let house = House::with(&facts, &[], Strategy::Cost(Cost { branches: branches(&["p/*"]) }));
        let body = r#"{"model":"r","tools":[{"type":"function","function":{"name":"find"}}],"messages":[
            {"role":"assistant","tool_calls":[{"id":"1","function":{"name":"find","arguments":"{"}},
            {"id":"2","function":{"name":"find","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"1","content":"x"},{"role":"tool","tool_call_id":"2","content":"y"}]}"#;
        let payload = Payload::parse(body.to_owned().into()).unwrap();
        let headers = http::HeaderMap::new();
        let calls = || house.registry.health(&target("p/b")).pulse(Tick(2), 0).tool_calls;
        let ask = || {
            let told = Told { session: Some(7), ..Told::default() };
            Ask::new("r", &house.key, &house.attribution)
                .reads(&payload, body.len() as u64, &headers)
                .told(told)
        };
        house.plan(&ask()).unwrap();
        assert_eq!(calls(), Tally::default(), "nobody is known to have made them");
        house.registry.sessions().note(7, &target("p/b"), Tick(1), None);
        house.plan(&ask()).unwrap();
        assert_eq!(calls(), Tally { ok: 1, bad: 1 });
    }

    proptest::proptest! {
        #[test]
        fn any_dialogue_is_read(text in "[\\[\\]{}\":,a-z_]{0,80}") {
            if let Ok(payload) = Payload::parse(format!(r#"{{"messages":{text}}}"#).into()) {
                let _ = tally(&payload);
            }
        }
    }
}
