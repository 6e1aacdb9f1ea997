//! Rate limits over real sockets: as many pass as may, what comes back, what answers say, and who makes them.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use lockgate_demo::{DemoUpstream, Options};
use lockgate_e2e::{ADMIN_TOKEN, Answer, Gateway, PATIENCE, ask, eventually};
use serde_json::{Value, json};

async fn gateway(more: &str) -> (DemoUpstream, Gateway) {
    let upstream = DemoUpstream::start(Options::instant()).await.expect("an upstream");
    let url = upstream.base_url();
    let config = format!("providers: {{ demo: {{ type: openai-compatible, base_url: \"{url}\" }} }}\n{more}");
    let gateway = Gateway::start(&config).await;
    (upstream, gateway)
}

async fn admin(gateway: &Gateway, method: &str, path: &str, body: &Value) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let token = format!("Bearer {ADMIN_TOKEN}");
    gateway.send(method, path, &[("authorization", &token)], body).await
}

/// A day, so that nothing comes back while the test runs, however slow the machine is.
const FIFTY: &str = "limits: { all: { count: requests, amount: 50, every: day } }";

#[tokio::test]
async fn of_two_hundred_requests_at_once_exactly_fifty_pass() {
    let (_upstream, gateway) = gateway(FIFTY).await;
    let gateway = Arc::new(gateway);
    let asking: Vec<_> = (0..200)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { gateway.chat(&ask("demo/chat", false)).await })
        })
        .collect();
    let mut passed = 0;
    for answer in asking {
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "50");
        match answer.status {
            200 => passed += 1,
            429 => {
                assert_eq!(answer.header("x-ratelimit-remaining-requests"), "0");
                assert_eq!(answer.header("x-lockgate-error"), "rate_limited");
                assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
                let error = answer.json();
                let text = error["error"]["message"].as_str().expect("a message");
                assert!(text.starts_with("The limit \"all\" is used up: 50 requests a day."), "{text}");
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    assert_eq!(passed, 50);
    let metrics = gateway.get("/metrics", ADMIN_TOKEN).await.expect("metrics");
    let counted = "lockgate_limit_refusals_total{limit=\"all\"} 150";
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn what_failed_before_a_provider_answered_comes_back() {
    let config = "providers: { gone: { type: openai-compatible, base_url: \"http://127.0.0.1:9\" } }\n\
        limits: { t: { count: tokens, amount: 5000, every: day }, r: { count: requests, amount: 2, every: day } }";
    let gateway = Gateway::start(config).await;
    for _ in 0..4 {
        let answer = gateway.chat(&ask("gone/m", false)).await;
        assert_ne!(answer.status, 429, "{}", answer.text());
        assert_eq!(answer.header("x-ratelimit-remaining-tokens"), "5000");
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), "2");
    }
}

#[tokio::test]
async fn a_limit_is_made_changed_and_removed_and_the_files_stay_as_they_are() {
    let (_upstream, gateway) = gateway(&FIFTY.replace("50", "100000")).await;
    let call = async |method: &str, path: &str, body: Value| {
        let answer = admin(&gateway, method, &format!("/api/v1/limits{path}"), &body).await;
        (answer.status, if answer.body.is_empty() { Value::Null } else { answer.json() })
    };
    let draft = json!({ "name": "one", "count": "requests", "amount": 1, "every": "day", "per": "customer" });
    let (status, made) = call("POST", "", draft.clone()).await;
    assert_eq!((status, &made["source"], &made["version"]), (201, &json!("store"), &json!(1)), "{made}");
    let (_, list) = call("GET", "", Value::Null).await;
    assert_eq!(list["limits"][0]["name"], "all");
    assert_eq!(list["limits"][1], made);
    assert_eq!(gateway.run_json(&["limits", "list"]).await, [list], "the same shape");
    assert_eq!(call("POST", "", draft).await.0, 400, "its name is taken");
    assert_eq!(call("DELETE", "/all", Value::Null).await.0, 400, "it is the file's");
    let (status, wrong) = call("POST", "", json!({ "name": "all", "count": "calls", "per": "model" })).await;
    assert_eq!(status, 400);
    let members: Vec<&str> = wrong["error"]["mistakes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|m| m["member"].as_str())
        .collect();
    assert_eq!(members, ["count", "amount", "per"]);

    // In force within a second, and its counters stay when another comes.
    eventually(PATIENCE, "the limit to refuse", || async {
        (gateway.chat(&ask("demo/chat", false)).await.status == 429).then_some(())
    })
    .await;
    gateway.run(&["limits", "create", "other", "--count", "concurrent", "--amount", "9"]).await;
    assert_eq!(call("GET", "/other", Value::Null).await.0, 200);
    assert_eq!(gateway.chat(&ask("demo/chat", false)).await.status, 429);

    let changed = json!({ "count": "requests", "amount": 1000, "every": "day", "per": "customer" });
    let (status, put) = call("PUT", "/one", changed).await;
    assert_eq!((status, &put["version"]), (200, &json!(2)), "{put}");
    eventually(PATIENCE, "the change", || async {
        (gateway.chat(&ask("demo/chat", false)).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(call("DELETE", "/one", Value::Null).await.0, 204);
    assert_eq!(call("DELETE", "/one", Value::Null).await.0, 404);
    assert_eq!(call("GET", "/one", Value::Null).await.0, 404);
}
