//! Friendli serverless endpoints.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "friendli",
    catalog: Some("friendliai"),
    base_url: "https://api.friendli.ai/serverless/v1",
    env: &["FRIENDLI_TOKEN"],
    ..Profile::OPENAI_COMPATIBLE
};
