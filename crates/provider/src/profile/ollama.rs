//! Ollama.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "ollama",
    base_url: "http://127.0.0.1:11434/v1",
    env: &["OLLAMA_API_KEY"],
    keyless: true,
    ..Profile::OPENAI_COMPATIBLE
};
