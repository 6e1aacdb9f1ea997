//! Every profile is complete, and what it says of a provider's quirks comes out in the request.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

use std::collections::HashSet;

use bytes::Bytes;
use lockgate_config::Provider;
use lockgate_core::upstream::{Reach, StreamUsage};
use lockgate_core::{Speech, Upstream};
use lockgate_provider::{ALL, Auth, compile};

/// The dialects that a provider may speak.
const DIALECTS: [&str; 7] = [
    "openai.chat",
    "openai.responses",
    "openai.completions",
    "anthropic.messages",
    "gemini.generateContent",
    "bedrock.converse",
    "cohere.chat",
];

/// The forms of operations that are no chat turn.
const FORMS: [&str; 4] = ["openai.embeddings", "voyage.embeddings", "voyage.rerank", "jina.rerank"];

/// Members that a request of the OpenAI dialect may have.
const OF_CHAT: [&str; 15] = [
    "max_tokens",
    "max_completion_tokens",
    "stream_options",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "user",
    "store",
    "service_tier",
    "verbosity",
    "web_search_options",
    "seed",
    "random_seed",
];

/// A built-in provider with everything that its address wants filled in, and a key.
fn built_in(name: &str) -> Upstream {
    let env = |name: &str| match name {
        "GOOGLE_CLOUD_PROJECT" => Some("project".to_owned()),
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AZURE_RESOURCE_NAME" | "AZURE_FOUNDRY_RESOURCE" => Some("resource".to_owned()),
        "DATABRICKS_HOST" => Some("dbc-1.cloud.databricks.com".to_owned()),
        "CLOUDFLARE_ACCOUNT_ID" | "SNOWFLAKE_ACCOUNT" => Some("account".to_owned()),
        _ => ALL.iter().any(|profile| profile.env.contains(&name)).then(|| "key".to_owned()),
    };
    compile(&Provider::built_in(name), &env, &|_| Ok(Vec::new())).unwrap_or_else(|error| panic!("{error}"))
}

fn speech<'a>(upstream: &'a Upstream, dialect: &str) -> &'a Speech {
    let mut all = upstream.speaks.iter();
    all.find(|speech| speech.dialect == dialect).unwrap_or_else(|| panic!("{upstream:?} lacks {dialect}"))
}

/// The request as a provider gets it, in OpenAI chat completions.
fn sent(name: &str, request: &str) -> String {
    let upstream = built_in(name);
    let dialect = lockgate_dialect::by_name("openai.chat").unwrap();
    let turn = dialect.peek(Bytes::copy_from_slice(request.as_bytes()), None).unwrap();
    let prepared = dialect.prepare(&turn, "m", &speech(&upstream, "openai.chat").quirks);
    String::from_utf8(prepared.body.join().to_vec()).unwrap()
}

#[test]
fn there_are_enough_and_the_list_is_in_order() {
    assert!(ALL.len() >= 45, "{}", ALL.len());
    for pair in ALL.windows(2) {
        assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
    }
}

#[test]
fn every_profile_is_complete() {
    for profile in ALL {
        let name = profile.name;
        let local = profile.base_url.starts_with("http://127.0.0.1:");
        assert!(profile.base_url.starts_with("https://") || (local && profile.keyless), "{name}");
        for url in profile.elsewhere.iter().map(|(_, url)| *url).chain([profile.base_url]) {
            assert!(!url.ends_with('/') && !url.contains(['?', '#', '@']), "{name}: {url}");
            let path = |url: &'static str| url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
            let [path, usual] = [url, profile.base_url].map(|url| path(url).map(|(_, path)| path));
            assert_eq!(path, usual, "{name}: the path is the same in every region");
        }
        assert!(!profile.env.is_empty(), "{name}");
        assert!(profile.elsewhere.is_empty() || profile.blanks.iter().any(|b| b.name == "region"), "{name}");
        for blank in profile.blanks {
            assert!(["region", "project", "resource", "account"].contains(&blank.name), "{name}");
            assert!(blank.default.is_some() || !blank.env.is_empty(), "{name}: {}", blank.name);
        }
        for spoken in profile.speaks {
            let dialect = spoken.dialect;
            assert!(DIALECTS.contains(&dialect) || FORMS.contains(&dialect), "{name}: {dialect}");
            assert!(
                spoken.at.is_none_or(|at| at.starts_with('/') && !at.ends_with('/')),
                "{name}: {dialect}"
            );
            assert!(spoken.paths.is_none_or(|both| both.iter().all(|path| path.starts_with('/'))), "{name}");
            for header in spoken.headers.iter().map(|(header, _)| header) {
                assert_eq!(*header, header.to_lowercase(), "{name}");
            }
            for (member, json) in spoken.add {
                assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{name}: {member}");
            }
            let known = |member: &&str| dialect != "openai.chat" || OF_CHAT.contains(member);
            assert!(spoken.drop.iter().all(known), "{name}: {:?}", spoken.drop);
            let twice = spoken.rename.iter().find(|(from, _)| spoken.drop.contains(from));
            assert_eq!(twice, None, "{name}: renamed and dropped");
        }
    }
}

