//! What exists already, for commands that must not make an installation where there is none.

use std::sync::Arc;

use lockgate_config::Store;
use lockgate_store::{Backend, Postgres};

use crate::command::Context;
use crate::exit::Failure;
use crate::installation;
use crate::settings::Settings;

/// The settings of an installation whose store exists.
///
/// # Errors
/// Not found when there is none, which mostly means the wrong folder or the wrong config.
pub(crate) fn settings(context: &Context) -> Result<Settings, Failure> {
    let settings = Settings::read(context.config.as_deref())?;
    let (there, place) = match &settings.config.store {
        Store::Sqlite(path) => (path.exists(), path.display().to_string()),
        Store::Postgres(address) => {
            let place = format!("{address}, in its schema {}", address.schema);
            (Postgres::is_there(address)?, place)
        }
    };
    if !there {
        return Err(Failure::not_found(format!(
            "there is no store at {place}: the first start of the gateway or the first key makes it; \
             is this the right folder, or the right --config?"
        )));
    }
    Ok(settings)
}

/// Opens the store that the config names.
///
/// # Errors
/// As [`settings`], and when it cannot be opened.
pub(crate) fn store(context: &Context) -> Result<Arc<dyn Backend>, Failure> {
    Ok(installation::open_store(&settings(context)?.config)?)
}
