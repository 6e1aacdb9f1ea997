//! Groq. It answers 400 to the parameters that are dropped here.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "groq",
    base_url: "https://api.groq.com/openai/v1",
    env: &["GROQ_API_KEY"],
    speaks: &[Spoken { drop: &["logprobs", "top_logprobs", "logit_bias"], ..Spoken::CHAT }, Spoken::RESPONSES],
    ..Profile::OPENAI_COMPATIBLE
};
