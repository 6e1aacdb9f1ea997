//! What conditions cost: `cargo bench -p lockgate-route --bench condition`. A set of 20 rules of which none holds, so that all are
//! evaluated: in the common forms, and with one of them left to CEL; and what it costs to compile them.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_methods, reason = "this measures time")]

use std::hint::black_box;
use std::time::Instant;

use lockgate_core::{Attribution, Key, KeyHash};
use lockgate_route::condition::Expression;
use lockgate_route::{Ask, Condition as _, Told};

const RULES: [&str; 20] = [
    r#"customer.tier == "enterprise""#,
    r#"customer.name in ["a", "b", "c", "d"]"#,
    r#"feature == "search" && region == "eu""#,
    r#"request.input_tokens > 100000"#,
    r#""long" in tags || "batch" in tags"#,
    r#"budget.limited && budget.used >= 90"#,
    r#"time.hour >= 20 && time.weekday in ["sat", "sun"]"#,
    r#"request.images && !request.tools"#,
    r#"team.startsWith("research")"#,
    r#""plan" in key.metadata && key.metadata.plan == "gold""#,
    r#"project == "x" || project == "y" || project == "z""#,
    r#"request.stream && request.output_tokens > 10000"#,
    r#"user.endsWith("@example.com") && feature != "chat""#,
    r#"request.model.contains("vision")"#,
    r#"region in ["us", "cn"]"#,
    r#"session == "s-1""#,
    r#"customer.tier == "free" && request.input_tokens > 50000"#,
    r#"!(request.stream) && feature == "batch""#,
    r#"key.name.startsWith("test-")"#,
    r#"request.schema && customer.name == "q""#,
];
const ONE_FOR_CEL: &str = r#"tags.exists(t, t.startsWith("vip-"))"#;
const RUNS: usize = 2_000;
const ROUNDS: usize = 30;

fn main() {
    let key = Key {
        id: "key_1".into(),
        name: "prod".into(),
        hint: String::new(),
        hash: KeyHash([0; 32]),
        created_ms: 0,
        expires_ms: None,
        revoked_ms: None,
        models: Vec::new(),
        metadata: [("tier".to_owned(), "pro".to_owned())].into(),
    };
    let whose = Attribution {
        customer: Some("acme".into()),
        feature: Some("chat".into()),
        tags: vec!["web".into()],
        ..Attribution::default()
    };
    let compile =
        |text: &str| Expression::compile("rule", text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
    let ask = || {
        let told = Told { input_tokens: Some(2_000), output_ceiling: Some(500), ..Told::default() };
        let mut ask =
            Ask::new("support-bot", &key, &whose).told(Told { needs: Some(Default::default()), ..told });
        (ask.stream, ask.region, ask.wall_ms) = (true, Some("eu"), 1_795_336_200_000);
        ask
    };
    let set = |rules: &[Expression]| {
        let ask = ask();
        for _ in 0..RUNS {
            for rule in rules {
                assert!(!black_box(rule).evaluate(black_box(&ask)).unwrap_or(true));
            }
        }
    };
    let common: Vec<Expression> = RULES.iter().map(|text| compile(text)).collect();
    assert!(common.iter().all(Expression::is_simple));
    let mixed: Vec<Expression> = RULES[1..].iter().chain([&ONE_FOR_CEL]).map(|text| compile(text)).collect();
    println!("20 rules, common forms        {:>8.2} us", best(ROUNDS, || set(&common)) / RUNS as f64 / 1e3);
    println!("19 of them and one for cel    {:>8.2} us", best(ROUNDS, || set(&mixed)) / RUNS as f64 / 1e3);
    let load = best(5, || RULES.iter().for_each(|text| _ = black_box(compile(text))));
    println!("compiling 20 rules            {:>8.2} us", load / 1e3);
}

/// The shortest of so many runs, in nanoseconds.
fn best(runs: usize, mut run: impl FnMut()) -> f64 {
    let once = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e9
    };
    (0..runs).map(|_| once(&mut run)).fold(f64::INFINITY, f64::min)
}
