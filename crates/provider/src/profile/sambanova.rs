//! SambaNova Cloud.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "sambanova",
    base_url: "https://api.sambanova.ai/v1",
    env: &["SAMBANOVA_API_KEY"],
    ..Profile::OPENAI_COMPATIBLE
};
