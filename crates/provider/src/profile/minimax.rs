//! MiniMax.

use super::{Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "minimax",
    base_url: "https://api.minimax.io/v1",
    elsewhere: &[("cn", "https://api.minimaxi.com/v1")],
    blanks: &[Blank { name: "region", env: &[], default: Some("global") }],
    env: &["MINIMAX_API_KEY"],
    speaks: &[Spoken::CHAT, Spoken { at: Some("/anthropic/v1"), ..Spoken::MESSAGES }],
    claims: &["MiniMax-*"],
    ..Profile::OPENAI_COMPATIBLE
};
