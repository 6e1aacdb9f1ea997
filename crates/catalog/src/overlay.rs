//! The operator's own models, prices, discounts and margins, over the catalogue's.

use std::num::NonZeroU32;
use std::sync::Arc;

use lockgate_core::money::Price;

use crate::find;
use crate::model::{Capabilities, Day, Limits, Mode, Model};
use crate::price::{Entry, Prices, Window};

/// What the configuration says of a model, or of all that fit a pattern. What it does not say stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelOverride {
    /// The provider. With a `*` the override stands for each known model whose provider and id fit.
    pub provider: String,
    /// The model's id. With a `*` it stands for each known model that fits. Without one in either, a model that is not in the list is
    /// made; it starts from the row that its name leads to (see the module `find`), if it leads to one.
    pub id: String,
    /// The variant; `None`: the model itself, and with a pattern its variants too.
    pub variant: Option<String>,
    /// What it is for.
    pub mode: Option<Mode>,
    /// How much fits in all, of input, of output: each by itself.
    pub limits: Limits,
    /// What it can do, in place of what is known.
    pub capabilities: Option<Capabilities>,
    /// The day from which on it is gone.
    pub retires: Option<Day>,
    /// Whether nothing is charged. `true` takes all prices away.
    pub free: Option<bool>,
    /// Prices in place of the known ones, each for its bucket and card.
    pub prices: Vec<Entry>,
    /// The windows that those prices' cards name, in place of the known ones; empty: the known ones.
    pub windows: Vec<Window>,
    /// What the provider takes of its list prices. Does not touch `prices`: they are what is paid.
    pub discount: Option<Factor>,
    /// What is charged of each price, those of `prices` included.
    pub margin: Option<Factor>,
}

/// A factor in millionths: 900,000 is nine tenths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor(pub u32);

const MILLION: u128 = 1_000_000;

/// Applies overrides in their order. The models stay sorted.
pub(crate) fn apply(models: &mut Vec<Model>, overrides: &[ModelOverride]) {
    for one in overrides {
        if one.is_pattern() {
            let fitting = models.iter_mut().filter(|model| one.fits(model));
            fitting.for_each(|model| one.change(model));
            continue;
        }
        let key = (one.provider.as_str(), one.id.as_str(), one.variant.as_deref().unwrap_or_default());
        match models.binary_search_by(|model| model.key().cmp(&key)) {
            Ok(at) => models.get_mut(at).into_iter().for_each(|model| one.change(model)),
            Err(at) => {
                let mut model = template(models, one);
                one.change(&mut model);
                models.insert(at, model);
            }
        }
    }
}

/// Feeds everything that overrides say to a hash, so that a version tells what was charged by.
pub(crate) fn digest(overrides: &[ModelOverride], hasher: &mut blake3::Hasher) {
    for one in overrides {
        for text in [&one.provider, &one.id, one.variant.as_ref().unwrap_or(&String::new())] {
            hasher.update(&text.len().to_le_bytes()).update(text.as_bytes());
        }
        let count = |n: Option<NonZeroU32>| n.map_or(0, NonZeroU32::get);
        let limits = [one.limits.context, one.limits.input, one.limits.output].map(count);
        let facts = format!("{limits:?}{:?}{:?}{:?}{:?}", one.mode, one.capabilities, one.retires, one.free);
        let factors = format!("{:?}{:?}{:?}", one.discount, one.margin, one.windows);
        hasher.update(facts.as_bytes()).update(factors.as_bytes());
        for entry in &one.prices {
            hasher.update(entry.card.key().as_bytes()).update(entry.bucket.key().as_bytes());
            hasher.update(&entry.price.0.to_le_bytes());
        }
    }
}

/// What a model that is not in the list starts from: the row that its name leads to, as for the snapshot of a known
/// model; else nothing but its name.
fn template(models: &[Model], one: &ModelOverride) -> Model {
    let start = models.partition_point(|model| *model.provider < *one.provider);
    let rest = models.get(start..).unwrap_or_default();
    let known =
        rest.get(..rest.partition_point(|model| *model.provider == *one.provider)).unwrap_or_default();
    let provider =
        known.first().map_or_else(|| one.provider.as_str().into(), |model| Arc::clone(&model.provider));
    let found = if one.variant.is_none() { find::find(known, &one.id) } else { None };
    let start = found.map_or_else(|| Model::unknown(provider, &one.id), |found| found.model.clone());
    Model { id: one.id.as_str().into(), variant: one.variant.as_deref().map(Into::into), ..start }
}

