//! Baidu Qianfan.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "qianfan",
    base_url: "https://qianfan.baidubce.com/v2",
    env: &["QIANFAN_API_KEY"],
    claims: &["ernie-*"],
    ..Profile::OPENAI_COMPATIBLE
};
