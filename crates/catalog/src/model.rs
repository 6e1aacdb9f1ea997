//! A model at a provider: what it can do, how much fits, until when.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::price::Prices;

/// A model at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The provider, by its name in the configuration.
    pub provider: Arc<str>,
    /// The model as the provider's API wants it.
    pub id: Box<str>,
    /// A region, size or quality that is priced apart; usually none.
    pub variant: Option<Box<str>>,
    /// What it is for.
    pub mode: Mode,
    /// Whether nothing is charged for it.
    pub free: bool,
    /// What goes in.
    pub input: Modalities,
    /// What comes out.
    pub output: Modalities,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How much fits.
    pub limits: Limits,
    /// Dimensions of its embeddings.
    pub dimensions: Option<NonZeroU32>,
    /// The day of its release.
    pub released: Option<Day>,
    /// The day from which on it is gone.
    pub retires: Option<Day>,
    /// Surcharges for where it is processed.
    pub uplift: Uplift,
    /// Where this comes from.
    pub origin: Origin,
    /// What it costs.
    pub prices: Prices,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Conversation.
    #[default]
    Chat,
    /// Conversation through OpenAI's Responses only.
    Responses,
    /// Continuation of a text.
    Completion,
    /// Vectors of texts.
    Embedding,
    /// Order of texts by a query.
    Rerank,
    /// Images from text.
    Image,
    /// Images from images.
    ImageEdit,
    /// Speech from text.
    Speech,
    /// Text from speech.
    Transcription,
    /// Judgement of content.
    Moderation,
    /// Moving images.
    Video,
    /// Speech in both directions at once.
    Realtime,
    /// Text from pages.
    Ocr,
    /// Search of the web.
    Search,
    /// Anything else.
    Other,
}

/// Kinds of content, as a set.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Modalities(u8);

/// One kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Modality {
    /// Text.
    Text,
    /// Still images.
    Image,
    /// Sound.
    Audio,
    /// Moving images.
    Video,
    /// Documents, such as PDF.
    File,
}

/// Abilities, as a set. One that is not in it is not known to be there.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Capabilities(u16);

/// One ability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Capability {
    /// Calls tools.
    Tools,
    /// Calls several tools at once.
    ParallelTools,
    /// Can be told which tool to call.
    ToolChoice,
    /// Answers by a JSON schema.
    StructuredOutput,
    /// Knows system messages.
    SystemMessages,
    /// Sees images.
    Vision,
    /// Reasons before it answers.
    Reasoning,
    /// Its prompts can be cached.
    PromptCache,
    /// Searches the web by itself.
    WebSearch,
    /// Reads PDF.
    Pdf,
    /// Hears.
    AudioInput,
    /// Speaks.
    AudioOutput,
    /// Sees video.
    VideoInput,
    /// Operates a computer.
    ComputerUse,
    /// Continues an answer that was begun for it.
    Prefill,
}

/// How many tokens fit. What is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Input and output together.
    pub context: Option<NonZeroU32>,
    /// Input.
    pub input: Option<NonZeroU32>,
    /// Output.
    pub output: Option<NonZeroU32>,
}

/// Surcharges on token prices, in thousandths of the price; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uplift {
    /// For processing in the United States only.
    pub us: u16,
    /// For processing in the European Union only.
    pub eu: u16,
    /// For a regional endpoint.
    pub regional: u16,
}

/// Where a row comes from. The names are in the catalogue's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The letter of the package; 0 for the configuration.
    pub package: u8,
    /// The place of the cited address in the head's list.
    pub source: Option<u16>,
    /// The day of the price, where the package has one for the row.
    pub day: Option<Day>,
}

/// A day, month or year.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NonZeroU32);