// === impl ModelOverride ===

impl ModelOverride {
    /// Whether it stands for known models that fit, and makes none.
    fn is_pattern(&self) -> bool {
        self.provider.contains('*') || self.id.contains('*')
    }

    fn fits(&self, model: &Model) -> bool {
        find::fits(self.provider.as_bytes(), || model.provider.bytes())
            && find::fits(self.id.as_bytes(), || model.id.bytes())
            && (self.variant.is_none() || self.variant.as_deref() == model.variant.as_deref())
    }

    fn change(&self, model: &mut Model) {
        model.mode = self.mode.unwrap_or(model.mode);
        model.limits.context = self.limits.context.or(model.limits.context);
        model.limits.input = self.limits.input.or(model.limits.input);
        model.limits.output = self.limits.output.or(model.limits.output);
        model.capabilities = self.capabilities.unwrap_or(model.capabilities);
        model.retires = self.retires.or(model.retires);
        self.reprice(model);
    }

    fn reprice(&self, model: &mut Model) {
        model.free = self.free.unwrap_or(model.free && self.prices.is_empty());
        if model.free {
            model.prices = Prices::default();
            return;
        }
        if !self.windows.is_empty() {
            let anytime = model.prices.entries().iter().filter(|e| e.card.window.is_none());
            model.prices = Prices::new(anytime.copied().collect(), self.windows.clone());
        }
        if let Some(discount) = self.discount {
            model.prices = model.prices.changed(|e| discount.of(e.price), &[]);
        }
        if !self.prices.is_empty() {
            model.prices = model.prices.changed(|e| e.price, &self.prices);
        }
        if let Some(margin) = self.margin {
            model.prices = model.prices.changed(|e| margin.of(e.price), &[]);
        }
    }
}

// === impl Factor ===

