//! What the dialect looks like on the wire, as far as the gateway reads it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use lockgate_core::Usage;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{Object, Str, camel};
use super::model;
use crate::tier;

/// A larger count is not a count: the report that has one is as good as none.
const MOST_TOKENS: u64 = 1 << 53;

/// An answer, or a chunk of one.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    pub(super) usage_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow)]
    pub(super) response_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) model_version: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) create_time: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// One of the answers.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    pub(super) index: Option<u64>,
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Word<'a>>,
    #[serde(borrow)]
    pub(super) grounding_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) citation_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) url_context_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) logprobs_result: Option<&'a RawValue>,
}

/// What is said.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub(super) parts: Option<Vec<Part<'a>>>,
}

/// Why a prompt was not answered.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Feedback<'a> {
    #[serde(borrow)]
    pub(super) block_reason: Option<Word<'a>>,
}

/// The value of an enum: its name, or its number where the client asked for numbers.
#[derive(Clone, Debug)]
pub(super) enum Word<'a> {
    Name(Cow<'a, str>),
    Number(u64),
}

/// A piece of a message. Members that are `null` are not there.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    pub(super) text: Option<Str<'a>>,
    pub(super) thought: bool,
    pub(super) signature: Option<Str<'a>>,
    pub(super) call: Option<FunctionCall<'a>>,
    pub(super) outcome: Option<FunctionResponse<'a>>,
    pub(super) inline: Option<Blob<'a>>,
    pub(super) file: Option<FileData<'a>>,
    /// All else, by the names that it has.
    pub(super) others: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// A call of a function.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct FunctionCall<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
    #[serde(borrow, alias = "partial_args")]
    pub(super) partial_args: Option<Vec<PartialArg<'a>>>,
    #[serde(alias = "will_continue")]
    pub(super) will_continue: Option<bool>,
}

/// A piece of a call's arguments.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PartialArg<'a> {
    #[serde(borrow)]
    pub(super) json_path: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) string_value: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) number_value: Option<&'a RawValue>,
    pub(super) bool_value: Option<bool>,
}

/// What a call came to.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct FunctionResponse<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) parts: Option<Vec<Part<'a>>>,
}

/// Bytes in base64.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    #[serde(borrow, alias = "mime_type")]
    pub(super) mime_type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Str<'a>>,
    #[serde(borrow, alias = "display_name")]
    pub(super) display_name: Option<Str<'a>>,
}

/// Bytes elsewhere.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct FileData<'a> {
    #[serde(borrow, alias = "mime_type")]
    pub(super) mime_type: Option<Str<'a>>,
    #[serde(borrow, alias = "file_uri")]
    pub(super) file_uri: Option<Str<'a>>,
    #[serde(borrow, alias = "display_name")]
    pub(super) display_name: Option<Str<'a>>,
}

/// `usageMetadata`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WireUsage<'a> {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    total_token_count: Option<u64>,
    #[serde(borrow)]
    prompt_tokens_details: Option<Vec<Share<'a>>>,
    #[serde(borrow)]
    cache_tokens_details: Option<Vec<Share<'a>>>,
    #[serde(borrow)]
    candidates_tokens_details: Option<Vec<Share<'a>>>,
    #[serde(borrow)]
    tool_use_prompt_tokens_details: Option<Vec<Share<'a>>>,
    /// The tier that served the request.
    #[serde(borrow)]
    pub(super) service_tier: Option<Str<'a>>,
}

/// The tokens of one modality.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Share<'a> {
    #[serde(borrow)]
    modality: Option<Word<'a>>,
    token_count: Option<u64>,
}

// === impl Word ===

impl Word<'_> {
    /// The name of a reason to finish. Its number where it means the same everywhere; `None` where it means nothing.
    pub(super) fn reason(&self) -> Option<Cow<'_, str>> {
        let name = match self {
            Self::Name(name) => name,
            Self::Number(1) => "STOP",
            Self::Number(2) => "MAX_TOKENS",
            Self::Number(3) => "SAFETY",
            Self::Number(4) => "RECITATION",
            Self::Number(0) => "",
            Self::Number(other) => return Some(Cow::Owned(other.to_string())),
        };
        (!name.is_empty() && !name.ends_with("_UNSPECIFIED")).then_some(Cow::Borrowed(name))
    }

    fn is(&self, name: &str, number: u64) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Number(own) => *own == number,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = Word<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a number")
            }

            fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Word::Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Word::Name(Cow::Owned(name.to_owned())))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Word::Number(number))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

// === impl Part ===

impl<'a> Part<'a> {
    /// Whether there is anything in it.
    pub(super) fn says_something(&self) -> bool {
        self.text.as_ref().is_some_and(|Str(text)| !text.is_empty())
            || self.call.is_some()
            || self.outcome.is_some()
            || self.inline.is_some()
            || self.file.is_some()
            || !self.others.is_empty()
    }

