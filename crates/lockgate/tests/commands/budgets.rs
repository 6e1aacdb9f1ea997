//! `lockgate budgets`: made, changed, looked at, set right.

use lockgate_core::{Money, RequestId};
use lockgate_ledger::port::LedgerStore;
use lockgate_ledger::rows::{AccountKey, Ask, Entry, Epoch, Exchange};
use serde_json::{Value, json};

use crate::Place;

const REQUEST: RequestId = RequestId::from_u128(1_790_000_000_000 << 80 | 7);
const DOLLAR: i64 = 1_000_000_000;

/// A node that spends on accounts of a budget over all time, has as much leased beside it, and dies.
fn spend(place: &Place, budget: &str, spent: &[(&str, i64)]) -> Epoch {
    let store = place.store();
    let epoch = store.open_node("n1", 1_790_000_000_000).unwrap();
    let key = |value: &str| AccountKey { budget: budget.into(), value: value.into(), start: 0 };
    let entries = spent.iter().zip(1..).map(|((value, amount), attempt)| Entry {
        request: REQUEST,
        attempt,
        line: 0,
        amount: Money::from_nanos(*amount),
        at_ms: 1_790_000_000_000,
        accounts: vec![key(value)],
        price: "prices-1".into(),
        estimated: false,
        reason: None,
    });
    let accounts = spent.iter().map(|(value, amount)| Ask {
        key: key(value),
        end_ms: i64::MAX,
        give_back: Money::ZERO,
        at_least: Money::from_nanos(*amount),
        wish: Money::from_nanos(*amount),
    });
    let (entries, accounts) = (entries.collect(), accounts.collect());
    store.exchange(&Exchange { epoch, number: 1, now_ms: 1_790_000_000_000, entries, accounts }).unwrap();
    store.close_node(epoch, 1_790_000_000_001).unwrap();
    epoch
}

/// A command's arguments in one text.
fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

