//! Z.ai (Zhipu). `max_tokens` is the only name of the limit that it documents.

use super::{Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "zai",
    base_url: "https://api.z.ai/api/paas/v4",
    elsewhere: &[("cn", "https://open.bigmodel.cn/api/paas/v4")],
    blanks: &[Blank { name: "region", env: &[], default: Some("global") }],
    env: &["ZAI_API_KEY", "ZHIPU_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT, Spoken { at: Some("/api/anthropic/v1"), ..Spoken::MESSAGES }],
    claims: &["glm-*"],
    ..Profile::OPENAI_COMPATIBLE
};
