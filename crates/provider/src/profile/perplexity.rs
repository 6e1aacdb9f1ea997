//! Perplexity. Every event of its streams reports usage.

use lockgate_core::upstream::StreamUsage;

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "perplexity",
    base_url: "https://api.perplexity.ai",
    env: &["PERPLEXITY_API_KEY"],
    stream_usage: StreamUsage::Always,
    claims: &["sonar*"],
    ..Profile::OPENAI_COMPATIBLE
};
