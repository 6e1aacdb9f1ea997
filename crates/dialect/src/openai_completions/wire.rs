//! What the dialect looks like on the wire, as far as it is not that of chat.

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use crate::neutral::{Alternative, Logprob};
use crate::openai_chat::json::{Object, quote, show};
use crate::openai_chat::members::{Members, Str};

/// A choice of an answer, whole or a piece.
#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    pub(super) index: Option<u64>,
    #[serde(borrow)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
}

/// Tokens in lists beside each other.
#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    tokens: Vec<String>,
    #[serde(default)]
    token_logprobs: Vec<Option<Number>>,
    #[serde(default)]
    top_logprobs: Option<Vec<Option<Box<RawValue>>>>,
}

/// The tokens of a text; what is not of their form is none. The first token of an echoed prompt has no probability, and
/// is passed over.
pub(super) fn read_logprobs(raw: &RawValue) -> Vec<Logprob> {
    let Ok(wire) = serde_json::from_str::<Tokens>(raw.get()) else { return Vec::new() };
    let tops = wire.top_logprobs.unwrap_or_default();
    let tops = tops.iter().map(Option::as_deref).chain(std::iter::repeat(None));
    wire.tokens
        .into_iter()
        .zip(wire.token_logprobs)
        .zip(tops)
        .filter_map(|((token, logprob), top)| {
            Some(Logprob { token, logprob: logprob?, bytes: None, top_logprobs: alternatives(top) })
        })
        .collect()
}

fn alternatives(raw: Option<&RawValue>) -> Vec<Alternative> {
    let members: Members<'_> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    members
        .all()
        .filter_map(|(token, raw)| {
            let logprob = serde_json::from_str(raw.get()).ok()?;
            Some(Alternative { token: token.to_owned(), logprob, bytes: None })
        })
        .collect()
}

/// Writes tokens; `offset` is the place of the first in the text, in characters, and is moved behind the last.
pub(super) fn write_logprobs(out: &mut Vec<u8>, tokens: &[Logprob], offset: &mut u64) {
    let mut object = Object::open(out);
    object.list("tokens", tokens, |out, token| quote(out, &token.token));
    object.list("token_logprobs", tokens, |out, token| show(out, &token.logprob));
    object.list("top_logprobs", tokens, |out, token| {
        let mut tops = Object::open(out);
        for other in &token.top_logprobs {
            tops.show(&other.token, &other.logprob);
        }
        tops.close();
    });
    object.list("text_offset", tokens, |out, token| {
        show(out, *offset);
        *offset += token.token.chars().count() as u64;
    });
    object.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_out_as_they_came_in() {
        let json = r#"{"tokens":["a","bc"],"token_logprobs":[-0.5,-1.25],"top_logprobs":[{"a":-0.5},{}],"text_offset":[3,4]}"#;
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let (mut out, mut offset) = (Vec::new(), 3);
        write_logprobs(&mut out, &read_logprobs(raw), &mut offset);
        assert_eq!((std::str::from_utf8(&out).unwrap(), offset), (json, 6));
    }
}
