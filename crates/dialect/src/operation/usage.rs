//! What answers report of what they consumed.

use http::HeaderMap;
use lockgate_core::{Payload, Usage};
use serde::Deserialize;
use serde_json::Number;

use crate::openai_chat::wire::carve;

/// `usage` of embeddings, images and transcriptions, with the names that their providers use.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    prompt_tokens: Option<u64>,
    input_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    input_tokens_details: Option<Details>,
    input_token_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
    output_token_details: Option<Details>,
    seconds: Option<Number>,
    /// Mistral.
    prompt_audio_seconds: Option<Number>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Details {
    text_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    image_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    /// What the cached tokens are of: without it they would count among the fresh sound as well.
    cached_tokens_details: Option<Cached>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Cached {
    image_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Gemini {
    prompt_token_count: Option<u64>,
}

/// The tokens that a call reports at Bedrock.
const BEDROCK: &str = "x-amzn-bedrock-input-token-count";

/// The report in an answer, in disjoint buckets; `None` when it has no tokens. `makes_images`: its output is images
/// unless it says otherwise.
pub(super) fn of(payload: &Payload, makes_images: bool) -> Option<Usage> {
    let wire = payload.read::<Wire>("usage")?;
    let prompt = wire.prompt_tokens.or(wire.input_tokens);
    let completion = wire.completion_tokens.or(wire.output_tokens);
    let prompt = match (prompt, completion) {
        // Voyage and Jina report the sum alone; nothing comes out of them that is counted.
        (None, None) => wire.total_tokens?,
        (prompt, _) => prompt.unwrap_or(0),
    };
    let completion = completion.unwrap_or(0);
    let input = wire.prompt_tokens_details.or(wire.input_tokens_details).or(wire.input_token_details);
    let input = input.unwrap_or_default();
    let output = wire.completion_tokens_details.or(wire.output_tokens_details).or(wire.output_token_details);

    let mut fresh = prompt;
    let cache_read = carve(prompt, &mut fresh, input.cached_tokens.unwrap_or(0));
    let cached = input.cached_tokens_details.unwrap_or_default();
    let beside = |all: Option<u64>, cached: Option<u64>| all.unwrap_or(0).saturating_sub(cached.unwrap_or(0));
    let image_input = carve(prompt, &mut fresh, beside(input.image_tokens, cached.image_tokens));
    let audio_input = carve(prompt, &mut fresh, beside(input.audio_tokens, cached.audio_tokens));
    let mut visible = completion;
    let images = match output {
        Some(output) => output.image_tokens.or_else(|| {
            let text = output.text_tokens.filter(|_| makes_images)?;
            Some(completion.saturating_sub(text))
        }),
        None => makes_images.then_some(completion),
    };
    let image_output = carve(completion, &mut visible, images.unwrap_or(0));
    let audio = output.unwrap_or_default().audio_tokens.unwrap_or(0);
    let audio_output = carve(completion, &mut visible, audio);
    Some(Usage {
        input: fresh,
        cache_read,
        audio_input,
        image_input,
        output: visible,
        audio_output,
        image_output,
        ..Usage::default()
    })
}

/// The report of Gemini's answers.
pub(super) fn of_gemini(payload: &Payload) -> Option<Usage> {
    let input = payload.read::<Gemini>("usageMetadata")?.prompt_token_count?;
    Some(Usage { input, ..Usage::default() })
}

/// The report in a call's headers at Bedrock.
pub(super) fn of_bedrock(headers: &HeaderMap) -> Option<u64> {
    headers.get(BEDROCK)?.to_str().ok()?.trim().parse().ok()
}

/// Seconds of sound that an answer says it is for, begun ones counted; 0 when it does not say.
pub(super) fn seconds(payload: &Payload) -> u64 {
    let wire = payload.read::<Wire>("usage").unwrap_or_default();
    if let Some(reported) = wire.seconds.or(wire.prompt_audio_seconds) {
        return whole(&reported).unwrap_or(0);
    }
    // OpenAI writes it as a number, or as text.
    let duration = payload.read::<Number>("duration").or_else(|| payload.text("duration")?.parse().ok());
    duration.as_ref().and_then(whole).unwrap_or(0)
}

/// A count that came as a number or as a number with a fraction.
pub(super) fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let number = number.as_f64()?.ceil();
        // Beyond it a fraction has no whole numbers between; no recording is that long.
        (0.0..=9_007_199_254_740_992.0).contains(&number).then_some(number as u64)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn payload(json: &'static str) -> Payload {
        Payload::parse(Bytes::from_static(json.as_bytes())).unwrap()
    }

    #[test]
    fn a_sum_alone_is_what_went_in() {
        assert_eq!(of(&payload(r#"{"usage":{"total_tokens":7}}"#), false).unwrap().input, 7);
        assert_eq!(of(&payload(r#"{"usage":{}}"#), false), None);
        assert_eq!(of(&payload("{}"), false), None);
    }

    #[test]
    fn images_are_told_from_text() {
        let usage = of(
            &payload(
                r#"{"usage":{"total_tokens":4210,"input_tokens":50,"output_tokens":4160,
                    "input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#,
            ),
            true,
        )
        .unwrap();
        assert_eq!((usage.input, usage.image_input, usage.output, usage.image_output), (10, 40, 0, 4160));
        let thought = of(
            &payload(r#"{"usage":{"input_tokens":5,"output_tokens":100,"output_tokens_details":{"text_tokens":20,"image_tokens":80}}}"#),
            true,
        )
        .unwrap();
        assert_eq!((thought.output, thought.image_output), (20, 80));
    }

    #[test]
    fn sound_beside_the_prompt_is_no_part_of_it() {
        let mistral = payload(
            r#"{"usage":{"prompt_audio_seconds":3,"prompt_tokens":3,"total_tokens":389,"completion_tokens":11,
                "prompt_tokens_details":{"cached_tokens":0,"audio_tokens":375}}}"#,
        );
        let usage = of(&mistral, false).unwrap();
        assert_eq!((usage.input, usage.audio_input, usage.output, usage.reasoning), (3, 375, 11, 0));
        assert_eq!(seconds(&mistral), 3);
        let openai = payload(
            r#"{"usage":{"type":"tokens","total_tokens":182,"input_tokens":37,
                "input_token_details":{"text_tokens":0,"audio_tokens":37},"output_tokens":145}}"#,
        );
        let usage = of(&openai, false).unwrap();
        assert_eq!((usage.input, usage.audio_input, usage.output), (0, 37, 145));
    }

    #[test]
    fn sound_from_the_cache_is_not_fresh_as_well() {
        let spoken = payload(
            r#"{"usage":{"total_tokens":253,"input_tokens":132,"output_tokens":121,
                "input_token_details":{"text_tokens":119,"audio_tokens":13,"image_tokens":0,"cached_tokens":64,
                "cached_tokens_details":{"text_tokens":54,"audio_tokens":10,"image_tokens":0}},
                "output_token_details":{"text_tokens":30,"audio_tokens":91}}}"#,
        );
        let usage = of(&spoken, false).unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.audio_input), (65, 64, 3));
        assert_eq!((usage.output, usage.audio_output), (30, 91));
        assert_eq!((usage.input_total(), usage.output_total()), (132, 121));
    }

    #[test]
    fn seconds_are_read_in_every_spelling() {
        assert_eq!(seconds(&payload(r#"{"usage":{"type":"duration","seconds":317}}"#)), 317);
        assert_eq!(seconds(&payload(r#"{"duration":3.7}"#)), 4);
        assert_eq!(seconds(&payload(r#"{"duration":"3.0"}"#)), 3);
        assert_eq!(seconds(&payload(r#"{"duration":"-3"}"#)), 0);
        assert_eq!(seconds(&payload(r#"{"duration":1e300}"#)), 0);
        assert_eq!(of(&payload(r#"{"usage":{"type":"duration","seconds":317}}"#), false), None);
    }
}
