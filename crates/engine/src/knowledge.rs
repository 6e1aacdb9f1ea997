//! What routing may know of models: the catalogue's facts, the benchmarks' scores and what the config says of providers,
//! put into the words of `lockgate-route`.

use std::collections::HashMap;
use std::sync::Arc;

use lockgate_catalog::benchmark::{Benchmarks, family};
use lockgate_catalog::model::{Capability, Day, Modality};
use lockgate_catalog::price::Card as PriceCard;
use lockgate_catalog::{Bucket, Catalog, Model, Tier};
use lockgate_core::{Money, Upstream};
use lockgate_route::view::{Card, Facts, Knowledge, Scale, Scales, Score};
use lockgate_route::{Abilities, Ability};

/// What one snapshot knows of models.
#[derive(Debug)]
pub struct Known {
    catalog: Arc<Catalog>,
    benchmarks: Arc<Benchmarks>,
    scales: Scales,
    /// By the name of the provider in the config.
    houses: HashMap<Arc<str>, House>,
    today: Option<Day>,
}

/// What the config says of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct House {
    /// Where it processes.
    pub region: Option<Arc<str>>,
    /// Whether it keeps nothing of what it is sent.
    pub zero_retention: Option<bool>,
    /// Whether it trains on what it is sent.
    pub trains: Option<bool>,
    /// Models that are switched off, as patterns with `*`.
    pub disabled: Vec<Arc<str>>,
    /// How long its prompt cache keeps a prompt that is used, in seconds, where the operator knows better.
    pub cache_seconds: Option<u32>,
}

/// Seconds for which prompts are kept by providers that say so: Anthropic (and those who serve its models) five minutes,
/// OpenAI five to ten, Google's implicit cache and DeepSeek's longer.
const CACHE_SECONDS: [(&str, u32); 8] = [
    ("anthropic", 300),
    ("bedrock", 300),
    ("vertex", 300),
    ("openai", 600),
    ("azure", 600),
    ("google", 300),
    ("deepseek", 3_600),
    ("xai", 600),
];

const ABILITIES: [(Capability, Ability); 11] = [
    (Capability::Tools, Ability::Tools),
    (Capability::ParallelTools, Ability::ParallelTools),
    (Capability::StructuredOutput, Ability::Schema),
    (Capability::Vision, Ability::Images),
    (Capability::Reasoning, Ability::Reasoning),
    (Capability::PromptCache, Ability::PromptCache),
    (Capability::WebSearch, Ability::WebSearch),
    (Capability::Pdf, Ability::Files),
    (Capability::AudioInput, Ability::Audio),
    (Capability::AudioOutput, Ability::Speech),
    (Capability::VideoInput, Ability::Video),
];
const FURTHER: [(Capability, Ability); 2] =
    [(Capability::ComputerUse, Ability::ComputerUse), (Capability::Prefill, Ability::Prefill)];

const DAY_MS: u64 = 86_400_000;

// === impl Known ===

impl Known {
    /// What is known on the day of `wall_ms` (Unix milliseconds).
    pub fn new(
        catalog: Arc<Catalog>,
        benchmarks: Arc<Benchmarks>,
        houses: HashMap<Arc<str>, House>,
        wall_ms: u64,
    ) -> Self {
        let scale = |benchmark: &lockgate_catalog::benchmark::Benchmark| Scale {
            name: Arc::clone(&benchmark.name),
            class: benchmark.class,
            median: benchmark.anchors.median,
            spread: benchmark.anchors.spread,
        };
        let scales =
            Scales { version: Arc::clone(benchmarks.version()), all: benchmarks.iter().map(scale).collect() };
        Self { catalog, benchmarks, scales, houses, today: day(wall_ms) }
    }

    fn scores(&self, upstream: &Upstream, model: &str) -> Arc<[Option<Score>]> {
        let score = |benchmark: &lockgate_catalog::benchmark::Benchmark| {
            let cell = benchmark.cell(&upstream.name, model)?;
            Some(Score { value: benchmark.normal(cell.value), samples: cell.samples })
        };
        self.benchmarks.iter().map(score).collect()
    }
}

