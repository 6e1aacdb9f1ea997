//! What the models behind this dialect do differently: the dialect is one, what they take beside it is not.

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's, with major and minor version where the name says them.
    Claude(Option<(u32, u32)>),
    /// Amazon's Nova, of the first generation.
    Nova,
    /// Amazon's Nova, of the second generation.
    Nova2,
    /// OpenAI's open weights.
    GptOss,
    /// Alibaba's.
    Qwen,
    /// Another family.
    Other,
    /// The name does not say: an inference profile of the operator's own.
    Unknown,
}

/// How a model of Anthropic's is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// With a budget of tokens.
    Budget,
    /// With either.
    Either,
    /// By a level alone.
    Adaptive,
}

impl Family {
    /// The family of a model by its id.
    pub(super) fn of(model: &str) -> Self {
        let model = model.to_ascii_lowercase();
        let has = |word: &str| model.contains(word);
        if has("claude") {
            Self::Claude(version(&model))
        } else if has("nova-2") {
            Self::Nova2
        } else if has("nova") {
            Self::Nova
        } else if has("gpt-oss") {
            Self::GptOss
        } else if has("qwen") {
            Self::Qwen
        } else if model.starts_with("arn:") || !has(".") {
            Self::Unknown
        } else {
            Self::Other
        }
    }

    /// Whether it is Anthropic's.
    pub(super) const fn is_claude(self) -> bool {
        matches!(self, Self::Claude(_))
    }

    /// Whether marks of the prompt cache are taken.
    pub(super) const fn caches(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Nova | Self::Nova2 | Self::Unknown)
    }

    /// Whether the result of a tool may say that it failed.
    pub(super) const fn takes_status(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Nova | Self::Nova2 | Self::Unknown)
    }

    /// Whether a thought without a signature is taken back.
    pub(super) const fn takes_unsigned_thoughts(self) -> bool {
        matches!(self, Self::Nova2 | Self::GptOss)
    }

    /// Whether only one of temperature and nucleus may be set.
    pub(super) fn takes_one_randomness(self) -> bool {
        matches!(self, Self::Claude(Some(version)) if version >= (4, 1))
    }

    /// How it is told to think.
    pub(super) fn thinking(self) -> Thinking {
        match self {
            Self::Claude(Some(version)) if version >= (4, 7) => Thinking::Adaptive,
            Self::Claude(Some(version)) if version >= (4, 6) => Thinking::Either,
            _ => Thinking::Budget,
        }
    }
}

/// The version in an id such as `us.anthropic.claude-sonnet-4-5-20250929-v1:0` or `anthropic.claude-3-7-sonnet-…`: the
/// first number of one or two digits behind the name, and the next part if it is one too.
fn version(model: &str) -> Option<(u32, u32)> {
    let name = model.split_once("claude-").map(|(_, name)| name)?;
    let mut parts = name.split(['-', ':', '.']).skip_while(|part| number(part).is_none());
    let major = number(parts.next()?)?;
    Some((major, parts.next().and_then(number).unwrap_or(0)))
}

fn number(part: &str) -> Option<u32> {
    if part.len() > 2 { None } else { part.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_by_the_id() {
        let claude = |major, minor| Family::Claude(Some((major, minor)));
        for (model, family) in [
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", claude(4, 5)),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", claude(3, 7)),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", claude(4, 0)),
            ("us.anthropic.claude-sonnet-4-6", claude(4, 6)),
            ("anthropic.claude-v2", Family::Claude(None)),
            ("us.amazon.nova-2-lite-v1:0", Family::Nova2),
            ("amazon.nova-lite-v1:0", Family::Nova),
            ("openai.gpt-oss-120b-1:0", Family::GptOss),
            ("qwen.qwen3-32b-v1:0", Family::Qwen),
            ("us.deepseek.r1-v1:0", Family::Other),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", Family::Unknown),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
        assert_eq!(claude(4, 7).thinking(), Thinking::Adaptive);
        assert_eq!(claude(5, 0).thinking(), Thinking::Adaptive);
        assert_eq!(claude(3, 7).thinking(), Thinking::Budget);
    }
}
