//! What an installation keeps: its store, and the secret that keys are hashed with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockgate_config::{Config, Store};
use lockgate_core::Error;
use lockgate_store::{Backend, Hasher, Postgres, Sqlite, secret_file};

use crate::exit::Failure;

/// An installation, opened.
pub(crate) struct Installation {
    /// Keys, records, documents and the ledger.
    pub(crate) store: Arc<dyn Backend>,
    /// Hashes virtual keys.
    pub(crate) hasher: Hasher,
}

/// Holds the secret that keys are hashed with.
pub(crate) const SECRET: &str = "LOCKGATE_SECRET_KEY";
/// How to make such a secret.
pub(crate) const MAKE_SECRET: &str = "make one once with `openssl rand -hex 32`, and give the same to every gateway and every command that uses \
    this database";

impl Installation {
    /// Opens the store of a config, or makes it. The secret comes from `LOCKGATE_SECRET_KEY`; for a database in a file
    /// also from a file beside it that is made at the first start.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        match &config.store {
            Store::Sqlite(path) => {
                let store = open_store(config)?;
                let hasher = match secret_text() {
                    Some(text) => Hasher::from_text(&text)?,
                    None => secret_beside(path, &*store)?,
                };
                Ok(Self { store, hasher })
            }
            Store::Postgres(_) => {
                let text = secret_text().ok_or_else(|| {
                    Failure::new(format!(
                        "{SECRET} is not set: with PostgreSQL the secret that keys are hashed with comes from there; {MAKE_SECRET}"
                    ))
                })?;
                Ok(Self { hasher: Hasher::from_text(&text)?, store: open_store(config)? })
            }
        }
    }
}

/// Opens the store of a config, or makes it.
///
/// # Errors
/// When it cannot be opened, or a newer program wrote it.
pub(crate) fn open_store(config: &Config) -> Result<Arc<dyn Backend>, Error> {
    Ok(match &config.store {
        Store::Sqlite(path) => Arc::new(Sqlite::open(path)?),
        Store::Postgres(address) => Arc::new(Postgres::open(address)?),
    })
}

/// The secret that the environment holds.
pub(crate) fn secret_text() -> Option<String> {
    std::env::var(SECRET).ok().filter(|text| !text.is_empty())
}

fn secret_beside(path: &Path, store: &dyn Backend) -> Result<Hasher, Failure> {
    let file = beside(path);
    // A new secret would make every key that there is unknown, without a word.
    if !file.exists() && !store.keys()?.is_empty() {
        return Err(Failure::new(format!(
            "the store has keys, but the secret that they are hashed with is gone: {} is missing. Put it back, set \
             {SECRET} if the keys were made with it, or move the store away to begin anew",
            file.display()
        )));
    }
    Ok(Hasher::new(&*secret_file(&file)?))
}

/// Where the secret of a database is.
pub(crate) fn beside(database: &Path) -> PathBuf {
    database.with_extension("secret")
}
