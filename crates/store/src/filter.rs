//! What a [`Filter`] means, in plain words of the program. Backends with a query language must mean the same.

use lockgate_core::port::Filter;
use lockgate_core::record::Record;

/// How many records an answer holds at most when the filter does not say.
const DEFAULT_LIMIT: usize = 100;

/// How many records the filter wants at most.
pub(crate) fn limit(filter: &Filter) -> usize {
    if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit }
}

/// Whether a record is wanted, the limit aside.
pub(crate) fn fits(filter: &Filter, record: &Record) -> bool {
    let target = record.target.as_ref();
    wants(filter.arrived_ms.as_ref(), |span| span.contains(&record.id.wall_ms()))
        && wants(filter.after.as_ref(), |after| record.id > *after)
        && wants(filter.key.as_deref(), |key| *record.key == *key || *record.key_name == *key)
        && wants(filter.provider.as_deref(), |provider| target.is_some_and(|t| *t.provider == *provider))
        && wants(filter.model.as_deref(), |model| {
            named(model, &record.asked) || target.is_some_and(|t| named(model, &t.model))
        })
        && wants(filter.outcome, |outcome| record.outcome == outcome)
        && wants(filter.error, |error| record.error == Some(error))
        && wants(filter.customer.as_deref(), |customer| {
            record.attribution.customer.as_deref() == Some(customer)
        })
}

/// A search is generous where a permission is not: the star crosses slashes.
fn named(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

fn wants<T>(condition: Option<T>, holds: impl FnOnce(T) -> bool) -> bool {
    condition.is_none_or(holds)
}
