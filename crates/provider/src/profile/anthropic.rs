//! Anthropic.

use super::{Auth, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "anthropic",
    base_url: "https://api.anthropic.com/v1",
    env: &["ANTHROPIC_API_KEY"],
    auth: Auth::Header("x-api-key"),
    speaks: &[Spoken::MESSAGES],
    claims: &["claude-*"],
    ..Profile::OPENAI_COMPATIBLE
};
