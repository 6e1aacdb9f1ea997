//! Databricks Model Serving; the resource is the host of the workspace. Its streams report usage unasked, and some of
//! its models answer 400 to `stream_options`. `max_tokens` is the only name of the limit that it documents.

use lockgate_core::upstream::StreamUsage;

use super::{Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "databricks",
    base_url: "https://{resource}/serving-endpoints",
    blanks: &[Blank { name: "resource", env: &["DATABRICKS_HOST"], default: None }],
    env: &["DATABRICKS_TOKEN"],
    speaks: &[Spoken { stream_usage: StreamUsage::Always, drop: &["stream_options"], ..Spoken::CHAT_OLD_LIMIT }, Spoken { at: Some("/serving-endpoints/anthropic/v1"), models: &["databricks-claude-*"], ..Spoken::MESSAGES }],
    ..Profile::OPENAI_COMPATIBLE
};
