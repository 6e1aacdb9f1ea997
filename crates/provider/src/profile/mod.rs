//! What is known of each built-in provider.

use lockgate_core::upstream::{Prefill, StreamUsage};

/// A provider as data. In addresses and paths, `{region}`, `{project}`, `{resource}` and `{account}` stand for what its
/// user fills in.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Its name in configs and targets.
    pub name: &'static str,
    /// The name under which the catalogue has its models, if not its own.
    pub catalog: Option<&'static str>,
    /// Where its API is; the dialects' paths are appended.
    pub base_url: &'static str,
    /// Where it is in regions (a pattern with `*` at the end) that depart from that.
    pub elsewhere: &'static [(&'static str, &'static str)],
    /// What its user fills in.
    pub blanks: &'static [Blank],
    /// Environment variables that its users keep their key in; the first that is set counts.
    pub env: &'static [&'static str],
    /// How whoever calls it proves who they are.
    pub auth: Auth,
    /// The dialects of its chat models, the preferred one first; behind them forms of other operations, where they are not
    /// those that come with a dialect (OpenAI's other operations with its chat, Gemini's and Cohere's with theirs).
    pub speaks: &'static [Spoken],
    /// Plain model names that are its own, as patterns with `*` at the end.
    pub claims: &'static [&'static str],
    /// Whether it works without a key, as local servers do.
    pub keyless: bool,
}

/// A part of an address that the provider's user fills in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blank {
    /// The setting of that name: `region`, `project`, `resource` or `account`.
    pub name: &'static str,
    /// Environment variables that hold it; the first that is set counts.
    pub env: &'static [&'static str],
    /// What it is where nobody says.
    pub default: Option<&'static str>,
}

/// A dialect as a provider speaks it.
#[derive(Clone, Copy, Debug)]
pub struct Spoken {
    /// The dialect's name.
    pub dialect: &'static str,
    /// The models it is spoken for, as patterns with `*` at the end; empty is all.
    pub models: &'static [&'static str],
    /// What stands before its paths, if not the path of the base address.
    pub at: Option<&'static str>,
    /// The path of a whole answer and of a stream behind that, with `{model}`, if not the dialect's own.
    pub paths: Option<[&'static str; 2]>,
    /// How whoever calls proves who they are, if not as the profile says.
    pub auth: Option<Auth>,
    /// Headers that it demands.
    pub headers: &'static [(&'static str, &'static str)],
    /// Whether a stream must be asked for its usage. Says something in `openai.chat` and `openai.completions` alone;
    /// the streams of the others report it unasked.
    pub stream_usage: StreamUsage,
    /// Members of a request that it refuses.
    pub drop: &'static [&'static str],
    /// Members of a request that it knows by another name.
    pub rename: &'static [(&'static str, &'static str)],
    /// Members of a request that it demands, with their JSON.
    pub add: &'static [(&'static str, &'static str)],
    /// Whether it goes on with an answer that the request ends with, where the dialect does not say so itself.
    pub prefill: Prefill,
}

/// How a provider's callers prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// A header of its own that holds the key alone.
    Header(&'static str),
    /// AWS: a bearer key, else a signature (version 4) for the service of this name.
    Aws(&'static str),
    /// Google Cloud: an access token as it is, else one that is fetched for a service account or a user.
    Google,
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
    ai21
    anthropic
    azure
    baseten
    bedrock
    cerebras
    chutes
    cloudflare
    cohere
    crusoe
    dashscope
    databricks
    deepinfra
    deepseek
    doubleword
    fireworks
    foundry
    friendli
    github
    google
    groq
    huggingface
    hunyuan
    hyperbolic
    inception
    jina
    lambda
    llamacpp
    lmstudio
    minimax
    mistral
    moonshot
    nebius
    novita
    nvidia
    ollama
    openai
    openrouter
    ovhcloud
    perplexity
    qianfan
    sambanova
    scaleway
    sglang
    siliconflow
    snowflake
    stepfun
    together
    venice
    vercel
    vertex
    vllm
    volcengine
    voyage
    wandb
    writer
    xai
    zai
}

/// The built-in provider of this name.
pub fn by_name(name: &str) -> Option<&'static Profile> {
    ALL.iter().find(|profile| profile.name == name)
}

/// `max_completion_tokens` where only `max_tokens` is known: a limit that is not understood would cost money.
const OLD_LIMIT: &[(&str, &str)] = &[("max_completion_tokens", "max_tokens")];

// === impl Profile ===

impl Profile {
    /// What is true of most OpenAI-compatible providers; a profile states where it differs.
    pub const OPENAI_COMPATIBLE: Self = Self {
        name: "openai-compatible",
        catalog: None,
        base_url: "",
        elsewhere: &[],
        blanks: &[],
        env: &[],
        auth: Auth::Bearer,
        speaks: &[Spoken::CHAT],
        claims: &[],
        keyless: false,
    };

    /// An endpoint that speaks as Anthropic does.
    pub const ANTHROPIC_COMPATIBLE: Self = Self {
        name: "anthropic-compatible",
        auth: Auth::Header("x-api-key"),
        speaks: &[Spoken::MESSAGES],
        ..Self::OPENAI_COMPATIBLE
    };

    /// An endpoint that speaks as Google's Gemini API does.
    pub const GEMINI_COMPATIBLE: Self = Self {
        name: "gemini-compatible",
        auth: Auth::Header("x-goog-api-key"),
        speaks: &[Spoken::GEMINI],
        ..Self::OPENAI_COMPATIBLE
    };
}

// === impl Spoken ===

impl Spoken {
    /// OpenAI chat completions.
    pub const CHAT: Self = Self {
        dialect: "openai.chat",
        models: &[],
        at: None,
        paths: None,
        auth: None,
        headers: &[],
        stream_usage: StreamUsage::Ask,
        drop: &[],
        rename: &[],
        add: &[],
        prefill: Prefill::No,
    };

    /// A form of its own for an operation that is no chat turn, at that operation's own path.
    pub const fn of(dialect: &'static str) -> Self {
        Self { dialect, stream_usage: StreamUsage::Always, ..Self::CHAT }
    }

    /// OpenAI chat completions that know a limit by its older name only.
    pub const CHAT_OLD_LIMIT: Self = Self { rename: OLD_LIMIT, ..Self::CHAT };

    /// OpenAI's older text completions.
    pub const COMPLETIONS: Self = Self { dialect: "openai.completions", ..Self::CHAT };

    /// OpenAI responses.
    pub const RESPONSES: Self =
        Self { dialect: "openai.responses", stream_usage: StreamUsage::Always, ..Self::CHAT };

    /// Anthropic messages.
    pub const MESSAGES: Self = Self {
        dialect: "anthropic.messages",
        headers: &[("anthropic-version", "2023-06-01")],
        stream_usage: StreamUsage::Always,
        ..Self::CHAT
    };

    /// Gemini's `generateContent`.
    pub const GEMINI: Self = Self {
        dialect: "gemini.generateContent",
        paths: Some(["/models/{model}:generateContent", "/models/{model}:streamGenerateContent?alt=sse"]),
        stream_usage: StreamUsage::Always,
        ..Self::CHAT
    };
}

// === impl Auth ===

impl Auth {
    /// The provider of a cloud, whose callers may have credentials in place of a key.
    pub const fn is_cloud(self) -> bool {
        matches!(self, Self::Aws(_) | Self::Google)
    }
}
