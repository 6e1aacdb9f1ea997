//! The config file found, read and compiled, and the environment's last word on it.

use std::path::{Path, PathBuf};

use lockgate_catalog::benchmark::Benchmarks;
use lockgate_config::{Config, Diagnostic, Known, Severity, Store, load_with};
use lockgate_core::Secret;

use crate::assemble::routes::condition_faults;
use crate::exit::Failure;
use crate::kept::{Kept, LeftOut};

/// What a process runs by.
pub(crate) struct Settings {
    /// The meaning of the file, or the defaults.
    pub(crate) config: Config,
    /// The file; `None` when there is none.
    pub(crate) file: Option<PathBuf>,
    /// What is not wrong but worth saying.
    pub(crate) warnings: Vec<Diagnostic>,
    /// Routes of the store that cannot be used under this file.
    pub(crate) left_out: Vec<LeftOut>,
    /// What the store keeps, but for that.
    pub(crate) kept: Kept,
    /// All that the store keeps.
    pub(crate) found: Kept,
}

/// The file that is read when none is named.
const USUAL: &str = "lockgate.yaml";

impl Settings {
    /// The file that is read: the one that was named, else the usual one, if it is there.
    pub(crate) fn file(named: Option<&Path>) -> Option<PathBuf> {
        let usual = Path::new(USUAL);
        named.or_else(|| usual.exists().then_some(usual)).map(Path::to_path_buf)
    }

    /// Finds and reads the config, with what its store keeps beside it, if there is a store yet.
    pub(crate) fn read(named: Option<&Path>) -> Result<Self, Failure> {
        let text = text(Self::file(named).as_deref())?;
        let mut place = Config {
            store: lockgate_config::store_of(&text, &|name| std::env::var(name).ok()),
            ..Config::default()
        };
        environment(&mut place)?;
        Self::with(named, Kept::beside(&place)?)
    }

    /// The same with what the store keeps beside it. A route of the store that is wrong under this file is left out.
    pub(crate) fn with(named: Option<&Path>, mut kept: Kept) -> Result<Self, Failure> {
        let file = Self::file(named);
        let text = text(file.as_deref())?;
        let all = kept.clone();
        let mut left_out = Vec::new();
        let (config, found) = loop {
            let (config, found) = diagnose(&text, &kept);
            // Taking one out may make another wrong that uses it.
            let out = if config.is_some() { Vec::new() } else { kept.without_wrong(&found) };
            if out.is_empty() {
                break (config, found);
            }
            left_out.extend(out);
        };
        let Some(mut config) = config else {
            return Err(Failure::config(list(file.as_deref().unwrap_or(Path::new(USUAL)), &found)));
        };
        environment(&mut config)?;
        Ok(Self { config, file, warnings: found, left_out, kept, found: all })
    }
}

/// The text of a config; without a file, what holds then.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn text(file: Option<&Path>) -> Result<String, Failure> {
    let Some(file) = file else { return Ok("discover: true\n".to_owned()) };
    std::fs::read_to_string(file).map_err(|error| Failure::config(format!("{}: {error}", file.display())))
}

/// Compiles the text of a config and what is kept beside it, with the environment for its variables.
pub(crate) fn diagnose(text: &str, kept: &Kept) -> (Option<Config>, Vec<Diagnostic>) {
    let names: Vec<&str> =
        lockgate_provider::ALL.iter().map(|profile| profile.name).chain([lockgate_provider::DEMO]).collect();
    let built_in = Benchmarks::built_in();
    let rows = kept.rows();
    let own = rows.iter().map(|row| &*row.benchmark);
    let benchmarks: Vec<&str> = built_in.iter().map(|benchmark| &*benchmark.name).chain(own).collect();
    let known = Known { providers: &names, benchmarks: &benchmarks, conditions: condition_faults };
    load_with(text, &kept.grammar(), &|name| std::env::var(name).ok(), &known)
}

/// Diagnostics, one a paragraph.
pub(crate) fn list(file: &Path, found: &[Diagnostic]) -> String {
    let wrong = found.iter().filter(|d| d.severity == Severity::Error).count();
    let name = file.display().to_string();
    let lines: Vec<String> = found.iter().map(|diagnostic| diagnostic.in_file(&name).to_string()).collect();
    format!("{wrong} mistake{} in the config:\n{}", if wrong == 1 { "" } else { "s" }, lines.join("\n"))
}

/// Variables that override the file.
fn environment(config: &mut Config) -> Result<(), Failure> {
    let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(listen) = var("LOCKGATE_LISTEN") {
        config.server.listen = listen
            .parse()
            .map_err(|_| Failure::config(format!("LOCKGATE_LISTEN: \"{listen}\" is not ADDRESS:PORT")))?;
    }
    if let Some(store) = var("LOCKGATE_STORE") {
        config.store = store
            .parse::<Store>()
            // It can hold a password, so it is not repeated.
            .map_err(|fault| Failure::config(format!("LOCKGATE_STORE: this {fault}")))?;
    }
    if let Some(token) = var("LOCKGATE_ADMIN_TOKEN") {
        config.server.admin_token = Some(Secret::new(token));
    }
    Ok(())
}
