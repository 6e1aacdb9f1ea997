//! What conditions mean, what is wrong with bad ones, and that the small tree and CEL agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockgate_core::decision::{Class, Task};
use lockgate_core::{Attribution, Key, KeyHash};
use proptest::prelude::*;

use super::{Condition as _, Expression, faults, variables};
use crate::ask::{Ask, BudgetState, Told};
use crate::view::{Abilities, Ability};

fn key(metadata: &[(&str, &str)]) -> Key {
    Key {
        id: "key_1".into(),
        name: "prod".into(),
        hint: String::new(),
        hash: KeyHash([0; 32]),
        created_ms: 0,
        expires_ms: None,
        revoked_ms: None,
        models: Vec::new(),
        metadata: metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    }
}

fn whose() -> Attribution {
    Attribution {
        customer: Some("acme".into()),
        feature: Some("chat".into()),
        tags: vec!["long".into(), "pii".into()],
        ..Attribution::default()
    }
}

fn ask<'a>(key: &'a Key, attribution: &'a Attribution) -> Ask<'a> {
    let mut ask = Ask::new("support-bot", key, attribution).told(Told {
        input_tokens: Some(120_000),
        output_ceiling: Some(500),
        needs: Some(Abilities::default().with(Ability::Tools)),
        task: Some(Task { classes: vec![(Class::Coding, 600_000)], complexity: 420_000, told: false }),
        ..Told::default()
    });
    ask.stream = true;
    ask.region = Some("eu");
    ask.budget = BudgetState { left: None, used_percent: Some(85) };
    // 2026-11-22, a Sunday, 08:30 UTC.
    ask.wall_ms = 1_795_336_200_000;
    ask
}

