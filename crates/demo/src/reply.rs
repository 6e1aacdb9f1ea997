//! From a request to what will be said: the personas, and the limits that cut an answer short.

use crate::request::{Ask, Format, Role};
use crate::schema::{self, Material};
use crate::tools::{self, Call};
use crate::words::{self, Dice, Tokens, Topic};

/// Length of the answers of [`Persona::Large`], in tokens.
const LARGE_TOKENS: usize = 2000;

/// The models of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persona {
    /// Short prose about what was asked.
    Chat,
    /// The last message of the user, unchanged.
    Echo,
    /// Like [`Persona::Chat`], with thoughts before the answer.
    Think,
    /// A long answer.
    Large,
}

/// A complete answer, not yet in any wire form.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) choices: Vec<Choice>,
    pub(crate) prompt_tokens: u64,
}

#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) reasoning: Tokens,
    /// `None` when tools are called instead.
    pub(crate) content: Option<Tokens>,
    pub(crate) calls: Vec<Call>,
    /// `stop`, `length` or `tool_calls`.
    pub(crate) finish: &'static str,
}

/// How an answer differs from the usual one, for the sake of a fault.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    /// Hard text in fine pieces: escapes and letters outside ASCII.
    pub(crate) flourish: bool,
    /// Length of the content in bytes, when it is to be huge.
    pub(crate) content_bytes: Option<usize>,
}

impl Persona {
    /// All personas with the names of their models.
    pub(crate) const ALL: [(&'static str, Self); 4] =
        [("chat", Self::Chat), ("echo", Self::Echo), ("think", Self::Think), ("large", Self::Large)];

    pub(crate) fn named(model: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == model).map(|(_, persona)| *persona)
    }
}

impl Choice {
    /// Generated tokens: thoughts, content, and names and arguments of calls.
    pub(crate) fn tokens(&self) -> u64 {
        let calls: u64 =
            self.calls.iter().map(|call| words::count(&call.name) + call.arguments.len() as u64).sum();
        (self.reasoning.len() + self.content.as_ref().map_or(0, Tokens::len)) as u64 + calls
    }
}

impl Reply {
    /// Makes the answer. The same request gives the same text; another `seed` may give another one.
    pub(crate) fn compose(ask: &Ask, persona: Persona, manner: Manner) -> Self {
        let texts = ask.messages.iter().map(|message| message.text.as_str());
        let mut dice = Dice::new(ask.seed, texts);
        let choices = (0..ask.n).map(|_| choice(ask, persona, manner, &mut dice)).collect();
        Self { choices, prompt_tokens: ask.prompt_tokens }
    }

    pub(crate) fn completion_tokens(&self) -> u64 {
        self.choices.iter().map(Choice::tokens).sum()
    }

    pub(crate) fn reasoning_tokens(&self) -> u64 {
        self.choices.iter().map(|choice| choice.reasoning.len() as u64).sum()
    }

