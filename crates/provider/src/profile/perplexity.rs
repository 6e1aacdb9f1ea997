//! Perplexity. Every event of its streams reports usage. `max_tokens` is the only name of the limit that it documents.

use lockgate_core::upstream::StreamUsage;

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "perplexity",
    base_url: "https://api.perplexity.ai",
    env: &["PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY"],
    speaks: &[Spoken { stream_usage: StreamUsage::Always, ..Spoken::CHAT_OLD_LIMIT }],
    claims: &["sonar*"],
    ..Profile::OPENAI_COMPATIBLE
};
