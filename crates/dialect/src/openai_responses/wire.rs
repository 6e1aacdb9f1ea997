//! What the dialect looks like on the wire, as far as several of its parts read or write it.

use std::borrow::Cow;

use lockgate_core::Usage;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// No count of a report is larger: beyond it JSON readers disagree about numbers.
const MAX_COUNT: u64 = 1 << 53;

/// Text that is borrowed where it has no escapes, also inside of an `Option`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Str<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// What an answer says of its costs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tally {
    usage: Option<WireUsage>,
    tool_usage: Option<ToolUsage>,
}

/// `usage` of an answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
    /// xAI.
    server_side_tool_usage_details: Option<ServerTools>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_calls: Option<u64>,
    x_search_calls: Option<u64>,
}

/// What tools of the provider consumed beside the model.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ToolUsage {
    web_search: Option<Searches>,
    image_gen: Option<Images>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Searches {
    num_requests: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Images {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

/// A source of a text.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Annotation {
    pub(super) r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end_index: Option<u64>,
}

/// A piece of a message or of a thought, in answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OutPart<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) annotations: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
}

/// A member of the list that an answer is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OutItem<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) phase: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) summary: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    /// Text in a function's call, an object in some calls of the provider's own tools.
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) encrypted_content: Option<Str<'a>>,
}

// === impl Tally ===

impl Tally {
    /// The report in disjoint buckets; `None` when it has no counts or one that cannot be.
    pub(super) fn buckets(&self) -> Option<Usage> {
        let mut usage = self.usage.as_ref()?.buckets()?;
        if let Some(tools) = &self.tool_usage {
            if let Some(made) = tools.web_search.as_ref().and_then(|search| search.num_requests) {
                usage.searches = made;
            }
            // Drawn by another model and billed beside the tokens of this one.
            if let Some(images) = &tools.image_gen {
                usage.image_input = usage.image_input.saturating_add(images.input_tokens.unwrap_or(0));
                usage.image_output = usage.image_output.saturating_add(images.output_tokens.unwrap_or(0));
            }
        }
        usage.counts().iter().all(|count| *count <= MAX_COUNT).then_some(usage)
    }
}

// === impl WireUsage ===

impl WireUsage {
    /// Cached, written, audio and image tokens are a part of `input_tokens`, reasoning tokens a part of
    /// `output_tokens`, with two exceptions that the report itself proves: a part larger than its whole stands beside
    /// it, and what `total_tokens` has beyond input and output is reasoning.
    fn buckets(&self) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let (input, output) = (self.input_tokens.unwrap_or(0), self.output_tokens.unwrap_or(0));
        let ins = self.input_tokens_details.clone().unwrap_or_default();
        let outs = self.output_tokens_details.clone().unwrap_or_default();
        let mut fresh = input;
        let cache_read = part_of(input, &mut fresh, ins.cached_tokens);
        let cache_write = part_of(input, &mut fresh, ins.cache_write_tokens);
        let audio_input = part_of(input, &mut fresh, ins.audio_tokens);
        let image_input = part_of(input, &mut fresh, ins.image_tokens);

        let named = outs.reasoning_tokens.unwrap_or(0);
        let beyond = self.total_tokens.unwrap_or(0).saturating_sub(input.saturating_add(output));
        let within = if beyond == 0 || named != beyond { named } else { 0 };
        let mut visible = output;
        let reasoning = part_of(output, &mut visible, Some(within)).saturating_add(beyond);
        let audio_output = part_of(output, &mut visible, outs.audio_tokens);
        let image_output = part_of(output, &mut visible, outs.image_tokens);
        let searches = self.server_side_tool_usage_details.as_ref().map_or(0, |made| {
            made.web_search_calls.unwrap_or(0).saturating_add(made.x_search_calls.unwrap_or(0))
        });
        Some(Usage {
            input: fresh,
            cache_read,
            cache_write,
            audio_input,
            image_input,
            output: visible,
            reasoning,
            audio_output,
            image_output,
            searches,
            ..Usage::default()
        })
    }
}

/// Takes a part out of what is left of its whole, and returns what it took; a part larger than its whole is not in it.
fn part_of(whole: u64, left: &mut u64, part: Option<u64>) -> u64 {
    let part = part.unwrap_or(0);
    if part > whole {
        return part;
    }
    let own = part.min(*left);
    *left -= own;
    own
}

/// Usage as clients of the dialect expect it: totals that include their parts.
pub(super) fn write_usage(out: &mut Vec<u8>, usage: &Usage) {
    let (input, output) = (usage.input_total(), usage.output_total());
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    put(
        out,
        &[
            ("{\"input_tokens\":", input),
            (",\"input_tokens_details\":{\"cached_tokens\":", usage.cache_read),
            (",\"cache_write_tokens\":", written),
            ("},\"output_tokens\":", output),
            (",\"output_tokens_details\":{\"reasoning_tokens\":", usage.reasoning),
            ("},\"total_tokens\":", input.saturating_add(output)),
        ],
    );
    out.push(b'}');
}

fn put(out: &mut Vec<u8>, pieces: &[(&str, u64)]) {
    for (text, number) in pieces {
        out.extend_from_slice(text.as_bytes());
        push_number(out, *number);
    }
}

/// Writes a number in decimal.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0_u8; 20];
    let mut rest = number;
    let mut count = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - count..).unwrap_or_default());
}

/// Writes JSON text.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    // Into memory, so this cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Writes anything that is JSON.
pub(super) fn push_json(out: &mut Vec<u8>, value: &impl Serialize) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(json: &str) -> Option<Usage> {
        serde_json::from_str::<Tally>(json).unwrap().buckets()
    }

    #[test]
    fn parts_are_taken_out_of_their_whole() {
        let usage = buckets(
            r#"{"usage":{"input_tokens":100,"output_tokens":50,"total_tokens":150,
                "input_tokens_details":{"cached_tokens":64,"cache_write_tokens":10},
                "output_tokens_details":{"reasoning_tokens":30}},
                "tool_usage":{"web_search":{"num_requests":2}}}"#,
        )
        .unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.cache_write), (26, 64, 10));
        assert_eq!((usage.output, usage.reasoning, usage.searches), (20, 30, 2));
    }

    #[test]
    fn what_the_total_has_beyond_its_parts_is_reasoning() {
        let usage = buckets(
            r#"{"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":22,"output_tokens_details":{"reasoning_tokens":7}}}"#,
        )
        .unwrap();
        assert_eq!((usage.output, usage.reasoning), (5, 7));
    }

    #[test]
    fn a_report_that_cannot_be_is_none() {
        assert_eq!(buckets(r#"{"usage":{"input_tokens":9007199254740993,"output_tokens":1}}"#), None);
        assert_eq!(buckets(r#"{"usage":{}}"#), None);
        assert_eq!(buckets(r#"{"usage":null}"#), None);
    }

    #[test]
    fn written_usage_is_read_back() {
        let usage =
            Usage { input: 5, cache_read: 3, cache_write: 2, output: 7, reasoning: 11, ..Usage::default() };
        let mut out = b"{\"usage\":".to_vec();
        write_usage(&mut out, &usage);
        out.push(b'}');
        assert_eq!(buckets(std::str::from_utf8(&out).unwrap()), Some(usage));
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 4_096, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
