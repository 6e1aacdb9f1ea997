//! Vercel AI Gateway.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "vercel",
    base_url: "https://ai-gateway.vercel.sh/v1",
    env: &["AI_GATEWAY_API_KEY"],
    ..Profile::OPENAI_COMPATIBLE
};
