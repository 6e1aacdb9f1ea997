//! Prices of one model: per bucket, and by where they hold (tier, length of the prompt, hours of the week).

use lockgate_core::money::Price;

/// What is counted and paid for. The first ten are tokens; a price is always for a million of its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Bucket {
    /// Fresh input tokens.
    Input,
    /// Visible output tokens.
    Output,
    /// Input tokens read from the prompt cache.
    CacheRead,
    /// Input tokens written to the prompt cache, for minutes.
    CacheWrite,
    /// Input tokens written to the prompt cache for an hour or longer.
    CacheWrite1h,
    /// Output tokens spent on reasoning.
    Reasoning,
    /// Input tokens of audio.
    AudioInput,
    /// Output tokens of audio.
    AudioOutput,
    /// Input tokens of images.
    ImageInput,
    /// Output tokens of images.
    ImageOutput,
    /// Requests; queries of a reranker.
    Request,
    /// Web searches that the provider made, with a context of medium size or no stated size.
    Search,
    /// Web searches with a small context.
    SearchLow,
    /// Web searches with a large context.
    SearchHigh,
    /// Images sent.
    ImageSent,
    /// Images made.
    ImageMade,
    /// Seconds of audio or video sent.
    SecondSent,
    /// Seconds of audio or video made.
    SecondMade,
    /// Characters sent.
    CharacterSent,
    /// Characters made.
    CharacterMade,
    /// Pages read.
    Page,
}

/// How urgently a request is processed, where providers price that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tier {
    /// As usual.
    #[default]
    Standard,
    /// Within a day.
    Batch,
    /// When there is room.
    Flex,
    /// Before others.
    Priority,
    /// On faster hardware: OpenAI's ultrafast, Anthropic's fast mode.
    Fast,
}

/// Where a price holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Card {
    /// The tier.
    pub tier: Tier,
    /// For prompts of more than so many tokens, all input buckets counted; 0: for any.
    pub above: u32,
    /// In this one of the model's windows of the week only; `None`: at any time.
    pub window: Option<u8>,
}

/// One price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it holds.
    pub card: Card,
    /// What it is for.
    pub bucket: Bucket,
    /// Nano-dollars per million units.
    pub price: Price,
}

/// All prices of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Sorted by card and bucket, none twice.
    entries: Box<[Entry]>,
    windows: Option<Box<[Window]>>,
}

/// Times of the week: spans in minutes from Monday 00:00 UTC, the end not included, none over the end of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window(Box<[(u16, u16)]>);

/// Minutes of a week.
pub const WEEK: u16 = 10_080;

const BUCKETS: [(Bucket, &str); Bucket::COUNT] = [
    (Bucket::Input, "in"),
    (Bucket::Output, "out"),
    (Bucket::CacheRead, "cr"),
    (Bucket::CacheWrite, "cw"),
    (Bucket::CacheWrite1h, "cwh"),
    (Bucket::Reasoning, "rs"),
    (Bucket::AudioInput, "ain"),
    (Bucket::AudioOutput, "aout"),
    (Bucket::ImageInput, "iin"),
    (Bucket::ImageOutput, "iout"),
    (Bucket::Request, "req"),
    (Bucket::Search, "srch"),
    (Bucket::SearchLow, "srch_lo"),
    (Bucket::SearchHigh, "srch_hi"),
    (Bucket::ImageSent, "img_in"),
    (Bucket::ImageMade, "img_out"),
    (Bucket::SecondSent, "sec_in"),
    (Bucket::SecondMade, "sec_out"),
    (Bucket::CharacterSent, "chr_in"),
    (Bucket::CharacterMade, "chr_out"),
    (Bucket::Page, "page"),
];

const TIERS: [(Tier, &str); 5] = [
    (Tier::Standard, ""),
    (Tier::Batch, "batch"),
    (Tier::Flex, "flex"),
    (Tier::Priority, "prio"),
    (Tier::Fast, "fast"),
];

// === impl Bucket ===

impl Bucket {
    /// How many there are.
    pub const COUNT: usize = 21;

    /// All of them, tokens first.
    pub fn all() -> impl Iterator<Item = Self> {
        BUCKETS.iter().map(|(bucket, _)| *bucket)
    }

    /// The short name in the data.
    pub fn key(self) -> &'static str {
        BUCKETS[self as usize].1
    }

    /// The bucket of a short name.
    pub fn from_key(key: &str) -> Option<Self> {
        BUCKETS.iter().find(|(_, name)| *name == key).map(|(bucket, _)| *bucket)
    }

    /// What it is called to a person.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheRead => "cache read",
            Self::CacheWrite => "cache write",
            Self::CacheWrite1h => "cache write, 1 h",
            Self::Reasoning => "reasoning",
            Self::AudioInput => "audio input",
            Self::AudioOutput => "audio output",
            Self::ImageInput => "image input",
            Self::ImageOutput => "image output",
            Self::Request => "request",
            Self::Search => "web search",
            Self::SearchLow => "web search, small context",
            Self::SearchHigh => "web search, large context",
            Self::ImageSent => "image sent",
            Self::ImageMade => "image made",
            Self::SecondSent => "second sent",
            Self::SecondMade => "second made",
            Self::CharacterSent => "character sent",
            Self::CharacterMade => "character made",
            Self::Page => "page",
        }
    }

    /// Whether it counts tokens.
    pub const fn is_tokens(self) -> bool {
        (self as u8) <= (Self::ImageOutput as u8)
    }
}

