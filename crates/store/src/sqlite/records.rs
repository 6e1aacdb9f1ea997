//! Records, one a row, written in batches at the right edge of one tree.

use std::collections::HashMap;
use std::rc::Rc;

use lockgate_core::port::Filter;
use lockgate_core::{Error, Money, Record, RequestId};
use rusqlite::types::Value;
use rusqlite::{
    CachedStatement, Connection, OptionalExtension as _, Row, Statement, ToSql, TransactionBehavior, params,
    params_from_iter,
};

use super::checkpoint::Checkpoints;
use super::shapes::{self, Shapes};
use super::{damaged, failure};
use crate::place::{column, joined, split};
use crate::shape::{Own, Shape};
use crate::{detail, filter};

const COLUMNS: &str = "at, rest, shape, input, output, cost, took_us, first_us, detail";
/// Rows that one statement writes. Measured: with more, SQLite's pool of small memory runs out.
const ROWS: usize = 32;
/// Rows that one step of forgetting deletes at most, but for those of one millisecond.
const PORTION: i64 = 10_000;
/// The connection that records come in by, and what it knows by heart.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    shapes: Shapes,
    checkpoints: Checkpoints,
}

// === writing ===

impl Writer {
    pub(super) fn new(connection: Connection, checkpoints: Checkpoints) -> Self {
        Self { connection, shapes: Shapes::default(), checkpoints }
    }

    /// Writes what is there already.
    pub(super) fn touch(&self) -> Result<(), Error> {
        let version: i64 =
            self.connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failure)?;
        self.connection.pragma_update(None, "user_version", version).map_err(failure)
    }

    /// Writes all or none. A row whose id is there already is left as it is.
    pub(super) fn append(&mut self, records: &[Box<Record>]) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        // Requests end in another order than they came; in that of their ids a batch goes to the same few pages.
        let mut ordered: Vec<(RequestId, &Record)> =
            records.iter().map(|record| (record.id, &**record)).collect();
        ordered.sort_unstable_by_key(|(id, _)| *id);
        let written = self.write(&ordered);
        match written {
            Ok(()) => self.checkpoints.written(ordered.len()),
            Err(_) => self.shapes.forget(),
        }
        written
    }

    fn write(&mut self, ordered: &[(RequestId, &Record)]) -> Result<(), Error> {
        let step =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failure)?;
        self.shapes.begin(&step)?;
        {
            let mut scratch = Vec::with_capacity(256);
            let (whole, few) = ordered.as_chunks::<ROWS>();
            if !whole.is_empty() {
                let mut many = statement(&step, ROWS)?;
                for rows in whole {
                    insert(&step, &mut many, &mut self.shapes, rows, &mut scratch)?;
                }
            }
            if !few.is_empty() {
                let mut one = statement(&step, 1)?;
                for row in few.chunks(1) {
                    insert(&step, &mut one, &mut self.shapes, row, &mut scratch)?;
                }
            }
        }
        step.commit().map_err(failure)
    }

    /// Deletes some of the records that arrived before `wall_ms`, the oldest first; how many, or `None` when none was
    /// left. Then the shapes that only such records had go as well.
    pub(super) fn forget_some(&mut self, wall_ms: u64) -> Result<Option<u64>, Error> {
        let before = i64::try_from(wall_ms).unwrap_or(i64::MAX);
        let step =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failure)?;
        let find = "SELECT at FROM record WHERE at < ? ORDER BY at LIMIT 1 OFFSET ?";
        let border: Option<i64> =
            step.query_row(find, params![before, PORTION], |row| row.get(0)).optional().map_err(failure)?;
        let border = border.map_or(before, |at| (at + 1).min(before));
        let count = step.execute("DELETE FROM record WHERE at < ?", [border]).map_err(failure)?;
        if count == 0 {
            shapes::delete_before(&step, before)?;
        }
        step.commit().map_err(failure)?;
        Ok(if count == 0 { None } else { Some(count as u64) })
    }
}

