//! Cerebras Inference. It answers 400 to the parameters that are dropped here.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "cerebras",
    base_url: "https://api.cerebras.ai/v1",
    env: &["CEREBRAS_API_KEY"],
    speaks: &[Spoken { drop: &["frequency_penalty", "presence_penalty", "logit_bias"], ..Spoken::CHAT }],
    ..Profile::OPENAI_COMPATIBLE
};
