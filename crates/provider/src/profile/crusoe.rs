//! Crusoe Managed Inference. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "crusoe",
    base_url: "https://api.inference.crusoecloud.com/v1",
    env: &["CRUSOE_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    ..Profile::OPENAI_COMPATIBLE
};
