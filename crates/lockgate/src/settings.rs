//! The config file found, read and compiled, and the environment's last word on it.

use std::path::{Path, PathBuf};

use lockgate_catalog::benchmark::Benchmarks;
use lockgate_config::{Config, Diagnostic, Known, Severity, Store, load};
use lockgate_core::Secret;

use crate::assemble::routes::condition_faults;
use crate::exit::Failure;

/// What a process runs by.
pub(crate) struct Settings {
    /// The meaning of the file, or the defaults.
    pub(crate) config: Config,
    /// The file; `None` when there is none.
    pub(crate) file: Option<PathBuf>,
    /// What is not wrong but worth saying.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// The file that is read when none is named.
const USUAL: &str = "lockgate.yaml";

impl Settings {
    /// The file that is read: the one that was named, else the usual one, if it is there.
    pub(crate) fn file(named: Option<&Path>) -> Option<PathBuf> {
        let usual = Path::new(USUAL);
        named.or_else(|| usual.exists().then_some(usual)).map(Path::to_path_buf)
    }

    /// Finds and reads the config.
    pub(crate) fn read(named: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = Self::file(named) else {
            let mut config = Config { discover: true, ..Config::default() };
            environment(&mut config)?;
            return Ok(Self { config, file: None, warnings: Vec::new() });
        };
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Failure::config(format!("{}: {error}", file.display())))?;
        let (config, found) = diagnose(&text);
        let Some(mut config) = config else {
            return Err(Failure::config(list(&file, &found)));
        };
        environment(&mut config)?;
        Ok(Self { config, file: Some(file), warnings: found })
    }
}

/// Compiles the text of a config, with the environment for its variables.
pub(crate) fn diagnose(text: &str) -> (Option<Config>, Vec<Diagnostic>) {
    let names: Vec<&str> =
        lockgate_provider::ALL.iter().map(|profile| profile.name).chain([lockgate_provider::DEMO]).collect();
    let built_in = Benchmarks::built_in();
    let benchmarks: Vec<&str> = built_in.iter().map(|benchmark| &*benchmark.name).collect();
    let known = Known { providers: &names, benchmarks: &benchmarks, conditions: condition_faults };
    load(text, &|name| std::env::var(name).ok(), &known)
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
