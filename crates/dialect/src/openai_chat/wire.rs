//! What the dialect looks like on the wire, as far as the gateway reads it.

use lockgate_core::Usage;
use serde::{Deserialize, Serialize};

/// `usage` of an answer, with the names that OpenAI's own and compatible providers use.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek.
    prompt_cache_hit_tokens: Option<u64>,
    /// Together, Moonshot.
    cached_tokens: Option<u64>,
    /// Mistral.
    num_cached_tokens: Option<u64>,
    /// Gateways in front of Anthropic.
    cache_read_input_tokens: Option<u64>,
    /// Gateways in front of Anthropic.
    cache_creation_input_tokens: Option<u64>,
    /// GitHub Copilot, Perplexity.
    reasoning_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    /// OpenRouter.
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

/// A model in the list of `/v1/models`.
#[derive(Clone, Debug, Serialize)]
pub struct Model<'a> {
    /// What to put into `model`.
    pub id: &'a str,
    /// Always `model`.
    pub object: &'static str,
    /// Unix seconds; 0 where it is not known.
    pub created: u64,
    /// The provider, or `lockgate` for a route.
    pub owned_by: &'a str,
}

/// The list of `/v1/models`.
#[derive(Clone, Debug, Serialize)]
pub struct Models<'a> {
    /// Always `list`.
    pub object: &'static str,
    /// The models.
    pub data: Vec<Model<'a>>,
}

// === impl WireUsage ===

impl WireUsage {
    /// The report in disjoint buckets; `None` when it has no counts.
    ///
    /// Cached and audio tokens are a part of `prompt_tokens`, reasoning and audio tokens a part of
    /// `completion_tokens` (OpenAI's rule), with two exceptions that the report itself proves: a part larger than its
    /// whole stands beside it (Grok on Azure counts cached tokens so), and what `total_tokens` has beyond prompt and
    /// completion is reasoning (xAI names it, Gemini does not).
    pub fn buckets(&self) -> Option<Usage> {
        let prompt = self.prompt_tokens;
        let completion = self.completion_tokens;
        if prompt.is_none() && completion.is_none() {
            return None;
        }
        let (prompt, completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
        let input = self.prompt_tokens_details.clone().unwrap_or_default();
        let output = self.completion_tokens_details.clone().unwrap_or_default();

        let cache_read = [
            input.cached_tokens,
            self.prompt_cache_hit_tokens,
            self.cached_tokens,
            self.num_cached_tokens,
            self.cache_read_input_tokens,
        ]
        .into_iter()
        .flatten()
        .max()
        .unwrap_or(0);
        let cache_write = input.cache_write_tokens.or(self.cache_creation_input_tokens).unwrap_or(0);
        let mut fresh = prompt;
        let cache_read = carve(prompt, &mut fresh, cache_read);
        let cache_write = carve(prompt, &mut fresh, cache_write);
        let audio_input = carve(prompt, &mut fresh, input.audio_tokens.unwrap_or(0));

        let named = output.reasoning_tokens.or(self.reasoning_tokens).unwrap_or(0);
        let beyond = self.total_tokens.unwrap_or(0).saturating_sub(prompt.saturating_add(completion));
        let within = if beyond == 0 || named != beyond { named } else { 0 };
        let mut visible = completion;
        let reasoning = carve(completion, &mut visible, within).saturating_add(beyond);
        let audio_output = carve(completion, &mut visible, output.audio_tokens.unwrap_or(0));
        Some(Usage {
            input: fresh,
            cache_read,
            cache_write,
            audio_input,
            output: visible,
            reasoning,
            audio_output,
            ..Usage::default()
        })
    }
}

/// Takes a part out of what is left of its whole, and returns what it took. Parts may overlap, as cached audio does:
/// what an earlier part took is not counted again. A part larger than its whole cannot be in it: nothing is taken out.
const fn carve(whole: u64, left: &mut u64, part: u64) -> u64 {
    if part > whole {
        return part;
    }
    let own = if part < *left { part } else { *left };
    *left -= own;
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(json: &str) -> Usage {
        serde_json::from_str::<WireUsage>(json).unwrap().buckets().unwrap()
    }

    #[test]
    fn parts_are_taken_out_of_their_whole() {
        let usage = buckets(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":64,"audio_tokens":6,"cache_write_tokens":10},
                "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":5}}"#,
        );
        assert_eq!((usage.input, usage.cache_read, usage.cache_write, usage.audio_input), (20, 64, 10, 6));
        assert_eq!((usage.output, usage.reasoning, usage.audio_output), (15, 30, 5));
        assert_eq!((usage.input_total(), usage.output_total()), (100, 50));
    }

    #[test]
    fn reasoning_beside_the_completion_is_seen_by_the_total() {
        let xai = buckets(
            r#"{"prompt_tokens":49,"completion_tokens":32,"total_tokens":264,"completion_tokens_details":{"reasoning_tokens":183}}"#,
        );
        assert_eq!((xai.output, xai.reasoning), (32, 183));
        let gemini = buckets(r#"{"prompt_tokens":35,"completion_tokens":12,"total_tokens":109}"#);
        assert_eq!((gemini.output, gemini.reasoning), (12, 62));
    }

    #[test]
    fn a_part_larger_than_its_whole_stands_beside_it() {
        let grok = buckets(
            r#"{"prompt_tokens":10,"completion_tokens":213,"total_tokens":223,"prompt_tokens_details":{"cached_tokens":161}}"#,
        );
        assert_eq!((grok.input, grok.cache_read), (10, 161));
    }

    #[test]
    fn parts_that_overlap_are_counted_once() {
        let cached_audio = buckets(
            r#"{"prompt_tokens":100,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":80,"audio_tokens":60},
                "completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":4}}"#,
        );
        assert_eq!((cached_audio.cache_read, cached_audio.audio_input, cached_audio.input), (80, 20, 0));
        assert_eq!((cached_audio.input_total(), cached_audio.output_total()), (100, 4));
    }

    #[test]
    fn no_counts_is_no_report() {
        assert_eq!(serde_json::from_str::<WireUsage>("{}").unwrap().buckets(), None);
    }
}
