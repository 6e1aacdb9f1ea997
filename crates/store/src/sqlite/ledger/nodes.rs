//! Lives of nodes: opened, fenced, closed; and what they leave behind.

use lockgate_core::{Error, Money};
use lockgate_ledger::port::{Reconcile, not_uncertain};
use lockgate_ledger::rows::{AccountKey, Epoch, Terms};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{ALIVE, FENCED, exchange, millis, rows};
use crate::sqlite::failure;

pub(super) fn open(step: &Connection, name: &str, now_ms: u64) -> Result<Epoch, Error> {
    let sql = "INSERT INTO ledger_node (name, opened_ms, heard_ms) VALUES (?, ?, ?) RETURNING epoch";
    let now = millis(now_ms);
    step.query_row(sql, params![name, now, now], |row| row.get(0)).map(Epoch).map_err(failure)
}

/// Ends a life. What it has leased becomes uncertain, if it was alive.
pub(super) fn end(step: &Connection, epoch: Epoch, state: i64, now_ms: u64) -> Result<(), Error> {
    let sql = "UPDATE ledger_node SET state = ?, fenced_ms = ? WHERE epoch = ? AND state = ?";
    let was_alive = step.execute(sql, params![state, millis(now_ms), epoch.0, ALIVE]).map_err(failure)? > 0;
    if was_alive {
        return turn(step, epoch, true);
    }
    step.execute("UPDATE ledger_node SET state = ? WHERE epoch = ?", [state, epoch.0])
        .map(drop)
        .map_err(failure)
}

/// Turns what a node has leased from leased into uncertain, or back.
pub(super) fn turn(step: &Connection, epoch: Epoch, uncertain: bool) -> Result<(), Error> {
    let sign = if uncertain { 1 } else { -1 };
    let sql = "UPDATE ledger_account SET leased = leased - l.amount * ?, uncertain = uncertain + l.amount * ?
        FROM ledger_lease l WHERE l.account = ledger_account.id AND l.epoch = ?";
    step.execute(sql, [sign, sign, epoch.0]).map(drop).map_err(failure)
}

pub(super) fn fence(step: &Connection, silent_since_ms: u64, now_ms: u64) -> Result<Vec<Epoch>, Error> {
    let silent: Vec<Epoch> = {
        let sql = "SELECT epoch FROM ledger_node WHERE state = ? AND heard_ms < ? ORDER BY epoch";
        let mut statement = step.prepare_cached(sql).map_err(failure)?;
        let rows = statement
            .query_map([ALIVE, millis(silent_since_ms)], |row| row.get(0).map(Epoch))
            .map_err(failure)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failure)?
    };
    for epoch in &silent {
        end(step, *epoch, FENCED, now_ms)?;
    }
    // What a rolling window has left behind is uncertain no longer.
    let uncertain: Vec<(i64, i64, i64, i64, i64)> = {
        let sql = "SELECT l.account, l.epoch, l.amount, a.start, n.fenced_ms FROM ledger_lease l
            JOIN ledger_account a ON a.id = l.account JOIN ledger_node n ON n.epoch = l.epoch
            WHERE n.state <> ? AND a.start < 0";
        let mut statement = step.prepare_cached(sql).map_err(failure)?;
        let rows = statement
            .query_map([ALIVE], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
            .map_err(failure)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failure)?
    };
    for (account, epoch, amount, start, fenced_ms) in uncertain {
        let key = AccountKey { budget: "".into(), value: "".into(), start };
        let before = Terms::rolling_of(&key).and_then(|rolling| rolling.forgotten_before(now_ms));
        if before.is_some_and(|before| fenced_ms < before) {
            rows::put_lease(step, account, Epoch(epoch), Money::ZERO)?;
            let sql = "UPDATE ledger_account SET uncertain = uncertain - ? WHERE id = ?";
            step.execute(sql, [amount, account]).map_err(failure)?;
        }
    }
    Ok(silent)
}

pub(super) fn reconcile(step: &Connection, reconcile: &Reconcile) -> Result<Money, Error> {
    let none = || not_uncertain(Money::ZERO);
    let account = rows::find(step, &reconcile.account)?.ok_or_else(none)?;
    let sql = "SELECT state FROM ledger_node WHERE epoch = ?";
    let state: Option<i64> =
        step.query_row(sql, [reconcile.epoch.0], |row| row.get(0)).optional().map_err(failure)?;
    let uncertain = match state {
        Some(ALIVE) => Money::ZERO,
        _ => rows::lease(step, account.id, reconcile.epoch)?,
    };
    if uncertain <= Money::ZERO || reconcile.spent < Money::ZERO || reconcile.spent > uncertain {
        return Err(not_uncertain(uncertain));
    }
    rows::put_lease(step, account.id, reconcile.epoch, Money::ZERO)?;
    let sql = "UPDATE ledger_account SET uncertain = uncertain - ? WHERE id = ?";
    step.execute(sql, [uncertain.nanos(), account.id]).map_err(failure)?;
    exchange::settle(step, &account, reconcile.spent, reconcile.at_ms)?;
    rows::write_entry(step, &reconcile.entry(), &[account.id])?;
    Ok(uncertain)
}
