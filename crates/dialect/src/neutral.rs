//! What dialects have in common: the hub that each of them reads into and writes from.
//!
//! A dialect is never translated into another directly. What only one dialect has travels as [`Native`] and comes out
//! again only in that dialect; anywhere else it is a loss, and is reported as one.

use std::borrow::Cow;

use lockgate_core::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::seal::Seal;
use crate::tied::Tied;

/// JSON that passes as it is: schemas, and what only one dialect knows.
pub type Raw = Box<RawValue>;

// === asking ===

/// A request of a chat turn. The model and whether to stream are not here: the target says the one, the turn the other.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The conversation. System texts stand where the client put them; a dialect with one place for them collects them.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether and what it must call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tools: Option<bool>,
    /// The form of the answer.
    pub output: Output,
    /// How much to think.
    pub reasoning: Option<Effort>,
    /// The most output tokens, reasoning included.
    pub max_output: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Answers asked for; `None` is one.
    pub choices: Option<u64>,
    /// Log probabilities, with so many alternatives a token; `Some(0)` is none but the chosen.
    pub logprobs: Option<u64>,
    /// Randomness, 0 to 2 (some providers: to 1).
    pub temperature: Option<Number>,
    /// Nucleus, 0 to 1.
    pub top_p: Option<Number>,
    /// The most likely tokens that count.
    pub top_k: Option<u64>,
    /// −2 to 2.
    pub frequency_penalty: Option<Number>,
    /// −2 to 2.
    pub presence_penalty: Option<Number>,
    /// For answers that repeat.
    pub seed: Option<i64>,
    /// `auto`, `default`, `flex`, `priority`, …, as the provider names it.
    pub service_tier: Option<String>,
    /// The end user, opaque.
    pub user: Option<String>,
    /// Which requests share a prompt cache.
    pub cache_key: Option<String>,
    /// How long the provider keeps a prompt in its cache: `in_memory`, `24h`. A wish about cost, so where there is none it
    /// is left out without a word.
    pub cache_retention: Option<String>,
    /// `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// Labels of the client's own, an object of texts.
    pub metadata: Option<Raw>,
    /// Members that only one dialect has, by their names.
    pub native: Vec<Native>,
    /// The same, where no other dialect needs them: left out there without a word.
    pub hints: Vec<Native>,
    /// What ties the request to its dialect, as with state that only that provider has.
    pub tied: Option<Tied>,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

/// Who speaks. Results of calls are parts of a user's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator.
    System,
    /// The operator, in the newer wording of one dialect.
    Developer,
    /// The user, or what runs the tools.
    User,
    /// The model.
    Assistant,
}

/// A piece of a message.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// A prompt-cache mark behind it.
    pub cache: Option<CacheMark>,
}

/// Everything up to here is worth caching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheMark {
    /// How long, as the dialects write it: `5m`, `1h`; `None` is the provider's default.
    pub ttl: Option<String>,
}

/// What a piece of a message is.
#[derive(Clone, Debug)]
pub enum Content {
    /// Text.
    Text(Text),
    /// An image, a document, a sound or a film.
    Media(Media),
    /// The model declined.
    Refusal(String),
    /// The model thought.
    Reasoning(Reasoning),
    /// The model calls a tool.
    Call(Call),
    /// What a call came to.
    Outcome(Outcome),
    /// A block that only one dialect has: a server-side tool's call or result, and the like.
    Native(Native),
}

/// Text, and where it comes from.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Its sources.
    pub citations: Vec<Citation>,
    /// An opaque state bound to it.
    pub seal: Option<Seal>,
}

/// A source of a text.
#[derive(Clone, Debug, Default)]
pub struct Citation {
    /// Where it is.
    pub url: Option<String>,
    /// What it is called.
    pub title: Option<String>,
    /// The words that are cited.
    pub quote: Option<String>,
    /// The span of the answer that rests on it, in characters.
    pub span: Option<(u64, u64)>,
    /// The citation as its own dialect writes it.
    pub native: Option<Native>,
}

/// An image, a document, a sound or a film.
#[derive(Clone, Debug)]
pub struct Media {
    /// Which of these.
    pub kind: MediaKind,
    /// Where its bytes are.
    pub source: Source,
    /// Its media type; must be there for [`Source::Base64`].
    pub mime: Option<String>,
    /// Its file name or title.
    pub name: Option<String>,
    /// How closely to look: `auto`, `low`, `high`.
    pub detail: Option<String>,
}

/// Which kind of medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// An image.
    Image,
    /// A document: PDF, text, …
    Document,
    /// A sound.
    Audio,
    /// A film.
    Video,
}

