//! vLLM's own server.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "vllm",
    base_url: "http://127.0.0.1:8000/v1",
    env: &["VLLM_API_KEY"],
    speaks: &[Spoken::CHAT, Spoken::RESPONSES, Spoken::MESSAGES, Spoken::COMPLETIONS],
    keyless: true,
    ..Profile::OPENAI_COMPATIBLE
};
