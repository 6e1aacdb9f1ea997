//! Any deeds in any order, done to a store and to the vault: the same answers, the same rows.

use std::sync::{Arc, Mutex};

use lockgate_core::RequestId;
use lockgate_ledger::budget::{AtLimit, Budget, Increase};
use lockgate_ledger::port::{AccountFilter, Adjustment, LedgerStore, Reconcile};
use lockgate_ledger::rows::{AccountKey, Ask, Entry, Epoch, Exchange};
use lockgate_ledger::{Vault, Window, sample};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{HOUR, NOW, entry, m};
use crate::exam::{Good as _, check};

#[derive(Clone, Debug)]
enum Deed {
    Open,
    Exchange {
        node: usize,
        again: bool,
        entries: Vec<(u8, u32, i64, u64, Vec<u8>)>,
        asks: Vec<(u8, i64, i64, i64)>,
    },
    Close(usize),
    Fence(u64),
    Reconcile {
        node: usize,
        account: u8,
        spent: i64,
    },
    Adjust {
        request: u8,
        attempt: u32,
        amount: i64,
    },
    Put {
        budget: u8,
        limit: i64,
        alert: bool,
    },
    Remove(u8),
    Raise {
        id: u8,
        budget: u8,
        amount: i64,
    },
    Forget(u64),
    Wait(u64),
}

fn any_deed() -> impl Strategy<Value = Deed> {
    let amount = || 0_i64..60;
    let entries = vec((0_u8..6, 1_u32..3, -3_i64..60, 0..4 * HOUR, vec(0_u8..8, 0..3)), 0..3);
    let asks = vec((0_u8..8, amount(), amount(), amount()), 0..4);
    prop_oneof![
        2 => Just(Deed::Open),
        12 => (0_usize..4, any::<bool>(), entries, asks)
            .prop_map(|(node, again, entries, asks)| Deed::Exchange { node, again, entries, asks }),
        1 => (0_usize..4).prop_map(Deed::Close),
        2 => (0..4 * HOUR).prop_map(Deed::Fence),
        2 => (0_usize..4, 0_u8..8, -1_i64..40).prop_map(|(node, account, spent)| Deed::Reconcile { node, account, spent }),
        1 => (0_u8..6, 1_u32..3, -20_i64..20)
            .prop_map(|(request, attempt, amount)| Deed::Adjust { request, attempt, amount }),
        2 => (0_u8..4, 0_i64..400, any::<bool>()).prop_map(|(budget, limit, alert)| Deed::Put { budget, limit, alert }),
        1 => (0_u8..4).prop_map(Deed::Remove),
        1 => (0_u8..3, 0_u8..4, amount()).prop_map(|(id, budget, amount)| Deed::Raise { id, budget, amount }),
        1 => (0..4 * HOUR).prop_map(Deed::Forget),
        2 => (0..2 * HOUR).prop_map(Deed::Wait),
    ]
}

/// Eight accounts of four budgets: all time, an hour that rolls, and two days.
fn account(number: u8) -> (AccountKey, i64) {
    let budget: Arc<str> = Arc::from(["a", "b", "c", "d"][usize::from(number % 4)]);
    let (start, end_ms) = match number % 4 {
        0 => (0, i64::MAX),
        1 => (-1, i64::MAX),
        _ => (NOW as i64, (NOW + 2 * HOUR) as i64),
    };
    (AccountKey { budget, value: if number < 4 { "".into() } else { "v".into() }, start }, end_ms)
}

fn budget(number: u8, limit: i64, alert: bool) -> Budget {
    let id = ["a", "b", "c", "d"][usize::from(number)];
    Budget {
        window: if number == 1 { Window::Rolling { hours: 1 } } else { Window::Lifetime },
        at_limit: if alert { AtLimit::Alert } else { AtLimit::Block },
        thresholds: vec![50, 100],
        soft: Some(m(20)),
        ..sample::budget(id, limit)
    }
}

