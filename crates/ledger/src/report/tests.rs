use std::sync::Mutex;

use super::key::{KeyBudget, seats};
use super::uncertain::{Node, ReconcileDraft, reconcile};
use lockgate_core::{Attribution, KeyId};

use super::*;
use crate::budget::{AtLimit, Selector};
use crate::rows::{Ask, Exchange};
use crate::subject::Dimension;
use crate::vault::Vault;
use crate::window::Window;

const DAY: u64 = 86_400_000;
/// 2026-11-22T12:00:00Z.
const NOON: u64 = 1_795_348_800_000;

fn vault() -> Mutex<Vault> {
    Mutex::new(Vault::new())
}

fn daily(id: &str, per: Option<Dimension>) -> Budget {
    let window = Window::read("day", None, None).unwrap();
    Budget { window, per, limit: Money::from_nanos(1_000), ..crate::sample::budget(id, 1) }
}

/// A node that spends on accounts of a budget, and has more leased.
fn spend(store: &Mutex<Vault>, budget: &Budget, spent: &[(&str, i64)], leased: i64) -> Epoch {
    let epoch = store.open_node("n1", NOON).unwrap();
    let span = budget.window.span(NOON);
    let key =
        |value: &str| AccountKey { budget: Arc::clone(&budget.id), value: value.into(), start: span.start };
    let entries = spent.iter().zip(1..).map(|((value, amount), attempt)| Entry {
        request: RequestId::from_u128(7),
        attempt,
        line: 0,
        amount: Money::from_nanos(*amount),
        at_ms: NOON,
        accounts: vec![key(value)],
        price: "p1".into(),
        estimated: false,
        reason: None,
    });
    let accounts = spent.iter().map(|(value, _)| Ask {
        key: key(value),
        end_ms: span.end_ms,
        give_back: Money::ZERO,
        at_least: Money::from_nanos(leased),
        wish: Money::from_nanos(leased),
    });
    let exchange =
        Exchange { epoch, number: 1, now_ms: NOON, entries: entries.collect(), accounts: accounts.collect() };
    store.exchange(&exchange).unwrap();
    epoch
}

#[test]
fn a_report_sums_what_is_open_and_shows_the_fullest() {
    let (store, rule) = (vault(), daily("b", Some(Dimension::Customer)));
    store.put_budget(&rule).unwrap();
    spend(&store, &rule, &[("acme", 400), ("zoo", 100)], 50);
    let budgets = store.budgets().unwrap();
    let report = budget(&store, &budgets, &rule, NOON).unwrap();
    assert_eq!((report.spent.0.nanos(), report.leased.0.nanos(), report.open_accounts), (500, 100, 2));
    let fullest = report.fullest.unwrap();
    assert_eq!((&*fullest.value, fullest.percent, fullest.left.0.nanos()), ("acme", 40, 600));
    // 400 in twelve hours: the rest of 600 lasts for eighteen, and the day ends before.
    assert_eq!(fullest.hits_limit_at, None);

    let list = |after, value| accounts(&store, &budgets, &rule, (after, value), 10, NOON).unwrap();
    let values = |list: &[AccountReport]| list.iter().map(|one| one.value.to_string()).collect::<Vec<_>>();
    assert_eq!(values(&list(None, None)), ["acme", "zoo"]);
    assert_eq!(values(&list(Some("acme"), None)), ["zoo"]);
    assert_eq!(values(&list(None, Some("zoo"))), ["zoo"]);
    assert_eq!(values(&accounts(&store, &budgets, &rule, (None, None), 1, NOON).unwrap()), ["acme"]);
    let node = &list(None, None)[0].nodes[0];
    assert_eq!((&*node.name, node.amount.0.nanos(), node.uncertain, node.alive), ("n1", 50, false, true));
    assert_eq!(
        budget(&store, &budgets, &rule, NOON + DAY).unwrap().spent,
        Dollars(Money::ZERO),
        "another day"
    );
}

#[test]
fn what_is_written_is_dollars_and_moments() {
    let (store, rule) = (vault(), daily("b", None));
    store.put_budget(&rule).unwrap();
    spend(&store, &rule, &[("", 900)], 0);
    store
        .put_increase(&Increase {
            id: "inc_1".into(),
            budget: "b".into(),
            amount: Money::from_nanos(500),
            from_ms: NOON - 1,
            until_ms: NOON + DAY,
            reason: "launch".to_owned(),
            by: "admin".to_owned(),
        })
        .unwrap();
    let budgets = store.budgets().unwrap();
    let json = serde_json::to_value(budget(&store, &budgets, &rule, NOON).unwrap()).unwrap();
    assert_eq!(json["limit"], "0.000001");
    assert_eq!((&json["limit_now"], &json["spent"]), (&"0.0000015".into(), &"0.0000009".into()));
    assert_eq!((&json["window"], &json["zone"]), (&"day".into(), &"UTC".into()));
    assert_eq!(json["resets_at"], "2026-11-23T00:00:00Z");
    assert_eq!(json["fullest"]["hits_limit_at"], "2026-11-22T20:00:00Z");
    assert_eq!(json["increases"][0]["in_force"], true);
    let json = serde_json::to_value(journal(&store, RequestId::from_u128(7)).unwrap()).unwrap();
    assert_eq!((&json[0]["amount"], &json[0]["price"]), (&"0.0000009".into(), &"p1".into()));
    assert_eq!(json[0]["accounts"][0]["name"], "budget b");
    assert_eq!(json[0]["accounts"][0]["begins_at"], "2026-11-22T00:00:00Z");
}

