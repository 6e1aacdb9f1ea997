//! Z.ai (Zhipu).

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "zai",
    base_url: "https://api.z.ai/api/paas/v4",
    env: &["ZAI_API_KEY", "ZHIPU_API_KEY"],
    claims: &["glm-*"],
    ..Profile::OPENAI_COMPATIBLE
};
