//! Records, keys and filters to put to the question.

use std::ops::Range;
use std::sync::Arc;

use lockgate_core::decision::{
    Candidate, Choice, Decision, Exclusion, Fired, Matched, Standing, Terms, Verdict,
};
use lockgate_core::key::{Key, KeyHash};
use lockgate_core::port::Filter;
use lockgate_core::record::{Attempt, Outcome, Record, Target};
use lockgate_core::usage::{Source, Usage};
use lockgate_core::{Attribution, Kind, Money, RequestId, Role};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// A plain record; its id and so its time of arrival grow with `number`, three to a millisecond.
pub fn record(number: u64) -> Box<Record> {
    let name = |text: &str| -> Arc<str> { Arc::from(text) };
    let target = |provider, model| Target { provider: name(provider), model: name(model) };
    let candidate = |provider, model| Candidate {
        provider: name(provider),
        model: name(model),
        standing: Standing::Eligible,
        note: None,
    };
    Box::new(Record {
        id: RequestId::from_u128(u128::from(1_790_000_000_000 + number / 3) << 80 | u128::from(number)),
        dialect: name("openai_chat"),
        key: name("key_0123456789abcdef"),
        key_name: name("support bot"),
        attribution: Attribution { customer: Some(name("acme")), ..Attribution::default() },
        asked: name("support-bot"),
        stream: true,
        target: Some(target("openai", "gpt-5-mini")),
        outcome: Outcome::Ok,
        status: 200,
        error: None,
        detail: None,
        usage: Some(Usage { input: 812, output: 154, ..Usage::default() }),
        cost: Some(Money::from_nanos(511_000)),
        took_us: 1_204_311,
        first_content_us: Some(310_220),
        overhead_us: 41,
        decision: Some(Arc::new(Decision {
            snapshot: 7,
            matched: Matched::Route,
            candidates: [candidate("openai", "gpt-5-mini"), candidate("groq", "llama-4-scout")].into(),
            choice: None,
        })),
        losses: Vec::new(),
        attempts: vec![Attempt {
            took_us: 310_150,
            status: Some(200),
            ..Attempt::begun(target("openai", "gpt-5-mini"), 41)
        }],
    })
}

/// A plain key, different for each number.
pub fn key(number: u8) -> Key {
    Key {
        id: Arc::from(format!("key_{number:016}")),
        name: Arc::from(format!("key {number}")),
        hint: format!("h{number:03}"),
        hash: KeyHash([number; 32]),
        created_ms: 1_790_000_000_000 + u64::from(number),
        expires_ms: None,
        revoked_ms: None,
        models: vec!["openai/*".to_owned()],
        metadata: [("team".to_owned(), "search".to_owned())].into(),
    }
}

/// Any record: few names, so that filters find something, and now and then any text and any number.
pub fn any_record() -> impl Strategy<Value = Box<Record>> {
    let whose = (any_id(), word(), word(), word(), any_attribution());
    let what = (word(), any::<bool>(), option::of(any_target()), any_usage(), option::of(any::<i64>()));
    let end = (select(Outcome::ALL), any::<u16>(), any_kind(), option::of(any::<String>()));
    let losses = vec(word(), 0..3);
    let how =
        (option::of(any_decision()), vec(any_attempt(), 0..4), losses, any::<(u32, Option<u32>, u32)>());
    (whose, what, end, how).prop_map(|(whose, what, end, how)| {
        let (id, dialect, key, key_name, attribution) = whose;
        let (asked, stream, target, usage, cost) = what;
        let (outcome, status, error, detail) = end;
        let (decision, attempts, losses, (took_us, first_content_us, overhead_us)) = how;
        let cost = cost.map(Money::from_nanos);
        Box::new(Record {
            id,
            dialect,
            key,
            key_name,
            attribution,
            asked,
            stream,
            target,
            outcome,
            status,
            error,
            detail,
            usage,
            cost,
            took_us,
            first_content_us,
            overhead_us,
            decision: decision.map(Arc::new),
            attempts,
            losses,
        })
    })
}

fn any_id() -> impl Strategy<Value = RequestId> {
    // Few milliseconds and few chances, so that ids meet; or any 128 bits.
    let near = (0_u128..4, 0_u128..4).prop_map(|(at, rest)| (1_790_000_000_000 + at) << 80 | rest);
    prop_oneof![3 => near, 1 => any::<u128>()].prop_map(RequestId::from_u128)
}

fn word() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![8 => "[ab]{1,2}", 1 => any::<String>(), 1 => "[%_*?\\[\\]\\\\'\"\0é]{0,3}"]
        .prop_map(Arc::from)
}

fn any_kind() -> impl Strategy<Value = Option<Kind>> {
    prop_oneof![1 => Just(None), 2 => select(&Kind::ALL[..3]).prop_map(Some), 1 => select(Kind::ALL).prop_map(Some)]
}

