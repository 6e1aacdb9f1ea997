//! SiliconFlow. `max_tokens` is the only name of the limit that it documents.

use super::{Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "siliconflow",
    base_url: "https://api.siliconflow.com/v1",
    elsewhere: &[("cn", "https://api.siliconflow.cn/v1")],
    blanks: &[Blank { name: "region", env: &[], default: Some("global") }],
    env: &["SILICONFLOW_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT, Spoken::MESSAGES],
    ..Profile::OPENAI_COMPATIBLE
};
