//! What is asked of a provider: files, batches, and calls that go on as they are.

use bytes::Bytes;
use http::Method;
use lockgate_core::{Key, Kind, Outcome};
use lockgate_testkit::{Play, builder};

use crate::errands::{kept, speaking, through, with_prices};
use crate::stage::{Set, Stage};

const ANSWER: &str =
    r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
const ASK: &str = r#"{ "model":"gpt-4o", "messages":[{"role":"user","content":"Hi"}] ,"user":"u7"}"#;

fn stage(names: &[&str]) -> Stage {
    let mut set = Set::of(names.iter().map(|name| builder::upstream(name))).patient();
    set.keys.push(Key { models: vec!["a/*".into()], ..builder::key("lg-all-of-a") });
    set.keys.push(Key { models: vec!["a/gpt-4o".into(), "b*".into()], ..builder::key("lg-one-model") });
    set.routes.push(crate::stage::route("mine", &["b", "a"], 0));
    with_prices(set.stage())
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_as_it_came_with_the_providers_credential_in_place_of_the_key() {
    let stage = stage(&["openai"]);
    stage.script.then("openai", Play::json(201, ANSWER).header("set-cookie", "s").header("x-own", "1"));
    let heard = through(Method::POST, "openai", "/chat/completions?a=%20b&key=lg-test-key&c", ASK)
        .with("x-api-key", "lg-test-key")
        .with("content-type", "application/json; charset=utf-8")
        .with("openai-beta", "x")
        .with("accept-encoding", "gzip")
        .with("x-lockgate-feature", "f")
        .to(&stage)
        .await;
    assert_eq!((heard.status, heard.body.as_ref()), (201, ANSWER.as_bytes()));
    assert_eq!(heard.headers["x-own"], "1");
    assert!(!heard.headers.contains_key("set-cookie"));
    let call = &stage.script.take()[0];
    assert_eq!((&*call.path, call.body.as_ref()), ("/chat/completions?a=%20b&c", ASK.as_bytes()));
    let mut names: Vec<&str> = call.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "openai-beta"]);
    assert!(!format!("{:?}", call.headers).contains(builder::KEY));
    let record = stage.record();
    assert_eq!((&*record.dialect, &*record.asked, record.outcome), ("passthrough", "gpt-4o", Outcome::Ok));
    assert_eq!((record.usage.unwrap().input, record.attribution.feature.as_deref()), (3, Some("f")));
    assert_eq!(record.attribution.user.as_deref(), Some("u7"));
    assert_eq!(record.cost.unwrap().nanos(), 3 * 2_500 + 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_a_known_dialect_is_metered_and_passes_untouched() {
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let stage = stage(&["openai"]);
    stage.script.then("openai", Play::stream(events.as_bytes().chunks(9).map(Bytes::copy_from_slice)));
    let ask = ASK.replace("\"user\"", "\"stream\":true,\"user\"");
    let heard = through(Method::POST, "openai", "/chat/completions", ask.clone()).to(&stage).await;
    assert_eq!(heard.body, events);
    assert_eq!(stage.script.take()[0].body, ask);
    let record = stage.record();
    assert_eq!((record.usage.unwrap().output, record.stream, record.outcome), (2, true, Outcome::Ok));
}

#[tokio::test(start_paused = true)]
async fn embeddings_on_the_way_through_are_metered_and_the_unknown_passes() {
    let stage = stage(&["a"]);
    let vectors = r#"{"data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    stage.script.then("a", Play::json(200, vectors));
    let body = r#"{"model":"m","input":"x"}"#;
    let heard = through(Method::POST, "a", "/embeddings", body).to(&stage).await;
    assert_eq!(heard.body, vectors);
    assert_eq!(stage.record().usage.unwrap().input, 5);
    for (method, path, body) in [
        (Method::POST, "/embeddings", "not JSON"),
        (Method::POST, "/chat/completions", "{\"model\":7}"),
        (Method::POST, "/fine_tuning/jobs", "{}"),
        (Method::PATCH, "/x", ""),
        (Method::GET, "/models", ""),
    ] {
        stage.script.then("a", Play::json(200, "{\"odd\":1}"));
        let heard = through(method, "a", path, body).to(&stage).await;
        assert_eq!((heard.status, heard.body.as_ref()), (200, &b"{\"odd\":1}"[..]), "{path}");
        assert_eq!(stage.script.take().last().unwrap().body, body);
        let record = stage.record();
        assert_eq!((record.usage, record.cost, &*record.asked), (None, None, "*"), "{path}");
    }
    let bare = Set::of([speaking("c", &["anthropic.messages"])]).stage();
    bare.script.then("c", Play::json(200, vectors));
    let heard = through(Method::POST, "c", "/embeddings", body).to(&bare).await;
    assert_eq!((heard.status, heard.body.as_ref()), (200, vectors.as_bytes()));
    stage.script.then("a", Play::status(204));
    let heard = through(Method::DELETE, "a", "/x", "").to(&stage).await;
    assert_eq!((heard.status, heard.body.len()), (204, 0));
}

#[tokio::test(start_paused = true)]
async fn only_a_key_for_the_whole_provider_passes() {
    let stage = stage(&["a", "b"]);
    for (key, provider, good) in [
        ("lg-all-of-a", "a", true),
        ("lg-all-of-a", "b", false),
        ("lg-one-model", "a", false),
        ("lg-one-model", "b", false),
        ("lg-test-key", "b", true),
    ] {
        stage.script.then(provider, Play::json(200, "{}"));
        let heard = through(Method::GET, provider, "/models", "")
            .with("authorization", &format!("Bearer {key}"))
            .to(&stage)
            .await;
        assert_eq!(heard.status, if good { 200 } else { 403 }, "{key} {provider}");
        assert_eq!(stage.script.take().len(), usize::from(good));
        stage.script.clear();
        assert_eq!(stage.record().outcome, if good { Outcome::Ok } else { Outcome::Error });
    }
    let heard =
        through(Method::GET, "a", "/models", "").with("authorization", "Bearer sk-x").to(&stage).await;
    assert_eq!(heard.status, 401);
    let heard = through(Method::GET, "nobody", "/models", "").to(&stage).await;
    assert_eq!((heard.status, heard.error.unwrap().0), (404, Kind::NotFound));
}

#[tokio::test(start_paused = true)]
async fn a_path_that_leaves_the_provider_is_refused() {
    let stage = stage(&["a"]);
    for path in
        ["/../admin", "/a/%2e%2e/%2E%2e/b", "//evil.example/x", "/https://evil.example/x", "/a%5c..%5cb"]
    {
        let heard = through(Method::GET, "a", path, "").to(&stage).await;
        assert_eq!((heard.status, heard.error.unwrap().0), (400, Kind::InvalidRequest), "{path}");
    }
    let heard = through(Method::TRACE, "a", "/models", "").to(&stage).await;
    assert_eq!(heard.status, 404);
    assert!(stage.script.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn errors_pass_untouched_but_never_a_credential() {
    let stage = stage(&["a"]);
    let own = r#"{"error":{"message":"no such job","code":"x"}}"#;
    stage.script.then("a", Play::json(404, own));
    let heard = through(Method::GET, "a", "/jobs/1", "").to(&stage).await;
    assert_eq!((heard.status, heard.body.as_ref()), (404, own.as_bytes()));
    stage.record();
    stage.script.then("a", Play::json(401, own.replace("no such job", "bad key sk-a-secret")));
    let heard = through(Method::GET, "a", "/jobs/1", "").to(&stage).await;
    assert!(heard.status >= 400 && !String::from_utf8_lossy(&heard.body).contains("sk-a-secret"));
    assert_eq!(stage.record().error, Some(Kind::UpstreamAuth));
    let heard = through(Method::GET, "a", "/jobs/1", "").to(&stage).await;
    assert_eq!(heard.error.unwrap().0, Kind::UpstreamUnreachable);
    assert_eq!(stage.record().attempts.len(), 1, "no call is made twice");
}

#[tokio::test(start_paused = true)]
async fn files_are_kept_at_the_only_provider_or_at_the_one_that_is_named() {
    let alone = stage(&["a"]);
    alone.script.then("a", Play::json(200, r#"{"object":"list","data":[]}"#));
    let heard = kept(Method::GET, "/files").to(&alone).await;
    assert_eq!(heard.status, 200);
    assert_eq!(alone.script.take()[0].path, "/files");
    assert_eq!(&*alone.record().dialect, "files");

    let two = stage(&["a", "b"]);
    let heard = kept(Method::GET, "/batches/b1").to(&two).await;
    let text = String::from_utf8(heard.body.to_vec()).unwrap();
    assert!(heard.status == 400 && text.contains("x-lockgate-provider") && text.contains("a, b"), "{text}");
    for (header, value, provider) in [
        ("x-lockgate-provider", "a", "a"),
        ("x-lockgate-route", "mine", "b"),
        ("x-lockgate-route", "a/m", "a"),
    ] {
        two.script.then(provider, Play::json(200, "{}"));
        let heard = kept(Method::GET, "/batches/b1").with(header, value).to(&two).await;
        assert_eq!((heard.status, &*two.script.take()[0].upstream), (200, provider), "{value}");
    }
    let heard = kept(Method::GET, "/files").with("x-lockgate-provider", "c").to(&two).await;
    assert_eq!(heard.status, 404);
    let heard = kept(Method::GET, "/files").with("x-lockgate-route", "none").to(&two).await;
    assert_eq!(heard.status, 404);
    two.script.then("a", Play::json(200, "{}"));
    let narrow = kept(Method::GET, "/files").with("authorization", "Bearer lg-all-of-a").to(&two).await;
    assert_eq!(narrow.status, 200, "it is the only one for this key");
    let none = kept(Method::GET, "/files").with("authorization", "Bearer lg-one-model").to(&two).await;
    assert_eq!(none.status, 404);
}

#[tokio::test(start_paused = true)]
async fn anthropics_clients_keep_theirs_at_anthropic() {
    let set = Set::of([builder::upstream("a"), speaking("claude", &["anthropic.messages"])]);
    let stage = set.stage();
    stage.script.then("claude", Play::json(200, "{}"));
    let heard = kept(Method::GET, "/files").with("anthropic-version", "2023-06-01").to(&stage).await;
    assert_eq!(heard.status, 200);
    assert_eq!(stage.script.take()[0].headers["anthropic-version"], "2023-06-01");
}

#[tokio::test(start_paused = true)]
async fn a_file_passes_byte_for_byte() {
    let stage = stage(&["a"]);
    let file = Bytes::from((0..=255).collect::<Vec<u8>>());
    let play =
        Play::status(200).header("content-type", "application/octet-stream").piece(file.clone()).pause();
    stage.script.then("a", play.piece(file.clone()));
    let heard = kept(Method::GET, "/files/f/content").to(&stage).await;
    assert_eq!(heard.body, [file.clone(), file].concat());
    assert_eq!(stage.record().outcome, Outcome::Ok);
}
