//! Fireworks AI. Its streams report usage unasked, in the last event.

use lockgate_core::upstream::StreamUsage;

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "fireworks",
    base_url: "https://api.fireworks.ai/inference/v1",
    env: &["FIREWORKS_API_KEY"],
    speaks: &[Spoken { stream_usage: StreamUsage::Always, ..Spoken::CHAT }, Spoken::MESSAGES, Spoken { stream_usage: StreamUsage::Always, ..Spoken::COMPLETIONS }],
    claims: &["accounts/fireworks/*"],
    ..Profile::OPENAI_COMPATIBLE
};
