//! What many records have in common, kept once: whose key, which model and target, how it was decided, how it ended.
//!
//! A busy gateway writes thousands of records of a few shapes, and a row that names its shape is a third of the size.
//! A shape may be there twice (another process, an earlier run, a cache that was full); nothing relies on it being one.

use std::collections::HashMap;
use std::sync::Arc;

use lockgate_core::decision::{Candidate, Decision, Exclusion, Matched, Standing};
use lockgate_core::record::{Outcome, Record, Target};
use lockgate_core::{Error, KeyId, Kind};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::codec::{Eye, Pen};
use super::{damaged, failure};

const VERSION: u8 = 1;
/// With notes of candidates.
const NOTED: u8 = 2;
/// How many shapes are known by heart. Beyond it all are forgotten and written anew: more rows, but no wrong ones.
const KNOWN: usize = 4_096;
/// How far ahead of the records the time up to which a shape is in use is set, so that it is seldom moved: one hour in
/// milliseconds. A shape outlives its last record by no more than this when records are forgotten.
const AHEAD: i64 = 3_600_000;

const COLUMNS: &str = "key, key_name, customer, asked, provider, model, outcome, error, status, body";

/// The part of a record that others share.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) key: KeyId,
    pub(super) key_name: Arc<str>,
    pub(super) customer: Option<Arc<str>>,
    pub(super) asked: Arc<str>,
    pub(super) target: Option<Target>,
    pub(super) outcome: Outcome,
    pub(super) error: Option<Kind>,
    pub(super) status: u16,
    pub(super) body: Body,
}

/// The part of a shape that no filter asks for.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) dialect: Arc<str>,
    pub(super) stream: bool,
    pub(super) project: Option<Arc<str>>,
    pub(super) feature: Option<Arc<str>>,
    pub(super) decision: Option<Arc<Decision>>,
}

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

/// Bytes that are the same for the same shape, and for no other. They are never stored.
fn fingerprint(record: &Record, out: &mut Vec<u8>) {
    let mut pen = Pen::new(out);
    let whose = &record.attribution;
    pen.note(&record.key);
    pen.note(&record.key_name);
    pen.note(&record.asked);
    pen.note(&record.dialect);
    for option in [&whose.customer, &whose.project, &whose.feature] {
        pen.option(option.as_deref(), Pen::note);
    }
    pen.option(record.target.as_ref(), |pen, target| {
        pen.note(&target.provider);
        pen.note(&target.model);
    });
    pen.byte(u8::from(record.stream));
    pen.byte(record.outcome as u8);
    pen.number(record.error.map_or(0, |error| error as u64 + 1));
    pen.number(u64::from(record.status));
    pen.option(record.decision.as_deref(), |pen, decision| {
        pen.number(decision.snapshot);
        pen.byte(decision.matched as u8);
        pen.number(decision.candidates.len() as u64);
        for candidate in decision.candidates.iter() {
            pen.note(&candidate.provider);
            pen.note(&candidate.model);
            pen.byte(match candidate.standing {
                Standing::Eligible => 0,
                Standing::Excluded(exclusion) => exclusion as u8 + 1,
            });
            pen.option(candidate.note.as_deref(), Pen::note);
        }
    });
}

