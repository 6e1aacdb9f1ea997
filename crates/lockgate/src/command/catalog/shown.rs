//! A model for programs, and prices as people write them.

use lockgate_catalog::diff::dollars;
use lockgate_catalog::model::Uplift;
use lockgate_catalog::price::{Card, Entry, Window};
use lockgate_catalog::{Bucket, Catalog, Model};
use lockgate_core::money::Price;
use serde::Serialize;

use crate::catalogue::word;

/// Everything that is known of a model.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    provider: &'a str,
    id: &'a str,
    variant: Option<&'a str>,
    mode: &'static str,
    free: bool,
    context: Option<u32>,
    max_input: Option<u32>,
    max_output: Option<u32>,
    dimensions: Option<u32>,
    input: Vec<&'static str>,
    output: Vec<&'static str>,
    capabilities: Vec<&'static str>,
    released: Option<String>,
    retires: Option<String>,
    /// Surcharges in thousandths of the price.
    uplift: Surcharges,
    prices: Vec<ShownPrice>,
    /// Times of the week that prices name by their place.
    windows: Vec<Vec<String>>,
    origin: Origin<'a>,
}

#[derive(Debug, Serialize)]
struct Surcharges {
    us: u16,
    eu: u16,
    regional: u16,
}

/// A price. `usd` is for so many of `per`.
#[derive(Debug, Serialize)]
pub(super) struct ShownPrice {
    tier: &'static str,
    above: u32,
    window: Option<u8>,
    counted: &'static str,
    usd: String,
    per: u32,
    nanos_per_million: u64,
}

#[derive(Debug, Serialize)]
struct Origin<'a> {
    package: Option<&'a str>,
    version: Option<&'a str>,
    source: Option<&'a str>,
    day: Option<String>,
}

/// Decimals of dollars for one of something.
const PER_PIECE: usize = 15;

// === impl Shown ===

impl<'a> Shown<'a> {
    pub(super) fn new(catalog: &'a Catalog, model: &'a Model) -> Self {
        let (package, source) = catalog.origin(model);
        let Uplift { us, eu, regional } = model.uplift;
        Self {
            provider: &model.provider,
            id: &model.id,
            variant: model.variant.as_deref(),
            mode: model.mode.name(),
            free: model.free,
            context: model.limits.context.map(Into::into),
            max_input: model.limits.input.map(Into::into),
            max_output: model.limits.output.map(Into::into),
            dimensions: model.dimensions.map(Into::into),
            input: model.input.names().collect(),
            output: model.output.names().collect(),
            capabilities: model.capabilities.names().collect(),
            released: model.released.map(|day| day.to_string()),
            retires: model.retires.map(|day| day.to_string()),
            uplift: Surcharges { us, eu, regional },
            prices: model.prices.entries().iter().map(ShownPrice::new).collect(),
            windows: model.prices.windows().iter().map(|window| spans(window).collect()).collect(),
            origin: Origin {
                package: package.map(|(name, _)| name),
                version: package.map(|(_, version)| version),
                source,
                day: model.origin.day.map(|day| day.to_string()),
            },
        }
    }
}

impl ShownPrice {
    pub(super) fn new(entry: &Entry) -> Self {
        Self {
            tier: entry.card.tier.name(),
            above: entry.card.above,
            window: entry.card.window,
            counted: word(entry.bucket),
            usd: price(entry.bucket, entry.price),
            per: if entry.bucket.is_tokens() { 1_000_000 } else { 1 },
            nanos_per_million: entry.price.0,
        }
    }
}

// === words ===

/// A model as targets name it, with its variant where it has one.
pub(super) fn name(model: &Model) -> String {
    match &model.variant {
        Some(variant) => format!("{}/{} ({variant})", model.provider, model.id),
        None => format!("{}/{}", model.provider, model.id),
    }
}

/// A price in dollars: of a million tokens, of one of anything else.
pub(super) fn price(bucket: Bucket, price: Price) -> String {
    if bucket.is_tokens() { dollars(price) } else { exact(u128::from(price.0)) }
}

/// An amount in 10⁻¹⁵ dollars, with as many decimals as it needs, at least two.
pub(super) fn exact(amount: u128) -> String {
    const DOLLAR: u128 = 10_u128.pow(15);
    let digits = format!("{:0width$}", amount % DOLLAR, width = PER_PIECE);
    let kept = digits.trim_end_matches('0').len().max(2);
    format!("{}.{}", amount / DOLLAR, digits.get(..kept).unwrap_or(&digits))
}

/// Where a price holds: `standard`, `batch, prompts of more than 200000 tokens`.
pub(super) fn place(card: Card) -> String {
    let mut place = card.tier.name().to_owned();
    if card.above > 0 {
        place.push_str(&format!(", prompts of more than {} tokens", card.above));
    }
    if let Some(window) = card.window {
        place.push_str(&format!(", in window {window}"));
    }
    place
}

/// The spans of a window in UTC: `Mon 00:30-08:30`, `Sun 22:00-24:00`.
pub(super) fn spans(window: &Window) -> impl Iterator<Item = String> {
    window.spans().iter().map(|(start, end)| {
        // The end is not included: midnight belongs to the day before it.
        let (first, last) = (start / DAY, (end - 1) / DAY);
        let until = time(end - last * DAY);
        if first == last {
            format!("{} {}-{until}", day(first), time(start % DAY))
        } else {
            format!("{} {} - {} {until}", day(first), time(start % DAY), day(last))
        }
    })
}

const DAY: u16 = 1_440;

fn day(number: u16) -> &'static str {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    DAYS.get(usize::from(number)).copied().unwrap_or("Sun")
}

fn time(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_of_a_piece_is_exact() {
        assert_eq!(price(Bucket::Search, Price(10_000_000_000_000)), "0.01");
        assert_eq!(price(Bucket::ImageMade, Price(1)), "0.000000000000001");
        assert_eq!(price(Bucket::Input, Price(2_500_000_000)), "2.50");
        assert_eq!(exact(u128::from(u64::MAX)), "18446.744073709551615");
    }

    #[test]
    fn windows_are_spelled_as_times_of_the_week() {
        let window =
            Window::new(vec![(30, 510), (4 * DAY + 1_320, 5 * DAY), (6 * DAY + 60, 7 * DAY)]).unwrap();
        let spelled: Vec<String> = spans(&window).collect();
        assert_eq!(spelled, ["Mon 00:30-08:30", "Fri 22:00-24:00", "Sun 01:00-24:00"]);
        let long = Window::new(vec![(0, 2 * DAY + 60)]).unwrap();
        assert_eq!(spans(&long).collect::<Vec<_>>(), ["Mon 00:00 - Wed 01:00"]);
    }
}