fn any_target() -> impl Strategy<Value = Target> {
    (word(), word()).prop_map(|(provider, model)| Target { provider, model })
}

fn any_attribution() -> impl Strategy<Value = Attribution> {
    let dimension = || option::of(word());
    let ours = (dimension(), dimension());
    (ours, dimension(), dimension(), dimension(), dimension(), dimension(), vec(word(), 0..4)).prop_map(
        |((organisation, team), customer, project, user, feature, session, tags)| Attribution {
            organisation,
            team,
            customer,
            project,
            user,
            feature,
            session,
            tags,
        },
    )
}

fn any_usage() -> impl Strategy<Value = Option<Usage>> {
    option::of((any::<[u64; 11]>(), any::<bool>()).prop_map(|(counts, estimated)| {
        let source = if estimated { Source::Estimated } else { Source::Reported };
        Usage::from_counts(counts, source)
    }))
}

fn any_decision() -> impl Strategy<Value = Decision> {
    let standing = prop_oneof![Just(Standing::Eligible), select(Exclusion::ALL).prop_map(Standing::Excluded)];
    let note = option::weighted(0.2, word());
    let candidate = (any_target(), standing, note).prop_map(|(target, standing, note)| Candidate {
        provider: target.provider,
        model: target.model,
        standing,
        note,
    });
    let choice = option::weighted(0.3, any_choice().prop_map(Box::new));
    (any::<u64>(), select(Matched::ALL), vec(candidate, 0..20), choice).prop_map(
        |(snapshot, matched, candidates, choice)| Decision {
            snapshot,
            matched,
            candidates: candidates.into(),
            choice,
        },
    )
}

fn any_choice() -> impl Strategy<Value = Choice> {
    let terms =
        any::<(u16, i64, u32, u64, Option<i64>)>().prop_map(|(candidate, score, quality, first_us, cost)| {
            Terms {
                candidate,
                score,
                quality,
                first_us,
                cost: cost.map(Money::from_nanos),
                ..Terms::default()
            }
        });
    let rule = (word(), select(Verdict::ALL)).prop_map(|(rule, verdict)| Fired { rule, verdict });
    (
        vec(word(), 0..3),
        vec(rule, 0..3),
        vec(any::<u16>(), 0..5),
        vec(terms, 0..5),
        vec(any::<u32>(), 0..9),
        any::<u64>(),
    )
        .prop_map(|(path, rules, order, terms, values, seed)| Choice {
            path,
            rules,
            order,
            terms,
            values: values.into(),
            seed,
            ..Choice::default()
        })
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    let rest = any::<(u32, u32, Option<u16>, Option<String>)>();
    let later = (option::of(word()), select(Role::ALL), any_usage(), option::of(any::<i64>()));
    (any_target(), any_kind(), rest, later).prop_map(|(target, error, rest, later)| {
        let (at_us, took_us, status, detail) = rest;
        let (credential, role, usage, cost) = later;
        let cost = cost.map(Money::from_nanos);
        Attempt { target, at_us, took_us, status, error, detail, credential, role, usage, cost }
    })
}

pub(super) fn any_filter() -> impl Strategy<Value = Filter> {
    let text = || option::weighted(0.3, word().prop_map(|word| word.to_string()));
    let moment = || prop_oneof![1_790_000_000_000_u64..1_790_000_000_005, any::<u64>()];
    let span = (moment(), moment()).prop_map(|(start, end)| Range { start, end });
    let model = option::weighted(
        0.3,
        (word(), any::<bool>()).prop_map(
            |(word, all)| {
                if all { format!("{word}*") } else { word.to_string() }
            },
        ),
    );
    let when = (option::weighted(0.3, span), option::weighted(0.3, any_id()));
    let what = (option::weighted(0.3, select(Outcome::ALL)), any_kind());
    (when, text(), text(), model, what, text(), any::<bool>(), 0_usize..8).prop_map(
        |((arrived_ms, after), key, provider, model, (outcome, error), customer, latest, limit)| Filter {
            arrived_ms,
            after,
            key,
            provider,
            model,
            outcome,
            error,
            customer,
            limit,
            latest,
        },
    )
}

pub(super) fn any_key() -> impl Strategy<Value = Key> {
    let moments = any::<(u64, Option<u64>, Option<u64>)>();
    let texts = (any::<[u8; 32]>(), any::<String>(), vec(any::<String>(), 0..3));
    let metadata = proptest::collection::btree_map(any::<String>(), any::<String>(), 0..3);
    (word(), texts, moments, metadata).prop_map(
        |(name, (hash, hint, models), (created_ms, expires_ms, revoked_ms), metadata)| Key {
            id: Arc::from("key_0"),
            name,
            hint,
            hash: KeyHash(hash),
            created_ms,
            expires_ms,
            revoked_ms,
            models,
            metadata,
        },
    )
}
