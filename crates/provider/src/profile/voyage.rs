//! Voyage AI: embeddings and reranking, no chat.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "voyage",
    base_url: "https://api.voyageai.com/v1",
    env: &["VOYAGE_API_KEY"],
    speaks: &[Spoken::of("voyage.embeddings"), Spoken::of("voyage.rerank")],
    claims: &["voyage-*", "rerank-1*", "rerank-2*", "rerank-lite-1"],
    ..Profile::OPENAI_COMPATIBLE
};
