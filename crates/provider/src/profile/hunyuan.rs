//! Tencent Hunyuan. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "hunyuan",
    base_url: "https://api.hunyuan.cloud.tencent.com/v1",
    env: &["HUNYUAN_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    claims: &["hunyuan-*"],
    ..Profile::OPENAI_COMPATIBLE
};
