//! Whatever a provider's convention, the buckets of a report are disjoint: they add up to the totals that it states, so
//! that nothing is paid twice and nothing is forgotten.

#![allow(clippy::unwrap_used, reason = "all of it is tests, also what stands beside their functions")]

use bytes::Bytes;
use http::HeaderMap;
use lockgate_core::Usage;
use lockgate_dialect::by_name;
use lockgate_dialect::operation::{Form, Operation};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What a dialect's reader makes of an answer with this report.
fn read(dialect: &str, answer: &Value) -> Usage {
    let body = Bytes::from(answer.to_string());
    by_name(dialect).unwrap().whole(&body).unwrap().unwrap()
}

fn chat(usage: &Value) -> Usage {
    let choice =
        json!({"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"});
    read("openai.chat", &json!({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}))
}

fn responses(usage: &Value) -> Usage {
    let output =
        json!([{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}]);
    read(
        "openai.responses",
        &json!({"id": "r", "object": "response", "status": "completed", "output": output, "usage": usage}),
    )
}

fn operation(operation: Operation, ask: &Value, answer: &Value) -> Usage {
    let asked = operation.peek(ask.to_string().into(), "application/json", None).unwrap();
    let part = (HeaderMap::new(), Bytes::from(answer.to_string()));
    Form::Own.read(&asked, "m", &[part]).unwrap().usage.unwrap()
}

fn sums(usage: &Usage) -> (u64, u64) {
    (usage.input_total(), usage.output_total())
}

/// Parts that fit together into their whole.
fn parts(n: usize) -> impl Strategy<Value = (u64, Vec<u64>)> {
    (prop::collection::vec(0..100_000_u64, n), 0..100_000_u64)
        .prop_map(|(parts, rest)| (parts.iter().sum::<u64>() + rest, parts))
}

