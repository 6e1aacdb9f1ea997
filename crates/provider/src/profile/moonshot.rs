//! Moonshot AI (Kimi).

use super::{Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "moonshot",
    base_url: "https://api.moonshot.ai/v1",
    elsewhere: &[("cn", "https://api.moonshot.cn/v1")],
    blanks: &[Blank { name: "region", env: &[], default: Some("global") }],
    env: &["MOONSHOT_API_KEY"],
    speaks: &[Spoken::CHAT, Spoken { at: Some("/anthropic/v1"), ..Spoken::MESSAGES }, Spoken::RESPONSES],
    claims: &["kimi-*", "moonshot-*"],
    ..Profile::OPENAI_COMPATIBLE
};
