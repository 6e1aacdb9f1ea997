//! Virtual keys, one a row.

use std::collections::BTreeMap;

use lockgate_core::port::KeyStore;
use lockgate_core::{Error, Key, KeyHash};
use serde::Serialize;
use tokio_postgres::Row;

use super::link::{Fault, Outcome, Step};
use super::value::{Columns as _, Value};
use super::{Postgres, changed, revision};
use crate::damaged;
use crate::memory::name_is_taken;

impl KeyStore for Postgres {
    fn keys(&self) -> Result<Vec<Key>, Error> {
        self.keys.read(&self.target, async |step: Step<'_>| {
            let sql = "SELECT id, name, hint, hash, created_ms, expires_ms, revoked_ms, models, metadata
                FROM key ORDER BY place";
            step.query(sql, &[]).await?.iter().map(read).collect()
        })
    }

    fn add(&self, key: &Key) -> Result<(), Error> {
        let (models, metadata) = (json(&key.models)?, json(&key.metadata)?);
        let sql =
            "INSERT INTO key (id, name, hint, hash, created_ms, expires_ms, revoked_ms, models, metadata)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let row: [Value<'_>; 9] = [
            (&*key.id).into(),
            (&*key.name).into(),
            (&*key.hint).into(),
            (&key.hash.0[..]).into(),
            key.created_ms.cast_signed().into(),
            key.expires_ms.map(u64::cast_signed).into(),
            key.revoked_ms.map(u64::cast_signed).into(),
            (&*models).into(),
            (&*metadata).into(),
        ];
        self.change(key, sql, &row).map(drop)
    }

    fn update(&self, key: &Key) -> Result<bool, Error> {
        let (models, metadata) = (json(&key.models)?, json(&key.metadata)?);
        let sql = "UPDATE key SET hint = $2, hash = $3, expires_ms = $4, revoked_ms = $5, models = $6, metadata = $7
            WHERE id = $1";
        let row: [Value<'_>; 7] = [
            (&*key.id).into(),
            (&*key.hint).into(),
            (&key.hash.0[..]).into(),
            key.expires_ms.map(u64::cast_signed).into(),
            key.revoked_ms.map(u64::cast_signed).into(),
            (&*models).into(),
            (&*metadata).into(),
        ];
        self.change(key, sql, &row).map(|rows| rows > 0)
    }

    fn revision(&self) -> Result<u64, Error> {
        self.keys.read(&self.target, async |step: Step<'_>| revision(step, "keys").await)
    }
}

impl Postgres {
    /// Runs a change of keys together with the step of the revision: both or neither.
    fn change(&self, key: &Key, sql: &str, row: &[Value<'_>]) -> Result<u64, Error> {
        self.keys.write(&self.target, async |step: Step<'_>| {
            let rows = step.execute(sql, row).await.map_err(|fault| refusal(fault, key))?;
            if rows > 0 {
                changed(step, "keys").await?;
            }
            Ok(rows)
        })
    }
}

/// The one refusal that is the caller's doing is a name that is in use.
fn refusal(fault: Fault, key: &Key) -> Fault {
    if fault.is_taken("key_name") { name_is_taken(&key.name).into() } else { fault }
}

fn read(row: &Row) -> Outcome<Key> {
    let moment = |at: usize| row.number_or_none(at).map(|ms| ms.map(i64::cast_unsigned));
    let wrong = |e: serde_json::Error| damaged(&format!("key: {e}"));
    let hash = row.bytes(3)?.try_into().map_err(|_| damaged("key: a hash that is none"))?;
    Ok(Key {
        id: row.text(0)?,
        name: row.text(1)?,
        hint: row.text(2)?.to_string(),
        hash: KeyHash(hash),
        created_ms: row.number(4)?.cast_unsigned(),
        expires_ms: moment(5)?,
        revoked_ms: moment(6)?,
        models: serde_json::from_str::<Vec<String>>(&row.text(7)?).map_err(wrong)?,
        metadata: serde_json::from_str::<BTreeMap<String, String>>(&row.text(8)?).map_err(wrong)?,
    })
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| damaged(&format!("key: {e}")))
}
