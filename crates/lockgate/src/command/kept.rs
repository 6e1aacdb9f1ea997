//! What `lockgate routes` and `lockgate evals` have in common: documents of the store, in versions.

use std::sync::Arc;

use lockgate_core::port::{Document, Draft};
use lockgate_server::cabinet::{Cabinet, Entry, Objection, compare, pretty, roll_back, shown, version};
use lockgate_store::Memory;
use serde_json::json;

use super::Context;
use crate::assemble::SystemClock;
use crate::cabinet::Drawers;
use crate::existing;
use crate::exit::{Failure, Outcome};
use crate::installation::Installation;
use crate::kept::ROUTES;
use crate::moment;
use crate::paint::Paint;
use crate::settings::Settings;
use crate::table::{Cell, Column, Table, printable};
use crate::terminal::{say, say_json};

/// Who changes it, and why.
#[derive(clap::Args)]
pub(super) struct Why {
    /// Who makes the change.
    #[arg(long, env = "USER", default_value = "operator", hide_env_values = true, value_name = "NAME")]
    by: String,
    /// Why: it stands in the history.
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
}

/// A document.
#[derive(clap::Args)]
pub(super) struct Named {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub(super) name: String,
}

/// A version of a document.
#[derive(clap::Args)]
pub(super) struct Versioned {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The number of the version; without it the newest.
    #[arg(long, value_name = "N")]
    version: Option<u64>,
}

/// A way back.
#[derive(clap::Args)]
pub(super) struct Back {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The number of the version that is to hold again: `history` shows them.
    #[arg(value_name = "VERSION")]
    version: u64,
    #[command(flatten)]
    why: Why,
}

/// The documents of one kind.
pub(super) struct Drawer {
    cabinet: Drawers,
    kind: &'static str,
}

impl Drawer {
    /// Of an installation that is there.
    ///
    /// # Errors
    /// Not found when there is none.
    pub(super) fn existing(context: &Context, kind: &'static str) -> Result<Self, Failure> {
        let settings = existing::settings(context)?;
        let store = existing::store(context)?;
        Ok(Self { cabinet: Drawers { store, file: settings.file, clock: SystemClock::start() }, kind })
    }

    /// Of an installation that is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be.
    pub(super) fn made(context: &Context, kind: &'static str) -> Result<Self, Failure> {
        let settings = Settings::read(context.config.as_deref())?;
        let store = Installation::open(&settings.config)?.store;
        Ok(Self { cabinet: Drawers { store, file: settings.file, clock: SystemClock::start() }, kind })
    }

    /// Of an installation if it is there; without one there is still the file.
    ///
    /// # Errors
    /// When the config or the store cannot be read.
    pub(super) fn seen(context: &Context, kind: &'static str) -> Result<Self, Failure> {
        if existing::settings(context).is_ok() {
            return Self::existing(context, kind);
        }
        let settings = Settings::read(context.config.as_deref())?;
        let store = Arc::new(Memory::new());
        Ok(Self { cabinet: Drawers { store, file: settings.file, clock: SystemClock::start() }, kind })
    }

    /// The newest version of a document, if there is one that is not removed.
    pub(super) fn newest(&self, name: &str) -> Result<Option<Document>, Failure> {
        let versions = self.cabinet.versions(self.kind, name).map_err(of_objection)?;
        Ok(versions.last().filter(|document| document.body.is_some()).cloned())
    }

    /// Every document and name of the kind.
    pub(super) fn list(&self) -> Result<Vec<Entry>, Failure> {
        self.cabinet.list(self.kind).map_err(of_objection)
    }

    /// Makes the next version, and says so.
    pub(super) fn put(&self, context: &Context, name: &str, body: Option<String>, why: &Why) -> Outcome {
        let draft = Draft {
            kind: self.kind.into(),
            name: name.into(),
            after: None,
            body: body.map(Into::into),
            at_ms: self.cabinet.wall_ms(),
            by: why.by.as_str().into(),
            reason: why.reason.as_str().into(),
        };
        let made = self.cabinet.put(&draft).map_err(of_objection)?;
        self.told(context, name, made, if draft.body.is_some() { "is kept" } else { "is removed" });
        Ok(())
    }

