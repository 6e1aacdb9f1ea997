//! Hyperbolic. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "hyperbolic",
    base_url: "https://api.hyperbolic.xyz/v1",
    env: &["HYPERBOLIC_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    ..Profile::OPENAI_COMPATIBLE
};
