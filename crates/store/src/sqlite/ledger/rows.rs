//! Rows of the ledger, read and written.

use std::sync::Arc;

use lockgate_core::{Error, Money, RequestId};
use lockgate_ledger::port::{AccountFilter, LeaseRow, NodeRow};
use lockgate_ledger::rows::{AccountKey, AccountRow, Crossing, Entry, Epoch, Terms};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{ALIVE, millis, request_bytes};
use crate::sqlite::{damaged, failure};

/// The columns of an account that [`account`] reads.
const ACCOUNT: &str = "id, budget, value, start, end_ms, settled, leased, uncertain, crossed, softened";

/// An account with its place.
pub(super) struct Placed {
    pub(super) id: i64,
    pub(super) row: AccountRow,
}

// === accounts ===

/// The account of this key, if there is one.
pub(super) fn find(step: &Connection, key: &AccountKey) -> Result<Option<Placed>, Error> {
    let sql = format!("SELECT {ACCOUNT} FROM ledger_account WHERE budget = ? AND value = ? AND start = ?");
    let mut statement = step.prepare_cached(&sql).map_err(failure)?;
    statement.query_row(params![&*key.budget, &*key.value, key.start], account).optional().map_err(failure)
}

/// The account of this key, made if there is none.
pub(super) fn find_or_make(step: &Connection, key: &AccountKey, end_ms: i64) -> Result<Placed, Error> {
    if let Some(found) = find(step, key)? {
        return Ok(found);
    }
    let sql = "INSERT INTO ledger_account (budget, value, start, end_ms) VALUES (?, ?, ?, ?)
        ON CONFLICT (budget, value, start) DO NOTHING";
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    statement.execute(params![&*key.budget, &*key.value, key.start, end_ms]).map_err(failure)?;
    find(step, key)?.ok_or_else(|| damaged("an account that was just made is missing"))
}

/// Writes what may have changed of an account.
pub(super) fn update(step: &Connection, account: &Placed) -> Result<(), Error> {
    let sql = "UPDATE ledger_account SET settled = ?, leased = ?, uncertain = ?, crossed = ?, softened = ? WHERE id = ?";
    let AccountRow { settled, leased, uncertain, crossed, softened, .. } = &account.row;
    let row = params![
        settled.nanos(),
        leased.nanos(),
        uncertain.nanos(),
        crossed,
        i64::from(*softened),
        account.id
    ];
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    statement.execute(row).map(drop).map_err(failure)
}

