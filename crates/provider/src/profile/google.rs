//! Google AI Studio (the Gemini API), by its own API and by its OpenAI-compatible door.

use super::{Auth, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "google",
    base_url: "https://generativelanguage.googleapis.com/v1beta",
    env: &["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"],
    auth: Auth::Header("x-goog-api-key"),
    speaks: &[Spoken::GEMINI, Spoken { at: Some("/v1beta/openai"), auth: Some(Auth::Bearer), ..Spoken::CHAT }],
    claims: &["gemini-*", "gemma-*"],
    ..Profile::OPENAI_COMPATIBLE
};
