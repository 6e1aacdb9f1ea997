//! Inception.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "inception",
    base_url: "https://api.inceptionlabs.ai/v1",
    env: &["INCEPTION_API_KEY"],
    claims: &["mercury-*"],
    ..Profile::OPENAI_COMPATIBLE
};
