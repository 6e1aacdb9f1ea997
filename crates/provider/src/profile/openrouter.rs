//! OpenRouter. Its streams report usage unasked.

use lockgate_core::upstream::StreamUsage;

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "openrouter",
    base_url: "https://openrouter.ai/api/v1",
    env: &["OPENROUTER_API_KEY"],
    stream_usage: StreamUsage::Always,
    ..Profile::OPENAI_COMPATIBLE
};
