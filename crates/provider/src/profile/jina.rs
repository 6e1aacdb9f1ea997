//! Jina AI: embeddings and reranking, no chat.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "jina",
    base_url: "https://api.jina.ai/v1",
    env: &["JINA_API_KEY", "JINA_AI_API_KEY"],
    speaks: &[],
    claims: &["jina-*"],
    ..Profile::OPENAI_COMPATIBLE
};
