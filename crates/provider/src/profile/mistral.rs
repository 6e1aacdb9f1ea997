//! Mistral AI. Its streams report usage unasked, and `stream_options` is not among its parameters.

use lockgate_core::upstream::StreamUsage;

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "mistral",
    base_url: "https://api.mistral.ai/v1",
    env: &["MISTRAL_API_KEY"],
    stream_usage: StreamUsage::Always,
    claims: &["mistral-*", "ministral-*", "magistral-*", "codestral-*", "devstral-*", "pixtral-*", "open-mistral-*"],
    ..Profile::OPENAI_COMPATIBLE
};
