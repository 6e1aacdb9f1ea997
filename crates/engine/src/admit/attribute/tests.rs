use std::collections::BTreeMap;

use lockgate_core::{Key, KeyHash};
use proptest::prelude::*;

use super::*;

fn principal(metadata: &[(&str, &str)]) -> Principal {
    let key = Key {
        id: "key_1".into(),
        name: "n".into(),
        hint: String::new(),
        hash: KeyHash([0; 32]),
        created_ms: 0,
        expires_ms: None,
        revoked_ms: None,
        models: Vec::new(),
        metadata: metadata.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<BTreeMap<_, _>>(),
    };
    Principal { key: Arc::new(key) }
}

fn under(
    rules: &Rules,
    metadata: &[(&str, &str)],
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Attribution, Error> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let payload = Payload::parse(body.to_owned().into()).unwrap();
    attribute(rules, &principal(metadata), &map, Some(&payload))
}

fn attributed(metadata: &[(&str, &str)], headers: &[(&str, &str)], body: &str) -> Result<Attribution, Error> {
    under(&Rules::default(), metadata, headers, body)
}

/// What is said in one line: `team=a user=b tags=x,y`.
fn line(attribution: &Attribution) -> String {
    let mut said: Vec<String> = Aspect::ALL
        .iter()
        .filter_map(|aspect| Some(format!("{}={}", aspect.code(), attribution.get(*aspect)?)))
        .collect();
    if !attribution.tags.is_empty() {
        said.push(format!("tags={}", attribution.tags.join(",")));
    }
    said.join(" ")
}

#[test]
fn what_the_key_fixes_stays() {
    let found = attributed(
        &[("customer", "acme"), ("tags", "prod, eu"), ("team", "care"), ("organisation", "north")],
        &[
            ("x-lockgate-customer", "evil"),
            ("x-lockgate-team", "board"),
            ("x-lockgate-feature", "chat"),
            ("x-lockgate-tags", "a, b,,"),
        ],
        r#"{"user":"u7","metadata":{"customer":"evil","tags":["c"]}}"#,
    );
    assert_eq!(
        line(&found.unwrap()),
        "organisation=north team=care customer=acme user=u7 feature=chat tags=prod,eu"
    );
}

