//! A node's book and a store of its own, without the threads between them.

use std::sync::Mutex;

use lockgate_core::Kind;
use proptest::prelude::*;

use super::*;
use crate::budget::Selector;
use crate::lease::Fences;
use crate::permit::Charge;
use crate::port::LedgerStore;
use crate::subject::Dimension;
use crate::teller::Teller;
use crate::vault::Vault;
use crate::window::Window;
use crate::{Budget, sample};

const WALL: u64 = 1_795_400_000_000;

struct House {
    vault: Mutex<Vault>,
    book: Arc<Book>,
    teller: Teller,
    tick: Tick,
    /// Requests so far.
    requests: u128,
}

fn m(nanos: i64) -> Money {
    Money::from_nanos(nanos)
}

impl House {
    fn new(budgets: &[Budget]) -> Self {
        let vault = Mutex::new(Vault::new());
        for budget in budgets {
            vault.put_budget(budget).unwrap();
        }
        let book = Book::new(Settings::default());
        book.rule_by(&vault.budgets().unwrap());
        let epoch = vault.open_node("n", WALL).unwrap();
        let teller = Teller::new(Arc::clone(&book), epoch, Fences::default(), Tick(0));
        Self { vault, book, teller, tick: Tick(1), requests: 0 }
    }

    fn now(&self) -> Now {
        Now { tick: self.tick, wall_ms: WALL, outage: false }
    }

    fn exchange(&mut self, closing: bool) {
        let exchange = self.teller.exchange(WALL, closing).clone();
        let answer = self.vault.exchange(&exchange).unwrap();
        self.teller.answered(&answer, self.tick, self.tick);
    }

    /// Reserves, asking the store as often as it helps.
    fn reserve(&mut self, subject: &Subject<'_>, amount: i64) -> Result<Permit, Shortage> {
        for _ in 0..8 {
            let seats = self.book.seats(subject, WALL, &[]);
            self.requests += 1;
            match self.book.reserve(
                RequestId::from_u128(self.requests),
                seats,
                Amount::exactly(m(amount)),
                &self.now(),
            ) {
                Err(shortage) if shortage.why == Why::Lease => self.exchange(false),
                done => return done,
            }
        }
        panic!("it asks for ever");
    }

    fn settled(&self, budget: &str) -> i64 {
        let filter =
            crate::port::AccountFilter { budget: Some(budget.into()), now_ms: WALL, ..Default::default() };
        self.vault.accounts(&filter).unwrap().iter().map(|row| row.settled.nanos()).sum()
    }
}

fn charge(amount: i64) -> Charge {
    Charge { amount: m(amount), at_ms: WALL, price: "p".into(), estimated: false }
}

fn whole() -> Subject<'static> {
    Subject::new()
        .with(Dimension::Key, Some("key_1"))
        .with(Dimension::User, Some("u"))
        .with(Dimension::Team, Some("t"))
        .with(Dimension::Project, Some("p"))
        .with(Dimension::Organisation, Some("o"))
        .with(Dimension::Customer, Some("acme"))
        .with(Dimension::Feature, Some("f"))
        .with(Dimension::Route, Some("r"))
        .with(Dimension::Model, Some("m"))
        .with(Dimension::Provider, Some("x"))
}

#[test]
fn each_of_ten_budgets_blocks_by_itself_and_says_which() {
    let dimensions = DIMENSIONS.into_iter().filter(|dimension| *dimension != Dimension::Tag);
    let budgets: Vec<Budget> = dimensions
        .map(|dimension| {
            let value = whole().get(dimension).unwrap();
            let selector = Selector::new([(dimension, vec![value.into()])]);
            Budget { selector, ..sample::budget(dimension.code(), 1_000) }
        })
        .collect();
    assert_eq!(budgets.len(), 10);
    for tight in 0..10 {
        let mut mine = budgets.clone();
        mine[tight].limit = m(99);
        let mut house = House::new(&mine);
        let shortage = house.reserve(&whole(), 100).unwrap_err();
        assert_eq!((&shortage.rule.budget.id, shortage.why), (&mine[tight].id, Why::Limit));
        let error = shortage.refusal(house.tick, WALL);
        assert_eq!(error.kind(), Kind::BudgetExceeded);
        assert!(error.public().contains(&format!("\"budget {}\"", mine[tight].id)), "{error}");
        house.reserve(&whole(), 99).unwrap().settle(charge(99));
        house.exchange(false);
        // One number, everywhere.
        for budget in &mine {
            assert_eq!(house.settled(&budget.id), 99);
        }
        house.reserve(&whole(), 1).unwrap_err();
    }
}

