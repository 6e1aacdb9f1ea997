//! OVHcloud AI Endpoints.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "ovhcloud",
    base_url: "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
    env: &["OVHCLOUD_API_KEY"],
    ..Profile::OPENAI_COMPATIBLE
};