    /// Tokens of the longest choice: as the choices are made side by side, it decides how long the answer takes.
    pub(crate) fn longest(&self) -> u64 {
        self.choices.iter().map(Choice::tokens).max().unwrap_or(0)
    }
}

fn choice(ask: &Ask, persona: Persona, manner: Manner, dice: &mut Dice) -> Choice {
    let prompt = ask.last_user_text();
    let topic = Topic {
        prompt,
        turns: ask.messages.iter().filter(|message| message.role == Role::User).count(),
        system: ask.messages.iter().find(|message| message.role == Role::System).map(|m| m.text.as_str()),
    };
    let reasoning = match persona {
        Persona::Think => Tokens::of(words::thoughts(&topic, dice)),
        _ => Tokens::default(),
    };
    let calls: Vec<Call> =
        tools::choose(ask).into_iter().map(|tool| tools::call(tool, prompt, manner.flourish, dice)).collect();
    let mut choice = if calls.is_empty() {
        let text = cut_at_stop(content(ask, persona, manner, &topic, dice), &ask.stop);
        let content = if manner.flourish { Tokens::of_chars(text) } else { Tokens::of(text) };
        Choice { reasoning, content: Some(content), calls, finish: "stop" }
    } else {
        Choice { reasoning, content: None, calls, finish: "tool_calls" }
    };
    if let Some(limit) = ask.max_tokens {
        cut_at_limit(&mut choice, usize::try_from(limit).unwrap_or(usize::MAX));
    }
    choice
}

fn content(ask: &Ask, persona: Persona, manner: Manner, topic: &Topic<'_>, dice: &mut Dice) -> String {
    if let Some(bytes) = manner.content_bytes {
        return "0123456789abcdef".chars().cycle().take(bytes).collect();
    }
    let material = Material { prompt: topic.prompt, optional: true, flourish: manner.flourish };
    let mut text = match (&ask.format, persona) {
        (Format::JsonSchema(schema), _) => return schema::sample(schema, &material, dice),
        (Format::JsonObject, _) => {
            let answer = tools::report(&ask.messages).unwrap_or_else(|| words::prose(topic, dice));
            return serde_json::json!({"answer": answer, "subject": words::subject(topic.prompt)})
                .to_string();
        }
        (Format::Text, Persona::Echo) => topic.prompt.to_owned(),
        (Format::Text, Persona::Large) => words::essay(topic, dice, LARGE_TOKENS),
        (Format::Text, Persona::Chat | Persona::Think) => {
            tools::report(&ask.messages).unwrap_or_else(|| words::prose(topic, dice))
        }
    };
    if manner.flourish {
        text.push_str(" \"Z\u{fc}rich\"\n\u{6771}\u{4eac} \u{1f5fc}\\");
    }
    text
}

/// The text before the first stop sequence in it.
fn cut_at_stop(mut text: String, stops: &[String]) -> String {
    if let Some(end) = stops.iter().filter_map(|stop| text.find(stop.as_str())).min() {
        text.truncate(end);
    }
    text
}

fn cut_at_limit(choice: &mut Choice, limit: usize) {
    if choice.tokens() <= limit as u64 {
        return;
    }
    choice.finish = "length";
    let mut left = limit - choice.reasoning.truncate(limit);
    if let Some(content) = &mut choice.content {
        left -= content.truncate(left);
    }
    choice.calls.retain_mut(|call| {
        let name = words::count(&call.name) as usize;
        if left < name {
            left = 0;
            return false;
        }
        left -= name;
        left -= call.arguments.truncate(left);
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn reply(extra: &Value) -> Reply {
        let mut body =
            json!({"model": "chat", "messages": [{"role": "user", "content": "Tell me about Rust, please"}]});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        let ask = Ask::read(body.to_string().as_bytes()).unwrap();
        let persona = Persona::named(&ask.model).unwrap();
        Reply::compose(&ask, persona, Manner::default())
    }

    fn text(reply: &Reply) -> &str {
        reply.choices[0].content.as_ref().unwrap().text()
    }

    #[test]
    fn the_same_request_gets_the_same_answer() {
        assert_eq!(text(&reply(&json!({}))), text(&reply(&json!({}))));
        assert_eq!(text(&reply(&json!({"seed": 4}))), text(&reply(&json!({"seed": 4}))));
        let texts: Vec<Reply> = (0..9).map(|seed| reply(&json!({"seed": seed}))).collect();
        assert!(texts.iter().any(|other| text(other) != text(&texts[0])));
    }

    #[test]
    fn echo_is_exact() {
        assert_eq!(text(&reply(&json!({"model": "echo"}))), "Tell me about Rust, please");
    }

    #[test]
    fn limits_cut() {
        let short = reply(&json!({"model": "echo", "max_tokens": 3}));
        assert_eq!((text(&short), short.choices[0].finish), ("Tell me about", "length"));
        assert_eq!(short.completion_tokens(), 3);
        let exact = reply(&json!({"model": "echo", "max_tokens": 6}));
        assert_eq!(exact.choices[0].finish, "stop");
        let stopped = reply(&json!({"model": "echo", "stop": ["please", " Rust"]}));
        assert_eq!((text(&stopped), stopped.choices[0].finish), ("Tell me about", "stop"));
        let thinking = reply(&json!({"model": "think", "max_tokens": 2}));
        assert_eq!((thinking.reasoning_tokens(), text(&thinking)), (2, ""));
    }

    #[test]
    fn a_cut_call_ends_by_length() {
        let tools = json!([{"type": "function", "function": {"name": "look", "parameters":
            {"type": "object", "properties": {"query": {"type": "string"}}}}}]);
        let cut = reply(&json!({"tools": tools, "max_tokens": 4}));
        assert_eq!(cut.choices[0].finish, "length");
        assert_eq!(cut.choices[0].calls[0].arguments.len(), 3);
        assert!(reply(&json!({"tools": tools})).choices[0].content.is_none());
    }

    #[test]
    fn structured_answers_parse() {
        let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema":
            {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}});
        let value: Value = serde_json::from_str(text(&reply(&json!({"response_format": format})))).unwrap();
        assert_eq!(value["name"], "Rust");
        let object = reply(&json!({"response_format": {"type": "json_object"}}));
        assert!(serde_json::from_str::<Value>(text(&object)).unwrap().is_object());
    }

    #[test]
    fn long_answers_and_many() {
        assert!(reply(&json!({"model": "large"})).completion_tokens() >= LARGE_TOKENS as u64);
        assert_eq!(reply(&json!({"n": 3})).choices.len(), 3);
    }
}
