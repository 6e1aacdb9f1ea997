//! The exams, and what only a database of several gateways is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lockgate_config::{Postgres as Address, PostgresTls};
use lockgate_core::port::{DocumentStore as _, Filter, KeyStore as _, RecordStore as _};
use lockgate_core::{Kind, Money, RequestId, Secret};
use lockgate_ledger::port::{AccountFilter, LedgerStore as _};
use lockgate_ledger::rows::{AccountKey, Ask, Entry, Exchange};
use lockgate_ledger::sample;

use super::link::ASKED;
use super::*;
use crate::exam;
use crate::exam::postgres::{InSchema, Schema};

/// An empty store, if there is a database.
fn store() -> Option<InSchema> {
    InSchema::open().map_err(|why| lockgate_testkit::skip(&why)).ok()
}

mod exam_of_stores {
    crate::store_exam!(|_| super::store());
}

mod exam_of_documents {
    crate::document_exam!(|_| super::store());
}

mod exam_of_ledgers {
    crate::ledger_exam!(|_| super::store());
}

/// An empty schema, if there is a database.
fn schema() -> Option<Schema> {
    Schema::find().map_err(|why| lockgate_testkit::skip(&why)).ok()
}

fn open(schema: &Schema) -> Postgres {
    Postgres::open(schema.address()).unwrap()
}

/// Does something by hand.
fn by_hand(store: &Postgres, sql: &str) {
    store.keys.read(&store.target, async |step: Step<'_>| step.run(sql).await).unwrap();
}

// === opening ===

#[test]
fn many_may_open_a_new_schema_at_once() {
    let Some(schema) = schema() else { return };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| drop(open(&schema)));
        }
    });
    assert!(Postgres::is_there(schema.address()).unwrap());
}

#[test]
fn what_looks_makes_nothing() {
    let Some(schema) = schema() else { return };
    assert!(!Postgres::is_there(schema.address()).unwrap());
    assert!(!Postgres::is_there(schema.address()).unwrap());
}

#[test]
fn what_one_gateway_writes_another_sees() {
    let Some(schema) = schema() else { return };
    let (one, other) = (open(&schema), open(&schema));
    let before = one.revision().unwrap();
    other.add(&exam::key(1)).unwrap();
    assert_ne!(one.revision().unwrap(), before);
    assert_eq!(one.keys().unwrap(), [exam::key(1)]);
    other.append(&[exam::record(1)]).unwrap();
    assert_eq!(one.get(exam::record(1).id).unwrap(), Some(*exam::record(1)));
}

#[test]
fn tables_of_a_newer_program_are_refused_and_left_alone() {
    let Some(schema) = schema() else { return };
    by_hand(&open(&schema), "UPDATE format SET version = 99");
    let error = Postgres::open(schema.address()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.public().contains("format 99"), "{error}");
}

#[test]
fn a_step_that_fails_leaves_nothing() {
    let Some(schema) = schema() else { return };
    let name = &schema.address().schema;
    let store = Postgres::of(schema.address()).unwrap();
    by_hand(&store, &format!("CREATE SCHEMA \"{name}\"; CREATE TABLE \"{name}\".record (other TEXT)"));
    assert_eq!(Postgres::open(schema.address()).unwrap_err().kind(), Kind::Internal);
    assert!(!Postgres::is_there(schema.address()).unwrap());
}

#[test]
fn a_database_that_is_away_is_named_and_its_password_is_not() {
    // Nobody listens on port 1 of this machine.
    let address: Address = "postgres://gate:hidden@127.0.0.1:1/money".parse().unwrap();
    let error = Postgres::open(&address).unwrap_err();
    let text = format!("{error:?}");
    assert_eq!(error.public(), "the store cannot be reached");
    assert!(text.contains("postgres://gate@127.0.0.1:1/money") && text.contains("refused"), "{text}");
    assert!(!text.contains("hidden"), "{text}");
}

#[test]
fn a_wrong_password_is_told_without_it() {
    let Some(schema) = schema() else { return };
    let address = Address {
        user: "nobody_of_this_name".into(),
        password: Some(Secret::new("hidden".into())),
        ..schema.address().clone()
    };
    let text = format!("{:?}", Postgres::open(&address).unwrap_err());
    assert!(text.contains("nobody_of_this_name@") && !text.contains("hidden"), "{text}");
}

