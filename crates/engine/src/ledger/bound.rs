//! The most that a request can cost at a target, before anybody has counted its tokens.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use lockgate_catalog::cost::{Place, SearchSize, Units};
use lockgate_catalog::model::{Modality, Model};
use lockgate_catalog::{Circumstances, Tier, cost};
use lockgate_core::money::Price;
use lockgate_core::{Money, Payload, Usage};
use lockgate_dialect::ceiling::Said;
use lockgate_ledger::Quote;

/// What of a request bears on its cost. It is the same at every target, so it is found once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Length of the body, in bytes. No tokeniser makes more tokens of a text than it has bytes, and what a template adds is less
    /// than the JSON around the text.
    bytes: u64,
    images: u64,
    audio: bool,
    /// It means things that are not in it, such as a file or an earlier answer.
    outside: bool,
    cached: bool,
    searches: bool,
    said: Said,
}

/// Tokens of one image at most, at the providers known here: Anthropic 4,784, OpenAI 6,240 by tiles, with room.
const IMAGE: u64 = 16_384;
/// The input of a model whose context window is not known, if something outside the request can fill it.
const UNKNOWN_CONTEXT: u64 = 1 << 20;
/// The output of a model whose limit is not known.
const UNKNOWN_OUTPUT: u64 = 1 << 17;
/// Searches of one request at most.
const SEARCHES: u64 = 16;
/// Prices can change while a request runs, at providers with hours: looked at so much later, too.
const LATER_MS: u64 = 900_000;
const MILLION: u64 = 1_000_000;

/// What a pattern tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hint {
    Image,
    Audio,
    Outside,
    Cached,
    Search,
}

/// Beginnings of members and values, with the quote that begins them.
const HINTS: [(&str, Hint); 17] = [
    ("\"image", Hint::Image),
    ("\"input_image", Hint::Image),
    ("\"inline", Hint::Image),
    ("\"audio", Hint::Audio),
    ("\"input_audio", Hint::Audio),
    ("\"file", Hint::Outside),
    ("\"input_file", Hint::Outside),
    ("\"document", Hint::Outside),
    ("\"video", Hint::Outside),
    ("\"previous_response", Hint::Outside),
    ("\"conversation\"", Hint::Outside),
    ("\"cachedContent\"", Hint::Outside),
    ("\"code_", Hint::Outside),
    ("\"mcp", Hint::Outside),
    ("\"cache", Hint::Cached),
    ("\"web_search", Hint::Search),
    ("\"google", Hint::Search),
];

static FINDER: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(HINTS.iter().map(|(text, _)| *text)).ok());

// === impl Bound ===

impl Bound {
    /// Of a request with this body that says this of its answer.
    pub(crate) fn of(payload: &Payload, said: Said) -> Self {
        let body = payload.bytes();
        let mut bound = Self::of_bytes(body.len() as u64);
        bound.said = said;
        let Some(finder) = &*FINDER else { return Self { outside: true, ..bound } };
        for found in finder.find_iter(&**body) {
            // A quote behind a backslash is inside a text.
            if found.start().checked_sub(1).and_then(|before| body.get(before)) == Some(&b'\\') {
                continue;
            }
            match HINTS.get(found.pattern().as_usize()).map(|(_, hint)| *hint) {
                Some(Hint::Image) => bound.images += 1,
                Some(Hint::Audio) => bound.audio = true,
                Some(Hint::Outside) => bound.outside = true,
                Some(Hint::Cached) => bound.cached = true,
                Some(Hint::Search) => (bound.searches, bound.outside) = (true, true),
                None => {}
            }
        }
        bound
    }

    /// Of plain text of this length that is answered by nothing that costs.
    pub(crate) const fn of_bytes(bytes: u64) -> Self {
        Self {
            bytes,
            images: 0,
            audio: false,
            outside: false,
            cached: false,
            searches: false,
            said: Said { tokens: Some(0), answers: 1, least: 0 },
        }
    }

    /// What a lower limit may not go below, in tokens of one answer.
    pub(crate) const fn least(&self) -> u64 {
        self.said.least
    }

    /// What it costs at most, by the prices of this model; `None` where a price is not known. `likely` output tokens are expected.
    pub(crate) fn quote(&self, model: &Model, tier: Tier, at_ms: u64, likely: u64) -> Option<Quote> {
        let input = self.input(model);
        let answers = self.said.answers;
        let (now, later) =
            (self.card(model, tier, at_ms, input)?, self.card(model, tier, at_ms + LATER_MS, input)?);
        let price = now.1.max(later.1);
        let most =
            model.limits.output.or(model.limits.context).map_or(UNKNOWN_OUTPUT, |most| most.get().into());
        Some(Quote {
            fixed: now.0.max(later.0),
            output: Price(price.saturating_mul(answers)),
            ceiling: self.said.tokens.unwrap_or(most),
            likely,
        })
    }

    fn input(&self, model: &Model) -> u64 {
        let limits = &model.limits;
        let window = limits.input.or(limits.context).map(|most| u64::from(most.get()));
        if self.outside {
            // What is inside is a lower bound of what a window can be made to hold.
            return window.unwrap_or(UNKNOWN_CONTEXT).max(self.bytes.min(UNKNOWN_CONTEXT));
        }
        self.bytes.saturating_add(self.images.saturating_mul(IMAGE))
    }

