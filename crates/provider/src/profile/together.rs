//! Together AI. Its streams report usage unasked. `max_tokens` is the only name of the limit that it documents.

use lockgate_core::upstream::StreamUsage;

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "together",
    base_url: "https://api.together.ai/v1",
    env: &["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"],
    speaks: &[Spoken { stream_usage: StreamUsage::Always, ..Spoken::CHAT_OLD_LIMIT }, Spoken { stream_usage: StreamUsage::Always, ..Spoken::COMPLETIONS }],
    ..Profile::OPENAI_COMPATIBLE
};
