//! What is read from a body beside its model: how long it is, what it needs. The same for all dialects, as they call the
//! same things by few names. Members at the top are looked up; what stands deeper is searched for as it is written, which
//! can find a word where it is only quoted: then a target is left out that could have answered, and never the other way.

use lockgate_core::Payload;

use crate::affinity::contains;
use crate::view::{Abilities, Ability};

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Estimated input tokens.
    pub(crate) input_tokens: u64,
    /// The most output tokens that are asked for.
    pub(crate) output_ceiling: Option<u64>,
    /// What a model must be able to do.
    pub(crate) needs: Abilities,
    /// Whether the last that was said is a tool's result.
    pub(crate) mid_turn: bool,
    /// The provider that a signed block of reasoning belongs to.
    pub(crate) bound_to: Option<Box<str>>,
}

/// Bytes of text that make a token, on the average of English prose and code.
const BYTES_PER_TOKEN: u64 = 4;

/// Members that hold the dialogue, and those that limit the answer.
const SAID: [&str; 3] = ["messages", "contents", "input"];
const CEILINGS: [&str; 3] = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
/// Members that ask for reasoning.
const REASONING: [&str; 3] = ["reasoning", "reasoning_effort", "thinking"];

/// How content other than text is written: OpenAI chat, OpenAI responses, Anthropic, Gemini, Bedrock.
const KINDS: [(Ability, &[&[u8]]); 4] = [
    (
        Ability::Images,
        &[b"\"image_url\"", b"\"input_image\"", b"\"type\":\"image\"", b"\"type\": \"image\"", b"\"image/"],
    ),
    (Ability::Audio, &[b"\"input_audio\"", b"\"audio/"]),
    (Ability::Video, &[b"\"video_url\"", b"\"video/"]),
    (
        Ability::Files,
        &[
            b"\"input_file\"",
            b"\"type\":\"document\"",
            b"\"type\": \"document\"",
            b"\"type\":\"file\"",
            b"\"type\": \"file\"",
            b"\"application/pdf\"",
            b"data:application/pdf",
        ],
    ),
];

/// How a tool's result is written as the last of a dialogue.
const RESULTS: [&[u8]; 6] = [
    b"\"role\":\"tool\"",
    b"\"role\": \"tool\"",
    b"\"tool_result\"",
    b"\"function_call_output\"",
    b"\"functionResponse\"",
    b"\"toolResult\"",
];
/// The bytes at the end of a dialogue in which its last message begins, or the start of it is cut off.
const TAIL: usize = 4 << 10;

pub(crate) fn read(payload: &Payload, prompt_bytes: u64) -> Reading {
    let said = SAID.iter().find_map(|name| payload.get(name)).unwrap_or_default();
    let tools =
        payload.get("tools").or_else(|| payload.get("functions")).or_else(|| payload.get("toolConfig"));
    let tools = tools.filter(|list| !matches!(list.trim_ascii(), b"[]" | b"null" | b"{}"));
    let mut needs = Abilities::default();
    if tools.is_some() {
        needs = needs.with(Ability::Tools);
    }
    if wants_schema(payload) {
        needs = needs.with(Ability::Schema);
    }
    let reasons = |name: &&str| {
        payload.get(name).is_some_and(|value| {
            !contains(value, b"\"none\"")
                && !contains(value, b"\"disabled\"")
                && value.trim_ascii() != b"null"
        })
    };
    if REASONING.iter().any(reasons) {
        needs = needs.with(Ability::Reasoning);
    }
    for (ability, marks) in KINDS {
        if marks.iter().any(|mark| contains(said, mark)) {
            needs = needs.with(ability);
        }
    }
    let own = |value: &[u8]| value.len() as u64;
    let bytes = prompt_bytes.saturating_add(tools.map_or(0, own));
    Reading {
        // An image written out in base64 is no text; the length of one is that of a few hundred words.
        input_tokens: bytes.saturating_sub(attached(said)).div_ceil(BYTES_PER_TOKEN),
        output_ceiling: ceiling(payload),
        needs,
        mid_turn: tools.is_some() && ends_in_result(said),
        bound_to: owner(said),
    }
}

fn wants_schema(payload: &Payload) -> bool {
    let of = |name: &str, mark: &[u8]| payload.get(name).is_some_and(|value| contains(value, mark));
    of("response_format", b"json_schema")
        || of("text", b"json_schema")
        || of("output_config", b"json_schema")
        || of("output_format", b"json_schema")
        || of("generationConfig", b"Schema")
}

fn ceiling(payload: &Payload) -> Option<u64> {
    let number = |value: &[u8]| std::str::from_utf8(value).ok()?.trim().parse::<u64>().ok();
    let plain = CEILINGS.iter().find_map(|name| payload.get(name).and_then(number));
    plain.or_else(|| {
        let nested = payload.get("generationConfig").or_else(|| payload.get("inferenceConfig"))?;
        let settings: serde_json::Value = serde_json::from_slice(nested).ok()?;
        settings.get("maxOutputTokens").or_else(|| settings.get("maxTokens"))?.as_u64()
    })
}

/// Bytes of base64: runs of more than this many bytes without a break.
fn attached(said: &[u8]) -> u64 {
    const LONGEST_WORD: usize = 2_048;
    if said.len() < LONGEST_WORD {
        return 0;
    }
    let runs = said.split(|byte| matches!(byte, b'"' | b' ' | b'\\'));
    runs.map(<[u8]>::len).filter(|run| *run > LONGEST_WORD).map(|run| run as u64).sum()
}

