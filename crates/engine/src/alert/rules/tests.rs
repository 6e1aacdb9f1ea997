use lockgate_core::port::EventSink as _;
use lockgate_core::{Attribution, Clock as _, Error, Event, Kind, Outcome, Record, RequestId, Usage};
use lockgate_testkit::clock::START_MS;
use lockgate_testkit::{HandClock, KeptEvents};

use super::super::signal::Watch;
use super::*;

const SECOND: u64 = 1_000;

fn rules() -> Rules {
    Rules::new(Money::from_nanos(1_000_000_000))
}

/// What a signal is worth when the provider in it, if there is one, is out or not.
fn judged(rules: &mut Rules, signal: Signal, now_ms: u64, is_out: bool) -> Option<Alert> {
    rules.judge(signal, now_ms, &|_| is_out)
}

fn ticked(rules: &mut Rules, now_ms: u64) -> Vec<Alert> {
    rules.tick(now_ms, Money::ZERO, Vec::new())
}

#[test]
fn a_threshold_is_told_with_whose_account_it_is() {
    let crossed = |percent| Signal::Crossed {
        budget: "customers".into(),
        value: "acme".into(),
        percent,
        spent: Money::from_nanos(8_000_000_000),
        limit: Money::from_nanos(10_000_000_000),
    };
    let told = judged(&mut rules(), crossed(80), 0, false).unwrap();
    assert_eq!((told.topic, told.gravity, &*told.subject), (Topic::Budget, Gravity::Warning, "customers"));
    assert_eq!(
        told.text,
        "The budget \"customers\" of \"acme\" has reached 80 % of its limit: 8.00 of 10.00 dollars are spent."
    );
    assert_eq!((&told.facts["spent"], &told.facts["percent"]), (&json!("8.00"), &json!(80)));
    assert_eq!(judged(&mut rules(), crossed(100), 0, false).unwrap().gravity, Gravity::Critical);
    assert!(judged(&mut rules(), crossed(0), 0, false).unwrap().text.contains("its soft limit"));
}

#[test]
fn an_outage_is_told_once_and_so_is_its_end() {
    let mut rules = rules();
    let signal = || Signal::Breaker("openai".into());
    assert_eq!(judged(&mut rules, signal(), 0, false), None, "another endpoint is in rotation");
    let out = judged(&mut rules, signal(), 1, true).unwrap();
    assert_eq!((out.topic, out.gravity), (Topic::Outage, Gravity::Critical));
    assert_eq!(judged(&mut rules, signal(), 2, true), None, "it was told");
    let back = judged(&mut rules, signal(), 3, false).unwrap();
    assert_eq!((back.gravity, &back.facts["state"]), (Gravity::Info, &json!("back")));
    assert_eq!(judged(&mut rules, signal(), 4, false), None);
}

#[test]
fn a_store_that_fails_for_a_minute_is_told_and_so_is_its_recovery() {
    for part in [Part::Records, Part::Ledger] {
        let mut rules = rules();
        judged(&mut rules, Signal::Failing(part), 0, false);
        judged(&mut rules, Signal::Failing(part), 50 * SECOND, false);
        assert_eq!(ticked(&mut rules, 59 * SECOND), []);
        let told = ticked(&mut rules, 60 * SECOND);
        assert_eq!((told.len(), told[0].gravity), (1, Gravity::Critical));
        assert_eq!(ticked(&mut rules, 600 * SECOND), [], "once");
        let back = judged(&mut rules, Signal::Working(part), 660 * SECOND, false).unwrap();
        assert_eq!(back.facts["seconds"], json!(660));
    }
}

#[test]
fn a_short_failure_is_told_neither_when_it_begins_nor_when_it_ends() {
    let mut rules = rules();
    judged(&mut rules, Signal::Failing(Part::Ledger), 0, false);
    assert_eq!(judged(&mut rules, Signal::Working(Part::Ledger), 59 * SECOND, false), None);
    assert_eq!(ticked(&mut rules, 120 * SECOND), []);
}

#[test]
fn lost_records_are_told_at_once_and_then_summed_up_by_the_hour() {
    let mut rules = rules();
    let first = judged(&mut rules, Signal::Dropped(3), 0, false).unwrap();
    assert_eq!(first.facts["lost"], json!(3));
    assert_eq!(judged(&mut rules, Signal::Dropped(4), SECOND, false), None);
    assert_eq!(judged(&mut rules, Signal::Dropped(5), 2 * SECOND, false), None);
    let later = ticked(&mut rules, HOUR_MS);
    assert_eq!((later.len(), &later[0].facts["lost"]), (1, &json!(9)));
    assert_eq!(ticked(&mut rules, 3 * HOUR_MS), [], "nothing was lost since");
}

#[test]
fn an_unknown_price_is_told_once_a_day() {
    let mut rules = rules();
    let signal = || Signal::Unpriced(Target { provider: "openai".into(), model: "new".into() });
    assert_eq!(&*judged(&mut rules, signal(), 0, false).unwrap().subject, "openai/new");
    assert_eq!(judged(&mut rules, signal(), DAY_MS - 1, false), None);
    assert!(judged(&mut rules, signal(), DAY_MS, false).is_some());
}

