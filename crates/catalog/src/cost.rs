//! What a request costs: disjoint buckets times prices, summed exactly, rounded once.
//!
//! A bucket with tokens and without a price makes the cost *unknown*, but where the trade has a rule. Each rule that was
//! used is to be seen in its line ([`Line::assumed`]):
//!
//! | no price for | priced as | whose rule it is |
//! |---|---|---|
//! | reasoning | output | OpenAI, Anthropic, Google: reasoning is billed as output unless a list says otherwise |
//! | cache read | input | without a listed discount a hit is billed as input (`model-prices`: "falls back to the input price") |
//! | cache write | input | where caching is automatic the first request is billed as input (Google, DeepSeek, xAI, Z.ai) |
//! | cache write, 1 h | cache write | providers that list one price for writes charge it whatever the life time |
//! | audio, images | text of that direction | Google and Mistral list "text / image / audio" as one price unless they split it |
//! | a bucket on a tier | its standard price | OpenAI: "the Batch table has no cached rate, cached input keeps the standard one" |
//! | a bucket above a threshold | its price below | lists of long prompts repeat only what changes |
//!
//! Not assumed, but unknown: any price of a tier that the model has none for, and of a tier above a threshold where only
//! the standard price is known.

use std::fmt;

use lockgate_core::money::{Bill, Price};
use lockgate_core::{Money, Usage};

use crate::model::Model;
use crate::price::{Bucket, Card, Prices, Tier};

/// What a cost depends on beside the usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The tier that the request was processed on, as the provider reports it.
    pub tier: Tier,
    /// When it was billed, in Unix milliseconds.
    pub at_ms: u64,
    /// Where it had to be processed.
    pub place: Place,
    /// The size of the context of its web searches.
    pub search: SearchSize,
    /// What is counted beside tokens. Give what the provider's report counts: tokens or seconds of one recording, not both.
    pub units: Units,
}

/// Where a request had to be processed: some providers charge for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Anywhere.
    #[default]
    Anywhere,
    /// In the United States.
    Us,
    /// In the European Union.
    Eu,
    /// At a regional endpoint.
    Regional,
}

/// The size of the context of web searches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchSize {
    /// Small.
    Low,
    /// Medium, or none stated.
    #[default]
    Medium,
    /// Large.
    High,
}

/// Counts of what is not tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// Requests, or queries of a reranker: one, unless the provider counts more.
    pub requests: u64,
    /// Images sent.
    pub images_sent: u64,
    /// Images made.
    pub images_made: u64,
    /// Seconds sent, rounded as the provider does.
    pub seconds_sent: u64,
    /// Seconds made.
    pub seconds_made: u64,
    /// Characters sent.
    pub characters_sent: u64,
    /// Characters made.
    pub characters_made: u64,
    /// Pages read.
    pub pages: u64,
}

/// What a request costs, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The sum, rounded once, half up, to nano-dollars.
    pub total: Money,
    /// The surcharge on token prices that the lines include, in thousandths.
    pub uplift: u16,
    lines: [Line; Bucket::COUNT],
    count: usize,
}

/// One bucket of a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was counted.
    pub bucket: Bucket,
    /// How much of it.
    pub units: u64,
    /// Its price, surcharges included, in nano-dollars per million.
    pub price: Price,
    /// The bucket whose price it is.
    pub priced_as: Bucket,
    /// Where that price stands.
    pub card: Card,
    /// The card that was wanted.
    pub wanted: Card,
}

/// What was assumed for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assumed {
    /// The bucket has no price and another's was taken.
    PricedAs(Bucket),
    /// The tier has no price for the bucket and the standard one was taken.
    StandardPrice,
    /// The bucket has no price above the threshold and that below was taken.
    BelowThreshold,
}

/// Why a cost is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The model has no price at all.
    Model,
    /// The model has no price on the tier.
    Tier(Tier),
    /// The tier has no price for prompts of more than so many tokens, though there is a standard one.
    LongPrompt {
        /// The tier.
        tier: Tier,
        /// The threshold.
        above: u32,
    },
    /// The bucket was used and has no price.
    Bucket(Bucket),
    /// The sum is more than can be represented.
    TooMuch,
}

const THOUSAND: u64 = 1_000;

