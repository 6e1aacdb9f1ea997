//! The exam of the ledger's port: every store does what the vault does, and what people rely on.

mod deeds;

use std::sync::atomic::{AtomicI64, Ordering};

use lockgate_core::{Kind, Money, RequestId};
use lockgate_ledger::budget::{AtLimit, Budget, Increase};
use lockgate_ledger::port::{AccountFilter, Adjustment, LedgerStore, Reconcile};
use lockgate_ledger::rows::{AccountKey, AccountRow, Ask, Entry, Epoch, Exchange, Standing};
use lockgate_ledger::{Window, sample};

pub use self::deeds::every_store_does_what_the_vault_does;
use super::Good as _;

/// Takes the exam of the ledger with a backend, as [`store_exam!`](crate::store_exam).
#[macro_export]
macro_rules! ledger_exam {
    ($make:expr) => {
        $crate::ledger_exam!(@each $make,
            a_lease_never_exceeds_what_is_left,
            an_exchange_counts_once,
            an_entry_counts_once,
            exchanges_come_in_order,
            what_a_dead_node_leaves_is_uncertain,
            a_node_that_returns_takes_its_leases_up_again,
            a_closed_node_that_gave_all_back_leaves_nothing,
            what_is_uncertain_goes_by_a_reason,
            a_charge_beyond_the_lease_is_booked_in_full,
            increases_raise_the_limit_while_they_last,
            thresholds_are_crossed_once,
            a_rolling_window_forgets,
            a_charge_is_corrected_on_its_accounts,
            budgets_are_kept_and_their_revision_moves,
            accounts_are_found_in_order,
            forgetting_changes_no_sum,
            a_removed_budget_leases_nothing,
            nodes_that_exchange_at_once_share_what_is_left,
            every_store_does_what_the_vault_does,
        );
    };
    (@each $make:expr, $($name:ident,)+) => {
        $(
            #[test]
            fn $name() {
                $crate::exam::sit($make, $crate::exam::ledger::$name);
            }
        )+
    };
}

/// A day in 2026.
const NOW: u64 = 1_795_400_000_000;
const HOUR: u64 = 3_600_000;

fn m(nanos: i64) -> Money {
    Money::from_nanos(nanos)
}

fn key(budget: &str) -> AccountKey {
    AccountKey { budget: budget.into(), value: "".into(), start: 0 }
}

fn ask(budget: &str, back: i64, at_least: i64, wish: i64) -> Ask {
    Ask { key: key(budget), end_ms: i64::MAX, give_back: m(back), at_least: m(at_least), wish: m(wish) }
}

fn entry(number: u128, amount: i64, budgets: &[&str]) -> Entry {
    Entry {
        request: RequestId::from_u128(number),
        attempt: 1,
        line: 0,
        amount: m(amount),
        at_ms: NOW,
        accounts: budgets.iter().map(|budget| key(budget)).collect(),
        price: "catalogue 7".into(),
        estimated: false,
        reason: None,
    }
}

fn exchange(epoch: Epoch, number: u64, entries: &[Entry], accounts: &[Ask]) -> Exchange {
    Exchange { epoch, number, now_ms: NOW, entries: entries.to_vec(), accounts: accounts.to_vec() }
}

/// One exchange about one account; how it stands then.
fn one(store: &impl LedgerStore, epoch: Epoch, number: u64, entries: &[Entry], ask: Ask) -> Standing {
    store.exchange(&exchange(epoch, number, entries, &[ask])).good().accounts[0]
}

fn row(store: &impl LedgerStore, budget: &str) -> AccountRow {
    let filter = AccountFilter { budget: Some(budget.into()), now_ms: NOW, ..AccountFilter::default() };
    store.accounts(&filter).good().remove(0)
}

/// Settled, leased, uncertain.
fn sums(store: &impl LedgerStore, budget: &str) -> (i64, i64, i64) {
    let row = row(store, budget);
    (row.settled.nanos(), row.leased.nanos(), row.uncertain.nanos())
}

