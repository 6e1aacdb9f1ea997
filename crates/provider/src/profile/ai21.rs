//! AI21. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "ai21",
    base_url: "https://api.ai21.com/studio/v1",
    env: &["AI21_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    claims: &["jamba-*"],
    ..Profile::OPENAI_COMPATIBLE
};
