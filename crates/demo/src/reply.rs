//! From a request to what will be said: the personas, and the limits that cut an answer short.

use crate::request::{Ask, Format, Message, Role};
use crate::schema::{self, Material};
use crate::session::{self, Turn};
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
    /// Leaves out what was said already.
    fn go_on_from(&mut self, begun: &str, manner: Manner) {
        let Some(content) = &mut self.content else { return };
        let whole = content.text();
        // Some who hand a beginning over take the white space off its end.
        let Some(rest) = whole.strip_prefix(begun) else { return };
        let rest = rest.to_owned();
        *content = if manner.flourish { Tokens::of_chars(rest) } else { Tokens::of(rest) };
        self.reasoning = Tokens::default();
    }

    /// Generated tokens: thoughts, content, and names and arguments of calls.
    pub(crate) fn tokens(&self) -> u64 {
        let calls: u64 =
            self.calls.iter().map(|call| words::count(&call.name) + call.arguments.len() as u64).sum();
        (self.reasoning.len() + self.content.as_ref().map_or(0, Tokens::len)) as u64 + calls
    }
}

impl Reply {
    /// Makes the answer. The same request gives the same text; another `seed` may give another one.
    ///
    /// A conversation that ends with the beginning of an answer, or with that and a user who asks to go on with it, is
    /// answered by the rest of what would have been said; where the beginning is another's, by what would be said anew.
    pub(crate) fn compose(ask: &Ask, persona: Persona, manner: Manner) -> Self {
        let begun = begun(&ask.messages);
        let messages = &ask.messages[..begun.map_or(ask.messages.len(), |(at, _)| at)];
        let texts = messages.iter().map(|message| message.text.as_str());
        let mut dice = Dice::new(ask.seed, texts);
        let choices = (0..ask.n).map(|_| {
            let mut choice = choice(ask, messages, persona, manner, &mut dice);
            if let Some((_, begun)) = begun {
                choice.go_on_from(begun, manner);
            }
            if let Some(limit) = ask.max_tokens {
                cut_at_limit(&mut choice, usize::try_from(limit).unwrap_or(usize::MAX));
            }
            choice
        });
        Self { choices: choices.collect(), prompt_tokens: ask.prompt_tokens }
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

/// The beginning of an answer that is to be gone on with, and the place of its message.
fn begun(messages: &[Message]) -> Option<(usize, &str)> {
    let is_wish = |message: &Message| {
        let text = message.text.to_lowercase();
        message.role == Role::User
            && text.contains("cut off")
            && ["go on", "continue"].iter().any(|wish| text.contains(wish))
    };
    let at = match messages {
        [.., last] if last.role == Role::Assistant => messages.len() - 1,
        [.., before, last] if before.role == Role::Assistant && is_wish(last) => messages.len() - 2,
        _ => return None,
    };
    let message = &messages[at];
    (message.calls.is_empty() && !message.text.is_empty()).then_some((at, message.text.as_str()))
}

fn choice(ask: &Ask, messages: &[Message], persona: Persona, manner: Manner, dice: &mut Dice) -> Choice {
    let prompt = messages.iter().rev().find(|m| m.role == Role::User).map_or("", |m| &m.text);
    let topic = Topic {
        prompt,
        turns: messages.iter().filter(|message| message.role == Role::User).count(),
        system: messages.iter().find(|message| message.role == Role::System).map(|m| m.text.as_str()),
    };
    let reasoning = match persona {
        Persona::Think => Tokens::of(words::thoughts(&topic, dice)),
        _ => Tokens::default(),
    };
    let converses = matches!(persona, Persona::Chat | Persona::Think);
    let (calls, said) = match session::next(ask).filter(|_| converses) {
        Some(Turn::Call(call)) => (vec![call], None),
        Some(Turn::Say(text)) => (Vec::new(), Some(text)),
        None => {
            let chosen = tools::choose(ask).into_iter();
            (chosen.map(|tool| tools::call(tool, prompt, manner.flourish, dice)).collect(), None)
        }
    };
    if calls.is_empty() {
        let text = said.unwrap_or_else(|| content(ask, messages, persona, manner, &topic, dice));
        let text = cut_at_stop(text, &ask.stop);
        let content = if manner.flourish { Tokens::of_chars(text) } else { Tokens::of(text) };
        Choice { reasoning, content: Some(content), calls, finish: "stop" }
    } else {
        Choice { reasoning, content: None, calls, finish: "tool_calls" }
    }
}

fn content(
    ask: &Ask,
    messages: &[Message],
    persona: Persona,
    manner: Manner,
    topic: &Topic<'_>,
    dice: &mut Dice,
) -> String {
    if let Some(bytes) = manner.content_bytes {
        return "0123456789abcdef".chars().cycle().take(bytes).collect();
    }
    let material = Material { prompt: topic.prompt, optional: true, flourish: manner.flourish };
    let mut text = match (&ask.format, persona) {
        (Format::JsonSchema(schema), _) => return schema::sample(schema, &material, dice),
        (Format::JsonObject, _) => {
            let answer = tools::report(messages).unwrap_or_else(|| words::prose(topic, dice));
            return serde_json::json!({"answer": answer, "subject": words::subject(topic.prompt)})
                .to_string();
        }
        (Format::Text, Persona::Echo) => topic.prompt.to_owned(),
        (Format::Text, Persona::Large) => words::essay(topic, dice, LARGE_TOKENS),
        (Format::Text, Persona::Chat | Persona::Think) => {
            tools::report(messages).unwrap_or_else(|| words::prose(topic, dice))
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
    fn an_answer_that_was_begun_is_gone_on_with() {
        let whole = text(&reply(&json!({}))).to_owned();
        let asked = json!({"role": "user", "content": "Tell me about Rust, please"});
        for end in [3, 40, 80] {
            let begun: String = whole.chars().take(end).collect();
            let said = json!({"role": "assistant", "content": begun});
            let wish = json!({"role": "user", "content": "Your answer was cut off. Go on where it stops."});
            for messages in [json!([asked, said]), json!([asked, said, wish])] {
                assert_eq!(format!("{begun}{}", text(&reply(&json!({"messages": messages})))), whole);
            }
        }
        let other = json!([asked, {"role": "assistant", "content": "Something else"}]);
        assert_eq!(text(&reply(&json!({"messages": other}))), whole, "not its own words: it begins anew");
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