impl Knowledge for Known {
    fn models(&self, upstream: &Upstream, pattern: &str) -> Vec<Arc<str>> {
        let mut models: Vec<Arc<str>> = self
            .catalog
            .models(&upstream.catalog)
            .filter(|model| model.mode.is_text() && model.variant.is_none() && &*model.id != "*")
            .filter(|model| lockgate_route::fits(pattern, &model.id))
            .map(|model| Arc::from(&*model.id))
            .collect();
        models.sort();
        models.dedup();
        models
    }

    fn facts(&self, upstream: &Upstream, name: &str) -> Facts {
        let nothing = House::default();
        let house = self.houses.get(&upstream.name).unwrap_or(&nothing);
        let off = house.disabled.iter().any(|pattern| lockgate_route::fits(pattern, name));
        let plain = Facts {
            disabled: off.then(|| "switched off".into()),
            family: family(name).into(),
            refuses: refused(upstream, name),
            region: house.region.clone(),
            zero_retention: house.zero_retention,
            trains: house.trains,
            cache_seconds: house.cache_seconds,
            scores: self.scores(upstream, name),
            ..Facts::default()
        };
        let Some(found) = self.catalog.find(&upstream.catalog, name) else { return plain };
        let model = found.model;
        let retired = model.retires.filter(|day| self.today.is_some_and(|today| *day <= today));
        let caches = CACHE_SECONDS.iter().find(|(provider, _)| *provider == &*upstream.catalog);
        Facts {
            known: true,
            disabled: plain.disabled.or_else(|| retired.map(|day| format!("retired on {day}").into())),
            cards: cards(model),
            context: model.limits.context.map(Into::into),
            input: model.limits.input.map(Into::into),
            output: model.limits.output.map(Into::into),
            // A row that stands for any model, or has none of it, says nothing of what this one can do.
            abilities: abilities(model).filter(|_| &*model.id != "*"),
            cache_seconds: plain.cache_seconds.or_else(|| caches.map(|(_, seconds)| *seconds)),
            ..plain
        }
    }

    fn scales(&self) -> Scales {
        self.scales.clone()
    }

    fn version(&self) -> Arc<str> {
        Arc::clone(self.catalog.version())
    }
}

/// What the provider's quirks leave out of a request for a model.
fn refused(upstream: &Upstream, model: &str) -> Arc<[Box<str>]> {
    let speech = upstream.speech("", model);
    speech
        .map(|speech| speech.quirks.drop.iter().map(|name| name.as_str().into()).collect())
        .unwrap_or_default()
}

fn abilities(model: &Model) -> Option<Abilities> {
    let listed =
        ABILITIES.iter().chain(&FURTHER).filter(|(capability, _)| model.capabilities.has(*capability));
    let mut able: Abilities = listed.map(|(_, ability)| *ability).collect();
    for (kind, ability) in [
        (Modality::Image, Ability::Images),
        (Modality::Audio, Ability::Audio),
        (Modality::Video, Ability::Video),
        (Modality::File, Ability::Files),
    ] {
        if model.input.has(kind) {
            able = able.with(ability);
        }
    }
    if model.output.has(Modality::Image) {
        able = able.with(Ability::ImageOutput);
    }
    (!able.is_empty() || !model.input.is_empty()).then_some(able)
}

