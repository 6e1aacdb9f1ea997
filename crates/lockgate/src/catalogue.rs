//! What is known of models: the built-in list or the operator's file, with what the config says of models over it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use lockgate_catalog::model::{Capabilities, Capability, Limits};
use lockgate_catalog::overlay::Factor;
use lockgate_catalog::price::{Card, Entry};
use lockgate_catalog::{Bucket, Catalog, Mode, ModelOverride, Tier};
use lockgate_config::{Config, Counted, ModelSettings, Percent, PriceTier, Provider, ProviderType};
use lockgate_core::Upstream;
use lockgate_core::money::Price;

use crate::nearest::did_you_mean;

/// Something that the config says of models and that is probably not meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// The entry of `models`.
    pub(crate) name: String,
    /// What is odd about it, with what was probably meant.
    pub(crate) message: String,
}

/// Bytes of a list that are read at most; the built-in one has 1.5 MB.
const LARGEST: u64 = 64 * 1_024 * 1_024;
/// Mistakes of a list that are shown at most.
const MOST_MISTAKES: usize = 100;
/// Doubts that are looked for: each suggestion compares a name with all of its provider.
const MOST_DOUBTS: usize = 100;
const MILLION: u32 = 1_000_000;

/// The built-in list, read once. The demo provider's models are free.
static BUILT_IN: LazyLock<Arc<Catalog>> = LazyLock::new(|| Arc::new(with_demo(Catalog::built_in())));

/// The list that the config names, without what the config says of models.
///
/// # Errors
/// Everything that is wrong with the file, each with its line.
pub(crate) fn list(config: &Config) -> Result<Arc<Catalog>, Vec<String>> {
    let Some(file) = &config.catalog.file else { return Ok(Arc::clone(&BUILT_IN)) };
    read(file).map(|(catalog, _)| Arc::new(with_demo(catalog)))
}

/// What is in force: the list, and over it what the config says.
///
/// # Errors
/// As [`list`].
pub(crate) fn in_force(config: &Config) -> Result<Arc<Catalog>, Vec<String>> {
    Ok(overlaid(config, list(config)?))
}

/// The same, as far as these providers need it.
///
/// # Errors
/// As [`list`].
pub(crate) fn in_force_for(
    config: &Config,
    upstreams: &[Arc<Upstream>],
) -> Result<Arc<Catalog>, Vec<String>> {
    let list = if config.catalog.file.is_some() {
        list(config)?
    } else {
        let named = upstreams.iter().flat_map(|upstream| [&*upstream.name, name_of_type(&upstream.name)]);
        let names = named.chain(config.providers.iter().map(listed_as)).collect();
        Arc::new(with_demo(Catalog::built_in_of(&names)))
    };
    Ok(overlaid(config, list))
}

/// A list with what the config says of models over it.
fn overlaid(config: &Config, list: Arc<Catalog>) -> Arc<Catalog> {
    if config.models.is_empty() {
        return list;
    }
    let overrides: Vec<ModelOverride> = config.models.iter().map(override_of).collect();
    Arc::new(Catalog::clone(&list).with_accounts(&accounts(config)).with(&overrides))
}

/// Reads and checks a list of models: what it means, and its text.
///
/// # Errors
/// Everything that is wrong with the file, each with its line.
pub(crate) fn read(file: &Path) -> Result<(Catalog, String), Vec<String>> {
    let name = file.display();
    let fail = |what: String| vec![format!("{name}: {what}")];
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| fail(error.to_string()))?;
    let read = opened.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| fail(error.to_string()))?;
    if u64::try_from(read).is_ok_and(|read| read > LARGEST) {
        return Err(fail(format!("larger than {LARGEST} bytes")));
    }
    if let Ok(catalog) = Catalog::read(&text) {
        return Ok((catalog, text));
    }
    let found = Catalog::mistakes(&text, MOST_MISTAKES + 1);
    let more = (found.len() > MOST_MISTAKES).then(|| format!("{name}: there are more mistakes"));
    let lines = found.iter().take(MOST_MISTAKES).map(|e| format!("{name}:{}: {}", e.line, e.what));
    Err(lines.chain(more).collect())
}

/// The name under which the catalogue in force has the models of a provider of the config.
pub(crate) fn name_of<'c>(config: &'c Config, provider: &'c str) -> &'c str {
    if !config.models.is_empty() {
        return provider;
    }
    config.providers.iter().find(|declared| declared.name == provider).map_or_else(
        // It may be found in the environment.
        || name_of_type(provider),
        listed_as,
    )
}

/// The name under which the list has the models of a provider of the config.
fn listed_as(provider: &Provider) -> &str {
    match &provider.kind {
        ProviderType::BuiltIn(kind) => name_of_type(kind),
        _ => &provider.name,
    }
}