/// What one store does with one deed, as text that can be compared.
fn act(store: &dyn LedgerStore, deed: &Deed, state: &mut Drive) -> String {
    let node = |at: &usize| state.nodes.get(*at).copied().unwrap_or((Epoch(99), 0));
    match deed {
        Deed::Open => {
            let opened = store.open_node("n", state.now);
            if let Ok(epoch) = &opened {
                state.nodes.push((*epoch, 0));
            }
            format!("{opened:?}")
        }
        Deed::Exchange { node: at, again, entries, asks } => {
            let (epoch, last) = node(at);
            let mut accounts: Vec<Ask> = Vec::new();
            let mut add = |number: u8, back, at_least, wish: i64| {
                let (key, end_ms) = account(number);
                if !accounts.iter().any(|ask| ask.key == key) {
                    let wish = m(wish.max(at_least));
                    accounts.push(Ask { key, end_ms, give_back: m(back), at_least: m(at_least), wish });
                }
            };
            asks.iter().for_each(|(number, back, at_least, wish)| add(*number, *back, *at_least, *wish));
            entries.iter().flat_map(|entry| &entry.4).for_each(|number| add(*number, 0, 0, 0));
            accounts.sort_by(|a, b| a.key.cmp(&b.key));
            let entries = entries.iter().map(|(request, attempt, amount, ago, numbers)| {
                let mut keys: Vec<AccountKey> = numbers.iter().map(|number| account(*number).0).collect();
                keys.sort();
                keys.dedup();
                Entry {
                    attempt: *attempt,
                    at_ms: state.now - ago,
                    accounts: keys,
                    ..entry((*request).into(), *amount, &[])
                }
            });
            let number = if *again { last.max(1) } else { last + 1 };
            let wanted = Exchange { epoch, number, now_ms: state.now, entries: entries.collect(), accounts };
            let answer = store.exchange(&wanted);
            if answer.is_ok()
                && let Some(place) = state.nodes.get_mut(*at)
            {
                place.1 = number;
            }
            format!("{answer:?}")
        }
        Deed::Close(at) => format!("{:?}", store.close_node(node(at).0, state.now)),
        Deed::Fence(ago) => format!("{:?}", store.fence(state.now - ago, state.now)),
        Deed::Reconcile { node: at, account: number, spent } => {
            let reconcile = Reconcile {
                account: account(*number).0,
                epoch: node(at).0,
                spent: m(*spent),
                request: RequestId::from_u128(1_000 + u128::from(state.now)),
                at_ms: state.now,
                reason: "because".into(),
            };
            format!("{:?}", store.reconcile(&reconcile))
        }
        Deed::Adjust { request, attempt, amount } => {
            let adjustment = Adjustment {
                request: RequestId::from_u128((*request).into()),
                attempt: *attempt,
                amount: m(*amount),
                at_ms: state.now,
                price: "p".into(),
                reason: "because".into(),
            };
            format!("{:?}", store.adjust(&adjustment))
        }
        Deed::Put { budget: number, limit, alert } => {
            format!("{:?}", store.put_budget(&budget(*number, *limit, *alert)))
        }
        Deed::Remove(number) => format!("{:?}", store.remove_budget(&budget(*number, 0, false).id)),
        Deed::Raise { id, budget: number, amount } => {
            let increase = Increase {
                id: Arc::from(format!("i{id}")),
                budget: budget(*number, 0, false).id,
                amount: m(*amount),
                from_ms: state.now,
                until_ms: state.now + HOUR,
                reason: String::new(),
                by: String::new(),
            };
            format!("{:?}", store.put_increase(&increase))
        }
        Deed::Forget(ago) => format!("{:?}", store.forget_ledger_before(state.now - ago)),
        Deed::Wait(time) => {
            state.now += time;
            String::new()
        }
    }
}

/// Where a run of deeds stands.
struct Drive {
    now: u64,
    /// Epochs and the numbers of their last exchanges.
    nodes: Vec<(Epoch, u64)>,
}

/// Everything that can be read.
fn all(store: &dyn LedgerStore, now_ms: u64) -> String {
    let accounts = store.accounts(&AccountFilter { now_ms, limit: 1_000, ..AccountFilter::default() });
    let journal: Vec<_> = (0..6).map(|number| store.journal(RequestId::from_u128(number))).collect();
    let (budgets, leases, nodes) = (store.budgets(), store.leases(), store.nodes());
    format!("{accounts:#?}{leases:#?}{nodes:#?}{budgets:#?}{:#?}{journal:#?}", store.crossings(0, 1_000))
}

/// Any deeds in any order: the same answers, the same rows. And whatever happens, leases and what is uncertain are the sums
/// of their parts.
pub fn every_store_does_what_the_vault_does(store: &impl LedgerStore) {
    // One run of many deeds: a store cannot be emptied.
    check(1, &vec(any_deed(), 900..1_000), |deeds| {
        let vault = Mutex::new(Vault::new());
        let drive = || Drive { now: NOW, nodes: Vec::new() };
        let (mut ours, mut theirs) = (drive(), drive());
        for (place, deed) in deeds.iter().enumerate() {
            let said = act(store, deed, &mut ours);
            prop_assert_eq!(&said, &act(&vault, deed, &mut theirs), "deed {}: {:?}", place, deed);
            prop_assert_eq!(
                all(store, ours.now),
                all(&vault, theirs.now),
                "after deed {}: {:?}",
                place,
                deed
            );
            sums_hold(store)?;
        }
        Ok(())
    });
}

fn sums_hold(store: &dyn LedgerStore) -> Result<(), TestCaseError> {
    let leases = store.leases().good();
    for row in store.accounts(&AccountFilter { limit: 1_000, ..AccountFilter::default() }).good() {
        let sum = |uncertain| {
            let mine = leases.iter().filter(|l| l.account == row.key && l.uncertain == uncertain);
            m(mine.map(|l| l.amount.nanos()).sum())
        };
        prop_assert_eq!((row.leased, row.uncertain), (sum(false), sum(true)), "{:?}", row.key);
    }
    Ok(())
}
