//! `deny`: licences, bans, sources and advisories of what we depend on, by cargo-deny and deny.toml.

use crate::run::{self, Failure, Outcome, cargo, installed};

pub(crate) fn run() -> Outcome {
    if installed(&["cargo-deny"]).is_none() {
        return Err(Failure::new("cargo-deny is not installed: cargo install --locked cargo-deny"));
    }
    run::status(&mut cargo(["deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))?;
    // The database is fetched apart, so that no network is told from a real finding.
    if let Err(failure) = run::status(&mut cargo(["deny", "fetch", "db"])) {
        println!("\nADVISORIES WERE NOT CHECKED: their database cannot be had here.\n  ({failure})\n");
        return Ok(());
    }
    run::status(&mut cargo(["deny", "check", "--disable-fetch", "advisories"]))
}
