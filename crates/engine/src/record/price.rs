//! What a request costs, by the catalogue of its snapshot.

use lockgate_catalog::cost::{Place, SearchSize, Units};
use lockgate_catalog::price::Bucket;
use lockgate_catalog::{Catalog, Circumstances, Tier, cost};
use lockgate_core::{Money, Payload, Usage};
use lockgate_dialect::operation::Counts;

/// The cost of `usage` of a model; `None` where a price is not known, which is an incident and never zero.
pub(super) fn price(
    catalog: &Catalog,
    (provider, model): (&str, &str),
    usage: &Usage,
    tier: Tier,
    at_ms: u64,
) -> Option<Money> {
    let found = catalog.find(provider, model)?;
    let how = Circumstances {
        tier,
        at_ms,
        place: Place::default(),
        search: SearchSize::default(),
        units: Units::default(),
    };
    cost(found.model, usage, &how).ok().map(|cost| cost.total)
}

/// The cost of an operation: by the tokens that it reports, where they have a price; else by the units that it is sold
/// by. A recording or an image is paid for once, so never both.
pub(super) fn counted(
    catalog: &Catalog,
    (provider, model): (&str, &str),
    usage: Option<Usage>,
    counts: &Counts,
    tier: Tier,
    at_ms: u64,
) -> Option<Money> {
    let model = catalog.find(provider, model)?.model;
    let priced = |bucket| model.prices.standard(bucket).is_some();
    // Searches of a reranker are its requests and not those of the web.
    let usage = Usage { searches: 0, ..usage.unwrap_or_default() };
    let tokens = usage.counts().iter().any(|count| *count > 0)
        && (priced(Bucket::Input) || priced(Bucket::Output) || model.free);
    let mut units = Units { requests: counts.searches.max(1), ..Units::default() };
    if !tokens {
        units.images_made = counts.images;
        units.seconds_sent = counts.seconds;
        units.characters_sent = counts.characters;
    }
    let usage = if tokens { usage } else { Usage::default() };
    let how = Circumstances { tier, units, ..Circumstances::at(at_ms) };
    let cost = cost(model, &usage, &how).ok()?;
    // Nothing that was counted has a price: that is not known, and not nothing.
    (model.free || !cost.lines().is_empty()).then_some(cost.total)
}

/// The tier that a request asks for. Providers that cannot give it say so or charge less, so this is never too low.
pub(super) fn tier(payload: &Payload) -> Tier {
    match payload.text("service_tier").as_deref() {
        Some("flex") => Tier::Flex,
        Some("priority") => Tier::Priority,
        Some("batch") => Tier::Batch,
        _ => Tier::Standard,
    }
}
