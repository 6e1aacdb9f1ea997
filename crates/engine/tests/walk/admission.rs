//! Who comes in, on whose behalf, and what they may use.

use std::time::Duration;

use lockgate_core::{Error, Exclusion, Fault, Key, Kind, Outcome, Standing};
use lockgate_testkit::clock::START_MS;
use lockgate_testkit::{Play, builder};
use serde_json::Value;

use crate::stage::{HELLO, Set, Stage, hear};

/// An answer with this text.
fn answer() -> Play {
    Play::json(
        200,
        r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
    )
}

fn stage_with(keys: impl IntoIterator<Item = Key>) -> Stage {
    let mut set = Set::of([builder::upstream("a"), builder::upstream("b")]).route("both", &["a", "b"], 0);
    set.keys.extend(keys);
    set.stage()
}

fn key(text: &str, change: impl FnOnce(&mut Key)) -> Key {
    let mut key = builder::key(text);
    change(&mut key);
    key
}

#[tokio::test(start_paused = true)]
async fn whoever_has_no_good_key_is_refused_before_anything_is_read_or_recorded() {
    let stage = stage_with([
        key("lg-expired", |key| key.expires_ms = Some(START_MS)),
        key("lg-revoked", |key| key.revoked_ms = Some(START_MS - 1)),
    ]);
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[], "No API key"),
        (&[("authorization", "Bearer ")], "No API key"),
        (&[("authorization", "Basic lg-test-key")], "No API key"),
        (&[("x-api-key", "")], "No API key"),
        (&[("authorization", "Bearer lg-unknown")], "not known"),
        (&[("x-api-key", "sk-live-of-a-provider")], "not a Lockgate key"),
        (&[("authorization", "Bearer lg-expired")], "expired"),
        (&[("api-key", "lg-revoked")], "revoked"),
    ];
    for (headers, says) in cases {
        let Err(error) = stage.chat_with(headers, "not even JSON").await else {
            panic!("{headers:?} came in")
        };
        assert_eq!((error.kind(), error.fault()), (Kind::Unauthenticated, Fault::Caller), "{headers:?}");
        assert_eq!(error.status(), 401);
        assert!(error.public().contains(says), "{headers:?}: {error}");
    }
    assert!(stage.records.take().is_empty());
    assert!(stage.script.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_key_is_accepted_where_the_sdks_put_it() {
    let stage = stage_with([]);
    for (name, value) in [
        ("authorization", "Bearer lg-test-key"),
        ("authorization", "bearer  lg-test-key"),
        ("x-api-key", "lg-test-key"),
        ("x-goog-api-key", "lg-test-key"),
        ("api-key", "lg-test-key"),
    ] {
        stage.script.then("a", answer());
        let heard = hear(stage.chat_with(&[(name, value)], HELLO).await).await;
        assert_eq!((heard.status, heard.error), (200, None), "{name}: {value}");
        let record = stage.record();
        assert_eq!((&*record.key, &*record.key_name), ("key_tests", "tests"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_opens_until_its_time_is_over() {
    let stage = stage_with([key("lg-short", |key| key.expires_ms = Some(START_MS + 1_000))]);
    let ask = || stage.chat_with(&[("x-api-key", "lg-short")], HELLO);
    stage.script.then("a", answer());
    assert!(ask().await.is_ok());
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(ask().await.err().map(|error| error.kind()), Some(Kind::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn a_key_reaches_the_models_it_may_use_and_no_other() {
    let stage = stage_with([
        key("lg-a-only", |key| key.models = vec!["a/*".into()]),
        key("lg-route-only", |key| key.models = vec!["both".into()]),
    ]);
    for (shown, model, fine) in [
        ("lg-a-only", "a/m", true),
        ("lg-a-only", "b/m", false),
        // The route would reach b as well.
        ("lg-a-only", "both", false),
        ("lg-route-only", "both", true),
        ("lg-route-only", "a/m", false),
    ] {
        stage.script.clear();
        stage.script.then("a", answer());
        let body = HELLO.replace("a/m", model);
        let result = stage.chat_with(&[("x-api-key", shown)], body).await;
        let record = stage.record();
        assert_eq!(&*record.asked, model);
        if fine {
            assert!(result.is_ok(), "{shown} {model}");
            assert_eq!(stage.script.take().len(), 1);
            continue;
        }
        let error = result.err().unwrap_or_else(|| panic!("{shown} used {model}"));
        assert_eq!((error.kind(), error.fault()), (Kind::PermissionDenied, Fault::Policy));
        assert_eq!((error.status().as_u16(), error.at()), (403, Some("model")));
        let refused = Standing::Excluded(Exclusion::NotAllowed);
        assert!(!error.looked_at().is_empty() && error.looked_at().iter().all(|it| it.standing == refused));
        assert_eq!((record.outcome, record.error), (Outcome::Error, Some(Kind::PermissionDenied)));
        assert!(stage.script.take().is_empty(), "{shown} {model}: nothing goes to a provider");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_served_says_why_and_goes_nowhere() {
    let stage = stage_with([]);
    let cases = [
        (r#"{"model":"nobody/m","messages":[]}"#, Kind::ModelNotFound, 404, Some("model")),
        (r#"{"model":"m","messages":[]}"#, Kind::ModelNotFound, 404, Some("model")),
        (r#"{"model":"a/","messages":[]}"#, Kind::ModelNotFound, 404, Some("model")),
        (r#"{"messages":[]}"#, Kind::InvalidRequest, 400, Some("model")),
        (r#"{"model":"a/m"}"#, Kind::InvalidRequest, 400, Some("messages")),
        (r#"{"model":"a/m","messages":[],"model":"b/m"}"#, Kind::InvalidRequest, 400, None),
        (r#"{"model":"a/m","messages":["#, Kind::InvalidRequest, 400, None),
        ("", Kind::InvalidRequest, 400, None),
    ];
    for (body, kind, status, at) in cases {
        let Err(error) = stage.chat(body).await else { panic!("{body} was served") };
        assert_eq!((error.kind(), error.status().as_u16(), error.at()), (kind, status, at), "{body}");
        assert_eq!(error.fault(), Fault::Caller, "{body}");
        let record = stage.record();
        assert_eq!((record.outcome, record.error, record.status), (Outcome::Error, Some(kind), status));
        assert!(record.attempts.is_empty());
    }
    assert!(stage.script.take().is_empty());
}

/// What the door finds wrong with a body is the request's error, and is recorded as it.
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_recorded() {
    let stage = stage_with([]);
    let inbound = stage.inbound(&[("x-api-key", builder::KEY)]);
    let too_large = async { Err(Error::client(Kind::RequestTooLarge, "The request is too large.")) };
    let result = lockgate_engine::chat(&stage.engine, inbound, too_large).await;
    assert_eq!(result.err().map(|error| error.kind()), Some(Kind::RequestTooLarge));
    let record = stage.record();
    assert_eq!((record.status, record.error), (413, Some(Kind::RequestTooLarge)));
}

#[tokio::test(start_paused = true)]
async fn every_request_is_booked_on_somebody() {
    let stage = stage_with([key("lg-acme", |key| {
        key.metadata = [("customer".to_owned(), "acme".to_owned())].into();
    })]);
    stage.script.then("a", answer());
    let body = HELLO.replace("{\"model\"", "{\"user\":\"u7\",\"model\"");
    let headers = [
        ("x-api-key", "lg-acme"),
        ("x-lockgate-customer", "another"),
        ("x-lockgate-project", "p"),
        ("x-lockgate-feature", "summary"),
        ("x-lockgate-session", "s1"),
        ("x-lockgate-tags", "x, y"),
    ];
    assert!(stage.chat_with(&headers, body).await.is_ok());
    let booked = stage.record().attribution;
    assert_eq!(booked.customer.as_deref(), Some("acme"), "what the key says cannot be overridden");
    assert_eq!(booked.project.as_deref(), Some("p"));
    assert_eq!(booked.user.as_deref(), Some("u7"), "from the body");
    assert_eq!(booked.feature.as_deref(), Some("summary"));
    assert_eq!(booked.session.as_deref(), Some("s1"));
    assert_eq!(booked.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["x", "y"]);
    let call = &stage.script.take()[0];
    let sent: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(sent["user"], "u7", "the body is the client's");
}

#[tokio::test(start_paused = true)]
async fn a_client_may_say_how_long_it_waits() {
    let stage = stage_with([]);
    for wrong in ["0", "-1", "soon", "1.5"] {
        let heard = stage.ask_with(&[("x-lockgate-timeout-ms", wrong)], HELLO).await;
        assert_eq!(
            (heard.status, heard.error),
            (400, Some((Kind::InvalidRequest, Fault::Caller))),
            "{wrong}"
        );
        stage.record();
    }
    stage.script.take();
    stage.script.then("a", Play::json(200, "").hang());
    let begun = tokio::time::Instant::now();
    let heard = stage.ask_with(&[("x-lockgate-timeout-ms", "250")], HELLO).await;
    assert_eq!(begun.elapsed().as_millis() / 10, 25, "{:?}", begun.elapsed());
    assert_eq!((heard.status, heard.error), (504, Some((Kind::UpstreamTimeout, Fault::Provider))));
    assert_eq!(stage.record().attempts.len(), 1, "nothing is left for a second attempt");
    let call = &stage.script.take()[0];
    assert!(call.total <= Duration::from_millis(250) && call.first_byte <= call.total, "the transport knows");
    assert_eq!(stage.script.open(), 0, "the provider's answer is let go");
}