/// What a usage of a model costs. Allocates nothing.
///
/// # Errors
///
/// Why it is not known. It is never zero in place of that.
pub fn cost(model: &Model, usage: &Usage, circumstances: &Circumstances) -> Result<Cost, Unknown> {
    let mut cost = Cost { total: Money::ZERO, uplift: 0, lines: [Line::NONE; Bucket::COUNT], count: 0 };
    if !model.free {
        cost.uplift = uplift(model, circumstances.place);
    }
    let wanted = wanted(model, usage, circumstances)?;
    let mut bill = Bill::default();
    for (bucket, units) in counts(usage, circumstances) {
        if units == 0 || (bucket == Bucket::Request && !charges_requests(model)) {
            continue;
        }
        let found =
            if model.free { Some((Price(0), bucket, wanted)) } else { find(&model.prices, wanted, bucket) };
        let (price, priced_as, card) = found.ok_or(Unknown::Bucket(bucket))?;
        let price = if bucket.is_tokens() { raised(price, cost.uplift) } else { price };
        bill.add(units, price);
        if let Some(line) = cost.lines.get_mut(cost.count) {
            *line = Line { bucket, units, price, priced_as, card, wanted };
            cost.count += 1;
        }
    }
    cost.total = bill.total().ok_or(Unknown::TooMuch)?;
    Ok(cost)
}

/// The card that the circumstances ask for.
fn wanted(model: &Model, usage: &Usage, circumstances: &Circumstances) -> Result<Card, Unknown> {
    let (prices, tier) = (&model.prices, circumstances.tier);
    if model.free {
        return Ok(Card { tier, ..Card::STANDARD });
    }
    if prices.is_empty() {
        return Err(Unknown::Model);
    }
    if !prices.has_tier(tier) {
        return Err(Unknown::Tier(tier));
    }
    let above = prices.step(usage.input_total());
    if above > 0 && !prices.has(tier, above) && prices.has(Tier::Standard, above) {
        return Err(Unknown::LongPrompt { tier, above });
    }
    Ok(Card { tier, above, window: prices.window(circumstances.at_ms) })
}

/// Every bucket with its count.
fn counts(usage: &Usage, circumstances: &Circumstances) -> [(Bucket, u64); 19] {
    let units = &circumstances.units;
    let search = match circumstances.search {
        SearchSize::Low => Bucket::SearchLow,
        SearchSize::Medium => Bucket::Search,
        SearchSize::High => Bucket::SearchHigh,
    };
    [
        (Bucket::Input, usage.input),
        (Bucket::CacheRead, usage.cache_read),
        (Bucket::CacheWrite, usage.cache_write),
        (Bucket::CacheWrite1h, usage.cache_write_1h),
        (Bucket::AudioInput, usage.audio_input),
        (Bucket::ImageInput, usage.image_input),
        (Bucket::Output, usage.output),
        (Bucket::Reasoning, usage.reasoning),
        (Bucket::AudioOutput, usage.audio_output),
        (Bucket::ImageOutput, usage.image_output),
        (search, usage.searches),
        (Bucket::Request, units.requests),
        (Bucket::ImageSent, units.images_sent),
        (Bucket::ImageMade, units.images_made),
        (Bucket::SecondSent, units.seconds_sent),
        (Bucket::SecondMade, units.seconds_made),
        (Bucket::CharacterSent, units.characters_sent),
        (Bucket::CharacterMade, units.characters_made),
        (Bucket::Page, units.pages),
    ]
}

/// Few models charge for the request itself; where none is listed there is none.
fn charges_requests(model: &Model) -> bool {
    model.prices.standard(Bucket::Request).is_some()
}

/// The price of a bucket: its own, else that of the bucket whose price the trade takes for it.
fn find(prices: &Prices, wanted: Card, bucket: Bucket) -> Option<(Price, Bucket, Card)> {
    let mut priced_as = Some(bucket);
    while let Some(named) = priced_as {
        if let Some((price, card)) = own(prices, wanted, named) {
            return Some((price, named, card));
        }
        priced_as = stands_in(named);
    }
    None
}

/// Whose price is taken for a bucket that has none.
const fn stands_in(bucket: Bucket) -> Option<Bucket> {
    match bucket {
        Bucket::Reasoning | Bucket::AudioOutput | Bucket::ImageOutput => Some(Bucket::Output),
        Bucket::CacheRead | Bucket::CacheWrite | Bucket::AudioInput | Bucket::ImageInput => {
            Some(Bucket::Input)
        }
        Bucket::CacheWrite1h => Some(Bucket::CacheWrite),
        Bucket::SearchLow | Bucket::SearchHigh => Some(Bucket::Search),
        _ => None,
    }
}

