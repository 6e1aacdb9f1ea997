//! Scaleway Generative APIs. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "scaleway",
    base_url: "https://api.scaleway.ai/v1",
    env: &["SCW_SECRET_KEY", "SCALEWAY_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    ..Profile::OPENAI_COMPATIBLE
};
