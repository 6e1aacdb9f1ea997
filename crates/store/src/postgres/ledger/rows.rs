//! Rows of the ledger, read and written, as many at once as there are.

use std::collections::BTreeMap;

use lockgate_core::{Money, RequestId};
use lockgate_ledger::port::{AccountFilter, LeaseRow, NodeRow};
use lockgate_ledger::rows::{AccountKey, AccountRow, Crossing, Entry, Epoch, Terms};
use tokio_postgres::Row;

use super::{ALIVE, millis, request_bytes};
use crate::damaged;
use crate::postgres::link::{Fault, Outcome, Step};
use crate::postgres::value::{Columns as _, Value};

/// The columns of an account that [`account`] reads.
const ACCOUNT: &str =
    "a.id, a.budget, a.value, a.start, a.end_ms, a.settled, a.leased, a.uncertain, a.crossed, a.softened";
/// How many there are.
const WIDTH: usize = 10;
/// Journal entries that one statement of forgetting deletes at most.
const PORTION: i64 = 10_000;

/// An account with its place and what a node has of it.
pub(super) struct Placed {
    pub(super) id: i64,
    pub(super) row: AccountRow,
    pub(super) lease: Money,
}

// === accounts ===

/// Makes the accounts of these keys and ends that are not there yet. They come in the order of their keys.
pub(super) async fn make(step: Step<'_>, wanted: &[(&AccountKey, i64)]) -> Outcome<()> {
    let [budgets, values, starts] = columns(wanted.iter().map(|(key, _)| *key));
    let ends = wanted.iter().map(|(_, end_ms)| *end_ms).collect::<Vec<_>>();
    let sql = "INSERT INTO ledger_account (budget, value, start, end_ms)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
        ON CONFLICT (budget, value, start) DO NOTHING";
    step.execute(sql, &[budgets, values, starts, ends.into()]).await.map(drop)
}

/// Locks the accounts of these keys, in the order of the keys, which is theirs; with what a node has of them. Its node must be
/// locked already.
///
/// # Errors
/// [`Fault::Again`] when one is missing: it was forgotten a moment ago.
pub(super) async fn lock(step: Step<'_>, keys: &[&AccountKey], epoch: Epoch) -> Outcome<Vec<Placed>> {
    let [budgets, values, starts] = columns(keys.iter().copied());
    let sql = format!(
        "SELECT {ACCOUNT}, coalesce(l.amount, 0) FROM ledger_account a
         LEFT JOIN ledger_lease l ON l.account = a.id AND l.epoch = $4
         WHERE (a.budget, a.value, a.start) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]))
         ORDER BY a.budget, a.value, a.start FOR UPDATE OF a"
    );
    let rows = step.query(&sql, &[budgets, values, starts, epoch.0.into()]).await?;
    let found = rows.iter().map(account).collect::<Outcome<Vec<_>>>()?;
    let complete = found.iter().map(|account| &account.row.key).eq(keys.iter().copied());
    if complete { Ok(found) } else { Err(Fault::Again) }
}

/// Locks the accounts of these places.
pub(super) async fn lock_places(step: Step<'_>, places: &[i64]) -> Outcome<Vec<Placed>> {
    let sql = format!(
        "SELECT {ACCOUNT}, 0::bigint FROM ledger_account a WHERE a.id = ANY($1)
         ORDER BY a.budget, a.value, a.start FOR UPDATE OF a"
    );
    step.query(&sql, &[places.to_vec().into()]).await?.iter().map(account).collect()
}

/// Writes what may have changed of accounts that are locked.
pub(super) async fn update(step: Step<'_>, accounts: &[&Placed]) -> Outcome<()> {
    if accounts.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Placed) -> i64| -> Value<'_> {
        accounts.iter().map(|account| of(account)).collect::<Vec<_>>().into()
    };
    let sql = "UPDATE ledger_account a
        SET settled = n.settled, leased = n.leased, uncertain = n.uncertain, crossed = n.crossed, softened = n.softened
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
            AS n (id, settled, leased, uncertain, crossed, softened)
        WHERE a.id = n.id";
    let values = [
        column(|account| account.id),
        column(|account| account.row.settled.nanos()),
        column(|account| account.row.leased.nanos()),
        column(|account| account.row.uncertain.nanos()),
        column(|account| account.row.crossed.into()),
        column(|account| account.row.softened.into()),
    ];
    step.execute(sql, &values).await.map(drop)
}

