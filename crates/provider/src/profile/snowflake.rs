//! Snowflake Cortex; the key is a programmatic access token. It knows the limit as `max_completion_tokens` only.

use super::{Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "snowflake",
    base_url: "https://{account}.snowflakecomputing.com/api/v2/cortex/v1",
    blanks: &[Blank { name: "account", env: &["SNOWFLAKE_ACCOUNT", "SNOWFLAKE_ACCOUNT_ID"], default: None }],
    env: &["SNOWFLAKE_PAT", "SNOWFLAKE_JWT"],
    speaks: &[Spoken { rename: &[("max_tokens", "max_completion_tokens")], ..Spoken::CHAT }, Spoken { models: &["claude-*"], ..Spoken::MESSAGES }],
    ..Profile::OPENAI_COMPATIBLE
};
