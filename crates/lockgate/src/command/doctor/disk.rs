//! What is kept, mostly on disk: the store, the secret that keys are hashed with, the keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use lockgate_config::{Config, Postgres as Address, Store};
use lockgate_core::key::KeyState;
use lockgate_core::port::Filter;
use lockgate_core::{Clock as _, Error};
use lockgate_store::{Backend, Hasher, Postgres, Sqlite, secret_file};

use super::Report;
use crate::assemble::SystemClock;
use crate::installation::{MAKE_SECRET, SECRET, beside, secret_text};
use crate::moment::exactly;

/// A record may be this much in the future before the clock is doubted.
const LENIENCE_MS: u64 = 60_000;

pub(super) fn examine(config: &Config, report: &mut Report) {
    let active = match &config.store {
        Store::Sqlite(path) => {
            let active = if path.exists() {
                private("store", path, report);
                file(path, report)
            } else {
                new_store(path, report);
                Some(0)
            };
            secret(&beside(path), active.unwrap_or(0), report);
            active
        }
        Store::Postgres(address) => {
            let active = database(address, report);
            secret_of_database(report);
            active
        }
    };
    match active {
        Some(0) => report.warn("keys", "no key opens the door", "make one: lockgate keys create --name NAME"),
        Some(active) => report.ok("keys", format!("{active} active")),
        None => {}
    }
}

/// Opens and tries the file that is there; how many keys are active, unless it cannot be used.
fn file(path: &Path, report: &mut Report) -> Option<usize> {
    let advice = format!(
        "see that {} and its folder belong to the user that runs the gateway, and that the disk is not full",
        path.display()
    );
    tried(Sqlite::open(path).and_then(|store| try_store(&store)), &path.display().to_string(), advice, report)
}

/// Connects to a database and tries the store that is there; how many keys are active, unless it cannot be used.
fn database(address: &Address, report: &mut Report) -> Option<usize> {
    let advice = "see that the server runs and can be reached from here, that user and password are right, and that the user may \
        use the schema and write its tables";
    match Postgres::is_there(address) {
        Ok(false) => {
            let text = format!("{address} answers; the first start makes the schema {}", address.schema);
            report.ok("store", text);
            Some(0)
        }
        Ok(true) => {
            let outcome = Postgres::open(address).and_then(|store| try_store(&store));
            tried(outcome, &address.to_string(), advice.to_owned(), report)
        }
        Err(error) => tried(Err(error), &address.to_string(), advice.to_owned(), report),
    }
}

/// Reports on a store that was tried.
fn tried(
    outcome: Result<(usize, Option<u64>), Error>,
    place: &str,
    advice: String,
    report: &mut Report,
) -> Option<usize> {
    match outcome {
        Ok((active, newest)) => {
            report.ok("store", format!("{place} opens, has the present format and can be written"));
            let now = SystemClock::start().wall_ms();
            if let Some(newest) = newest.filter(|newest| *newest > now.saturating_add(LENIENCE_MS)) {
                report.warn(
                    "clock",
                    format!("the newest record is of {} UTC, which is yet to come", exactly(newest)),
                    "set the clock; it seems to have gone back",
                );
            }
            Some(active)
        }
        Err(error) => {
            report.fail("store", format!("{error:?}"), advice);
            None
        }
    }
}

/// Active keys, and the arrival of the newest record.
fn try_store(store: &dyn Backend) -> Result<(usize, Option<u64>), Error> {
    // A write that changes nothing: there are no records of before 1970.
    store.forget_before(0)?;
    let newest = store.find(&Filter { limit: 1, latest: true, ..Filter::default() })?;
    let now = SystemClock::start().wall_ms();
    let active = store.keys()?.iter().filter(|key| key.state(now) == KeyState::Active).count();
    Ok((active, newest.first().map(|record| record.id.wall_ms())))
}

/// Whether a store could be made where there is none yet.
fn new_store(path: &Path, report: &mut Report) {
    // The parent of a bare name is the empty path, which stands for the folder we are in.
    let here = |folder: &Path| {
        if folder.as_os_str().is_empty() { Path::new(".").to_path_buf() } else { folder.to_path_buf() }
    };
    let folder = path.ancestors().skip(1).map(here).find(|folder| folder.exists());
    let tried = folder.as_deref().map_or(Ok(()), try_folder);
    match tried {
        Ok(()) => report.ok("store", format!("there is none yet; the first start makes {}", path.display())),
        Err(error) => report.fail(
            "store",
            format!("there is none yet, and {} cannot be made: {error}", path.display()),
            "let the user that runs the gateway write there, or set store in the config",
        ),
    }
}

fn try_folder(folder: &Path) -> std::io::Result<()> {
    let trial = folder.join(format!(".lockgate-doctor-{}", std::process::id()));
    fs::OpenOptions::new().write(true).create_new(true).open(&trial)?;
    fs::remove_file(&trial)
}

fn secret_of_database(report: &mut Report) {
    match secret_text() {
        Some(text) => {
            if good_secret(&text, report) {
                report.ok("secret", format!("from {SECRET}"));
            }
        }
        None => report.fail("secret", format!("{SECRET} is not set"), MAKE_SECRET),
    }
}

/// Whether a secret from the environment can be used; reports it if not.
fn good_secret(text: &str, report: &mut Report) -> bool {
    match Hasher::from_text(text) {
        Err(error) => {
            let message = format!("{SECRET}: {}", error.public());
            report.fail("secret", message, "take 32 random characters or more");
            false
        }
        Ok(_) => true,
    }
}

fn secret(path: &Path, active: usize, report: &mut Report) {
    match (secret_text(), path.exists()) {
        (Some(text), there) => {
            if !good_secret(&text, report) {
                return;
            }
            if there {
                report.warn(
                    "secret",
                    format!("{SECRET} is set, so {} is not used", path.display()),
                    "keys that were made with that file open nothing now; rotate them, then remove the file",
                );
            } else {
                report.ok("secret", format!("from {SECRET}"));
            }
        }
        (None, true) => {
            private("secret", path, report);
            match secret_file(path) {
                Ok(_) => report.ok("secret", format!("{} is good", path.display())),
                Err(error) => report.fail(
                    "secret",
                    format!("{error:?}"),
                    "bring the file back from a backup; without it no key opens the door",
                ),
            }
        }
        (None, false) if active > 0 => report.fail(
            "secret",
            format!("there are keys, but {} is gone and {SECRET} is not set", path.display()),
            "bring back what the keys were made with; otherwise rotate every key",
        ),
        (None, false) => {
            report.ok("secret", format!("there is none yet; the first start makes {}", path.display()));
        }
    }
}

/// Only the owner may read what keys and records are in.
fn private(check: &'static str, path: &Path, report: &mut Report) {
    const OTHERS: u32 = 0o077;
    let mode = fs::metadata(path).map(|about| about.permissions().mode() & 0o777);
    if let Ok(mode) = mode
        && mode & OTHERS != 0
    {
        let path = path.display();
        report.warn(
            check,
            format!("others on this machine may use {path} (mode {mode:03o})"),
            format!("chmod 600 {path}"),
        );
    }
}