#[test]
fn a_forecast_is_told_once_a_window_for_each_account() {
    let mut rules = rules();
    let forecast = |value: &str, begins_ms| Forecast {
        id: "bud_1".into(),
        budget: "customers".into(),
        value: value.into(),
        spent: Money::from_nanos(5_000_000_000),
        limit: Money::from_nanos(10_000_000_000),
        begins_ms,
        hits_ms: begins_ms + HOUR_MS,
        resets_ms: begins_ms + DAY_MS,
    };
    let told = rules.foresee(vec![forecast("a", 0), forecast("b", 0)], SECOND);
    assert_eq!(told.len(), 2);
    assert!(
        told[0].text.contains("at 1970-01-01T01:00:00Z, before its window ends at 1970-01-02"),
        "{}",
        told[0].text
    );
    assert_eq!(rules.foresee(vec![forecast("a", 0)], HOUR_MS), []);
    assert_eq!(rules.foresee(vec![forecast("a", DAY_MS)], DAY_MS + SECOND).len(), 1);
}

#[test]
fn unusual_spending_is_told_once_an_hour_for_each_budget_and_for_all() {
    let mut rules = rules();
    let mut sum = 0_i64;
    let mut look = |rules: &mut Rules, minute: u64, dollars: i64| {
        sum += dollars;
        let sum = Money::from_nanos(sum * 1_000_000_000);
        rules.tick(minute * 60_000, sum, vec![("team".into(), sum)])
    };
    for hour in 0..30 {
        assert_eq!(look(&mut rules, hour * 60 + 59, 1), []);
    }
    let told = look(&mut rules, 30 * 60 + 10, 40);
    let subjects: Vec<&str> = told.iter().map(|alert| &*alert.subject).collect();
    assert_eq!(subjects, ["all requests", "team"]);
    assert!(
        told[0].text.contains("have cost 40.00 dollars in this hour; usual are 1.00"),
        "{}",
        told[0].text
    );
    assert_eq!(look(&mut rules, 30 * 60 + 20, 40), [], "once an hour");
    assert_eq!(look(&mut rules, 31 * 60 + 20, 40).len(), 2);
}

#[test]
fn what_was_told_is_remembered_within_a_bound() {
    let mut rules = rules();
    for n in 0..MOST_TOLD + 10 {
        assert!(rules.is_new(&format!("key {n}"), 0, 1_000 + n as u64));
    }
    assert_eq!(rules.told.len(), MOST_TOLD);
    assert!(!rules.is_new(&format!("key {}", MOST_TOLD + 9), 0, 1));
    assert!(rules.is_new("key 0", 0, 1), "those that end first were forgotten");
}

// === what the watch hears ===

fn watch() -> (Arc<HandClock>, Arc<KeptEvents>, Arc<Watch>) {
    let (clock, events) = (Arc::new(HandClock::new()), Arc::new(KeptEvents::default()));
    let watch = Watch::new(events.clone(), clock.clone());
    (clock, events, watch)
}

#[test]
fn a_failure_that_repeats_is_one_signal_until_it_works_again() {
    let (clock, _, watch) = watch();
    assert_eq!(clock.wall_ms(), START_MS);
    let written = Event::RecordsWritten { count: 1, took_us: 1 };
    watch.emit(&written);
    for _ in 0..5 {
        watch.emit(&Event::StoreFailed { detail: "disk full" });
    }
    watch.emit(&written);
    watch.emit(&written);
    assert_eq!(watch.take(), [Signal::Failing(Part::Records), Signal::Working(Part::Records)]);
}

#[test]
fn signals_have_a_bound_and_every_event_passes_on() {
    let (_, events, watch) = watch();
    for epoch in 0..5_000 {
        watch.emit(&Event::NodeGivenUp { epoch });
    }
    assert_eq!(watch.take().len(), 1_024);
    assert_eq!(events.take().len(), 5_000);
}

#[test]
fn a_model_without_a_price_is_signalled_once_a_day_and_what_has_one_is_summed() {
    let (clock, _, watch) = watch();
    let mut record = Record {
        id: RequestId::from_u128(7),
        dialect: "openai_chat".into(),
        key: "key_0123456789abcdef".into(),
        key_name: "key".into(),
        attribution: Attribution::default(),
        asked: "m".into(),
        stream: false,
        target: Some(Target { provider: "p".into(), model: "m".into() }),
        outcome: Outcome::Ok,
        status: 200,
        error: None,
        detail: None,
        usage: Some(Usage { input: 1, ..Usage::default() }),
        cost: None,
        took_us: 1,
        first_content_us: None,
        overhead_us: 1,
        decision: None,
        losses: Vec::new(),
        attempts: Vec::new(),
    };
    for _ in 0..3 {
        watch.emit(&Event::RequestFinished(&record));
    }
    assert_eq!(watch.take().len(), 1);
    clock.advance(std::time::Duration::from_secs(86_400));
    watch.emit(&Event::RequestFinished(&record));
    assert_eq!(watch.take().len(), 1);
    record.cost = Some(Money::from_nanos(5));
    watch.emit(&Event::RequestFinished(&record));
    watch.emit(&Event::RequestRefused(&Error::client(Kind::Unauthenticated, "no")));
    assert_eq!((watch.take().len(), watch.spent()), (0, Money::from_nanos(5)));
}
