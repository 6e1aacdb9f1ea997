//! Nebius Token Factory. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "nebius",
    base_url: "https://api.tokenfactory.nebius.com/v1",
    env: &["NEBIUS_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    ..Profile::OPENAI_COMPATIBLE
};
