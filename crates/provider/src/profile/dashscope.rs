//! Qwen on Alibaba Cloud Model Studio (DashScope). A key is good for one region. `max_tokens` is the only name of the
//! limit that it documents.

use super::{Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "dashscope",
    base_url: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    elsewhere: &[("cn", "https://dashscope.aliyuncs.com/compatible-mode/v1"), ("us", "https://dashscope-us.aliyuncs.com/compatible-mode/v1")],
    blanks: &[Blank { name: "region", env: &[], default: Some("intl") }],
    env: &["DASHSCOPE_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT, Spoken { at: Some("/apps/anthropic/v1"), ..Spoken::MESSAGES }],
    claims: &["qwen-*"],
    ..Profile::OPENAI_COMPATIBLE
};
