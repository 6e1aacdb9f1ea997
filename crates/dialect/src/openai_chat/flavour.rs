//! Where providers of this dialect say the same thing differently, or refuse what others take. By provider's name, as
//! the target has no more than that.

use crate::Losses;
use crate::neutral::CacheMark;

/// What a provider makes of the dialect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flavour {
    /// How it is told how much to think.
    pub effort: Spelling,
    /// It knows the role `developer`.
    pub developer: bool,
    /// What becomes of prompt-cache marks.
    pub caching: Caching,
    /// It takes members that OpenAI's own API does not have: `top_k`.
    pub extensions: bool,
    /// It searches the web when `web_search_options` is there, whatever the model.
    pub search: bool,
    /// OpenAI's own limits hold: four stop texts, 64 bytes of `user`.
    pub limits: bool,
    /// How documents at an address are named.
    pub documents: Documents,
    /// Ids of calls have exactly nine letters and digits.
    pub short_ids: bool,
}

/// How a provider comes to keep a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caching {
    /// It takes marks.
    Marked,
    /// It keeps every long prompt by itself, as its documentation says.
    Itself,
    /// Nobody knows.
    Unknown,
}

/// How much to think is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `reasoning_effort`.
    Effort,
    /// `reasoning: {effort, max_tokens, enabled, exclude}`.
    Object,
    /// `thinking: {type}`, with `reasoning_effort` beside it.
    Thinking,
}

/// How a document at an address is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Documents {
    /// Not at all.
    Here,
    /// As the `file_data` of a `file`.
    FileData,
    /// As a `document_url`.
    DocumentUrl,
}

/// Most providers and servers: lenient towards what they do not know.
const USUAL: Flavour = Flavour {
    effort: Spelling::Effort,
    developer: false,
    caching: Caching::Unknown,
    extensions: true,
    search: false,
    limits: false,
    documents: Documents::Here,
    short_ids: false,
};

// === impl Flavour ===

impl Flavour {
    /// Whether a prompt-cache mark is to be written. Where it is not, it may be a loss, under this name.
    pub(super) fn marks(self, mark: &CacheMark, name: &'static str, losses: &mut Losses) -> bool {
        match self.caching {
            Caching::Marked => return true,
            Caching::Itself => losses.cached_anyway(mark),
            Caching::Unknown => losses.lose(name, "nothing is known of how this provider caches"),
        }
        false
    }

    /// That of a provider.
    pub(super) fn of(provider: &str) -> Self {
        match provider {
            "openai" | "azure" | "azure-openai" | "github" | "github-models" | "github-copilot" => {
                Self { developer: true, caching: Caching::Itself, extensions: false, limits: true, ..USUAL }
            }
            "openrouter" | "vercel" | "vercel-gateway" | "litellm" => Self {
                effort: Spelling::Object,
                developer: true,
                caching: Caching::Marked,
                search: true,
                documents: Documents::FileData,
                ..USUAL
            },
            "snowflake" => Self { effort: Spelling::Object, ..USUAL },
            "deepseek" | "zai" | "zhipu" | "moonshot" => {
                Self { effort: Spelling::Thinking, caching: Caching::Itself, ..USUAL }
            }
            "volcengine" | "minimax" => Self { effort: Spelling::Thinking, ..USUAL },
            "dashscope" | "qwen" => Self { caching: Caching::Marked, ..USUAL },
            "mistral" => {
                Self { extensions: false, documents: Documents::DocumentUrl, short_ids: true, ..USUAL }
            }
            "perplexity" => Self { extensions: false, search: true, ..USUAL },
            "xai" => Self { caching: Caching::Itself, extensions: false, ..USUAL },
            "groq" | "cerebras" | "cohere" => Self { extensions: false, ..USUAL },
            _ => USUAL,
        }
    }
}