/// What is settled, leased and uncertain stays under the limit, and the last of it goes out exactly.
pub fn a_lease_never_exceeds_what_is_left(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    let (a, b) = (store.open_node("a", NOW).good(), store.open_node("b", NOW).good());
    assert_eq!(one(store, a, 1, &[], ask("b", 0, 10, 1_000)).lease, m(25), "a share of the half");
    assert_eq!(one(store, b, 1, &[], ask("b", 0, 70, 70)).lease, m(70), "by need");
    assert_eq!(one(store, a, 2, &[], ask("b", 0, 10, 1_000)).lease, m(30), "what there is");
    let full = one(store, b, 2, &[], ask("b", 0, 10, 10));
    assert_eq!((full.lease, full.leased, full.limit), (m(70), m(100), m(100)));
    assert_eq!(one(store, b, 3, &[entry(1, 5, &["b"])], ask("b", 15, 0, 0)).lease, m(50));
    assert_eq!(sums(store, "b"), (5, 80, 0));
    assert_eq!(one(store, a, 3, &[], ask("b", 0, 99, 99)).lease, m(45));
    assert_eq!(sums(store, "b"), (5, 95, 0));
}

/// An exchange that is sent again changes nothing and is answered.
pub fn an_exchange_counts_once(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    let node = store.open_node("a", NOW).good();
    let first = exchange(node, 1, &[entry(1, 7, &["b"])], &[ask("b", 0, 20, 20)]);
    let answer = store.exchange(&first).good();
    assert_eq!(store.exchange(&first).good(), answer);
    assert_eq!(sums(store, "b"), (7, 20, 0));
    let second = exchange(node, 2, &[], &[ask("b", 5, 0, 0)]);
    assert_eq!(store.exchange(&second).good().accounts[0].lease, m(15));
    assert_eq!(store.exchange(&second).good().accounts[0].lease, m(15));
}

/// An entry that is in the journal counts for nothing, whoever brings it.
pub fn an_entry_counts_once(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    let (a, b) = (store.open_node("a", NOW).good(), store.open_node("b", NOW).good());
    let charge = entry(1, 7, &["b"]);
    let again = Entry { attempt: 2, ..charge.clone() };
    one(store, a, 1, &[charge.clone(), charge.clone(), again.clone()], ask("b", 0, 0, 0));
    one(store, b, 1, std::slice::from_ref(&charge), ask("b", 0, 0, 0));
    assert_eq!(sums(store, "b"), (14, 0, 0));
    assert_eq!(store.journal(charge.request).good(), [charge, again]);
    assert_eq!(store.journal(RequestId::from_u128(9)).good(), []);
}

/// A gap, a step back, and a node that nobody opened are refused.
pub fn exchanges_come_in_order(store: &impl LedgerStore) {
    let node = store.open_node("a", NOW).good();
    let kind =
        |epoch, number| store.exchange(&exchange(epoch, number, &[], &[])).map_err(|error| error.kind());
    assert_eq!(kind(node, 2), Err(Kind::InvalidRequest));
    assert!(kind(node, 1).is_ok());
    assert!(kind(node, 2).is_ok());
    assert_eq!(kind(node, 1), Err(Kind::InvalidRequest));
    assert_eq!(kind(Epoch(node.0 + 1), 1), Err(Kind::InvalidRequest));
    store.close_node(node, NOW).good();
    assert_eq!(kind(node, 3), Err(Kind::InvalidRequest));
}

