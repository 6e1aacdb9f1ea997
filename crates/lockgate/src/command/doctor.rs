//! `lockgate doctor`: what is wrong with an installation, and what to do about it.

mod disk;
mod machine;
mod network;

use serde::Serialize;

use super::Context;
use super::check::count;
use crate::assemble;
use crate::exit::{Failure, Outcome};
use crate::paint::{Paint, Tone};
use crate::settings::Settings;
use crate::table::printable;
use crate::terminal::{say, say_json};

/// Examine the installation: config, store, keys, door, providers, machine.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate doctor\n  lockgate doctor --connect\n  lockgate doctor --json | jq '.checks[] | select(.state != \"ok\")'\n\nChanges nothing. With --json one document: {\"ok\": bool, \"checks\": [{\"check\", \"state\", \"message\", \"advice\"}]};\nstate is ok, warning or fail.\nExit codes: 0 nothing failed (there may be warnings), 1 something did."
)]
pub(crate) struct Args {
    /// Also resolve the name of each provider and connect to it, for at most 3 seconds.
    #[arg(long)]
    connect: bool,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    state: State,
    message: String,
    /// What to do; none when all is well.
    advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Fail,
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    let mut report = Report::default();
    match Settings::read(context.config.as_deref()) {
        Err(failure) => {
            report.fail("config", failure.message(), "correct the config; `lockgate check` checks it alone");
        }
        Ok(settings) => examine(&settings, args.connect, &mut report)?,
    }
    machine::clock(&mut report);
    machine::open_files(&mut report);
    let failed = report.checks.iter().filter(|check| check.state == State::Fail).count();
    report.ok = failed == 0;
    if context.json {
        say_json(&report);
    } else {
        report.print();
    }
    match failed {
        0 => Ok(()),
        n => Err(Failure::new(format!("{} failed", count(n, "check")))),
    }
}

fn examine(settings: &Settings, connect: bool, report: &mut Report) -> Outcome {
    let config = &settings.config;
    match &settings.file {
        None => report.ok("config", "there is no file, so the defaults hold and the demo provider is served"),
        Some(file) => {
            let providers = count(config.providers.len(), "provider");
            let routes = count(config.routes.len(), "route");
            report.ok("config", format!("{}: {providers}, {routes}", file.display()));
        }
    }
    for warning in &settings.warnings {
        report.warn(
            "config",
            warning.message.as_str(),
            warning.hint.as_deref().unwrap_or("change it, or leave it if it is meant"),
        );
    }
    disk::examine(config, report);
    match &config.server.admin_token {
        Some(token) if token.expose().chars().count() < 16 => {
            report.warn("admin", "the admin token is short", "take at least 16 random characters");
        }
        Some(_) => report.ok("admin", "the admin token is set"),
        None => report.warn(
            "admin",
            "there is no admin token: each start makes one and prints it once",
            "set server.admin_token, or LOCKGATE_ADMIN_TOKEN",
        ),
    }
    network::door(config, report);
    match assemble::upstreams(config, settings.file.is_none()) {
        Err(wrong) => {
            for line in wrong.lines() {
                report.fail(
                    "provider",
                    line,
                    "correct the config, or set what is missing in the environment",
                );
            }
        }
        Ok(upstreams) => network::providers(&upstreams, connect, report)?,
    }
    Ok(())
}

// === impl Report ===

impl Report {
    fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.checks.push(Check { check, state: State::Ok, message: message.into(), advice: None });
    }

    fn warn(&mut self, check: &'static str, message: impl Into<String>, advice: impl Into<String>) {
        self.add(check, State::Warning, message.into(), advice.into());
    }

    fn fail(&mut self, check: &'static str, message: impl Into<String>, advice: impl Into<String>) {
        self.add(check, State::Fail, message.into(), advice.into());
    }

    fn add(&mut self, check: &'static str, state: State, message: String, advice: String) {
        self.checks.push(Check { check, state, message, advice: Some(advice) });
    }

    fn print(&self) {
        let paint = Paint::detect();
        for Check { check, state, message, advice } in &self.checks {
            let (word, tone) = match state {
                State::Ok => ("ok", Tone::Good),
                State::Warning => ("warning", Tone::Doubtful),
                State::Fail => ("fail", Tone::Bad),
            };
            // Padded before it is painted: colours have no width.
            let word = paint.put(tone, &format!("{word:<8}"));
            let mut lines = message.lines().map(printable);
            say(&format!("{word} {check:<9} {}", lines.next().unwrap_or_default()));
            for line in lines {
                say(&format!("{:19}{line}", ""));
            }
            if let Some(advice) = advice {
                say(&format!("{:19}→ {}", "", printable(advice)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_for_programs_has_a_state_and_advice_for_each_check() {
        let mut report = Report::default();
        report.ok("clock", "fine");
        report.warn("admin", "none", "set one");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["checks"][0]["state"], "ok");
        assert!(json["checks"][0]["advice"].is_null());
        assert_eq!(json["checks"][1]["state"], "warning");
        assert_eq!(json["checks"][1]["advice"], "set one");
    }
}