const MODES: [(Mode, &str); 15] = [
    (Mode::Chat, "chat"),
    (Mode::Responses, "responses"),
    (Mode::Completion, "completion"),
    (Mode::Embedding, "embedding"),
    (Mode::Rerank, "rerank"),
    (Mode::Image, "image"),
    (Mode::ImageEdit, "image_edit"),
    (Mode::Speech, "speech"),
    (Mode::Transcription, "transcription"),
    (Mode::Moderation, "moderation"),
    (Mode::Video, "video"),
    (Mode::Realtime, "realtime"),
    (Mode::Ocr, "ocr"),
    (Mode::Search, "search"),
    (Mode::Other, "other"),
];

const MODALITIES: [(Modality, u8, &str); 5] = [
    (Modality::Text, b't', "text"),
    (Modality::Image, b'i', "image"),
    (Modality::Audio, b'a', "audio"),
    (Modality::Video, b'v', "video"),
    (Modality::File, b'f', "file"),
];

const CAPABILITIES: [(Capability, u8, &str); 15] = [
    (Capability::Tools, b't', "tools"),
    (Capability::ParallelTools, b'p', "parallel_tools"),
    (Capability::ToolChoice, b'c', "tool_choice"),
    (Capability::StructuredOutput, b's', "structured_output"),
    (Capability::SystemMessages, b'y', "system_messages"),
    (Capability::Vision, b'v', "vision"),
    (Capability::Reasoning, b'r', "reasoning"),
    (Capability::PromptCache, b'k', "prompt_cache"),
    (Capability::WebSearch, b'w', "web_search"),
    (Capability::Pdf, b'f', "pdf"),
    (Capability::AudioInput, b'a', "audio_input"),
    (Capability::AudioOutput, b'o', "audio_output"),
    (Capability::VideoInput, b'd', "video_input"),
    (Capability::ComputerUse, b'u', "computer_use"),
    (Capability::Prefill, b'x', "prefill"),
];

// === impl Model ===

impl Model {
    /// A model of which nothing is known but its name.
    pub fn unknown(provider: Arc<str>, id: &str) -> Self {
        Self {
            provider,
            id: id.into(),
            variant: None,
            mode: Mode::default(),
            free: false,
            input: Modalities::default(),
            output: Modalities::default(),
            capabilities: Capabilities::default(),
            limits: Limits::default(),
            dimensions: None,
            released: None,
            retires: None,
            uplift: Uplift::default(),
            origin: Origin::default(),
            prices: Prices::default(),
        }
    }

    /// Whether a conversation with it can be priced: it is free, or input and output have a price.
    pub fn is_priced(&self) -> bool {
        use crate::price::Bucket::{Input, Output};
        self.free || (self.prices.standard(Input).is_some() && self.prices.standard(Output).is_some())
    }

    /// What the catalogue is sorted by.
    pub(crate) fn key(&self) -> (&str, &str, &str) {
        (&self.provider, &self.id, self.variant.as_deref().unwrap_or_default())
    }
}

// === impl Mode ===

impl Mode {
    /// Its name in the data and to a person.
    pub fn name(self) -> &'static str {
        MODES[self as usize].1
    }

    /// The mode of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        MODES.iter().find(|(_, known)| *known == name).map(|(mode, _)| *mode)
    }

    /// Whether it answers in conversation or continues text.
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Chat | Self::Responses | Self::Completion)
    }
}

// === impl Modalities ===

impl Modalities {
    /// Whether it has this one.
    pub const fn has(self, one: Modality) -> bool {
        self.0 & (1 << one as u8) != 0
    }

    /// Whether nothing is known.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of those that it has.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        MODALITIES.iter().filter(move |(one, ..)| self.has(*one)).map(|(_, _, name)| *name)
    }

    /// The set of the data's letters; `None` if one is not known.
    pub(crate) fn from_letters(letters: &str) -> Option<Self> {
        letters.bytes().try_fold(Self::default(), |set, letter| {
            let (one, ..) = MODALITIES.iter().find(|(_, known, _)| *known == letter)?;
            Some(Self(set.0 | 1 << *one as u8))
        })
    }
}