/// The name under which the list has the models of a built-in provider.
fn name_of_type(kind: &str) -> &str {
    lockgate_provider::by_name(kind).and_then(|profile| profile.catalog).unwrap_or(kind)
}

/// Providers whose models stand in the list under another name, with that name: those of a type of another name, and
/// built-in ones that share another's. Two accounts at one company can have two contracts, so where the config speaks of
/// models each has its own.
fn accounts(config: &Config) -> Vec<(&str, &str)> {
    let declared = config.providers.iter().map(|provider| (provider.name.as_str(), listed_as(provider)));
    let found = lockgate_provider::ALL.iter().map(|profile| (profile.name, name_of_type(profile.name)));
    let undeclared = |(name, _): &(&str, &str)| !config.providers.iter().any(|p| p.name == *name);
    declared.chain(found.filter(undeclared)).filter(|(name, listed)| name != listed).collect()
}

fn with_demo(catalog: Catalog) -> Catalog {
    let demo = lockgate_provider::demo();
    let free = demo.models.iter().map(|model| ModelOverride {
        provider: demo.name.to_string(),
        id: model.to_string(),
        free: Some(true),
        ..ModelOverride::default()
    });
    let free: Vec<_> = free.collect();
    catalog.with(&free)
}

// === from the config's words to the catalogue's ===

fn override_of(settings: &ModelSettings) -> ModelOverride {
    let (provider, id) = settings.model();
    let limit = |limit: Option<u32>| limit.and_then(NonZeroU32::new);
    ModelOverride {
        provider: provider.to_owned(),
        id: id.to_owned(),
        mode: settings.mode.and_then(|mode| Mode::from_name(mode.as_str())),
        limits: Limits {
            context: limit(settings.limits.context),
            input: limit(settings.limits.input),
            output: limit(settings.limits.output),
        },
        capabilities: settings.capabilities.as_ref().map(|able| {
            let known = able.iter().filter_map(|one| Capability::from_name(one.as_str()));
            known.fold(Capabilities::default(), Capabilities::with)
        }),
        free: settings.free,
        prices: settings.prices.iter().map(entry).collect(),
        discount: settings.discount.map(|Percent(share)| Factor(MILLION.saturating_sub(share))),
        margin: settings.margin.map(|Percent(share)| Factor(MILLION.saturating_add(share))),
        ..ModelOverride::default()
    }
}

fn entry(price: &lockgate_config::ModelPrice) -> Entry {
    let tier = match price.tier {
        PriceTier::Standard => Tier::Standard,
        PriceTier::Batch => Tier::Batch,
        PriceTier::Flex => Tier::Flex,
        PriceTier::Priority => Tier::Priority,
        PriceTier::Fast => Tier::Fast,
    };
    let card = Card { tier, above: price.above, window: None };
    Entry { card, bucket: bucket(price.counted), price: Price(price.nanos) }
}

/// The bucket of a word of the config.
pub(crate) const fn bucket(counted: Counted) -> Bucket {
    match counted {
        Counted::Input => Bucket::Input,
        Counted::Output => Bucket::Output,
        Counted::CacheRead => Bucket::CacheRead,
        Counted::CacheWrite => Bucket::CacheWrite,
        Counted::CacheWrite1h => Bucket::CacheWrite1h,
        Counted::Reasoning => Bucket::Reasoning,
        Counted::AudioInput => Bucket::AudioInput,
        Counted::AudioOutput => Bucket::AudioOutput,
        Counted::ImageInput => Bucket::ImageInput,
        Counted::ImageOutput => Bucket::ImageOutput,
        Counted::Request => Bucket::Request,
        Counted::Search => Bucket::Search,
        Counted::SearchSmall => Bucket::SearchLow,
        Counted::SearchLarge => Bucket::SearchHigh,
        Counted::ImageSent => Bucket::ImageSent,
        Counted::ImageMade => Bucket::ImageMade,
        Counted::SecondSent => Bucket::SecondSent,
        Counted::SecondMade => Bucket::SecondMade,
        Counted::CharacterSent => Bucket::CharacterSent,
        Counted::CharacterMade => Bucket::CharacterMade,
        Counted::Page => Bucket::Page,
    }
}

/// The config's word for a bucket.
pub(crate) fn word(wanted: Bucket) -> &'static str {
    let counted = Counted::ALL.iter().find(|counted| bucket(**counted) == wanted);
    counted.map_or_else(|| wanted.key(), |counted| counted.as_str())
}

// === doubts ===

