//! An independent look at requests: which bytes belong to which member.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use serde_json::value::RawValue;

/// The request as a tree.
pub(crate) fn tree(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

/// The model's name.
pub(crate) fn model(body: &str) -> String {
    tree(body)["model"].as_str().unwrap().to_owned()
}

pub(crate) fn asks_for_usage(body: &str) -> bool {
    tree(body)["stream_options"]["include_usage"] == true
}

/// The body with another value, in JSON, in the place of a member's.
pub(crate) fn with(body: &str, name: &str, value: &str) -> String {
    let mut body = body.to_owned();
    let place = place(&body, name).unwrap();
    body.replace_range(place, value);
    body
}

/// Where the value of a member stands.
fn place(body: &str, name: &str) -> Option<Range<usize>> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(body).unwrap();
    let value = members.get(name)?.get();
    let start = value.as_ptr().addr() - body.as_ptr().addr();
    Some(start..start + value.len())
}

/// Asserts that what went to the provider is what the client sent, but for the model's name and, if `asked`, a wish for
/// usage in the stream: once by meaning, once by every byte outside of these values.
pub(crate) fn assert_only_spliced(client: &str, sent: &str, model: &str, asked: bool, name: &str) {
    let (mut before, mut after) = (tree(client), tree(sent));
    assert_eq!(after["model"], model, "{name}");
    after["model"] = before["model"].clone();
    if asked {
        assert_eq!(after["stream_options"]["include_usage"], true, "{name}");
        before["stream_options"]["include_usage"] = true.into();
    }
    assert_eq!(after, before, "{name}");

    let own_options = place(client, "stream_options").is_some();
    let blank = |body: &str| {
        let body = with(body, "model", "0");
        if asked && own_options { with(&body, "stream_options", "0") } else { body }
    };
    let mut raw = blank(sent);
    if asked && !own_options {
        let added = r#","stream_options":{"include_usage":true}"#;
        assert_eq!(raw.matches(added).count(), 1, "{name}");
        raw = raw.replacen(added, "", 1);
    }
    assert_eq!(raw, blank(client), "{name}");
}

#[test]
fn a_changed_byte_is_seen() {
    let client = r#"{ "model":"a/m", "messages":[ ] }"#;
    let fine = r#"{ "model":"m", "messages":[ ] }"#;
    assert_only_spliced(client, fine, "m", false, "fine");
    let asked = r#"{ "model":"m", "messages":[ ],"stream_options":{"include_usage":true} }"#;
    assert_only_spliced(client, asked, "m", true, "asked");
    let spaced = std::panic::catch_unwind(|| {
        assert_only_spliced(client, r#"{ "model":"m", "messages":[] }"#, "m", false, "spaced");
    });
    assert!(spaced.is_err(), "white space is a byte as well");
}
