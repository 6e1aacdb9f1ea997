//! SambaNova Cloud. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "sambanova",
    base_url: "https://api.sambanova.ai/v1",
    env: &["SAMBANOVA_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    ..Profile::OPENAI_COMPATIBLE
};
