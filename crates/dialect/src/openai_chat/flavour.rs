//! Where providers of this dialect say the same thing differently, or refuse what others take. By provider's name, as
//! the target has no more than that.

/// What a provider makes of the dialect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flavour {
    /// How it is told how much to think.
    pub effort: Spelling,
    /// It knows the role `developer`.
    pub developer: bool,
    /// It takes prompt-cache marks.
    pub cache_marks: bool,
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
    cache_marks: false,
    extensions: true,
    search: false,
    limits: false,
    documents: Documents::Here,
    short_ids: false,
};

// === impl Flavour ===

impl Flavour {
    /// That of a provider.
    pub(super) fn of(provider: &str) -> Self {
        match provider {
            "openai" | "azure" | "azure-openai" | "github" | "github-models" | "github-copilot" => {
                Self { developer: true, extensions: false, limits: true, ..USUAL }
            }
            "openrouter" | "vercel" | "vercel-gateway" | "litellm" => Self {
                effort: Spelling::Object,
                developer: true,
                cache_marks: true,
                search: true,
                documents: Documents::FileData,
                ..USUAL
            },
            "snowflake" => Self { effort: Spelling::Object, ..USUAL },
            "deepseek" | "zai" | "zhipu" | "moonshot" | "volcengine" | "minimax" => {
                Self { effort: Spelling::Thinking, ..USUAL }
            }
            "dashscope" | "qwen" => Self { cache_marks: true, ..USUAL },
            "mistral" => {
                Self { extensions: false, documents: Documents::DocumentUrl, short_ids: true, ..USUAL }
            }
            "perplexity" => Self { extensions: false, search: true, ..USUAL },
            "groq" | "xai" | "cerebras" | "cohere" => Self { extensions: false, ..USUAL },
            _ => USUAL,
        }
    }
}
