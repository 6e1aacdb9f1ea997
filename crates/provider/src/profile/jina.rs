//! Jina AI: embeddings and reranking, no chat. The form of its vectors is told by `embedding_type`.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "jina",
    base_url: "https://api.jina.ai/v1",
    env: &["JINA_API_KEY", "JINA_AI_API_KEY"],
    speaks: &[Spoken { rename: &[("encoding_format", "embedding_type")], ..Spoken::of("openai.embeddings") }, Spoken::of("jina.rerank")],
    claims: &["jina-*"],
    ..Profile::OPENAI_COMPATIBLE
};
