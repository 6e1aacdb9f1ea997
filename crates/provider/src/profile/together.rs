//! Together AI. Its streams report usage unasked.

use lockgate_core::upstream::StreamUsage;

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "together",
    base_url: "https://api.together.ai/v1",
    env: &["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"],
    stream_usage: StreamUsage::Always,
    ..Profile::OPENAI_COMPATIBLE
};
