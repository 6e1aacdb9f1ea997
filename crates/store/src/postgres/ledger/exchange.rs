//! The exchange with a node, and corrections.

use std::collections::{BTreeMap, HashMap};

use lockgate_core::Money;
use lockgate_ledger::port::{Adjustment, out_of_order, unknown_node};
use lockgate_ledger::rows::{AccountKey, Answer, Entry, Exchange, Terms};
use tokio::try_join;

use super::rows::{self, Placed};
use super::{ALIVE, CLOSED, FENCED, budgets, millis, nodes, request_bytes};
use crate::damaged;
use crate::postgres::link::{Outcome, Step};
use crate::postgres::value::Columns as _;

/// Some eight round trips, however many accounts and entries there are.
pub(super) async fn exchange(step: Step<'_>, exchange: &Exchange) -> Outcome<Answer> {
    let Beat { again, fenced } = heartbeat(step, exchange).await?;
    let wanted: Vec<(&AccountKey, i64)> =
        exchange.accounts.iter().map(|ask| (&ask.key, ask.end_ms)).collect();
    let keys: Vec<&AccountKey> = wanted.iter().map(|(key, _)| *key).collect();
    // Statements that do not wait for each other go out together; the database takes them in this order.
    try_join!(alive(step, exchange), async {
        if wanted.is_empty() { Ok(()) } else { rows::make(step, &wanted).await }
    })?;
    if fenced {
        nodes::turn(step, &[exchange.epoch], &keys, false).await?;
    }
    let mut accounts =
        if keys.is_empty() { Vec::new() } else { rows::lock(step, &keys, exchange.epoch).await? };
    let mut ids: Vec<&str> = keys.iter().map(|key| &*key.budget).collect();
    ids.dedup();
    let (charged, known) = try_join!(
        async { if again { Ok(HashMap::new()) } else { book(step, exchange, &accounts).await } },
        budgets::known(step, ids, exchange.now_ms)
    )?;
    let before: Vec<_> = accounts.iter().map(|account| (account.row.clone(), account.lease)).collect();
    rows::forget_slots(step, &mut accounts, exchange.now_ms).await?;
    let mut answer = Answer { revision: known.revision, ..Answer::default() };
    for (ask, account) in exchange.accounts.iter().zip(&mut accounts) {
        let terms = known.terms.get(&ask.key.budget);
        if !again {
            let charged = charged.get(&ask.key).copied().unwrap_or_default();
            account.row.exchange(&mut account.lease, charged, ask, terms, known.alive);
            answer
                .crossings
                .extend(terms.map(|terms| account.row.cross(terms, exchange.now_ms)).into_iter().flatten());
        }
        answer.accounts.push(account.row.standing(account.lease, terms));
    }
    let changed: Vec<&Placed> = accounts
        .iter()
        .zip(&before)
        .filter(|(now, before)| now.row != before.0)
        .map(|(now, _)| now)
        .collect();
    let leases: Vec<(i64, Money)> = accounts
        .iter()
        .zip(&before)
        .filter(|(now, before)| now.lease != before.1)
        .map(|(now, _)| (now.id, now.lease))
        .collect();
    try_join!(
        rows::update(step, &changed),
        rows::put_leases(step, exchange.epoch, &leases),
        rows::cross(step, &mut answer.crossings)
    )?;
    Ok(answer)
}

/// What an exchange is in the life of its node.
struct Beat {
    /// The same as the last one.
    again: bool,
    /// The first after others took the node for dead.
    fenced: bool,
}

/// Locks the node.
async fn heartbeat(step: Step<'_>, exchange: &Exchange) -> Outcome<Beat> {
    let epoch = exchange.epoch;
    let sql = "SELECT number, state FROM ledger_node WHERE epoch = $1 FOR UPDATE";
    let found = step.first(sql, &[epoch.0.into()]).await?;
    let Some(node) = found else { return Err(unknown_node(epoch).into()) };
    let (last, state) = (node.number(0)?.cast_unsigned(), node.number(1)?);
    if state == CLOSED {
        return Err(unknown_node(epoch).into());
    }
    let again = exchange.number == last;
    if !again && exchange.number != last + 1 {
        return Err(out_of_order(exchange.number, last).into());
    }
    Ok(Beat { again, fenced: state == FENCED })
}

