//! Prices typed by hand against the data, and the data against a second reading of it.

use std::collections::BTreeSet;

use lockgate_catalog::price::{Bucket, Card};
use lockgate_catalog::{By, Catalog};
use serde_json::Value;

const KNOWN: &str = include_str!("known_prices.txt");
const DATA: &str = include_str!("../data/models.jsonl");

/// Nano-dollars of a figure in plain decimals, by moving its point nine places.
fn nanos(figure: &str) -> u64 {
    let (whole, part) = figure.split_once('.').unwrap_or((figure, ""));
    format!("{whole}{part:0<9}").parse().expect("a plain decimal of at most nine places")
}

#[test]
fn prices_that_were_typed_by_hand_are_those_of_the_data() {
    let catalog = Catalog::built_in();
    let (mut prices, mut providers, mut buckets) = (0, BTreeSet::new(), BTreeSet::new());
    for line in KNOWN.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (provider, id) = (words[0], words[1]);
        let found = catalog.find(provider, id).unwrap_or_else(|| panic!("{provider}/{id} is not there"));
        assert_eq!(found.by, By::Name, "{provider}/{id}");
        for pair in words[2..].chunks(2) {
            let (card, bucket) = pair[0].rsplit_once(':').unwrap_or(("", pair[0]));
            let card = Card::from_key(card).expect("a card");
            let bucket = Bucket::from_key(bucket).expect("a bucket");
            let price = found.model.prices.on(card, bucket).map(|p| p.0);
            assert_eq!(price, Some(nanos(pair[1])), "{provider}/{id} {}", pair[0]);
            prices += 1;
            providers.insert(provider);
            buckets.insert(bucket);
        }
    }
    println!("{prices} prices, {} providers, {} kinds of buckets", providers.len(), buckets.len());
    assert!(prices >= 200 && providers.len() >= 10);
    let missing: Vec<_> = Bucket::all().filter(|b| b.is_tokens() && !buckets.contains(b)).collect();
    assert!(missing.is_empty(), "{missing:?}: every token bucket is among them");
}

#[test]
fn every_row_and_every_integer_survives_the_reading() {
    let catalog = Catalog::built_in();
    let mut prices = 0;
    for (line, model) in DATA.lines().skip(1).zip(catalog.iter()) {
        let row: Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!((row["p"].as_str(), row["id"].as_str()), (Some(&*model.provider), Some(&*model.id)));
        assert_eq!(row["var"].as_str(), model.variant.as_deref());
        assert_eq!(row["m"].as_str(), Some(model.mode.name()));
        assert_eq!(row["free"].as_bool().unwrap_or(false), model.free);
        let limits =
            [("ctx", model.limits.context), ("in", model.limits.input), ("out", model.limits.output)];
        for (field, limit) in limits {
            assert_eq!(row[field].as_u64(), limit.map(|n| u64::from(n.get())), "{line}");
        }
        assert_eq!(row["dep"].as_str().map(str::to_owned), model.retires.map(|d| d.to_string()));
        let cards =
            row.as_object().expect("an object").iter().filter_map(|(k, v)| Some((k.strip_prefix('$')?, v)));
        let mut here = 0;
        for (card, figures) in cards {
            for (bucket, figure) in figures.as_object().expect("prices by bucket") {
                let card = Card::from_key(card).expect("a card");
                let bucket = Bucket::from_key(bucket).expect("a bucket");
                assert_eq!(model.prices.on(card, bucket).map(|p| p.0), figure.as_u64(), "{line}");
                here += 1;
            }
        }
        assert_eq!(model.prices.entries().len(), here, "{line}");
        prices += here;
    }
    println!("{} rows, {prices} prices", catalog.len());
}

#[test]
fn no_price_of_the_data_is_zero_and_free_is_said() {
    let catalog = Catalog::built_in();
    for model in catalog.iter() {
        assert!(model.prices.entries().iter().all(|e| e.price.0 > 0), "{}/{}", model.provider, model.id);
        assert!(!model.free || model.prices.is_empty());
    }
    assert!(catalog.find("ollama", "llama3").is_some_and(|f| f.model.free));
}

#[test]
fn thresholds_and_tiers_rest_on_standard_prices() {
    for model in Catalog::built_in().iter() {
        for entry in model.prices.entries() {
            let name = format!("{}/{} {}", model.provider, model.id, entry.card.key());
            assert!(model.prices.entries().iter().any(|e| e.card == Card::STANDARD), "{name}");
            let start = Card { above: 0, window: None, ..entry.card };
            assert!(model.prices.entries().iter().any(|e| e.card == start), "{name} has no start");
        }
    }
}
