//! What a request costs, by the catalogue of its snapshot.

use lockgate_catalog::cost::{Place, SearchSize, Units};
use lockgate_catalog::{Catalog, Circumstances, Tier, cost};
use lockgate_core::{Money, Payload, Usage};

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

/// The tier that a request asks for. Providers that cannot give it say so or charge less, so this is never too low.
pub(super) fn tier(payload: &Payload) -> Tier {
    match payload.text("service_tier").as_deref() {
        Some("flex") => Tier::Flex,
        Some("priority") => Tier::Priority,
        Some("batch") => Tier::Batch,
        _ => Tier::Standard,
    }
}