/// Accounts that fit a filter.
pub(super) async fn accounts(step: Step<'_>, filter: &AccountFilter) -> Outcome<Vec<AccountRow>> {
    let sql = format!(
        "SELECT {ACCOUNT}, 0::bigint FROM ledger_account a
         WHERE ($1::text IS NULL OR a.budget = $1) AND ($2::text IS NULL OR a.value = $2)
           AND ($3::bigint IS NULL OR (a.start <= $3 AND $3 < a.end_ms))
           AND ($4::text IS NULL OR (a.budget, a.value, a.start) > ($4, $5::text, $6::bigint))
         ORDER BY a.budget, a.value, a.start LIMIT $7"
    );
    let after = filter.after.as_ref();
    let wanted = [
        filter.budget.as_deref().into(),
        filter.value.as_deref().into(),
        filter.open_at_ms.map(millis).into(),
        after.map(|key| &*key.budget).into(),
        after.map(|key| &*key.value).into(),
        after.map(|key| key.start).into(),
        i64::try_from(filter.most()).unwrap_or(i64::MAX).into(),
    ];
    let rows = step.query(&sql, &wanted).await?;
    let mut found = rows.iter().map(account).collect::<Outcome<Vec<_>>>()?;
    let old = behind(&found, filter.now_ms);
    if !old.is_empty() {
        let sql = "SELECT s.account, s.amount FROM ledger_slot s
            JOIN unnest($1::bigint[], $2::bigint[]) AS b (account, slot) ON s.account = b.account AND s.slot < b.slot";
        let left = step.query(sql, &pairs(&old)).await?;
        subtract(&mut found, &left)?;
    }
    Ok(found.into_iter().map(|account| account.row).collect())
}

fn account(row: &Row) -> Outcome<Placed> {
    let money = |at: usize| row.number(at).map(Money::from_nanos);
    Ok(Placed {
        id: row.number(0)?,
        row: AccountRow {
            key: key(row, 1)?,
            end_ms: row.number(4)?,
            settled: money(5)?,
            leased: money(6)?,
            uncertain: money(7)?,
            crossed: percent(row, 8)?,
            softened: row.number(9)? != 0,
        },
        lease: money(WIDTH)?,
    })
}

/// The key of an account in three columns from `at` on.
fn key(row: &Row, at: usize) -> Outcome<AccountKey> {
    Ok(AccountKey { budget: row.text(at)?, value: row.text(at + 1)?, start: row.number(at + 2)? })
}

fn percent(row: &Row, at: usize) -> Outcome<u16> {
    Ok(row.number(at)?.try_into().map_err(|_| damaged("ledger: a threshold that is none"))?)
}

/// Keys in three columns.
pub(super) fn columns<'a>(keys: impl Iterator<Item = &'a AccountKey> + Clone) -> [Value<'a>; 3] {
    [
        keys.clone().map(|key| &*key.budget).collect::<Vec<_>>().into(),
        keys.clone().map(|key| &*key.value).collect::<Vec<_>>().into(),
        keys.map(|key| key.start).collect::<Vec<_>>().into(),
    ]
}

fn pairs<'a>(pairs: &[(i64, i64)]) -> [Value<'a>; 2] {
    [
        pairs.iter().map(|pair| pair.0).collect::<Vec<_>>().into(),
        pairs.iter().map(|pair| pair.1).collect::<Vec<_>>().into(),
    ]
}

// === slots of rolling windows ===

/// The accounts with rolling windows, and the slot before which they forget.
fn behind(accounts: &[Placed], now_ms: u64) -> Vec<(i64, i64)> {
    let before = |account: &Placed| {
        let rolling = Terms::rolling_of(&account.row.key)?;
        Some((account.id, rolling.forgotten_before(now_ms)?))
    };
    accounts.iter().filter_map(before).collect()
}

