//! Doubleword.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "doubleword",
    base_url: "https://api.doubleword.ai/v1",
    env: &["DOUBLEWORD_API_KEY"],
    ..Profile::OPENAI_COMPATIBLE
};
