//! DeepSeek.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "deepseek",
    base_url: "https://api.deepseek.com",
    env: &["DEEPSEEK_API_KEY"],
    claims: &["deepseek-*"],
    ..Profile::OPENAI_COMPATIBLE
};