/// A lease of a silent node stays charged, and nobody else gets it.
pub fn what_a_dead_node_leaves_is_uncertain(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    let (a, b) = (store.open_node("a", NOW - 9_000).good(), store.open_node("b", NOW).good());
    let old =
        Exchange { now_ms: NOW - 5_000, ..exchange(a, 1, &[entry(1, 10, &["b"])], &[ask("b", 0, 60, 60)]) };
    store.exchange(&old).good();
    assert_eq!(store.fence(NOW - 5_000, NOW).good(), [], "it was heard of just then");
    assert_eq!(store.fence(NOW - 4_999, NOW).good(), [a]);
    assert_eq!(store.fence(NOW - 4_999, NOW).good(), []);
    assert_eq!(sums(store, "b"), (10, 0, 60));
    assert_eq!(one(store, b, 1, &[], ask("b", 0, 99, 99)).lease, m(30));
    let leases: Vec<_> =
        store.leases().good().iter().map(|l| (l.epoch, l.amount.nanos(), l.uncertain)).collect();
    assert_eq!(leases, [(a, 60, true), (b, 30, false)]);
    let nodes: Vec<_> = store.nodes().good().iter().map(|n| (n.epoch, n.alive, n.heard_ms)).collect();
    assert_eq!(nodes, [(a, false, NOW - 5_000), (b, true, NOW)]);
}

/// A node that was only cut off knows what it has spent.
pub fn a_node_that_returns_takes_its_leases_up_again(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    store.put_budget(&sample::budget("c", 100)).good();
    let node = store.open_node("a", NOW).good();
    store.exchange(&exchange(node, 1, &[], &[ask("b", 0, 60, 60), ask("c", 0, 5, 5)])).good();
    assert_eq!(store.fence(NOW + 1, NOW).good(), [node]);
    assert_eq!((sums(store, "b"), sums(store, "c")), ((0, 0, 60), (0, 0, 5)));
    let back = one(store, node, 2, &[entry(1, 20, &["b"])], ask("b", 10, 0, 0));
    assert_eq!((back.lease, back.uncertain), (m(30), m(0)));
    assert_eq!((sums(store, "b"), sums(store, "c")), ((20, 30, 0), (0, 5, 0)));
}

/// The end of a life that was in order.
pub fn a_closed_node_that_gave_all_back_leaves_nothing(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    let node = store.open_node("a", NOW).good();
    one(store, node, 1, &[], ask("b", 0, 60, 60));
    one(store, node, 2, &[entry(1, 20, &["b"])], ask("b", 40, 0, 0));
    store.close_node(node, NOW).good();
    assert_eq!(sums(store, "b"), (20, 0, 0));
    assert_eq!((store.leases().good(), store.nodes().good()), (vec![], vec![]));
    let second = store.open_node("a", NOW).good();
    assert!(second > node, "an epoch is never used again");
    one(store, second, 1, &[], ask("b", 0, 30, 30));
    store.close_node(second, NOW).good();
    assert_eq!(sums(store, "b"), (20, 0, 30), "what was not given back");
}

/// An administrator says how much of it was spent.
pub fn what_is_uncertain_goes_by_a_reason(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    let node = store.open_node("a", NOW).good();
    one(store, node, 1, &[], ask("b", 0, 60, 60));
    let reconcile = Reconcile {
        account: key("b"),
        epoch: node,
        spent: m(15),
        request: RequestId::from_u128(77),
        at_ms: NOW,
        reason: "the provider's bill of November, ann".into(),
    };
    assert_eq!(store.reconcile(&reconcile).expect_err("it is alive").kind(), Kind::InvalidRequest);
    store.fence(NOW + 1, NOW).good();
    let more = Reconcile { spent: m(61), ..reconcile.clone() };
    assert!(store.reconcile(&more).expect_err("more than there is").public().contains("0.00000006"));
    assert_eq!(store.reconcile(&reconcile).good(), m(60));
    assert_eq!(sums(store, "b"), (15, 0, 0));
    assert_eq!(store.reconcile(&reconcile).expect_err("once").kind(), Kind::InvalidRequest);
    assert_eq!(store.journal(reconcile.request).good(), [reconcile.entry()]);
    // Should the node be alive after all, it learns that its lease is gone.
    let back = one(store, node, 2, &[entry(1, 20, &["b"])], ask("b", 10, 0, 0));
    assert_eq!((back.lease, back.settled, back.leased), (m(0), m(35), m(0)));
}