#[test]
fn a_refusal_says_all_there_is_to_know() {
    let budget = Budget {
        per: Some(Dimension::Customer),
        window: Window::Day(crate::window::Place::default()),
        ..sample::budget("b", 2_000_000_000)
    };
    let mut house = House::new(&[budget]);
    house.reserve(&whole(), 1_500_000_000).unwrap().settle(charge(1_500_000_000));
    house.exchange(false);
    let error = house.reserve(&whole(), 600_000_000).unwrap_err().refusal(house.tick, WALL);
    assert_eq!(
        error.public(),
        "The budget \"budget b\" of customer \"acme\" does not cover this request: 1.50 of 2.00 dollars are spent, \
         and it may cost 0.60. It resets at 2026-11-24T00:00:00Z."
    );
    assert_eq!(error.wait(), Some(Duration::from_millis(1_795_478_400_000 - WALL)));
    // Others have accounts of their own.
    house.reserve(&Subject::new().with(Dimension::Customer, Some("b")), 600_000_000).unwrap().release();
    house.reserve(&Subject::new(), 600_000_000).unwrap().release();
}

#[test]
fn a_permit_that_is_dropped_charges_what_is_at_risk() {
    let mut house = House::new(&[sample::budget("b", 100)]);
    drop(house.reserve(&whole(), 40).unwrap());
    let mut sent = house.reserve(&whole(), 40).unwrap();
    sent.risk(Some(charge(25)));
    drop(sent);
    house.exchange(true);
    assert_eq!(house.settled("b"), 25);
    assert!(house.teller.is_done());
    assert_eq!(house.book.places(), 0);
}

#[test]
fn attempts_that_are_billed_are_each_charged() {
    let mut house = House::new(&[sample::budget("b", 100)]);
    let mut permit = house.reserve(&whole(), 40).unwrap();
    permit.charge(charge(30));
    assert_eq!((permit.held(), permit.attempt()), (m(10), 2));
    permit.grow(Amount::exactly(m(25)), &house.now()).unwrap_err();
    // The store has more.
    drop(house.reserve(&whole(), 50).unwrap());
    permit.grow(Amount::exactly(m(25)), &house.now()).unwrap();
    permit.settle(charge(15));
    house.exchange(true);
    assert_eq!(house.settled("b"), 45);
}

#[test]
fn another_target_brings_other_accounts_or_leaves_all_as_it_was() {
    let model = |id: &str, limit| Budget {
        selector: Selector::new([(Dimension::Model, vec![id.into()])]),
        ..sample::budget(id, limit)
    };
    let mut house = House::new(&[sample::budget("all", 100), model("cheap", 100), model("dear", 30)]);
    let at = |name| whole().with(Dimension::Model, Some(name));
    let mut permit = house.reserve(&at("cheap"), 20).unwrap();
    drop(house.reserve(&at("dear"), 30).unwrap());
    drop(house.reserve(&at("dear"), 25).unwrap());
    let free = |house: &House, id: &str| {
        house.book.accounts().iter().find(|a| *a.key.budget == *id).map(|a| a.view().held.nanos()).unwrap()
    };
    let seats = house.book.seats(&at("dear"), WALL, &[]);
    permit.move_to(seats.clone(), Amount::exactly(m(31)), &house.now()).unwrap_err();
    assert_eq!([free(&house, "all"), free(&house, "cheap"), free(&house, "dear")], [20, 20, 0]);
    permit.move_to(seats, Amount::exactly(m(30)), &house.now()).unwrap();
    assert_eq!([free(&house, "all"), free(&house, "cheap"), free(&house, "dear")], [30, 0, 30]);
    permit.settle(charge(10));
    house.exchange(true);
    assert_eq!(["all", "cheap", "dear"].map(|id| house.settled(id)), [10, 0, 10]);
}

