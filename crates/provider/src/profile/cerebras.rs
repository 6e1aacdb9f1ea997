//! Cerebras Inference.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "cerebras",
    base_url: "https://api.cerebras.ai/v1",
    env: &["CEREBRAS_API_KEY"],
    ..Profile::OPENAI_COMPATIBLE
};
