//! `lockgate check`: whether the config would work, before anybody depends on it.

use std::path::{Path, PathBuf};

use lockgate_config::{Config, Diagnostic, Severity, Store};
use lockgate_server::Certificates;
use serde::Serialize;

use super::Context;
use crate::assemble::wildcards::{self, Idle};
use crate::catalogue::{self, Doubt};
use crate::exit::{Failure, Outcome};
use crate::settings::{Settings, diagnose};
use crate::table::printable;
use crate::terminal::{say, say_json};
use crate::trial::{self, Trial};

/// Find every mistake in the config, and say what it stands for.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate check\n  lockgate check staging/lockgate.yaml\n  lockgate check --json | jq -r '.diagnostics[].message'\n\nAlso checks what the config needs from this machine: keys of providers in the environment, files of certificates; and\nruns the config's own `tests:`, which make decisions and call nobody.\nWith --json one document: {\"ok\": bool, \"file\": ..., \"diagnostics\": [{\"severity\", \"path\", \"line\", \"column\",\n\"message\", \"hint\"}], \"tests\": [{\"name\", \"passed\", \"failures\", \"reason\", \"order\"}]}; what does not come from a line of the file has no line.\nExit codes: 0 the config can be used and its tests pass, 3 it cannot or they do not."
)]
pub(crate) struct Args {
    /// The file to check, instead of --config or lockgate.yaml here.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// What was found, in the order of the file; then what the machine lacks.
#[derive(Debug, Default, Serialize)]
struct Report {
    ok: bool,
    file: Option<String>,
    diagnostics: Vec<Finding>,
    tests: Vec<trial::Report>,
}

/// A mistake or a doubt.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Finding {
    /// At a place in the file.
    There(Diagnostic),
    /// About the file and this machine together.
    Here {
        severity: Severity,
        path: String,
        line: Option<u32>,
        column: Option<u32>,
        message: String,
        hint: Option<String>,
    },
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    let named = args.file.as_deref().or(context.config.as_deref());
    let file = Settings::file(named);
    let mut report =
        Report { file: file.as_ref().map(|file| file.display().to_string()), ..Report::default() };
    let settings = inspect(file.as_deref(), &mut report);
    let testable = settings.as_ref().filter(|it| report.mistakes() == 0 && !it.config.tests.is_empty());
    if let Some(settings) = testable {
        match Trial::new(settings.config.clone(), &settings.kept) {
            Ok(trial) => report.tests = trial.run(),
            Err(why) => report.mistake("tests", why),
        }
    }
    let failed = report.tests.iter().filter(|test| !test.passed).count();
    report.ok = report.mistakes() == 0 && failed == 0;
    if context.json {
        say_json(&report);
    } else {
        report.print();
        if let Some(settings) = settings.filter(|_| report.ok) {
            say(&summary(&settings.config, report.file.as_deref()));
        }
    }
    match report.mistakes() {
        0 if failed > 0 => Err(Failure::config(format!("{} of the config failed", count(failed, "test")))),
        0 => Ok(()),
        n => Err(Failure::config(format!("{} in the config", count(n, "mistake")))),
    }
}

/// Looks at everything that a start would look at, without changing the store or touching the network.
fn inspect(file: Option<&Path>, report: &mut Report) -> Option<Settings> {
    let settings = Settings::read(file);
    if let Some(file) = file {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                report.mistake("", format!("the file cannot be read: {error}"));
                return None;
            }
        };
        // With what the store keeps, as far as it is good under this file.
        let kept = settings.as_ref().map(|settings| settings.kept.clone()).unwrap_or_default();
        let (config, found) = diagnose(&text, &kept);
        report.diagnostics.extend(found.into_iter().map(Finding::There));
        config?;
    }
    let settings = match settings {
        Ok(settings) => settings,
        Err(failure) => {
            report.mistake("", failure.message().to_owned());
            return None;
        }
    };
    for (name, why) in &settings.left_out {
        report.mistake(
            &lockgate_config::path_of(&["routes", name]),
            format!("in the store, and left out: {why}"),
        );
    }
    let env = |name: &str| std::env::var(name).ok();
    for provider in &settings.config.providers {
        if let Err(error) = lockgate_provider::compile(provider, &env, &|path| std::fs::read(path)) {
            report.mistake(&format!("providers.{}", error.provider), error.what);
        }
    }
    match catalogue::in_force(&settings.config) {
        Ok(catalog) => {
            for doubt in catalogue::doubts(&settings.config, &catalog) {
                report.doubt(file, &doubt);
            }
            for idle in wildcards::idle(&settings.config, &catalog) {
                report.idle(file, &idle);
            }
        }
        Err(wrong) => {
            for line in wrong {
                report.mistake("catalog.file", line);
            }
        }
    }
    if let Some(tls) = &settings.config.server.tls
        && let Err(error) = Certificates::read(tls.cert.clone(), tls.key.clone())
    {
        report.mistake("server.tls", error.to_string());
    }
    Some(settings)
}

