//! Writer, whose chat API has a path of its own. `max_tokens` is the only name of the limit that it documents.

use super::{Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "writer",
    base_url: "https://api.writer.com/v1",
    env: &["WRITER_API_KEY"],
    speaks: &[Spoken { paths: Some(["/chat", "/chat"]), ..Spoken::CHAT_OLD_LIMIT }],
    claims: &["palmyra-*"],
    ..Profile::OPENAI_COMPATIBLE
};