/// Nothing is hidden to keep a sum pretty.
pub fn a_charge_beyond_the_lease_is_booked_in_full(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    let node = store.open_node("a", NOW).good();
    one(store, node, 1, &[], ask("b", 0, 30, 30));
    let over = one(store, node, 2, &[entry(1, 120, &["b"])], ask("b", 0, 5, 5));
    assert_eq!((over.lease, over.settled, over.leased), (m(0), m(120), m(0)));
}

/// And no longer.
pub fn increases_raise_the_limit_while_they_last(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    let increase = Increase {
        id: "i".into(),
        budget: "b".into(),
        amount: m(50),
        from_ms: NOW - 1,
        until_ms: NOW + 1,
        reason: "launch".to_owned(),
        by: "ann".to_owned(),
    };
    let other = Increase { budget: "none".into(), ..increase.clone() };
    assert_eq!(store.put_increase(&other).expect_err("no such budget").kind(), Kind::InvalidRequest);
    store.put_increase(&increase).good();
    let node = store.open_node("a", NOW).good();
    assert_eq!(one(store, node, 1, &[], ask("b", 0, 999, 999)).lease, m(150));
    let later = Exchange { now_ms: NOW + 1, ..exchange(node, 2, &[], &[ask("b", 60, 0, 0)]) };
    let standing = store.exchange(&later).good().accounts[0];
    assert_eq!((standing.limit, standing.lease), (m(100), m(90)));
    assert!(store.remove_increase("i").good());
    assert!(!store.remove_increase("i").good());
}

/// Once in a window, whoever crosses them, and in order.
pub fn thresholds_are_crossed_once(store: &impl LedgerStore) {
    let budget = Budget {
        soft: Some(m(60)),
        thresholds: vec![100, 50, 80],
        at_limit: AtLimit::Alert,
        ..sample::budget("b", 100)
    };
    store.put_budget(&budget).good();
    let node = store.open_node("a", NOW).good();
    let mut number = 0;
    let mut spend = |amount| {
        number += 1;
        let wanted = exchange(node, number, &[entry(number.into(), amount, &["b"])], &[ask("b", 0, 0, 0)]);
        let first: Vec<u16> = store.exchange(&wanted).good().crossings.iter().map(|c| c.percent).collect();
        assert_eq!(store.exchange(&wanted).good().crossings, [], "not again");
        first
    };
    assert_eq!(spend(49), [0; 0]);
    assert_eq!(spend(1), [50]);
    assert_eq!(spend(35), [0, 80]);
    assert_eq!(spend(1), [0; 0]);
    assert_eq!(spend(100), [100]);
    let all = store.crossings(0, 99).good();
    let told: Vec<_> = all.iter().map(|c| (c.percent, c.spent.nanos(), c.limit.nanos())).collect();
    assert_eq!(told, [(50, 50, 100), (0, 85, 100), (80, 85, 100), (100, 186, 100)]);
    assert_eq!(store.crossings(all[1].number, 1).good(), all[2..3]);
}

