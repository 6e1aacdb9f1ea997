//! Documents, each version a row.

use lockgate_core::Error;
use lockgate_core::port::{Document, DocumentStore, Draft};
use tokio_postgres::Row;

use super::link::{Outcome, Step};
use super::value::Columns as _;
use super::{Postgres, changed, revision};
use crate::document::Newest;

const COLUMNS: &str = "kind, name, version, body, at_ms, author, reason";

impl DocumentStore for Postgres {
    fn documents(&self, kind: &str) -> Result<Vec<Document>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM
                (SELECT DISTINCT ON (name) {COLUMNS} FROM document WHERE kind = $1 ORDER BY name, version DESC) newest
             WHERE body IS NOT NULL ORDER BY name"
        );
        self.keys.read(&self.target, async |step: Step<'_>| {
            step.query(&sql, &[kind.into()]).await?.iter().map(document).collect()
        })
    }

    fn versions(&self, kind: &str, name: &str) -> Result<Vec<Document>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM document WHERE kind = $1 AND name = $2 ORDER BY version");
        self.keys.read(&self.target, async |step: Step<'_>| {
            step.query(&sql, &[kind.into(), name.into()]).await?.iter().map(document).collect()
        })
    }

    fn put_document(&self, draft: &Draft) -> Result<u64, Error> {
        self.keys.write(&self.target, async |step: Step<'_>| {
            // It stays locked to the end: nothing comes between the newest version and the next.
            changed(step, "documents").await?;
            let newest = "SELECT version, body IS NOT NULL FROM document WHERE kind = $1 AND name = $2
                ORDER BY version DESC LIMIT 1";
            let newest = match step.first(newest, &[(&draft.kind).into(), (&draft.name).into()]).await? {
                Some(row) => Newest { version: row.number(0)?.cast_unsigned(), readable: row.flag(1)? },
                None => Newest::default(),
            };
            let version = newest.next(draft)?;
            let row = [
                (&draft.kind).into(),
                (&draft.name).into(),
                version.cast_signed().into(),
                draft.body.as_deref().into(),
                draft.at_ms.cast_signed().into(),
                (&draft.by).into(),
                (&draft.reason).into(),
            ];
            let sql = format!("INSERT INTO document ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)");
            step.execute(&sql, &row).await?;
            Ok(version)
        })
    }

    fn document_revision(&self) -> Result<u64, Error> {
        self.keys.read(&self.target, async |step: Step<'_>| revision(step, "documents").await)
    }
}

fn document(row: &Row) -> Outcome<Document> {
    Ok(Document {
        kind: row.text(0)?,
        name: row.text(1)?,
        version: row.number(2)?.cast_unsigned(),
        body: row.text_or_none(3)?,
        at_ms: row.number(4)?.cast_unsigned(),
        by: row.text(5)?,
        reason: row.text(6)?,
    })
}
