//! The answer as a client gets it.

use bytes::Bytes;
use lockgate_core::Usage;
use serde_json::value::RawValue;

use crate::anthropic::NAME;
use crate::anthropic::block::{BOUND_TO_NEXT, CALLER, noted};
use crate::anthropic::finish::{self, Calls};
use crate::anthropic::json::{Array, Object};
use crate::neutral::{Call, CallKind, Citation, Content, Native, Reasoning, Reply, Text};
use crate::seal::Seal;
use crate::{Losses, Turn, tier};

/// Writes parts as blocks.
struct Writer<'w> {
    losses: &'w mut Losses,
    /// Members for the block that follows.
    notes: Vec<&'w Native>,
    calls: Calls,
    /// A call that no thought goes before is to be marked.
    wants_thought: bool,
}

pub(in crate::anthropic) fn write(reply: &Reply, asked: &Turn, losses: &mut Losses) -> Bytes {
    let mut out = Vec::with_capacity(1_024);
    let mut message = Object::begin(&mut out);
    message.text("id", &super::id_for(&reply.id, asked));
    message.text("type", "message");
    message.text("role", "assistant");
    message.text("model", &reply.model);

    let mut blocks = Array::begin(message.member("content"));
    let wants_thought = super::wants_thought(asked);
    let mut writer = Writer { losses, notes: Vec::new(), calls: Calls::default(), wants_thought };
    let mut extras: Vec<&Native> = Vec::new();
    for part in &reply.parts {
        match &part.content {
            Content::Native(native) if native.dialect == NAME && native.name.starts_with("message.") => {
                extras.push(native);
            }
            Content::Native(native) if noted(native).is_some() => writer.notes.push(native),
            content => {
                writer.content(content, &mut blocks);
                writer.notes.clear();
            }
        }
    }
    let calls = writer.calls;
    blocks.end();
    if !reply.logprobs.is_empty() {
        losses.lose("logprobs", "the client's dialect has none");
    }

    let (reason, sequence, is_nearest) = finish::write(&reply.finish, calls);
    if is_nearest {
        losses.lose("finish_reason", "the client's dialect does not have it");
    }
    message.text("stop_reason", reason);
    match sequence {
        Some(text) => message.text("stop_sequence", text),
        None => message.raw("stop_sequence", "null"),
    }
    usage(message.member("usage"), &reply.usage.unwrap_or_default(), reply.service_tier.as_deref());
    for native in extras {
        if let Some(member) = noted(native) {
            message.raw(member, native.json.get());
        }
    }
    message.end();
    out.into()
}

/// Writes a state as a client gets it: one of this dialect plain, any other wrapped.
pub(in crate::anthropic) fn state(seal: &Seal) -> String {
    if *seal.dialect == *NAME { seal.data.clone() } else { seal.wrapped() }
}

/// Writes `usage`: cached input stands beside the input, thought is a part of the output.
pub(in crate::anthropic) fn usage(out: &mut Vec<u8>, usage: &Usage, tier: Option<&str>) {
    let input = usage.input.saturating_add(usage.audio_input).saturating_add(usage.image_input);
    let mut object = Object::begin(out);
    object.number("input_tokens", input);
    object.number("cache_creation_input_tokens", usage.cache_write.saturating_add(usage.cache_write_1h));
    object.number("cache_read_input_tokens", usage.cache_read);
    let mut split = Object::begin(object.member("cache_creation"));
    split.number("ephemeral_5m_input_tokens", usage.cache_write);
    split.number("ephemeral_1h_input_tokens", usage.cache_write_1h);
    split.end();
    object.number("output_tokens", usage.output_total());
    if usage.reasoning > 0 {
        let mut details = Object::begin(object.member("output_tokens_details"));
        details.number("thinking_tokens", usage.reasoning);
        details.end();
    }
    if usage.searches > 0 {
        let mut tools = Object::begin(object.member("server_tool_use"));
        tools.number("web_search_requests", usage.searches);
        tools.number("web_fetch_requests", 0);
        tools.end();
    }
    if let Some(tier) = tier.and_then(tier::anthropic) {
        object.text("service_tier", tier);
    }
    object.end();
}