proptest! {
    #[test]
    fn openais_parts_are_within_their_wholes((prompt, ins) in parts(4), (completion, outs) in parts(3)) {
        let details = |name: &str| json!({
            name: prompt, "total_tokens": prompt + completion,
            format!("{name}_details"): {"cached_tokens": ins[0], "audio_tokens": ins[1], "image_tokens": ins[2], "cache_write_tokens": ins[3]},
        });
        let outs = json!({"reasoning_tokens": outs[0], "audio_tokens": outs[1], "image_tokens": outs[2]});
        let mut usage = details("prompt_tokens");
        usage["completion_tokens"] = completion.into();
        usage["completion_tokens_details"] = outs.clone();
        prop_assert_eq!(sums(&chat(&usage)), (prompt, completion));
        let mut usage = details("input_tokens");
        usage["output_tokens"] = completion.into();
        usage["output_tokens_details"] = outs;
        prop_assert_eq!(sums(&responses(&usage)), (prompt, completion));
    }

    #[test]
    fn a_cache_hit_by_any_name_is_within_the_prompt((prompt, ins) in parts(1), completion in 0..100_000_u64) {
        for name in ["prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens"] {
            let usage = chat(&json!({"prompt_tokens": prompt, "completion_tokens": completion, name: ins[0]}));
            prop_assert_eq!((sums(&usage), usage.cache_read), ((prompt, completion), ins[0]), "{}", name);
        }
    }

    #[test]
    fn what_the_total_has_on_top_was_thought(prompt in 0..100_000_u64, completion in 0..100_000_u64, thought in 1..100_000_u64) {
        // xAI names it, Gemini's OpenAI door does not.
        for named in [json!(thought), Value::Null] {
            let usage = chat(&json!({"prompt_tokens": prompt, "completion_tokens": completion,
                "total_tokens": prompt + completion + thought, "completion_tokens_details": {"reasoning_tokens": named}}));
            prop_assert_eq!((sums(&usage), usage.reasoning), ((prompt, completion + thought), thought));
        }
    }

    #[test]
    fn a_part_that_exceeds_its_whole_stands_beside_it(prompt in 0..1_000_u64, beyond in 1..1_000_u64, completion in 0..1_000_u64) {
        // Grok on Azure.
        let cached = prompt + beyond;
        let usage = chat(&json!({"prompt_tokens": prompt, "completion_tokens": completion,
            "prompt_tokens_details": {"cached_tokens": cached}}));
        prop_assert_eq!((sums(&usage), usage.input), ((prompt + cached, completion), prompt));
    }

    #[test]
    fn anthropics_cache_stands_beside_the_input(fresh in 0..100_000_u64, hit in 0..100_000_u64, minutes in 0..100_000_u64,
        hour in 0..100_000_u64, (output, outs) in parts(1)) {
        let usage = read("anthropic.messages", &json!({"id": "m", "type": "message", "role": "assistant", "content": [],
            "stop_reason": "end_turn", "usage": {"input_tokens": fresh, "cache_read_input_tokens": hit,
            "cache_creation_input_tokens": minutes + hour, "output_tokens": output,
            "cache_creation": {"ephemeral_5m_input_tokens": minutes, "ephemeral_1h_input_tokens": hour},
            "output_tokens_details": {"thinking_tokens": outs[0]}}}));
        prop_assert_eq!(sums(&usage), (fresh + hit + minutes + hour, output));
        prop_assert_eq!((usage.cache_read, usage.cache_write, usage.cache_write_1h), (hit, minutes, hour));
    }

    #[test]
    fn geminis_thoughts_and_tools_stand_beside((prompt, ins) in parts(3), (answer, outs) in parts(2), thoughts in 0..100_000_u64,
        tools in 0..100_000_u64) {
        let share = |modality: &str, count: u64| json!({"modality": modality, "tokenCount": count});
        let usage = read("gemini.generateContent", &json!({
            "candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": prompt, "cachedContentTokenCount": ins[0], "candidatesTokenCount": answer,
                "thoughtsTokenCount": thoughts, "toolUsePromptTokenCount": tools,
                "totalTokenCount": prompt + answer + thoughts + tools,
                "promptTokensDetails": [share("AUDIO", ins[1]), share("IMAGE", ins[2])],
                "candidatesTokensDetails": [share("AUDIO", outs[0]), share("IMAGE", outs[1])]}}));
        prop_assert_eq!(sums(&usage), (prompt + tools, answer + thoughts));
    }

    #[test]
    fn bedrocks_cache_stands_beside_the_input(input in 0..100_000_u64, hit in 0..100_000_u64, (written, hour) in parts(1),
        output in 0..100_000_u64) {
        let usage = read("bedrock.converse", &json!({"output": {"message": {"role": "assistant", "content": [{"text": "x"}]}},
            "stopReason": "end_turn", "usage": {"inputTokens": input, "outputTokens": output,
            "cacheReadInputTokens": hit, "cacheWriteInputTokens": written,
            "cacheDetails": [{"ttl": "1h", "inputTokens": hour[0]}]}}));
        prop_assert_eq!((sums(&usage), usage.cache_write_1h), ((input + hit + written, output), hour[0]));
    }

    #[test]
    fn coheres_bill_is_what_counts((input, ins) in parts(1), (output, outs) in parts(1), template in 0..1_000_u64) {
        let usage = read("cohere.chat", &json!({"id": "c", "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "x"}]},
            "usage": {"billed_units": {"input_tokens": input, "output_tokens": output},
                "tokens": {"input_tokens": input + template, "output_tokens": output + template,
                    "image_tokens": ins[0], "reasoning_tokens": outs[0]}}}));
        prop_assert_eq!(sums(&usage), (input, output));
    }

    #[test]
    fn operations_add_up_as_well((input, ins) in parts(2), (output, outs) in parts(1), hits in prop::collection::vec(0..1_000_u64, 2)) {
        let vectors = operation(Operation::Embeddings, &json!({"model": "m", "input": "a"}),
            &json!({"data": [], "usage": {"total_tokens": input}}));
        prop_assert_eq!(sums(&vectors), (input, 0));
        let image = operation(Operation::Images, &json!({"model": "m", "prompt": "a"}), &json!({"data": [], "usage": {
            "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
            "input_tokens_details": {"text_tokens": input - ins[0], "image_tokens": ins[0]},
            "output_tokens_details": {"text_tokens": outs[0], "image_tokens": output - outs[0]}}}));
        prop_assert_eq!((sums(&image), image.image_output), ((input, output), output - outs[0]));
        // What was cached is within its kind, and its kind within the whole.
        let (text, sound) = (ins[0].min(hits[0]), ins[1].min(hits[1]));
        let heard = operation(Operation::Images, &json!({"model": "m", "prompt": "a"}), &json!({"data": [], "usage": {
            "input_tokens": input, "output_tokens": output, "output_tokens_details": {"text_tokens": output},
            "input_token_details": {"text_tokens": input - ins[1], "audio_tokens": ins[1], "cached_tokens": text + sound,
                "cached_tokens_details": {"text_tokens": text, "audio_tokens": sound}}}}));
        prop_assert_eq!((sums(&heard), heard.audio_input), ((input, output), ins[1] - sound));
    }
}
