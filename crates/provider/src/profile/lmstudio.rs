//! LM Studio.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "lmstudio",
    base_url: "http://127.0.0.1:1234/v1",
    env: &["LMSTUDIO_API_KEY"],
    keyless: true,
    ..Profile::OPENAI_COMPATIBLE
};
