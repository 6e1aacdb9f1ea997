//! Lambda Inference.

use super::Profile;

pub(super) const PROFILE: Profile = Profile {
    name: "lambda",
    base_url: "https://api.lambda.ai/v1",
    env: &["LAMBDA_API_KEY"],
    ..Profile::OPENAI_COMPATIBLE
};
