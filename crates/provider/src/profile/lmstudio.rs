//! LM Studio. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "lmstudio",
    base_url: "http://127.0.0.1:1234/v1",
    env: &["LMSTUDIO_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT, Spoken::RESPONSES, Spoken::MESSAGES, Spoken::COMPLETIONS],
    keyless: true,
    ..Profile::OPENAI_COMPATIBLE
};
