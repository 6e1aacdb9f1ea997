use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

fn payload(text: &str) -> Payload {
    Payload::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn why(text: &str) -> Reason {
    Payload::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap_err().why
}

fn joined(splice: Splice<'_>) -> String {
    String::from_utf8(splice.segments().join().to_vec()).unwrap()
}

#[test]
fn finds_members_of_every_kind() {
    let p = payload(
        " {\"model\" : \"gpt-x\",\n\"stream\":true,\"n\":3,\"messages\":[{\"content\":\"}]\\\"\"}],\"a\":null,\"t\":-1.5e3 } ",
    );
    assert_eq!(p.text("model").as_deref(), Some("gpt-x"));
    assert_eq!(p.flag("stream"), Some(true));
    assert_eq!(p.number("n"), Some(3));
    assert_eq!(p.get("messages"), Some(&br#"[{"content":"}]\""}]"#[..]));
    assert!(!p.has("a"));
    assert_eq!(p.get("t"), Some(&b"-1.5e3"[..]));
    assert_eq!(p.names().collect::<Vec<_>>(), ["model", "stream", "n", "messages", "a", "t"]);
}

#[test]
fn a_member_that_stands_twice_is_refused_however_it_is_written() {
    assert_eq!(why(r#"{"model":"a","model":"b"}"#), Reason::Duplicate("model".into()));
    assert_eq!(why(r#"{"model":"a","mod\u0065l":"b"}"#), Reason::Duplicate("model".into()));
    let many: Vec<String> = (0..40).map(|i| format!("\"m{i}\":0")).collect();
    assert_eq!(why(&format!("{{{},\"m7\":1}}", many.join(","))), Reason::Duplicate("m7".into()));
}

#[test]
fn an_escaped_name_is_found_by_what_it_means() {
    assert_eq!(payload(r#"{"mod\u0065l":"x"}"#).text("model").as_deref(), Some("x"));
}

#[test]
fn says_what_is_wrong() {
    assert_eq!(why(""), Reason::Empty);
    assert_eq!(why("  \n"), Reason::Empty);
    assert_eq!(why("[1]"), Reason::NotAnObject);
    assert_eq!(why(r#"{"a":1} x"#), Reason::Trailing);
    assert_eq!(why(r#"{"a":[1}"#), Reason::Unbalanced);
    assert_eq!(why(r#"{"a":[1,2"#), Reason::Unfinished);
    assert_eq!(why(r#"{"a":"b"#), Reason::Unfinished);
    assert_eq!(why(r#"{"a":"b\"#), Reason::Unfinished);
    assert_eq!(why(r#"{"a" 1}"#), Reason::Expected("a colon"));
    assert_eq!(why(r#"{"a":1,}"#), Reason::Expected("the name of a member in double quotes"));
    assert_eq!(why(r#"{"a":01}"#), Reason::Expected("a number"));
    assert_eq!(why(r#"{"a":tru}"#), Reason::Expected("a value"));
    assert_eq!(why("{\"a\u{1}\":1}"), Reason::BadName);
    assert_eq!(why(&format!("{{\"a\":{}}}", "[".repeat(200))), Reason::TooDeep);
    let many: Vec<String> = (0..=MAX_MEMBERS).map(|i| format!("\"m{i}\":0")).collect();
    assert_eq!(why(&format!("{{{}}}", many.join(","))), Reason::TooLarge);
}

#[test]
fn a_splice_touches_nothing_else() {
    let p = payload("{ \"model\" : \"a\" ,\n \"x\":[1, 2] , \"y\" : 3 }");
    assert_eq!(joined(p.splice()), "{ \"model\" : \"a\" ,\n \"x\":[1, 2] , \"y\" : 3 }");
    assert_eq!(
        joined(p.splice().set_text("model", "b\"c")),
        "{ \"model\" : \"b\\\"c\" ,\n \"x\":[1, 2] , \"y\" : 3 }"
    );
    assert_eq!(joined(p.splice().remove("model")), "{ \"x\":[1, 2] , \"y\" : 3 }");
    assert_eq!(joined(p.splice().remove("x")), "{ \"model\" : \"a\" , \"y\" : 3 }");
    assert_eq!(joined(p.splice().remove("y")), "{ \"model\" : \"a\" ,\n \"x\":[1, 2] }");
    assert_eq!(joined(p.splice().rename("x", "z")), "{ \"model\" : \"a\" ,\n \"z\":[1, 2] , \"y\" : 3 }");
    assert_eq!(
        joined(p.splice().set("new", "1".into())),
        "{ \"model\" : \"a\" ,\n \"x\":[1, 2] , \"y\" : 3,\"new\":1 }"
    );
    assert_eq!(
        joined(payload("{}").splice().set("new", "1".into()).set("b", "2".into())),
        r#"{"new":1,"b":2}"#
    );
    assert_eq!(
        joined(p.splice().remove("x").remove("y").remove("model").set("k", "0".into())),
        "{ \"k\":0 }"
    );
}

#[test]
fn a_rename_never_makes_a_duplicate() {
    let p = payload(r#"{"max_tokens":1,"max_completion_tokens":2}"#);
    assert!(p.splice().rename("max_tokens", "max_completion_tokens").is_empty());
    let p = payload(r#"{"a":1,"b":2}"#);
    assert_eq!(joined(p.splice().rename("a", "c").rename("b", "c")), r#"{"c":1,"b":2}"#);
    assert_eq!(joined(p.splice().set("c", "3".into()).rename("a", "c")), r#"{"a":1,"b":2,"c":3}"#);
    assert_eq!(joined(p.splice().rename("a", "c").set("c", "3".into())), r#"{"c":3,"b":2}"#);
    assert_eq!(joined(p.splice().rename("a", "c").rename("a", "d")), r#"{"d":1,"b":2}"#);
}

#[test]
fn the_later_of_two_edits_counts() {
    let p = payload(r#"{"a":1,"b":2}"#);
    assert_eq!(joined(p.splice().remove("a").set("a", "3".into())), r#"{"a":3,"b":2}"#);
    assert_eq!(joined(p.splice().set("a", "3".into()).remove("a")), r#"{"b":2}"#);
    assert_eq!(joined(p.splice().set("c", "3".into()).set("c", "4".into())), r#"{"a":1,"b":2,"c":4}"#);
    assert_eq!(joined(p.splice().set("c", "3".into()).rename("c", "d")), r#"{"a":1,"b":2,"d":3}"#);
    assert!(p.splice().set("c", "3".into()).remove("c").is_empty());
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC*".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("\\PC{0,6}", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    });
    prop::collection::hash_map("[a-e\"\\\\é]{0,3}", value, 0..40).prop_map(|m| m.into_iter().collect())
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let _ = Payload::parse(bytes.into());
    }

    #[test]
    fn agrees_with_a_full_parser(map in object()) {
        let bytes = serde_json::to_vec(&map).unwrap();
        let p = Payload::parse(bytes.into()).unwrap();
        prop_assert_eq!(p.names().count(), map.len());
        for (name, value) in &map {
            prop_assert_eq!(&serde_json::from_slice::<Value>(p.get(name).unwrap()).unwrap(), value);
        }
    }

    #[test]
    fn edits_mean_what_they_say(map in object(), edits in prop::collection::vec((0..3_u8, "[a-e]{0,2}"), 0..6)) {
        let p = Payload::parse(serde_json::to_vec(&map).unwrap().into()).unwrap();
        let (mut splice, mut expected, mut seen) = (p.splice(), map, std::collections::HashSet::new());
        for (what, name) in edits {
            if !seen.insert(name.clone()) {
                continue;
            }
            match what {
                0 => {
                    splice = splice.remove(&name);
                    expected.remove(&name);
                }
                _ => {
                    splice = splice.set(&name, "[7]".into());
                    expected.insert(name, serde_json::json!([7]));
                }
            }
        }
        let out: Value = serde_json::from_slice(&splice.segments().join()).unwrap();
        prop_assert_eq!(out, Value::Object(expected));
    }
}

#[test]
fn a_string_ends_at_its_own_quote_wherever_that_stands() {
    for before in 0..130 {
        for escapes in 0..4 {
            let mut text = "é".repeat(before / 2) + &"x".repeat(before % 2);
            text.push_str(&"\\\\".repeat(escapes));
            text.push_str("\\\"\\n!");
            let json = format!("{{\"a\":[\"{text}\"],\"b\":1}}");
            let payload = Payload::parse(Bytes::from(json)).unwrap();
            assert_eq!(payload.get("a"), Some(format!("[\"{text}\"]").as_bytes()), "{before} {escapes}");
            assert_eq!(payload.number("b"), Some(1));
        }
    }
}
