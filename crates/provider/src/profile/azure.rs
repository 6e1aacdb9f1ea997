//! Azure OpenAI, and the other models of Foundry that are reached the same way: the API without dated versions, in
//! which a model is the name of a deployment.

use super::{Auth, Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "azure",
    base_url: "https://{resource}.openai.azure.com/openai/v1",
    blanks: &[Blank { name: "resource", env: &["AZURE_RESOURCE_NAME", "AZURE_OPENAI_ENDPOINT"], default: None }],
    env: &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
    auth: Auth::Header("api-key"),
    speaks: &[Spoken::CHAT, Spoken::RESPONSES, Spoken::COMPLETIONS],
    ..Profile::OPENAI_COMPATIBLE
};
