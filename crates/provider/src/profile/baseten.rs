//! Baseten Model APIs. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "baseten",
    base_url: "https://inference.baseten.co/v1",
    env: &["BASETEN_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    ..Profile::OPENAI_COMPATIBLE
};
