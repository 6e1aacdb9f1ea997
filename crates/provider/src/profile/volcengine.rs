//! ByteDance Volcengine Ark.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "volcengine",
    base_url: "https://ark.cn-beijing.volces.com/api/v3",
    env: &["ARK_API_KEY", "VOLCENGINE_API_KEY"],
    speaks: &[Spoken::CHAT, Spoken::RESPONSES],
    claims: &["doubao-*"],
    ..Profile::OPENAI_COMPATIBLE
};
