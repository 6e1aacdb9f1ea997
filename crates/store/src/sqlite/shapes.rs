//! Shapes of records in their table: those that the writer knows by heart, and the reading of one.

use std::collections::HashMap;
use std::sync::Arc;

use lockgate_core::{Error, Kind, Record};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{damaged, failure};
use crate::shape::{Columns, Shape, fingerprint, write_body};

/// How many shapes are known by heart. Beyond it all are forgotten and written anew: more rows, but no wrong ones.
const KNOWN: usize = 4_096;
/// How far ahead of the records the time up to which a shape is in use is set, so that it is seldom moved: one hour in
/// milliseconds. A shape outlives its last record by no more than this when records are forgotten.
const AHEAD: i64 = 3_600_000;

const COLUMNS: &str = "key, key_name, customer, asked, provider, model, outcome, error, status, body";

/// The shapes that the writer knows.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    known: HashMap<Box<[u8]>, InUse>,
    /// How often shapes had been deleted when these were known.
    generation: i64,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct InUse {
    id: i64,
    /// No record of this shape arrived later, in Unix milliseconds.
    until: i64,
}

// === writing ===

impl Shapes {
    /// To be called first in every transaction that asks for shapes: forgets those that may have been deleted.
    pub(super) fn begin(&mut self, step: &Connection) -> Result<(), Error> {
        let mut statement = step.prepare_cached("SELECT shapes FROM revision").map_err(failure)?;
        let generation = statement.query_row([], |row| row.get(0)).map_err(failure)?;
        if generation != self.generation {
            self.forget();
            self.generation = generation;
        }
        Ok(())
    }

    /// To be called when the transaction fails: what it wrote is not there.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// The id of the shape of a record that arrived at `at`. Written now, if it is new.
    pub(super) fn id_of(&mut self, step: &Connection, record: &Record, at: i64) -> Result<i64, Error> {
        self.scratch.clear();
        fingerprint(record, &mut self.scratch);
        if let Some(shape) = self.known.get_mut(&self.scratch[..]) {
            if at > shape.until {
                shape.until = at.saturating_add(AHEAD);
                prolong(step, *shape)?;
            }
            return Ok(shape.id);
        }
        let until = at.saturating_add(AHEAD);
        let id = insert(step, record, until)?;
        if self.known.len() >= KNOWN {
            self.forget();
        }
        self.known.insert(self.scratch.as_slice().into(), InUse { id, until });
        Ok(id)
    }
}

/// Every shape that no record from `before` on can have. How many there were.
pub(super) fn delete_before(step: &Connection, before: i64) -> Result<usize, Error> {
    let count = step.execute("DELETE FROM shape WHERE until < ?", [before]).map_err(failure)?;
    if count > 0 {
        step.execute("UPDATE revision SET shapes = shapes + 1", []).map_err(failure)?;
    }
    Ok(count)
}

fn prolong(step: &Connection, shape: InUse) -> Result<(), Error> {
    let mut statement =
        step.prepare_cached("UPDATE shape SET until = max(until, ?) WHERE id = ?").map_err(failure)?;
    statement.execute([shape.until, shape.id]).map(drop).map_err(failure)
}

fn insert(step: &Connection, record: &Record, until: i64) -> Result<i64, Error> {
    let sql = format!("INSERT INTO shape (until, {COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?)");
    let mut statement = step.prepare_cached(&sql).map_err(failure)?;
    let target = record.target.as_ref();
    let mut body = Vec::with_capacity(128);
    write_body(record, &mut body);
    let row = params![
        until,
        &*record.key,
        &*record.key_name,
        record.attribution.customer.as_deref(),
        &*record.asked,
        target.map(|target| &*target.provider),
        target.map(|target| &*target.model),
        record.outcome.code(),
        record.error.map(Kind::code),
        record.status,
        body,
    ];
    statement.insert(row).map_err(failure)
}

// === reading ===

/// The shape of this id.
///
/// # Errors
/// [`Kind::Internal`] when there is none, or it holds what was never written.
pub(super) fn get(connection: &Connection, id: i64) -> Result<Shape, Error> {
    let sql = format!("SELECT {COLUMNS} FROM shape WHERE id = ?");
    let mut statement = connection.prepare_cached(&sql).map_err(failure)?;
    let shape = statement.query_row([id], |row| Ok(read(row))).optional().map_err(failure)?;
    shape.unwrap_or_else(|| Err(damaged(&format!("shape {id} is missing"))))
}

fn read(row: &Row<'_>) -> Result<Shape, Error> {
    let word = |at: usize| row.get::<_, Arc<str>>(at).map_err(failure);
    let words = |at: usize| row.get::<_, Option<Arc<str>>>(at).map_err(failure);
    let columns = Columns {
        key: word(0)?,
        key_name: word(1)?,
        customer: words(2)?,
        asked: word(3)?,
        provider: words(4)?,
        model: words(5)?,
        outcome: word(6)?,
        error: words(7)?,
        status: row.get(8).map_err(failure)?,
    };
    let body = row.get_ref(9).map_err(failure)?.as_blob().map_err(|e| damaged(&format!("shape: {e}")))?;
    columns.shape(body)
}
