//! StepFun. `max_tokens` is the only name of the limit that it documents.

use super::{Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "stepfun",
    base_url: "https://api.stepfun.com/v1",
    elsewhere: &[("global", "https://api.stepfun.ai/v1")],
    blanks: &[Blank { name: "region", env: &[], default: Some("cn") }],
    env: &["STEPFUN_API_KEY", "STEP_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    claims: &["step-*"],
    ..Profile::OPENAI_COMPATIBLE
};
