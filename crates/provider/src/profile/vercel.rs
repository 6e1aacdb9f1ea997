//! Vercel AI Gateway.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "vercel",
    base_url: "https://ai-gateway.vercel.sh/v1",
    env: &["AI_GATEWAY_API_KEY"],
    speaks: &[Spoken::CHAT, Spoken::RESPONSES, Spoken::MESSAGES],
    ..Profile::OPENAI_COMPATIBLE
};
