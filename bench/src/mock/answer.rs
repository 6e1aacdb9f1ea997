//! What the mock answers: whole bodies and the events of streams.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Embeddings,
    Messages,
}

pub(super) fn whole(endpoint: Endpoint, model: &str, size: usize) -> String {
    let text = "token ".repeat(size);
    match endpoint {
        Endpoint::Chat => format!(
            r#"{{"id":"chatcmpl-mock","object":"chat.completion","created":1700000000,"model":"{model}","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":25,"completion_tokens":{size},"total_tokens":{}}},"system_fingerprint":"fp_mock"}}"#,
            size + 25
        ),
        Endpoint::Embeddings => {
            let vector = vec!["-0.0123456"; size].join(",");
            format!(
                r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{vector}]}}],"model":"{model}","usage":{{"prompt_tokens":25,"total_tokens":25}}}}"#
            )
        }
        Endpoint::Messages => format!(
            r#"{{"id":"msg_mock","type":"message","role":"assistant","model":"{model}","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":25,"output_tokens":{size}}}}}"#
        ),
    }
}

pub(super) fn events(endpoint: Endpoint, model: &str, chunks: usize) -> Vec<String> {
    let mut out = Vec::with_capacity(chunks + 6);
    if endpoint == Endpoint::Messages {
        let mut event = |name: &str, data: String| {
            out.push(format!("event: {name}\ndata: {{\"type\":\"{name}\",{data}}}\n\n"));
        };
        event(
            "message_start",
            format!(
                r#""message":{{"id":"msg_mock","type":"message","role":"assistant","model":"{model}","content":[],"stop_reason":null,"stop_sequence":null,"usage":{{"input_tokens":25,"output_tokens":1}}}}"#
            ),
        );
        event("content_block_start", r#""index":0,"content_block":{"type":"text","text":""}"#.into());
        for _ in 0..chunks {
            event("content_block_delta", r#""index":0,"delta":{"type":"text_delta","text":"token "}"#.into());
        }
        event("content_block_stop", r#""index":0"#.into());
        event(
            "message_delta",
            format!(
                r#""delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{{"output_tokens":{chunks}}}"#
            ),
        );
        out.push("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".into());
        return out;
    }
    let mut event = |rest: String| {
        out.push(format!(
            "data: {{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"{model}\",\"system_fingerprint\":\"fp_mock\",{rest}}}\n\n"
        ));
    };
    event(r#""choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]"#.into());
    for _ in 0..chunks {
        event(
            r#""choices":[{"index":0,"delta":{"content":"token "},"logprobs":null,"finish_reason":null}]"#
                .into(),
        );
    }
    event(r#""choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]"#.into());
    event(format!(
        r#""choices":[],"usage":{{"prompt_tokens":25,"completion_tokens":{chunks},"total_tokens":{}}}"#,
        chunks + 25
    ));
    out.push("data: [DONE]\n\n".into());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_json() {
        for endpoint in [Endpoint::Chat, Endpoint::Embeddings, Endpoint::Messages] {
            let v: serde_json::Value = serde_json::from_str(&whole(endpoint, "m", 3)).unwrap();
            assert_eq!(v["model"], "m");
            for e in events(endpoint, "m", 3) {
                let data = e.split("data: ").nth(1).unwrap().trim();
                assert!(
                    data == "[DONE]" || serde_json::from_str::<serde_json::Value>(data).is_ok(),
                    "{data}"
                );
            }
        }
    }
}