/// Accounts that fit a filter.
pub(super) fn accounts(connection: &Connection, filter: &AccountFilter) -> Result<Vec<AccountRow>, Error> {
    let sql = format!(
        "SELECT {ACCOUNT} FROM ledger_account
         WHERE (?1 IS NULL OR budget = ?1) AND (?2 IS NULL OR value = ?2)
           AND (?3 IS NULL OR (start <= ?3 AND ?3 < end_ms))
           AND (?4 IS NULL OR (budget, value, start) > (?4, ?5, ?6))
         ORDER BY budget, value, start LIMIT ?7"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(failure)?;
    let after = filter.after.as_ref();
    let wanted = params![
        filter.budget.as_deref(),
        filter.value.as_deref(),
        filter.open_at_ms.map(millis),
        after.map(|key| &*key.budget),
        after.map(|key| &*key.value),
        after.map(|key| key.start),
        i64::try_from(filter.most()).unwrap_or(i64::MAX),
    ];
    let rows = statement.query_map(wanted, account).map_err(failure)?;
    let mut found = Vec::new();
    for placed in rows {
        let Placed { id, mut row } = placed.map_err(failure)?;
        if let Some(before) =
            Terms::rolling_of(&row.key).and_then(|terms| terms.forgotten_before(filter.now_ms))
        {
            let old = forgotten(connection, id, before)?;
            row.settled = Money::from_nanos(row.settled.nanos().saturating_sub(old));
        }
        found.push(row);
    }
    Ok(found)
}

fn account(row: &Row<'_>) -> rusqlite::Result<Placed> {
    let money = |at: usize| row.get(at).map(Money::from_nanos);
    Ok(Placed {
        id: row.get(0)?,
        row: AccountRow {
            key: key(row, 1)?,
            end_ms: row.get(4)?,
            settled: money(5)?,
            leased: money(6)?,
            uncertain: money(7)?,
            crossed: row.get(8)?,
            softened: row.get::<_, i64>(9)? != 0,
        },
    })
}

/// The key of an account in three columns from `at` on.
fn key(row: &Row<'_>, at: usize) -> rusqlite::Result<AccountKey> {
    Ok(AccountKey { budget: row.get(at)?, value: row.get(at + 1)?, start: row.get(at + 2)? })
}

// === slots of rolling windows ===

/// Adds to a slot.
pub(super) fn count(step: &Connection, account: i64, slot: i64, amount: Money) -> Result<(), Error> {
    let sql = "INSERT INTO ledger_slot (account, slot, amount) VALUES (?, ?, ?)
        ON CONFLICT (account, slot) DO UPDATE SET amount = ledger_slot.amount + excluded.amount";
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    statement.execute(params![account, slot, amount.nanos()]).map(drop).map_err(failure)
}

/// What an account's slots before this one hold.
pub(super) fn forgotten(step: &Connection, account: i64, before: i64) -> Result<i64, Error> {
    let sql = "SELECT coalesce(sum(amount), 0) FROM ledger_slot WHERE account = ? AND slot < ?";
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    statement.query_row([account, before], |row| row.get(0)).map_err(failure)
}

/// Deletes an account's slots before this one.
pub(super) fn forget_slots(step: &Connection, account: i64, before: i64) -> Result<(), Error> {
    let sql = "DELETE FROM ledger_slot WHERE account = ? AND slot < ?";
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    statement.execute([account, before]).map(drop).map_err(failure)
}

// === leases ===

/// What a node has of an account.
pub(super) fn lease(step: &Connection, account: i64, epoch: Epoch) -> Result<Money, Error> {
    let sql = "SELECT amount FROM ledger_lease WHERE account = ? AND epoch = ?";
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    let found: Option<i64> =
        statement.query_row([account, epoch.0], |row| row.get(0)).optional().map_err(failure)?;
    Ok(Money::from_nanos(found.unwrap_or(0)))
}

/// Writes what a node has of an account; nothing is no row.
pub(super) fn put_lease(step: &Connection, account: i64, epoch: Epoch, amount: Money) -> Result<(), Error> {
    if amount == Money::ZERO {
        let sql = "DELETE FROM ledger_lease WHERE account = ? AND epoch = ?";
        let mut statement = step.prepare_cached(sql).map_err(failure)?;
        return statement.execute([account, epoch.0]).map(drop).map_err(failure);
    }
    let sql = "INSERT INTO ledger_lease (account, epoch, amount) VALUES (?, ?, ?)
        ON CONFLICT (account, epoch) DO UPDATE SET amount = excluded.amount";
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    statement.execute([account, epoch.0, amount.nanos()]).map(drop).map_err(failure)
}

pub(super) fn leases(connection: &Connection) -> Result<Vec<LeaseRow>, Error> {
    let sql = "SELECT a.budget, a.value, a.start, l.epoch, l.amount, n.state
        FROM ledger_lease l JOIN ledger_account a ON a.id = l.account JOIN ledger_node n ON n.epoch = l.epoch
        ORDER BY a.budget, a.value, a.start, l.epoch";
    let mut statement = connection.prepare_cached(sql).map_err(failure)?;
    let read = |row: &Row<'_>| {
        Ok(LeaseRow {
            account: key(row, 0)?,
            epoch: Epoch(row.get(3)?),
            amount: Money::from_nanos(row.get(4)?),
            uncertain: row.get::<_, i64>(5)? != ALIVE,
        })
    };
    let rows = statement.query_map([], read).map_err(failure)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failure)
}

pub(super) fn nodes(connection: &Connection) -> Result<Vec<NodeRow>, Error> {
    let sql = "SELECT epoch, name, opened_ms, heard_ms, number, state FROM ledger_node n
        WHERE state = ? OR EXISTS (SELECT 1 FROM ledger_lease l WHERE l.epoch = n.epoch) ORDER BY epoch";
    let mut statement = connection.prepare_cached(sql).map_err(failure)?;
    let read = |row: &Row<'_>| {
        let number = |at: usize| row.get(at).map(i64::cast_unsigned);
        Ok(NodeRow {
            epoch: Epoch(row.get(0)?),
            name: row.get(1)?,
            opened_ms: number(2)?,
            heard_ms: number(3)?,
            number: number(4)?,
            alive: row.get::<_, i64>(5)? == ALIVE,
        })
    };
    let rows = statement.query_map([ALIVE], read).map_err(failure)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failure)
}

// === crossings ===

/// Keeps a crossing; its number.
pub(super) fn cross(step: &Connection, crossing: &Crossing) -> Result<i64, Error> {
    let sql = "INSERT INTO ledger_crossing (budget, value, start, percent, spent, bound, at_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING number";
    let Crossing { account, percent, spent, limit, at_ms, .. } = crossing;
    let row = params![
        &*account.budget,
        &*account.value,
        account.start,
        percent,
        spent.nanos(),
        limit.nanos(),
        millis(*at_ms)
    ];
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    statement.query_row(row, |row| row.get(0)).map_err(failure)
}

