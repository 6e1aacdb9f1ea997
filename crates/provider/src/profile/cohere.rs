//! Cohere, by its own chat API and by its OpenAI-compatible door, which knows the limit as `max_tokens`.

use lockgate_core::upstream::StreamUsage;

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "cohere",
    base_url: "https://api.cohere.com/v2",
    env: &["COHERE_API_KEY", "CO_API_KEY"],
    speaks: &[Spoken { dialect: "cohere.chat", paths: Some(["/chat", "/chat"]), stream_usage: StreamUsage::Always, ..Spoken::CHAT }, Spoken { at: Some("/compatibility/v1"), ..Spoken::CHAT_OLD_LIMIT }],
    claims: &["command-*", "c4ai-*", "embed-*", "rerank-v*", "rerank-english-*", "rerank-multilingual-*"],
    ..Profile::OPENAI_COMPATIBLE
};