/// The standard prices, the most special first: of long prompts within a window, of long prompts, of a window, of any time.
/// What a special card lacks is taken from the one below it, as the ledger does.
fn cards(model: &Model) -> Arc<[Card]> {
    if model.free {
        return [Card::default()].into();
    }
    let prices = &model.prices;
    let standard =
        || prices.entries().iter().map(|entry| entry.card).filter(|card| card.tier == Tier::Standard);
    let mut steps: Vec<u32> = standard().map(|card| card.above).collect();
    steps.sort_unstable_by(|a, b| b.cmp(a));
    steps.dedup();
    let mut windows: Vec<Option<u8>> = standard().map(|card| card.window).collect();
    windows.sort_unstable_by(|a, b| b.cmp(a));
    windows.dedup();
    let mut cards = Vec::new();
    for above in &steps {
        for window in &windows {
            let price = |bucket| {
                let below = steps.iter().filter(|step| *step <= above);
                let on =
                    |above: u32, window| prices.on(PriceCard { tier: Tier::Standard, above, window }, bucket);
                below.map(|step| on(*step, *window).or_else(|| on(*step, None))).find_map(|price| price)
            };
            let (Some(input), Some(output)) = (price(Bucket::Input), price(Bucket::Output)) else { continue };
            let spans = window.and_then(|window| prices.windows().get(usize::from(window)));
            cards.push(Card {
                above: u64::from(*above),
                spans: spans.map(|window| window.spans().into()).unwrap_or_default(),
                input,
                output,
                cache_read: price(Bucket::CacheRead),
                cache_write: price(Bucket::CacheWrite),
                request: price(Bucket::Request).map_or(Money::ZERO, a_millionth),
            });
        }
    }
    cards.into()
}

/// What one costs of what has a price for a million, rounded up.
fn a_millionth(price: lockgate_core::money::Price) -> Money {
    Money::from_nanos(i64::try_from(price.0.div_ceil(1_000_000)).unwrap_or(i64::MAX))
}

/// The day of a moment (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn day(wall_ms: u64) -> Option<Day> {
    let z = wall_ms / DAY_MS + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    Day::parse(&format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let at = |ms| day(ms).map(|day| day.to_string());
        assert_eq!(at(0).as_deref(), Some("1970-01-01"));
        assert_eq!(at(951_782_400_000).as_deref(), Some("2000-02-29"));
        assert_eq!(at(1_790_000_000_000).as_deref(), Some("2026-09-21"));
    }

    #[test]
    fn the_catalogue_and_the_benchmarks_are_facts_of_an_endpoint() {
        let house = House { region: Some("us".into()), disabled: vec!["o1*".into()], ..House::default() };
        let known = Known::new(
            Arc::new(Catalog::built_in()),
            Arc::new(Benchmarks::built_in()),
            HashMap::from([("openai".into(), house)]),
            1_790_000_000_000,
        );
        let upstream = lockgate_testkit::builder::upstream("openai");
        let facts = known.facts(&upstream, "gpt-4.1");
        assert!(facts.known && facts.disabled.is_none() && facts.is_in("us"));
        assert_eq!(&*facts.family, "gpt-4.1");
        let card = facts.card(1_000, 0).expect("is priced");
        assert!(card.output > card.input && card.cache_read.is_some_and(|price| price < card.input));
        assert!(facts.abilities.is_some_and(|able| able.has(Ability::Tools) && able.has(Ability::Images)));
        assert!(facts.context.is_some_and(|most| most > 900_000));
        let scale = known.scales().place("aider-polyglot").expect("is shipped");
        assert!(facts.scores[scale].is_some_and(|score| (0.6..0.9).contains(&score.value)));
        assert!(known.facts(&upstream, "o1").disabled.is_some());
        let unknown = known.facts(&upstream, "no-such-model");
        assert!(!unknown.known && unknown.cards.is_empty() && unknown.abilities.is_none());
        let models = known.models(&upstream, "gpt-4.1*");
        assert!(models.len() >= 3 && models.iter().all(|model| model.starts_with("gpt-4.1")), "{models:?}");
    }

    #[test]
    fn those_who_keep_prompts_are_providers_of_the_catalogue() {
        let catalog = Catalog::built_in();
        for (name, _) in CACHE_SECONDS {
            assert!(catalog.providers().any(|provider| provider == name), "{name}");
        }
    }

    #[test]
    fn long_prompts_have_a_card_of_their_own() {
        let known =
            Known::new(Arc::new(Catalog::built_in()), Arc::new(Benchmarks::empty()), HashMap::new(), 0);
        let facts = known.facts(&lockgate_testkit::builder::upstream("google"), "gemini-2.5-pro");
        let price = |tokens| facts.card(tokens, 0).map(|card| card.input);
        assert!(price(300_000) > price(100_000), "{:?}", facts.cards);
    }
}