/// What was spent counts for the whole length of the window, and then no more.
pub fn a_rolling_window_forgets(store: &impl LedgerStore) {
    let budget = Budget { window: Window::Rolling { hours: 1 }, ..sample::budget("b", 100) };
    let span = budget.window.span(NOW);
    store.put_budget(&budget).good();
    let node = store.open_node("a", NOW).good();
    let place = AccountKey { start: span.start, ..key("b") };
    let wanted = |number: u64, now_ms, amount, want| Exchange {
        now_ms,
        entries: vec![Entry {
            at_ms: now_ms,
            accounts: vec![place.clone()],
            ..entry(number.into(), amount, &[])
        }],
        accounts: vec![Ask { key: place.clone(), ..ask("b", 0, want, want) }],
        ..exchange(node, number, &[], &[])
    };
    assert_eq!(store.exchange(&wanted(1, NOW, 60, 0)).good().accounts[0].settled, m(60));
    let almost = store.exchange(&wanted(2, NOW + HOUR - 1, 30, 99)).good().accounts[0];
    assert_eq!((almost.settled, almost.lease), (m(90), m(10)));
    let filter = |now_ms| AccountFilter { now_ms, ..AccountFilter::default() };
    assert_eq!(store.accounts(&filter(NOW + HOUR)).good()[0].settled, m(90));
    assert_eq!(store.accounts(&filter(NOW + HOUR + 120_000)).good()[0].settled, m(30));
    let later = store.exchange(&wanted(3, NOW + HOUR + 120_000, 0, 99)).good().accounts[0];
    assert_eq!((later.settled, later.lease), (m(30), m(70)));
    // What is uncertain leaves it as well.
    store.fence(NOW + 2 * HOUR, NOW + 2 * HOUR).good();
    assert_eq!(store.accounts(&filter(NOW + 2 * HOUR)).good()[0].uncertain, m(70));
    store.fence(0, NOW + 4 * HOUR).good();
    let row = store.accounts(&filter(NOW + 4 * HOUR)).good().remove(0);
    assert_eq!((row.settled, row.leased, row.uncertain), (m(0), m(0), m(0)));
}

/// Re-rating books the difference, with its reason, where the charge was booked.
pub fn a_charge_is_corrected_on_its_accounts(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    store.put_budget(&sample::budget("c", 100)).good();
    let node = store.open_node("a", NOW).good();
    let charge = entry(1, 20, &["b", "c"]);
    let asks = [ask("b", 0, 0, 0), ask("c", 0, 0, 0)];
    store.exchange(&exchange(node, 1, std::slice::from_ref(&charge), &asks)).good();
    let adjustment = Adjustment {
        request: charge.request,
        attempt: 1,
        amount: m(-5),
        at_ms: NOW + 9,
        price: "catalogue 8".into(),
        reason: "a price was wrong".into(),
    };
    assert!(store.adjust(&adjustment).good());
    assert!(store.adjust(&Adjustment { amount: m(1), ..adjustment.clone() }).good());
    assert!(!store.adjust(&Adjustment { attempt: 2, ..adjustment }).good(), "no such charge");
    assert_eq!((sums(store, "b"), sums(store, "c")), ((16, 0, 0), (16, 0, 0)));
    let lines: Vec<_> =
        store.journal(charge.request).good().iter().map(|e| (e.line, e.amount.nanos())).collect();
    assert_eq!(lines, [(0, 20), (1, -5), (2, 1)]);
}

/// Budgets come back equal, and every change can be seen.
pub fn budgets_are_kept_and_their_revision_moves(store: &impl LedgerStore) {
    let start = store.budget_revision().good();
    let (b, a) = (sample::budget("b", 1), Budget { thresholds: vec![50], ..sample::budget("a", 2) });
    assert!(store.put_budget(&b).good());
    assert!(store.put_budget(&a).good());
    let taken = Budget { id: "c".into(), ..a.clone() };
    assert!(store.put_budget(&taken).expect_err("the name is in use").public().contains("budget a"));
    let all = store.budgets().good();
    assert_eq!(all.budgets, [a.clone(), b]);
    assert_eq!(all.revision, store.budget_revision().good());
    assert_ne!(all.revision, start);
    let changed = Budget { limit: m(3), name: "other".into(), ..a };
    assert!(!store.put_budget(&changed).good());
    assert_ne!(store.budget_revision().good(), all.revision);
    assert!(store.remove_budget("b").good());
    let last = store.budgets().good();
    assert_eq!(last.budgets, [changed]);
    assert!(!store.remove_budget("b").good());
    assert_eq!(store.budget_revision().good(), last.revision);
}

