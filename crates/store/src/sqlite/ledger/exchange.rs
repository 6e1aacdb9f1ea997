//! The exchange with a node, and corrections.

use std::collections::HashMap;

use lockgate_core::{Error, Money};
use lockgate_ledger::port::{Adjustment, out_of_order, unknown_node};
use lockgate_ledger::rows::{AccountKey, Answer, Exchange, Terms};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::{self, Placed};
use super::{ALIVE, CLOSED, FENCED, budgets, millis, nodes, request_bytes};
use crate::sqlite::failure;

pub(super) fn exchange(step: &Connection, exchange: &Exchange) -> Result<Answer, Error> {
    let again = heartbeat(step, exchange)?;
    // In the order of their keys, as they come: so two exchanges never wait for each other, where rows are locked one by one.
    let mut accounts = exchange
        .accounts
        .iter()
        .map(|ask| rows::find_or_make(step, &ask.key, ask.end_ms))
        .collect::<Result<Vec<Placed>, Error>>()?;
    let charged = if again { HashMap::new() } else { book(step, exchange, &accounts)? };
    let alive: u32 = {
        let mut count =
            step.prepare_cached("SELECT count(*) FROM ledger_node WHERE state = ?").map_err(failure)?;
        count.query_row([ALIVE], |row| row.get(0)).map_err(failure)?
    };
    let mut known: HashMap<&str, Option<Terms>> = HashMap::new();
    let mut answer = Answer { revision: budgets::revision(step)?, ..Answer::default() };
    for (ask, account) in exchange.accounts.iter().zip(&mut accounts) {
        let budget = &*ask.key.budget;
        if !known.contains_key(budget) {
            known.insert(budget, budgets::terms(step, budget, exchange.now_ms)?);
        }
        let terms = known.get(budget).and_then(Option::as_ref);
        let mut lease = rows::lease(step, account.id, exchange.epoch)?;
        let before = (account.row.clone(), lease);
        if let Some(first) =
            Terms::rolling_of(&ask.key).and_then(|rolling| rolling.forgotten_before(exchange.now_ms))
        {
            let old = rows::forgotten(step, account.id, first)?;
            rows::forget_slots(step, account.id, first)?;
            account.row.settled = Money::from_nanos(account.row.settled.nanos().saturating_sub(old));
        }
        if !again {
            let charged = charged.get(&ask.key).copied().unwrap_or_default();
            account.row.exchange(&mut lease, charged, ask, terms, alive);
            for mut crossing in
                terms.map(|terms| account.row.cross(terms, exchange.now_ms)).into_iter().flatten()
            {
                crossing.number = rows::cross(step, &crossing)?;
                answer.crossings.push(crossing);
            }
        }
        if lease != before.1 {
            rows::put_lease(step, account.id, exchange.epoch, lease)?;
        }
        if account.row != before.0 {
            rows::update(step, account)?;
        }
        answer.accounts.push(account.row.standing(lease, terms));
    }
    Ok(answer)
}

/// Notes that a node is there; whether the exchange was taken already.
fn heartbeat(step: &Connection, exchange: &Exchange) -> Result<bool, Error> {
    let epoch = exchange.epoch;
    let sql = "SELECT number, state FROM ledger_node WHERE epoch = ?";
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    let found = statement
        .query_row([epoch.0], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?)))
        .optional()
        .map_err(failure)?;
    let Some((last, state)) = found.filter(|(_, state)| *state != CLOSED) else {
        return Err(unknown_node(epoch));
    };
    let again = exchange.number == last;
    if !again && exchange.number != last + 1 {
        return Err(out_of_order(exchange.number, last));
    }
    let sql = "UPDATE ledger_node SET number = ?, state = ?,
        heard_ms = CASE WHEN heard_ms < ? THEN ? ELSE heard_ms END WHERE epoch = ?";
    let now = millis(exchange.now_ms);
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    let row = params![exchange.number.cast_signed(), ALIVE, now, now, epoch.0];
    statement.execute(row).map_err(failure)?;
    if state == FENCED {
        nodes::turn(step, epoch, false)?;
    }
    Ok(again)
}

/// Writes the entries into the journal; what those that are new come to for each account.
fn book<'a>(
    step: &Connection,
    exchange: &'a Exchange,
    accounts: &[Placed],
) -> Result<HashMap<&'a AccountKey, Money>, Error> {
    let places: HashMap<&AccountKey, i64> =
        exchange.accounts.iter().zip(accounts).map(|(ask, account)| (&ask.key, account.id)).collect();
    let mut charged: HashMap<&AccountKey, Money> = HashMap::new();
    for entry in &exchange.entries {
        let counted: Vec<(&AccountKey, i64)> =
            entry.accounts.iter().filter_map(|key| Some((key, places.get(key).copied()?))).collect();
        let ids: Vec<i64> = counted.iter().map(|(_, id)| *id).collect();
        if !rows::write_entry(step, entry, &ids)? {
            continue;
        }
        for (key, id) in counted {
            let sum = charged.entry(key).or_default();
            *sum = Money::from_nanos(sum.nanos().saturating_add(entry.amount.nanos()));
            if let Some(slot) = Terms::rolling_of(key).and_then(|rolling| rolling.slot(entry.at_ms)) {
                rows::count(step, id, slot, entry.amount)?;
            }
        }
    }
    Ok(charged)
}

pub(super) fn adjust(step: &Connection, adjustment: &Adjustment) -> Result<bool, Error> {
    let entries = rows::journal(step, adjustment.request)?;
    let mut lines = entries.iter().filter(|entry| entry.attempt == adjustment.attempt);
    let Some(charge) = lines.next().filter(|entry| entry.line == 0) else { return Ok(false) };
    let last = lines.next_back().map_or(0, |entry| entry.line);
    let places: String = step
        .query_row(
            "SELECT accounts FROM ledger_journal WHERE request = ? AND attempt = ? AND line = 0",
            params![request_bytes(adjustment.request), adjustment.attempt],
            |row| row.get(0),
        )
        .map_err(failure)?;
    let accounts = rows::placed(step, &places)?;
    for account in &accounts {
        settle(step, account, adjustment.amount, charge.at_ms)?;
    }
    let ids: Vec<i64> = accounts.iter().map(|account| account.id).collect();
    rows::write_entry(step, &adjustment.entry(charge, last + 1), &ids)?;
    Ok(true)
}

/// Adds to what an account has settled, in the right slot.
pub(super) fn settle(step: &Connection, account: &Placed, amount: Money, at_ms: u64) -> Result<(), Error> {
    if let Some(slot) = Terms::rolling_of(&account.row.key).and_then(|rolling| rolling.slot(at_ms)) {
        rows::count(step, account.id, slot, amount)?;
    }
    let sql = "UPDATE ledger_account SET settled = settled + ? WHERE id = ?";
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    statement.execute([amount.nanos(), account.id]).map(drop).map_err(failure)
}
