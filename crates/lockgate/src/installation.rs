//! What an installation keeps on disk: its store, and the secret that keys are hashed with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockgate_config::{Config, Store};
use lockgate_core::port::KeyStore as _;
use lockgate_store::{Hasher, Sqlite, secret_file};

use crate::exit::Failure;

/// An installation, opened.
pub(crate) struct Installation {
    /// Keys and records.
    pub(crate) store: Arc<Sqlite>,
    /// Hashes virtual keys.
    pub(crate) hasher: Hasher,
}

impl Installation {
    /// Opens the store of a config, or makes it. The secret comes from `LOCKGATE_SECRET_KEY`, or from a file beside the
    /// database that is made at the first start.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        let Store::Sqlite(path) = &config.store;
        let store = Arc::new(Sqlite::open(path)?);
        let hasher = match std::env::var("LOCKGATE_SECRET_KEY") {
            Ok(text) if !text.is_empty() => Hasher::from_text(&text)?,
            _ => {
                let file = beside(path);
                // A new secret would make every key that there is unknown, without a word.
                if !file.exists() && !store.keys()?.is_empty() {
                    return Err(Failure::new(format!(
                        "the store has keys, but the secret that they are hashed with is gone: {} is missing. Put it back, set \
                         LOCKGATE_SECRET_KEY if the keys were made with it, or move the store away to begin anew",
                        file.display()
                    )));
                }
                Hasher::new(&*secret_file(&file)?)
            }
        };
        Ok(Self { store, hasher })
    }
}

/// Where the secret of a database is.
pub(crate) fn beside(database: &Path) -> PathBuf {
    database.with_extension("secret")
}
