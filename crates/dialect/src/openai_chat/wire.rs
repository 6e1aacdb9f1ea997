//! What the dialect looks like on the wire, as far as the gateway reads it.

use lockgate_core::Usage;
use serde::{Deserialize, Serialize};

use super::json::Object;

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
    /// Gateways in front of Anthropic: the writes by how long they are kept.
    cache_creation: Option<CacheCreation>,
    /// OpenRouter, and gateways in front of Anthropic.
    #[serde(alias = "server_tool_use")]
    server_tool_use_details: Option<ServerTools>,
    /// Perplexity.
    num_search_queries: Option<u64>,
    /// xAI: sources of a search, charged one by one.
    num_sources_used: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_requests: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    /// OpenRouter.
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

/// A larger number is no count but a mistake: it is more than JSON readers of other languages keep exactly.
const MOST: u64 = 1 << 53;

/// `usage` of an answer, as clients read it: every part is in its whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a>(&'a Usage);

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
        if [prompt, completion, self.total_tokens.unwrap_or(0)].iter().any(|count| *count > MOST) {
            return None;
        }
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
        let hour = self.cache_creation.clone().unwrap_or_default().ephemeral_1h_input_tokens.unwrap_or(0);
        let cache_write_1h = carve(prompt, &mut fresh, hour);
        let cache_write = carve(prompt, &mut fresh, cache_write.saturating_sub(hour));
        let audio_input = carve(prompt, &mut fresh, input.audio_tokens.unwrap_or(0));
        let image_input = carve(prompt, &mut fresh, input.image_tokens.unwrap_or(0));

        let named = output.reasoning_tokens.or(self.reasoning_tokens).unwrap_or(0);
        let beyond = self.total_tokens.unwrap_or(0).saturating_sub(prompt.saturating_add(completion));
        let within = if beyond == 0 || named != beyond { named } else { 0 };
        let mut visible = completion;
        let reasoning = carve(completion, &mut visible, within).saturating_add(beyond);
        let audio_output = carve(completion, &mut visible, output.audio_tokens.unwrap_or(0));
        let image_output = carve(completion, &mut visible, output.image_tokens.unwrap_or(0));
        let searches = self.server_tool_use_details.clone().unwrap_or_default().web_search_requests;
        let usage = Usage {
            input: fresh,
            cache_read,
            cache_write,
            cache_write_1h,
            audio_input,
            image_input,
            output: visible,
            reasoning,
            audio_output,
            image_output,
            searches: searches.or(self.num_search_queries).or(self.num_sources_used).unwrap_or(0),
            ..Usage::default()
        };
        usage.counts().iter().all(|count| *count <= MOST).then_some(usage)
    }
}

// === impl Report ===

impl<'a> Report<'a> {
    /// The report of a usage.
    pub(crate) const fn of(usage: &'a Usage) -> Self {
        Self(usage)
    }

    /// Writes it.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let Self(usage) = self;
        let (input, output) = (usage.input_total(), usage.output_total());
        let written = usage.cache_write.saturating_add(usage.cache_write_1h);
        let mut report = Object::open(out);
        report.show("prompt_tokens", input);
        report.show("completion_tokens", output);
        report.show("total_tokens", input.saturating_add(output));
        let mut details = Object::open(report.member("prompt_tokens_details"));
        details.show("cached_tokens", usage.cache_read);
        details.show("audio_tokens", usage.audio_input);
        for (name, count) in [("cache_write_tokens", written), ("image_tokens", usage.image_input)] {
            if count > 0 {
                details.show(name, count);
            }
        }
        details.close();
        let mut details = Object::open(report.member("completion_tokens_details"));
        details.show("reasoning_tokens", usage.reasoning);
        details.show("audio_tokens", usage.audio_output);
        details.raw("accepted_prediction_tokens", "0");
        details.raw("rejected_prediction_tokens", "0");
        if usage.image_output > 0 {
            details.show("image_tokens", usage.image_output);
        }
        details.close();
        if usage.cache_write_1h > 0 {
            let mut creation = Object::open(report.member("cache_creation"));
            creation.show("ephemeral_5m_input_tokens", usage.cache_write);
            creation.show("ephemeral_1h_input_tokens", usage.cache_write_1h);
            creation.close();
        }
        if usage.searches > 0 {
            let mut tools = Object::open(report.member("server_tool_use_details"));
            tools.show("web_search_requests", usage.searches);
            tools.close();
        }
        report.close();
    }
}

/// Takes a part out of what is left of its whole, and returns what it took. Parts may overlap, as cached audio does:
/// what an earlier part took is not counted again. A part larger than its whole cannot be in it: nothing is taken out.
pub(crate) const fn carve(whole: u64, left: &mut u64, part: u64) -> u64 {
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
    fn what_is_written_reads_the_same() {
        let usage = Usage {
            input: 3,
            cache_read: 50,
            cache_write: 7,
            cache_write_1h: 11,
            audio_input: 2,
            image_input: 5,
            output: 4,
            reasoning: 13,
            audio_output: 1,
            image_output: 6,
            searches: 2,
            ..Usage::default()
        };
        let mut out = Vec::new();
        Report::of(&usage).write(&mut out);
        assert_eq!(buckets(std::str::from_utf8(&out).unwrap()), usage);
    }

    #[test]
    fn a_count_beyond_all_sense_is_no_report() {
        let json = r#"{"prompt_tokens":9007199254740993,"completion_tokens":1}"#;
        assert_eq!(serde_json::from_str::<WireUsage>(json).unwrap().buckets(), None);
    }

    #[test]
    fn no_counts_is_no_report() {
        assert_eq!(serde_json::from_str::<WireUsage>("{}").unwrap().buckets(), None);
    }
}
