use std::collections::BTreeMap;

use http::HeaderMap;
use lockgate_core::{Attribution, Key, KeyHash};

use super::*;

fn of(body: &str, tags: &[&str]) -> Task {
    let payload = Payload::parse(body.to_owned().into()).unwrap();
    let key = Key {
        id: "k".into(),
        name: "n".into(),
        hint: String::new(),
        hash: KeyHash([0; 32]),
        created_ms: 0,
        expires_ms: None,
        revoked_ms: None,
        models: Vec::new(),
        metadata: BTreeMap::new(),
    };
    let attribution =
        Attribution { tags: tags.iter().map(|tag| (*tag).into()).collect(), ..Attribution::default() };
    let headers = HeaderMap::new();
    Ask::new("m", &key, &attribution).reads(&payload, body.len() as u64, &headers).task().clone()
}

fn said(text: &str) -> Task {
    let text = serde_json::to_string(text).unwrap();
    of(&format!(r#"{{"messages":[{{"role":"user","content":{text}}}]}}"#), &[])
}

#[test]
fn requests_are_of_the_kind_that_a_person_would_say() {
    let cases = [
        (
            Class::Coding,
            "Refactor this function in src/lib.rs:\n```rust\nfn main() { let x = 1; }\n```\nIt does not compile.",
        ),
        (
            Class::Coding,
            "Traceback (most recent call last): File \"app.py\", line 3, in <module>: import error. Debug my python script",
        ),
        (
            Class::Mathematics,
            "Prove that the integral of the derivative is ∫ f ≤ ∑ x and solve the equation \\frac{1}{2}",
        ),
        (
            Class::Language,
            "Translate this letter to French and polish its tone. Then summarize it in one paragraph.",
        ),
        (Class::Data, "Extract the columns of this csv table into JSON records: name, timestamp, fields"),
        (
            Class::Reasoning,
            "A logic puzzle: deduce from the premise what we can infer, and name the contradiction.",
        ),
    ];
    for (class, text) in cases {
        let task = said(text);
        assert_eq!(task.likeliest(), class, "{text}: {task:?}");
    }
}

#[test]
fn what_says_nothing_stays_unknown() {
    let task = said(
        "The grey cat sat quietly near an old wall while rain fell on the garden and the street below it.",
    );
    assert_eq!(task.likeliest(), Class::Unknown);
    assert!(task.share(Class::Unknown) > 600_000, "{task:?}");
    assert_eq!(of(r#"{"x":1}"#, &[]).likeliest(), Class::Unknown);
}

#[test]
fn shares_sum_to_a_whole() {
    for text in
        ["", "Hello!", "Refactor app.py, prove it, translate it, plan it, extract csv rows, must only list"]
    {
        let task = said(text);
        let sum: u32 = task.classes.iter().map(|(_, share)| share).sum();
        assert_eq!(sum, MILLION, "{task:?}");
        assert!(task.classes.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    }
}

#[test]
fn harder_requests_look_harder() {
    let hello = said("Hello!").complexity;
    let fact = said("What is the capital of France?").complexity;
    let hard = said(
        "Design a distributed architecture and prove its invariants formally: compare the tradeoffs of each algorithm, \
         diagnose the deadlock in the concurrent code below, and migrate it under these constraints.\n```go\nfunc main() {}\n```",
    )
    .complexity;
    assert!(hello < 330_000 && fact < 330_000, "{hello} {fact}");
    assert!(hard > 660_000, "{hard}");
}

#[test]
fn tags_go_before_what_is_read() {
    let body = r#"{"messages":[{"role":"user","content":"Translate this letter."}]}"#;
    let task = of(body, &["class:coding", "complexity:high", "other"]);
    assert_eq!(task, Task { classes: vec![(Class::Coding, MILLION)], complexity: 900_000, told: true });
    assert_eq!(of(body, &["complexity:0.25"]).complexity, 250_000);
    assert!(!of(body, &["class:nonsense", "complexity:7"]).told);
}

proptest::proptest! {
    #[test]
    fn any_text_has_a_kind(text: String) {
        let task = said(&text);
        proptest::prop_assert_eq!(task.classes.iter().map(|(_, share)| share).sum::<u32>(), MILLION);
        proptest::prop_assert!(task.complexity <= MILLION);
    }

    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>) {
        Features::default().read(&bytes);
    }
}
