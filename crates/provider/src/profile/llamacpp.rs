//! llama.cpp's own server.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "llamacpp",
    base_url: "http://127.0.0.1:8080/v1",
    env: &["LLAMACPP_API_KEY"],
    speaks: &[Spoken::CHAT, Spoken::RESPONSES, Spoken::MESSAGES, Spoken::COMPLETIONS],
    keyless: true,
    ..Profile::OPENAI_COMPATIBLE
};