fn statement(connection: &Connection, rows: usize) -> Result<CachedStatement<'_>, Error> {
    let values = vec!["(?,?,?,?,?,?,?,?,?)"; rows].join(",");
    let sql = format!("INSERT INTO record ({COLUMNS}) VALUES {values} ON CONFLICT (at, rest) DO NOTHING");
    connection.prepare_cached(&sql).map_err(failure)
}

fn insert(
    step: &Connection,
    statement: &mut Statement<'_>,
    shapes: &mut Shapes,
    rows: &[(RequestId, &Record)],
    scratch: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut row = Place { statement, next: 1 };
    for (id, record) in rows {
        let (at, rest) = split(*id);
        let usage = record.usage.as_ref();
        row.put(at)?;
        row.put(&rest[..])?;
        row.put(shapes.id_of(step, record, at)?)?;
        row.put(usage.map(|u| column(u.input_total())))?;
        row.put(usage.map(|u| column(u.output_total())))?;
        row.put(record.cost.map(Money::nanos))?;
        row.put(record.took_us)?;
        row.put(record.first_content_us)?;
        scratch.clear();
        detail::write(record, scratch);
        row.put(&scratch[..])?;
    }
    statement.raw_execute().map(drop).map_err(failure)
}

/// Where the next value goes.
struct Place<'a, 'c> {
    statement: &'a mut Statement<'c>,
    next: usize,
}

impl Place<'_, '_> {
    fn put(&mut self, value: impl ToSql) -> Result<(), Error> {
        self.statement.raw_bind_parameter(self.next, value).map_err(failure)?;
        self.next += 1;
        Ok(())
    }
}

// === reading ===

/// One record.
pub(super) fn get(connection: &Connection, id: RequestId) -> Result<Option<Record>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM record WHERE at = ? AND rest = ?");
    let mut statement = connection.prepare_cached(&sql).map_err(failure)?;
    let (at, rest) = split(id);
    let mut rows = statement.query(params![at, &rest[..]]).map_err(failure)?;
    let Some(row) = rows.next().map_err(failure)? else { return Ok(None) };
    read(row, &shapes::get(connection, row.get(2).map_err(failure)?)?).map(Some)
}

/// The records that a filter wants.
pub(super) fn find(connection: &Connection, wanted: &Filter) -> Result<Vec<Record>, Error> {
    let (sql, values) = question(wanted);
    let mut statement = connection.prepare_cached(&sql).map_err(failure)?;
    // While these rows are open, all that is read on this connection is of one moment, the shapes too.
    let mut rows = statement.query(params_from_iter(values)).map_err(failure)?;
    let mut shapes: HashMap<i64, Rc<Shape>> = HashMap::new();
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(failure)? {
        let id = row.get(2).map_err(failure)?;
        let shape = match shapes.get(&id) {
            Some(shape) => Rc::clone(shape),
            None => {
                let shape = Rc::new(shapes::get(connection, id)?);
                shapes.insert(id, Rc::clone(&shape));
                shape
            }
        };
        records.push(read(row, &shape)?);
    }
    if wanted.latest {
        records.reverse();
    }
    Ok(records)
}

/// A filter in SQL. It means what [`filter::fits`] means; the exam compares them.
fn question(wanted: &Filter) -> (String, Vec<Value>) {
    let (mut conditions, mut values) = (String::from("true"), Vec::new());
    let mut add = |condition: &str, with: Vec<Value>| {
        conditions.push_str(" AND ");
        conditions.push_str(condition);
        values.extend(with);
    };
    if let Some(span) = &wanted.arrived_ms {
        // Times of arrival end far below the largest signed number.
        let moment = |ms: u64| Value::Integer(i64::try_from(ms).unwrap_or(i64::MAX));
        add("at >= ? AND at < ?", vec![moment(span.start), moment(span.end)]);
    }
    if let Some(id) = wanted.after {
        let (at, rest) = split(id);
        add("(at, rest) > (?, ?)", vec![Value::Integer(at), Value::Blob(rest.to_vec())]);
    }
    let (of_shape, with) = question_of_shape(wanted);
    if !with.is_empty() {
        add(&format!("shape IN (SELECT id FROM shape WHERE {of_shape})"), with);
    }
    values.push(Value::Integer(i64::try_from(filter::limit(wanted)).unwrap_or(i64::MAX)));
    let order = if wanted.latest { "at DESC, rest DESC" } else { "at, rest" };
    (format!("SELECT {COLUMNS} FROM record WHERE {conditions} ORDER BY {order} LIMIT ?"), values)
}

