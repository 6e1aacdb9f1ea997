//! Any text as a configuration: read the same each time, with all mistakes in their place and no secret in a message.

use lockgate_config::{Known, Severity, load};

const KNOWN: Known<'_> = Known::providers(&["openai", "anthropic", "gemini", "demo"]);

/// Values of the secret variables in two readings: of one shape, so that only a leak can tell them apart.
const SECRETS: [&str; 2] = ["zq0sw1xc2de3vf4b", "zq0sw1xc2de3vf4c"];
/// A text in which this stands could name a secret by itself.
const SHARED: &str = "xc2de3";

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let first = load(text, &|name| environment(name, SECRETS[0]), &KNOWN);
    assert_eq!(load(text, &|name| environment(name, SECRETS[0]), &KNOWN), first);

    let (config, diagnostics) = first;
    let usable = diagnostics.iter().all(|found| found.severity == Severity::Warning);
    assert_eq!(config.is_some(), usable);
    let lines = text.split(['\n', '\r']).count();
    for found in &diagnostics {
        assert!((1..=lines).contains(&(found.line as usize)), "{found} in {lines} lines");
        assert!(found.column >= 1 && !found.message.is_empty(), "{found}");
        assert!(!found.message.contains(char::is_control), "{found:?}");
    }
    if !text.contains(SHARED) {
        let (_, others) = load(text, &|name| environment(name, SECRETS[1]), &KNOWN);
        assert_eq!(diagnostics, others);
        assert!(!diagnostics.iter().any(|found| found.to_string().contains(SHARED)), "{diagnostics:?}");
    }
}

fn environment(name: &str, secret: &str) -> Option<String> {
    match name {
        "ADMIN" | "OPENAI_API_KEY" => Some(secret.to_owned()),
        "HOST" => Some("models.example".to_owned()),
        "PORT" => Some("8000".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}
