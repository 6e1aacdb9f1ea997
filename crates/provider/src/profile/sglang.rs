//! SGLang's own server.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "sglang",
    base_url: "http://127.0.0.1:30000/v1",
    env: &["SGLANG_API_KEY"],
    speaks: &[Spoken::CHAT, Spoken::COMPLETIONS],
    keyless: true,
    ..Profile::OPENAI_COMPATIBLE
};
