//! The response object: what a whole answer is, and what the events at both ends of a stream hold.
//!
//! Clients with strict models want every member that the schema requires, also those that only repeat the request.

use bytes::Bytes;
use lockgate_core::{Payload, Usage};
use serde_json::value::RawValue;

use super::wire::{push_number, push_text, write_usage};
use crate::{Turn, tier};

/// Members that repeat the request, with what stands there where the request has none.
const ECHOED: [(&str, &str); 22] = [
    ("background", "false"),
    ("frequency_penalty", "0.0"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("presence_penalty", "0.0"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("prompt_cache_retention", "null"),
    ("reasoning", "{\"effort\":null,\"summary\":null}"),
    ("safety_identifier", "null"),
    ("store", "false"),
    ("temperature", "1.0"),
    ("text", "{\"format\":{\"type\":\"text\"}}"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// The members of a response that repeat its request, as JSON text that begins with a comma.
#[derive(Clone, Debug)]
pub(super) struct Echo(Vec<u8>);

/// The members that are the answer's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'a> {
    pub(super) id: &'a str,
    pub(super) model: &'a str,
    /// Unix seconds.
    pub(super) created: u64,
    pub(super) status: &'a str,
    /// Why it is incomplete.
    pub(super) incomplete: Option<&'a str>,
    /// Code and message.
    pub(super) error: Option<(&'a str, &'a str)>,
    pub(super) tier: Option<&'a str>,
    pub(super) usage: Option<&'a Usage>,
    /// The items, as JSON texts with commas between.
    pub(super) output: &'a [u8],
}

// === impl Echo ===

impl Echo {
    /// What an answer to `asked` repeats.
    pub(super) fn of(asked: &Turn) -> Self {
        Self::read(Some(&asked.payload))
    }

    fn read(payload: Option<&Payload>) -> Self {
        let mut out = Vec::with_capacity(1_024);
        for (name, default) in ECHOED {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            match payload.and_then(|payload| Some((payload, payload.get(name)?))) {
                Some((payload, raw)) if raw != b"null" => match name {
                    "tools" => tools(&mut out, payload, raw),
                    "text" => out.extend_from_slice(&with_format(payload, raw)),
                    _ => out.extend_from_slice(raw),
                },
                _ => out.extend_from_slice(default.as_bytes()),
            }
        }
        Self(out)
    }
}

/// The tools of a request with the members that the schema of an answer requires.
fn tools(out: &mut Vec<u8>, payload: &Payload, raw: &[u8]) {
    let Ok(tools) = serde_json::from_slice::<Vec<&RawValue>>(raw) else {
        out.extend_from_slice(b"[]");
        return;
    };
    out.push(b'[');
    for (at, tool) in tools.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let bytes = payload.bytes().slice_ref(tool.get().as_bytes());
        match Payload::parse(bytes.clone()) {
            Ok(tool) if tool.text("type").as_deref() == Some("function") => {
                let mut splice = tool.splice();
                for name in ["parameters", "strict"] {
                    if tool.get(name).is_none() {
                        splice = splice.set(name, Bytes::from_static(b"null"));
                    }
                }
                for piece in splice.segments().pieces() {
                    out.extend_from_slice(piece);
                }
            }
            _ => out.extend_from_slice(&bytes),
        }
    }
    out.push(b']');
}

fn with_format(payload: &Payload, raw: &[u8]) -> Bytes {
    let bytes = payload.bytes().slice_ref(raw);
    match Payload::parse(bytes.clone()) {
        Ok(text) if !text.has("format") => {
            text.splice().set("format", Bytes::from_static(br#"{"type":"text"}"#)).segments().join()
        }
        _ => bytes,
    }
}

/// Writes a response.
pub(super) fn write(out: &mut Vec<u8>, own: &Own<'_>, echo: &Echo) {
    out.reserve(echo.0.len() + own.output.len() + 512);
    out.extend_from_slice(b"{\"id\":");
    push_text(out, own.id);
    out.extend_from_slice(b",\"object\":\"response\",\"created_at\":");
    push_number(out, own.created);
    out.extend_from_slice(b",\"status\":");
    push_text(out, own.status);
    out.extend_from_slice(b",\"completed_at\":null,\"error\":");
    match own.error {
        Some((code, message)) => {
            out.extend_from_slice(b"{\"code\":");
            push_text(out, code);
            out.extend_from_slice(b",\"message\":");
            push_text(out, message);
            out.push(b'}');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"incomplete_details\":");
    match own.incomplete {
        Some(reason) => {
            out.extend_from_slice(b"{\"reason\":");
            push_text(out, reason);
            out.push(b'}');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"model\":");
    push_text(out, own.model);
    out.extend_from_slice(b",\"output\":[");
    out.extend_from_slice(own.output);
    out.push(b']');
    out.extend_from_slice(&echo.0);
    out.extend_from_slice(b",\"service_tier\":");
    match tier::openai(own.tier.unwrap_or("default")) {
        Some(tier) => push_text(out, tier),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"usage\":");
    match own.usage {
        Some(usage) => write_usage(out, usage),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

/// Writes a response of which nothing is known but how it failed.
pub(super) fn failed(out: &mut Vec<u8>, id: &str, code: &str, message: &str) {
    let own = Own {
        id,
        model: "",
        created: 0,
        status: "failed",
        incomplete: None,
        error: Some((code, message)),
        tier: None,
        usage: None,
        output: b"",
    };
    write(out, &own, &Echo::read(None));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::request::peek;
    use super::*;

    #[test]
    fn a_response_repeats_its_request_and_leaves_nothing_out() {
        let asked = peek(Bytes::from_static(
            br#"{"model":"m","input":"x","tools":[{"type":"function","name":"f"},{"type":"web_search"}],
                "text":{"verbosity":"low"},"temperature":null,"instructions":"be brief"}"#,
        ))
        .unwrap();
        let own = Own {
            id: "resp_1",
            model: "m",
            created: 7,
            status: "completed",
            incomplete: None,
            error: None,
            tier: None,
            usage: None,
            output: b"",
        };
        let mut out = Vec::new();
        write(&mut out, &own, &Echo::of(&asked));
        let response: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            response["tools"][0],
            json!({"type":"function","name":"f","parameters":null,"strict":null})
        );
        assert_eq!(response["tools"][1], json!({"type":"web_search"}));
        assert_eq!(response["text"], json!({"verbosity":"low","format":{"type":"text"}}));
        assert_eq!(response["temperature"], json!(1.0));
        assert_eq!(response["instructions"], "be brief");
        assert_eq!(response["tool_choice"], "auto");
        assert_eq!(response["output"], json!([]));
    }
}
