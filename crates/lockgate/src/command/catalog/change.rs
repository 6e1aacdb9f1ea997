//! What a new list of models changes.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use lockgate_catalog::price::{Card, Entry};
use lockgate_catalog::{Bucket, Catalog, Model};
use lockgate_core::money::Price;
use serde::Serialize;

use super::shown::{name, place, price};
use crate::catalogue::word;

/// What a new list changes.
#[derive(Debug, Default, Serialize)]
pub(super) struct Changes {
    /// Models that only the new list has.
    pub(super) added: Vec<String>,
    /// Models that only the old list has.
    pub(super) removed: Vec<String>,
    /// Prices that are others, new or gone, of models that both have.
    pub(super) prices: Vec<PriceChange>,
    /// Models that both have, whose prices are equal, and whose limits, capabilities or other facts are not.
    pub(super) facts: Vec<String>,
}

/// A price that is another.
#[derive(Debug, Serialize)]
pub(super) struct PriceChange {
    pub(super) model: String,
    place: String,
    counted: &'static str,
    /// In dollars, as `price` of the list has it; `None`: free, or not known.
    from: Option<String>,
    to: Option<String>,
}

// === impl Changes ===

impl Changes {
    /// Both lists are sorted alike, so one walk finds everything.
    pub(super) fn between(old: &Catalog, new: &Catalog) -> Self {
        let mut changes = Self::default();
        let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let order = match (olds.peek(), news.peek()) {
                (None, None) => return changes,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => key(old).cmp(&key(new)),
            };
            match order {
                Ordering::Less => changes.removed.extend(olds.next().map(name)),
                Ordering::Greater => changes.added.extend(news.next().map(name)),
                Ordering::Equal => {
                    if let (Some(old), Some(new)) = (olds.next(), news.next()) {
                        changes.compare(old, new);
                    }
                }
            }
        }
    }

    fn compare(&mut self, old: &Model, new: &Model) {
        if old.prices == new.prices && old.free == new.free {
            // Where a row comes from is not what it says.
            if (Model { origin: new.origin, ..old.clone() }) != *new {
                self.facts.push(name(new));
            }
            return;
        }
        let mut prices: BTreeMap<(Card, Bucket), [Option<Price>; 2]> = BTreeMap::new();
        for (at, model) in [old, new].into_iter().enumerate() {
            for Entry { card, bucket, price } in model.prices.entries() {
                if let Some(slot) = prices.entry((*card, *bucket)).or_default().get_mut(at) {
                    *slot = Some(*price);
                }
            }
        }
        prices.retain(|_, [from, to]| from != to);
        if prices.is_empty() {
            // It became free of prices that were not known, or its windows moved.
            self.facts.push(name(new));
        }
        self.prices.extend(prices.into_iter().map(|((card, bucket), [from, to])| PriceChange {
            model: name(new),
            place: place(card),
            counted: word(bucket),
            from: from.map(|from| price(bucket, from)),
            to: to.map(|to| price(bucket, to)),
        }));
    }

    /// Whether the two lists say the same.
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.prices.is_empty() && self.facts.is_empty()
    }
}

impl PriceChange {
    /// `openai/gpt-4.1  standard, input: 2.00 -> 1.80`.
    pub(super) fn line(&self) -> String {
        let shown = |price: &Option<String>| price.clone().unwrap_or_else(|| "none".to_owned());
        format!(
            "{}  {}, {}: {} -> {}",
            self.model,
            self.place,
            self.counted,
            shown(&self.from),
            shown(&self.to)
        )
    }
}

fn key(model: &Model) -> (&str, &str, &str) {
    (&model.provider, &model.id, model.variant.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lines: &[&str]) -> Catalog {
        Catalog::read(&format!("{{\"format\":1}}\n{}\n", lines.join("\n"))).unwrap()
    }

    #[test]
    fn a_new_list_is_told_by_its_differences() {
        let old = list(&[
            r#"{"p":"a","id":"gone"}"#,
            r#"{"p":"a","id":"priced","$":{"in":1000000000,"out":5},"$batch":{"in":3}}"#,
            r#"{"p":"a","id":"same","ctx":5}"#,
            r#"{"p":"a","id":"wider","ctx":5}"#,
        ]);
        let new = list(&[
            r#"{"p":"a","id":"priced","$":{"in":2000000000,"out":5,"srch":10000000000000}}"#,
            r#"{"p":"a","id":"same","ctx":5,"at":"2026-01-01"}"#,
            r#"{"p":"a","id":"wider","ctx":6}"#,
            r#"{"p":"b","id":"new"}"#,
        ]);
        let changes = Changes::between(&old, &new);
        assert_eq!((changes.added, changes.removed), (vec!["b/new".to_owned()], vec!["a/gone".to_owned()]));
        assert_eq!(changes.facts, ["a/wider"]);
        let lines: Vec<String> = changes.prices.iter().map(PriceChange::line).collect();
        assert_eq!(
            lines,
            [
                "a/priced  standard, input: 1.00 -> 2.00",
                "a/priced  standard, search: none -> 0.01",
                "a/priced  batch, input: 0.000000003 -> none",
            ]
        );
        assert!(Changes::between(&old, &old).is_empty());
    }
}
