//! Groq.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "groq",
    base_url: "https://api.groq.com/openai/v1",
    env: &["GROQ_API_KEY"],
    ..Profile::OPENAI_COMPATIBLE
};