#[test]
fn at_the_limit_each_policy_does_what_it_says() {
    let with = |at_limit| House::new(&[Budget { at_limit, ..sample::budget("b", 10) }]);
    let mut block = with(AtLimit::Block);
    block.reserve(&whole(), 10).unwrap().settle(charge(10));
    assert_eq!(block.reserve(&whole(), 1).unwrap_err().why, Why::Limit);
    block.reserve(&whole(), 0).unwrap().release();

    let mut alert = with(AtLimit::Alert);
    alert.reserve(&whole(), 50).unwrap().settle(charge(50));
    alert.exchange(false);
    assert_eq!(alert.settled("b"), 50);

    let mut throttle = with(AtLimit::Throttle { per_minute: 60 });
    throttle.reserve(&whole(), 10).unwrap().settle(charge(10));
    throttle.reserve(&whole(), 1).unwrap().settle(charge(1));
    let Why::Throttled(until) = throttle.reserve(&whole(), 1).unwrap_err().why else { panic!("it passes") };
    assert_eq!(until, throttle.tick.plus(Duration::from_secs(1)));
    throttle.tick = until;
    throttle.exchange(false);
    throttle.reserve(&whole(), 1).unwrap().settle(charge(1));
    throttle.exchange(false);
    assert_eq!(throttle.settled("b"), 12);

    let mut downgrade = with(AtLimit::Downgrade { route: "cheap".into() });
    downgrade.reserve(&whole(), 10).unwrap().settle(charge(10));
    assert_eq!(downgrade.reserve(&whole(), 1).unwrap_err().why, Why::Limit);
    let seats = downgrade.book.seats(&whole(), WALL, &["b".into()]);
    let permit = downgrade
        .book
        .reserve(RequestId::from_u128(99), seats, Amount::exactly(m(3)), &downgrade.now())
        .unwrap();
    permit.settle(charge(3));
    downgrade.exchange(true);
    assert_eq!(downgrade.settled("b"), 13, "it is counted");
}

#[test]
fn an_expected_budget_holds_what_is_likely() {
    let mut house = House::new(&[Budget { mode: Mode::Expected, ..sample::budget("b", 10) }]);
    drop(house.reserve(&whole(), 10).unwrap());
    let amount = Amount { worst: m(1_000), likely: m(4) };
    let seats = house.book.seats(&whole(), WALL, &[]);
    let permit = house.book.reserve(RequestId::from_u128(99), seats, amount, &house.now()).unwrap();
    assert_eq!(permit.held(), m(4));
    permit.settle(charge(17));
    house.exchange(true);
    assert_eq!(house.settled("b"), 17, "and is booked in full");
}

#[test]
fn without_the_store_each_budget_does_what_it_says() {
    for on_outage in [OnOutage::Closed, OnOutage::Open] {
        let mut house = House::new(&[Budget { on_outage, ..sample::budget("b", 100) }]);
        drop(house.reserve(&whole(), 10).unwrap());
        let reserve = |house: &House, amount, outage| {
            let seats = house.book.seats(&whole(), WALL, &[]);
            let now = Now { outage, ..house.now() };
            house
                .book
                .reserve(RequestId::from_u128(1), seats, Amount::exactly(m(amount)), &now)
                .map_err(|s| s.why)
        };
        let lease = house.book.accounts()[0].view().free.nanos();
        drop(reserve(&house, lease, true).expect("what is leased may be spent"));
        let more = reserve(&house, 90, true).map(drop);
        assert_eq!(more, if on_outage == OnOutage::Open { Ok(()) } else { Err(Why::Outage) });
        // Behind the fence not even what is leased.
        house.tick = house.tick.plus(Fences::default().own);
        let fenced = reserve(&house, 1, false).map(drop);
        assert_eq!(fenced, if on_outage == OnOutage::Open { Ok(()) } else { Err(Why::Outage) });
        house.exchange(false);
        reserve(&house, 1, false).expect("the store has answered");
    }
}

#[test]
fn what_lies_idle_goes_back() {
    let mut house = House::new(&[sample::budget("b", 1_000)]);
    house.reserve(&whole(), 100).unwrap().settle(charge(40));
    for _ in 0..100 {
        house.exchange(false);
    }
    assert!(house.teller.is_done(), "{:?}", house.teller);
    assert_eq!(house.book.accounts()[0].view().lease, Money::ZERO);
    house.book.sweep(Tick(u64::MAX));
    assert_eq!(house.book.accounts().len(), 0);
    assert_eq!(house.settled("b"), 40);
}

