//! Voyage AI: embeddings and reranking, no chat.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "voyage",
    base_url: "https://api.voyageai.com/v1",
    env: &["VOYAGE_API_KEY"],
    speaks: &[],
    claims: &["voyage-*", "rerank-2*"],
    ..Profile::OPENAI_COMPATIBLE
};
