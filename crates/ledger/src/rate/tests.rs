use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lockgate_core::{Kind, Tick};
use proptest::prelude::*;

use super::*;
use crate::budget::Selector;
use crate::subject::{Dimension, Subject};

fn limit(name: &str, count: Count, amount: u64, every: Option<Every>) -> Limit {
    Limit { name: name.into(), count, amount, every, burst: amount, selector: Selector::default(), per: None }
}

fn requests(amount: u64, every: Every) -> Limit {
    limit("requests", Count::Requests, amount, Some(every))
}

fn limiter(limits: &[Limit]) -> Limiter {
    let limiter = Limiter::default();
    assert!(limits.iter().all(|limit| limit.mistakes().is_empty()));
    limiter.replace(limits.to_vec(), Tick(0));
    limiter
}

fn tokens(input: u64, output: u64) -> impl FnOnce() -> Measure {
    move || Measure { input, output }
}

fn ask(limiter: &Limiter, subject: &Subject<'_>, now: Tick) -> Result<Grant, Refused> {
    limiter.admit(subject, tokens(0, 0), now).map(|grant| grant.expect("a limit counts it"))
}

const NOBODY: Subject<'static> = Subject::new();

const fn seconds(count: u64) -> Tick {
    Tick(count * 1_000_000_000)
}

fn customer(name: &str) -> Subject<'_> {
    Subject::new().with(Dimension::Customer, Some(name))
}

