//! What is known of an endpoint when requests choose among several: facts of the catalogue and the config, handed in as
//! data, and the pulse of its health.

use std::fmt;
use std::sync::Arc;

use lockgate_core::Upstream;
use lockgate_core::decision::Class;
use lockgate_core::money::{Money, Price};

use crate::route::is_within;

/// What is known of an endpoint and does not change between two reloads. What is not known is `None`, never a guess.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Whether the catalogue or the config knows the model.
    pub known: bool,
    /// Why it may not be used at all: switched off, retired since.
    pub disabled: Option<Arc<str>>,
    /// The model's name without provider and region: what endpoints of one model have in common.
    pub family: Arc<str>,
    /// What it costs, the most special card first.
    pub cards: Arc<[Card]>,
    /// Input and output tokens that fit together.
    pub context: Option<u32>,
    /// Input tokens that fit.
    pub input: Option<u32>,
    /// Output tokens that fit.
    pub output: Option<u32>,
    /// What it can do; `None`: nothing is known.
    pub abilities: Option<Abilities>,
    /// Parameters that it refuses.
    pub refuses: Arc<[Box<str>]>,
    /// Where it processes, such as `eu` or `us-east-1`.
    pub region: Option<Arc<str>>,
    /// Whether it keeps nothing of what it is sent.
    pub zero_retention: Option<bool>,
    /// Whether it trains on what it is sent.
    pub trains: Option<bool>,
    /// How long its prompt cache keeps a prompt that is used, in seconds; `None`: it has none, or nothing is known.
    pub cache_seconds: Option<u32>,
    /// Its scores, in the order of [`Scales`].
    pub scores: Arc<[Option<Score>]>,
}

/// Prices that hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// For prompts of more than so many tokens; 0: for any.
    pub above: u64,
    /// In these spans of the week only, in minutes from Monday 00:00 UTC, the end not included; empty: always.
    pub spans: Arc<[(u16, u16)]>,
    /// For fresh input.
    pub input: Price,
    /// For output.
    pub output: Price,
    /// For input read from the prompt cache; `None`: as fresh input.
    pub cache_read: Option<Price>,
    /// For input written to the prompt cache; `None`: as fresh input.
    pub cache_write: Option<Price>,
    /// For a request, in nano-dollars.
    pub request: Money,
}

/// A score of a model in a benchmark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Between 0 and 1: 0.05 at the fifth percentile of all models, 0.95 at the ninety-fifth.
    pub value: f64,
    /// How many trials of one's own it rests on; `None`: it is published, and taken as it is.
    pub samples: Option<u32>,
}

/// The benchmarks of a snapshot, in the order of [`Facts::scores`].
#[derive(Clone, Debug, Default)]
pub struct Scales {
    /// The version of the table.
    pub version: Arc<str>,
    /// Each of them.
    pub all: Arc<[Scale]>,
}

/// One benchmark.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// Its name, such as `gpqa-diamond`.
    pub name: Arc<str>,
    /// The kind of work that it measures.
    pub class: Option<Class>,
    /// The median of all models that have a score, on the scale of [`Score::value`].
    pub median: f64,
    /// The distance of the quartiles, on the same scale.
    pub spread: f64,
}

/// What a model can do, or must be able to, as a set.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Abilities(u32);

/// One ability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ability {
    /// Calls tools.
    Tools,
    /// Answers by a JSON schema.
    Schema,
    /// Sees images.
    Images,
    /// Hears.
    Audio,
    /// Sees video.
    Video,
    /// Reads documents such as PDF.
    Files,
    /// Reasons before it answers.
    Reasoning,
    /// Searches the web by itself.
    WebSearch,
    /// Operates a computer.
    ComputerUse,
    /// Speaks.
    Speech,
    /// Makes images.
    ImageOutput,
    /// Calls several tools at once.
    ParallelTools,
    /// Continues an answer that was begun for it.
    Prefill,
    /// Its prompts can be cached.
    PromptCache,
}

/// What the parts of a snapshot know of models. The engine hands it in, as this crate reads no catalogue.
pub trait Knowledge: Send + Sync + fmt::Debug {
    /// The models of a provider whose name fits a pattern with `*`, that answer in conversation. Sorted, none twice.
    fn models(&self, upstream: &Upstream, pattern: &str) -> Vec<Arc<str>>;

    /// What is known of a model at a provider.
    fn facts(&self, upstream: &Upstream, model: &str) -> Facts;

    /// The benchmarks that scores are of.
    fn scales(&self) -> Scales;

    /// The version of the catalogue.
    fn version(&self) -> Arc<str>;
}

/// Knows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

