//! DeepSeek. `max_tokens` is the only name of the limit that it documents.

use super::{Auth, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "deepseek",
    base_url: "https://api.deepseek.com",
    env: &["DEEPSEEK_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT, Spoken { at: Some("/anthropic/v1"), auth: Some(Auth::Header("x-api-key")), ..Spoken::MESSAGES }, Spoken::RESPONSES],
    claims: &["deepseek-*"],
    ..Profile::OPENAI_COMPATIBLE
};
