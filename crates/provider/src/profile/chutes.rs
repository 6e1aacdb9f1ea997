//! Chutes. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "chutes",
    base_url: "https://llm.chutes.ai/v1",
    env: &["CHUTES_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    ..Profile::OPENAI_COMPATIBLE
};
