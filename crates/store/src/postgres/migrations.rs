//! The tables, and the way from each older form of them to the present one.

use std::time::Duration;

use lockgate_core::{Error, Kind};

use super::link::{Link, Outcome, Step, Target};
use super::value::Columns as _;

/// Each step leads from the version of its place to the next. A step that was released is never changed.
const STEPS: &[&str] = &[
    // 1. All there is. Text is compared by its bytes. A record stands in one row, in columns that reports can ask for; `body` and
    //    `detail` hold what no filter asks for. Its id is in `at`, the time of arrival in Unix milliseconds, and `rest`, the other 10
    //    bytes. Amounts are nano-dollars; moments are Unix milliseconds.
    "CREATE TABLE revision (
        what   TEXT   COLLATE \"C\" PRIMARY KEY,
        number BIGINT NOT NULL
     );
     INSERT INTO revision VALUES ('keys', 0), ('documents', 0), ('budgets', 0), ('crossings', 0);

     CREATE TABLE record (
        at       BIGINT NOT NULL,
        rest     BYTEA  NOT NULL,
        key      TEXT   COLLATE \"C\" NOT NULL,
        key_name TEXT   COLLATE \"C\" NOT NULL,
        customer TEXT   COLLATE \"C\",
        asked    TEXT   COLLATE \"C\" NOT NULL,
        provider TEXT   COLLATE \"C\",
        model    TEXT   COLLATE \"C\",
        outcome  TEXT   COLLATE \"C\" NOT NULL,
        error    TEXT   COLLATE \"C\",
        status   BIGINT NOT NULL,
        input    BIGINT,
        output   BIGINT,
        cost     BIGINT,
        took_us  BIGINT NOT NULL,
        first_us BIGINT,
        body     BYTEA  NOT NULL,
        detail   BYTEA  NOT NULL,
        PRIMARY KEY (at, rest)
     );

     CREATE TABLE key (
        place      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id         TEXT   COLLATE \"C\" NOT NULL CONSTRAINT key_id UNIQUE,
        name       TEXT   COLLATE \"C\" NOT NULL,
        hint       TEXT   COLLATE \"C\" NOT NULL,
        hash       BYTEA  NOT NULL,
        created_ms BIGINT NOT NULL,
        expires_ms BIGINT,
        revoked_ms BIGINT,
        models     TEXT   COLLATE \"C\" NOT NULL,
        metadata   TEXT   COLLATE \"C\" NOT NULL
     );
     CREATE UNIQUE INDEX key_name ON key (name) WHERE revoked_ms IS NULL;

     CREATE TABLE document (
        kind    TEXT   COLLATE \"C\" NOT NULL,
        name    TEXT   COLLATE \"C\" NOT NULL,
        version BIGINT NOT NULL,
        body    TEXT   COLLATE \"C\",
        at_ms   BIGINT NOT NULL,
        author  TEXT   COLLATE \"C\" NOT NULL,
        reason  TEXT   COLLATE \"C\" NOT NULL,
        PRIMARY KEY (kind, name, version)
     );",
    super::ledger::tables::TABLES,
];

/// Others may be at work on the same tables, or a step may rewrite many rows.
const PATIENCE: Duration = Duration::from_secs(300);

/// Brings the tables to the present form, and makes them and their schema if there are none. Several processes may try at
/// once: the second waits for the first.
///
/// # Errors
/// [`Kind::Unavailable`] when a newer program wrote the tables; [`Kind::Internal`] when a step fails (then nothing of it is
/// left) or the database does not keep every text.
pub(super) fn run(link: &Link, target: &Target) -> Result<(), Error> {
    link.write_with(target, PATIENCE, async |step: Step<'_>| migrate(step, target).await)
}

async fn migrate(step: Step<'_>, target: &Target) -> Outcome<()> {
    let schema = &*target.address.schema;
    step.run(&format!("SET LOCAL statement_timeout = {}", PATIENCE.as_millis())).await?;
    step.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text", &["lockgate".into()]).await?;
    let encoding = step.first("SHOW server_encoding", &[]).await?;
    let encoding = encoding.map(|row| row.text(0)).transpose()?.unwrap_or_default();
    if &*encoding != "UTF8" {
        let text = format!(
            "the database keeps text as {encoding}, and not every name fits into that: make one with ENCODING 'UTF8'"
        );
        return Err(Error::gateway(Kind::Unavailable, text).into());
    }
    // It is asked for first: who may use a schema need not be one who may make some.
    if step.first("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[schema.into()]).await?.is_none() {
        step.run(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    step.run(
        "CREATE TABLE IF NOT EXISTS format (one BIGINT PRIMARY KEY CHECK (one = 1), version BIGINT NOT NULL)",
    )
    .await?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let version = match step.first("SELECT version FROM format", &[]).await? {
        Some(row) => row.number(0)?,
        None => 0,
    };
    if version == known {
        return Ok(());
    }
    let Some(ahead) = usize::try_from(version).ok().and_then(|version| STEPS.get(version..)) else {
        return Err(too_new(version, known).into());
    };
    for sql in ahead {
        step.run(sql).await?;
    }
    let put = "INSERT INTO format VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET version = excluded.version";
    step.execute(put, &[known.into()]).await?;
    Ok(())
}

/// Whether there is a store in this schema, whatever its form.
pub(super) async fn is_there(step: Step<'_>, schema: &str) -> Outcome<bool> {
    let sql = "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'format'";
    Ok(step.first(sql, &[schema.into()]).await?.is_some())
}

fn too_new(version: i64, known: i64) -> Error {
    let public = format!(
        "the store has format {version}, and this program knows formats up to {known}: \
         it was written by a newer Lockgate; use that one, or another store"
    );
    Error::gateway(Kind::Unavailable, public)
}