const ABILITIES: [(Ability, &str); 14] = [
    (Ability::Tools, "tools"),
    (Ability::Schema, "structured_output"),
    (Ability::Images, "vision"),
    (Ability::Audio, "audio_input"),
    (Ability::Video, "video_input"),
    (Ability::Files, "pdf"),
    (Ability::Reasoning, "reasoning"),
    (Ability::WebSearch, "web_search"),
    (Ability::ComputerUse, "computer_use"),
    (Ability::Speech, "audio_output"),
    (Ability::ImageOutput, "image_output"),
    (Ability::ParallelTools, "parallel_tools"),
    (Ability::Prefill, "prefill"),
    (Ability::PromptCache, "prompt_cache"),
];

/// Minutes of a week.
const WEEK: u64 = 10_080;
/// 1970-01-01 was a Thursday: minutes from the Monday before.
const EPOCH: u64 = 3 * 1_440;

// === impl Ability ===

impl Ability {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        ABILITIES.iter().map(|(one, _)| *one)
    }

    /// Its name in a config, the catalogue's word for it.
    pub fn name(self) -> &'static str {
        ABILITIES[self as usize].1
    }

    /// The ability of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        ABILITIES.iter().find(|(_, known)| *known == name).map(|(one, _)| *one)
    }
}

// === impl Abilities ===

impl Abilities {
    /// Whether it has this one.
    pub const fn has(self, one: Ability) -> bool {
        self.0 & (1 << one as u8) != 0
    }

    /// The same set with one more.
    #[must_use]
    pub const fn with(self, one: Ability) -> Self {
        Self(self.0 | 1 << one as u8)
    }

    /// Those of it that are in a list.
    #[must_use]
    pub fn within<const N: usize>(self, list: [Ability; N]) -> Self {
        list.into_iter().filter(|one| self.has(*one)).collect()
    }

    /// Those of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that the other lacks.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Ability> {
        Ability::all().filter(move |one| self.has(*one))
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(Ability::name)
    }
}

impl FromIterator<Ability> for Abilities {
    fn from_iter<I: IntoIterator<Item = Ability>>(iter: I) -> Self {
        iter.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Debug for Abilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

// === impl Facts ===

impl Facts {
    /// The card that holds for a prompt of so many tokens at this time.
    pub fn card(&self, input_tokens: u64, wall_ms: u64) -> Option<&Card> {
        let minute = || ((wall_ms / 60_000 + EPOCH) % WEEK) as u16;
        self.cards.iter().find(|card| {
            (card.above == 0 || input_tokens > card.above)
                && (card.spans.is_empty() || {
                    let now = minute();
                    card.spans.iter().any(|(from, to)| (*from..*to).contains(&now))
                })
        })
    }

    /// Whether it is in a region: `eu` is `eu` and all that begins with `eu-`.
    pub fn is_in(&self, region: &str) -> bool {
        self.region.as_deref().is_some_and(|own| is_within(own, region))
    }
}

// === impl Scales ===

impl Scales {
    /// The place of a benchmark.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|scale| *scale.name == *name)
    }
}

// === impl Nothing ===

impl Knowledge for Nothing {
    fn models(&self, _: &Upstream, _: &str) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn facts(&self, _: &Upstream, model: &str) -> Facts {
        Facts { family: model.into(), ..Facts::default() }
    }

    fn scales(&self) -> Scales {
        Scales::default()
    }

    fn version(&self) -> Arc<str> {
        Arc::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abilities_are_in_the_order_of_their_type() {
        assert!(ABILITIES.iter().enumerate().all(|(place, (one, _))| *one as usize == place));
        assert!(Ability::all().all(|one| Ability::from_name(one.name()) == Some(one)));
    }

    #[test]
    fn a_region_holds_what_is_inside_it() {
        let facts = Facts { region: Some("eu-west-1".into()), ..Facts::default() };
        assert!(facts.is_in("eu") && facts.is_in("eu-west") && facts.is_in("eu-west-1"));
        assert!(!facts.is_in("e") && !facts.is_in("us") && !facts.is_in("eu-west-1a"));
        assert!(!Facts::default().is_in("eu"));
    }

    #[test]
    fn a_card_holds_for_long_prompts_and_for_hours() {
        let card = |above, spans: &[(u16, u16)], price| Card {
            above,
            spans: spans.into(),
            input: Price(price),
            ..Card::default()
        };
        // 1970-01-05 was a Monday.
        let monday = 4 * 86_400_000;
        let facts = Facts {
            cards: [card(100, &[], 3), card(0, &[(60, 120)], 1), card(0, &[], 2)].into(),
            ..Facts::default()
        };
        let price = |tokens, ms| facts.card(tokens, ms).map(|card| card.input.0);
        assert_eq!(price(101, monday), Some(3));
        assert_eq!(price(100, monday), Some(2));
        assert_eq!(price(100, monday + 60 * 60_000), Some(1));
        assert_eq!(price(100, monday + 120 * 60_000), Some(2));
    }
}
