//! How long an answer may be: where each dialect says it, and the same request with a lower limit.

use bytes::Bytes;
use lockgate_core::Payload;

use crate::Turn;

/// Where a dialect has the limit of an answer.
#[derive(Debug)]
pub struct Ceiling {
    /// The member that holds the names below; `None`: they stand at the top. Its spellings, the usual one first.
    within: Option<&'static [&'static str]>,
    /// Names of the limit, the usual one first.
    limit: &'static [&'static str],
    /// Names of the number of answers.
    answers: &'static [&'static str],
    /// The object and its member that say how much of the limit is for thinking: the limit must be above it.
    thinking: Option<(&'static str, &'static str)>,
}

/// What a request says of the length of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The most output tokens of one answer; `None`: as many as the model allows.
    pub tokens: Option<u64>,
    /// How many answers are wanted, at least one.
    pub answers: u64,
    /// A lower limit than this would be refused.
    pub least: u64,
}

/// OpenAI chat. `max_tokens` is the older name; providers that know only that have a rename in their profile.
pub(crate) static CHAT: Ceiling = Ceiling {
    within: None,
    limit: &["max_completion_tokens", "max_tokens"],
    answers: &["n"],
    thinking: None,
};
pub(crate) static COMPLETIONS: Ceiling =
    Ceiling { within: None, limit: &["max_tokens"], answers: &["n", "best_of"], thinking: None };
pub(crate) static RESPONSES: Ceiling =
    Ceiling { within: None, limit: &["max_output_tokens"], answers: &[], thinking: None };
pub(crate) static ANTHROPIC: Ceiling = Ceiling {
    within: None,
    limit: &["max_tokens"],
    answers: &[],
    thinking: Some(("thinking", "budget_tokens")),
};
pub(crate) static GEMINI: Ceiling = Ceiling {
    within: Some(&["generationConfig", "generation_config"]),
    limit: &["maxOutputTokens", "max_output_tokens"],
    answers: &["candidateCount", "candidate_count"],
    thinking: None,
};
pub(crate) static CONVERSE: Ceiling =
    Ceiling { within: Some(&["inferenceConfig"]), limit: &["maxTokens"], answers: &[], thinking: None };
pub(crate) static COHERE: Ceiling =
    Ceiling { within: None, limit: &["max_tokens"], answers: &[], thinking: None };

// === impl Ceiling ===

impl Ceiling {
    /// What a request says.
    pub fn read(&self, payload: &Payload) -> Said {
        let inner = self.inner(payload).map(|(_, inner)| inner);
        let place = if self.within.is_some() { inner.as_ref() } else { Some(payload) };
        let largest = |names: &[&str]| names.iter().filter_map(|name| place?.number(name)).max();
        let thinking = self.thinking.and_then(|(object, member)| nested(payload, object)?.number(member));
        Said {
            tokens: largest(self.limit),
            answers: largest(self.answers).unwrap_or(1).max(1),
            least: thinking.map_or(1, |budget| budget.saturating_add(1)),
        }
    }

    /// The same request with answers of at most `tokens` tokens; `None` where it cannot be written.
    pub fn lower(&self, turn: &Turn, tokens: u64) -> Option<Turn> {
        let payload = &turn.payload;
        let limited = match self.within {
            None => self.set(payload, tokens)?,
            Some(spellings) => {
                let limit = |inner: &Payload| self.set(inner, tokens);
                match self.inner(payload) {
                    Some((name, inner)) => with(payload, name, limit(&inner)?.bytes().clone())?,
                    None => {
                        let inner = Payload::parse(Bytes::from_static(b"{}")).ok()?;
                        with(payload, spellings.first()?, limit(&inner)?.bytes().clone())?
                    }
                }
            }
        };
        Some(Turn {
            payload: limited,
            model: turn.model.clone(),
            stream: turn.stream,
            usage_asked: turn.usage_asked,
            prompt_bytes: turn.prompt_bytes,
        })
    }

    /// The name by which a person knows the limit.
    pub fn name(&self) -> &'static str {
        self.limit.first().copied().unwrap_or_default()
    }

    /// Sets the limit where it stands, else under its usual name.
    fn set(&self, object: &Payload, tokens: u64) -> Option<Payload> {
        let value = Bytes::from(tokens.to_string());
        let mut splice = object.splice();
        let there = self.limit.iter().filter(|name| object.number(name).is_some());
        let mut any = false;
        for name in there {
            splice = splice.set(name, value.clone());
            any = true;
        }
        if !any {
            splice = splice.set(self.limit.first()?, value);
        }
        Payload::parse(splice.segments().join()).ok()
    }

    fn inner(&self, payload: &Payload) -> Option<(&'static str, Payload)> {
        self.within?.iter().find_map(|name| Some((*name, nested(payload, name)?)))
    }
}

