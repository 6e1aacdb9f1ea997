//! From a config to what serves: providers, routes and keys become a snapshot.

#[cfg(test)]
mod example;
pub(crate) mod limits;
pub(crate) mod routes;
pub(crate) mod wildcards;

use std::collections::HashSet;
use std::sync::Arc;

use lockgate_catalog::Catalog;
use lockgate_catalog::benchmark::{Benchmarks, Row, from_csv, from_json};
use lockgate_config::Config;
use lockgate_core::key::KeyState;
use lockgate_core::port::KeyStore;
use lockgate_core::{Aspect, Clock, Error, Key, Tick, Upstream};
use lockgate_engine::{AttributionRules, House, KeyTable, Known, Snapshot};
use lockgate_route::{Registry, Table};

use crate::catalogue;
use crate::kept::Kept;

/// The system's clocks.
pub(crate) struct SystemClock(std::time::Instant);

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that everything else uses")]
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self(std::time::Instant::now()))
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Tick {
        Tick(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the Clock that everything else uses")]
    fn wall_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The providers of a config, those found in the environment, and, with no config at all, the demo provider.
///
/// # Errors
/// Every provider that cannot be used, one a line.
pub(crate) fn upstreams(config: &Config, zero_config: bool) -> Result<Vec<Arc<Upstream>>, String> {
    let env = |name: &str| std::env::var(name).ok();
    let mut wrong = Vec::new();
    let mut upstreams = Vec::new();
    for provider in &config.providers {
        match lockgate_provider::compile(provider, &env, &|path| std::fs::read(path)) {
            Ok(upstream) => upstreams.push(Arc::new(listed(config, upstream))),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    if zero_config {
        upstreams.push(Arc::new(lockgate_provider::demo()));
    }
    if config.discover {
        let taken: HashSet<Arc<str>> = upstreams.iter().map(|upstream| Arc::clone(&upstream.name)).collect();
        let found = lockgate_provider::discovered(&env).into_iter();
        let found = found.filter(|upstream| !taken.contains(&upstream.name));
        upstreams.extend(found.map(|upstream| Arc::new(listed(config, upstream))));
    }
    Ok(upstreams)
}

/// A provider that is priced by the rows that the config's catalogue has for it.
pub(crate) fn listed(config: &Config, upstream: Upstream) -> Upstream {
    Upstream { catalog: catalogue::name_of(config, &upstream.name).into(), ..upstream }
}

/// What is known of the models of these providers, with what the config says of them.
///
/// # Errors
/// Everything that is wrong with the list that the config names, one a line.
pub(crate) fn catalog(config: &Config, upstreams: &[Arc<Upstream>]) -> Result<Arc<Catalog>, String> {
    catalogue::in_force_for(config, upstreams)
        .map_err(|wrong| format!("catalog.file: {}", wrong.join("\ncatalog.file: ")))
}

/// The scores in benchmarks: the built-in ones, over them those of the store, and over all those of the file that the config
/// names: what was reviewed with the file counts more than what was said by the way. A benchmark that the file has is the
/// file's alone.
///
/// # Errors
/// Everything that is wrong with that file, one a line.
pub(crate) fn scores(config: &Config, kept: &Kept) -> Result<Arc<Benchmarks>, String> {
    let of_file = scores_of_file(config)?;
    let is_files = |row: &Row| of_file.iter().any(|own| own.benchmark == row.benchmark);
    let mut rows = kept.rows();
    rows.retain(|row| !is_files(row));
    Ok(Arc::new(Benchmarks::built_in().with(rows.into_iter().chain(of_file))))
}

/// The scores of the file that the config names, if it names one.
///
/// # Errors
/// Everything that is wrong with it, one a line.
pub(crate) fn scores_of_file(config: &Config) -> Result<Vec<Row>, String> {
    let Some(file) = &config.catalog.scores else { return Ok(Vec::new()) };
    let wrong = |what: &dyn std::fmt::Display| format!("catalog.scores: {}: {what}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
    let rows = if text.trim_start().starts_with(['[', '{']) { from_json(&text) } else { from_csv(&text) };
    rows.map_err(|mistakes| {
        let lines =
            mistakes.iter().map(|mistake| wrong(&format_args!("line {}: {}", mistake.line, mistake.what)));
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// What routing may know of models.
pub(crate) struct Sources {
    /// Their facts and prices.
    pub(crate) catalog: Arc<Catalog>,
    /// Their scores.
    pub(crate) scores: Arc<Benchmarks>,
    /// The day on which that holds, in Unix milliseconds.
    pub(crate) wall_ms: u64,
}

/// The routes and providers of one version.
pub(crate) fn table(
    version: u64,
    config: &Config,
    upstreams: Vec<Arc<Upstream>>,
    registry: &Arc<Registry>,
    sources: &Sources,
) -> Table {
    let text = |text: &Option<String>| text.as_deref().map(|text| Arc::from(text.to_ascii_lowercase()));
    let house = |provider: &lockgate_config::Provider| House {
        region: text(&provider.region),
        zero_retention: provider.zero_retention,
        trains: provider.training,
        ..House::default()
    };
    let houses =
        config.providers.iter().map(|provider| (provider.name.as_str().into(), house(provider))).collect();
    let known =
        Known::new(Arc::clone(&sources.catalog), Arc::clone(&sources.scores), houses, sources.wall_ms);
    let (routes, policies) = (routes::routes(config), routes::policies(config));
    Table::informed(version, upstreams, routes, Arc::clone(registry), Arc::new(known), policies)
}

/// The keys of the store, and those that live only as long as the process.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn keys(store: &dyn KeyStore, own: &[Key]) -> Result<KeyTable, Error> {
    Ok(KeyTable::new(store.keys()?.into_iter().chain(own.iter().cloned())))
}

/// How many keys of the store open the door.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn active_keys(store: &dyn KeyStore, wall_ms: u64) -> Result<usize, Error> {
    Ok(store.keys()?.iter().filter(|key| key.state(wall_ms) == KeyState::Active).count())
}

/// The first snapshot, or the next.
pub(crate) fn snapshot(
    table: Table,
    keys: KeyTable,
    catalog: Arc<Catalog>,
    attribution: Arc<AttributionRules>,
) -> Snapshot {
    Snapshot { table: Arc::new(table), keys: Arc::new(keys), catalog, attribution }
}

/// What clients may say of whom a request is for, and what they must.
pub(crate) fn attribution(config: &Config) -> Arc<AttributionRules> {
    // The words of the file are those of the core; a test holds them together.
    let aspects = |said: &[lockgate_config::Aspect]| -> Vec<Aspect> {
        said.iter().filter_map(|aspect| Aspect::from_code(aspect.as_str())).collect()
    };
    let said = &config.attribution;
    Arc::new(AttributionRules::new(&aspects(&said.from_client), &aspects(&said.required)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_knows_every_aspect_and_its_default_is_the_usual() {
        let words: Vec<&str> = lockgate_config::Aspect::ALL.iter().map(|aspect| aspect.as_str()).collect();
        assert_eq!(words, Aspect::ALL.iter().map(|aspect| aspect.code()).collect::<Vec<_>>());
        assert_eq!(*attribution(&Config::default()), AttributionRules::default());
    }
}