    /// A part of a kind that only this dialect has: the member that it is about, and the whole of it.
    pub(super) fn native(&self) -> Option<(&str, Box<RawValue>)> {
        let (kind, _) = self.others.iter().find(|(name, _)| !ASIDES.contains(&&**name))?;
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        for (name, value) in &self.others {
            object.any_key(name).extend_from_slice(value.get().as_bytes());
        }
        if self.thought {
            object.raw("thought", "true");
        }
        if let Some(Str(signature)) = &self.signature {
            object.text("thoughtSignature", signature);
        }
        object.end();
        Some((kind, super::json::raw(out)))
    }

    /// What stands beside the content and is said of it: frames of a film, resolution.
    pub(super) fn asides(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.others.iter().filter(|(name, _)| ASIDES.contains(&&**name)).map(|(name, raw)| (&**name, *raw))
    }
}

/// Members that say something of a part's content.
const ASIDES: [&str; 3] = ["videoMetadata", "mediaResolution", "partMetadata"];

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Part<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a part")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut part = Part::default();
                while let Some(Str(name)) = map.next_key::<Str<'de>>()? {
                    match &*name {
                        "text" => put(&mut part.text, map.next_value()?, "text")?,
                        "thought" => part.thought = map.next_value::<Option<bool>>()?.unwrap_or(false),
                        "thoughtSignature" | "thought_signature" => {
                            put(&mut part.signature, map.next_value()?, "thoughtSignature")?;
                        }
                        "functionCall" | "function_call" => {
                            put(&mut part.call, map.next_value()?, "functionCall")?;
                        }
                        "functionResponse" | "function_response" => {
                            put(&mut part.outcome, map.next_value()?, "functionResponse")?;
                        }
                        "inlineData" | "inline_data" => {
                            put(&mut part.inline, map.next_value()?, "inlineData")?;
                        }
                        "fileData" | "file_data" => put(&mut part.file, map.next_value()?, "fileData")?,
                        _ => {
                            let value = map.next_value::<&RawValue>()?;
                            let name = match camel(&name) {
                                Cow::Borrowed(_) => name,
                                Cow::Owned(name) => Cow::Owned(name),
                            };
                            // No part has many: a longer list is no part.
                            if part.others.len() >= 16 || part.others.iter().any(|(known, _)| *known == name)
                            {
                                return Err(de::Error::custom(format_args!("{name:?} is one too many")));
                            }
                            if value.get() != "null" {
                                part.others.push((name, value));
                            }
                        }
                    }
                }
                Ok(part)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn put<T, E: de::Error>(place: &mut Option<T>, value: Option<T>, name: &str) -> Result<(), E> {
    if place.is_some() && value.is_some() {
        return Err(E::custom(format_args!("the member {name:?} stands twice")));
    }
    if value.is_some() {
        *place = value;
    }
    Ok(())
}

// === impl WireUsage ===

impl WireUsage<'_> {
    /// The report in disjoint buckets; `None` when it has no counts, or one that cannot be.
    ///
    /// Cached tokens are a part of the prompt's; thoughts, and what server-side tools put into the prompt, stand beside.
    /// What the total has beyond all of them is thoughts: older models did not name them.
    pub(super) fn buckets(&self) -> Option<Usage> {
        let counts = [
            self.prompt_token_count,
            self.candidates_token_count,
            self.thoughts_token_count,
            self.cached_content_token_count,
            self.tool_use_prompt_token_count,
        ];
        let [prompt, answer, thoughts, cached, tools] = counts.map(|count| count.unwrap_or(0));
        let all = counts.iter().flatten().chain(&self.total_token_count);
        if counts.iter().all(Option::is_none) || all.clone().any(|count| *count > MOST_TOKENS) {
            return None;
        }
        let sum = prompt.saturating_add(answer).saturating_add(thoughts).saturating_add(tools);
        let beyond = self.total_token_count.unwrap_or(0).saturating_sub(sum);

        // Explicitly cached content is a part of the prompt too. A part larger than its whole stands beside it.
        let mut input = if cached > prompt { prompt } else { prompt - cached }.saturating_add(tools);
        let own = |name, number| {
            let fresh = share(&self.prompt_tokens_details, name, number).saturating_sub(share(
                &self.cache_tokens_details,
                name,
                number,
            ));
            fresh.saturating_add(share(&self.tool_use_prompt_tokens_details, name, number))
        };
        let audio_input = take(&mut input, own("AUDIO", 4));
        let image_input = take(&mut input, own("IMAGE", 2));
        let mut output = answer;
        let audio_output = take(&mut output, share(&self.candidates_tokens_details, "AUDIO", 4));
        let image_output = take(&mut output, share(&self.candidates_tokens_details, "IMAGE", 2));
        Some(Usage {
            input,
            cache_read: cached,
            audio_input,
            image_input,
            output,
            reasoning: thoughts.saturating_add(beyond),
            audio_output,
            image_output,
            ..Usage::default()
        })
    }
}

fn share(shares: &Option<Vec<Share<'_>>>, name: &str, number: u64) -> u64 {
    let own = shares
        .iter()
        .flatten()
        .filter(|share| share.modality.as_ref().is_some_and(|modality| modality.is(name, number)));
    own.filter_map(|share| share.token_count).fold(0, u64::saturating_add)
}