/// By every part of the filter, page by page.
pub fn accounts_are_found_in_order(store: &impl LedgerStore) {
    let node = store.open_node("a", NOW).good();
    let keys: Vec<AccountKey> = [("a", "x", 5), ("a", "y", 5), ("b", "", 0), ("b", "x", 5), ("b", "x", 10)]
        .map(|(budget, value, start)| AccountKey { budget: budget.into(), value: value.into(), start })
        .into();
    let asks: Vec<Ask> =
        keys.iter().map(|key| Ask { key: key.clone(), end_ms: key.start + 5, ..ask("", 0, 0, 0) }).collect();
    store.exchange(&exchange(node, 1, &[], &asks)).good();
    let found = |filter: &AccountFilter| {
        store.accounts(filter).good().into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    assert_eq!(found(&AccountFilter::default()), keys);
    assert_eq!(found(&AccountFilter { limit: 2, ..AccountFilter::default() }), keys[..2]);
    let next = AccountFilter { after: Some(keys[1].clone()), limit: 2, ..AccountFilter::default() };
    assert_eq!(found(&next), keys[2..4]);
    assert_eq!(found(&AccountFilter { budget: Some("b".into()), ..AccountFilter::default() }), keys[2..]);
    let open = AccountFilter { value: Some("x".into()), open_at_ms: Some(9), ..AccountFilter::default() };
    assert_eq!(found(&open), [keys[0].clone(), keys[3].clone()]);
}

/// Only what is over and done with goes.
pub fn forgetting_changes_no_sum(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    let node = store.open_node("a", NOW).good();
    let late = Entry { at_ms: NOW + 10, ..entry(2, 3, &["b"]) };
    one(store, node, 1, &[entry(1, 20, &["b"]), late.clone()], ask("b", 0, 10, 10));
    assert_eq!(store.forget_ledger_before(NOW + 10).good(), 1);
    assert_eq!(store.forget_ledger_before(NOW + 10).good(), 0);
    assert_eq!(store.journal(RequestId::from_u128(1)).good(), []);
    assert_eq!(store.journal(late.request).good(), [late]);
    assert_eq!(sums(store, "b"), (23, 10, 0));
    let ended = Ask { end_ms: 5, key: AccountKey { start: 1, ..key("b") }, ..ask("b", 0, 0, 0) };
    let in_use = Ask { end_ms: 6, key: AccountKey { start: 2, ..key("b") }, ..ask("b", 0, 1, 1) };
    store.exchange(&exchange(node, 2, &[], &[ended, in_use])).good();
    store.forget_ledger_before(10).good();
    let filter = AccountFilter { budget: Some("b".into()), ..AccountFilter::default() };
    let left: Vec<i64> = store.accounts(&filter).good().iter().map(|row| row.key.start).collect();
    assert_eq!(left, [0, 2]);
}

/// What is spent still is booked.
pub fn a_removed_budget_leases_nothing(store: &impl LedgerStore) {
    store.put_budget(&sample::budget("b", 100)).good();
    let node = store.open_node("a", NOW).good();
    one(store, node, 1, &[], ask("b", 0, 10, 10));
    store.remove_budget("b").good();
    let gone = one(store, node, 2, &[entry(1, 4, &["b"])], ask("b", 0, 10, 10));
    assert_eq!((gone.known, gone.lease, gone.settled), (false, m(6), m(4)));
}

/// From many threads at once, not a nano-dollar more than the limit.
pub fn nodes_that_exchange_at_once_share_what_is_left<S: LedgerStore>(store: &S) {
    store.put_budget(&sample::budget("b", 1_000)).good();
    let leased = AtomicI64::new(0);
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let leased = &leased;
            scope.spawn(move || {
                let node = store.open_node(name, NOW).good();
                let mut lease = m(0);
                for number in 1..=20 {
                    lease = one(store, node, number, &[], ask("b", 0, 17, 17)).lease;
                }
                leased.fetch_add(lease.nanos(), Ordering::Relaxed);
            });
        }
    });
    assert_eq!((leased.into_inner(), sums(store, "b")), (1_000, (0, 1_000, 0)));
}