/// A version byte, then the fields in this order. The columns `asked`, `provider` and `model` count as seen. Version 2 has
/// notes of candidates; what needs none is still written as version 1. What was weighed for one request is no part of a
/// shape but of the detail.
fn write_body(record: &Record, out: &mut Vec<u8>) {
    let mut pen = Pen::new(out);
    pen.remember(&record.asked);
    if let Some(target) = &record.target {
        pen.remember(&target.provider);
        pen.remember(&target.model);
    }
    let noted = record
        .decision
        .as_ref()
        .is_some_and(|decision| decision.candidates.iter().any(|it| it.note.is_some()));
    pen.byte(if noted { NOTED } else { VERSION });
    pen.word(&record.dialect);
    pen.byte(u8::from(record.stream));
    pen.option(record.attribution.project.as_deref(), Pen::word);
    pen.option(record.attribution.feature.as_deref(), Pen::word);
    pen.option(record.decision.as_deref(), |pen, decision| {
        pen.number(decision.snapshot);
        pen.word(decision.matched.code());
        pen.number(decision.candidates.len() as u64);
        for candidate in decision.candidates.iter() {
            pen.word(&candidate.provider);
            pen.word(&candidate.model);
            // No exclusion has an empty code.
            pen.word(match candidate.standing {
                Standing::Eligible => "",
                Standing::Excluded(exclusion) => exclusion.code(),
            });
            if noted {
                pen.option(candidate.note.as_deref(), Pen::word);
            }
        }
    });
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
    let unknown = |code: &str| damaged(&format!("shape: unknown code \"{code}\""));
    let target = match (words(4)?, words(5)?) {
        (Some(provider), Some(model)) => Some(Target { provider, model }),
        (None, None) => None,
        _ => return Err(damaged("shape: half a target")),
    };
    let (outcome, error) = (word(6)?, words(7)?);
    let asked = word(3)?;
    let body = row.get_ref(9).map_err(failure)?.as_blob().map_err(|e| damaged(&format!("shape: {e}")))?;
    let body = {
        let mut eye = Eye::new(body);
        eye.remember(&asked);
        if let Some(target) = &target {
            eye.remember(&target.provider);
            eye.remember(&target.model);
        }
        read_body(&mut eye)
            .filter(|_| eye.is_at_end())
            .ok_or_else(|| damaged("shape: the body cannot be read"))?
    };
    Ok(Shape {
        key: word(0)?,
        key_name: word(1)?,
        customer: words(2)?,
        asked,
        target,
        outcome: Outcome::from_code(&outcome).ok_or_else(|| unknown(&outcome))?,
        error: error.map(|code| Kind::from_code(&code).ok_or_else(|| unknown(&code))).transpose()?,
        status: row.get(8).map_err(failure)?,
        body,
    })
}

fn read_body(eye: &mut Eye<'_>) -> Option<Body> {
    let noted = match eye.byte()? {
        VERSION => false,
        NOTED => true,
        _ => return None,
    };
    Some(Body {
        dialect: eye.word()?,
        stream: match eye.byte()? {
            0 => false,
            1 => true,
            _ => return None,
        },
        project: eye.option(Eye::word)?,
        feature: eye.option(Eye::word)?,
        decision: eye.option(|eye| read_decision(eye, noted))?.map(Arc::new),
    })
}

fn read_decision(eye: &mut Eye<'_>, noted: bool) -> Option<Decision> {
    Some(Decision {
        snapshot: eye.number()?,
        matched: Matched::from_code(&eye.word()?)?,
        candidates: eye
            .list(|eye| {
                let (provider, model, code) = (eye.word()?, eye.word()?, eye.word()?);
                let standing = match &*code {
                    "" => Standing::Eligible,
                    code => Standing::Excluded(Exclusion::from_code(code)?),
                };
                let note = if noted { eye.option(Eye::word)? } else { None };
                Some(Candidate { provider, model, standing, note })
            })?
            .into(),
        choice: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exam;

    fn body(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_body(record, &mut bytes);
        bytes
    }

    #[test]
    fn the_stored_form_does_not_change() {
        // Bytes of version 1, which every later program must read.
        let bytes =
            b"\x01\x16openai_chat\x01\0\0\x01\x07\x0aroute\x02\x03\x05\0\x08groq\x1allama-4-scout\x0b";
        assert_eq!(body(&exam::record(1)), bytes);
    }

    proptest! {
        #[test]
        fn bytes_that_were_never_written_never_panic(bytes: Vec<u8>) {
            let _ = read_body(&mut Eye::new(&bytes));
        }

        #[test]
        fn a_fingerprint_tells_shapes_apart_and_nothing_else(a in exam::any_record(), b in exam::any_record()) {
            let print = |record: &Record| {
                let mut bytes = Vec::new();
                fingerprint(record, &mut bytes);
                bytes
            };
            // What was weighed is of one request; the rest of a decision is of the shape.
            let shape_of = |record: &Record| {
                let mut record = record.clone();
                if let Some(decision) = &mut record.decision {
                    Arc::make_mut(decision).choice = None;
                }
                record
            };
            let (a, b) = (shape_of(&a), shape_of(&b));
            // `b` in the shape of `a`.
            let mut shaped = b.clone();
            shaped.attribution.customer = a.attribution.customer.clone();
            shaped.attribution.project = a.attribution.project.clone();
            shaped.attribution.feature = a.attribution.feature.clone();
            let shaped = Record {
                dialect: a.dialect.clone(),
                key: a.key.clone(),
                key_name: a.key_name.clone(),
                asked: a.asked.clone(),
                stream: a.stream,
                target: a.target.clone(),
                outcome: a.outcome,
                status: a.status,
                error: a.error,
                decision: a.decision.clone(),
                ..shaped
            };
            prop_assert_eq!(print(&a), print(&shaped));
            prop_assert_eq!(print(&b) == print(&shaped), b == shaped);
        }
    }
}
