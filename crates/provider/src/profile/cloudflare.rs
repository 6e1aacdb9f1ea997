//! Cloudflare Workers AI. `max_tokens` is the only name of the limit that it documents.

use super::{Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "cloudflare",
    base_url: "https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
    blanks: &[Blank { name: "account", env: &["CLOUDFLARE_ACCOUNT_ID"], default: None }],
    env: &["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"],
    speaks: &[Spoken::CHAT_OLD_LIMIT],
    ..Profile::OPENAI_COMPATIBLE
};