    /// What the input costs at most, and the dearest million of output tokens behind it.
    fn card(&self, model: &Model, tier: Tier, at_ms: u64, input: u64) -> Option<(Money, u64)> {
        let price = |usage: Usage| {
            let (place, search, units) = (Place::default(), SearchSize::default(), Units::default());
            let how = Circumstances { tier, at_ms, place, search, units };
            cost(model, &usage, &how).ok().map(|cost| cost.total)
        };
        let none = Usage::default();
        let plain = price(Usage { input, ..none })?;
        let mut fixed = plain;
        let mut also = |usage: Usage| fixed = fixed.max(price(usage).unwrap_or_default());
        if self.cached {
            also(Usage { cache_write: input, ..none });
            also(Usage { cache_write_1h: input, ..none });
        }
        if self.audio {
            also(Usage { audio_input: input, ..none });
        }
        if self.images > 0 {
            also(Usage { image_input: input, ..none });
        }
        if self.searches {
            let searched = price(Usage { input, searches: SEARCHES, ..none })?;
            fixed = fixed.checked_add(searched.checked_sub(plain)?)?;
        }
        if self.said.tokens == Some(0) {
            return Some((fixed, 0));
        }
        let beyond = |usage: Usage| Some(price(usage)?.checked_sub(plain)?.nanos());
        let mut output = beyond(Usage { input, output: MILLION, ..none })?;
        output = output.max(beyond(Usage { input, reasoning: MILLION, ..none }).unwrap_or(0));
        if self.audio {
            output = output.max(beyond(Usage { input, audio_output: MILLION, ..none }).unwrap_or(0));
        }
        if model.output.has(Modality::Image) {
            output = output.max(beyond(Usage { input, image_output: MILLION, ..none }).unwrap_or(0));
        }
        Some((fixed, u64::try_from(output).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lockgate_catalog::Catalog;
    use lockgate_dialect::ceiling::Said;
    use proptest::prelude::*;

    use super::*;

    const SAID: Said = Said { tokens: Some(100), answers: 1, least: 1 };

    fn bound(body: &str) -> Bound {
        Bound::of(&Payload::parse(Bytes::from(body.to_owned())).unwrap(), SAID)
    }

    #[test]
    fn what_is_outside_of_a_request_fills_the_window() {
        let catalog = Catalog::built_in();
        let model = catalog.find("openai", "gpt-4o-mini").unwrap().model;
        let cost = |body: &str| bound(body).quote(model, Tier::Standard, 0, 10).unwrap().fixed.nanos();
        // 15 cents a million tokens: a token for each byte.
        assert_eq!(cost(r#"{"input":"Hello"}"#), 17 * 150);
        assert_eq!(cost(r#"{"previous_response_id":"resp_1"}"#), 128_000 * 150);
        assert_eq!(cost(r#"{"a":"\"file_id\""}"#), 19 * 150, "inside a text it is a text");
        assert!(cost(r#"{"a":[{"type":"image_url"}]}"#) >= 16_384 * 150);
    }

    #[test]
    fn several_answers_cost_several_times() {
        let catalog = Catalog::built_in();
        let model = catalog.find("openai", "gpt-4o-mini").unwrap().model;
        let payload = Payload::parse(Bytes::from_static(b"{}")).unwrap();
        let quote = |said| Bound::of(&payload, said).quote(model, Tier::Standard, 0, 10).unwrap();
        assert_eq!(quote(SAID).output, Price(600_000_000));
        assert_eq!(quote(Said { answers: 3, ..SAID }).output, Price(1_800_000_000));
        assert_eq!(quote(Said { tokens: None, ..SAID }).ceiling, 16_384, "the model's own limit");
    }

    proptest! {
        /// Whatever of the input was read from a cache, written to it or seen as an image, and whatever of the output was thought,
        /// the bill is no more than the quote.
        #[test]
        fn no_bill_is_above_its_quote(
            row in 0_usize..4_000, bytes in 1_u64..200_000, split in prop::array::uniform5(0_u64..1_000),
            out in 0_u64..100, thought in 0_u64..100, at_ms in 1_700_000_000_000_u64..1_900_000_000_000,
        ) {
            static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::built_in);
            let Some(model) = CATALOG.iter().filter(|model| model.mode.is_text() && model.is_priced()).nth(row) else { return Ok(()) };
            let mut bound = Bound::of_bytes(bytes);
            bound.said = Said { tokens: Some(out + thought), answers: 1, least: 1 };
            (bound.cached, bound.images, bound.audio) = (true, 1, true);
            let Some(quote) = bound.quote(model, Tier::Standard, at_ms, 1) else { return Ok(()) };
            let total: u64 = split.iter().sum::<u64>().max(1);
            let part = |at: usize| bytes * split[at] / total;
            let usage = Usage {
                input: part(0), cache_read: part(1), cache_write: part(2), cache_write_1h: part(3), image_input: part(4),
                output: out, reasoning: thought, ..Usage::default()
            };
            let how = Circumstances { tier: Tier::Standard, ..Circumstances::at(at_ms) };
            let Ok(bill) = cost(model, &usage, &how) else { return Ok(()) };
            prop_assert!(bill.total <= quote.worst(), "{} {} {:?}", model.provider, model.id, (bill.total, quote));
        }
    }
}