#[test]
fn a_book_that_is_full_refuses_and_forgets_nothing() {
    let vault = Mutex::new(Vault::new());
    vault.put_budget(&sample::budget("b", 100)).unwrap();
    let book = Book::new(Settings { most_places: 1, ..Settings::default() });
    book.rule_by(&vault.budgets().unwrap());
    let teller =
        Teller::new(Arc::clone(&book), vault.open_node("n", WALL).unwrap(), Fences::default(), Tick(0));
    let mut house = House { vault, book, teller, tick: Tick(1), requests: 0 };
    house.reserve(&whole(), 10).unwrap().settle(charge(10));
    assert_eq!(house.reserve(&whole(), 1).unwrap_err().why, Why::Full);
    house.exchange(false);
    house.reserve(&whole(), 1).unwrap().release();
}

#[test]
fn many_threads_neither_make_nor_lose_money() {
    let mut house = House::new(&[sample::budget("a", 1 << 40), sample::budget("b", 1 << 40)]);
    drop(house.reserve(&whole(), 100_000).unwrap());
    let spent = std::sync::atomic::AtomicI64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (book, spent, now) = (Arc::clone(&house.book), &spent, house.now());
            scope.spawn(move || {
                for round in 0..3_000_u64 {
                    let amount = (thread * 7 + round * 13) % 50 + 1;
                    let seats = book.seats(&whole(), WALL, &[]);
                    let id = RequestId::from_u128(u128::from(thread << 32 | round));
                    let Ok(permit) = book.reserve(id, seats, Amount::exactly(m(amount as i64)), &now) else {
                        continue;
                    };
                    let used = amount as i64 / 2;
                    match round % 3 {
                        0 => drop(permit),
                        _ => {
                            permit.settle(charge(used));
                            spent.fetch_add(used, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    for _ in 0..20 {
        house.exchange(true);
    }
    let spent = spent.into_inner();
    assert!(spent > 0);
    assert_eq!((house.settled("a"), house.settled("b")), (spent, spent));
    assert!(house.teller.is_done());
    assert_eq!(house.book.places(), 0);
}

proptest! {
    #[test]
    fn money_is_neither_made_nor_lost(deeds in proptest::collection::vec((0_u8..7, 0_i64..60, 0_usize..4), 1..60)) {
        let mut house = House::new(&[sample::budget("a", 200), Budget { mode: Mode::Expected, ..sample::budget("b", 150) }]);
        let mut permits: Vec<Permit> = Vec::new();
        let mut spent = 0;
        for (number, (deed, amount, which)) in deeds.into_iter().enumerate() {
            let now = house.now();
            let found = (which < permits.len()).then_some(which);
            match (deed, found) {
                (0 | 1, _) => {
                    let seats = house.book.seats(&whole(), WALL, &[]);
                    let amount = Amount { worst: m(amount), likely: m(amount / 2) };
                    permits.extend(house.book.reserve(RequestId::from_u128(number as u128), seats, amount, &now));
                }
                (2, Some(at)) => drop(permits[at].grow(Amount::exactly(m(amount)), &now)),
                (3, Some(at)) => {
                    permits.swap_remove(at).settle(charge(amount));
                    spent += amount;
                }
                (4, Some(at)) => permits.swap_remove(at).release(),
                (5, Some(at)) => {
                    permits[at].charge(charge(amount));
                    spent += amount;
                }
                _ => house.exchange(false),
            }
            for account in house.book.accounts() {
                let view = account.view();
                prop_assert_eq!(view.lease.nanos(), view.free.nanos() + view.held.nanos() + view.unbooked.nanos());
            }
        }
        permits.clear();
        for _ in 0..4 {
            house.exchange(true);
        }
        prop_assert!(house.teller.is_done());
        prop_assert_eq!((house.settled("a"), house.settled("b")), (spent, spent));
        prop_assert!(house.vault.leases().unwrap().is_empty());
    }
}

#[test]
fn whoever_waits_gets_what_is_missing_though_little_was_used_before() {
    let mut house = House::new(&[sample::budget("b", 1_000_000)]);
    // Many holds, of which a tenth is used: what is free is more than was spent, and less than is held.
    for _ in 0..50 {
        let permit = house.reserve(&whole(), 1_000).unwrap();
        permit.settle(charge(100));
        house.exchange(false);
    }
    assert_eq!(house.settled("b"), 5_000);
    // Without a word to the store.
    let held = house.book.reserve(
        RequestId::from_u128(99),
        house.book.seats(&whole(), WALL, &[]),
        Amount::exactly(m(1_000)),
        &house.now(),
    );
    held.unwrap().release();
}