// === impl Tier ===

impl Tier {
    /// The short name in the data; empty for the standard one.
    pub fn key(self) -> &'static str {
        TIERS[self as usize].1
    }

    /// The tier of a short name.
    pub fn from_key(key: &str) -> Option<Self> {
        TIERS.iter().find(|(_, name)| *name == key).map(|(tier, _)| *tier)
    }

    /// What it is called to a person.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Fast => "fast",
        }
    }
}

// === impl Card ===

impl Card {
    /// The standard price at any time, for any prompt.
    pub const STANDARD: Self = Self { tier: Tier::Standard, above: 0, window: None };

    /// A card by its name in the data, such as `batch>272000` or `@0`.
    pub fn from_key(key: &str) -> Option<Self> {
        let (rest, window) = match key.split_once('@') {
            Some((rest, window)) => (rest, Some(number(window)?.try_into().ok()?)),
            None => (key, None),
        };
        let (tier, above) = match rest.split_once('>') {
            Some((tier, above)) => (tier, Some(number(above)?).filter(|n| *n > 0)?),
            None => (rest, 0),
        };
        Some(Self { tier: Tier::from_key(tier)?, above, window })
    }

    /// Its name in the data.
    pub fn key(self) -> String {
        let mut key = self.tier.key().to_owned();
        if self.above > 0 {
            key.push_str(&format!(">{}", self.above));
        }
        if let Some(window) = self.window {
            key.push_str(&format!("@{window}"));
        }
        key
    }
}

/// Digits only: no sign, no empty text.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

// === impl Prices ===

impl Prices {
    /// Prices in any order; of two for the same bucket of the same card the later one counts.
    pub fn new(mut entries: Vec<Entry>, windows: Vec<Window>) -> Self {
        entries.sort_by_key(|e| (e.card, e.bucket));
        entries.dedup_by(|later, kept| {
            let same = (later.card, later.bucket) == (kept.card, kept.bucket);
            if same {
                *kept = *later;
            }
            same
        });
        Self {
            entries: entries.into_boxed_slice(),
            windows: (!windows.is_empty()).then(|| windows.into_boxed_slice()),
        }
    }

    /// Every price, sorted by card and bucket.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The windows of the week that cards name by their place.
    pub fn windows(&self) -> &[Window] {
        self.windows.as_deref().unwrap_or_default()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The price of a bucket on exactly this card.
    pub fn on(&self, card: Card, bucket: Bucket) -> Option<Price> {
        let entry = self.entries.iter().find(|e| e.bucket == bucket && e.card == card)?;
        Some(entry.price)
    }

    /// The standard price of a bucket.
    pub fn standard(&self, bucket: Bucket) -> Option<Price> {
        self.on(Card::STANDARD, bucket)
    }

    /// Whether anything is priced on a tier at this threshold.
    pub(crate) fn has(&self, tier: Tier, above: u32) -> bool {
        self.entries.iter().any(|e| e.card.tier == tier && e.card.above == above)
    }

    /// Whether anything is priced on a tier.
    pub fn has_tier(&self, tier: Tier) -> bool {
        self.entries.iter().any(|e| e.card.tier == tier)
    }

    /// The highest threshold that a prompt of so many tokens exceeds; 0 if none.
    pub fn step(&self, prompt: u64) -> u32 {
        self.entries.iter().map(|e| e.card.above).filter(|n| u64::from(*n) < prompt).max().unwrap_or(0)
    }

    /// The next threshold below `above` on a tier; 0 at the end.
    pub(crate) fn step_below(&self, tier: Tier, above: u32) -> u32 {
        let steps = self.entries.iter().filter(|e| e.card.tier == tier).map(|e| e.card.above);
        steps.filter(|n| *n < above).max().unwrap_or(0)
    }

    /// The window that a moment (Unix milliseconds) lies in.
    pub fn window(&self, at_ms: u64) -> Option<u8> {
        let at = self.windows().iter().position(|window| window.holds(at_ms))?;
        at.try_into().ok()
    }

    /// The same prices with others in their place, and each of the old ones changed by `change`.
    pub(crate) fn changed(&self, change: impl Fn(&Entry) -> Price, others: &[Entry]) -> Self {
        let kept = self.entries.iter().map(|e| Entry { price: change(e), ..*e });
        Self {
            windows: self.windows.clone(),
            ..Self::new(kept.chain(others.iter().copied()).collect(), Vec::new())
        }
    }
}

// === impl Window ===

impl Window {
    /// A window of these spans, or `None` when one is empty, turned round, or beyond the week.
    pub fn new(spans: Vec<(u16, u16)>) -> Option<Self> {
        let good = |(start, end): &(u16, u16)| start < end && *end <= WEEK;
        (!spans.is_empty() && spans.iter().all(good)).then(|| Self(spans.into_boxed_slice()))
    }