#[test]
fn every_address_can_be_made_and_has_no_blank_left() {
    for profile in ALL {
        let upstream = built_in(profile.name);
        let Reach::Network(address) = &upstream.reach else { panic!("{}", profile.name) };
        assert!(!format!("{address:?}").contains('{') || !address.prefix.contains('{'), "{}", profile.name);
        assert!(!address.authority.as_str().contains('{'), "{}", profile.name);
        assert_eq!(upstream.speaks.len(), profile.speaks.len(), "{}", profile.name);
        for speech in &upstream.speaks {
            assert!(!speech.paths.prefix.as_deref().unwrap_or_default().contains('{'), "{}", profile.name);
            assert!(!speech.headers.is_empty(), "{}: {} shows no key", profile.name, speech.dialect);
            assert!(speech.headers.values().any(http::HeaderValue::is_sensitive), "{}", profile.name);
        }
    }
}

#[test]
fn no_two_providers_claim_the_same_models() {
    let mut claims = HashSet::new();
    for (profile, claim) in
        ALL.iter().flat_map(|profile| profile.claims.iter().map(move |claim| (profile, claim)))
    {
        assert!(claims.insert(claim), "{}: {claim}", profile.name);
    }
}

#[test]
fn a_dialect_that_is_for_some_models_is_not_the_only_one_that_could_be_meant() {
    for profile in ALL {
        let mut seen = HashSet::new();
        for spoken in profile.speaks {
            assert!(seen.insert((spoken.dialect, spoken.models)), "{}: {}", profile.name, spoken.dialect);
        }
    }
}

const LIMIT: &str = r#"{"model":"m","max_completion_tokens":5,"messages":[]}"#;

#[test]
fn a_limit_goes_by_the_name_that_the_provider_knows() {
    let old = r#"{"model":"m","max_tokens":5,"messages":[]}"#;
    for name in [
        "ai21",
        "baseten",
        "chutes",
        "cloudflare",
        "cohere",
        "crusoe",
        "dashscope",
        "databricks",
        "deepinfra",
        "deepseek",
        "hunyuan",
        "hyperbolic",
        "lmstudio",
        "mistral",
        "nebius",
        "novita",
        "nvidia",
        "ollama",
        "perplexity",
        "sambanova",
        "scaleway",
        "siliconflow",
        "stepfun",
        "together",
        "wandb",
        "writer",
        "zai",
    ] {
        assert_eq!(sent(name, LIMIT), old, "{name}");
    }
    for name in [
        "azure",
        "cerebras",
        "doubleword",
        "fireworks",
        "friendli",
        "github",
        "google",
        "groq",
        "huggingface",
        "inception",
        "lambda",
        "llamacpp",
        "minimax",
        "moonshot",
        "openai",
        "openrouter",
        "ovhcloud",
        "qianfan",
        "sglang",
        "snowflake",
        "venice",
        "vercel",
        "vllm",
        "volcengine",
        "xai",
    ] {
        assert_eq!(sent(name, LIMIT), LIMIT, "{name}");
    }
    assert_eq!(sent("snowflake", old), LIMIT);
}

#[test]
fn a_limit_that_is_there_by_both_names_is_not_there_twice() {
    let both = r#"{"model":"m","max_completion_tokens":5,"max_tokens":7,"messages":[]}"#;
    assert_eq!(sent("deepseek", both), both);
}

