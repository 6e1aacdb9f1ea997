//! Ollama. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "ollama",
    base_url: "http://127.0.0.1:11434/v1",
    env: &["OLLAMA_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT, Spoken::RESPONSES, Spoken::MESSAGES, Spoken::COMPLETIONS],
    keyless: true,
    ..Profile::OPENAI_COMPATIBLE
};
