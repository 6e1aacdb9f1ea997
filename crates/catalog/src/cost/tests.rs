use proptest::prelude::*;

use super::*;
use crate::Catalog;
use crate::model::Uplift;
use crate::price::{Entry, Window};

fn entry(card: &str, bucket: Bucket, price: u64) -> Entry {
    Entry { card: Card::from_key(card).expect("a good card"), bucket, price: Price(price) }
}

fn model(entries: &[Entry]) -> Model {
    let mut model = Model::unknown("acme".into(), "m");
    model.prices = Prices::new(entries.to_vec(), vec![]);
    model
}

/// In millions of nano-dollars per million tokens, so that a token costs so many nano-dollars.
fn simple() -> Model {
    model(&[
        entry("", Bucket::Input, 2_000_000),
        entry("", Bucket::Output, 10_000_000),
        entry("", Bucket::CacheRead, 1_000_000),
        entry("batch", Bucket::Input, 1_000_000),
        entry("batch", Bucket::Output, 5_000_000),
    ])
}

fn of(model: &Model, usage: Usage, tier: Tier) -> Result<i64, Unknown> {
    let circumstances = Circumstances { tier, ..Circumstances::at(0) };
    cost(model, &usage, &circumstances).map(|c| c.total.nanos())
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input, output, ..Usage::default() }
}

#[test]
fn buckets_are_priced_apart_and_summed() {
    let used = Usage { cache_read: 1_000, ..usage(100, 10) };
    let cost = cost(&simple(), &used, &Circumstances::at(0)).expect("all is priced");
    assert_eq!(cost.total, Money::from_nanos(100 * 2 + 1_000 + 10 * 10));
    let lines: Vec<_> = cost.lines().iter().map(|l| (l.bucket, l.units, l.price.0)).collect();
    assert_eq!(
        lines,
        [
            (Bucket::Input, 100, 2_000_000),
            (Bucket::CacheRead, 1_000, 1_000_000),
            (Bucket::Output, 10, 10_000_000)
        ]
    );
    assert!(!cost.is_assumed());
}

#[test]
fn what_has_no_price_is_unknown_and_says_what() {
    let known = simple();
    let images =
        Circumstances { units: Units { images_made: 1, ..Units::default() }, ..Circumstances::at(0) };
    assert_eq!(cost(&known, &Usage::default(), &images), Err(Unknown::Bucket(Bucket::ImageMade)));
    let searched = Usage { searches: 1, ..Usage::default() };
    assert_eq!(of(&known, searched, Tier::Standard), Err(Unknown::Bucket(Bucket::Search)));
    assert_eq!(of(&known, usage(1, 1), Tier::Priority), Err(Unknown::Tier(Tier::Priority)));
    assert_eq!(of(&model(&[]), usage(0, 0), Tier::Standard), Err(Unknown::Model));
    let input_only = model(&[entry("", Bucket::Input, 1)]);
    assert_eq!(of(&input_only, usage(1, 1), Tier::Standard), Err(Unknown::Bucket(Bucket::Output)));
    assert_eq!(
        of(&input_only, usage(1, 0), Tier::Standard),
        Ok(0),
        "a bucket that was not used needs no price"
    );
}

#[test]
fn rules_of_the_trade_are_seen_in_the_lines() {
    let used = Usage {
        cache_write: 1,
        cache_write_1h: 1,
        audio_input: 1,
        image_input: 1,
        reasoning: 1,
        audio_output: 1,
        image_output: 1,
        ..Usage::default()
    };
    let cost = cost(&simple(), &used, &Circumstances::at(0)).expect("each has a rule");
    assert_eq!(cost.total, Money::from_nanos(4 * 2 + 3 * 10));
    assert!(cost.is_assumed());
    for line in cost.lines() {
        let assumed: Vec<_> = line.assumed().collect();
        let text = if line.price.0 == 2_000_000 { Bucket::Input } else { Bucket::Output };
        assert_eq!(assumed, [Assumed::PricedAs(text)], "{:?}", line.bucket);
    }
}

#[test]
fn an_hour_in_the_cache_is_a_write_before_it_is_input() {
    let model = model(&[entry("", Bucket::Input, 1_000_000), entry("", Bucket::CacheWrite, 3_000_000)]);
    let used = Usage { cache_write_1h: 2, ..Usage::default() };
    assert_eq!(of(&model, used, Tier::Standard), Ok(6));
}

#[test]
fn a_tier_keeps_the_standard_price_of_what_it_does_not_list() {
    let used = Usage { cache_read: 10, ..usage(10, 0) };
    let circumstances = Circumstances { tier: Tier::Batch, ..Circumstances::at(0) };
    let cost = cost(&simple(), &used, &circumstances).expect("all is priced");
    assert_eq!(cost.total, Money::from_nanos(10 + 10));
    let assumed: Vec<_> = cost.lines().iter().map(|l| l.assumed().collect::<Vec<_>>()).collect();
    assert_eq!(assumed, [vec![], vec![Assumed::StandardPrice]]);
}