#[test]
fn members_that_are_refused_are_left_out() {
    let with = |members: &str| format!(r#"{{"model":"m","messages":[],{members}}}"#);
    let without = r#"{"model":"m","messages":[]}"#;
    for (name, members) in [
        ("cerebras", r#""frequency_penalty":1,"presence_penalty":1,"logit_bias":{}"#),
        ("groq", r#""logprobs":true,"top_logprobs":2,"logit_bias":{}"#),
        ("mistral", r#""logit_bias":{},"user":"u","store":true,"service_tier":"auto","verbosity":"low""#),
        ("mistral", r#""web_search_options":{},"stream_options":{}"#),
        ("databricks", r#""stream_options":{}"#),
    ] {
        assert_eq!(sent(name, &with(members)), without, "{name}");
        assert_eq!(sent("openai", &with(members)), with(members), "openai takes them");
    }
    assert_eq!(sent("mistral", &with(r#""seed":0"#)), with(r#""random_seed":0"#));
}

#[test]
fn usage_of_a_stream_is_asked_for_where_it_must_be() {
    let stream = r#"{"model":"m","messages":[],"stream":true}"#;
    for profile in ALL {
        let Some(chat) = profile.speaks.iter().find(|spoken| spoken.dialect == "openai.chat") else {
            continue;
        };
        let asks = sent(profile.name, stream).contains("include_usage");
        assert_eq!(asks, chat.stream_usage == StreamUsage::Ask, "{}", profile.name);
    }
    for unasked in ["databricks", "fireworks", "mistral", "openrouter", "perplexity", "together"] {
        assert_eq!(sent(unasked, stream), stream, "{unasked}");
    }
    assert!(sent("xai", stream).contains("include_usage"), "its streams report nothing unasked");
}

#[test]
fn keys_are_shown_in_the_header_that_the_dialect_wants() {
    for (name, dialect, header, value) in [
        ("openai", "openai.chat", "authorization", "Bearer key"),
        ("anthropic", "anthropic.messages", "x-api-key", "key"),
        ("azure", "openai.responses", "api-key", "key"),
        ("foundry", "anthropic.messages", "x-api-key", "key"),
        ("google", "gemini.generateContent", "x-goog-api-key", "key"),
        ("google", "openai.chat", "authorization", "Bearer key"),
        ("deepseek", "openai.chat", "authorization", "Bearer key"),
        ("deepseek", "anthropic.messages", "x-api-key", "key"),
        ("moonshot", "anthropic.messages", "authorization", "Bearer key"),
        ("bedrock", "bedrock.converse", "authorization", "Bearer key"),
        ("vertex", "anthropic.messages", "authorization", "Bearer key"),
    ] {
        let upstream = built_in(name);
        let headers = &speech(&upstream, dialect).headers;
        assert_eq!(headers[header], value, "{name} {dialect}");
        let sensitive = headers.values().filter(|value| value.is_sensitive()).count();
        assert_eq!(sensitive, 1, "{name} {dialect}: the key is shown once");
    }
    let github = built_in("github");
    assert_eq!(github.speaks[0].headers["x-github-api-version"], "2022-11-28");
    assert!(ALL.iter().any(|profile| profile.auth == Auth::Aws("bedrock")));
}

#[test]
fn dialects_beside_the_first_are_where_they_are_documented() {
    for (name, dialect, prefix) in [
        ("cohere", "openai.chat", "/compatibility/v1"),
        ("dashscope", "anthropic.messages", "/apps/anthropic/v1"),
        ("databricks", "anthropic.messages", "/serving-endpoints/anthropic/v1"),
        ("deepseek", "anthropic.messages", "/anthropic/v1"),
        ("google", "openai.chat", "/v1beta/openai"),
        ("minimax", "anthropic.messages", "/anthropic/v1"),
        ("moonshot", "anthropic.messages", "/anthropic/v1"),
        ("novita", "anthropic.messages", "/anthropic/v1"),
        ("vertex", "gemini.generateContent", "/v1/projects/project/locations/global/publishers/google"),
        ("vertex", "anthropic.messages", "/v1/projects/project/locations/global/publishers/anthropic"),
        ("vertex", "openai.chat", "/v1/projects/project/locations/global/endpoints/openapi"),
        ("zai", "anthropic.messages", "/api/anthropic/v1"),
    ] {
        let upstream = built_in(name);
        assert_eq!(speech(&upstream, dialect).paths.prefix.as_deref(), Some(prefix), "{name} {dialect}");
    }
    for (name, dialect, whole, stream) in [
        ("bedrock", "bedrock.converse", "/model/{model}/converse", "/model/{model}/converse-stream"),
        ("cohere", "cohere.chat", "/chat", "/chat"),
        ("writer", "openai.chat", "/chat", "/chat"),
        ("vertex", "anthropic.messages", "/models/{model}:rawPredict", "/models/{model}:streamRawPredict"),
        (
            "google",
            "gemini.generateContent",
            "/models/{model}:generateContent",
            "/models/{model}:streamGenerateContent?alt=sse",
        ),
    ] {
        let upstream = built_in(name);
        let paths = &speech(&upstream, dialect).paths;
        assert_eq!((paths.whole.as_deref(), paths.stream.as_deref()), (Some(whole), Some(stream)), "{name}");
    }
}

#[test]
fn claude_on_vertex_has_its_version_in_the_body_and_its_model_in_the_path() {
    let upstream = built_in("vertex");
    let claude = speech(&upstream, "anthropic.messages");
    assert_eq!(claude.quirks.drop, ["model"]);
    assert_eq!(claude.quirks.add, [("anthropic_version".to_owned(), r#""vertex-2023-10-16""#.to_owned())]);
    assert!(!claude.headers.contains_key("anthropic-version"));
}

#[test]
fn providers_without_chat_are_known_all_the_same() {
    for name in ["jina", "voyage"] {
        let upstream = built_in(name);
        assert!(!upstream.speaks.is_empty() && !upstream.claims.is_empty(), "{name}");
        assert!(
            upstream.speaks.iter().all(|speech| lockgate_dialect::by_name(speech.dialect).is_none()),
            "{name}: no dialect of chat turns"
        );
    }
}
