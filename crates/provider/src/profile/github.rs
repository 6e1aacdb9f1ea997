//! GitHub Models.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "github",
    base_url: "https://models.github.ai/inference",
    env: &["GITHUB_TOKEN"],
    speaks: &[Spoken { headers: &[("x-github-api-version", "2022-11-28")], ..Spoken::CHAT }],
    ..Profile::OPENAI_COMPATIBLE
};
