//! `lockgate check`, on good configs and broken ones.

use serde_json::Value;

use crate::{Place, finish};

const GOOD: &str = "
providers:
  near: {type: openai-compatible, base_url: 'http://127.0.0.1:8000/v1'}
  demo: {}
routes:
  support-bot: [near/a, demo/chat]
";

#[test]
fn a_good_config_is_summed_up() {
    let place = Place::with_config(GOOD);
    let run = place.run(&["check"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    for part in
        ["lockgate.yaml: good", "2 providers", "1 route\n", "http://127.0.0.1:0", ".lockgate/lockgate.db"]
    {
        assert!(run.out.contains(part), "{part:?}: {}", run.out);
    }
    let report = place.json(&["check", "lockgate.yaml"]);
    assert_eq!(report["ok"], true);
    assert_eq!(report["diagnostics"], serde_json::json!([]));
}

#[test]
fn every_mistake_of_a_config_is_listed_with_its_place() {
    let place = Place::with_config("server:\n  lisen: 127.0.0.1:1\nroutes:\n  r: [nowhere/m]\n");
    let run = place.run(&["check"]);
    assert_eq!(run.code, 3);
    assert!(run.out.contains("lockgate.yaml:2:3: error: "), "{}", run.out);
    assert!(run.out.contains("did you mean \"listen\"?"), "{}", run.out);
    assert!(run.out.contains("lockgate.yaml:4:"), "{}", run.out);
    assert!(run.err.contains("2 mistakes"), "{}", run.err);

    let run = place.run(&["check", "--json"]);
    assert_eq!(run.code, 3);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["diagnostics"][0]["line"], 2);
    assert_eq!(report["diagnostics"][0]["severity"], "error");
    assert_eq!(place.run(&["keys", "list"]).code, 3, "other commands do not run on it");
}

#[test]
fn what_the_environment_lacks_is_listed_as_well() {
    let place = Place::with_config("providers: {openai: {}, groq: {}}\n");
    let run = place.run(&["check"]);
    assert_eq!(run.code, 3);
    assert!(
        run.out.contains("providers.openai: no api_key") && run.out.contains("GROQ_API_KEY"),
        "{}",
        run.out
    );
    let with_keys = finish(
        place.command(&["check"]).env("OPENAI_API_KEY", "sk-hidden-1").env("GROQ_API_KEY", "gsk-hidden"),
    );
    assert_eq!(with_keys.code, 0, "{}", with_keys.out);
    assert!(!with_keys.out.contains("hidden"));
    assert_eq!(place.run(&["check", "absent.yaml"]).code, 3);
}
