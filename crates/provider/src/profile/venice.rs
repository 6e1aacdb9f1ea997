//! Venice AI.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "venice",
    base_url: "https://api.venice.ai/api/v1",
    env: &["VENICE_API_KEY"],
    ..Profile::OPENAI_COMPATIBLE
};