fn question_of_shape(wanted: &Filter) -> (String, Vec<Value>) {
    let (mut conditions, mut values) = (Vec::new(), Vec::new());
    let mut add = |condition: &'static str, with: Value, times: usize| {
        conditions.push(condition);
        values.extend(std::iter::repeat_n(with, times));
    };
    let text = |text: &str| Value::Text(text.to_owned());
    if let Some(key) = &wanted.key {
        add("(key = ? OR key_name = ?)", text(key), 2);
    }
    if let Some(provider) = &wanted.provider {
        add("provider = ?", text(provider), 1);
    }
    match wanted.model.as_deref().map(|model| (model, model.strip_suffix('*'))) {
        None => {}
        Some((model, None)) => add("(asked = ? OR model = ?)", text(model), 2),
        // As bytes: functions on text stop at a NUL, and LIKE and GLOB have signs of their own.
        Some((_, Some(start))) => add(
            "EXISTS (SELECT 1 FROM (SELECT ? AS start) WHERE substr(CAST(asked AS BLOB), 1, length(start)) = start \
             OR substr(CAST(model AS BLOB), 1, length(start)) = start)",
            Value::Blob(start.as_bytes().to_vec()),
            1,
        ),
    }
    if let Some(outcome) = wanted.outcome {
        add("outcome = ?", text(outcome.code()), 1);
    }
    if let Some(error) = wanted.error {
        add("error = ?", text(error.code()), 1);
    }
    if let Some(customer) = &wanted.customer {
        add("customer = ?", text(customer), 1);
    }
    (conditions.join(" AND "), values)
}

