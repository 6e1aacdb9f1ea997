//! An independent reading of answers: plainly over JSON trees, sharing no code with the gateway.

use serde_json::Value;

/// Token counts as a provider reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cached: u64,
    pub(crate) reasoning: u64,
}

/// An event stream, read to its end.
pub(crate) struct Scene {
    pub(crate) events: Vec<Event>,
}

/// One event of a stream.
pub(crate) struct Event {
    /// Offset behind the blank line that ends it; of the last one the end of the stream, if it has no blank line.
    pub(crate) end: usize,
    /// Whether its blank line is there.
    pub(crate) ended: bool,
    pub(crate) data: Option<String>,
}

/// What is known of a stream up to some place in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The model has said something.
    pub(crate) content: bool,
    /// The provider told of an error.
    pub(crate) error: bool,
    /// The end mark came.
    pub(crate) done: bool,
    /// For each choice by its index: whether it has finished.
    pub(crate) choices: Vec<(u64, bool)>,
    /// The last report of usage.
    pub(crate) usage: Option<Counts>,
}

// === impl Scene ===

impl Scene {
    pub(crate) fn read(stream: &[u8]) -> Self {
        let text = std::str::from_utf8(stream).unwrap();
        let (mut events, mut data, mut at, mut blank) = (Vec::new(), None::<String>, 0, true);
        while at < text.len() {
            let rest = &text[at..];
            let line = &rest[..rest.find(['\r', '\n']).unwrap_or(rest.len())];
            let behind = &rest[line.len()..];
            let end = if behind.starts_with("\r\n") { 2 } else { usize::from(!behind.is_empty()) };
            at += line.len() + end;
            blank = line.is_empty();
            if blank {
                events.push(Event { end: at, ended: true, data: data.take() });
            } else if let Some(value) = line.strip_prefix("data:") {
                let value = value.strip_prefix(' ').unwrap_or(value);
                data = Some(data.map_or_else(|| value.to_owned(), |all| all + "\n" + value));
            }
        }
        if !blank {
            events.push(Event { end: at, ended: false, data });
        }
        Self { events }
    }

    /// What is known at the end.
    pub(crate) fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        self.events.iter().for_each(|event| facts.add(event.data.as_deref()));
        facts
    }
}

// === impl Event ===

impl Event {
    /// Whether it reports usage and has no choices.
    pub(crate) fn is_usage_only(&self) -> bool {
        let Some(value) = self.data.as_deref().and_then(|data| serde_json::from_str::<Value>(data).ok())
        else {
            return false;
        };
        let none = value.get("choices").is_none_or(|choices| choices.as_array().is_some_and(Vec::is_empty));
        none && counts(&value).is_some()
    }
}

// === impl Facts ===

impl Facts {
    /// Takes note of an event's data.
    pub(crate) fn add(&mut self, data: Option<&str>) {
        let Some(data) = data.map(str::trim).filter(|data| !data.is_empty()) else { return };
        if data == "[DONE]" {
            self.done = true;
            return;
        }
        let value: Value = serde_json::from_str(data).unwrap();
        self.error |= value.get("error").is_some_and(|error| !error.is_null());
        for choice in value["choices"].as_array().into_iter().flatten() {
            let finished = choice["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty());
            let index = choice["index"].as_u64().unwrap_or(0);
            match self.choices.iter_mut().find(|(known, _)| *known == index) {
                Some((_, known)) => *known |= finished,
                None => self.choices.push((index, finished)),
            }
            let said = choice["delta"].as_object().into_iter().flatten();
            self.content |= finished || said.into_iter().any(|(name, value)| name != "role" && says(value));
        }
        self.usage = counts(&value).or(self.usage);
    }

    /// Whether nothing of the answer is missing.
    pub(crate) fn complete(&self) -> bool {
        self.done || (!self.choices.is_empty() && self.choices.iter().all(|(_, finished)| *finished))
    }
}

fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The usage that an answer or a chunk reports.
pub(crate) fn counts(value: &Value) -> Option<Counts> {
    let usage = [&value["usage"], &value["x_groq"]["usage"]].into_iter().find(|usage| usage.is_object())?;
    let number = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    let first = |paths: &[&str]| paths.iter().find_map(|path| number(path).filter(|n| *n > 0)).unwrap_or(0);
    let (prompt, completion) = (number("/prompt_tokens"), number("/completion_tokens"));
    prompt.or(completion)?;
    let (prompt, completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
    let cached = first(&[
        "/prompt_tokens_details/cached_tokens",
        "/prompt_cache_hit_tokens",
        "/cached_tokens",
        "/num_cached_tokens",
        "/cache_read_input_tokens",
    ]);
    // A cache larger than the prompt cannot be a part of it.
    let input = if cached > prompt { prompt + cached } else { prompt };
    // A total larger than its parts holds reasoning that the completion does not.
    let beyond = number("/total_tokens").unwrap_or(0).saturating_sub(prompt + completion);
    let named = first(&["/completion_tokens_details/reasoning_tokens", "/reasoning_tokens"]);
    let reasoning = if beyond > 0 && named != beyond { named + beyond } else { named };
    // Reasoning larger than the completion cannot be a part of it either.
    let output = if beyond == 0 && named > completion { completion + named } else { completion + beyond };
    Some(Counts { input, output, cached, reasoning })
}

#[test]
fn a_stream_is_read_event_by_event() {
    let stream = b": hi\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]";
    let scene = Scene::read(stream);
    assert_eq!(scene.events.iter().map(|event| event.ended).collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!(scene.events[0].data, None);
    assert_eq!((scene.events[0].end, scene.events[3].end), (8, stream.len()));
    let mut facts = Facts::default();
    facts.add(scene.events[1].data.as_deref());
    assert!(!facts.content && !facts.complete());
    facts.add(scene.events[2].data.as_deref());
    assert!(facts.content && facts.complete() && !facts.done);
    assert!(scene.facts().done);
}