#[test]
fn of_a_thousand_threads_at_once_exactly_as_many_pass_as_may() {
    for burst in [1, 50, 999] {
        let limiter = limiter(&[Limit { burst, ..requests(60, Every::Minute) }]);
        let passed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..1_000 {
                scope.spawn(|| {
                    if ask(&limiter, &NOBODY, seconds(5)).is_ok() {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner() as u64, burst);
    }
}

#[test]
fn what_threads_take_and_give_back_is_all_there_again() {
    let all = [
        limit("under way", Count::Concurrent, 7, None),
        limit("tokens", Count::Tokens, 1_000, Some(Every::Minute)),
        Limit { name: "most".into(), ..requests(90, Every::Hour) },
    ];
    let limiter = limiter(&all);
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (limiter, now, most) = (&limiter, &now, &most);
            scope.spawn(move || {
                for turn in 0..2_000 {
                    let measure = tokens(thread + 1, turn % 90);
                    if let Ok(Some(grant)) = limiter.admit(&NOBODY, measure, seconds(9)) {
                        most.fetch_max(now.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                        std::hint::spin_loop();
                        now.fetch_sub(1, Ordering::AcqRel);
                        grant.end(Used::Nothing, seconds(9));
                    }
                }
            });
        }
    });
    assert!((1..=7).contains(&most.into_inner()));
    for (count, free) in [(Count::Requests, 90), (Count::Tokens, 1_000)] {
        let grant = limiter.admit(&NOBODY, tokens(1, 0), seconds(9)).unwrap().unwrap();
        let standings = grant.standings(seconds(9));
        let standing = if count == Count::Requests { standings.requests } else { standings.tokens };
        assert_eq!(standing.map(|standing| standing.remaining), Some(free - 1), "{count:?}");
        grant.end(Used::Nothing, seconds(9));
    }
}

#[test]
fn a_place_comes_back_after_its_share_of_the_time_and_not_a_nanosecond_earlier() {
    // A third of a second is no whole number of nanoseconds.
    for (amount, every) in [(50, Every::Minute), (3, Every::Second), (7, Every::Day), (MOST, Every::Second)] {
        let limiter = limiter(&[Limit { burst: 2, ..requests(amount, every) }]);
        let start = 987_654_321_987;
        for _ in 0..2 {
            ask(&limiter, &NOBODY, Tick(start)).unwrap();
        }
        let wait = ask(&limiter, &NOBODY, Tick(start)).unwrap_err().wait;
        let share = every.time().as_nanos() as u64 / amount;
        if amount != MOST {
            assert!((share..=share + 2).contains(&(wait.as_nanos() as u64)), "{amount}: {wait:?}");
        }
        assert!(ask(&limiter, &NOBODY, Tick(start + share - 1)).is_err());
        ask(&limiter, &NOBODY, Tick(start + share + 1)).unwrap();
        assert!(ask(&limiter, &NOBODY, Tick(start + share + 1)).is_err() || amount == MOST);
    }
}

#[test]
fn all_limits_that_count_a_request_are_taken_or_none() {
    let team = Selector::new([(Dimension::Team, vec!["search".into()])]);
    let limiter = limiter(&[
        Limit { name: "all".into(), ..requests(10, Every::Minute) },
        Limit { name: "team".into(), selector: team, ..requests(3, Every::Hour) },
        limit("at once", Count::Concurrent, 100, None),
    ]);
    let search = Subject::new().with(Dimension::Team, Some("search"));
    let mut held: Vec<Grant> = (0..3).map(|_| ask(&limiter, &search, Tick(0)).unwrap()).collect();
    for _ in 0..50 {
        let refused = ask(&limiter, &search, Tick(0)).unwrap_err();
        assert_eq!(refused.name(), "team");
        assert_eq!(refused.standings.requests.map(|standing| standing.remaining), Some(0));
    }
    // The refusals took nothing of the others.
    held.extend((0..7).map(|_| ask(&limiter, &NOBODY, Tick(0)).unwrap()));
    let refused = ask(&limiter, &NOBODY, Tick(0)).unwrap_err();
    assert_eq!(refused.name(), "all");
    let error = refused.error();
    assert_eq!(error.kind(), Kind::RateLimited);
    assert_eq!(error.public(), "The limit \"all\" is used up: 10 requests a minute. Try again in 6s.");
    assert_eq!(error.wait(), Some(Duration::from_secs(6)));
    // Of several that are full, the one that lasts longest is told.
    let refused = ask(&limiter, &search, Tick(0)).unwrap_err();
    assert_eq!(refused.name(), "team");
}

#[test]
fn tokens_are_reserved_by_an_estimate_and_settled_by_what_was_used() {
    let limiter = limiter(&[limit("tokens", Count::Tokens, 1_000, Some(Every::Minute))]);
    let left = || {
        let refused = limiter.admit(&NOBODY, tokens(1_000, 0), Tick(0)).unwrap_err();
        refused.standings.tokens.unwrap().remaining
    };
    let grant = |input, output| limiter.admit(&NOBODY, tokens(input, output), Tick(0)).unwrap().unwrap();
    let (little, much, failed) = (grant(100, 500), grant(100, 100), grant(50, 50));
    assert_eq!(left(), 100);
    little.end(Used::Known(Measure { input: 90, output: 10 }), Tick(0));
    assert_eq!(left(), 600, "what was too much is back");
    failed.end(Used::Nothing, Tick(0));
    assert_eq!(left(), 700);
    much.end(Used::Known(Measure { input: 100, output: 1_300 }), Tick(0));
    assert_eq!(left(), 0);
    // 100 + 1,400 of 1,000 are used: 500 are owed, which takes half a minute, and then the next.
    let refused = limiter.admit(&NOBODY, tokens(1, 0), Tick(0)).unwrap_err();
    assert_eq!(refused.wait, Duration::from_millis(30_060));
    drop(grant_at(&limiter, 1, seconds(31)));
    // What nobody knows stays as it was taken.
    let refused = limiter.admit(&NOBODY, tokens(1_000, 0), seconds(31)).unwrap_err();
    assert_eq!(refused.standings.tokens.unwrap().remaining, 15);
}

fn grant_at(limiter: &Limiter, input: u64, now: Tick) -> Grant {
    limiter.admit(&NOBODY, tokens(input, 0), now).unwrap().unwrap()
}

#[test]
fn input_and_output_are_counted_apart_where_a_limit_says_so() {
    let limiter = limiter(&[
        limit("in", Count::InputTokens, 100, Some(Every::Hour)),
        limit("out", Count::OutputTokens, 10, Some(Every::Hour)),
    ]);
    drop(limiter.admit(&NOBODY, tokens(60, 4), Tick(0)).unwrap());
    assert_eq!(limiter.admit(&NOBODY, tokens(41, 0), Tick(0)).unwrap_err().name(), "in");
    assert_eq!(limiter.admit(&NOBODY, tokens(1, 7), Tick(0)).unwrap_err().name(), "out");
    drop(limiter.admit(&NOBODY, tokens(40, 6), Tick(0)).unwrap());
}

#[test]
fn what_is_larger_than_the_burst_passes_when_all_is_free_and_owes_the_rest() {
    let limiter = limiter(&[limit("tokens", Count::Tokens, 60, Some(Every::Minute))]);
    drop(grant_at(&limiter, 180, Tick(0)));
    assert!(limiter.admit(&NOBODY, tokens(1, 0), seconds(120)).is_err());
    drop(grant_at(&limiter, 1, seconds(121)));
    assert!(limiter.admit(&NOBODY, tokens(100, 0), seconds(179)).is_err());
    drop(grant_at(&limiter, 100, seconds(182)));
}

#[test]
fn what_time_has_given_back_is_not_given_back_twice() {
    let limiter = limiter(&[limit("tokens", Count::Tokens, 60, Some(Every::Minute))]);
    let early = grant_at(&limiter, 60, Tick(0));
    // All of it has come back by itself, and another has it now.
    let late = grant_at(&limiter, 60, seconds(60));
    early.end(Used::Nothing, seconds(60));
    assert!(limiter.admit(&NOBODY, tokens(1, 0), seconds(60)).is_err());
    // Half of this one's has.
    late.end(Used::Nothing, seconds(90));
    drop(grant_at(&limiter, 60, seconds(90)));
    assert!(limiter.admit(&NOBODY, tokens(1, 0), seconds(90)).is_err());
}

#[test]
fn a_nonsensical_report_does_not_close_a_limit_for_ever() {
    let limiter = limiter(&[limit("tokens", Count::Tokens, MOST, Some(Every::Second))]);
    let used = Measure { input: u64::MAX, output: u64::MAX };
    grant_at(&limiter, 1, Tick(0)).end(Used::Known(used), Tick(0));
    drop(grant_at(&limiter, 1, seconds(2)));
}

#[test]
fn concurrency_holds_until_the_end_however_that_comes() {
    let limiter = limiter(&[limit("at once", Count::Concurrent, 3, None)]);
    let mut held: Vec<Grant> = (0..3).map(|_| ask(&limiter, &NOBODY, Tick(0)).unwrap()).collect();
    let refused = ask(&limiter, &NOBODY, seconds(900)).unwrap_err();
    assert_eq!(
        refused.error().public(),
        "The limit \"at once\" is used up: 3 requests at once. Try again when one has ended."
    );
    assert!(refused.standings.is_empty());
    for end in [Used::Nothing, Used::Unknown, Used::Known(Measure { input: 5, output: 9 })] {
        held.pop().unwrap().end(end, Tick(0));
        held.insert(0, ask(&limiter, &NOBODY, Tick(0)).unwrap());
        assert!(ask(&limiter, &NOBODY, Tick(0)).is_err());
    }
    held.clear();
    drop([(); 3].map(|()| ask(&limiter, &NOBODY, Tick(0)).unwrap()));
}

#[test]
fn each_value_of_per_is_counted_by_itself() {
    let limiter = limiter(&[Limit { per: Some(Dimension::Customer), ..requests(2, Every::Hour) }]);
    for name in ["acme", "bmw"] {
        drop([(); 2].map(|()| ask(&limiter, &customer(name), Tick(0)).unwrap()));
    }
    let told =
        |subject: &Subject<'_>| ask(&limiter, subject, Tick(0)).unwrap_err().error().public().to_owned();
    assert!(told(&customer("acme")).starts_with("The limit \"requests\" of customer \"acme\" is used up"));
    drop([(); 2].map(|()| ask(&limiter, &NOBODY, Tick(0)).unwrap()));
    assert!(told(&NOBODY).starts_with("The limit \"requests\" without a customer is used up"));
}

#[test]
fn several_tags_count_on_each_and_a_limit_of_two_of_them_counts_once() {
    let tags: Vec<Arc<str>> = vec!["beta".into(), "eu".into()];
    let both = Subject::new().tagged(&tags);
    let each = limiter(&[Limit { per: Some(Dimension::Tag), ..requests(1, Every::Hour) }]);
    drop(ask(&each, &both, Tick(0)).unwrap());
    assert!(ask(&each, &Subject::new().tagged(&tags[1..]), Tick(0)).is_err());
    let selector = Selector::new([(Dimension::Tag, tags.clone())]);
    let one = limiter(&[Limit { selector, ..requests(2, Every::Hour) }]);
    drop([(); 2].map(|()| ask(&one, &both, Tick(0)).unwrap()));
    assert!(ask(&one, &both, Tick(0)).is_err());
    assert!(one.admit(&NOBODY, tokens(0, 0), Tick(0)).unwrap().is_none());
}

#[test]
fn a_hundred_thousand_values_are_told_apart_and_forgotten_when_they_are_idle() {
    let limiter = limiter(&[Limit { per: Some(Dimension::User), ..requests(1, Every::Minute) }]);
    let name = |who: u32| format!("user-{who}");
    let user =
        |name: &str, now| ask(&limiter, &Subject::new().with(Dimension::User, Some(name)), now).is_ok();
    assert!((0..100_000).all(|who| user(&name(who), Tick(0))));
    assert_eq!(limiter.values("requests"), 100_000);
    assert!((0..100_000).all(|who| !user(&name(who), seconds(59))), "each is remembered");
    assert!((100_000..250_000).all(|who| user(&name(who), seconds(61))));
    assert!(limiter.values("requests") <= 160_000, "{}", limiter.values("requests"));
    assert!((100_000..250_000).all(|who| !user(&name(who), seconds(62))), "none in use is forgotten");
}

#[test]
fn counters_survive_a_change_of_the_limits() {
    let one = Limit { name: "one".into(), ..requests(60, Every::Minute) };
    let limiter = limiter(std::slice::from_ref(&one));
    drop([(); 45].map(|()| ask(&limiter, &NOBODY, seconds(7)).unwrap()));
    let left = |limiter: &Limiter, now| {
        let grant = ask(limiter, &NOBODY, now).unwrap();
        let standing = grant.standings(now).requests.unwrap();
        grant.end(Used::Nothing, now);
        standing.remaining + 1
    };
    limiter.replace(vec![limit("new", Count::Concurrent, 9, None), one.clone()], seconds(7));
    assert_eq!(left(&limiter, seconds(7)), 15);
    // Another amount: what was used of the old one is used of the new one.
    limiter.replace(vec![Limit { amount: 100, burst: 100, ..one.clone() }], seconds(7));
    assert_eq!(left(&limiter, seconds(7)), 55);
    limiter.replace(vec![Limit { burst: 20, ..one.clone() }], seconds(7));
    assert!(ask(&limiter, &NOBODY, seconds(7)).is_err());
    limiter.replace(Vec::new(), seconds(7));
    assert!(limiter.is_empty());
    assert!(limiter.admit(&NOBODY, tokens(0, 0), seconds(7)).unwrap().is_none());
    // One that was gone begins anew.
    limiter.replace(vec![one], seconds(7));
    assert_eq!(left(&limiter, seconds(7)), 60);
}

#[test]
fn times_are_written_as_the_field_writes_them() {
    for (ms, text) in [
        (0, "0s"),
        (17, "17ms"),
        (1_000, "1s"),
        (8_640, "8.64s"),
        (60_000, "1m0s"),
        (90_951, "1m30.951s"),
        (360_000, "6m0s"),
        (3_605_000, "1h0m5s"),
        (86_400_000, "24h0m0s"),
    ] {
        assert_eq!(span(Duration::from_millis(ms)), text);
    }
    assert_eq!(span(Duration::from_nanos(1)), "1ms");
}

#[test]
fn a_draft_says_all_that_is_wrong_at_once_and_is_read_and_written_alike() {
    let draft = |json: &str| serde_json::from_str::<LimitDraft>(json).unwrap();
    let members = |json: &str| -> Vec<_> {
        draft(json).limit(&[], 0).unwrap_err().iter().map(|mistake| mistake.member).collect()
    };
    assert_eq!(members("{}"), ["name", "count", "amount"]);
    assert_eq!(members(r#"{"name":"a","count":"requests","amount":5}"#), ["every"]);
    assert_eq!(
        members(r#"{"name":"","count":"concurrent","amount":0,"every":"day","per":"model"}"#),
        ["name", "amount", "every", "per"]
    );
    assert_eq!(
        members(
            r#"{"name":"a","count":"calls","amount":1,"every":"week","burst":0,"per":"x","selector":{"model":["m"],"key":["k"]}}"#
        ),
        ["count", "every", "selector", "per"]
    );
    assert_eq!(members(r#"{"name":"a","count":"requests","amount":1,"every":"day","burst":400}"#), ["burst"]);
    let whole = r#"{"name":"a","count":"input_tokens","amount":9,"every":"hour","burst":3,"selector":{"team":["s*"]},"per":"user"}"#;
    let limit = draft(whole).limit(&[], 0).unwrap();
    assert_eq!(serde_json::to_string(&LimitDraft::of(&limit)).unwrap(), whole);
    let text = draft(r#"{"name":"a","count":"requests","amount":1,"every":"day","per":"provider"}"#)
        .limit(&[], 0)
        .unwrap_err();
    assert!(text[0].text.contains("use route"), "{text:?}");
}

// === against a plain model ===

/// A bucket that is filled as time passes, in fractions that lose nothing: the amount times the period to a unit.
struct Bucket {
    limit: Limit,
    /// Times the period, in nanoseconds. Below zero: owed.
    level: i128,
    at: u64,
}

impl Bucket {
    fn new(limit: &Limit) -> Self {
        let level = Self::times(limit, limit.burst);
        Self { limit: limit.clone(), level, at: 0 }
    }

    fn times(limit: &Limit, units: u64) -> i128 {
        i128::from(units) * limit.every.unwrap().time().as_nanos() as i128
    }

    fn take(&mut self, units: u64, now: u64) -> bool {
        let full = Self::times(&self.limit, self.limit.burst);
        self.level = (self.level + i128::from(now - self.at) * i128::from(self.limit.amount)).min(full);
        self.at = now;
        let cost = Self::times(&self.limit, units);
        let fits = cost.min(full) <= self.level;
        if fits {
            self.level -= cost;
        }
        fits
    }

    fn give(&mut self, units: u64) {
        self.level += Self::times(&self.limit, units);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Amounts that divide the period are counted as the bucket does, to the nanosecond.
    #[test]
    fn passes_exactly_what_a_bucket_would(
        amount in prop::sample::select(vec![1_u64, 2, 5, 50, 600, 60_000, 1_000_000]),
        burst in 1_u64..200,
        asks in prop::collection::vec((0_u64..3_000_000_000, 1_u64..260, 0_u8..4), 1..120),
    ) {
        let limit = Limit { burst, ..limit("tokens", Count::Tokens, amount, Some(Every::Minute)) };
        prop_assume!(limit.mistakes().is_empty());
        let (limiter, mut bucket, mut now) = (limiter(std::slice::from_ref(&limit)), Bucket::new(&limit), 0);
        for (pause, units, end) in asks {
            now += pause;
            let granted = limiter.admit(&NOBODY, tokens(units, 0), Tick(now));
            prop_assert_eq!(granted.is_ok(), bucket.take(units, now));
            let Ok(Some(grant)) = granted else { continue };
            // At once, so that nothing of it has come back by itself.
            match end {
                0 => { grant.end(Used::Nothing, Tick(now)); bucket.give(units); }
                1 => {
                    grant.end(Used::Known(Measure { input: units / 3, output: 0 }), Tick(now));
                    bucket.give(units - units / 3);
                }
                2 => {
                    grant.end(Used::Known(Measure { input: units, output: 40 }), Tick(now));
                    bucket.level -= Bucket::times(&limit, 40);
                }
                _ => drop(grant),
            }
        }
    }

    /// Whatever the amount, no stretch of time sees more than the burst and what comes back meanwhile.
    #[test]
    fn no_stretch_of_time_sees_more_than_may(
        amount in 1_u64..5_000,
        burst in 1_u64..50,
        every in prop::sample::select(Every::ALL.to_vec()),
        pauses in prop::collection::vec(0_u64..20_000_000_000, 1..200),
    ) {
        let limit = Limit { burst, ..requests(amount, every) };
        prop_assume!(limit.mistakes().is_empty());
        let (limiter, mut now, mut passed) = (limiter(std::slice::from_ref(&limit)), 0, Vec::new());
        for pause in pauses {
            now += pause;
            if ask(&limiter, &NOBODY, Tick(now)).is_ok() {
                passed.push(now);
            }
        }
        let period = every.time().as_nanos();
        for (first, from) in passed.iter().enumerate() {
            for (last, to) in passed.iter().enumerate().skip(first) {
                // Two nanoseconds for the two readings of the clock, which are whole.
                let back = u128::from(to - from + 2) * u128::from(amount) / period;
                prop_assert!((last - first + 1) as u128 <= u128::from(burst) + back);
            }
        }
    }

    /// Limits with and without selectors and `per`: a request passes exactly if all buckets that count it have room, and
    /// only then anything is taken.
    #[test]
    fn several_limits_are_all_or_none(
        amounts in prop::collection::vec((1_u64..6, 0_u8..3), 1..6),
        asks in prop::collection::vec((0_u64..9_000_000_000, 0_u8..4), 1..150),
    ) {
        let names = ["a", "b", "c", ""];
        let limits: Vec<Limit> = amounts.iter().enumerate().map(|(place, (amount, kind))| Limit {
            name: place.to_string().into(),
            per: (*kind == 1).then_some(Dimension::Customer),
            selector: if *kind == 2 {
                Selector::new([(Dimension::Customer, vec!["a".into()])])
            } else {
                Selector::default()
            },
            ..requests(*amount, Every::Minute)
        }).collect();
        let (limiter, mut buckets, mut now) = (limiter(&limits), BTreeMap::new(), 0);
        for (pause, who) in asks {
            now += pause;
            let name = names[usize::from(who)];
            let subject = Subject::new().with(Dimension::Customer, Some(name).filter(|name| !name.is_empty()));
            let mut keys: Vec<(usize, &str)> = Vec::new();
            for (place, (_, kind)) in amounts.iter().enumerate() {
                match kind {
                    1 => keys.push((place, name)),
                    2 if name != "a" => {}
                    _ => keys.push((place, "")),
                }
            }
            let mut took = Vec::new();
            let all = keys.iter().all(|key| {
                let bucket = buckets.entry(*key).or_insert_with(|| Bucket::new(&limits[key.0]));
                let fits = bucket.take(1, now);
                if fits { took.push(*key); }
                fits
            });
            if !all {
                for key in took { buckets.get_mut(&key).unwrap().give(1); }
            }
            prop_assert_eq!(limiter.admit(&subject, tokens(0, 0), Tick(now)).is_ok(), all);
        }
    }
}
