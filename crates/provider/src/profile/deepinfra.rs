//! DeepInfra. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "deepinfra",
    base_url: "https://api.deepinfra.com/v1/openai",
    env: &["DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"],
    speaks: &[Spoken::CHAT_OLD_LIMIT, Spoken::COMPLETIONS],
    ..Profile::OPENAI_COMPATIBLE
};