/// Where bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here, in standard base64.
    Base64(String),
    /// Here, as plain text (documents).
    Text(String),
    /// There.
    Url(String),
    /// At the provider, under this name.
    File(String),
}

/// What the model thought.
#[derive(Clone, Debug, Default)]
pub struct Reasoning {
    /// In words, if it is shown.
    pub text: String,
    /// The words are a summary and not the thought itself.
    pub summary: bool,
    /// The provider's proof or encrypted form of it, without which it does not take the thought back.
    pub seal: Option<Seal>,
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub struct Call {
    /// Ties the call to its outcome.
    pub id: String,
    /// The tool.
    pub name: String,
    /// For a function: JSON, mostly an object, as the model wrote it, and not always valid. For a custom tool: any text.
    pub arguments: String,
    /// What kind of tool.
    pub kind: CallKind,
    /// An opaque state bound to it.
    pub seal: Option<Seal>,
}

/// What kind of tool is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallKind {
    /// A function with JSON arguments.
    #[default]
    Function,
    /// A tool that takes any text.
    Custom,
}

/// What a call came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The call's.
    pub id: String,
    /// The tool, where the client says so; [`Request::name_of`] finds it else.
    pub name: Option<String>,
    /// What it gave: text and media.
    pub parts: Vec<Part>,
    /// It failed.
    pub failed: bool,
    /// The call's.
    pub kind: CallKind,
}

/// What only one dialect has.
#[derive(Clone, Debug)]
pub struct Native {
    /// Whose it is: a dialect's name.
    pub dialect: &'static str,
    /// The member's name or the block's type.
    pub name: String,
    /// Its JSON.
    pub json: Raw,
}

/// Something the model may call.
#[derive(Clone, Debug)]
pub enum Tool {
    /// A function of the client's.
    Function(Function),
    /// A tool of the client's that takes any text.
    Custom(Custom),
    /// A search of the web by the provider; what is said of it beyond that is its dialect's.
    WebSearch(Native),
    /// Another tool by the provider.
    Native(Native),
}

/// A function of the client's.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    pub parameters: Option<Raw>,
    /// Whether the model must keep to the schema.
    pub strict: Option<bool>,
    /// A prompt-cache mark behind it.
    pub cache: Option<CacheMark>,
}

/// A tool of the client's that takes any text.
#[derive(Clone, Debug)]
pub struct Custom {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The grammar of its text.
    pub format: Option<Raw>,
}

/// Whether and what to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// Nothing.
    None,
    /// Anything, but something.
    Required,
    /// This one.
    Named(String),
    /// One of these; something must be called if `required`.
    Allowed {
        /// Something must be called.
        required: bool,
        /// What may be.
        names: Vec<String>,
    },
}

/// The form of an answer.
#[derive(Clone, Debug, Default)]
pub enum Output {
    /// Text.
    #[default]
    Text,
    /// A JSON object.
    Json,
    /// JSON after a schema.
    Schema(Schema),
}

/// A schema for an answer.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The JSON schema.
    pub schema: Raw,
    /// Whether the model must keep to it.
    pub strict: Option<bool>,
}

/// How much to think. A dialect that knows only the one of level and budget derives it from the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// `Some(false)`: not at all.
    pub enabled: Option<bool>,
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub level: Option<String>,
    /// The most tokens to think.
    pub budget: Option<u64>,
    /// The model decides how much (and `level` is a hint).
    pub adaptive: bool,
    /// Whether thoughts are to be shown, and how: `auto`, `concise`, `detailed`, or `none`.
    pub summary: Option<String>,
}

// === answering ===

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The provider's id of it.
    pub id: String,
    /// The model as the provider names it.
    pub model: String,
    /// When it was made, in Unix seconds.
    pub created: Option<u64>,
    /// What was said, in order.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: Finish,
    /// What it consumed.
    pub usage: Option<Usage>,
    /// The tokens of its text.
    pub logprobs: Vec<Logprob>,
    /// The tier that served it.
    pub service_tier: Option<String>,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was done.
    Stop,
    /// One of the client's stop texts came, this one if the provider says which.
    StopText(Option<String>),
    /// The most output tokens were reached.
    Length,
    /// The context window is full.
    ContextWindow,
    /// It waits for the outcome of calls.
    Calls,
    /// The provider's filter stepped in.
    Filtered,
    /// The model declined.
    Refused,
    /// A long turn pauses; the client sends it back to go on.
    Paused,
    /// Anything else, in the provider's word.
    Other(String),
}

/// One token of a text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Logprob {
    /// The token.
    pub token: String,
    /// Its logarithmic probability.
    pub logprob: Number,
    /// Its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
    /// What else it could have been.
    #[serde(default)]
    pub top_logprobs: Vec<Alternative>,
}

