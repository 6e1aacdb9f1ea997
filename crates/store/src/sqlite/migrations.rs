//! The tables, and the way from each older form of them to the present one.

use lockgate_core::{Error, Kind};
use rusqlite::{Connection, TransactionBehavior};

use super::failure;

/// Each step leads from the version of its place to the next. A step that was released is never changed.
const STEPS: &[&str] = &[
    // 1. Records are clustered by their id: `at` is the time of arrival in Unix milliseconds, `rest` the other 10 bytes.
    //    So inserts go to the right edge of one tree, and spans of time are spans of rows; there is no other index.
    //    `input` and `output` are sums for people and reports; the buckets are in `detail`. No record of a shape arrived
    //    after its `until`. `record` is not STRICT: that check would be a tenth of the price of a row.
    "CREATE TABLE record (
        at       INTEGER NOT NULL,
        rest     BLOB    NOT NULL,
        shape    INTEGER NOT NULL,
        input    INTEGER,
        output   INTEGER,
        cost     INTEGER,
        took_us  INTEGER NOT NULL,
        first_us INTEGER,
        detail   BLOB    NOT NULL,
        PRIMARY KEY (at, rest)
     ) WITHOUT ROWID;

     CREATE TABLE shape (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        until    INTEGER NOT NULL,
        key      TEXT    NOT NULL,
        key_name TEXT    NOT NULL,
        customer TEXT,
        asked    TEXT    NOT NULL,
        provider TEXT,
        model    TEXT,
        outcome  TEXT    NOT NULL,
        error    TEXT,
        status   INTEGER NOT NULL,
        body     BLOB    NOT NULL
     ) STRICT;

     CREATE TABLE key (
        place      INTEGER PRIMARY KEY AUTOINCREMENT,
        id         TEXT    NOT NULL UNIQUE,
        name       TEXT    NOT NULL,
        hint       TEXT    NOT NULL,
        hash       BLOB    NOT NULL,
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER,
        revoked_ms INTEGER,
        models     TEXT    NOT NULL,
        metadata   TEXT    NOT NULL
     ) STRICT;
     CREATE UNIQUE INDEX key_name ON key (name) WHERE revoked_ms IS NULL;

     CREATE TABLE revision (
        one    INTEGER PRIMARY KEY CHECK (one = 1),
        keys   INTEGER NOT NULL,
        shapes INTEGER NOT NULL
     ) STRICT;
     INSERT INTO revision VALUES (1, 0, 0);",
    // 2. Budgets, accounts, leases, the journal.
    super::ledger::tables::TABLES,
    // 3. Documents, version by version.
    super::documents::TABLES,
];

/// Brings the tables to the present form. Several processes may try at once.
///
/// # Errors
/// [`Kind::Unavailable`] when a newer program wrote the file; [`Kind::Internal`] when a step fails (then nothing of it
/// is left).
pub(super) fn run(connection: &mut Connection) -> Result<(), Error> {
    let known = STEPS.len();
    loop {
        // The version is read inside the transaction: another process may have taken the step meanwhile.
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failure)?;
        let version: i64 = step.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failure)?;
        let Some(at) = usize::try_from(version).ok().filter(|at| *at <= known) else {
            return Err(too_new(version, known));
        };
        let Some(sql) = STEPS.get(at) else { return Ok(()) };
        step.execute_batch(sql).map_err(failure)?;
        step.pragma_update(None, "user_version", version + 1).map_err(failure)?;
        step.commit().map_err(failure)?;
    }
}

fn too_new(version: i64, known: usize) -> Error {
    let public = format!(
        "the store has format {version}, and this program knows formats up to {known}: \
         it was written by a newer Lockgate; use that one, or another store"
    );
    Error::gateway(Kind::Unavailable, public)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn leads_to_the_present_form_and_stays_there() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection).unwrap();
        assert_eq!(version(&connection), STEPS.len() as i64);
        run(&mut connection).unwrap();
        assert_eq!(version(&connection), STEPS.len() as i64);
    }

    #[test]
    fn refuses_a_file_of_a_newer_program_and_leaves_it_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = run(&mut connection).unwrap_err();
        assert!(error.public().contains("format 99"), "{error}");
        assert_eq!(version(&connection), 99);
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
    }

    #[test]
    fn a_step_that_fails_leaves_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE revision (other TEXT)").unwrap();
        assert_eq!(run(&mut connection).unwrap_err().kind(), Kind::Internal);
        assert_eq!(version(&connection), 0);
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1);
    }
}
