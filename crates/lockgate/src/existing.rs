//! What exists already, for commands that must not make an installation where there is none.

use std::sync::Arc;

use lockgate_config::Store;
use lockgate_store::Sqlite;

use crate::command::Context;
use crate::exit::Failure;
use crate::settings::Settings;

/// The settings of an installation whose store exists.
///
/// # Errors
/// Not found when there is none, which mostly means the wrong folder or the wrong config.
pub(crate) fn settings(context: &Context) -> Result<Settings, Failure> {
    let settings = Settings::read(context.config.as_deref())?;
    let Store::Sqlite(path) = &settings.config.store;
    if !path.exists() {
        return Err(Failure::not_found(format!(
            "there is no store at {}: the first start of the gateway or the first key makes it; \
             is this the right folder, or the right --config?",
            path.display()
        )));
    }
    Ok(settings)
}

/// Opens the store that the config names.
///
/// # Errors
/// As [`settings`], and when it cannot be opened.
pub(crate) fn store(context: &Context) -> Result<Arc<Sqlite>, Failure> {
    let Store::Sqlite(path) = settings(context)?.config.store;
    Ok(Arc::new(Sqlite::open(&path)?))
}