#[test]
fn the_first_that_says_something_counts() {
    let body = r#"{"user":"body","safety_identifier":"safe","metadata":{"user_id":"meta","project":"p"}}"#;
    let own = ("x-lockgate-user", "own");
    let alias = ("x-litellm-end-user-id", "alias");
    for (headers, body, user) in [
        (&[own, alias][..], body, "own"),
        (&[alias], body, "alias"),
        (&[], body, "meta"),
        (&[], r#"{"user":"body","safety_identifier":"safe"}"#, "body"),
        (&[], r#"{"safety_identifier":"safe"}"#, "safe"),
    ] {
        assert_eq!(attributed(&[], headers, body).unwrap().user.as_deref(), Some(user), "{headers:?} {body}");
    }
}

#[test]
fn headers_of_the_field_are_read() {
    for (headers, expected) in [
        (&[("x-litellm-customer-id", "acme"), ("x-litellm-tags", "a,b")][..], "customer=acme tags=a,b"),
        (&[("x-litellm-spend-logs-metadata", r#"{"project_id":"p","user_id":"u"}"#)], "project=p user=u"),
        (
            &[("x-portkey-metadata", r#"{"_user":"u","feature":"f","environment":"prod","n":1}"#)],
            "user=u feature=f",
        ),
        (
            &[("x-bf-customer-name", "Acme"), ("x-bf-customer-id", "acme"), ("x-bf-project-id", "p")],
            "project=p customer=acme",
        ),
        (
            &[("x-bf-dim-feature", "f"), ("x-bf-dim-customer", "c"), ("x-bf-dim-else", "e")],
            "customer=c feature=f",
        ),
        (&[("x-bf-session-id", "s")], "session=s"),
        // Nobody's business but the key's.
        (&[("x-bf-dim-team", "board")], ""),
    ] {
        assert_eq!(line(&attributed(&[], headers, "{}").unwrap()), expected, "{headers:?}");
    }
}

#[test]
fn metadata_of_a_body_is_read_as_far_as_it_is_texts() {
    let long = format!(r#"{{"metadata":{{"user_id":"{}"}}}}"#, "x".repeat(257));
    for (body, expected) in [
        (
            r#"{"metadata":{"customer":"acme","feature":"chat","tags":["a"," b ",7]}}"#,
            "customer=acme feature=chat tags=a,b",
        ),
        (r#"{"metadata":{"tags":"a,b"}}"#, "tags=a,b"),
        (r#"{"litellm_metadata":{"user":"u","tags":["x"]}}"#, "user=u tags=x"),
        (r#"{"metadata":{"customer":{"name":"acme"},"user_id":7}}"#, ""),
        (r#"{"metadata":"acme","user":""}"#, ""),
        (&long, ""),
    ] {
        assert_eq!(line(&attributed(&[], &[], body).unwrap()), expected, "{body}");
    }
}

#[test]
fn a_header_that_cannot_be_read_is_an_error_that_names_it() {
    let long = "x".repeat(300);
    for (name, value) in [
        ("x-lockgate-user", &*long),
        ("x-litellm-customer-id", &long),
        ("x-bf-dim-customer", &long),
        ("x-portkey-metadata", "{"),
        ("x-portkey-metadata", "[]"),
    ] {
        let error = attributed(&[], &[(name, value)], "{}").unwrap_err();
        assert_eq!((error.kind(), error.at()), (Kind::InvalidRequest, Some(name)));
    }
}

#[test]
fn rules_say_what_clients_may_say() {
    let open = Rules::new(&[Aspect::Team], &[]);
    let headers = [("x-lockgate-team", "care"), ("x-lockgate-customer", "acme")];
    assert_eq!(line(&under(&open, &[], &headers, r#"{"user":"u"}"#).unwrap()), "team=care");
    assert_eq!(line(&attributed(&[], &headers, r#"{"user":"u"}"#).unwrap()), "customer=acme user=u");
    let body = r#"{"metadata":{"team":"body"}}"#;
    assert_eq!(line(&under(&open, &[("team", "key")], &headers, body).unwrap()), "team=key");
    assert_eq!(line(&under(&open, &[("team", "")], &headers, body).unwrap()), "", "fixed to nothing");
}

#[test]
fn what_is_required_and_missing_is_named_with_the_way_to_send_it() {
    let rules = Rules::new(&[Aspect::Customer], &[Aspect::Customer, Aspect::Team]);
    let error = under(&rules, &[], &[], "{}").unwrap_err();
    assert_eq!((error.kind(), error.at()), (Kind::InvalidRequest, Some("x-lockgate-customer")));
    for part in [
        "\"customer\" is missing: send it in the header \"x-lockgate-customer\"",
        "\"team\" is missing: the API key must fix it",
    ] {
        assert!(error.public().contains(part), "{}", error.public());
    }
    let error = under(&rules, &[("team", "care")], &[], "{}").unwrap_err();
    assert!(!error.public().contains("team"), "{}", error.public());
    assert!(under(&rules, &[("team", "care")], &[], r#"{"metadata":{"customer":"acme"}}"#).is_ok());
    assert!(said(&rules, &principal(&[]), &HeaderMap::new(), None).is_ok(), "nothing is checked here");
}

/// Every way of saying something, with a value of its own.
fn any_way() -> impl Strategy<Value = (String, bool)> {
    let own = Aspect::ALL.iter().map(|aspect| aspect.header().to_owned());
    let aliases =
        ALIASES.iter().filter(|(name, _)| *name != BIFROST_DIMENSIONS).map(|(name, _)| (*name).to_owned());
    let dimensions = MEMBERS.iter().filter(|(name, _)| !name.starts_with('_'));
    let dimensions = dimensions.map(|(name, _)| format!("{BIFROST_DIMENSIONS}{name}"));
    let headers: Vec<String> = own.chain(aliases).chain(dimensions).collect();
    let members: Vec<String> = MEMBERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    prop_oneof![
        prop::sample::select(headers).prop_map(|name| (name, true)),
        prop::sample::select(members).prop_map(|name| (name, false)),
    ]
}

proptest! {
    #[test]
    fn what_the_key_fixes_is_never_overridden(
        fixed_aspects in prop::collection::btree_set(prop::sample::select(Aspect::ALL), 0..8),
        open in prop::collection::vec(prop::sample::select(Aspect::ALL), 0..8),
        ways in prop::collection::vec((any_way(), "[a-z]{1,8}"), 0..24),
    ) {
        let metadata: Vec<(&str, &str)> =
            fixed_aspects.iter().map(|aspect| (aspect.code(), "FIXED")).collect();
        let mut headers = Vec::new();
        let mut members = Map::new();
        for ((name, is_header), value) in &ways {
            let object = || members_of(value);
            match (is_header, name.as_str()) {
                (true, "x-portkey-metadata" | "x-litellm-spend-logs-metadata") => headers.push((name.as_str(), object())),
                (true, name) => headers.push((name, value.clone())),
                (false, name) => drop(members.insert(name.to_owned(), Json::from(value.as_str()))),
            }
        }
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = serde_json::json!({ "metadata": members, "user": "body" }).to_string();
        let found = under(&Rules::new(&open, &[]), &metadata, &headers, &body).unwrap();
        for aspect in Aspect::ALL {
            let is_fixed = fixed_aspects.contains(aspect) && aspect.can_be_fixed();
            let value = found.get(*aspect).cloned().or_else(|| found.tags.first().filter(|_| *aspect == Aspect::Tags).cloned());
            if is_fixed {
                prop_assert_eq!(value.as_deref(), Some("FIXED"), "{:?}", aspect);
            } else if !open.contains(aspect) {
                prop_assert_eq!(value, None, "{:?} is not the client's to say", aspect);
            }
        }
    }
}

/// An object that says every aspect.
fn members_of(value: &str) -> String {
    let members: Map<String, Json> =
        MEMBERS.iter().map(|(name, _)| ((*name).to_owned(), value.into())).collect();
    Json::Object(members).to_string()
}
