//! `lockgate doctor`, on installations healthy and ill.

use serde_json::Value;

use crate::Place;

fn state<'a>(report: &'a Value, check: &str) -> &'a str {
    let found = report["checks"].as_array().unwrap().iter().rfind(|c| c["check"] == check);
    found.unwrap_or_else(|| panic!("no {check} in {report}"))["state"].as_str().unwrap()
}

#[test]
fn the_doctor_finds_a_fresh_folder_fit_and_says_what_is_missing() {
    let report = Place::new().json(&["doctor"]);
    assert_eq!(report["ok"], true);
    for (check, expected) in [
        ("config", "ok"),
        ("store", "ok"),
        ("secret", "ok"),
        ("door", "ok"),
        ("keys", "warning"),
        ("admin", "warning"),
        ("clock", "ok"),
    ] {
        assert_eq!(state(&report, check), expected, "{check}");
    }
}

#[test]
fn the_doctor_sees_what_would_keep_keys_from_working() {
    let place = Place::new();
    place.json(&["keys", "create", "--name", "ci"]);
    assert_eq!(state(&place.json(&["doctor"]), "keys"), "ok");
    std::fs::remove_file(place.0.path().join(".lockgate/lockgate.secret")).unwrap();
    let run = place.run(&["doctor", "--json"]);
    assert_eq!(run.code, 1);
    assert_eq!(state(&serde_json::from_str(&run.out).unwrap(), "secret"), "fail");
    assert!(!place.0.path().join(".lockgate/lockgate.secret").exists(), "the doctor makes nothing");
}

#[test]
fn the_doctor_sees_a_bad_config_an_open_store_and_an_unreachable_provider() {
    let place = Place::with_config("sever: {}\n");
    let run = place.run(&["doctor"]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("fail") && run.out.contains("lockgate.yaml:1:1"), "{}", run.out);

    let refused = lockgate_demo::refused_addr().unwrap();
    let place = Place::with_config(&format!(
        "providers: {{near: {{type: openai-compatible, base_url: 'http://{refused}/v1'}}}}\n"
    ));
    drop(place.store());
    let file = place.0.path().join(".lockgate/lockgate.db");
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&file, everyone).unwrap();
    assert_eq!(place.run(&["doctor"]).code, 0, "offline it is a warning");
    let run = place.run(&["doctor", "--connect"]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("mode 644") && run.out.contains("chmod 600"), "{}", run.out);
    assert!(run.out.contains(&format!("near: {refused}")), "{}", run.out);
}