// === connections ===

#[test]
fn a_connection_that_was_ended_is_made_anew() {
    let Some(schema) = schema() else { return };
    let (store, other) = (open(&schema), open(&schema));
    store.add(&exam::key(1)).unwrap();
    let pid = store.keys.read(&store.target, async |step: Step<'_>| {
        step.first("SELECT pg_backend_pid()::bigint", &[]).await?.unwrap().number(0)
    });
    by_hand(&other, &format!("SELECT pg_terminate_backend({}, 5000)", pid.unwrap()));
    // Whether the news has been read already is chance; one call may find out by failing, the next does not.
    let _ = store.keys();
    assert_eq!(store.keys().unwrap(), [exam::key(1)]);
}

#[test]
fn a_database_that_says_nothing_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address =
        Address { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port(), ..example() };
    let mut target = Target::new(&address).unwrap();
    target.connect = std::time::Duration::from_millis(50);
    target.rest = std::time::Duration::from_secs(3_600);
    let link = Link::new();
    let look = || format!("{:?}", link.read(&target, async |step: Step<'_>| step.run("").await).unwrap_err());
    assert!(look().contains("no connection within"));
    // Who asks again at once is not kept waiting: nobody listens any more, and nobody finds out.
    drop(listener);
    assert!(look().contains("no connection within"));
    target.rest = std::time::Duration::ZERO;
    let look = || format!("{:?}", link.read(&target, async |step: Step<'_>| step.run("").await).unwrap_err());
    assert!(look().contains("refused"));
}

fn example() -> Address {
    "postgres://gate@db/d".parse().unwrap()
}

#[test]
fn it_may_be_called_inside_a_runtime_and_dropped_there() {
    let Some(schema) = schema() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = open(&schema);
        assert_eq!(store.keys().unwrap(), []);
        drop(store);
    });
}

#[test]
fn tls_is_what_sslmode_says() {
    let Some(schema) = schema() else { return };
    let with = |tls| Address { host: "localhost".into(), tls, ..schema.address().clone() };
    let encrypted = |tls| {
        let store = Postgres::of(&with(tls))?;
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        store.keys.read(&store.target, async |step: Step<'_>| step.first(sql, &[]).await?.unwrap().flag(0))
    };
    let can = schema.address().host == "localhost" && encrypted(PostgresTls::Require).is_ok();
    if !can {
        lockgate_testkit::skip("PostgreSQL at localhost without TLS: sslmode was not tested");
        return;
    }
    assert!(!encrypted(PostgresTls::Disable).unwrap());
    assert!(encrypted(PostgresTls::Prefer).unwrap());
    assert!(encrypted(PostgresTls::Require).unwrap());
    // No public authority vouches for localhost.
    for tls in [PostgresTls::VerifyCa, PostgresTls::VerifyFull] {
        let text = format!("{:?}", encrypted(tls).unwrap_err());
        assert!(text.contains("certificate"), "{text}");
    }
}

#[test]
fn roots_that_cannot_be_read_are_named() {
    let address =
        Address { tls: PostgresTls::VerifyFull, roots: Some("/nowhere/ca.pem".into()), ..example() };
    let text = format!("{:?}", Postgres::open(&address).unwrap_err());
    assert!(text.contains("/nowhere/ca.pem"), "{text}");
}

// === rows ===

#[test]
fn a_damaged_row_is_an_error() {
    let Some(schema) = schema() else { return };
    let store = open(&schema);
    for change in [
        "at = -1",
        "at = 1::bigint << 48",
        "rest = '\\x00'",
        "took_us = -1",
        "first_us = -1",
        "detail = ''",
        "detail = '\\xff'",
        "outcome = 'splendid'",
        "error = 'no such kind'",
        "provider = NULL",
        "status = -1",
        "body = '\\x01'",
        "asked = U&'\\0001'",
    ] {
        store.forget_before(u64::MAX).unwrap();
        by_hand(&store, "DELETE FROM record");
        store.append(&[exam::record(1)]).unwrap();
        by_hand(&store, &format!("UPDATE record SET {change}"));
        assert_eq!(store.find(&Filter::default()).unwrap_err().kind(), Kind::Internal, "{change}");
    }
}

#[test]
fn a_batch_that_fails_leaves_nothing_and_harms_no_later_one() {
    let Some(schema) = schema() else { return };
    let store = open(&schema);
    by_hand(&store, "ALTER TABLE record ADD CONSTRAINT stop CHECK (took_us <> 13)");
    let bad = Box::new(lockgate_core::Record { took_us: 13, ..*exam::record(1_500) });
    let batch: Vec<_> = (0..1_500).map(exam::record).chain([bad]).collect();
    assert_eq!(store.append(&batch).unwrap_err().kind(), Kind::Internal);
    assert_eq!(store.find(&Filter::default()).unwrap(), []);
    store.append(&batch[..40]).unwrap();
    assert_eq!(store.find(&Filter::default()).unwrap().len(), 40);
}

#[test]
fn names_that_people_give_stand_as_they_are_in_the_tables() {
    let Some(schema) = schema() else { return };
    let store = open(&schema);
    let key = lockgate_core::Key { name: "Bücher \\ 100 % \"x\"".into(), ..exam::key(1) };
    store.add(&key).unwrap();
    let name = store.keys.read(&store.target, async |step: Step<'_>| {
        Ok(step.first("SELECT convert_to(name, 'UTF8') FROM key", &[]).await?.unwrap().bytes(0)?.to_vec())
    });
    assert_eq!(name.unwrap(), key.name.as_bytes());
}

// === the ledger, by several gateways at once ===

fn account(budget: &str, value: usize) -> AccountKey {
    AccountKey { budget: budget.into(), value: format!("v{value}").into(), start: 0 }
}

fn entry(number: u128, at_ms: u64, accounts: Vec<AccountKey>) -> Entry {
    Entry {
        request: RequestId::from_u128(number),
        attempt: 1,
        line: 0,
        amount: Money::from_nanos(1),
        at_ms,
        accounts,
        price: "p".into(),
        estimated: false,
        reason: None,
    }
}

fn ask(key: AccountKey, at_least: i64) -> Ask {
    let at_least = Money::from_nanos(at_least);
    Ask { key, end_ms: i64::MAX, give_back: Money::ZERO, at_least, wish: at_least }
}

#[test]
fn an_exchange_of_two_thousand_entries_is_a_handful_of_statements() {
    let Some(schema) = schema() else { return };
    let store = open(&schema);
    store.put_budget(&sample::budget("b", 1_000_000)).unwrap();
    let epoch = store.open_node("n", 1).unwrap();
    let mut keys: Vec<AccountKey> = (0..500).map(|value| account("b", value)).collect();
    keys.sort();
    let entries = (0..2_000).map(|number| entry(number, 5, vec![keys[number as usize % 500].clone()]));
    let wanted = Exchange {
        epoch,
        number: 1,
        now_ms: 5,
        entries: entries.collect(),
        accounts: keys.iter().map(|key| ask(key.clone(), 10)).collect(),
    };
    let before = ASKED.get();
    let answer = store.exchange(&wanted).unwrap();
    assert!(ASKED.get() - before <= 12, "{} statements", ASKED.get() - before);
    assert_eq!(answer.accounts.len(), 500);
    assert!(answer.accounts.iter().all(|one| (one.settled.nanos(), one.lease.nanos()) == (4, 10)));
    assert_eq!(store.exchange(&wanted).unwrap().accounts, answer.accounts, "once");
}

#[test]
fn gateways_that_exchange_fence_and_forget_at_once_lose_nothing() {
    const GATEWAYS: usize = 4;
    const ROUNDS: u64 = 25;
    let Some(schema) = schema() else { return };
    let stores: Vec<Postgres> = (0..GATEWAYS).map(|_| open(&schema)).collect();
    for budget in ["a", "b", "c"] {
        stores[0].put_budget(&sample::budget(budget, 1_000_000)).unwrap();
    }
    let over = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let nodes: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(gateway, store)| scope.spawn(move || live(store, gateway, ROUNDS)))
            .collect();
        let disturbed = {
            let (store, over) = (open(&schema), Arc::clone(&over));
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // All that have not been heard of this very moment; they return with their next exchange.
                    store.fence(u64::MAX, 7).unwrap();
                    store.forget_ledger_before(1).unwrap();
                }
            })
        };
        nodes.into_iter().for_each(|node| node.join().unwrap());
        over.store(true, Ordering::Relaxed);
        disturbed.join().unwrap();
    });
    let store = &stores[0];
    let accounts = store.accounts(&AccountFilter { limit: 1_000, ..AccountFilter::default() }).unwrap();
    let settled: i64 = accounts.iter().map(|row| row.settled.nanos()).sum();
    assert_eq!(
        settled,
        (GATEWAYS as u64 * ROUNDS * 6 * 3).cast_signed(),
        "each entry on each of its accounts, once"
    );
    let leases = store.leases().unwrap();
    for row in &accounts {
        let sum = |uncertain| -> i64 {
            let mine = leases.iter().filter(|l| l.account == row.key && l.uncertain == uncertain);
            mine.map(|l| l.amount.nanos()).sum()
        };
        assert_eq!((row.leased.nanos(), row.uncertain.nanos()), (sum(false), sum(true)), "{:?}", row.key);
    }
}