    /// Its spans.
    pub fn spans(&self) -> &[(u16, u16)] {
        &self.0
    }

    /// Whether a moment (Unix milliseconds) lies in it.
    pub fn holds(&self, at_ms: u64) -> bool {
        let minute = minute_of_week(at_ms);
        self.0.iter().any(|(start, end)| (*start..*end).contains(&minute))
    }
}

/// Minutes since Monday 00:00 UTC. The Unix epoch was a Thursday.
fn minute_of_week(at_ms: u64) -> u16 {
    const THURSDAY: u64 = 3 * 1_440;
    let minute = (at_ms / 60_000 % u64::from(WEEK) + THURSDAY) % u64::from(WEEK);
    u16::try_from(minute).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2026-11-23, 00:00 UTC.
    const MONDAY: u64 = 1_795_392_000_000;

    fn at(day: u64, hour: u64, minute: u64) -> u64 {
        MONDAY + ((day * 24 + hour) * 60 + minute) * 60_000
    }

    #[test]
    fn names_of_the_data_lead_to_buckets_and_back() {
        for (place, bucket) in Bucket::all().enumerate() {
            assert_eq!(bucket as usize, place, "the table is in the order of the type");
            assert_eq!(Bucket::from_key(bucket.key()), Some(bucket));
        }
        for (place, (tier, _)) in TIERS.iter().enumerate() {
            assert_eq!(*tier as usize, place);
        }
        assert_eq!(Bucket::all().filter(|b| b.is_tokens()).count(), 10);
    }

    #[test]
    fn cards_are_read_and_written_alike() {
        for key in ["", "batch", "flex>200000", ">272000", "@0", "prio>100000@1"] {
            assert_eq!(Card::from_key(key).map(Card::key).as_deref(), Some(key));
        }
        for wrong in ["cheap", ">", ">0", ">-1", "@", "@300", ">99999999999", "batch>1>2", "batch@x"] {
            assert_eq!(Card::from_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_week_begins_on_monday() {
        assert_eq!(minute_of_week(MONDAY), 0);
        assert_eq!(minute_of_week(MONDAY - 1), WEEK - 1);
        assert_eq!(minute_of_week(0), 3 * 1_440, "the epoch was a Thursday");
        assert!(minute_of_week(u64::MAX) < WEEK);
    }

    #[test]
    fn a_window_over_midnight_is_two_spans() {
        // From 22:00 on Friday to 02:00 on Saturday, and over the end of the week.
        let friday = 4 * 1_440;
        let window = Window::new(vec![(0, 120), (friday + 1_320, friday + 1_560), (WEEK - 60, WEEK)]);
        let window = window.expect("the spans are good");
        assert!(window.holds(at(4, 22, 0)) && window.holds(at(4, 23, 59)) && window.holds(at(5, 1, 59)));
        assert!(!window.holds(at(4, 21, 59)) && !window.holds(at(5, 2, 0)));
        assert!(window.holds(at(6, 23, 0)) && window.holds(at(7, 0, 0)) && window.holds(at(7, 1, 59)));
        assert!(!window.holds(at(7, 2, 0)));
    }

    #[test]
    fn spans_must_lie_in_the_week() {
        assert_eq!(Window::new(vec![]), None);
        assert_eq!(Window::new(vec![(60, 60)]), None);
        assert_eq!(Window::new(vec![(60, 0)]), None);
        assert_eq!(Window::new(vec![(0, WEEK + 1)]), None);
    }

    #[test]
    fn a_threshold_is_exceeded_not_reached() {
        let entry = |above, price| Entry {
            card: Card { above, ..Card::STANDARD },
            bucket: Bucket::Input,
            price: Price(price),
        };
        let prices = Prices::new(vec![entry(200, 2), entry(0, 1), entry(500, 3)], vec![]);
        let steps: Vec<u32> = [0, 200, 201, 500, 501, u64::MAX].map(|n| prices.step(n)).into();
        assert_eq!(steps, [0, 0, 200, 200, 500, 500]);
        assert_eq!(prices.step_below(Tier::Standard, 500), 200);
        assert_eq!(prices.step_below(Tier::Batch, 500), 0);
    }

    #[test]
    fn the_later_of_two_prices_counts() {
        let entry = |price| Entry { card: Card::STANDARD, bucket: Bucket::Output, price: Price(price) };
        let prices = Prices::new(vec![entry(1), entry(2)], vec![]);
        assert_eq!(prices.entries(), [entry(2)]);
    }
}
