//! OpenRouter. Its streams report usage unasked.

use lockgate_core::upstream::StreamUsage;

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "openrouter",
    base_url: "https://openrouter.ai/api/v1",
    env: &["OPENROUTER_API_KEY"],
    speaks: &[Spoken { stream_usage: StreamUsage::Always, ..Spoken::CHAT }, Spoken::RESPONSES, Spoken::MESSAGES],
    ..Profile::OPENAI_COMPATIBLE
};
