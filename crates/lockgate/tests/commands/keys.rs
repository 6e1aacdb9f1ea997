//! `lockgate keys`: the life of a key, and what is never shown.

use crate::Place;

#[test]
fn a_key_is_shown_once_and_lives_through_its_life() {
    let place = Place::new();
    let made = place.json(&[
        "keys",
        "create",
        "--name",
        "checkout",
        "--model",
        "support-bot",
        "--model",
        "openai/*",
        "--expires",
        "30d",
        "--meta",
        "team=care",
    ]);
    let secret = made["key"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("lg-") && secret.ends_with(made["hint"].as_str().unwrap()));
    assert_eq!(made["state"], "active");
    assert_eq!(made["metadata"]["team"], "care");
    let age = made["expires_ms"].as_u64().unwrap() - made["created_ms"].as_u64().unwrap();
    assert_eq!(age, 30 * 86_400_000);

    let list = place.json(&["keys", "list"]);
    assert_eq!(list["keys"].as_array().unwrap().len(), 1);
    assert_eq!(list["keys"][0]["models"], serde_json::json!(["support-bot", "openai/*"]));
    assert_eq!(list["keys"][0].get("key"), None);
    let shown = place.run(&["keys", "list"]);
    assert!(shown.out.contains(&format!("lg-…{}", made["hint"].as_str().unwrap())), "{}", shown.out);

    let again = place.run(&["keys", "create", "--name", "checkout"]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("\"checkout\" exists already") && again.out.is_empty(), "{}", again.err);

    let rotated = place.json(&["keys", "rotate", "checkout"]);
    let renewed = rotated["key"].as_str().unwrap().to_owned();
    assert_ne!(renewed, secret);
    assert_eq!((&rotated["id"], &rotated["expires_ms"]), (&made["id"], &made["expires_ms"]));

    let revoked = place.json(&["keys", "revoke", made["id"].as_str().unwrap()]);
    assert_eq!(revoked["state"], "revoked");
    assert_eq!(place.json(&["keys", "list"])["keys"], serde_json::json!([]));
    assert_eq!(place.json(&["keys", "list", "--all"])["keys"][0]["state"], "revoked");
    assert_eq!(place.run(&["keys", "revoke", "checkout"]).code, 0, "it is revoked already");
    assert_eq!(place.run(&["keys", "rotate", "checkout"]).code, 1);
    place.json(&["keys", "create", "--name", "checkout"]);

    for secret in [secret, renewed] {
        assert!(!place.holds(&secret), "a key is in a file");
        for args in [&["keys", "list", "--all"][..], &["keys", "list", "--all", "--json"], &["doctor"]] {
            assert!(!place.run(args).out.contains(&secret), "{args:?}");
        }
    }
}

#[test]
fn what_a_key_fixes_has_arguments_of_its_own() {
    let place = Place::new();
    let made = place.json(&[
        "keys",
        "create",
        "--name",
        "care",
        "--organisation",
        "north",
        "--team",
        "care",
        "--project",
        "bot",
        "--customer",
        "acme",
        "--user",
        "u1",
        "--meta",
        "ticket=1",
    ]);
    let fixed = serde_json::json!({
        "organisation": "north", "team": "care", "project": "bot", "customer": "acme", "user": "u1", "ticket": "1",
    });
    assert_eq!(made["metadata"], fixed);
    let twice = place.run(&["keys", "create", "--name", "x", "--team", "a", "--meta", "team=b"]);
    assert_eq!(twice.code, 1);
    assert!(twice.err.contains("team: given twice"), "{}", twice.err);
    let long = place.run(&["keys", "create", "--name", "x", "--team", &"t".repeat(257)]);
    assert!(long.code == 1 && long.err.contains("at most 256 bytes"), "{}", long.err);
}

#[test]
fn a_key_made_for_people_stands_alone_on_the_first_line() {
    let place = Place::new();
    let run = place.run(&["keys", "create", "--name", "ci"]);
    let secret = run.out.lines().next().unwrap();
    assert!(secret.starts_with("lg-") && secret.len() == 46, "{}", run.out);
    assert_eq!(run.out.matches(secret).count(), 1);
    assert!(run.out.contains("only time that the key is shown"));
}

#[test]
fn keys_are_found_by_id_or_name_and_near_misses_suggested() {
    let place = Place::new();
    let made = place.json(&["keys", "create", "--name", "checkout"]);
    let miss = place.run(&["keys", "revoke", "chekout"]);
    assert_eq!(miss.code, 4);
    assert!(miss.err.contains("did you mean \"checkout\"?"), "{}", miss.err);
    let secret = made["key"].as_str().unwrap();
    let leak = place.run(&["keys", "revoke", secret]);
    assert_eq!(leak.code, 1);
    assert!(!leak.err.contains(secret), "the secret is repeated");
}

#[test]
fn arguments_that_make_no_sense_make_no_key() {
    let place = Place::new();
    for (args, code) in [
        (&["--name", "lg-abc"][..], 2),
        (&["--name", "ci", "--expires", "soon"], 2),
        (&["--name", "ci", "--expires", "2001-01-01"], 1),
        (&["--name", "ci", "--model", "*x"], 2),
        (&["--name", "ci", "--meta", "novalue"], 2),
        (&["--name", "ci", "--meta", "a=1", "--meta", "a=2"], 1),
        (&[], 2),
    ] {
        let run = place.run(&[&["keys", "create"], args].concat());
        assert_eq!((run.code, run.out.as_str()), (code, ""), "{args:?}: {}", run.err);
    }
    assert_eq!(place.run(&["keys", "list"]).code, 4, "not even a store");
}
