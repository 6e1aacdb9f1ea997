//! Novita AI. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "novita",
    base_url: "https://api.novita.ai/openai",
    env: &["NOVITA_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT, Spoken { at: Some("/anthropic/v1"), ..Spoken::MESSAGES }],
    ..Profile::OPENAI_COMPATIBLE
};