/// Takes what slots have counted, each an account and an amount, off what is settled.
fn subtract(accounts: &mut [Placed], slots: &[Row]) -> Outcome<()> {
    let mut old: BTreeMap<i64, i64> = BTreeMap::new();
    for row in slots {
        let sum = old.entry(row.number(0)?).or_default();
        *sum = sum.saturating_add(row.number(1)?);
    }
    for account in accounts {
        if let Some(old) = old.get(&account.id) {
            account.row.settled = Money::from_nanos(account.row.settled.nanos().saturating_sub(*old));
        }
    }
    Ok(())
}

/// Makes rolling windows of accounts that are locked forget, in the table of slots and in these rows.
pub(super) async fn forget_slots(step: Step<'_>, accounts: &mut [Placed], now_ms: u64) -> Outcome<()> {
    let old = behind(accounts, now_ms);
    if old.is_empty() {
        return Ok(());
    }
    let sql = "DELETE FROM ledger_slot s USING unnest($1::bigint[], $2::bigint[]) AS b (account, slot)
        WHERE s.account = b.account AND s.slot < b.slot RETURNING s.account, s.amount";
    let gone = step.query(sql, &pairs(&old)).await?;
    subtract(accounts, &gone)
}

/// Adds to slots: account and start of the slot, and how much.
pub(super) async fn count(step: Step<'_>, slots: &BTreeMap<(i64, i64), i64>) -> Outcome<()> {
    if slots.is_empty() {
        return Ok(());
    }
    let [accounts, starts] = pairs(&slots.keys().copied().collect::<Vec<_>>());
    let amounts = slots.values().copied().collect::<Vec<_>>();
    let sql = "INSERT INTO ledger_slot (account, slot, amount)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])
        ON CONFLICT (account, slot) DO UPDATE SET amount = ledger_slot.amount + excluded.amount";
    step.execute(sql, &[accounts, starts, amounts.into()]).await.map(drop)
}

// === leases ===

/// Writes what a node has of accounts; nothing is no row.
pub(super) async fn put_leases(step: Step<'_>, epoch: Epoch, leases: &[(i64, Money)]) -> Outcome<()> {
    let (some, none): (Vec<_>, Vec<_>) = leases.iter().partition(|(_, amount)| *amount != Money::ZERO);
    if !none.is_empty() {
        let places: Vec<i64> = none.iter().map(|(account, _)| *account).collect();
        let sql = "DELETE FROM ledger_lease WHERE account = ANY($1) AND epoch = $2";
        step.execute(sql, &[places.into(), epoch.0.into()]).await?;
    }
    if !some.is_empty() {
        let [places, amounts] =
            pairs(&some.iter().map(|(account, amount)| (*account, amount.nanos())).collect::<Vec<_>>());
        let sql = "INSERT INTO ledger_lease (account, epoch, amount)
            SELECT account, $3, amount FROM unnest($1::bigint[], $2::bigint[]) AS n (account, amount)
            ON CONFLICT (account, epoch) DO UPDATE SET amount = excluded.amount";
        step.execute(sql, &[places, amounts, epoch.0.into()]).await?;
    }
    Ok(())
}

pub(super) async fn leases(step: Step<'_>) -> Outcome<Vec<LeaseRow>> {
    let sql = "SELECT a.budget, a.value, a.start, l.epoch, l.amount, n.state
        FROM ledger_lease l JOIN ledger_account a ON a.id = l.account JOIN ledger_node n ON n.epoch = l.epoch
        ORDER BY a.budget, a.value, a.start, l.epoch";
    let read = |row: &Row| {
        Ok(LeaseRow {
            account: key(row, 0)?,
            epoch: Epoch(row.number(3)?),
            amount: Money::from_nanos(row.number(4)?),
            uncertain: row.number(5)? != ALIVE,
        })
    };
    step.query(sql, &[]).await?.iter().map(read).collect()
}