#[test]
fn what_a_dead_node_left_is_resolved_once_and_by_the_right_name() {
    let (store, rule) = (vault(), daily("b", Some(Dimension::Customer)));
    store.put_budget(&rule).unwrap();
    let epoch = spend(&store, &rule, &[("acme", 400), ("zoo", 100)], 50);
    let budgets = store.budgets().unwrap();
    let resolve = |node: Node, value: Option<&str>, spent: &str| {
        let draft = ReconcileDraft {
            node: Some(node),
            value: value.map(str::to_owned),
            spent: Some(spent.to_owned()),
            reason: Some("invoice".to_owned()),
        };
        reconcile(&store, &budgets, "budget b", &draft, "admin", NOON)
    };
    let by_name = || Node::Name("n1".to_owned());
    assert!(
        resolve(by_name(), Some("acme"), "0").unwrap_err().public().contains("nothing uncertain"),
        "it lives"
    );
    store.close_node(epoch, NOON).unwrap();
    assert!(resolve(by_name(), None, "0").unwrap_err().public().contains("more than one"));
    let done = resolve(by_name(), Some("acme"), "0.00000002").unwrap();
    assert_eq!((done.uncertain.0.nanos(), done.spent.0.nanos()), (50, 20));
    assert_eq!(resolve(by_name(), Some("acme"), "0").unwrap_err().status(), 404);
    assert!(resolve(Node::Number(epoch.0), None, "1").unwrap_err().public().contains("uncertain there"));
    resolve(Node::Number(epoch.0), None, "0").unwrap();
    let report = budget(&store, &budgets, &rule, NOON).unwrap();
    assert_eq!((report.spent.0.nanos(), report.uncertain.0.nanos()), (520, 0));
    let journal = journal(&store, done.request.parse().unwrap()).unwrap();
    assert_eq!(journal[0].reason.as_deref(), Some("invoice (admin)"));

    let nothing = reconcile(&store, &budgets, "b", &ReconcileDraft::default(), "admin", NOON).unwrap_err();
    for member in ["node: is missing", "reason: is missing", "spent: is missing"] {
        assert!(nothing.public().contains(member), "{}", nothing.public());
    }
}

#[test]
fn a_key_sees_the_budgets_that_count_it() {
    let store = vault();
    let selector = |dimension, pattern: &str| Selector::new([(dimension, vec![pattern.into()])]);
    let mut of_customer = daily("customers", Some(Dimension::Customer));
    of_customer.at_limit = AtLimit::Alert;
    let mut of_model = daily("models", None);
    of_model.selector = selector(Dimension::Model, "gpt-5*");
    let mut of_other = daily("others", None);
    of_other.selector = selector(Dimension::Key, "key_2");
    let per_model = daily("per model", Some(Dimension::Model));
    for rule in [&of_customer, &of_model, &of_other, &per_model] {
        store.put_budget(rule).unwrap();
    }
    spend(&store, &of_customer, &[("acme", 1_400)], 0);
    let budgets = store.budgets().unwrap();
    let (key, whose) =
        (KeyId::from("key_1"), Attribution { customer: Some("acme".into()), ..Attribution::default() });
    let seen: Vec<KeyBudget> = seats(&budgets, &key, &whose)
        .iter()
        .map(|seat| seat.by_store(&store, &budgets, NOON).unwrap())
        .collect();
    let json = serde_json::to_value(&seen).unwrap();
    assert_eq!(seen.len(), 2, "{json}");
    assert_eq!(
        (&json[0]["value"], &json[0]["spent"], &json[0]["remaining"]),
        (&"acme".into(), &"0.0000014".into(), &"0.00".into())
    );
    assert_eq!(
        (&json[0]["at_limit"], &json[0]["resets_at"]),
        (&"alert".into(), &"2026-11-23T00:00:00Z".into())
    );
    assert_eq!((&json[1]["only"]["model"][0], &json[1]["spent"]), (&"gpt-5*".into(), &"0.00".into()));
}
