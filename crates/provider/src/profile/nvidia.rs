//! NVIDIA NIM, hosted. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "nvidia",
    base_url: "https://integrate.api.nvidia.com/v1",
    env: &["NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    ..Profile::OPENAI_COMPATIBLE
};
