//! Lives of nodes: opened, fenced, closed; and what they leave behind.

use lockgate_core::Money;
use lockgate_ledger::port::{Reconcile, not_uncertain};
use lockgate_ledger::rows::{AccountKey, Epoch, Terms};

use super::{ALIVE, CLOSED, FENCED, exchange, millis, rows};
use crate::damaged;
use crate::postgres::link::{Fault, Outcome, Step};
use crate::postgres::value::{Columns as _, Value};

pub(super) async fn open(step: Step<'_>, name: &str, now_ms: u64) -> Outcome<Epoch> {
    let sql = "UPDATE revision SET number = number + 1 WHERE what = 'epochs' RETURNING number";
    let row = step.first(sql, &[]).await?.ok_or_else(|| damaged("a revision is missing"))?;
    let epoch = Epoch(row.number(0)?);
    let sql = "INSERT INTO ledger_node (epoch, name, opened_ms, heard_ms) VALUES ($1, $2, $3, $3)";
    step.execute(sql, &[epoch.0.into(), name.into(), millis(now_ms).into()]).await?;
    Ok(epoch)
}

/// Ends a life in order. What it has leased becomes uncertain, if it was alive.
pub(super) async fn close(step: Step<'_>, epoch: Epoch, now_ms: u64) -> Outcome<()> {
    let sql = "SELECT state FROM ledger_node WHERE epoch = $1 FOR UPDATE";
    let Some(row) = step.first(sql, &[epoch.0.into()]).await? else { return Ok(()) };
    if row.number(0)? == ALIVE {
        return end(step, &[epoch], CLOSED, now_ms).await;
    }
    let sql = "UPDATE ledger_node SET state = $2 WHERE epoch = $1";
    step.execute(sql, &[epoch.0.into(), CLOSED.into()]).await.map(drop)
}

/// Ends lives of nodes that are locked and alive.
async fn end(step: Step<'_>, epochs: &[Epoch], state: i64, now_ms: u64) -> Outcome<()> {
    let sql = "UPDATE ledger_node SET state = $2, fenced_ms = $3 WHERE epoch = ANY($1)";
    step.execute(sql, &[numbers(epochs), state.into(), millis(now_ms).into()]).await?;
    turn(step, epochs, &[], true).await
}

/// Turns what nodes that are locked have leased from leased into uncertain, or back. The accounts are locked, and with them
/// those of `also`, which must be there: what comes next locks them, and all must be locked in one order.
pub(super) async fn turn(
    step: Step<'_>,
    epochs: &[Epoch],
    also: &[&AccountKey],
    uncertain: bool,
) -> Outcome<()> {
    lock(step, epochs, also).await?;
    let sign = if uncertain { 1_i64 } else { -1 };
    let sql = "UPDATE ledger_account a SET leased = a.leased - l.amount * $2, uncertain = a.uncertain + l.amount * $2
        FROM (SELECT account, sum(amount)::bigint AS amount FROM ledger_lease WHERE epoch = ANY($1) GROUP BY account) l
        WHERE l.account = a.id";
    step.execute(sql, &[numbers(epochs), sign.into()]).await.map(drop)
}

/// Locks the accounts that nodes have leases on, and those of these keys.
async fn lock(step: Step<'_>, epochs: &[Epoch], also: &[&AccountKey]) -> Outcome<()> {
    let sql =
        "SELECT id FROM ledger_account WHERE id IN (SELECT account FROM ledger_lease WHERE epoch = ANY($1))
            OR (budget, value, start) IN (SELECT * FROM unnest($2::text[], $3::text[], $4::bigint[]))
        ORDER BY budget, value, start FOR UPDATE";
    let [budgets, values, starts] = rows::columns(also.iter().copied());
    step.query(sql, &[numbers(epochs), budgets, values, starts]).await.map(drop)
}