impl FromIterator<Modality> for Modalities {
    fn from_iter<I: IntoIterator<Item = Modality>>(iter: I) -> Self {
        Self(iter.into_iter().fold(0, |set, one| set | 1 << one as u8))
    }
}

impl fmt::Debug for Modalities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

// === impl Capabilities ===

impl Capabilities {
    /// Whether it has this one.
    pub const fn has(self, one: Capability) -> bool {
        self.0 & (1 << one as u8) != 0
    }

    /// The same set with one more.
    #[must_use]
    pub const fn with(self, one: Capability) -> Self {
        Self(self.0 | 1 << one as u8)
    }

    /// The same set without one.
    #[must_use]
    pub const fn without(self, one: Capability) -> Self {
        Self(self.0 & !(1 << one as u8))
    }

    /// The names of those that it has.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        CAPABILITIES.iter().filter(move |(one, ..)| self.has(*one)).map(|(_, _, name)| *name)
    }

    /// The set of the data's letters; `None` if one is not known.
    pub(crate) fn from_letters(letters: &str) -> Option<Self> {
        letters.bytes().try_fold(Self::default(), |set, letter| {
            let (one, ..) = CAPABILITIES.iter().find(|(_, known, _)| *known == letter)?;
            Some(set.with(*one))
        })
    }
}

impl Capability {
    /// The capability of a name, as [`Capabilities::names`] has them.
    pub fn from_name(name: &str) -> Option<Self> {
        CAPABILITIES.iter().find(|(.., known)| *known == name).map(|(one, ..)| *one)
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

// === impl Day ===

impl Day {
    /// Reads `2026-11-21`, `2026-11` or `2026`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let mut part = |digits: usize, most: u32| -> Option<u32> {
            let Some(text) = parts.next() else { return Some(0) };
            let good = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
            let number: u32 = good.then(|| text.parse().ok()).flatten()?;
            (1..=most).contains(&number).then_some(number)
        };
        let (year, month, day) = (part(4, 9_999)?, part(2, 12)?, part(2, 31)?);
        NonZeroU32::new(year * 10_000 + month * 100 + day).map(Self)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = (self.0.get() / 10_000, self.0.get() / 100 % 100, self.0.get() % 100);
        match (month, day) {
            (0, _) => write!(f, "{year:04}"),
            (_, 0) => write!(f, "{year:04}-{month:02}"),
            _ => write!(f, "{year:04}-{month:02}-{day:02}"),
        }
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_the_order_of_their_types() {
        assert!(MODES.iter().enumerate().all(|(place, (mode, _))| *mode as usize == place));
        assert!(CAPABILITIES.iter().enumerate().all(|(place, (one, ..))| *one as usize == place));
        assert!(MODALITIES.iter().enumerate().all(|(place, (one, ..))| *one as usize == place));
    }

    #[test]
    fn sets_are_read_by_letters() {
        let set = Capabilities::from_letters("txr").expect("known letters");
        assert_eq!(set.names().collect::<Vec<_>>(), ["tools", "reasoning", "prefill"]);
        assert!(!set.without(Capability::Tools).has(Capability::Tools));
        assert_eq!(Capabilities::from_letters("t?"), None);
        assert_eq!(Modalities::from_letters("z"), None);
        assert_eq!(Modalities::from_letters("vt").map(|m| m.names().collect()), Some(vec!["text", "video"]));
    }

    #[test]
    fn days_may_lack_their_end() {
        for text in ["2026-11-21", "2026-11", "2026"] {
            assert_eq!(Day::parse(text).map(|d| d.to_string()).as_deref(), Some(text));
        }
        for wrong in ["", "26", "2026-13", "2026-00", "2026-1-1", "2026-11-21x", "2026-11-21-1", "+026-11"] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
        assert!(Day::parse("2026-09") < Day::parse("2026-09-01"));
    }
}
