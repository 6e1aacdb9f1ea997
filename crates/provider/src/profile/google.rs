//! Google AI Studio, by its OpenAI-compatible door.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "google",
    base_url: "https://generativelanguage.googleapis.com/v1beta/openai",
    env: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    claims: &["gemini-*", "gemma-*"],
    ..Profile::OPENAI_COMPATIBLE
};
