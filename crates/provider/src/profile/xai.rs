//! xAI.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "xai",
    base_url: "https://api.x.ai/v1",
    env: &["XAI_API_KEY"],
    speaks: &[Spoken::CHAT, Spoken::RESPONSES],
    claims: &["grok-*"],
    ..Profile::OPENAI_COMPATIBLE
};