/// Takes a part out of what is left of its whole, as far as it goes.
fn take(left: &mut u64, part: u64) -> u64 {
    let part = part.min(*left);
    *left -= part;
    part
}

/// Reads a report; `None` when it is none.
pub(super) fn usage(raw: &str) -> Option<Usage> {
    serde_json::from_str::<WireUsage<'_>>(raw).ok()?.buckets()
}

/// The searches of a grounded answer that are paid one by one: Gemini 3 charges each query that is not empty
/// and not the same as another, older models the prompt that led to any.
pub(super) fn searches(grounding: &str, model: &str) -> u64 {
    #[derive(Default, serde::Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Grounding<'a> {
        #[serde(borrow)]
        web_search_queries: Option<Vec<Str<'a>>>,
    }
    let grounding: Grounding<'_> = serde_json::from_str(grounding).unwrap_or_default();
    let queries = grounding.web_search_queries.unwrap_or_default();
    let queries: HashSet<&str> = queries.iter().map(|Str(query)| &**query).collect();
    let queries = queries.into_iter().filter(|query| !query.is_empty()).count() as u64;
    match model::generation(model) {
        Some((major, _)) if major < 3 => queries.min(1),
        _ => queries,
    }
}

/// `usageMetadata` of these buckets, in the totals that the dialect's clients expect.
pub(super) fn write_usage(out: &mut Vec<u8>, usage: &Usage, tier: Option<&str>) {
    let sum = |parts: &[u64]| parts.iter().fold(0, |sum: u64, part| sum.saturating_add(*part));
    let prompt = usage.input_total();
    let answer = sum(&[usage.output, usage.audio_output, usage.image_output]);
    let mut object = Object::new(out);
    object.show("promptTokenCount", prompt);
    object.show("candidatesTokenCount", answer);
    object.show("totalTokenCount", sum(&[prompt, answer, usage.reasoning]));
    if usage.cache_read > 0 {
        object.show("cachedContentTokenCount", usage.cache_read);
    }
    if usage.reasoning > 0 {
        object.show("thoughtsTokenCount", usage.reasoning);
    }
    let mut shares = |name: &str, all: u64, audio: u64, image: u64| {
        if audio == 0 && image == 0 {
            return;
        }
        let mut array = super::json::Array::new(object.key(name));
        let text = all.saturating_sub(audio).saturating_sub(image);
        for (modality, count) in [("TEXT", text), ("AUDIO", audio), ("IMAGE", image)] {
            if count > 0 {
                let mut share = Object::new(array.item());
                share.text("modality", modality);
                share.show("tokenCount", count);
                share.end();
            }
        }
        array.end();
    };
    shares("promptTokensDetails", prompt, usage.audio_input, usage.image_input);
    shares("candidatesTokensDetails", answer, usage.audio_output, usage.image_output);
    if let Some(tier) = tier.and_then(tier::gemini) {
        object.text("serviceTier", tier);
    }
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_out_of_their_whole_and_the_rest_stands_beside() {
        let usage = usage(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":50,"thoughtsTokenCount":30,
                "toolUsePromptTokenCount":7,"totalTokenCount":187,
                "promptTokensDetails":[{"modality":"TEXT","tokenCount":70},{"modality":"AUDIO","tokenCount":20},{"modality":2,"tokenCount":10}],
                "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":15}],
                "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":40}]}"#,
        )
        .unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.audio_input, usage.image_input), (32, 60, 5, 10));
        assert_eq!((usage.output, usage.reasoning, usage.image_output), (10, 30, 40));
        assert_eq!(usage.input_total() + usage.output_total(), 187);
    }

    #[test]
    fn what_only_the_total_knows_is_thoughts() {
        let old =
            usage(r#"{"promptTokenCount":35,"candidatesTokenCount":12,"totalTokenCount":109}"#).unwrap();
        assert_eq!((old.output, old.reasoning), (12, 62));
    }

    #[test]
    fn a_report_without_counts_or_with_one_that_cannot_be_is_none() {
        assert_eq!(usage(r#"{"trafficType":"ON_DEMAND"}"#), None);
        assert_eq!(usage(r#"{"totalTokenCount":9}"#), None);
        assert_eq!(usage(r#"{"promptTokenCount":9007199254740993}"#), None);
        assert_eq!(usage(r#"{"promptTokenCount":-1}"#), None);
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let usage = Usage {
            input: 5,
            cache_read: 3,
            audio_input: 2,
            image_input: 1,
            output: 4,
            reasoning: 6,
            image_output: 8,
            ..Usage::default()
        };
        let mut out = Vec::new();
        write_usage(&mut out, &usage, Some("flex"));
        assert_eq!(super::usage(&String::from_utf8(out).unwrap()), Some(usage));
    }

    #[test]
    fn searches_are_charged_by_the_generation() {
        let grounding = r#"{"webSearchQueries":["a","b","","a"]}"#;
        assert_eq!(searches(grounding, "gemini-2.5-flash"), 1);
        assert_eq!(searches(grounding, "gemini-3-pro-preview"), 2);
        assert_eq!(searches("{}", "gemini-2.5-flash"), 0);
    }
}