pub(super) fn crossings(connection: &Connection, after: i64, most: usize) -> Result<Vec<Crossing>, Error> {
    let sql = "SELECT number, budget, value, start, percent, spent, bound, at_ms FROM ledger_crossing
        WHERE number > ? ORDER BY number LIMIT ?";
    let mut statement = connection.prepare_cached(sql).map_err(failure)?;
    let read = |row: &Row<'_>| {
        Ok(Crossing {
            number: row.get(0)?,
            account: key(row, 1)?,
            percent: row.get(4)?,
            spent: Money::from_nanos(row.get(5)?),
            limit: Money::from_nanos(row.get(6)?),
            at_ms: row.get(7).map(i64::cast_unsigned)?,
        })
    };
    let rows =
        statement.query_map([after, i64::try_from(most).unwrap_or(i64::MAX)], read).map_err(failure)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failure)
}

// === the journal ===

/// Writes an entry that counts on the accounts of these places; `false` when it is there already.
pub(super) fn write_entry(step: &Connection, entry: &Entry, accounts: &[i64]) -> Result<bool, Error> {
    let sql = "INSERT INTO ledger_journal (request, attempt, line, amount, at_ms, accounts, price, estimated, reason)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request, attempt, line) DO NOTHING";
    let places: Vec<String> = accounts.iter().map(i64::to_string).collect();
    let row = params![
        request_bytes(entry.request),
        entry.attempt,
        entry.line,
        entry.amount.nanos(),
        millis(entry.at_ms),
        places.join(","),
        &*entry.price,
        i64::from(entry.estimated),
        entry.reason.as_deref(),
    ];
    let mut statement = step.prepare_cached(sql).map_err(failure)?;
    statement.execute(row).map(|rows| rows > 0).map_err(failure)
}

/// The entries of a request.
pub(super) fn journal(connection: &Connection, request: RequestId) -> Result<Vec<Entry>, Error> {
    let sql = "SELECT attempt, line, amount, at_ms, accounts, price, estimated, reason FROM ledger_journal
        WHERE request = ? ORDER BY attempt, line";
    let mut statement = connection.prepare_cached(sql).map_err(failure)?;
    let mut rows = statement.query([&request_bytes(request)[..]]).map_err(failure)?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next().map_err(failure)? {
        let places: String = row.get(4).map_err(failure)?;
        let accounts = placed(connection, &places)?.into_iter().map(|account| account.row.key).collect();
        let entry = |row: &Row<'_>| -> rusqlite::Result<Entry> {
            Ok(Entry {
                request,
                attempt: row.get(0)?,
                line: row.get(1)?,
                amount: Money::from_nanos(row.get(2)?),
                at_ms: row.get(3).map(i64::cast_unsigned)?,
                accounts,
                price: row.get::<_, Arc<str>>(5)?,
                estimated: row.get::<_, i64>(6)? != 0,
                reason: row.get(7)?,
            })
        };
        entries.push(entry(row).map_err(failure)?);
    }
    Ok(entries)
}

/// The accounts in a journal's list of places that are still there.
pub(super) fn placed(connection: &Connection, places: &str) -> Result<Vec<Placed>, Error> {
    let sql = format!("SELECT {ACCOUNT} FROM ledger_account WHERE id = ?");
    let mut statement = connection.prepare_cached(&sql).map_err(failure)?;
    let mut found = Vec::new();
    for place in places.split(',').filter(|place| !place.is_empty()) {
        let id: i64 = place.parse().map_err(|_| damaged("journal: a place that is no number"))?;
        found.extend(statement.query_row([id], account).optional().map_err(failure)?);
    }
    Ok(found)
}

pub(super) fn forget(step: &Connection, wall_ms: u64) -> Result<u64, Error> {
    let before = millis(wall_ms);
    let entries = step.execute("DELETE FROM ledger_journal WHERE at_ms < ?", [before]).map_err(failure)?;
    let accounts = "DELETE FROM ledger_account WHERE end_ms <= ?
        AND NOT EXISTS (SELECT 1 FROM ledger_lease l WHERE l.account = ledger_account.id)";
    step.execute(accounts, [before]).map_err(failure)?;
    let nodes = "DELETE FROM ledger_node WHERE state <> ? AND fenced_ms < ?
        AND NOT EXISTS (SELECT 1 FROM ledger_lease l WHERE l.epoch = ledger_node.epoch)";
    step.execute(nodes, [ALIVE, before]).map_err(failure)?;
    Ok(entries as u64)
}