/// Notes that a node is there.
async fn alive(step: Step<'_>, exchange: &Exchange) -> Outcome<()> {
    let sql =
        "UPDATE ledger_node SET number = $2, state = $3, heard_ms = greatest(heard_ms, $4) WHERE epoch = $1";
    let row = [
        exchange.epoch.0.into(),
        exchange.number.cast_signed().into(),
        ALIVE.into(),
        millis(exchange.now_ms).into(),
    ];
    step.execute(sql, &row).await.map(drop)
}

/// Writes the entries into the journal; what those that are new come to for each account.
async fn book<'a>(
    step: Step<'_>,
    exchange: &'a Exchange,
    accounts: &[Placed],
) -> Outcome<HashMap<&'a AccountKey, Money>> {
    let places: HashMap<&AccountKey, i64> =
        exchange.accounts.iter().zip(accounts).map(|(ask, account)| (&ask.key, account.id)).collect();
    let counted = |entry: &'a Entry| entry.accounts.iter().filter_map(|key| Some((key, *places.get(key)?)));
    let entries: Vec<(&Entry, Vec<i64>)> =
        exchange.entries.iter().map(|entry| (entry, counted(entry).map(|(_, id)| id).collect())).collect();
    let mut charged: HashMap<&AccountKey, Money> = HashMap::new();
    let mut slots: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for at in rows::write_entries(step, &entries).await? {
        let entry = &exchange.entries[at];
        for (key, id) in counted(entry) {
            let sum = charged.entry(key).or_default();
            *sum = Money::from_nanos(sum.nanos().saturating_add(entry.amount.nanos()));
            if let Some(slot) = Terms::rolling_of(key).and_then(|rolling| rolling.slot(entry.at_ms)) {
                let sum = slots.entry((id, slot)).or_default();
                *sum = sum.saturating_add(entry.amount.nanos());
            }
        }
    }
    rows::count(step, &slots).await?;
    Ok(charged)
}

pub(super) async fn adjust(step: Step<'_>, adjustment: &Adjustment) -> Outcome<bool> {
    // Locked, so that two corrections of one charge get lines of their own.
    let sql =
        "SELECT accounts FROM ledger_journal WHERE request = $1 AND attempt = $2 AND line = 0 FOR UPDATE";
    let request = request_bytes(adjustment.request);
    let values = [(&request[..]).into(), i64::from(adjustment.attempt).into()];
    let Some(row) = step.first(sql, &values).await? else { return Ok(false) };
    let places = row.numbers(0)?;
    let entries = rows::journal(step, adjustment.request).await?;
    let mut lines = entries.iter().filter(|entry| entry.attempt == adjustment.attempt);
    let charge = lines.next().ok_or_else(|| damaged("journal: a charge that was just there is missing"))?;
    let last = lines.next_back().map_or(0, |entry| entry.line);
    let accounts = rows::lock_places(step, &places).await?;
    settle(step, &accounts, adjustment.amount, charge.at_ms).await?;
    // In the order of the charge, not of the locks.
    let there = |place: &i64| accounts.iter().any(|account| account.id == *place);
    let places = places.into_iter().filter(there).collect();
    rows::write_entries(step, &[(&adjustment.entry(charge, last + 1), places)]).await?;
    Ok(true)
}

/// Adds to what accounts that are locked have settled, in the right slots.
pub(super) async fn settle(step: Step<'_>, accounts: &[Placed], amount: Money, at_ms: u64) -> Outcome<()> {
    let slot = |account: &Placed| {
        let slot = Terms::rolling_of(&account.row.key)?.slot(at_ms)?;
        Some(((account.id, slot), amount.nanos()))
    };
    rows::count(step, &accounts.iter().filter_map(slot).collect()).await?;
    let places: Vec<i64> = accounts.iter().map(|account| account.id).collect();
    let sql = "UPDATE ledger_account SET settled = settled + $2 WHERE id = ANY($1)";
    step.execute(sql, &[places.into(), amount.nanos().into()]).await.map(drop)
}