#[test]
fn a_long_prompt_is_dearer_from_one_token_above_the_threshold() {
    let model = model(&[
        entry("", Bucket::Input, 1_000_000),
        entry("", Bucket::Output, 1_000_000),
        entry("", Bucket::CacheRead, 1_000_000),
        entry(">1000", Bucket::Input, 2_000_000),
        entry(">1000", Bucket::Output, 3_000_000),
    ]);
    assert_eq!(of(&model, usage(1_000, 1), Tier::Standard), Ok(1_001));
    assert_eq!(of(&model, usage(1_001, 1), Tier::Standard), Ok(2_002 + 3));
    let cached = Usage { cache_read: 1_000, ..usage(1, 1) };
    assert_eq!(
        of(&model, cached, Tier::Standard),
        Ok(2 + 1_000 + 3),
        "all input buckets count, the cache's price stays"
    );
    let cost = cost(&model, &cached, &Circumstances::at(0)).expect("all is priced");
    assert_eq!(cost.lines()[1].assumed().collect::<Vec<_>>(), [Assumed::BelowThreshold]);
    assert_eq!(of(&model, usage(0, 5_000), Tier::Standard), Ok(5_000), "output does not make a prompt long");
}

#[test]
fn a_tier_without_a_price_for_long_prompts_is_unknown_for_them() {
    let model = model(&[
        entry("", Bucket::Input, 1_000_000),
        entry("prio", Bucket::Input, 2_000_000),
        entry(">1000", Bucket::Input, 4_000_000),
    ]);
    assert_eq!(of(&model, usage(1_000, 0), Tier::Priority), Ok(2_000));
    let unknown = Unknown::LongPrompt { tier: Tier::Priority, above: 1_000 };
    assert_eq!(of(&model, usage(1_001, 0), Tier::Priority), Err(unknown));
}

#[test]
fn off_peak_hours_are_those_of_the_week() {
    let mut model = simple();
    let entries = [model.prices.entries(), &[entry("@0", Bucket::Input, 500_000)]].concat();
    // Sunday 23:00 to Monday 01:00.
    model.prices =
        Prices::new(entries, vec![Window::new(vec![(0, 60), (10_020, 10_080)]).expect("good spans")]);
    let monday: u64 = 1_795_392_000_000;
    let at = |minutes: i64| {
        let circumstances = Circumstances::at(monday.saturating_add_signed(minutes * 60_000));
        cost(&model, &usage(2, 1), &circumstances).map(|c| c.total.nanos())
    };
    assert_eq!([at(-61), at(-60), at(-1), at(0), at(59), at(60)], [14, 11, 11, 11, 11, 14].map(Ok));
}

#[test]
fn a_free_model_costs_nothing_whatever_was_used() {
    let mut model = model(&[]);
    model.free = true;
    let used = Usage { searches: 3, reasoning: 9, ..usage(1_000, 10) };
    let cost =
        cost(&model, &used, &Circumstances { tier: Tier::Batch, ..Circumstances::at(0) }).expect("free");
    assert_eq!((cost.total, cost.lines().len(), cost.is_assumed()), (Money::ZERO, 4, false));
}

#[test]
fn fees_are_for_each_of_their_kind() {
    let model = model(&[
        entry("", Bucket::Input, 1),
        entry("", Bucket::Request, 5_000_000_000_000),
        entry("", Bucket::Search, 10_000_000_000_000),
        entry("", Bucket::SearchHigh, 12_000_000_000_000),
        entry("batch", Bucket::Input, 1),
    ]);
    let used = Usage { searches: 3, ..Usage::default() };
    assert_eq!(of(&model, used, Tier::Standard), Ok(5_000_000 + 30_000_000));
    assert_eq!(of(&model, used, Tier::Batch), Ok(35_000_000));
    let high = Circumstances { search: SearchSize::High, ..Circumstances::at(0) };
    assert_eq!(cost(&model, &used, &high).map(|c| c.total.nanos()), Ok(41_000_000));
    let low = Circumstances { search: SearchSize::Low, ..Circumstances::at(0) };
    assert!(cost(&model, &used, &low).expect("as medium").is_assumed());
}

#[test]
fn processing_in_a_place_can_cost_more() {
    let mut model = simple();
    model.uplift = Uplift { us: 100, eu: 0, regional: 0 };
    let at = |place| {
        let circumstances = Circumstances { place, ..Circumstances::at(0) };
        cost(&model, &usage(10, 10), &circumstances).map(|c| (c.total.nanos(), c.uplift))
    };
    assert_eq!([at(Place::Anywhere), at(Place::Us), at(Place::Eu)], [(120, 0), (132, 100), (120, 0)].map(Ok));
}

