//! Fireworks AI.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "fireworks",
    base_url: "https://api.fireworks.ai/inference/v1",
    env: &["FIREWORKS_API_KEY"],
    claims: &["accounts/fireworks/*"],
    ..Profile::OPENAI_COMPATIBLE
};
