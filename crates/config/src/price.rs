//! `models.NAME.prices`: what a model costs, by what is counted, tier and length of the prompt.

use serde_json::{Map, Value as Json, json};

use crate::context::Context;
use crate::decimal::{NotDecimal, decimal};
use crate::declare::choices;
use crate::diagnostic::{Complaint, quoted};
use crate::document::{Entry, Node, Value};
use crate::setting::{Place, Setting, Shape};

/// Prices of a model, none twice for the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelPrices(Vec<ModelPrice>);

/// One price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelPrice {
    /// The tier that it holds on.
    pub tier: PriceTier,
    /// For prompts of more than so many tokens; 0: for any.
    pub above: u32,
    /// What it is for.
    pub counted: Counted,
    /// Nano-dollars per million of what is counted.
    pub nanos: u64,
}

choices! {
    /// What is counted and paid for. Tokens are paid by the million, anything else by the piece.
    pub enum Counted {
        /// Fresh input tokens.
        Input = "input",
        /// Visible output tokens.
        Output = "output",
        /// Input tokens read from the prompt cache.
        CacheRead = "cache_read",
        /// Input tokens written to it, for minutes.
        CacheWrite = "cache_write",
        /// Input tokens written to it for an hour or longer.
        CacheWrite1h = "cache_write_1h",
        /// Output tokens spent on reasoning.
        Reasoning = "reasoning",
        /// Input tokens of audio.
        AudioInput = "audio_input",
        /// Output tokens of audio.
        AudioOutput = "audio_output",
        /// Input tokens of images.
        ImageInput = "image_input",
        /// Output tokens of images.
        ImageOutput = "image_output",
        /// A request, or a query of a reranker.
        Request = "request",
        /// A web search, with a context of medium size or no stated size.
        Search = "search",
        /// A web search with a small context.
        SearchSmall = "search_small",
        /// A web search with a large context.
        SearchLarge = "search_large",
        /// An image sent.
        ImageSent = "image_sent",
        /// An image made.
        ImageMade = "image_made",
        /// A second of audio or video sent.
        SecondSent = "second_sent",
        /// A second of audio or video made.
        SecondMade = "second_made",
        /// A character sent.
        CharacterSent = "character_sent",
        /// A character made.
        CharacterMade = "character_made",
        /// A page read.
        Page = "page",
    }
}

choices! {
    /// How urgently a request is processed, where that has a price of its own.
    pub enum PriceTier {
        /// As usual.
        Standard = "standard",
        /// Within a day.
        Batch = "batch",
        /// When there is room.
        Flex = "flex",
        /// Before others.
        Priority = "priority",
        /// On faster hardware.
        Fast = "fast",
    }
}

const ABOVE: &str = "above";
/// Decimals of a price per million, so that it is a whole number of nano-dollars.
const PER_MILLION: usize = 9;
/// Decimals of a price of one piece, so that a million of them are a whole number of nano-dollars.
const PER_PIECE: usize = 15;
/// No token, second or image costs more, in nano-dollars per million: a thousand dollars for one.
const MOST: u64 = 1_000_000_000_000_000_000;
/// A token that costs less, in nano-dollars per million, was probably priced by itself instead of by the million.
const DOUBTFUL: u64 = 100_000;

// === impl Counted ===

impl Counted {
    /// Whether these are tokens, whose price is per million; that of anything else is for one.
    pub const fn is_tokens(self) -> bool {
        (self as u8) <= (Self::ImageOutput as u8)
    }

    /// What it is called in the file.
    fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|counted| counted.as_str() == word)
    }

    fn read_price(self, node: &Node, cx: &mut Context<'_>) -> Option<u64> {
        let (places, hint) = if self.is_tokens() {
            (PER_MILLION, "write dollars per million tokens, such as 2.50, with at most 9 decimals")
        } else {
            (PER_PIECE, "write dollars for one, such as 0.04, with at most 15 decimals")
        };
        if let Value::Text(scalar) = &node.value
            && scalar.quoted
            && scalar.variables.is_empty()
        {
            cx.error(node.at, Complaint::new("expected a price, found text in quotes"));
            return None;
        }
        let nanos = cx.parse(node, "a price", |text| {
            let nanos =
                decimal(text, places).map_err(|NotDecimal(fault)| Complaint::new(fault).hint(hint))?;
            if nanos > MOST {
                return Err(Complaint::new("is more than any model costs").hint(hint));
            }
            Ok(nanos)
        })?;
        if self.is_tokens() && (1..DOUBTFUL).contains(&nanos) {
            let complaint = Complaint::new("this is a very low price for a million tokens");
            cx.warn(node.at, complaint.hint("if it is the price of one token, move the point by six places"));
        }
        Some(nanos)
    }
}

