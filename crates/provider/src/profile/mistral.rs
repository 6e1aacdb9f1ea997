//! Mistral AI. Its streams report usage unasked, and it answers 422 to every parameter that is not among its own.

use lockgate_core::upstream::{Prefill, StreamUsage};

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "mistral",
    base_url: "https://api.mistral.ai/v1",
    env: &["MISTRAL_API_KEY"],
    speaks: &[Spoken {
        stream_usage: StreamUsage::Always,
        drop: &[
            "stream_options",
            "logit_bias",
            "user",
            "store",
            "service_tier",
            "verbosity",
            "web_search_options",
        ],
        rename: &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")],
        prefill: Prefill::Marked,
        ..Spoken::CHAT
    }],
    claims: &[
        "mistral-*",
        "ministral-*",
        "magistral-*",
        "codestral-*",
        "devstral-*",
        "pixtral-*",
        "open-mistral-*",
    ],
    ..Profile::OPENAI_COMPATIBLE
};
