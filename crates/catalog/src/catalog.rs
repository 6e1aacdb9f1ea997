//! The catalogue as a whole.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::built_in;
use crate::find::{self, Found};
use crate::load::{self, Head, LoadError};
use crate::model::Model;
use crate::overlay::{self, ModelOverride};

/// All models that are known, sorted by provider, id and variant.
#[derive(Clone)]
pub struct Catalog {
    head: Head,
    sources: Box<[Box<str>]>,
    models: Vec<Model>,
    /// Each provider with the place behind its last model.
    ends: Box<[(Arc<str>, usize)]>,
    version: Arc<str>,
}

/// Hexadecimal digits of a version.
const VERSION: usize = 12;

// === impl Catalog ===

impl Catalog {
    /// The catalogue that the binary carries. Reading it takes some milliseconds and 2 MB: do it once.
    pub fn built_in() -> Self {
        Self::read(built_in::TEXT).expect("a test reads the embedded data whole")
    }

    /// The same, of these providers only: a gateway needs no more, and neither the memory nor the time of the rest.
    pub fn built_in_of(providers: &BTreeSet<&str>) -> Self {
        let kept = Self::read(&built_in::excerpt(providers)).expect("lines of the embedded data, in order");
        Self { version: built_in::version().into(), ..kept }
    }

    /// A catalogue of one's own, in the form of `data/README.md`.
    ///
    /// # Errors
    ///
    /// The first line that is wrong, and what is wrong with it.
    pub fn read(text: &str) -> Result<Self, LoadError> {
        let loaded = load::read(text)?;
        let version = short(blake3::hash(text.as_bytes()));
        let ends = ends(&loaded.models);
        Ok(Self { head: loaded.head, sources: loaded.sources, models: loaded.models, ends, version })
    }

    /// Everything that is wrong with a catalogue's text: the first mistakes of it, at most `most`, in the order of its
    /// lines. Nothing exactly if [`Catalog::read`] takes it.
    pub fn mistakes(text: &str, most: usize) -> Vec<LoadError> {
        load::mistakes(text, most)
    }

    /// A catalogue that knows nothing.
    pub fn empty() -> Self {
        let version = short(blake3::hash(b""));
        Self {
            head: Head::default(),
            sources: Box::default(),
            models: Vec::new(),
            ends: Box::default(),
            version,
        }
    }

    /// The same with the operator's own models, prices, discounts and margins, applied in order.
    #[must_use]
    pub fn with(mut self, overrides: &[ModelOverride]) -> Self {
        if overrides.is_empty() {
            return self;
        }
        overlay::apply(&mut self.models, overrides);
        self.ends = ends(&self.models);
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.version.as_bytes());
        overlay::digest(overrides, &mut hasher);
        self.version = short(hasher.finalize());
        self
    }

    /// The same with the models of known providers under further names: of each pair the first is the name, the second
    /// the provider whose models it has, as they stand here. Models that stood under the name are replaced.
    #[must_use]
    pub fn with_accounts(mut self, accounts: &[(&str, &str)]) -> Self {
        if accounts.is_empty() {
            return self;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.version.as_bytes());
        let mut further = Vec::new();
        for (name, like) in accounts {
            for text in [name, like] {
                hasher.update(&text.len().to_le_bytes()).update(text.as_bytes());
            }
            let provider: Arc<str> = (*name).into();
            further
                .extend(self.of(like).iter().map(|m| Model { provider: Arc::clone(&provider), ..m.clone() }));
        }
        let names: HashSet<&str> = accounts.iter().map(|(name, _)| *name).collect();
        self.models.retain(|model| !names.contains(&*model.provider));
        self.models.extend(further);
        self.models.sort_by(|a, b| a.key().cmp(&b.key()));
        self.models.dedup_by(|later, kept| later.key() == kept.key());
        self.ends = ends(&self.models);
        self.version = short(hasher.finalize());
        self
    }

    /// What a record keeps to say by which prices it was charged: it changes when any fact or override does.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The day whose prices these are, as `2026-11-21`; empty if it is not known.
    pub fn day(&self) -> &str {
        &self.head.day
    }

    /// A model by provider and id, found as the module `find` says: exactly, or by a normalised name, which is then said.
    pub fn find(&self, provider: &str, id: &str) -> Option<Found<'_>> {
        find::find(self.of(provider), id)
    }

    /// A variant of a model by its exact names.
    pub fn variant(&self, provider: &str, id: &str, variant: &str) -> Option<&Model> {
        let models = self.of(provider);
        let at = models.binary_search_by(|m| m.key().cmp(&(provider, id, variant))).ok()?;
        models.get(at)
    }

    /// The models of a provider, variants included.
    pub fn models(&self, provider: &str) -> impl Iterator<Item = &Model> {
        self.of(provider).iter()
    }

    /// Every model, variants included.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.models.iter()
    }

    /// The models whose `provider/id` fits a pattern, in which `*` stands for any text.
    pub fn matching<'a>(&'a self, pattern: &'a str) -> impl Iterator<Item = &'a Model> {
        self.models.iter().filter(move |model| {
            let name = || model.provider.bytes().chain([b'/']).chain(model.id.bytes());
            find::fits(pattern.as_bytes(), name)
        })
    }

    /// How many models there are, variants included.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether no model is known.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The names of the providers, sorted.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.ends.iter().map(|(name, _)| &**name)
    }

    /// Where a model's row comes from: package and version, and the address that it cites.
    pub fn origin(&self, model: &Model) -> (Option<(&str, &str)>, Option<&str>) {
        let package = self.head.packages.get(&char::from(model.origin.package));
        let source = model.origin.source.and_then(|at| self.sources.get(usize::from(at)));
        (package.map(|(name, version)| (&**name, &**version)), source.map(|address| &**address))
    }

    /// The rows of one provider: they lie together.
    fn of(&self, provider: &str) -> &[Model] {
        let Ok(at) = self.ends.binary_search_by(|(name, _)| (**name).cmp(provider)) else { return &[] };
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |(_, end)| *end);
        self.ends.get(at).and_then(|(_, end)| self.models.get(start..*end)).unwrap_or_default()
    }
}

