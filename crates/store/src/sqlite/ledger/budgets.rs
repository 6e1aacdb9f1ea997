//! Budgets and increases: each a document with the columns that are searched by.

use lockgate_core::Error;
use lockgate_ledger::budget::{Budget, Increase};
use lockgate_ledger::port::{Budgets, budget_name_is_taken, no_such_budget};
use lockgate_ledger::rows::Terms;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sqlite::{damaged, failure};

/// All of it, in one version.
pub(super) fn all(step: &Connection) -> Result<Budgets, Error> {
    Ok(Budgets {
        revision: revision(step)?,
        budgets: documents(step, "SELECT document FROM ledger_budget ORDER BY id", None)?,
        increases: documents(step, "SELECT document FROM ledger_increase ORDER BY id", None)?,
    })
}

pub(super) fn revision(step: &Connection) -> Result<u64, Error> {
    let mut statement = step.prepare_cached("SELECT budgets FROM ledger_revision").map_err(failure)?;
    statement.query_row([], |row| row.get(0)).map(i64::cast_unsigned).map_err(failure)
}

/// What an exchange must know of a budget; `None` when there is none.
pub(super) fn terms(step: &Connection, id: &str, now_ms: u64) -> Result<Option<Terms>, Error> {
    let found = documents(step, "SELECT document FROM ledger_budget WHERE id = ?", Some(id))?;
    let Some(budget) = found.into_iter().next() else { return Ok(None) };
    let increases = documents(step, "SELECT document FROM ledger_increase WHERE budget = ?", Some(id))?;
    Ok(Some(Terms::of(&budget, &increases, now_ms)))
}

pub(super) fn put(step: &Connection, budget: &Budget) -> Result<bool, Error> {
    let taken: Option<i64> = step
        .query_row(
            "SELECT 1 FROM ledger_budget WHERE name = ? AND id <> ?",
            params![&*budget.name, &*budget.id],
            |row| row.get(0),
        )
        .optional()
        .map_err(failure)?;
    if taken.is_some() {
        return Err(budget_name_is_taken(&budget.name));
    }
    let row = params![&*budget.name, json(budget)?, &*budget.id];
    let there =
        step.execute("UPDATE ledger_budget SET name = ?, document = ? WHERE id = ?", row).map_err(failure)?
            > 0;
    if !there {
        step.execute("INSERT INTO ledger_budget (name, document, id) VALUES (?, ?, ?)", row)
            .map_err(failure)?;
    }
    changed(step)?;
    Ok(!there)
}

pub(super) fn remove(step: &Connection, id: &str) -> Result<bool, Error> {
    let removed = step.execute("DELETE FROM ledger_budget WHERE id = ?", [id]).map_err(failure)? > 0;
    if removed {
        step.execute("DELETE FROM ledger_increase WHERE budget = ?", [id]).map_err(failure)?;
        changed(step)?;
    }
    Ok(removed)
}

pub(super) fn put_increase(step: &Connection, increase: &Increase) -> Result<(), Error> {
    let there: Option<i64> = step
        .query_row("SELECT 1 FROM ledger_budget WHERE id = ?", [&*increase.budget], |row| row.get(0))
        .optional()
        .map_err(failure)?;
    if there.is_none() {
        return Err(no_such_budget(&increase.budget));
    }
    let sql = "INSERT INTO ledger_increase (id, budget, document) VALUES (?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET budget = excluded.budget, document = excluded.document";
    step.execute(sql, params![&*increase.id, &*increase.budget, json(increase)?]).map_err(failure)?;
    changed(step)
}

pub(super) fn remove_increase(step: &Connection, id: &str) -> Result<bool, Error> {
    let removed = step.execute("DELETE FROM ledger_increase WHERE id = ?", [id]).map_err(failure)? > 0;
    if removed {
        changed(step)?;
    }
    Ok(removed)
}

fn changed(step: &Connection) -> Result<(), Error> {
    step.execute("UPDATE ledger_revision SET budgets = budgets + 1", []).map(drop).map_err(failure)
}

fn documents<T: DeserializeOwned>(step: &Connection, sql: &str, id: Option<&str>) -> Result<Vec<T>, Error> {
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    let mut rows = match id {
        Some(id) => statement.query([id]),
        None => statement.query([]),
    }
    .map_err(failure)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failure)? {
        let text = row.get_ref(0).map_err(failure)?.as_str().map_err(|e| damaged(&format!("budget: {e}")))?;
        found.push(serde_json::from_str(text).map_err(|e| damaged(&format!("budget: {e}")))?);
    }
    Ok(found)
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| damaged(&format!("budget: {e}")))
}
