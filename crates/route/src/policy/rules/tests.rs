//! What policies let through.

use lockgate_core::{Attribution, Key, KeyHash};
use proptest::prelude::*;

use super::*;
use crate::condition::Expression;
use crate::view::Card;

fn key() -> Key {
    Key {
        id: "key_1".into(),
        name: "prod-7".into(),
        hint: String::new(),
        hash: KeyHash([0; 32]),
        created_ms: 0,
        expires_ms: None,
        revoked_ms: None,
        models: Vec::new(),
        metadata: [("team".to_owned(), "core".to_owned())].into(),
    }
}

fn texts(list: &[&str]) -> Vec<Arc<str>> {
    list.iter().map(|text| (*text).into()).collect()
}

fn rule(name: &str) -> PolicyRule {
    PolicyRule {
        name: name.into(),
        audience: Audience::default(),
        condition: None,
        allow: Selection::default(),
        deny: Selection::default(),
        require: Require::default(),
        on_trial: false,
    }
}

fn target(provider: &str, model: &str) -> Target {
    Target { provider: provider.into(), model: model.into() }
}

fn judged(rules: Vec<PolicyRule>, name: (&str, &str), facts: &Facts) -> Judgement {
    let (key, whose) = (
        key(),
        Attribution { customer: Some("acme".into()), tags: texts(&["pii"]), ..Attribution::default() },
    );
    let ask = Ask::new("x", &key, &whose);
    let policies = Policies::new(rules);
    policies.judge(&policies.applying(&ask), &ask, &target(name.0, name.1), facts)
}

fn said(judgement: Judgement) -> String {
    match judgement {
        Judgement::Allowed => String::new(),
        Judgement::Blocked(note) => note.to_string(),
        Judgement::OnTrial(note) => format!("on trial {note}"),
    }
}

#[test]
fn what_is_denied_stays_denied_whatever_else_allows_it() {
    let allow =
        PolicyRule { allow: Selection { models: texts(&["openai/*"]), ..Selection::default() }, ..rule("a") };
    let deny =
        PolicyRule { deny: Selection { models: texts(&["*/o3*"]), ..Selection::default() }, ..rule("d") };
    let facts = Facts::default();
    for rules in [vec![allow.clone(), deny.clone()], vec![deny, allow]] {
        assert_eq!(said(judged(rules.clone(), ("openai", "o3-mini"), &facts)), "d: it is denied");
        assert_eq!(judged(rules.clone(), ("openai", "gpt-5"), &facts), Judgement::Allowed);
        assert!(said(judged(rules, ("groq", "llama"), &facts)).starts_with("a: it is not among"));
    }
}

#[test]
fn a_policy_applies_to_whom_it_names() {
    let none = Selection { providers: texts(&["*"]), ..Selection::default() };
    let to = |audience| vec![PolicyRule { audience, deny: none.clone(), ..rule("p") }];
    let applies = |audience| judged(to(audience), ("a", "b"), &Facts::default()) != Judgement::Allowed;
    assert!(applies(Audience::default()));
    assert!(applies(Audience { keys: texts(&["prod-*"]), teams: texts(&["core"]), ..Audience::default() }));
    assert!(applies(Audience { keys: texts(&["key_1"]), ..Audience::default() }));
    assert!(applies(Audience {
        customers: texts(&["x", "ac*"]),
        tags: texts(&["y", "pii"]),
        ..Audience::default()
    }));
    assert!(!applies(Audience { keys: texts(&["prod-*"]), teams: texts(&["other"]), ..Audience::default() }));
    assert!(!applies(Audience { users: texts(&["*"]), ..Audience::default() }), "no user is known");
    assert!(!applies(Audience { tags: texts(&["y"]), ..Audience::default() }));
}