fn holds(text: &str) -> Result<bool, String> {
    let (key, whose) = (key(&[("tier", "free"), ("team", "core")]), whose());
    let expression = Expression::compile("rule", text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
    expression.evaluate(&ask(&key, &whose)).map_err(|incident| incident.why.to_string())
}

#[test]
fn conditions_speak_of_request_caller_budget_and_time() {
    for text in [
        r#"customer.tier == "free""#,
        r#"request.input_tokens > 100000 || "long" in tags"#,
        r#"customer.name == "acme" && feature in ["chat", "mail"] && !("x" in tags)"#,
        r#"request.stream && request.tools && !request.images"#,
        r#"team == "core" && project == "" && user == """#,
        r#"region == "eu" && region.startsWith("e")"#,
        "budget.limited && budget.used >= 80 && budget.left_cents == 0",
        r#"time.hour >= 8 && time.hour < 18 && time.weekday in ["sat", "sun"] && time.year == 2026"#,
        r#"class.coding > 0.5 && class.likeliest == "coding" && complexity < 0.5"#,
        r#"key.metadata.tier == "free" && has(key.metadata.team) && !has(key.metadata.plan)"#,
        r#""tier" in key.metadata && key.metadata["tier"] != "paid""#,
        r#"tags.exists(t, t.startsWith("p"))"#,
        "size(tags) == 2 && request.input_tokens / 1000 == 120",
        r#"request.model.endsWith("-bot") ? true : false"#,
        "true",
    ] {
        assert_eq!(holds(text), Ok(true), "{text}");
    }
    for text in ["false", "request.output_tokens > 500", r#"customer.name + "x" == "acme""#] {
        assert_eq!(holds(text), Ok(false), "{text}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_an_incident_unless_something_else_decides() {
    assert_eq!(holds(r#"key.metadata.plan == "gold""#), Err("No such key: plan".to_owned()));
    assert_eq!(holds(r#"key.metadata.plan == "gold" || request.stream"#), Ok(true));
    assert_eq!(holds(r#"key.metadata.plan == "gold" && !request.stream"#), Ok(false));
    assert!(holds("1 / (request.output_tokens - 500) == 1").is_err());
    assert!(holds(r#"tags[7] == "x""#).is_err());
}

#[test]
fn mistakes_are_found_when_the_config_is_read() {
    let said = |text: &str| {
        let found = faults(text);
        let lines: Vec<String> =
            found.iter().map(|fault| format!("{}: {}", fault.at, fault.message)).collect();
        let hints: Vec<String> = found.into_iter().filter_map(|fault| fault.hint).collect();
        (lines.join("; "), hints.join("; "))
    };
    for (text, message, hint) in [
        (r#"custmer.tier == "free""#, "0: there is no variable custmer", "did you mean customer?"),
        (r#"customer.teir == "free""#, "0: there is no variable customer.teir", "did you mean tier?"),
        (
            r#"customer == "acme""#,
            "0: customer is no value by itself",
            "there are customer.name, customer.tier",
        ),
        (
            r#"request.input_tokens > "5""#,
            "23: a whole number cannot be compared with text",
            "leave out the quotes",
        ),
        ("region == 5", "10: text cannot be compared with a whole number", "put it in quotes"),
        ("region", "0: a condition is true or false, and this is text", "compare it with something"),
        (r#"tags.contains("pii")"#, "0: this is a list, not a text", "\"pii\" in tags"),
        (r#"tags == "pii""#, "8: a list cannot be compared with text", ""),
        (r#""x" in region"#, "7: text holds nothing that something can be in", "contains"),
        (
            r#"region.startWith("e")"#,
            "0: there is no function startWith of this kind",
            "did you mean startsWith?",
        ),
        (r#"region.matches("e.*")"#, "0: conditions have no regular expressions", "startsWith"),
        (r#"request.stream && "yes""#, "18: true or false is wanted here, and this is text", ""),
        ("has(customer.tier)", "4: customer.tier is always there", "!= \"\""),
        ("user == null", "8: nothing here is null", "compare with \"\""),
        (r#"feature in ["a", 1]"#, "17: a list holds things of one kind", ""),
        ("request.tools + 1 == 2", "0: one cannot reckon with true or false", ""),
    ] {
        let (messages, hints) = said(text);
        assert!(messages.starts_with(message), "{text}: {messages}");
        assert!(hints.contains(hint), "{text}: {hints}");
    }
    for text in ["", "region ==", "a b", "((((", "\"open", "region == 'a' &&& true"] {
        let (messages, _) = said(text);
        assert!(messages.contains("this is not CEL"), "{text}: {messages}");
    }
}

#[test]
fn deep_and_long_texts_are_refused_before_they_are_parsed() {
    for text in [
        format!("{}true{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("{}true", "!".repeat(5_000)),
        format!("{}1 > 0", "-".repeat(5_000)),
        "[".repeat(3_000),
        format!("true{}", " ? true : true".repeat(400)),
        format!("region == \"{}\"", "x".repeat(10_000)),
    ] {
        assert!(!faults(&text).is_empty(), "{}", &text[..20]);
    }
    let wide = vec!["request.stream"; 200].join(" && ");
    let _ = faults(&wide);
}

#[test]
fn every_variable_can_be_compared() {
    for (name, word, _) in variables() {
        let text = match word {
            "true or false" => name.clone(),
            "a whole number" => format!("{name} >= 0"),
            "a number" => format!("{name} >= 0.0"),
            "text" => format!("{name} != \"?\""),
            "a list" => format!("size({name}) >= 0"),
            _ => format!("\"x\" in {name} || true"),
        };
        assert!(holds(&text).is_ok(), "{text}");
    }
}

/// Conditions of the common forms.
fn conditions() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec![
        "customer.name",
        "customer.tier",
        "feature",
        "region",
        "team",
        "request.model",
    ]);
    let word =
        prop::sample::select(vec!["acme", "free", "chat", "eu", "core", "", "support-bot", "pii", "tier"]);
    let number = prop::sample::select(vec![
        "request.input_tokens",
        "budget.used",
        "time.hour",
        "request.output_tokens",
    ]);
    let order = prop::sample::select(vec!["<", "<=", "==", "!=", ">=", ">"]);
    let flag =
        prop::sample::select(vec!["request.stream", "request.tools", "request.images", "true", "false"]);
    let affix = prop::sample::select(vec!["startsWith", "endsWith", "contains"]);
    let leaf = prop_oneof![
        flag.prop_map(str::to_owned),
        (text.clone(), word.clone()).prop_map(|(text, word)| format!("{text} == \"{word}\"")),
        (text.clone(), word.clone()).prop_map(|(text, word)| format!("\"{word}\" != {text}")),
        (text.clone(), word.clone(), word.clone())
            .prop_map(|(text, a, b)| format!("{text} in [\"{a}\", \"{b}\"]")),
        (text, affix, word.clone()).prop_map(|(text, affix, word)| format!("{text}.{affix}(\"{word}\")")),
        (number.clone(), order.clone(), 0_i64..200_000).prop_map(|(a, order, b)| format!("{a} {order} {b}")),
        (number, order.clone(), 0_i64..100).prop_map(|(a, order, b)| format!("{b} {order} {a}")),
        (order, 0_u8..10).prop_map(|(order, tenth)| format!("complexity {order} 0.{tenth}")),
        word.clone().prop_map(|word| format!("\"{word}\" in tags")),
        word.clone().prop_map(|word| format!("\"{word}\" in key.metadata")),
        (prop::sample::select(vec!["tier", "plan", "team"]), word)
            .prop_map(|(name, word)| format!("key.metadata.{name} == \"{word}\"")),
        prop::sample::select(vec!["tier", "plan"]).prop_map(|name| format!("has(key.metadata.{name})")),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) || ({b})")),
        ]
    })
}

proptest! {
    #[test]
    fn the_small_tree_and_cel_agree(text in conditions()) {
        let (key, whose) = (key(&[("tier", "free"), ("team", "core")]), whose());
        let ask = ask(&key, &whose);
        let own = Expression::compile("r", &text).unwrap();
        prop_assert!(own.is_simple(), "{}", text);
        let cel = Expression::by_cel("r", &text).unwrap();
        let verdict = |found: Result<bool, _>| found.map_err(|_| "cannot be evaluated");
        prop_assert_eq!(verdict(own.evaluate(&ask)), verdict(cel.evaluate(&ask)), "{}", text);
    }

    #[test]
    fn any_text_is_judged_without_panic(text in any::<String>()) {
        let _ = faults(&text);
    }

    #[test]
    fn any_text_of_marks_is_judged_in_its_place(text in "([a-z.]{1,8}|[0-9]|[ =!&|<>?:(){},\"'-]|\\[|\\]){0,40}") {
        for fault in faults(&text) {
            prop_assert!(fault.at <= text.chars().count(), "{:?}", fault);
        }
    }
}

#[test]
fn an_expression_can_be_shared_by_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&Arc::new(Expression::compile("r", "tags.exists(t, t == \"a\")").unwrap()));
}