fn ends_in_result(said: &[u8]) -> bool {
    let tail = &said[said.len().saturating_sub(TAIL)..];
    let last = |mark: &&[u8]| memchr::memmem::rfind(tail, mark);
    let Some(result) = RESULTS.iter().filter_map(last).max() else { return false };
    // What the person or the model said behind it ends the turn.
    let texts: [&[u8]; 5] = [
        b"\"role\":\"user\"",
        b"\"role\": \"user\"",
        b"\"role\":\"assistant\"",
        b"\"role\":\"model\"",
        b"\"role\": \"assistant\"",
    ];
    let spoken = texts.iter().filter_map(last).max();
    // In Anthropic's and Gemini's form a result stands inside a message of the user.
    spoken.is_none_or(|spoken| spoken < result)
}

/// A state of reasoning that the gateway wrapped says whose it is: base64 of `lg1`, a zero, the name of the
/// provider and a zero (`dialect/src/seal.rs`).
fn owner(said: &[u8]) -> Option<Box<str>> {
    const MARK: &[u8] = b"\"bGcxA";
    let at = memchr::memmem::rfind(said, MARK)? + 1;
    let head = said.get(at..(at + 120).min(said.len()))?;
    let end = head
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'/'))
        .unwrap_or(head.len());
    let bytes = base64(head.get(..end)?);
    seal_owner(&bytes)
}

/// The name of the provider in the beginning of a wrapped state.
fn seal_owner(bytes: &[u8]) -> Option<Box<str>> {
    let rest = bytes.strip_prefix(b"lg1\0")?;
    let name = rest.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty()).map(Into::into)
}

/// The bytes of base64 without its end.
fn base64(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for four in text.as_chunks::<4>().0 {
        let bits = four.iter().fold(0_u32, |bits, byte| bits << 6 | u32::from(digit(byte)));
        bytes.extend(&bits.to_be_bytes()[1..]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Reading {
        read(&Payload::parse(body.to_owned().into()).unwrap(), body.len() as u64)
    }

    fn needs(body: &str) -> Vec<&'static str> {
        of(body).needs.names().collect()
    }

    #[test]
    fn needs_are_read_in_every_dialect() {
        let chat = r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}],
            "tools":[{"type":"function"}],"response_format":{"type":"json_schema"}}"#;
        assert_eq!(needs(chat), ["tools", "structured_output", "vision"]);
        let messages = r#"{"messages":[{"role":"user","content":[{"type":"document","source":{}}]}],"thinking":{"type":"enabled"}}"#;
        assert_eq!(needs(messages), ["pdf", "reasoning"]);
        let gemini = r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"audio/wav","data":""}}]}],
            "generationConfig":{"responseSchema":{},"maxOutputTokens":77}}"#;
        assert_eq!(needs(gemini), ["structured_output", "audio_input"]);
        assert_eq!(of(gemini).output_ceiling, Some(77));
        assert_eq!(
            needs(
                r#"{"messages":[],"tools":[],"thinking":{"type":"disabled"},"response_format":{"type":"text"}}"#
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_turn_goes_on_behind_a_tool_result() {
        let chat = |rest: &str| {
            format!(
                r#"{{"tools":[1],"messages":[{{"role":"user","content":"x"}},{{"role":"tool","content":"y"}}{rest}]}}"#
            )
        };
        assert!(of(&chat("")).mid_turn);
        assert!(!of(&chat(r#",{"role":"assistant","content":"z"},{"role":"user","content":"w"}"#)).mid_turn);
        assert!(
            of(r#"{"tools":[1],"messages":[{"role":"user","content":[{"type":"tool_result"}]}]}"#).mid_turn
        );
        assert!(!of(r#"{"messages":[{"role":"user","content":"x"}]}"#).mid_turn);
    }

    #[test]
    fn an_attachment_is_not_counted_as_text() {
        let image = "A".repeat(400_000);
        let body = format!(r#"{{"messages":[{{"role":"user","content":"look {image}"}}]}}"#);
        assert!(of(&body).input_tokens < 100);
        let prose = "some words ".repeat(40_000);
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{prose}"}}]}}"#);
        assert!(of(&body).input_tokens > 100_000);
    }

    #[test]
    fn a_wrapped_state_says_whose_it_is() {
        // "lg1\0anthropic\0anthropic.messages\0signature\0EqQB" in base64.
        let state = "bGcxAGFudGhyb3BpYwBhbnRocm9waWMubWVzc2FnZXMAc2lnbmF0dXJlAEVxUUI=";
        let body = format!(r#"{{"messages":[{{"role":"assistant","signature":"{state}"}}]}}"#);
        assert_eq!(of(&body).bound_to.as_deref(), Some("anthropic"));
        assert_eq!(of(r#"{"messages":[{"signature":"bGcxAAAA"},{"signature":"bGcxA"}]}"#).bound_to, None);
        assert_eq!(of(r#"{"messages":[{"signature":"EqQB"}]}"#).bound_to, None);
    }

    proptest::proptest! {
        #[test]
        fn any_dialogue_is_read(text: Vec<u8>) {
            let _ = (attached(&text), ends_in_result(&text), owner(&text));
        }
    }
}