/// What the config says of models that are not there, the first hundred of them. `catalog` is what is in force.
pub(crate) fn doubts(config: &Config, catalog: &Catalog) -> Vec<Doubt> {
    let Ok(list) = list(config) else { return Vec::new() };
    let before = Catalog::clone(&list).with_accounts(&accounts(config));
    let providers: BTreeSet<&str> =
        before.providers().chain(config.providers.iter().map(|provider| provider.name.as_str())).collect();
    let doubted = config.models.iter().filter_map(|settings| {
        let message = doubt(settings, &before, catalog, &providers)?;
        Some(Doubt { name: settings.name.clone(), message })
    });
    doubted.take(MOST_DOUBTS).collect()
}

fn doubt(
    settings: &ModelSettings,
    before: &Catalog,
    now: &Catalog,
    providers: &BTreeSet<&str>,
) -> Option<String> {
    let (provider, id) = settings.model();
    if !provider.contains('*') && !providers.contains(provider) {
        let hint = did_you_mean(provider, providers.iter().copied());
        return Some(format!(
            "there is no provider \"{provider}\" in the config or the list of models{hint}"
        ));
    }
    if settings.name.contains('*') {
        let none = now.matching(&settings.name).next().is_none();
        return none.then(|| "no known model fits this pattern, so it does nothing".to_owned());
    }
    // A row that its name leads to lends it all that the config does not say; the row for any model does not count.
    let known = before.find(provider, id).is_some_and(|found| found.by != lockgate_catalog::By::Any);
    let priced = now.find(provider, id).is_some_and(|found| found.model.is_priced());
    if known || priced {
        return None;
    }
    let hint = did_you_mean(id, before.models(provider).map(|model| &*model.id));
    Some(format!(
        "the list has no such model, and there is not a price for both input and output here, so costs will be unknown{hint}"
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use lockgate_catalog::{Circumstances, cost};
    use lockgate_config::{Ability, Known, ModelMode, load};
    use lockgate_core::Usage;

    use super::*;

    fn config(text: &str) -> Config {
        let known = Known::providers(&["openai", "demo"]);
        let (config, said) = load(text, &|_| None, &known);
        config.unwrap_or_else(|| panic!("{said:?}"))
    }

    /// What a million input tokens cost, in nano-dollars.
    fn million(config: &Config, provider: &str, id: &str) -> Option<i64> {
        let catalog = in_force(config).unwrap();
        let found = catalog.find(name_of(config, provider), id)?;
        let usage = Usage { input: 1_000_000, ..Usage::default() };
        cost(found.model, &usage, &Circumstances::at(0)).ok().map(|cost| cost.total.nanos())
    }

    #[test]
    fn every_word_of_the_config_is_one_of_the_catalogue() {
        let buckets: BTreeSet<Bucket> = Counted::ALL.iter().map(|counted| bucket(*counted)).collect();
        assert_eq!(buckets.len(), Bucket::COUNT);
        assert!(Counted::ALL.iter().all(|counted| word(bucket(*counted)) == counted.as_str()));
        assert!(Counted::ALL.iter().all(|counted| bucket(*counted).is_tokens() == counted.is_tokens()));
        assert!(Ability::ALL.iter().all(|one| Capability::from_name(one.as_str()).is_some()));
        assert!(ModelMode::ALL.iter().all(|mode| Mode::from_name(mode.as_str()).is_some()));
    }

    #[test]
    fn what_the_config_says_is_what_is_charged() {
        let plain = config("");
        let listed = million(&plain, "openai", "gpt-4.1").unwrap();
        let version = |config: &Config| in_force(config).unwrap().version().to_string();
        let own = config("models: { openai/gpt-4.1: { prices: { input: 1.23 }, margin: 10% } }");
        assert_eq!(million(&own, "openai", "gpt-4.1"), Some(1_353_000_000));
        let less = config("models: { 'openai/*': { discount: 25% } }");
        assert_eq!(million(&less, "openai", "gpt-4.1"), Some(listed * 3 / 4));
        let all = config("models: { '*/*': { margin: 100% } }");
        assert_eq!(million(&all, "openai", "gpt-4.1"), Some(listed * 2));
        assert_eq!(million(&all, "demo", "chat"), Some(0), "what is free stays free");
        let versions: BTreeSet<String> = [plain, own, less, all].iter().map(version).collect();
        assert_eq!(versions.len(), 4);
    }

    #[test]
    fn what_a_gateway_keeps_is_what_the_whole_list_has_of_its_providers() {
        let text = "providers: { openai: { api_key: k }, openai-eu: { type: openai, api_key: k }, demo: }\n";
        for models in ["", "models: { 'openai*/gpt-4.1': { prices: { input: 3 } } }"] {
            let config = config(&format!("{text}{models}"));
            let upstreams = crate::assemble::upstreams(&config, false).unwrap();
            let (whole, kept) = (in_force(&config).unwrap(), in_force_for(&config, &upstreams).unwrap());
            assert_eq!(kept.version(), whole.version());
            assert!(kept.len() < whole.len());
            for upstream in &upstreams {
                assert!(kept.models(&upstream.catalog).eq(whole.models(&upstream.catalog)), "{upstream:?}");
                assert!(kept.models(&upstream.catalog).next().is_some(), "{upstream:?}");
            }
        }
    }

    #[test]
    fn two_accounts_have_two_contracts() {
        let text = "providers: { openai: , openai-eu: { type: openai } }\n";
        let plain = config(text);
        let listed = million(&plain, "openai-eu", "gpt-4.1");
        assert!(listed.is_some() && listed == million(&plain, "openai", "gpt-4.1"));
        let split = config(&format!("{text}models: {{ openai-eu/gpt-4.1: {{ prices: {{ input: 3 }} }} }}"));
        assert_eq!(million(&split, "openai-eu", "gpt-4.1"), Some(3_000_000_000));
        assert_eq!(million(&split, "openai", "gpt-4.1"), listed);
        assert!(million(&split, "openai-eu", "gpt-4o").is_some(), "its other models are priced as ever");
        let both = config(&format!("{text}models: {{ 'openai*/gpt-4.1': {{ prices: {{ input: 3 }} }} }}"));
        assert_eq!(million(&both, "openai", "gpt-4.1"), Some(3_000_000_000));
        assert_eq!(million(&both, "openai-eu", "gpt-4.1"), Some(3_000_000_000));
    }

    #[test]
    fn a_provider_that_is_listed_under_another_name_is_priced_by_it() {
        let other = lockgate_provider::ALL.iter().find(|profile| profile.catalog == Some("azure"));
        let name = other.expect("one is listed as azure").name;
        let listed = million(&config(""), "azure", "gpt-4.1");
        assert!(listed.is_some());
        assert_eq!(million(&config(""), name, "gpt-4.1"), listed);
        let own = format!("models: {{ {name}/gpt-4.1: {{ prices: {{ input: 3 }} }} }}");
        assert_eq!(million(&config(&own), name, "gpt-4.1"), Some(3_000_000_000));
        assert_eq!(million(&config(&own), "azure", "gpt-4.1"), listed);
        assert!(million(&config(&own), name, "gpt-4.1-mini").is_some());
    }

    #[test]
    fn a_file_stands_in_place_of_the_list() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{{\"format\":1}}\n{{\"p\":\"acme\",\"id\":\"a\",\"$\":{{\"in\":7}}}}").unwrap();
        let named = format!("catalog: {{ file: '{}' }}", file.path().display());
        let own = config(&named);
        assert_eq!(million(&own, "acme", "a"), Some(7));
        assert_eq!(million(&own, "openai", "gpt-4.1"), None);
        assert_eq!(million(&own, "demo", "chat"), Some(0));
        writeln!(file, "{{\"p\":1}}\n[]").unwrap();
        let wrong = in_force(&own).unwrap_err();
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains(":3: ") && wrong[1].contains(":4: "), "{wrong:?}");
        drop(file);
        assert_eq!(in_force(&own).unwrap_err().len(), 1);
    }

    #[test]
    fn what_is_probably_not_meant_is_doubted() {
        let doubt = |name: &str, says: &str| {
            let config = config(&format!("models: {{ '{name}': {says} }}"));
            let catalog = in_force(&config).unwrap();
            doubts(&config, &catalog).pop().map(|doubt| doubt.message).unwrap_or_default()
        };
        assert!(doubt("opnai/gpt-4.1", "{ discount: 1% }").ends_with("did you mean \"openai\"?"));
        assert!(doubt("openai/gpt-4.1-mni", "{ discount: 1% }").ends_with("did you mean \"gpt-4.1-mini\"?"));
        assert!(doubt("openai/gpt-4.1-mni", "{ prices: { input: 1 } }").contains("did you mean"));
        assert!(doubt("openai/nothing-*", "{ discount: 1% }").contains("does nothing"));
        for (name, says) in [
            ("openai/gpt-4.1", "{ discount: 1% }"),
            ("openai/gpt-4.1-2031-01-01", "{ discount: 1% }"),
            ("openai/gpt-99", "{ prices: { input: 1, output: 2 } }"),
            ("openai/gpt-99", "{ free: true }"),
            ("*/gpt-4.1", "{ discount: 1% }"),
        ] {
            assert_eq!(doubt(name, says), "", "{name} {says}");
        }
    }
}
