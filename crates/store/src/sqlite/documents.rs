//! Documents, each version a row.

use std::sync::Arc;

use lockgate_core::Error;
use lockgate_core::port::{Document, DocumentStore, Draft};
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, TransactionBehavior, params};

use super::{Sqlite, failure, lock};
use crate::document::Newest;

/// They came with version 3. `author` is who made a version; a version without a body is a removal.
pub(super) const TABLES: &str = "
    CREATE TABLE document (
        kind    TEXT    NOT NULL,
        name    TEXT    NOT NULL,
        version INTEGER NOT NULL,
        body    TEXT,
        at_ms   INTEGER NOT NULL,
        author  TEXT    NOT NULL,
        reason  TEXT    NOT NULL,
        PRIMARY KEY (kind, name, version)
    ) STRICT;
    ALTER TABLE revision ADD COLUMN documents INTEGER NOT NULL DEFAULT 0;";

const COLUMNS: &str = "kind, name, version, body, at_ms, author, reason";

impl DocumentStore for Sqlite {
    fn documents(&self, kind: &str) -> Result<Vec<Document>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM document d WHERE kind = ? AND body IS NOT NULL AND version =
                (SELECT max(version) FROM document o WHERE o.kind = d.kind AND o.name = d.name)
             ORDER BY name"
        );
        read(&lock(&self.keys), &sql, &[&kind])
    }

    fn versions(&self, kind: &str, name: &str) -> Result<Vec<Document>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM document WHERE kind = ? AND name = ? ORDER BY version");
        read(&lock(&self.keys), &sql, &[&kind, &name])
    }

    fn put_document(&self, draft: &Draft) -> Result<u64, Error> {
        put(&mut lock(&self.keys), draft)
    }

    fn document_revision(&self) -> Result<u64, Error> {
        let connection = lock(&self.keys);
        let mut statement = connection.prepare_cached("SELECT documents FROM revision").map_err(failure)?;
        statement.query_row([], |row| row.get(0)).map(i64::cast_unsigned).map_err(failure)
    }
}

fn put(connection: &mut Connection, draft: &Draft) -> Result<u64, Error> {
    // Whoever writes waits for others before it reads, so nothing comes between the newest version and the next.
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failure)?;
    let newest = "SELECT version, body IS NOT NULL FROM document WHERE kind = ? AND name = ?
        ORDER BY version DESC LIMIT 1";
    let newest = step
        .query_row(newest, params![&*draft.kind, &*draft.name], |row| {
            Ok(Newest { version: row.get::<_, i64>(0)?.cast_unsigned(), readable: row.get(1)? })
        })
        .optional()
        .map_err(failure)?
        .unwrap_or_default();
    let version = newest.next(draft)?;
    let row = params![
        &*draft.kind,
        &*draft.name,
        version.cast_signed(),
        draft.body.as_deref(),
        draft.at_ms.cast_signed(),
        &*draft.by,
        &*draft.reason
    ];
    let sql = format!("INSERT INTO document ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)");
    step.execute(&sql, row).map_err(failure)?;
    step.execute("UPDATE revision SET documents = documents + 1", []).map_err(failure)?;
    step.commit().map_err(failure)?;
    Ok(version)
}

fn read(connection: &Connection, sql: &str, wanted: &[&dyn ToSql]) -> Result<Vec<Document>, Error> {
    let mut statement = connection.prepare_cached(sql).map_err(failure)?;
    let rows = statement.query_map(wanted, document).map_err(failure)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failure)
}

fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document {
        kind: row.get(0)?,
        name: row.get(1)?,
        version: row.get::<_, i64>(2)?.cast_unsigned(),
        body: row.get::<_, Option<Arc<str>>>(3)?,
        at_ms: row.get::<_, i64>(4)?.cast_unsigned(),
        by: row.get(5)?,
        reason: row.get(6)?,
    })
}