fn ends(models: &[Model]) -> Box<[(Arc<str>, usize)]> {
    let mut ends: Vec<(Arc<str>, usize)> = Vec::new();
    for (place, model) in (1..).zip(models) {
        match ends.last_mut() {
            Some((provider, end)) if *provider == model.provider => *end = place,
            _ => ends.push((Arc::clone(&model.provider), place)),
        }
    }
    ends.into_boxed_slice()
}

fn short(hash: blake3::Hash) -> Arc<str> {
    hash.to_hex().get(..VERSION).unwrap_or_default().into()
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("version", &self.version)
            .field("day", &self.head.day)
            .field("models", &self.models.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_data_is_good() {
        if let Err(error) = load::read(built_in::TEXT) {
            panic!("{error}");
        }
        let catalog = Catalog::built_in();
        assert_eq!(catalog.len(), built_in::TEXT.lines().count() - 1);
        assert_eq!(catalog.version().len(), VERSION);
    }

    #[test]
    fn there_are_enough_priced_models() {
        let catalog = Catalog::built_in();
        let chat: Vec<_> = catalog.iter().filter(|m| m.mode.is_text() && m.is_priced()).collect();
        let mut providers: Vec<_> = chat.iter().map(|m| &*m.provider).collect();
        providers.dedup();
        println!("{} priced chat models of {} providers", chat.len(), providers.len());
        assert!(chat.len() >= 2_500 && providers.len() >= 40);
    }

    #[test]
    fn a_provider_has_its_own_models_and_no_others() {
        let catalog = Catalog::built_in();
        let mut counted = 0;
        for provider in catalog.providers() {
            let models = catalog.models(provider).count();
            assert!(models > 0);
            assert!(catalog.models(provider).all(|m| *m.provider == *provider));
            counted += models;
        }
        assert_eq!(counted, catalog.len());
        assert_eq!(catalog.models("no-such-provider").count(), 0);
    }

    #[test]
    fn a_pattern_finds_models() {
        let catalog = Catalog::built_in();
        assert!(catalog.matching("openai/gpt-4o*").count() > 5);
        assert!(catalog.matching("openai/gpt-4o*").all(|m| m.id.starts_with("gpt-4o")));
        assert!(catalog.matching("*/gpt-4o").any(|m| &*m.provider == "azure"));
        assert_eq!(catalog.matching("*").count(), catalog.len());
        assert_eq!(catalog.matching("nothing*").count(), 0);
    }

    #[test]
    fn a_row_says_where_it_comes_from() {
        let catalog = Catalog::built_in();
        let found = catalog.find("anthropic", "claude-sonnet-4-5").expect("a well-known model");
        let (package, address) = catalog.origin(found.model);
        assert_eq!(package.map(|(name, _)| name), Some("litellm"));
        assert!(address.is_some_and(|a| a.starts_with("https://")));
    }

    #[test]
    fn the_version_is_that_of_the_data() {
        let head = r#"{"format":1}"#;
        let one = Catalog::read(&format!("{head}\n{{\"p\":\"a\",\"id\":\"b\",\"$\":{{\"in\":1}}}}\n"));
        let two = Catalog::read(&format!("{head}\n{{\"p\":\"a\",\"id\":\"b\",\"$\":{{\"in\":2}}}}\n"));
        assert_ne!(one.expect("good").version(), two.expect("good").version());
        assert_eq!(Catalog::built_in().version(), Catalog::built_in().version());
    }

    #[test]
    fn a_part_of_the_built_in_list_is_what_the_whole_has_of_it() {
        let whole = Catalog::built_in();
        assert_eq!(**whole.version(), *built_in::version(), "run `cargo xtask generate`");
        for provider in whole.providers().chain(["", "unheard-of", "zzz"]) {
            let part = Catalog::built_in_of(&BTreeSet::from([provider]));
            assert!(part.iter().eq(whole.models(provider)), "{provider}");
        }
        let part = Catalog::built_in_of(&BTreeSet::from(["openai", "anthropic"]));
        let both = whole.models("anthropic").chain(whole.models("openai"));
        assert!(part.iter().eq(both));
        assert_eq!(part.version(), whole.version());
        assert!(Catalog::built_in_of(&BTreeSet::new()).is_empty());
    }

    #[test]
    fn an_account_has_the_models_of_its_provider() {
        let plain = Catalog::built_in();
        let version = plain.version().to_string();
        let openai = plain.models("openai").count();
        let catalog =
            plain.with_accounts(&[("openai-eu", "openai"), ("groq", "openai"), ("new", "unheard-of")]);
        assert_eq!(catalog.models("openai-eu").count(), openai);
        assert_eq!(catalog.models("groq").count(), openai, "its own models are replaced");
        assert_eq!(catalog.models("new").count(), 0);
        assert!(catalog.find("openai-eu", "gpt-4o").is_some_and(|found| found.by == crate::By::Name));
        assert_ne!(*catalog.version().to_string(), version);
        assert_eq!(Catalog::built_in().with_accounts(&[]).version().to_string(), version);
    }
}
