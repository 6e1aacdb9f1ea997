//! Google Vertex AI: Gemini and Claude by their own dialects, whose paths name the model, so that Claude wants no
//! `model` in the body; models of other publishers (`meta/...`) by an OpenAI-compatible door.

use super::{Auth, Blank, Profile, Spoken};

/// How the publishers of models begin that the OpenAI-compatible door knows.
const OF_OTHERS: &[&str] =
    &["google/*", "meta/*", "openai/*", "deepseek-ai/*", "qwen/*", "moonshotai/*", "minimaxai/*", "zai-org/*"];

pub(super) const PROFILE: Profile = Profile {
    name: "vertex",
    base_url: "https://{region}-aiplatform.googleapis.com",
    elsewhere: &[("global", "https://aiplatform.googleapis.com"), ("us", "https://aiplatform.us.rep.googleapis.com"), ("eu", "https://aiplatform.eu.rep.googleapis.com")],
    blanks: &[Blank { name: "project", env: &["GOOGLE_CLOUD_PROJECT", "GOOGLE_VERTEX_PROJECT"], default: None }, Blank { name: "region", env: &["GOOGLE_CLOUD_LOCATION", "GOOGLE_VERTEX_LOCATION"], default: Some("global") }],
    env: &["CLOUDSDK_AUTH_ACCESS_TOKEN"],
    auth: Auth::Google,
    speaks: &[Spoken { models: &["gemini-*", "text-embedding-*", "text-multilingual-embedding-*"], at: Some("/v1/projects/{project}/locations/{region}/publishers/google"), ..Spoken::GEMINI }, Spoken { models: &["claude-*"], at: Some("/v1/projects/{project}/locations/{region}/publishers/anthropic"), paths: Some(["/models/{model}:rawPredict", "/models/{model}:streamRawPredict"]), headers: &[], drop: &["model"], add: &[("anthropic_version", "\"vertex-2023-10-16\"")], ..Spoken::MESSAGES }, Spoken { models: OF_OTHERS, at: Some("/v1/projects/{project}/locations/{region}/endpoints/openapi"), ..Spoken::CHAT }],
    ..Profile::OPENAI_COMPATIBLE
};