/// A gateway that spends on accounts which others spend on as well.
fn live(store: &Postgres, gateway: usize, rounds: u64) {
    let epoch = store.open_node("n", 1).unwrap();
    for round in 0..rounds {
        let mut keys: Vec<AccountKey> =
            (0..6).map(|at| account(["a", "b", "c"][at % 3], (at + gateway + round as usize) % 9)).collect();
        keys.sort();
        let number = |of: u64| u128::from(gateway as u64 * 1_000_000 + round * 10 + of);
        let entries = (0..6).map(|of| {
            let at = of as usize;
            let mut on = vec![keys[at].clone(), keys[(at + 1) % 6].clone(), keys[(at + 3) % 6].clone()];
            on.sort();
            entry(number(of), 5, on)
        });
        let wanted = Exchange {
            epoch,
            number: round + 1,
            now_ms: 5,
            entries: entries.collect(),
            accounts: keys.iter().map(|key| ask(key.clone(), 7)).collect(),
        };
        store.exchange(&wanted).unwrap();
    }
}

#[test]
fn two_gateways_that_correct_one_charge_book_both() {
    let Some(schema) = schema() else { return };
    let stores = [open(&schema), open(&schema)];
    let store = &stores[0];
    store.put_budget(&sample::budget("b", 100)).unwrap();
    let epoch = store.open_node("n", 1).unwrap();
    let key = account("b", 1);
    let charge = entry(9, 5, vec![key.clone()]);
    let accounts = vec![ask(key, 10)];
    store.exchange(&Exchange { epoch, number: 1, now_ms: 5, entries: vec![charge], accounts }).unwrap();
    std::thread::scope(|scope| {
        for store in &stores {
            scope.spawn(move || {
                for _ in 0..5 {
                    let adjustment = lockgate_ledger::port::Adjustment {
                        request: RequestId::from_u128(9),
                        attempt: 1,
                        amount: Money::from_nanos(2),
                        at_ms: 6,
                        price: "p".into(),
                        reason: "because".into(),
                    };
                    assert!(store.adjust(&adjustment).unwrap());
                }
            });
        }
    });
    let lines: Vec<u32> =
        store.journal(RequestId::from_u128(9)).unwrap().iter().map(|one| one.line).collect();
    assert_eq!(lines, (0..=10).collect::<Vec<_>>());
    assert_eq!(store.accounts(&AccountFilter::default()).unwrap()[0].settled.nanos(), 21);
}

#[test]
fn documents_of_two_gateways_have_no_gaps() {
    let Some(schema) = schema() else { return };
    let stores = [open(&schema), open(&schema)];
    std::thread::scope(|scope| {
        for store in &stores {
            scope.spawn(move || {
                for _ in 0..10 {
                    let draft = lockgate_core::port::Draft {
                        kind: "route".into(),
                        name: "a".into(),
                        after: None,
                        body: Some("1".into()),
                        at_ms: 1,
                        by: "ann".into(),
                        reason: "".into(),
                    };
                    store.put_document(&draft).unwrap();
                }
            });
        }
    });
    let versions = stores[0].versions("route", "a").unwrap();
    assert!(versions.iter().map(|one| one.version).eq(1..=20));
    assert_eq!(stores[1].document_revision().unwrap(), 20);
}
