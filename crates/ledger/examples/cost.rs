//! What a request pays for being counted: seats, reserve and settle over five accounts, with 100,000 accounts in memory.
//!
//! `cargo run --release -p lockgate-ledger --example cost`

#![expect(clippy::print_stdout, reason = "it is what it is for")]

use std::sync::{Arc, Mutex};
use std::time::Instant;

use lockgate_core::{Money, RequestId, Tick};
use lockgate_ledger::book::{Amount, Now, Settings};
use lockgate_ledger::port::{Budgets, LedgerStore as _};
use lockgate_ledger::window::Place;
use lockgate_ledger::{Book, Budget, Charge, Dimension, Fences, Subject, Teller, Vault, Window, sample};

const CUSTOMERS: usize = 100_000;
const ROUNDS: usize = 200_000;
const WALL: u64 = 1_795_400_000_000;

fn main() {
    let day = || Window::Day(Place { zone: "Europe/Berlin".into(), minute: 0 });
    let per = |id: &str, dimension| Budget {
        per: Some(dimension),
        window: day(),
        ..sample::budget(id, i64::MAX / 4)
    };
    let budgets = vec![
        per("customer", Dimension::Customer),
        per("key", Dimension::Key),
        per("model", Dimension::Model),
        Budget { window: Window::Rolling { hours: 24 }, ..sample::budget("all", i64::MAX / 4) },
        Budget {
            window: Window::Month { day: 1, place: Place::default() },
            ..sample::budget("month", i64::MAX / 4)
        },
    ];
    let vault = Mutex::new(Vault::new());
    for budget in &budgets {
        vault.put_budget(budget).expect("a vault takes it");
    }
    let book = Book::new(Settings::default());
    book.rule_by(&Budgets { revision: 1, budgets, increases: Vec::new() });
    let epoch = vault.open_node("bench", WALL).expect("a vault takes it");
    let mut teller = Teller::new(Arc::clone(&book), epoch, Fences::default(), Tick(0));
    let names: Vec<String> = (0..CUSTOMERS).map(|number| format!("customer-{number}")).collect();
    let now = Now { tick: Tick(1), wall_ms: WALL, outage: false };
    let hold = Amount::exactly(Money::from_nanos(2_000_000));
    let subject = |name: &'static str| {
        Subject::new()
            .with(Dimension::Customer, Some(name))
            .with(Dimension::Key, Some("key_0123456789abcdef"))
            .with(Dimension::Model, Some("gpt-5-mini"))
    };
    let names: &'static [String] = names.leak();
    // Every account is there and has a lease.
    let plenty = Amount::exactly(Money::from_nanos(1 << 40));
    for name in names {
        let seats = book.seats(&subject(name), WALL, &[]);
        drop(book.reserve(RequestId::from_u128(0), seats, plenty, &now));
    }
    let exchange = teller.exchange(WALL, false).clone();
    let answer = vault.exchange(&exchange).expect("a vault takes it");
    teller.answered(&answer, Tick(1), Tick(1));
    println!("{} accounts in memory", book.accounts().len());
    let price: Arc<str> = Arc::from("catalogue 7");
    let mut place = 0_usize;
    let mut spent = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        // Far apart, so that no account is in a cache.
        place = (place + 61_803) % CUSTOMERS;
        let subject = subject(&names[place]);
        let id = RequestId::from_u128(round as u128 + 1);
        #[expect(clippy::disallowed_methods, reason = "it measures")]
        let start = Instant::now();
        let seats = book.seats(&subject, WALL, &[]);
        assert_eq!(seats.len(), 5, "five accounts");
        let Ok(permit) = book.reserve(id, seats, hold, &now) else {
            // A lease is used up: what the keeper's thread does.
            let exchange = teller.exchange(WALL, false).clone();
            let answer = vault.exchange(&exchange).expect("a vault takes it");
            teller.answered(&answer, Tick(1), Tick(1));
            continue;
        };
        let amount = Money::from_nanos(700_000);
        permit.settle(Charge { amount, at_ms: WALL, price: Arc::clone(&price), estimated: false });
        spent.push(start.elapsed().as_nanos());
    }
    let mean = spent.iter().sum::<u128>() / spent.len() as u128;
    spent.sort_unstable();
    let at = |share: usize| spent[spent.len() * share / 100];
    println!(
        "seats + reserve + settle over 5 accounts: mean {mean} ns, median {} ns, 99 % {} ns",
        at(50),
        at(99)
    );
    let empty = Book::new(Settings::default());
    #[expect(clippy::disallowed_methods, reason = "it measures")]
    let start = Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(empty.is_empty());
    }
    println!("without any budget: {} ps", start.elapsed().as_nanos() * 1_000 / ROUNDS as u128);
}
