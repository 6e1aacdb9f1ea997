//! Claude in Microsoft Foundry.

use super::{Auth, Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "foundry",
    catalog: Some("azure"),
    base_url: "https://{resource}.services.ai.azure.com/anthropic/v1",
    blanks: &[Blank { name: "resource", env: &["AZURE_FOUNDRY_RESOURCE", "ANTHROPIC_FOUNDRY_RESOURCE"], default: None }],
    env: &["AZURE_FOUNDRY_API_KEY", "ANTHROPIC_FOUNDRY_API_KEY"],
    auth: Auth::Header("x-api-key"),
    speaks: &[Spoken::MESSAGES],
    ..Profile::OPENAI_COMPATIBLE
};
