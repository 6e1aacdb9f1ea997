//! Hugging Face Inference Providers.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "huggingface",
    base_url: "https://router.huggingface.co/v1",
    env: &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
    speaks: &[Spoken::CHAT, Spoken::RESPONSES],
    ..Profile::OPENAI_COMPATIBLE
};
