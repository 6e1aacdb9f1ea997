//! Two price lists set side by side: what is equal, what differs with a known reason, what differs without.

use std::collections::HashMap;
use std::fmt;

use lockgate_core::money::Price;
use serde::Deserialize;

use crate::catalog::Catalog;
use crate::load::LoadError;
use crate::price::{Bucket, Card};

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Models that both lists have.
    pub models: usize,
    /// Prices that both have and that are equal.
    pub equal: usize,
    /// Prices of those models that only ours has.
    pub only_ours: usize,
    /// Prices of those models that only the other list has.
    pub only_theirs: usize,
    /// Prices that differ.
    pub differences: Vec<Difference>,
}

/// A price that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The provider.
    pub provider: String,
    /// The model.
    pub id: String,
    /// Where the price holds.
    pub card: Card,
    /// What it is for.
    pub bucket: Bucket,
    /// Our price.
    pub ours: Price,
    /// The other list's.
    pub theirs: Price,
    /// What is known of the difference.
    pub class: Class,
}

/// What is known of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// Ours is right, and why.
    Explained(String),
    /// Nothing settles it; ours is the higher of the two. Why nothing does.
    Open(String),
    /// Nothing is known.
    Unexplained,
}

/// Known differences. One holds for exactly the two figures that it names: when either changes, it is unexplained again.
#[derive(Clone, Debug, Default)]
pub struct Reasons(HashMap<(String, String, String), (Price, Price, Class)>);

const SECOND: &str = include_str!("../data/second.jsonl");
const DIFFERENCES: &str = include_str!("../data/differences.json");

/// The second source that the catalogue was checked against when it was made, and what is known of the differences.
///
/// # Errors
///
/// Only if the embedded data is broken.
pub fn second_source() -> Result<(Catalog, Reasons), LoadError> {
    Ok((Catalog::read(SECOND)?, Reasons::read(DIFFERENCES)?))
}

/// Compares the prices of all models that both lists have under the same provider, id and variant.
pub fn compare(ours: &Catalog, theirs: &Catalog, reasons: &Reasons) -> Report {
    let mut report = Report::default();
    for other in theirs.iter() {
        let variant = other.variant.as_deref().unwrap_or_default();
        let Some(model) = ours.variant(&other.provider, &other.id, variant) else { continue };
        report.models += 1;
        let has = |e: &&crate::price::Entry| other.prices.on(e.card, e.bucket).is_none();
        report.only_ours += model.prices.entries().iter().filter(has).count();
        for entry in other.prices.entries() {
            match model.prices.on(entry.card, entry.bucket) {
                None => report.only_theirs += 1,
                Some(price) if price == entry.price => report.equal += 1,
                Some(price) => report.differences.push(Difference {
                    provider: other.provider.to_string(),
                    id: other.id.to_string(),
                    card: entry.card,
                    bucket: entry.bucket,
                    ours: price,
                    theirs: entry.price,
                    class: reasons.of(
                        &other.provider,
                        &other.id,
                        entry.card,
                        entry.bucket,
                        price,
                        entry.price,
                    ),
                }),
            }
        }
    }
    report
}

/// The file of differences, as far as it matters here.
#[derive(Deserialize)]
struct File {
    explained: Vec<Group>,
    open: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    reason: String,
    /// Provider, id, card and bucket, our price, theirs.
    prices: Vec<(String, String, String, u64, u64)>,
}

// === impl Report ===

impl Report {
    /// The differences of which nothing is known.
    pub fn unexplained(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|d| d.class == Class::Unexplained)
    }

    /// The differences that nothing settles.
    pub fn open(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|d| matches!(d.class, Class::Open(_)))
    }
}

// === impl Reasons ===

impl Reasons {
    /// Reads a file of differences, in the form of `data/differences.json`.
    ///
    /// # Errors
    ///
    /// Where it is not of that form.
    pub fn read(text: &str) -> Result<Self, LoadError> {
        let file: File = serde_json::from_str(text)
            .map_err(|error| LoadError { line: error.line(), what: error.to_string() })?;
        let mut reasons = HashMap::new();
        for (groups, class) in
            [(file.explained, Class::Explained as fn(String) -> Class), (file.open, Class::Open)]
        {
            for group in groups {
                for (provider, id, place, ours, theirs) in group.prices {
                    let known = (Price(ours), Price(theirs), class(group.reason.clone()));
                    reasons.insert((provider, id, place), known);
                }
            }
        }
        Ok(Self(reasons))
    }

    fn of(&self, provider: &str, id: &str, card: Card, bucket: Bucket, ours: Price, theirs: Price) -> Class {
        let known = self.0.get(&(provider.to_owned(), id.to_owned(), place(card, bucket)));
        match known {
            Some((one, other, class)) if (*one, *other) == (ours, theirs) => class.clone(),
            _ => Class::Unexplained,
        }
    }
}

/// `standard:in`, `batch>272000:out`.
fn place(card: Card, bucket: Bucket) -> String {
    let card = if card == Card::STANDARD { "standard".to_owned() } else { card.key() };
    format!("{card}:{}", bucket.key())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = place(self.card, self.bucket);
        let (ours, theirs) = (dollars(self.ours), dollars(self.theirs));
        write!(f, "{}/{} {place}: {ours} here, {theirs} there", self.provider, self.id)
    }
}

/// A price in dollars per million, as people write it.
pub fn dollars(price: Price) -> String {
    const NANOS: u64 = 1_000_000_000;
    let (whole, nanos) = (price.0 / NANOS, price.0 % NANOS);
    let digits = format!("{nanos:09}");
    let kept = digits.trim_end_matches('0').len().max(2);
    format!("{whole}.{}", digits.get(..kept).unwrap_or(&digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_source_differs_for_known_reasons_only() {
        let (theirs, reasons) = second_source().expect("the embedded data is good");
        let report = compare(&Catalog::built_in(), &theirs, &reasons);
        let unexplained: Vec<_> = report.unexplained().map(ToString::to_string).collect();
        assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
        assert!(report.open().all(|d| d.ours > d.theirs), "of two unsettled prices the higher is taken");
        println!(
            "{} models, {} prices equal, {} explained, {} open, {} only ours, {} only theirs",
            report.models,
            report.equal,
            report.differences.len() - report.open().count(),
            report.open().count(),
            report.only_ours,
            report.only_theirs
        );
        assert!(report.models > 900 && report.equal > 3_000);
    }

    #[test]
    fn a_reason_holds_for_its_two_figures_only() {
        let list = |price: u64| {
            Catalog::read(&format!(
                "{{\"format\":1}}\n{{\"p\":\"a\",\"id\":\"b\",\"$batch\":{{\"in\":{price}}}}}\n"
            ))
            .expect("a good list")
        };
        let file = r#"{"explained":[{"reason":"why","prices":[["a","b","batch:in",5,7]]}],"open":[]}"#;
        let reasons = Reasons::read(file).expect("a good file");
        let class = |ours, theirs| {
            let report = compare(&list(ours), &list(theirs), &reasons);
            report.differences.first().map(|d| d.class.clone())
        };
        assert_eq!(class(5, 7), Some(Class::Explained("why".into())));
        assert_eq!(class(5, 8), Some(Class::Unexplained));
        assert_eq!(class(6, 7), Some(Class::Unexplained));
        assert_eq!(class(5, 5), None);
    }

    #[test]
    fn a_price_is_shown_in_dollars() {
        let show = |nanos| dollars(Price(nanos));
        assert_eq!(
            [show(2_500_000_000), show(75_000_000), show(0), show(1)],
            ["2.50", "0.075", "0.00", "0.000000001"]
        );
    }
}