/// What a good config stands for.
fn summary(config: &Config, file: Option<&str>) -> String {
    let name = file.unwrap_or("no config file, so the defaults");
    let store = match &config.store {
        Store::Sqlite(path) => path.display().to_string(),
        Store::Postgres(address) => address.to_string(),
    };
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let found = if config.discover { ", and those whose key is in the environment" } else { "" };
    format!(
        "{name}: good\n  providers  {}{found}\n  routes     {}\n  tests      {}\n  listens    {scheme}://{}\n  store      {}",
        count(config.providers.len(), "provider"),
        count(config.routes.len(), "route"),
        count(config.tests.len(), "test"),
        config.server.listen,
        store,
    )
}

/// Lines fit for a terminal: names in them come from a file.
fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// `1 route`, `2 routes`.
pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

// === impl Report ===

impl Report {
    fn mistake(&mut self, path: &str, message: String) {
        self.diagnostics.push(Finding::Here {
            severity: Severity::Error,
            path: path.to_owned(),
            line: None,
            column: None,
            message,
            hint: None,
        });
    }

    /// Something that is said of models: a doubt, at its place in the file.
    fn doubt(&mut self, file: Option<&Path>, doubt: &Doubt) {
        let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let keys = ["models", doubt.name.as_str()];
        let (line, column) = lockgate_config::locate(&text, &keys).unwrap_or((1, 1));
        let path = lockgate_config::path_of(&keys);
        self.diagnostics.push(Finding::There(Diagnostic {
            severity: Severity::Warning,
            line,
            column,
            message: format!("{path}: {}", doubt.message),
            path,
            hint: None,
        }));
    }

    /// A pattern that fits nothing, at its place in the file or at that of its list.
    fn idle(&mut self, file: Option<&Path>, idle: &Idle) {
        let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let keys: Vec<&str> = idle.path.iter().map(String::as_str).collect();
        let place = (1..=keys.len()).rev().find_map(|length| lockgate_config::locate(&text, &keys[..length]));
        let (line, column) = place.unwrap_or((1, 1));
        let path = idle.path.iter().fold(String::new(), |path, step| {
            match (path.is_empty(), step.starts_with('[')) {
                (true, _) => step.clone(),
                (false, true) => format!("{path}{step}"),
                (false, false) => format!("{path}.{step}"),
            }
        });
        self.diagnostics.push(Finding::There(Diagnostic {
            severity: Severity::Warning,
            line,
            column,
            message: format!("{path}: no known model fits {}", idle.pattern),
            path,
            hint: Some(
                "see `lockgate catalog list`; what the catalogue does not know can be listed under models"
                    .to_owned(),
            ),
        }));
    }

    fn mistakes(&self) -> usize {
        let is_mistake = |finding: &&Finding| match finding {
            Finding::There(Diagnostic { severity, .. }) | Finding::Here { severity, .. } => {
                *severity == Severity::Error
            }
        };
        self.diagnostics.iter().filter(is_mistake).count()
    }

    fn print(&self) {
        let file = self.file.as_deref().unwrap_or("environment");
        for finding in &self.diagnostics {
            match finding {
                Finding::There(diagnostic) => say(&diagnostic.in_file(file).to_string()),
                Finding::Here { path, message, .. } if path.is_empty() => {
                    say(&format!("{file}: error: {message}"));
                }
                Finding::Here { path, message, .. } => say(&format!("{file}: error: {path}: {message}")),
            }
        }
        for test in &self.tests {
            let mut line = format!("test {}: {}", test.name, if test.passed { "passed" } else { "FAILED" });
            if let Some(winner) = test.order.first() {
                line.push_str(&format!(", {winner}"));
            }
            if !test.reason.is_empty() {
                line.push_str(&format!("\n  {}", test.reason));
            }
            for failure in &test.failures {
                line.push_str(&format!("\n  {failure}"));
            }
            say(&printable_lines(&line));
        }
    }
}