fn read(row: &Row<'_>, shape: &Shape) -> Result<Record, Error> {
    let at: i64 = row.get(0).map_err(failure)?;
    let id = joined(at, row.get(1).map_err(failure)?)?;
    let detail = row.get_ref(8).map_err(failure)?.as_blob();
    shape.record(&Own {
        id,
        cost: row.get::<_, Option<i64>>(5).map_err(failure)?.map(Money::from_nanos),
        took_us: row.get(6).map_err(failure)?,
        first_content_us: row.get(7).map_err(failure)?,
        detail: detail.map_err(|e| damaged(&format!("record {id}: {e}")))?,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lockgate_core::Kind;
    use lockgate_core::port::RecordStore as _;

    use super::*;
    use crate::Sqlite;
    use crate::exam;

    /// A store with one record, in which the given change was made by hand.
    fn tampered(change: &str) -> Error {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lockgate.db");
        let store = Sqlite::open(&path).unwrap();
        store.append(&[exam::record(1)]).unwrap();
        Connection::open(&path).unwrap().execute_batch(change).unwrap();
        store.find(&Filter::default()).unwrap_err()
    }

    #[test]
    fn a_damaged_row_is_an_error() {
        for change in [
            "UPDATE record SET at = -1",
            "UPDATE record SET at = 1 << 48",
            "UPDATE record SET rest = x'00'",
            "UPDATE record SET took_us = -1",
            "UPDATE record SET took_us = 'long'",
            "UPDATE record SET cost = 0.5",
            "UPDATE record SET shape = 9",
            "UPDATE record SET detail = x''",
            "UPDATE record SET detail = 'text'",
            "UPDATE record SET detail = CAST(x'02' || substr(detail, 2) AS BLOB)",
            "UPDATE shape SET outcome = 'splendid'",
            "UPDATE shape SET error = 'no such kind'",
            "UPDATE shape SET provider = NULL",
            "UPDATE shape SET status = -1",
            "UPDATE shape SET body = x'01'",
            "UPDATE shape SET asked = CAST(x'ff' AS TEXT)",
        ] {
            assert_eq!(tampered(change).kind(), Kind::Internal, "{change}");
        }
    }

    #[test]
    fn forgetting_goes_in_portions_and_reaches_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("lockgate.db")).unwrap();
        let many = PORTION as u64 * 2 + 5;
        let records: Vec<_> = (0..many).map(exam::record).collect();
        store.append(&records).unwrap();
        let border = records[records.len() - 1].id.wall_ms();
        assert_eq!(store.forget_before(border).unwrap(), many - 1);
        assert_eq!(store.forget_before(border).unwrap(), 0);
        assert_eq!(store.find(&Filter::default()).unwrap().len(), 1);
    }

    fn count(path: &Path, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        Connection::open(path).unwrap().query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn records_of_one_shape_share_it_and_it_goes_with_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lockgate.db");
        let store = Sqlite::open(&path).unwrap();
        store.append(&(0..50).map(exam::record).collect::<Vec<_>>()).unwrap();
        store.append(&(50..99).map(exam::record).collect::<Vec<_>>()).unwrap();
        assert_eq!((count(&path, "record"), count(&path, "shape")), (99, 1));
        store.forget_before(exam::record(98).id.wall_ms()).unwrap();
        assert_eq!(count(&path, "shape"), 1, "one record still has it");
        store.forget_before(u64::MAX).unwrap();
        assert_eq!(count(&path, "shape"), 0);
    }

    #[test]
    fn a_shape_in_use_for_long_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lockgate.db");
        let store = Sqlite::open(&path).unwrap();
        let hours: Vec<_> = (0..5).map(|hour| exam::record(hour * 3 * 3_600_000)).collect();
        for record in &hours {
            store.append(std::slice::from_ref(record)).unwrap();
        }
        assert_eq!(count(&path, "shape"), 1);
        store.forget_before(hours[4].id.wall_ms()).unwrap();
        assert_eq!(store.get(hours[4].id).unwrap().as_ref(), Some(&*hours[4]));
    }

    #[test]
    fn a_shape_that_another_process_deleted_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lockgate.db");
        let (server, tool) = (Sqlite::open(&path).unwrap(), Sqlite::open(&path).unwrap());
        server.append(&[exam::record(1)]).unwrap();
        tool.forget_before(u64::MAX).unwrap();
        server.append(&[exam::record(2)]).unwrap();
        assert_eq!(tool.get(exam::record(2).id).unwrap(), Some(*exam::record(2)));
    }

    #[test]
    fn a_batch_that_fails_leaves_nothing_and_harms_no_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lockgate.db");
        let store = Sqlite::open(&path).unwrap();
        let stop = "CREATE TRIGGER stop BEFORE INSERT ON record WHEN NEW.took_us = 13 BEGIN SELECT RAISE(FAIL, 'no'); END";
        Connection::open(&path).unwrap().execute_batch(stop).unwrap();
        let bad = Box::new(Record { took_us: 13, ..*exam::record(40) });
        let batch: Vec<_> = (0..40).map(exam::record).chain([bad]).collect();
        assert_eq!(store.append(&batch).unwrap_err().kind(), Kind::Internal);
        assert_eq!((count(&path, "record"), count(&path, "shape")), (0, 0));
        store.append(&batch[..40]).unwrap();
        assert_eq!(store.find(&Filter::default()).unwrap().len(), 40);
    }

    #[test]
    fn more_shapes_than_can_be_known_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("lockgate.db")).unwrap();
        let own = |number: u64| {
            Box::new(Record { asked: format!("model {number}").into(), ..*exam::record(number) })
        };
        let batch: Vec<_> = (0..9_000).map(own).collect();
        store.append(&batch).unwrap();
        let found = store.find(&Filter { limit: 10_000, ..Filter::default() }).unwrap();
        assert!(found.iter().eq(batch.iter().map(|record| &**record)));
    }
}