#[test]
fn a_cost_beyond_all_money_is_unknown() {
    let model = model(&[entry("", Bucket::Input, u64::MAX)]);
    assert_eq!(of(&model, usage(u64::MAX, 0), Tier::Standard), Err(Unknown::TooMuch));
}

// A second calculation that shares nothing with the first: schoolbook arithmetic on decimal digits.

/// The digits of a number, the lowest first.
fn digits(number: u64) -> Vec<u8> {
    number.to_string().bytes().rev().map(|b| b - b'0').collect()
}

fn product(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut sum = vec![0_u32; a.len() + b.len()];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            sum[i + j] += u32::from(*x) * u32::from(*y);
        }
    }
    carried(sum)
}

fn total(a: &[u8], b: &[u8]) -> Vec<u8> {
    let at = |n: &[u8], i| u32::from(n.get(i).copied().unwrap_or(0));
    carried((0..=a.len().max(b.len())).map(|i| at(a, i) + at(b, i)).collect())
}

fn carried(sum: Vec<u32>) -> Vec<u8> {
    let mut carry = 0;
    let mut out: Vec<u8> = sum
        .into_iter()
        .map(|n| {
            let n = n + carry;
            carry = n / 10;
            (n % 10) as u8
        })
        .collect();
    while carry > 0 {
        out.push((carry % 10) as u8);
        carry /= 10;
    }
    out
}

/// Six digits are cut off, the last of them rounding half up; `None` if the rest does not fit.
fn rounded(exact: &[u8]) -> Option<i64> {
    let up = total(exact, &digits(500_000));
    let text: String = up.iter().skip(6).rev().map(|d| char::from(d + b'0')).collect();
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let count = || prop_oneof![4 => 0_u64..5, 4 => 0_u64..2_000_000, 1 => any::<u64>()];
    proptest::array::uniform11(count()).prop_map(|n| Usage {
        input: n[0],
        cache_read: n[1],
        cache_write: n[2],
        cache_write_1h: n[3],
        audio_input: n[4],
        image_input: n[5],
        output: n[6],
        reasoning: n[7],
        audio_output: n[8],
        image_output: n[9],
        searches: n[10],
        ..Usage::default()
    })
}

proptest! {
    #[test]
    fn a_cost_is_that_of_schoolbook_arithmetic(used in any_usage(), prices in proptest::array::uniform21(0_u64..1_000_000_000_000)) {
        let entries: Vec<_> = Bucket::all().zip(prices).map(|(bucket, price)| entry("", bucket, price)).collect();
        let counts = [
            (0, used.input), (1, used.output), (2, used.cache_read), (3, used.cache_write), (4, used.cache_write_1h),
            (5, used.reasoning), (6, used.audio_input), (7, used.audio_output), (8, used.image_input),
            (9, used.image_output), (10, 1), (11, used.searches),
        ];
        let exact = counts.iter().fold(vec![0], |sum, (bucket, count)| {
            total(&sum, &product(&digits(*count), &digits(prices[*bucket])))
        });
        let cost = cost(&model(&entries), &used, &Circumstances::at(0));
        prop_assert_eq!(cost.ok().map(|c| c.total.nanos()), rounded(&exact));
    }

    #[test]
    fn lines_add_up_to_the_total(used in any_usage(), pick in any::<prop::sample::Index>(), at in any::<u64>()) {
        let catalog = catalog();
        let models: Vec<_> = catalog.iter().filter(|m| m.is_priced()).collect();
        let model = pick.get(&models);
        for tier in [Tier::Standard, Tier::Batch, Tier::Flex, Tier::Priority, Tier::Fast] {
            let circumstances = Circumstances { tier, ..Circumstances::at(at) };
            if let Ok(cost) = cost(model, &used, &circumstances) {
                let exact = cost.lines().iter().fold(vec![0], |sum, line| {
                    total(&sum, &product(&digits(line.units), &digits(line.price.0)))
                });
                prop_assert_eq!(Some(cost.total.nanos()), rounded(&exact));
                let tokens: u128 = cost.lines().iter().filter(|l| l.bucket.is_tokens()).map(|l| u128::from(l.units)).sum();
                let used_tokens = [
                    used.input, used.cache_read, used.cache_write, used.cache_write_1h, used.audio_input, used.image_input,
                    used.output, used.reasoning, used.audio_output, used.image_output,
                ];
                prop_assert_eq!(tokens, used_tokens.iter().map(|n| u128::from(*n)).sum::<u128>(), "no token is left out");
            }
        }
    }
}

fn catalog() -> &'static Catalog {
    static CATALOG: std::sync::OnceLock<Catalog> = std::sync::OnceLock::new();
    CATALOG.get_or_init(Catalog::built_in)
}