/// What a token could have been.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Alternative {
    /// The token.
    pub token: String,
    /// Its logarithmic probability.
    pub logprob: Number,
    /// Its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
}

// === streaming ===

/// A piece of a streamed answer. Readers keep this order, and writers may rely on it: `Start` is first; one block is open
/// at a time, from its `Open` to its `Close`, and `Text`, `Seal`, `Citation` and `Logprobs` belong to it; `Finish` comes
/// once, behind the last `Close`; `Usage` and `Tier` come at any time and the last one counts; `End` is last.
#[derive(Clone, Debug)]
pub enum Delta<'a> {
    /// The answer begins.
    Start {
        /// The provider's id of it.
        id: Cow<'a, str>,
        /// The model as the provider names it.
        model: Cow<'a, str>,
        /// When it was made, in Unix seconds.
        created: Option<u64>,
    },
    /// A block begins.
    Open(Block<'a>),
    /// More of the open block: text, thought, refusal, or arguments (a piece of JSON cut anywhere between characters).
    Text(Cow<'a, str>),
    /// The opaque state of the open block.
    Seal(Seal),
    /// A source of the open block.
    Citation(Citation),
    /// Tokens of the open block.
    Logprobs(Vec<Logprob>),
    /// The block ends.
    Close,
    /// What was consumed so far, or in all.
    Usage(Usage),
    /// The tier that serves it.
    Tier(Cow<'a, str>),
    /// Why the answer ended.
    Finish(Finish),
    /// Nothing more comes.
    End,
}

/// A block of a streamed answer.
#[derive(Clone, Debug)]
pub enum Block<'a> {
    /// Text.
    Text,
    /// A thought; `summary` as in [`Reasoning`].
    Reasoning {
        /// The words are a summary.
        summary: bool,
    },
    /// The model declines.
    Refusal,
    /// A call.
    Call {
        /// Ties the call to its outcome.
        id: Cow<'a, str>,
        /// The tool.
        name: Cow<'a, str>,
        /// What kind of tool.
        kind: CallKind,
    },
    /// A whole block that only one dialect has; `Close` follows at once.
    Native(Native),
}

// === impl Request ===

impl Request {
    /// The tool that a call names, looked up from its outcome.
    pub fn name_of(&self, id: &str) -> Option<&str> {
        self.messages.iter().flat_map(|message| &message.parts).find_map(|part| match &part.content {
            Content::Call(call) if call.id == id => Some(call.name.as_str()),
            _ => None,
        })
    }
}

// === impl Part ===

impl Part {
    /// A piece without a mark.
    pub const fn new(content: Content) -> Self {
        Self { content, cache: None }
    }

    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text(Text { text: text.into(), ..Text::default() }))
    }
}

// === impl Effort ===

/// Levels and the budgets that stand for them, in tokens.
const LEVELS: [(&str, u64); 6] = [
    ("minimal", 1_024),
    ("low", 2_048),
    ("medium", 8_192),
    ("high", 16_384),
    ("xhigh", 32_768),
    ("max", 65_536),
];

impl Effort {
    /// The level, or the one that the budget comes nearest to from below; `none` when thinking is off.
    pub fn level(&self) -> Option<&str> {
        if self.enabled == Some(false) || self.budget == Some(0) {
            return Some("none");
        }
        self.level.as_deref().or_else(|| {
            let budget = self.budget?;
            LEVELS
                .iter()
                .rev()
                .find(|(_, tokens)| *tokens <= budget)
                .or(LEVELS.first())
                .map(|(name, _)| *name)
        })
    }

    /// The budget, or that of the level; 0 when thinking is off.
    pub fn budget(&self) -> Option<u64> {
        if self.enabled == Some(false) || self.level.as_deref() == Some("none") {
            return Some(0);
        }
        self.budget.or_else(|| {
            let level = self.level.as_deref()?;
            LEVELS.iter().find(|(name, _)| *name == level).map(|(_, tokens)| *tokens)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_and_budget_stand_for_each_other() {
        let level = |level: &str| Effort { level: Some(level.into()), ..Effort::default() };
        let budget = |tokens| Effort { budget: Some(tokens), ..Effort::default() };
        assert_eq!(level("high").budget(), Some(16_384));
        assert_eq!(level("none").budget(), Some(0));
        assert_eq!(budget(10_000).level(), Some("medium"));
        assert_eq!(budget(1).level(), Some("minimal"));
        assert_eq!(budget(0).level(), Some("none"));
        assert_eq!(Effort { enabled: Some(false), ..level("high") }.level(), Some("none"));
        assert_eq!(level("unheard-of").budget(), None);
    }
}