    pub(super) fn remove(&self, context: &Context, name: &str, why: &Why) -> Outcome {
        self.put(context, name, None, why)
    }

    pub(super) fn roll_back(&self, context: &Context, back: &Back) -> Outcome {
        let Back { name, version, why } = back;
        let made = roll_back(&self.cabinet, (self.kind, name), *version, (&why.by, &why.reason));
        self.told(
            context,
            name,
            made.map_err(of_objection)?,
            &format!("says again what version {version} says"),
        );
        Ok(())
    }

    pub(super) fn show(&self, context: &Context, which: &Versioned) -> Outcome {
        let versions = self.cabinet.versions(self.kind, &which.name).map_err(of_objection)?;
        let document = version(&versions, &which.name, which.version).map_err(of_objection)?;
        if context.json {
            say_json(&shown(document));
        } else {
            say(&printable_lines(&pretty(document.body.as_deref())));
        }
        Ok(())
    }

    pub(super) fn history(&self, context: &Context, name: &str) -> Outcome {
        let versions = self.cabinet.versions(self.kind, name).map_err(of_objection)?;
        if versions.is_empty() {
            return Err(Failure::not_found(format!("there is no \"{}\" in the store", printable(name))));
        }
        if context.json {
            say_json(&json!({ "versions": versions.iter().map(shown).collect::<Vec<_>>() }));
            return Ok(());
        }
        let mut table = Table::new(&[
            Column::number("VERSION"),
            Column::text("WHEN (UTC)"),
            Column::text("BY"),
            Column::text("WHAT"),
            Column::text("WHY"),
        ]);
        let rows: Vec<Vec<Cell>> = versions
            .iter()
            .map(|document| {
                let what = if document.body.is_some() { "kept" } else { "removed" };
                [
                    &document.version.to_string(),
                    &moment::to_the_minute(document.at_ms),
                    &*document.by,
                    what,
                    &document.reason,
                ]
                .map(Cell::plain)
                .into()
            })
            .collect();
        print(&mut table, &rows);
        Ok(())
    }

    pub(super) fn diff(&self, context: &Context, name: &str, from: Option<u64>, to: Option<u64>) -> Outcome {
        let versions = self.cabinet.versions(self.kind, name).map_err(of_objection)?;
        let to = to.or(versions.last().map(|newest| newest.version)).unwrap_or_default();
        let from = from.unwrap_or_else(|| to.saturating_sub(1).max(1));
        let earlier = version(&versions, name, Some(from)).map_err(of_objection)?;
        let later = version(&versions, name, Some(to)).map_err(of_objection)?;
        let lines = compare(earlier.body.as_deref(), later.body.as_deref());
        if context.json {
            say_json(&json!({ "name": name, "from": from, "to": to, "lines": lines }));
        } else {
            lines.iter().for_each(|line| say(&format!("{}{}", line.sign, printable(&line.text))));
        }
        Ok(())
    }

    fn told(&self, context: &Context, name: &str, made: u64, what: &str) {
        if context.json {
            say_json(&json!({ "name": name, "version": made }));
            return;
        }
        let noun = if self.kind == ROUTES { "The route" } else { "The table of scores" };
        say(&format!(
            "{noun} \"{}\" {what}: version {made}. A running gateway follows within a second.",
            printable(name)
        ));
    }
}

/// Rows for people.
pub(super) fn print(table: &mut Table, rows: &[Vec<Cell>]) {
    let paint = Paint::detect();
    rows.iter().for_each(|row| table.fit(row));
    say(&table.titles(paint));
    rows.iter().for_each(|row| say(&table.line(row, paint)));
}

/// What an objection means for a command: a document that is wrong is a wrong config.
pub(super) fn of_objection(objection: Objection) -> Failure {
    match objection {
        Objection::Wrong(_) => Failure::config(objection.text()),
        Objection::Missing(text) => Failure::not_found(text),
        Objection::Owned(text) | Objection::Outdated(text) => Failure::new(text),
        Objection::Failed(error) => error.into(),
    }
}

fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}