pub(super) async fn fence(step: Step<'_>, silent_since_ms: u64, now_ms: u64) -> Outcome<Vec<Epoch>> {
    // Those that are silent, and the dead that left something in a rolling window: they might return meanwhile.
    let sql = "SELECT epoch, state FROM ledger_node n WHERE (state = $1 AND heard_ms < $2)
            OR (state <> $1 AND EXISTS (SELECT 1 FROM ledger_lease l JOIN ledger_account a ON a.id = l.account
                WHERE l.epoch = n.epoch AND a.start < 0))
        ORDER BY epoch FOR UPDATE";
    let locked = step.query(sql, &[ALIVE.into(), millis(silent_since_ms).into()]).await?;
    let (mut silent, mut dead) = (Vec::new(), Vec::new());
    for row in &locked {
        let epoch = Epoch(row.number(0)?);
        if row.number(1)? == ALIVE { &mut silent } else { &mut dead }.push(epoch);
    }
    if !locked.is_empty() {
        lock(step, &[&silent[..], &dead].concat(), &[]).await?;
    }
    if !silent.is_empty() {
        end(step, &silent, FENCED, now_ms).await?;
    }
    if !dead.is_empty() {
        forget_rolling(step, &dead, now_ms).await?;
    }
    Ok(silent)
}

/// What a rolling window has left behind is uncertain no longer.
async fn forget_rolling(step: Step<'_>, dead: &[Epoch], now_ms: u64) -> Outcome<()> {
    let sql = "SELECT l.account, l.epoch, a.start, n.fenced_ms FROM ledger_lease l
        JOIN ledger_account a ON a.id = l.account JOIN ledger_node n ON n.epoch = l.epoch
        WHERE l.epoch = ANY($1) AND a.start < 0 ORDER BY a.budget, a.value, a.start, l.epoch FOR UPDATE OF a";
    let (mut accounts, mut epochs) = (Vec::new(), Vec::new());
    for row in step.query(sql, &[numbers(dead)]).await? {
        let key = AccountKey { budget: "".into(), value: "".into(), start: row.number(2)? };
        let before = Terms::rolling_of(&key).and_then(|rolling| rolling.forgotten_before(now_ms));
        let fenced_ms = row.number(3)?;
        if before.is_some_and(|before| fenced_ms < before) {
            accounts.push(row.number(0)?);
            epochs.push(row.number(1)?);
        }
    }
    if accounts.is_empty() {
        return Ok(());
    }
    let sql = "WITH gone AS (
            DELETE FROM ledger_lease l USING unnest($1::bigint[], $2::bigint[]) AS n (account, epoch)
            WHERE l.account = n.account AND l.epoch = n.epoch RETURNING l.account, l.amount)
        UPDATE ledger_account a SET uncertain = a.uncertain - g.amount
        FROM (SELECT account, sum(amount)::bigint AS amount FROM gone GROUP BY account) g WHERE g.account = a.id";
    step.execute(sql, &[accounts.into(), epochs.into()]).await.map(drop)
}

pub(super) async fn reconcile(step: Step<'_>, reconcile: &Reconcile) -> Outcome<Money> {
    let sql = "SELECT state FROM ledger_node WHERE epoch = $1 FOR UPDATE";
    let node = step.first(sql, &[reconcile.epoch.0.into()]).await?;
    let state = node.map(|row| row.number(0)).transpose()?;
    let accounts = match rows::lock(step, &[&reconcile.account], reconcile.epoch).await {
        Err(Fault::Again) => return Err(not_uncertain(Money::ZERO).into()),
        accounts => accounts?,
    };
    let Some(account) = accounts.first() else { return Err(not_uncertain(Money::ZERO).into()) };
    let uncertain = if state == Some(ALIVE) { Money::ZERO } else { account.lease };
    if uncertain <= Money::ZERO || reconcile.spent < Money::ZERO || reconcile.spent > uncertain {
        return Err(not_uncertain(uncertain).into());
    }
    rows::put_leases(step, reconcile.epoch, &[(account.id, Money::ZERO)]).await?;
    let sql = "UPDATE ledger_account SET uncertain = uncertain - $2 WHERE id = $1";
    step.execute(sql, &[account.id.into(), uncertain.nanos().into()]).await?;
    exchange::settle(step, &accounts, reconcile.spent, reconcile.at_ms).await?;
    rows::write_entries(step, &[(&reconcile.entry(), vec![account.id])]).await?;
    Ok(uncertain)
}

fn numbers(epochs: &[Epoch]) -> Value<'static> {
    epochs.iter().map(|epoch| epoch.0).collect::<Vec<_>>().into()
}
