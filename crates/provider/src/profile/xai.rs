//! xAI.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "xai",
    base_url: "https://api.x.ai/v1",
    env: &["XAI_API_KEY"],
    claims: &["grok-*"],
    ..Profile::OPENAI_COMPATIBLE
};
