//! What is known of each built-in provider.

use lockgate_core::upstream::StreamUsage;

/// A provider as data.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Its name in configs and targets.
    pub name: &'static str,
    /// Where its API is; the dialect's paths are appended.
    pub base_url: &'static str,
    /// Environment variables that its users keep their key in; the first that is set counts.
    pub env: &'static [&'static str],
    /// How the key is shown.
    pub auth: Auth,
    /// The dialect that it speaks.
    pub dialect: &'static str,
    /// Whether a stream must be asked for its usage.
    pub stream_usage: StreamUsage,
    /// Plain model names that are its own, as patterns with `*` at the end.
    pub claims: &'static [&'static str],
    /// Members of a request that it refuses.
    pub drop: &'static [&'static str],
    /// Members of a request that it knows by another name.
    pub rename: &'static [(&'static str, &'static str)],
    /// Whether it works without a key, as local servers do.
    pub keyless: bool,
}

/// How a key is shown to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// A header of its own that holds the key alone.
    Header(&'static str),
}

/// One line a provider; the file of the same name holds its `PROFILE`.
macro_rules! profiles {
    ($($name:ident)*) => {
        $(mod $name;)*

        /// Every built-in provider that is reached over the network, by name.
        pub const ALL: &[Profile] = &[$($name::PROFILE,)*];
    };
}

profiles! {
    cerebras
    deepseek
    doubleword
    fireworks
    google
    groq
    huggingface
    llamacpp
    lmstudio
    mistral
    ollama
    openai
    openrouter
    perplexity
    sambanova
    together
    venice
    vercel
    vllm
    xai
    zai
}

/// The built-in provider of this name.
pub fn by_name(name: &str) -> Option<&'static Profile> {
    ALL.iter().find(|profile| profile.name == name)
}

impl Profile {
    /// What is true of most OpenAI-compatible providers; a profile states where it differs.
    pub const OPENAI_COMPATIBLE: Self = Self {
        name: "openai-compatible",
        base_url: "",
        env: &[],
        auth: Auth::Bearer,
        dialect: "openai.chat",
        stream_usage: StreamUsage::Ask,
        claims: &[],
        drop: &[],
        rename: &[],
        keyless: false,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_every_profile_is_complete() {
        for pair in ALL.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
        }
        for profile in ALL {
            assert!(
                profile.base_url.starts_with("http") && !profile.base_url.ends_with('/'),
                "{}",
                profile.name
            );
            assert!(profile.keyless || !profile.env.is_empty(), "{}", profile.name);
            assert!(lockgate_dialect::by_name(profile.dialect).is_some(), "{}", profile.name);
        }
    }
}
