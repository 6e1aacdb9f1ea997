//! What the dialect looks like on the wire, as far as several rooms of it read or write it.

use std::borrow::Cow;

use lockgate_core::Usage;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Counts above this are no counts.
const MOST_TOKENS: u64 = 1 << 53;

/// Text that borrows where it has no escapes.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Txt<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// `usage` of an answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireUsage {
    billed_units: Option<Billed>,
    tokens: Option<Tokens>,
    cached_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Billed {
    input_tokens: Option<Number>,
    output_tokens: Option<Number>,
    search_units: Option<Number>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: Option<Number>,
    output_tokens: Option<Number>,
    reasoning_tokens: Option<Number>,
    image_tokens: Option<Number>,
}

/// A count, which the provider's schema allows to be written as a fraction: `12.0`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
struct Number(#[serde(deserialize_with = "count")] u64);

/// The same, written.
#[derive(Debug, Serialize)]
pub(super) struct Counts {
    billed_units: BilledCounts,
    tokens: TokenCounts,
    cached_tokens: u64,
}

#[derive(Debug, Serialize)]
struct BilledCounts {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    search_units: u64,
}

#[derive(Debug, Serialize)]
struct TokenCounts {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    reasoning_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: u64,
}

/// A call of a tool, whole or a piece of one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct ToolCall<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(default, skip_deserializing)]
    pub(super) r#type: &'static str,
    #[serde(borrow, default)]
    pub(super) function: Called<'a>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Called<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) arguments: Option<Cow<'a, str>>,
}

/// A piece of a message as it is written.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Thinking {
        thinking: &'a str,
    },
    ImageUrl {
        image_url: ImageUrl<'a>,
    },
    #[serde(untagged)]
    Raw(&'a RawValue),
}

#[derive(Debug, Serialize)]
pub(super) struct ImageUrl<'a> {
    pub(super) url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<&'a str>,
}

// === impl WireUsage ===

impl WireUsage {
    /// The report in disjoint buckets; `None` when it has no counts, or one that cannot be.
    ///
    /// What is billed counts, for that is what is paid: `tokens` has the provider's own template on top, and its
    /// `cached_tokens` are of those. Only a report that names nothing billed is read by `tokens`. Images are a part of
    /// what is billed and stand beside `tokens.input_tokens`; reasoning is a part of the output.
    pub fn buckets(&self) -> Option<Usage> {
        let tokens = self.tokens.clone().unwrap_or_default();
        let billed = self.billed_units.clone().unwrap_or_default();
        let get = |number: Option<Number>| number.map_or(0, |number| number.0);
        let (images, reasoning) = (get(tokens.image_tokens), get(tokens.reasoning_tokens));
        let mut usage = Usage { searches: get(billed.search_units), ..Usage::default() };
        let output;
        if billed.input_tokens.is_some() || billed.output_tokens.is_some() {
            let input = get(billed.input_tokens);
            usage.image_input = images.min(input);
            usage.input = input - usage.image_input;
            output = get(billed.output_tokens);
        } else if tokens.input_tokens.is_some() || tokens.output_tokens.is_some() {
            let input = get(tokens.input_tokens);
            usage.image_input = images;
            usage.cache_read = self.cached_tokens.unwrap_or(0).min(input);
            usage.input = input - usage.cache_read;
            output = get(tokens.output_tokens);
        } else {
            return None;
        }
        usage.reasoning = reasoning.min(output);
        usage.output = output - usage.reasoning;
        usage.counts().iter().all(|count| *count <= MOST_TOKENS).then_some(usage)
    }
}

impl Counts {
    pub(super) fn of(usage: &Usage) -> Self {
        let input = usage.input_total();
        Self {
            billed_units: BilledCounts {
                input_tokens: input,
                output_tokens: usage.output_total(),
                search_units: usage.searches,
            },
            tokens: TokenCounts {
                input_tokens: input.saturating_sub(usage.image_input),
                output_tokens: usage.output_total(),
                reasoning_tokens: usage.reasoning,
                image_tokens: usage.image_input,
            },
            cached_tokens: usage.cache_read,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A whole number from 0 up, with or without a fraction of zero.
fn count<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let whole = || number.to_string().strip_suffix(".0")?.parse().ok();
    number.as_u64().or_else(whole).ok_or_else(|| serde::de::Error::custom("a count must be a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(json: &str) -> Option<Usage> {
        serde_json::from_str::<WireUsage>(json).ok()?.buckets()
    }

    #[test]
    fn what_is_billed_is_what_counts() {
        let usage = buckets(
            r#"{"billed_units":{"input_tokens":267,"output_tokens":66},
                "tokens":{"input_tokens":34,"output_tokens":70,"reasoning_tokens":16,"image_tokens":259},"cached_tokens":20}"#,
        )
        .unwrap();
        assert_eq!((usage.input, usage.image_input, usage.cache_read), (8, 259, 0));
        assert_eq!((usage.output, usage.reasoning), (50, 16));
    }

    #[test]
    fn tokens_count_where_nothing_is_said_to_be_billed() {
        let usage =
            buckets(r#"{"tokens":{"input_tokens":556,"output_tokens":71.0},"cached_tokens":480}"#).unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.output), (76, 480, 71));
    }

    #[test]
    fn a_report_without_counts_or_with_impossible_ones_is_none() {
        assert_eq!(buckets("{}"), None);
        assert_eq!(buckets(r#"{"tokens":{"input_tokens":9007199254740993}}"#), None);
        assert_eq!(buckets(r#"{"tokens":{"input_tokens":-1}}"#), None);
    }
}
