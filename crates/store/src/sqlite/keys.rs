//! Virtual keys, one a row.

use std::collections::BTreeMap;

use lockgate_core::{Error, Key, KeyHash};
use rusqlite::{Connection, Row, ToSql, Transaction, TransactionBehavior, ffi, named_params};

use serde::Serialize;

use super::{damaged, failure};
use crate::memory::name_is_taken;

const ALL: &str = "SELECT id, name, hint, hash, created_ms, expires_ms, revoked_ms, models, metadata FROM key ORDER BY place";

const ADD: &str =
    "INSERT INTO key (id, name, hint, hash, created_ms, expires_ms, revoked_ms, models, metadata)
    VALUES (:id, :name, :hint, :hash, :created, :expires, :revoked, :models, :metadata)";

const UPDATE: &str =
    "UPDATE key SET hint = :hint, hash = :hash, expires_ms = :expires, revoked_ms = :revoked,
    models = :models, metadata = :metadata WHERE id = :id";

/// Every key in the order of making.
pub(super) fn all(connection: &Connection) -> Result<Vec<Key>, Error> {
    let mut statement = connection.prepare_cached(ALL).map_err(failure)?;
    let mut rows = statement.query([]).map_err(failure)?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next().map_err(failure)? {
        keys.push(read(row)?);
    }
    Ok(keys)
}

/// Adds a key.
pub(super) fn add(connection: &mut Connection, key: &Key) -> Result<(), Error> {
    let (models, metadata) = (json(&key.models)?, json(&key.metadata)?);
    change(connection, key, |step| {
        let row = named_params! {
            ":id": &*key.id, ":name": &*key.name, ":hint": key.hint, ":hash": &key.hash.0[..],
            ":created": millis(key.created_ms), ":expires": key.expires_ms.map(millis),
            ":revoked": key.revoked_ms.map(millis), ":models": models, ":metadata": metadata,
        };
        step.execute(ADD, row)
    })
    .map(drop)
}

/// Replaces a key's changing parts; whether there was such a key.
pub(super) fn update(connection: &mut Connection, key: &Key) -> Result<bool, Error> {
    let (models, metadata) = (json(&key.models)?, json(&key.metadata)?);
    change(connection, key, |step| {
        let row: &[(&str, &dyn ToSql)] = named_params! {
            ":id": &*key.id, ":hint": key.hint, ":hash": &key.hash.0[..],
            ":expires": key.expires_ms.map(millis), ":revoked": key.revoked_ms.map(millis),
            ":models": models, ":metadata": metadata,
        };
        step.execute(UPDATE, row)
    })
    .map(|rows| rows > 0)
}

/// The number of changes to keys so far.
pub(super) fn revision(connection: &Connection) -> Result<u64, Error> {
    let mut statement = connection.prepare_cached("SELECT keys FROM revision").map_err(failure)?;
    statement.query_row([], |row| row.get(0)).map(i64::cast_unsigned).map_err(failure)
}

/// Runs a change of keys together with the step of the revision: both or neither.
fn change(
    connection: &mut Connection,
    key: &Key,
    run: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<usize>,
) -> Result<usize, Error> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failure)?;
    let rows = run(&step).map_err(|e| refusal(e, key))?;
    if rows > 0 {
        step.execute("UPDATE revision SET keys = keys + 1", []).map_err(failure)?;
    }
    step.commit().map_err(failure)?;
    Ok(rows)
}

/// The one refusal that is the caller's doing is a name that is in use.
fn refusal(error: rusqlite::Error, key: &Key) -> Error {
    match &error {
        rusqlite::Error::SqliteFailure(code, Some(text))
            if code.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE && text.contains("key.name") =>
        {
            name_is_taken(&key.name)
        }
        _ => failure(error),
    }
}

fn read(row: &Row<'_>) -> Result<Key, Error> {
    let text = |at: usize| row.get::<_, String>(at).map_err(failure);
    let moment =
        |at: usize| row.get::<_, Option<i64>>(at).map(|ms| ms.map(i64::cast_unsigned)).map_err(failure);
    let wrong = |e: serde_json::Error| damaged(&format!("key: {e}"));
    let hash = row.get::<_, [u8; 32]>(3).map_err(failure)?;
    Ok(Key {
        id: text(0)?.into(),
        name: text(1)?.into(),
        hint: text(2)?,
        hash: KeyHash(hash),
        created_ms: row.get::<_, i64>(4).map_err(failure)?.cast_unsigned(),
        expires_ms: moment(5)?,
        revoked_ms: moment(6)?,
        models: serde_json::from_str::<Vec<String>>(&text(7)?).map_err(wrong)?,
        metadata: serde_json::from_str::<BTreeMap<String, String>>(&text(8)?).map_err(wrong)?,
    })
}

/// SQLite's integers are signed; the bits are kept, so no moment is lost, however far away.
const fn millis(ms: u64) -> i64 {
    ms.cast_signed()
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| damaged(&format!("key: {e}")))
}
