//! What is on disk: the store, the secret that keys are hashed with, the keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use lockgate_config::{Config, Store};
use lockgate_core::key::KeyState;
use lockgate_core::port::{Filter, KeyStore as _, RecordStore as _};
use lockgate_core::{Clock as _, Error};
use lockgate_store::{Hasher, Sqlite, secret_file};

use super::Report;
use crate::assemble::SystemClock;
use crate::installation::beside;
use crate::moment::exactly;

/// A record may be this much in the future before the clock is doubted.
const LENIENCE_MS: u64 = 60_000;

pub(super) fn examine(config: &Config, report: &mut Report) {
    let Store::Sqlite(path) = &config.store;
    let active = if path.exists() {
        private("store", path, report);
        store(path, report)
    } else {
        new_store(path, report);
        Some(0)
    };
    secret(&beside(path), active.unwrap_or(0), report);
    match active {
        Some(0) => report.warn("keys", "no key opens the door", "make one: lockgate keys create --name NAME"),
        Some(active) => report.ok("keys", format!("{active} active")),
        None => {}
    }
}

/// Opens and tries the store that is there; how many keys are active, unless it cannot be used.
fn store(path: &Path, report: &mut Report) -> Option<usize> {
    match try_store(path) {
        Ok((active, newest)) => {
            report
                .ok("store", format!("{} opens, has the present format and can be written", path.display()));
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
            report.fail("store", format!("{error:?}"), format!("see that {} and its folder belong to the user that runs the gateway, and that the disk is not full", path.display()));
            None
        }
    }
}

/// Active keys, and the arrival of the newest record.
fn try_store(path: &Path) -> Result<(usize, Option<u64>), Error> {
    let store = Sqlite::open(path)?;
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

fn secret(path: &Path, active: usize, report: &mut Report) {
    let text = std::env::var("LOCKGATE_SECRET_KEY").ok().filter(|text| !text.is_empty());
    match (text, path.exists()) {
        (Some(text), there) => match Hasher::from_text(&text) {
            Err(error) => report.fail(
                "secret",
                format!("LOCKGATE_SECRET_KEY: {}", error.public()),
                "take 32 random characters or more",
            ),
            Ok(_) if there => report.warn(
                "secret",
                format!("LOCKGATE_SECRET_KEY is set, so {} is not used", path.display()),
                "keys that were made with that file open nothing now; rotate them, then remove the file",
            ),
            Ok(_) => report.ok("secret", "from LOCKGATE_SECRET_KEY"),
        },
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
            format!("there are keys, but {} is gone and LOCKGATE_SECRET_KEY is not set", path.display()),
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
