//! Amazon Bedrock, by its Converse API.

use lockgate_core::upstream::StreamUsage;

use super::{Auth, Blank, Profile, Spoken};

pub(super) const PROFILE: Profile = Profile {
    name: "bedrock",
    base_url: "https://bedrock-runtime.{region}.amazonaws.com",
    elsewhere: &[("cn-*", "https://bedrock-runtime.{region}.amazonaws.com.cn")],
    blanks: &[Blank { name: "region", env: &["AWS_REGION", "AWS_DEFAULT_REGION"], default: None }],
    env: &["AWS_BEARER_TOKEN_BEDROCK"],
    auth: Auth::Aws("bedrock"),
    speaks: &[Spoken { dialect: "bedrock.converse", paths: Some(["/model/{model}/converse", "/model/{model}/converse-stream"]), stream_usage: StreamUsage::Always, ..Spoken::CHAT }],
    ..Profile::OPENAI_COMPATIBLE
};
