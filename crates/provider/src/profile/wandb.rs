//! W&B Inference. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "wandb",
    base_url: "https://api.inference.wandb.ai/v1",
    env: &["WANDB_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    ..Profile::OPENAI_COMPATIBLE
};