/// Writes a source of a text; false when it has nothing that the dialect could say.
pub(in crate::anthropic) fn citation(out: &mut Vec<u8>, citation: &Citation) -> bool {
    if let Some(native) = citation.native.as_ref().filter(|native| native.dialect == NAME) {
        out.extend_from_slice(native.json.get().as_bytes());
        return true;
    }
    let Some(url) = &citation.url else { return false };
    let mut object = Object::begin(out);
    object.text("type", "web_search_result_location");
    object.text("cited_text", citation.quote.as_deref().unwrap_or_default());
    object.text("encrypted_index", "");
    // It may be null by the document, and some clients take that for no source at all.
    object.text("title", citation.title.as_deref().unwrap_or(url));
    object.text("url", url);
    object.end();
    true
}

fn redacted(data: &str, blocks: &mut Array<'_>) {
    let mut block = Object::begin(blocks.item());
    block.text("type", "redacted_thinking");
    block.text("data", data);
    block.end();
}

// === impl Writer ===

impl Writer<'_> {
    fn content(&mut self, content: &Content, blocks: &mut Array<'_>) {
        match content {
            Content::Text(text) => self.text(text, blocks),
            Content::Refusal(text) => self.text(&Text { text: text.clone(), ..Text::default() }, blocks),
            Content::Reasoning(reasoning) => self.reasoning(reasoning, blocks),
            Content::Call(call) => self.call(call, blocks),
            Content::Native(native) if native.dialect == NAME => {
                blocks.item().extend_from_slice(native.json.get().as_bytes());
            }
            Content::Native(native) => {
                self.losses.lose(native.name.clone(), "the client's dialect does not have it");
            }
            Content::Media(_) => self.losses.lose("media", "answers of the client's dialect hold no media"),
            Content::Outcome(_) => self.losses.lose("outcome", "answers hold no outcomes of calls"),
        }
    }

    /// A state that is bound to the block that follows goes before it.
    fn bound(&mut self, seal: Option<&Seal>, blocks: &mut Array<'_>) {
        let Some(seal) = seal else { return };
        self.wants_thought = false;
        let seal = Seal { kind: format!("{}{BOUND_TO_NEXT}", seal.kind).into(), ..seal.clone() };
        redacted(&seal.wrapped(), blocks);
    }

    fn text(&mut self, text: &Text, blocks: &mut Array<'_>) {
        // Sent back by the client, an empty text is refused by providers of this dialect. A state that is bound to one
        // stands for itself.
        if text.text.is_empty() && text.citations.is_empty() {
            if let Some(seal) = &text.seal {
                redacted(&seal.wrapped(), blocks);
            }
            return;
        }
        self.bound(text.seal.as_ref(), blocks);
        let mut block = Object::begin(blocks.item());
        block.text("type", "text");
        block.text("text", &text.text);
        let mut citations = Vec::new();
        let mut array = Array::begin(&mut citations);
        for source in &text.citations {
            let mut written = Vec::new();
            if citation(&mut written, source) {
                array.item().extend_from_slice(&written);
            } else {
                self.losses.lose("citations", "the client's dialect cites the web only by address");
            }
        }
        array.end();
        if citations != b"[]" {
            block.member("citations").extend_from_slice(&citations);
        }
        self.end(block);
    }

    fn reasoning(&mut self, reasoning: &Reasoning, blocks: &mut Array<'_>) {
        let redacted = reasoning.seal.as_ref().filter(|s| *s.dialect == *NAME && &*s.kind == "redacted");
        let mut block = Object::begin(blocks.item());
        if let Some(seal) = redacted {
            block.text("type", "redacted_thinking");
            block.text("data", &seal.data);
        } else {
            block.text("type", "thinking");
            block.text("thinking", &reasoning.text);
            let none = || if self.wants_thought { Seal::nobodys().wrapped() } else { String::new() };
            block.text("signature", &reasoning.seal.as_ref().map_or_else(none, state));
        }
        self.wants_thought = false;
        self.end(block);
    }

    fn call(&mut self, call: &Call, blocks: &mut Array<'_>) {
        self.calls.any = true;
        self.calls.open |= !self.notes.iter().any(|native| native.name == CALLER);
        self.bound(call.seal.as_ref(), blocks);
        if std::mem::take(&mut self.wants_thought) {
            redacted(&Seal::nobodys().wrapped(), blocks);
        }
        let mut block = Object::begin(blocks.item());
        block.text("type", "tool_use");
        block.text("id", &call.id);
        block.text("name", &call.name);
        let given = call.arguments.trim();
        match serde_json::from_str::<&RawValue>(given) {
            _ if call.kind == CallKind::Custom => {
                let mut input = Object::begin(block.member("input"));
                input.text("input", &call.arguments);
                input.end();
            }
            Ok(raw) if raw.get().starts_with('{') => block.raw("input", raw.get()),
            _ if given.is_empty() => block.raw("input", "{}"),
            _ => {
                self.losses.lose("arguments", "they are no JSON object: sent as a text in one");
                let mut input = Object::begin(block.member("input"));
                input.text("arguments", &call.arguments);
                input.end();
            }
        }
        self.end(block);
    }

    fn end(&mut self, mut block: Object<'_>) {
        for native in &self.notes {
            if let Some(member) = noted(native) {
                block.raw(member, native.json.get());
            }
        }
        block.end();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::neutral::{Finish, Part};
    use crate::seal::Origin;

    fn asked() -> Turn {
        crate::anthropic::request::peek(Bytes::from_static(br#"{"model":"m","messages":[]}"#)).unwrap()
    }

    fn reply(parts: Vec<Part>) -> Reply {
        Reply {
            id: String::new(),
            model: "m".into(),
            created: None,
            parts,
            finish: Finish::Stop,
            usage: Some(Usage {
                input: 1,
                image_input: 2,
                cache_read: 3,
                cache_write: 4,
                cache_write_1h: 5,
                output: 6,
                reasoning: 7,
                searches: 8,
                ..Usage::default()
            }),
            logprobs: vec![],
            service_tier: None,
        }
    }

    fn written(parts: Vec<Part>) -> (Value, usize) {
        let mut losses = Losses::default();
        let bytes = write(&reply(parts), &asked(), &mut losses);
        (serde_json::from_slice(&bytes).unwrap(), losses.iter().count())
    }

    #[test]
    fn an_answer_has_what_the_sdk_demands() {
        let (json, lost) = written(vec![Part::text("hi"), Part::text("")]);
        assert_eq!(json["content"], json!([{"type":"text","text":"hi"}]));
        assert_eq!(
            (&json["type"], &json["role"], &json["stop_sequence"]),
            (&json!("message"), &json!("assistant"), &Value::Null)
        );
        assert!(json["id"].as_str().unwrap().starts_with("msg_"));
        assert_eq!(json["usage"]["input_tokens"], 3);
        assert_eq!(json["usage"]["cache_creation_input_tokens"], 9);
        assert_eq!(json["usage"]["output_tokens"], 13);
        assert_eq!(json["usage"]["server_tool_use"]["web_search_requests"], 8);
        assert_eq!(lost, 0);
    }

    #[test]
    fn states_of_other_dialects_travel_wrapped_and_come_back_to_what_they_are_bound_to() {
        let seal = Seal::of(&Origin("google".into()), "gemini.generate", "thought", "c2ln");
        let (json, _) = written(vec![
            Part::new(Content::Reasoning(Reasoning {
                text: "hm".into(),
                summary: true,
                seal: Some(seal.clone()),
            })),
            Part::new(Content::Call(Call {
                id: "a".into(),
                name: "f".into(),
                arguments: "{\"x\":1.0}".into(),
                kind: CallKind::Function,
                seal: Some(seal.clone()),
            })),
        ]);
        assert_eq!(json["stop_reason"], "tool_use");
        assert_eq!(json["content"][1]["type"], "redacted_thinking");
        let body =
            json!({"model":"m","messages":[{"role":"assistant","content":json["content"]}]}).to_string();
        let turn = crate::anthropic::request::peek(body.into()).unwrap();
        let request = crate::anthropic::request::read(&turn).unwrap();
        let [thought, call] = request.messages[0].parts.as_slice() else { panic!("{request:?}") };
        assert!(
            matches!(&thought.content, Content::Reasoning(r) if r.seal.as_ref() == Some(&seal) && r.text == "hm")
        );
        assert!(matches!(&call.content, Content::Call(c) if c.seal.as_ref() == Some(&seal)));
    }

    #[test]
    fn arguments_that_are_no_object_are_kept_and_told() {
        let call = |arguments: &str| {
            Part::new(Content::Call(Call {
                id: "a".into(),
                name: "f".into(),
                arguments: arguments.into(),
                kind: CallKind::Function,
                seal: None,
            }))
        };
        let (json, lost) = written(vec![call("{\"a\":"), call("")]);
        assert_eq!(json["content"][0]["input"], json!({"arguments":"{\"a\":"}));
        assert_eq!(json["content"][1]["input"], json!({}));
        assert_eq!(lost, 1);
    }
}