// === impl ModelPrices ===

impl ModelPrices {
    /// The prices, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &ModelPrice> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a price of this on the standard tier, for any prompt.
    pub fn has(&self, counted: Counted) -> bool {
        self.0.iter().any(|p| p.tier == PriceTier::Standard && p.above == 0 && p.counted == counted)
    }

    /// Reads what stands at one place of the tree: prices, and what may be nested there.
    fn fill(&mut self, tier: PriceTier, above: u32, node: &Node, cx: &mut Context<'_>) -> Option<()> {
        for entry in cx.named(node)? {
            if let Some(counted) = Counted::of(&entry.key) {
                let nanos =
                    cx.inside(Place::Key(entry.key.clone()), |cx| counted.read_price(&entry.value, cx));
                self.0.extend(nanos.map(|nanos| ModelPrice { tier, above, counted, nanos }));
            } else if let Some(other) =
                nested_tier(&entry.key).filter(|_| tier == PriceTier::Standard && above == 0)
            {
                cx.inside(Place::Key(entry.key.clone()), |cx| self.fill(other, above, &entry.value, cx));
            } else if entry.key == ABOVE && above == 0 {
                cx.inside(Place::Key(entry.key.clone()), |cx| self.fill_above(tier, &entry.value, cx));
            } else {
                let tiers = PriceTier::ALL.iter().map(|tier| tier.as_str()).skip(1);
                let outside = if above > 0 { 0 } else { 1 };
                let inside = if tier == PriceTier::Standard { outside * 4 } else { 0 };
                let words: Vec<&str> = Counted::ALL
                    .iter()
                    .map(|counted| counted.as_str())
                    .chain(tiers.take(inside))
                    .chain([ABOVE].into_iter().take(outside))
                    .collect();
                cx.unknown_field(entry, &words);
            }
        }
        Some(())
    }

    /// Reads prices of long prompts.
    fn fill_above(&mut self, tier: PriceTier, node: &Node, cx: &mut Context<'_>) -> Option<()> {
        for Entry { key, at, value } in cx.named(node)? {
            cx.inside(Place::Key(key.clone()), |cx| {
                // One spelling for one number, so that none can stand there twice.
                let plain = key.bytes().all(|byte| byte.is_ascii_digit()) && !key.starts_with('0');
                match key.parse::<u32>().ok().filter(|_| plain) {
                    Some(above) => _ = self.fill(tier, above, value, cx),
                    None => {
                        let complaint = Complaint::new(format!("{} is not a number of tokens", quoted(key)));
                        cx.error(*at, complaint.hint("write a whole number such as 200000"));
                    }
                }
            });
        }
        Some(())
    }
}

fn nested_tier(word: &str) -> Option<PriceTier> {
    PriceTier::ALL.iter().copied().skip(1).find(|tier| tier.as_str() == word)
}

impl Setting for ModelPrices {
    fn shape() -> Shape {
        let price =
            || json!({ "anyOf": [{ "type": "number", "minimum": 0 }, { "$ref": "#/$defs/variable" }] });
        let object = |properties: Map<String, Json>| json!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false });
        let counted = || -> Map<String, Json> {
            Counted::ALL.iter().map(|counted| (counted.as_str().to_owned(), price())).collect()
        };
        let above = || {
            json!({
                "type": ["object", "null"],
                "patternProperties": { "^[1-9][0-9]*$": object(counted()) },
                "additionalProperties": false,
            })
        };
        let mut tier = counted();
        tier.insert(ABOVE.to_owned(), above());
        let mut all = tier.clone();
        for word in PriceTier::ALL.iter().skip(1) {
            all.insert(word.as_str().to_owned(), object(tier.clone()));
        }
        Shape::plain("mapping of what is counted to dollars", object(all))
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let mut prices = Self::default();
        prices.fill(PriceTier::Standard, 0, node, cx)?;
        Some(prices)
    }

    fn spell(&self) -> Json {
        json!({})
    }
}
