//! `lockgate limits`.

use serde_json::{Value, json};

use crate::Place;

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

#[test]
fn limits_are_made_shown_and_removed_and_the_files_are_not_changed() {
    let place = Place::with_config("limits: { all: { count: requests, amount: 5, every: second } }\n");
    let made = place.json(&words("limits create c --count tokens --amount 10 --every hour --per customer"));
    assert_eq!(made["source"], "store");
    let list = place.json(&words("limits list"))["limits"].clone();
    let names: Vec<&Value> = list.as_array().unwrap().iter().map(|limit| &limit["name"]).collect();
    assert_eq!(names, [&json!("all"), &json!("c")]);
    let text = place.run(&words("limits list")).out;
    assert!(text.contains("5 requests a second") && text.contains("10 tokens an hour"), "{text}");
    assert_eq!(place.run(&words("limits create c --count requests --amount 1 --every day")).code, 1);
    let wrong = place.run(&words("limits create d --count calls --amount 0 --per model"));
    assert!(
        wrong.code == 2 && wrong.err.contains("calls") && wrong.err.contains("use route"),
        "{}",
        wrong.err
    );
    let of_file = place.run(&words("limits remove all"));
    assert!(of_file.code == 1 && of_file.err.contains("config file"), "{}", of_file.err);
    assert_eq!(place.run(&words("limits remove c")).code, 0);
    assert_eq!(place.run(&words("limits show c")).code, 4);
}

#[test]
fn the_page_of_the_guide_runs_as_it_is_written() {
    let (page, ran) = Place::new().run_page("limits.md", &[]);
    assert!(ran >= 3, "{ran} blocks ran");
    for count in lockgate_ledger::rate::Count::ALL {
        assert!(page.contains(&format!("`{}`", count.word())), "the page lacks {count:?}");
    }
}
