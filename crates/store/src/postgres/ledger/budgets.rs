//! Budgets and increases: each a document with the columns that are searched by.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockgate_core::Error;
use lockgate_ledger::budget::{Budget, Increase};
use lockgate_ledger::port::{Budgets, budget_name_is_taken, no_such_budget};
use lockgate_ledger::rows::Terms;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use super::ALIVE;
use crate::damaged;
use crate::postgres::changed;
use crate::postgres::link::{Outcome, Step};
use crate::postgres::value::Columns as _;

/// What an exchange must know: the revision, how many nodes are alive, and the terms of the budgets that are there.
pub(super) struct Known {
    pub(super) revision: u64,
    pub(super) alive: u32,
    pub(super) terms: BTreeMap<Arc<str>, Terms>,
}

/// All of it, in one version.
pub(super) async fn all(step: Step<'_>) -> Outcome<Budgets> {
    let sql = "SELECT 0, number, NULL, NULL FROM revision WHERE what = 'budgets'
        UNION ALL SELECT 1, NULL, id, document FROM ledger_budget
        UNION ALL SELECT 2, NULL, id, document FROM ledger_increase
        ORDER BY 1, 3";
    let mut found = Budgets::default();
    for row in step.query(sql, &[]).await? {
        match row.try_get::<_, i32>(0)? {
            0 => found.revision = row.number(1)?.cast_unsigned(),
            1 => found.budgets.push(document(&row, 3)?),
            _ => found.increases.push(document(&row, 3)?),
        }
    }
    Ok(found)
}

/// What is known of these budgets at a moment, in one version.
pub(super) async fn known(step: Step<'_>, ids: Vec<&str>, now_ms: u64) -> Outcome<Known> {
    let sql = "SELECT 0, number, NULL FROM revision WHERE what = 'budgets'
        UNION ALL SELECT 1, count(*), NULL FROM ledger_node WHERE state = $2
        UNION ALL SELECT 2, NULL, document FROM ledger_budget WHERE id = ANY($1)
        UNION ALL SELECT 3, NULL, document FROM ledger_increase WHERE budget = ANY($1)";
    let (mut known, mut budgets, mut increases) = (
        Known { revision: 0, alive: 0, terms: BTreeMap::new() },
        Vec::<Budget>::new(),
        Vec::<Increase>::new(),
    );
    for row in step.query(sql, &[ids.into(), ALIVE.into()]).await? {
        match row.try_get::<_, i32>(0)? {
            0 => known.revision = row.number(1)?.cast_unsigned(),
            1 => known.alive = u32::try_from(row.number(1)?).unwrap_or(u32::MAX),
            2 => budgets.push(document(&row, 2)?),
            _ => increases.push(document(&row, 2)?),
        }
    }
    known.terms =
        budgets.iter().map(|budget| (budget.id.clone(), Terms::of(budget, &increases, now_ms))).collect();
    Ok(known)
}

// Each change locks the revision first, so that changes of budgets come one after the other.

async fn begin(step: Step<'_>) -> Outcome<()> {
    let sql = "SELECT number FROM revision WHERE what = 'budgets' FOR UPDATE";
    step.query(sql, &[]).await.map(drop)
}

pub(super) async fn put(step: Step<'_>, budget: &Budget) -> Outcome<bool> {
    changed(step, "budgets").await?;
    let (id, name) = ((&budget.id).into(), (&*budget.name).into());
    let taken = "SELECT 1 FROM ledger_budget WHERE name = $1 AND id <> $2";
    if step.first(taken, &[name, id]).await?.is_some() {
        return Err(budget_name_is_taken(&budget.name).into());
    }
    let text = json(budget)?;
    let row = [(&budget.id).into(), (&*budget.name).into(), (&*text).into()];
    let there =
        step.execute("UPDATE ledger_budget SET name = $2, document = $3 WHERE id = $1", &row).await? > 0;
    if !there {
        step.execute("INSERT INTO ledger_budget (id, name, document) VALUES ($1, $2, $3)", &row).await?;
    }
    Ok(!there)
}

pub(super) async fn remove(step: Step<'_>, id: &str) -> Outcome<bool> {
    begin(step).await?;
    let removed = step.execute("DELETE FROM ledger_budget WHERE id = $1", &[id.into()]).await? > 0;
    if removed {
        step.execute("DELETE FROM ledger_increase WHERE budget = $1", &[id.into()]).await?;
        changed(step, "budgets").await?;
    }
    Ok(removed)
}

pub(super) async fn put_increase(step: Step<'_>, increase: &Increase) -> Outcome<()> {
    changed(step, "budgets").await?;
    let there = "SELECT 1 FROM ledger_budget WHERE id = $1";
    if step.first(there, &[(&increase.budget).into()]).await?.is_none() {
        return Err(no_such_budget(&increase.budget).into());
    }
    let text = json(increase)?;
    let sql = "INSERT INTO ledger_increase (id, budget, document) VALUES ($1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET budget = excluded.budget, document = excluded.document";
    step.execute(sql, &[(&increase.id).into(), (&increase.budget).into(), (&*text).into()]).await.map(drop)
}

pub(super) async fn remove_increase(step: Step<'_>, id: &str) -> Outcome<bool> {
    begin(step).await?;
    let removed = step.execute("DELETE FROM ledger_increase WHERE id = $1", &[id.into()]).await? > 0;
    if removed {
        changed(step, "budgets").await?;
    }
    Ok(removed)
}

fn document<T: DeserializeOwned>(row: &Row, at: usize) -> Outcome<T> {
    Ok(serde_json::from_str(&row.text(at)?).map_err(|e| damaged(&format!("budget: {e}")))?)
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| damaged(&format!("budget: {e}")))
}