#[test]
fn a_budget_lives_through_its_life() {
    let place = Place::new();
    place.json(&words("keys create --name checkout"));
    let made = place.json(&words(
        "budgets create customers --limit 20.50 --window month --zone Europe/Berlin --anchor 15 --key checkout \
         --customer acme --customer bmw-* --per customer --mode expected --at-limit downgrade:small --soft 16 \
         --thresholds 50,80 --on-outage open",
    ));
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("bud_"));
    for (member, value) in [
        ("limit", json!("20.50")),
        ("window", json!("month")),
        ("zone", json!("Europe/Berlin")),
        ("anchor", json!("15")),
        ("per", json!("customer")),
        ("mode", json!("expected")),
        ("at_limit", json!("downgrade:small")),
        ("soft", json!("16.00")),
        ("thresholds", json!([50, 80])),
        ("on_outage", json!("open")),
        ("spent", json!("0.00")),
    ] {
        assert_eq!(made[member], value, "{member}");
    }
    assert_eq!(made["selector"]["customer"], json!(["acme", "bmw-*"]));
    assert!(made["selector"]["key"][0].as_str().unwrap().starts_with("key_"), "kept by its id");
    assert!(made["resets_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(place.json(&["budgets", "list"])["budgets"], json!([made]));
    let text = place.run(&["budgets", "list"]).out;
    assert!(text.contains("key checkout") && text.contains("each customer by itself"), "{text}");

    let changed = place.json(&words(
        "budgets set customers --name clients --limit 25 --window rolling:24h --customer ada --clear soft --clear key",
    ));
    assert_eq!(
        (&changed["id"], &changed["name"], &changed["limit"]),
        (&made["id"], &json!("clients"), &json!("25.00"))
    );
    assert_eq!(
        (&changed["window"], changed.get("zone"), changed.get("anchor")),
        (&json!("rolling:24h"), None, None)
    );
    assert_eq!((changed.get("soft"), &changed["selector"]), (None, &json!({"customer": ["ada"]})));
    assert_eq!(
        (&changed["at_limit"], &changed["thresholds"]),
        (&made["at_limit"], &made["thresholds"]),
        "the rest stays"
    );

    let again = place.run(&words("budgets create clients --limit 1 --window day"));
    assert!(again.code == 1 && again.err.contains("\"clients\" exists already"), "{}", again.err);
    let miss = place.run(&words("budgets show client"));
    assert!(miss.code == 4 && miss.err.contains("did you mean \"clients\"?"), "{}", miss.err);
    assert_eq!(place.json(&["budgets", "remove", id])["removed"], true);
    assert_eq!(place.run(&["budgets", "remove", id]).code, 4);
    assert!(place.run(&["budgets", "list"]).out.contains("There are no budgets"));
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_nothing_is_made() {
    let place = Place::new();
    let run = place.run(&words(
        "budgets create bud_x --limit 1e3 --window fortnight --per everybody --mode loose --at-limit stop --thresholds 0",
    ));
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{}", run.err);
    for part in ["name: ", "limit: ", "window: ", "per: ", "mode: ", "at-limit: ", "thresholds: "] {
        assert!(run.err.contains(part), "{part} is not in {}", run.err);
    }
    let run = place.run(&words("budgets create b"));
    assert!(
        run.code == 2 && run.err.contains("limit: is missing") && run.err.contains("window: is missing"),
        "{}",
        run.err
    );
    assert_eq!(place.run(&["budgets", "list"]).code, 4, "not even a store");
    place.json(&words("keys create --name checkout"));
    let run = place.run(&words("budgets create b --limit 1 --window day --key chekout"));
    assert!(run.code == 2 && run.err.contains("there is no key \"chekout\""), "{}", run.err);
    place.json(&words("budgets create b --limit 1 --window day"));
    for (args, code) in [
        ("budgets set b --limit -1", 2),
        ("budgets set b --clear limit", 2),
        ("budgets set b --soft 2", 2),
        ("budgets raise b --by 0 --until 1h --reason x", 2),
        ("budgets raise b --by 1 --until 2001-01-01 --reason x", 2),
        ("budgets raise b --by 1 --until 1h", 2),
        ("budgets journal x", 2),
        ("budgets lower b", 4),
        ("budgets reconcile b --node 1 --spent 0 --reason x", 4),
    ] {
        let run = place.run(&words(args));
        assert_eq!((run.code, run.out.as_str()), (code, ""), "{args}: {}", run.err);
    }
}

#[test]
fn what_is_spent_and_uncertain_is_shown_and_set_right() {
    let place = Place::new();
    let made = place.json(&words("budgets create all --limit 10 --window lifetime --per customer"));
    let id = made["id"].as_str().unwrap();
    let epoch = spend(&place, id, &[("acme", 3 * DOLLAR), ("zoo", DOLLAR)]).0;

    let shown = place.json(&words("budgets show all"));
    let spent = |shown: &Value| {
        let accounts = shown["accounts"].as_array().unwrap();
        let of = |one: &Value| {
            ["value", "spent", "left", "uncertain"].map(|m| one[m].as_str().unwrap().to_owned())
        };
        accounts.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(spent(&shown), [["acme", "6.00", "4.00", "3.00"], ["zoo", "2.00", "8.00", "1.00"]]);
    assert_eq!((&shown["budget"]["spent"], &shown["budget"]["uncertain"]), (&json!("8.00"), &json!("4.00")));
    assert_eq!(shown["accounts"][0]["nodes"][0]["node"], epoch);
    assert_eq!(spent(&place.json(&words("budgets show all --value zoo"))).len(), 1);
    assert_eq!(spent(&place.json(&words("budgets show all --limit 1"))).len(), 1);
    let text = place.run(&words("budgets show all --limit 1")).out;
    for part in ["10.00 dollars for each customer", "3.00 left uncertain by node", "60 %", "1 more"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(place.run(&["budgets", "list"]).out.contains("60 %"), "the fullest account");

    let reconcile = |value: &str, spent: &str| {
        place.run(&[
            "budgets",
            "reconcile",
            "all",
            "--node",
            "n1",
            "--value",
            value,
            "--spent",
            spent,
            "--reason",
            "bill",
            "--json",
        ])
    };
    let several = place.run(&words("budgets reconcile all --node n1 --spent 0 --reason bill"));
    assert!(several.code == 1 && several.err.contains("more than one"), "{}", several.err);
    let over = reconcile("acme", "3.01");
    assert!(over.code == 1 && over.err.contains("3.00 dollars are uncertain"), "{}", over.err);
    let done: Value = serde_json::from_str(&reconcile("acme", "0.25").out).unwrap();
    assert_eq!((&done["uncertain"], &done["spent"]), (&json!("3.00"), &json!("0.25")));
    assert_eq!(reconcile("acme", "0").code, 4, "it is resolved");
    assert_eq!(spent(&place.json(&words("budgets show all")))[0], ["acme", "3.25", "6.75", "0.00"]);

    let journal = place.json(&["budgets", "journal", &REQUEST.to_string()]);
    assert_eq!(
        (&journal["entries"][0]["amount"], &journal["entries"][0]["accounts"][0]["name"]),
        (&json!("3.00"), &json!("all"))
    );
    let text = place.run(&["budgets", "journal", done["request"].as_str().unwrap()]).out;
    assert!(text.contains("all/acme") && text.contains("bill"), "{text}");
    assert_eq!(place.run(&["budgets", "journal", &RequestId::new(5).to_string()]).code, 4);
}

#[test]
fn a_limit_is_raised_for_a_while_and_lowered_again() {
    let place = Place::new();
    place.json(&words("budgets create b --limit 10 --window month"));
    let raised =
        place.json(&["budgets", "raise", "b", "--by", "2.5", "--until", "1h", "--reason", "launch week"]);
    assert_eq!(
        (&raised["amount"], &raised["in_force"], &raised["reason"]),
        (&json!("2.50"), &json!(true), &json!("launch week"))
    );
    place.json(&words("budgets raise b --by 1 --from 30m --until 1h --reason later"));
    let shown = place.json(&words("budgets show b"))["budget"].clone();
    assert_eq!(
        (&shown["limit"], &shown["limit_now"]),
        (&json!("10.00"), &json!("12.50")),
        "the other is not in force yet"
    );
    let text = place.run(&words("budgets show b")).out;
    assert!(text.contains("12.50 now") && text.contains("launch week") && text.contains("not yet"), "{text}");
    let one = place.json(&["budgets", "lower", "b", "--increase", raised["id"].as_str().unwrap()]);
    assert_eq!(one["ended"], json!([raised["id"]]));
    assert_eq!(place.json(&words("budgets lower b"))["ended"].as_array().unwrap().len(), 1);
    assert_eq!(place.json(&words("budgets show b"))["budget"]["limit_now"], "10.00");
}

#[test]
fn the_page_of_the_guide_runs_as_it_is_written() {
    let place = Place::new();
    let (page, ran) = place.run_page("budgets.md", &[]);
    assert!(ran >= 5, "{ran} blocks ran");
    // What can be written is all there.
    for word in [
        "hour",
        "day",
        "week",
        "month",
        "quarter",
        "year",
        "rolling:24h",
        "lifetime",
        "block",
        "alert",
        "throttle:10",
        "strict",
        "expected",
        "closed",
        "open",
    ] {
        assert!(page.contains(&format!("`{word}`")), "the page lacks {word}");
    }
    for dimension in lockgate_ledger::subject::DIMENSIONS {
        assert!(page.contains(&format!("`{}`", dimension.code())), "the page lacks {dimension:?}");
    }
}