#[test]
fn what_is_not_known_of_a_target_does_not_fulfil_a_demand() {
    let demand = |require| vec![PolicyRule { require, ..rule("p") }];
    let eu = Facts {
        region: Some("eu-west-1".into()),
        zero_retention: Some(true),
        trains: Some(false),
        ..Facts::default()
    };
    let strict =
        Require { regions: texts(&["eu"]), zero_retention: true, no_training: true, ..Require::default() };
    assert_eq!(judged(demand(strict.clone()), ("a", "b"), &eu), Judgement::Allowed);
    for facts in [
        Facts { region: None, ..eu.clone() },
        Facts { region: Some("us".into()), ..eu.clone() },
        Facts { zero_retention: None, ..eu.clone() },
        Facts { trains: None, ..eu.clone() },
        Facts { trains: Some(true), ..eu.clone() },
    ] {
        assert_ne!(judged(demand(strict.clone()), ("a", "b"), &facts), Judgement::Allowed, "{facts:?}");
    }
    let abroad =
        vec![PolicyRule { deny: Selection { regions: texts(&["cn"]), ..Selection::default() }, ..rule("p") }];
    assert_eq!(judged(abroad.clone(), ("a", "b"), &eu), Judgement::Allowed);
    assert_ne!(judged(abroad, ("a", "b"), &Facts::default()), Judgement::Allowed, "it may be there");
}

#[test]
fn a_price_that_is_not_known_is_too_high() {
    use lockgate_core::money::Price;
    let most = MaxPrice { input: Some(Price(2_000_000_000)), ..MaxPrice::default() };
    let rules =
        || vec![PolicyRule { require: Require { max_price: most, ..Require::default() }, ..rule("p") }];
    let priced =
        |nanos| Facts { cards: [Card { input: Price(nanos), ..Card::default() }].into(), ..Facts::default() };
    assert_eq!(judged(rules(), ("a", "b"), &priced(2_000_000_000)), Judgement::Allowed);
    assert_ne!(judged(rules(), ("a", "b"), &priced(2_000_000_001)), Judgement::Allowed);
    assert_ne!(judged(rules(), ("a", "b"), &Facts::default()), Judgement::Allowed);
}

#[test]
fn a_policy_on_trial_tells_and_one_in_doubt_applies() {
    let deny = Selection { providers: texts(&["a"]), ..Selection::default() };
    let trial = PolicyRule { deny: deny.clone(), on_trial: true, ..rule("t") };
    assert_eq!(said(judged(vec![trial.clone()], ("a", "b"), &Facts::default())), "on trial t: it is denied");
    let when =
        |text| -> Option<Arc<dyn Condition>> { Some(Arc::new(Expression::compile("p", text).unwrap())) };
    let rule = |text| PolicyRule { deny: deny.clone(), condition: when(text), ..rule("p") };
    assert_eq!(judged(vec![rule("request.stream")], ("a", "b"), &Facts::default()), Judgement::Allowed);
    let doubtful = said(judged(vec![trial, rule("key.metadata.x == \"y\"")], ("a", "b"), &Facts::default()));
    assert_eq!(doubtful, "p: it is denied (its condition cannot be evaluated, so it applies)");
}

proptest! {
    #[test]
    fn one_more_policy_never_permits_more(first in 0_u8..32, second in 0_u8..32, region in 0_usize..3, keeps: Option<bool>) {
        let some = |bits: u8| PolicyRule {
            allow: Selection {
                providers: if bits & 1 > 0 { texts(&["a", "c"]) } else { Vec::new() },
                regions: if bits & 2 > 0 { texts(&["eu"]) } else { Vec::new() },
                ..Selection::default()
            },
            deny: Selection {
                models: if bits & 4 > 0 { texts(&["*/b"]) } else { Vec::new() },
                regions: if bits & 8 > 0 { texts(&["us"]) } else { Vec::new() },
                ..Selection::default()
            },
            require: Require { zero_retention: bits & 16 > 0, ..Require::default() },
            ..rule("p")
        };
        let facts = Facts { region: [None, Some("eu".into()), Some("us-east".into())][region].clone(), zero_retention: keeps, ..Facts::default() };
        for name in [("a", "b"), ("b", "b"), ("c", "x")] {
            let both = judged(vec![some(first), some(second)], name, &facts);
            if judged(vec![some(first)], name, &facts) != Judgement::Allowed {
                prop_assert_ne!(both, Judgement::Allowed);
            }
        }
    }
}