/// A bucket's own price: on the tier, from the wanted threshold down, in the window before at any time; then the standard one.
fn own(prices: &Prices, wanted: Card, bucket: Bucket) -> Option<(Price, Card)> {
    let tiers = [Some(wanted.tier), Some(Tier::Standard).filter(|_| wanted.tier != Tier::Standard)];
    for tier in tiers.into_iter().flatten() {
        let mut above = wanted.above;
        loop {
            for window in [wanted.window, None] {
                let card = Card { tier, above, window };
                if let Some(price) = prices.on(card, bucket) {
                    return Some((price, card));
                }
            }
            if above == 0 {
                break;
            }
            above = prices.step_below(tier, above);
        }
    }
    None
}

fn uplift(model: &Model, place: Place) -> u16 {
    match place {
        Place::Anywhere => 0,
        Place::Us => model.uplift.us,
        Place::Eu => model.uplift.eu,
        Place::Regional => model.uplift.regional,
    }
}

/// A price with a surcharge in thousandths, rounded half up to a nano-dollar per million.
fn raised(price: Price, uplift: u16) -> Price {
    let factor = u128::from(THOUSAND + u64::from(uplift));
    let raised = (u128::from(price.0) * factor + u128::from(THOUSAND / 2)) / u128::from(THOUSAND);
    Price(u64::try_from(raised).unwrap_or(u64::MAX))
}

// === impl Cost ===

impl Cost {
    /// Its lines: one for each bucket that was used.
    pub fn lines(&self) -> &[Line] {
        self.lines.get(..self.count).unwrap_or_default()
    }

    /// Whether any line rests on a rule of the trade in place of a listed price.
    pub fn is_assumed(&self) -> bool {
        self.lines().iter().any(|line| line.assumed().next().is_some())
    }
}

// === impl Line ===

impl Line {
    const NONE: Self = Self {
        bucket: Bucket::Input,
        units: 0,
        price: Price(0),
        priced_as: Bucket::Input,
        card: Card::STANDARD,
        wanted: Card::STANDARD,
    };

    /// What was assumed. Fees that are not for tokens are the same on every tier and length, so nothing is assumed there.
    pub fn assumed(&self) -> impl Iterator<Item = Assumed> {
        let other = (self.priced_as != self.bucket).then_some(Assumed::PricedAs(self.priced_as));
        let tokens = self.bucket.is_tokens();
        let tier = (tokens && self.card.tier != self.wanted.tier).then_some(Assumed::StandardPrice);
        let below = (tokens && self.card.above < self.wanted.above).then_some(Assumed::BelowThreshold);
        [other, tier, below].into_iter().flatten()
    }
}

// === impl Circumstances ===

impl Circumstances {
    /// The usual ones, at a moment in Unix milliseconds.
    pub fn at(at_ms: u64) -> Self {
        Self {
            tier: Tier::Standard,
            at_ms,
            place: Place::Anywhere,
            search: SearchSize::Medium,
            units: Units::default(),
        }
    }
}

/// One request and nothing else.
impl Default for Units {
    fn default() -> Self {
        Self {
            requests: 1,
            images_sent: 0,
            images_made: 0,
            seconds_sent: 0,
            seconds_made: 0,
            characters_sent: 0,
            characters_made: 0,
            pages: 0,
        }
    }
}

// === impl Unknown ===

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model => f.write_str("the model has no price"),
            Self::Tier(tier) => write!(f, "the model has no price for {} processing", tier.name()),
            Self::LongPrompt { tier, above } => {
                write!(f, "the model has no price for {} processing of more than {above} tokens", tier.name())
            }
            Self::Bucket(bucket) => write!(f, "the model has no price for {}", bucket.name()),
            Self::TooMuch => f.write_str("the cost is more than can be represented"),
        }
    }
}

impl std::error::Error for Unknown {}

impl fmt::Display for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PricedAs(bucket) => write!(f, "priced as {}", bucket.name()),
            Self::StandardPrice => f.write_str("at the standard price"),
            Self::BelowThreshold => f.write_str("at the price of shorter prompts"),
        }
    }
}

#[cfg(test)]
mod tests;
