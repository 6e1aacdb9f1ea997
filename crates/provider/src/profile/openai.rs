//! OpenAI.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "openai",
    base_url: "https://api.openai.com/v1",
    env: &["OPENAI_API_KEY"],
    speaks: &[Spoken::CHAT, Spoken::RESPONSES, Spoken::COMPLETIONS],
    claims: &[
        "gpt-*",
        "chatgpt-*",
        "o1*",
        "o3*",
        "o4*",
        "text-embedding-3-*",
        "text-embedding-ada-*",
        "omni-moderation-*",
        "text-moderation-*",
        "whisper-1",
        "tts-1*",
        "dall-e-*",
    ],
    ..Profile::OPENAI_COMPATIBLE
};