fn nested(payload: &Payload, name: &str) -> Option<Payload> {
    let raw = payload.get(name)?;
    Payload::parse(payload.bytes().slice_ref(raw)).ok()
}

fn with(payload: &Payload, name: &str, value: Bytes) -> Option<Payload> {
    Payload::parse(payload.splice().set(name, value).segments().join()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect as _, Named, openai_chat::OpenAiChat};

    fn said(ceiling: &Ceiling, body: &'static str) -> (Option<u64>, u64, u64) {
        let said = ceiling.read(&Payload::parse(Bytes::from_static(body.as_bytes())).unwrap());
        (said.tokens, said.answers, said.least)
    }

    fn lowered(ceiling: &Ceiling, body: &'static str, tokens: u64) -> String {
        let payload = Payload::parse(Bytes::from_static(body.as_bytes())).unwrap();
        let turn = Turn { payload, model: "m".into(), stream: false, usage_asked: false, prompt_bytes: 0 };
        let lowered = ceiling.lower(&turn, tokens).unwrap();
        String::from_utf8(lowered.payload.bytes().to_vec()).unwrap()
    }

    #[test]
    fn every_dialect_says_it_in_its_own_place() {
        assert_eq!(said(&CHAT, r#"{"max_tokens":9,"n":3}"#), (Some(9), 3, 1));
        assert_eq!(said(&CHAT, r#"{"max_tokens":9,"max_completion_tokens":7}"#), (Some(9), 1, 1));
        assert_eq!(said(&COMPLETIONS, r#"{"best_of":4,"n":2}"#), (None, 4, 1));
        assert_eq!(
            said(&ANTHROPIC, r#"{"max_tokens":9000,"thinking":{"budget_tokens":4000}}"#),
            (Some(9000), 1, 4001)
        );
        let gemini = r#"{"generation_config":{"max_output_tokens":5,"candidate_count":2}}"#;
        assert_eq!(said(&GEMINI, gemini), (Some(5), 2, 1));
        assert_eq!(said(&CONVERSE, r#"{"inferenceConfig":{"maxTokens":5}}"#), (Some(5), 1, 1));
        assert_eq!(said(&RESPONSES, r#"{"max_output_tokens":null}"#), (None, 1, 1));
    }

    #[test]
    fn a_lower_limit_changes_nothing_else() {
        assert_eq!(lowered(&CHAT, r#"{"max_tokens" : 9, "x":1}"#, 4), r#"{"max_tokens" : 4, "x":1}"#);
        assert_eq!(lowered(&CHAT, r#"{"x":1}"#, 4), r#"{"x":1,"max_completion_tokens":4}"#);
        assert_eq!(
            lowered(&CHAT, r#"{"max_tokens":9,"max_completion_tokens":7}"#, 4),
            r#"{"max_tokens":4,"max_completion_tokens":4}"#
        );
        assert_eq!(
            lowered(&GEMINI, r#"{"generation_config":{"topK":1,"max_output_tokens":5}}"#, 4),
            r#"{"generation_config":{"topK":1,"max_output_tokens":4}}"#
        );
        assert_eq!(lowered(&CONVERSE, r#"{"a":1}"#, 4), r#"{"a":1,"inferenceConfig":{"maxTokens":4}}"#);
    }

    #[test]
    fn what_is_lowered_is_read_as_lower_in_every_dialect() {
        for dialect in crate::ALL {
            let body =
                r#"{"model":"m","messages":[],"contents":[],"input":"a","prompt":"a","max_tokens":900}"#;
            let named = Some(Named { model: "m", stream: false });
            let Ok(turn) = dialect.peek(Bytes::from_static(body.as_bytes()), named) else { continue };
            let lowered = dialect.ceiling().lower(&turn, 12).unwrap();
            assert_eq!(dialect.ceiling().read(&lowered.payload).tokens, Some(12), "{}", dialect.name());
        }
        assert_eq!(OpenAiChat.ceiling().name(), "max_completion_tokens");
    }
}