pub(super) async fn nodes(step: Step<'_>) -> Outcome<Vec<NodeRow>> {
    let sql = "SELECT epoch, name, opened_ms, heard_ms, number, state FROM ledger_node n
        WHERE state = $1 OR EXISTS (SELECT 1 FROM ledger_lease l WHERE l.epoch = n.epoch) ORDER BY epoch";
    let read = |row: &Row| {
        let number = |at: usize| row.number(at).map(i64::cast_unsigned);
        Ok(NodeRow {
            epoch: Epoch(row.number(0)?),
            name: row.text(1)?.to_string(),
            opened_ms: number(2)?,
            heard_ms: number(3)?,
            number: number(4)?,
            alive: row.number(5)? == ALIVE,
        })
    };
    step.query(sql, &[ALIVE.into()]).await?.iter().map(read).collect()
}

// === crossings ===

/// Keeps crossings, and numbers them. The counter is locked from here on, so that nobody who reads on after the last number
/// misses one that is committed later.
pub(super) async fn cross(step: Step<'_>, crossings: &mut [Crossing]) -> Outcome<()> {
    if crossings.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(crossings.len()).unwrap_or(i64::MAX);
    let sql = "UPDATE revision SET number = number + $1 WHERE what = 'crossings' RETURNING number";
    let last =
        step.first(sql, &[count.into()]).await?.ok_or_else(|| damaged("a revision is missing"))?.number(0)?;
    for (number, crossing) in (last - count + 1..).zip(crossings.iter_mut()) {
        crossing.number = number;
    }
    let [budgets, values, starts] = columns(crossings.iter().map(|crossing| &crossing.account));
    let column =
        |of: fn(&Crossing) -> i64| -> Value<'_> { crossings.iter().map(of).collect::<Vec<_>>().into() };
    let row = [
        column(|crossing| crossing.number),
        budgets,
        values,
        starts,
        column(|crossing| crossing.percent.into()),
        column(|crossing| crossing.spent.nanos()),
        column(|crossing| crossing.limit.nanos()),
        column(|crossing| millis(crossing.at_ms)),
    ];
    let sql = "INSERT INTO ledger_crossing (number, budget, value, start, percent, spent, bound, at_ms) SELECT * FROM
        unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])";
    step.execute(sql, &row).await.map(drop)
}

pub(super) async fn crossings(step: Step<'_>, after: i64, most: usize) -> Outcome<Vec<Crossing>> {
    let sql = "SELECT number, budget, value, start, percent, spent, bound, at_ms FROM ledger_crossing
        WHERE number > $1 ORDER BY number LIMIT $2";
    let read = |row: &Row| {
        Ok(Crossing {
            number: row.number(0)?,
            account: key(row, 1)?,
            percent: percent(row, 4)?,
            spent: Money::from_nanos(row.number(5)?),
            limit: Money::from_nanos(row.number(6)?),
            at_ms: row.number(7)?.cast_unsigned(),
        })
    };
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    step.query(sql, &[after.into(), most.into()]).await?.iter().map(read).collect()
}

// === the journal ===

/// Writes entries, each with the places of the accounts that it counts on; the places in `entries` of those that are new.
pub(super) async fn write_entries(step: Step<'_>, entries: &[(&Entry, Vec<i64>)]) -> Outcome<Vec<usize>> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let requests: Vec<[u8; 16]> = entries.iter().map(|(entry, _)| request_bytes(entry.request)).collect();
    let column = |of: fn(&Entry) -> i64| -> Value<'_> {
        entries.iter().map(|(entry, _)| of(entry)).collect::<Vec<_>>().into()
    };
    // Lists of lists are tables here: each list goes as its text.
    let places: Vec<String> = entries
        .iter()
        .map(|(_, places)| {
            let places: Vec<String> = places.iter().map(i64::to_string).collect();
            format!("{{{}}}", places.join(","))
        })
        .collect();
    let row = [
        requests.iter().map(|request| &request[..]).collect::<Vec<_>>().into(),
        column(|entry| entry.attempt.into()),
        column(|entry| entry.line.into()),
        column(|entry| entry.amount.nanos()),
        column(|entry| millis(entry.at_ms)),
        places.iter().map(|places| &**places).collect::<Vec<_>>().into(),
        entries.iter().map(|(entry, _)| &*entry.price).collect::<Vec<_>>().into(),
        column(|entry| entry.estimated.into()),
        entries.iter().map(|(entry, _)| entry.reason.as_deref()).collect::<Vec<_>>().into(),
    ];
    let sql = "INSERT INTO ledger_journal (request, attempt, line, amount, at_ms, accounts, price, estimated, reason)
        SELECT request, attempt, line, amount, at_ms, accounts::bigint[], price, estimated, reason
        FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::text[])
            WITH ORDINALITY AS n (request, attempt, line, amount, at_ms, accounts, price, estimated, reason, place)
        ORDER BY place ON CONFLICT (request, attempt, line) DO NOTHING RETURNING request, attempt, line";
    let mut new = std::collections::HashSet::new();
    for row in step.query(sql, &row).await? {
        let request: [u8; 16] =
            row.bytes(0)?.try_into().map_err(|_| damaged("journal: a request that is none"))?;
        new.insert((request, row.number(1)?, row.number(2)?));
    }
    // Of one that comes twice the first was written.
    let is_new = |at: &usize| {
        let (entry, request) = (entries[*at].0, requests[*at]);
        new.remove(&(request, entry.attempt.into(), entry.line.into()))
    };
    Ok((0..entries.len()).filter(is_new).collect())
}