impl Factor {
    /// The price times the factor, rounded half up to a nano-dollar per million.
    pub fn of(self, price: Price) -> Price {
        let product = (u128::from(price.0) * u128::from(self.0) + MILLION / 2) / MILLION;
        Price(u64::try_from(product).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::{Bucket, Card, Tier};
    use crate::{Catalog, find::By};

    const LIST: &str = r#"{"format":1}
{"p":"acme","id":"a","out":10,"$":{"in":1000,"out":4000},"$batch":{"in":500}}
{"p":"acme","id":"b","$":{"in":2000}}
{"p":"acme","id":"c","free":true}
{"p":"other","id":"a","$":{"in":1000}}
"#;

    fn catalog(overrides: &[ModelOverride]) -> Catalog {
        Catalog::read(LIST).expect("a good list").with(overrides)
    }

    fn of(id: &str) -> ModelOverride {
        ModelOverride { provider: "acme".into(), id: id.into(), ..ModelOverride::default() }
    }

    fn entry(bucket: Bucket, price: u64) -> Entry {
        Entry { card: Card::STANDARD, bucket, price: Price(price) }
    }

    fn price(catalog: &Catalog, id: &str, tier: Tier, bucket: Bucket) -> Option<u64> {
        let found = catalog.find("acme", id).filter(|f| f.by == By::Name)?;
        found.model.prices.on(Card { tier, ..Card::STANDARD }, bucket).map(|p| p.0)
    }

    #[test]
    fn what_is_not_said_stays() {
        let mut one = of("a");
        one.prices = vec![entry(Bucket::Input, 7)];
        one.limits.context = NonZeroU32::new(99);
        let catalog = catalog(&[one]);
        assert_eq!(price(&catalog, "a", Tier::Standard, Bucket::Input), Some(7));
        assert_eq!(price(&catalog, "a", Tier::Standard, Bucket::Output), Some(4000));
        assert_eq!(price(&catalog, "a", Tier::Batch, Bucket::Input), Some(500));
        let limits = catalog.find("acme", "a").expect("there").model.limits;
        assert_eq!((limits.context, limits.output), (NonZeroU32::new(99), NonZeroU32::new(10)));
    }

    #[test]
    fn a_discount_is_of_list_prices_and_a_margin_of_all() {
        let mut one = of("a");
        one.prices = vec![entry(Bucket::Input, 1_000)];
        one.discount = Some(Factor(900_000));
        one.margin = Some(Factor(1_200_000));
        let catalog = catalog(&[one]);
        assert_eq!(price(&catalog, "a", Tier::Standard, Bucket::Input), Some(1_200));
        assert_eq!(price(&catalog, "a", Tier::Standard, Bucket::Output), Some(4_320));
        assert_eq!(price(&catalog, "a", Tier::Batch, Bucket::Input), Some(540));
    }

    #[test]
    fn a_pattern_is_for_the_models_of_one_provider() {
        let catalog = catalog(&[ModelOverride { discount: Some(Factor(500_000)), ..of("*") }]);
        assert_eq!(price(&catalog, "a", Tier::Standard, Bucket::Input), Some(500));
        assert_eq!(price(&catalog, "b", Tier::Standard, Bucket::Input), Some(1_000));
        let other = catalog.find("other", "a").expect("there").model;
        assert_eq!(other.prices.standard(Bucket::Input), Some(Price(1_000)));
        assert_eq!(catalog.len(), 4, "a pattern makes no model");
    }

    #[test]
    fn a_pattern_may_be_for_several_providers() {
        let half = |provider: &str, id: &str| ModelOverride {
            provider: provider.into(),
            discount: Some(Factor(500_000)),
            ..of(id)
        };
        let first = |catalog: &Catalog, provider: &str| {
            catalog.find(provider, "a").and_then(|found| found.model.prices.standard(Bucket::Input))
        };
        let all = catalog(&[half("*", "a")]);
        assert_eq!((first(&all, "acme"), first(&all, "other")), (Some(Price(500)), Some(Price(500))));
        assert_eq!(price(&all, "b", Tier::Standard, Bucket::Input), Some(2_000));
        let some = catalog(&[half("ot*", "*")]);
        assert_eq!((first(&some, "acme"), first(&some, "other")), (Some(Price(1_000)), Some(Price(500))));
        assert_eq!(catalog(&[half("*", "nothing")]).len(), 4, "a pattern makes no model");
    }

    #[test]
    fn a_new_model_takes_its_place() {
        let new = ModelOverride { prices: vec![entry(Bucket::Input, 5)], ..of("aa") };
        let stranger = ModelOverride { provider: "zebra".into(), ..of("z") };
        let catalog = catalog(&[new, stranger]);
        assert_eq!(price(&catalog, "aa", Tier::Standard, Bucket::Input), Some(5));
        assert!(catalog.find("zebra", "z").is_some() && catalog.find("acme", "b").is_some());
        assert!(!catalog.find("zebra", "z").expect("there").model.is_priced());
    }

    #[test]
    fn a_new_model_starts_from_the_row_that_its_name_leads_to() {
        let snapshot = ModelOverride { prices: vec![entry(Bucket::Input, 5)], ..of("a-2026-01-01") };
        let catalog = catalog(&[snapshot]);
        assert_eq!(price(&catalog, "a-2026-01-01", Tier::Standard, Bucket::Input), Some(5));
        assert_eq!(price(&catalog, "a-2026-01-01", Tier::Standard, Bucket::Output), Some(4000));
        assert_eq!(price(&catalog, "a", Tier::Standard, Bucket::Input), Some(1000), "the other is as it was");
    }

    #[test]
    fn free_and_priced_exclude_each_other() {
        let paid = ModelOverride { prices: vec![entry(Bucket::Input, 5)], ..of("c") };
        let gift = ModelOverride { free: Some(true), ..of("a") };
        let catalog = catalog(&[paid, gift]);
        let model = |id| catalog.find("acme", id).expect("there").model;
        assert!(!model("c").free && model("c").prices.standard(Bucket::Input).is_some());
        assert!(model("a").free && model("a").prices.is_empty());
    }

    #[test]
    fn the_version_tells_what_was_charged_by() {
        let plain = catalog(&[]);
        let mut versions = vec![plain.version().to_string()];
        for one in [
            ModelOverride { discount: Some(Factor(1)), ..of("a") },
            ModelOverride { margin: Some(Factor(1)), ..of("a") },
            ModelOverride { prices: vec![entry(Bucket::Input, 5)], ..of("a") },
            ModelOverride { prices: vec![entry(Bucket::Output, 5)], ..of("a") },
            of("a"),
        ] {
            versions.push(catalog(&[one]).version().to_string());
        }
        let all = versions.len();
        versions.sort();
        versions.dedup();
        assert_eq!(versions.len(), all);
    }

    #[test]
    fn a_factor_rounds_once() {
        assert_eq!(Factor(500_000).of(Price(3)), Price(2));
        assert_eq!(Factor(u32::MAX).of(Price(u64::MAX)), Price(u64::MAX));
        assert_eq!(Factor(1_000_000).of(Price(u64::MAX)), Price(u64::MAX));
    }
}