/// The entries of a request.
pub(super) async fn journal(step: Step<'_>, request: RequestId) -> Outcome<Vec<Entry>> {
    let sql = "SELECT attempt, line, amount, at_ms, accounts, price, estimated, reason FROM ledger_journal
        WHERE request = $1 ORDER BY attempt, line";
    let rows = step.query(sql, &[(&request_bytes(request)[..]).into()]).await?;
    let mut places = Vec::new();
    for row in &rows {
        places.extend(row.numbers(4)?);
    }
    let keys: BTreeMap<i64, AccountKey> = {
        let sql = "SELECT id, budget, value, start FROM ledger_account WHERE id = ANY($1)";
        let found = if places.is_empty() { Vec::new() } else { step.query(sql, &[places.into()]).await? };
        found.iter().map(|row| Ok((row.number(0)?, key(row, 1)?))).collect::<Outcome<_>>()?
    };
    let small = |number: i64| u32::try_from(number).map_err(|_| damaged("journal: an attempt that is none"));
    let read = |row: &Row| {
        Ok(Entry {
            request,
            attempt: small(row.number(0)?)?,
            line: small(row.number(1)?)?,
            amount: Money::from_nanos(row.number(2)?),
            at_ms: row.number(3)?.cast_unsigned(),
            accounts: row.numbers(4)?.iter().filter_map(|place| keys.get(place).cloned()).collect(),
            price: row.text(5)?,
            estimated: row.number(6)? != 0,
            reason: row.text_or_none(7)?,
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn forget(step: Step<'_>, wall_ms: u64) -> Outcome<u64> {
    let before: Value<'_> = millis(wall_ms).into();
    let sql = "DELETE FROM ledger_journal WHERE (request, attempt, line) IN
        (SELECT request, attempt, line FROM ledger_journal WHERE at_ms < $1 LIMIT $2)";
    let mut entries = 0;
    loop {
        let count = step.execute(sql, &[before.clone(), PORTION.into()]).await?;
        entries += count;
        if count < PORTION.cast_unsigned() {
            break;
        }
    }
    // A node first, as everywhere. One that returns meanwhile is alive when its turn comes, and stays.
    let nodes = "DELETE FROM ledger_node WHERE state <> $2 AND fenced_ms < $1
        AND NOT EXISTS (SELECT 1 FROM ledger_lease l WHERE l.epoch = ledger_node.epoch)";
    step.execute(nodes, &[before.clone(), ALIVE.into()]).await?;
    // Nobody leases on an account that is locked here, and what was leased before is seen by the statement after it.
    let lock = "SELECT id FROM ledger_account WHERE end_ms <= $1 ORDER BY budget, value, start FOR UPDATE";
    let ended = step.query(lock, &[before]).await?;
    let ended = ended.iter().map(|row| row.number(0)).collect::<Outcome<Vec<_>>>()?;
    let accounts = "DELETE FROM ledger_account a WHERE id = ANY($1)
        AND NOT EXISTS (SELECT 1 FROM ledger_lease l WHERE l.account = a.id)";
    step.execute(accounts, &[ended.into()]).await?;
    Ok(entries)
}
