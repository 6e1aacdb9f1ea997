//! Budgets and keys over the network: the admin endpoints, what a key may know of itself, and on whose behalf requests run.

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

#[tokio::test]
async fn a_budget_is_made_changed_raised_and_removed() {
    let (_upstream, gateway) = gateway("").await;
    let call = async |method: &str, path: &str, body: Value| {
        let answer = admin(&gateway, method, &format!("/api/v1/budgets{path}"), &body).await;
        (answer.status, if answer.body.is_empty() { Value::Null } else { answer.json() })
    };
    let draft = json!({
        "name": "customers", "limit": "12.5", "window": "month", "zone": "Europe/Berlin", "per": "customer",
        "selector": { "key": ["tests"], "customer": ["acme", "bmw-*"] }, "at_limit": "throttle:10", "thresholds": [50, 100],
    });
    let (status, made) = call("POST", "", draft.clone()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        (&made["limit"], &made["spent"], &made["window"]),
        (&json!("12.50"), &json!("0.00"), &json!("month"))
    );
    let id = made["id"].as_str().expect("an id").to_owned();
    assert!(made["selector"]["key"][0].as_str().expect("a key").starts_with("key_"));

    assert_eq!(call("GET", "", Value::Null).await, (200, json!({ "budgets": [made] })));
    assert_eq!(call("GET", "/customers", Value::Null).await, (200, made.clone()));
    assert_eq!(call("GET", &format!("/{id}"), Value::Null).await, (200, made.clone()));
    assert_eq!(
        gateway.run_json(&["budgets", "list"]).await,
        [json!({ "budgets": [made] })],
        "the same shape"
    );
    assert_eq!(
        call("GET", "/customers/accounts?limit=5&after=a", Value::Null).await,
        (200, json!({ "accounts": [] }))
    );
    let (status, twice) = call("POST", "", draft).await;
    assert_eq!((status, &twice["error"]["code"]), (400, &json!("invalid_request")), "{twice}");

    let (status, put) =
        call("PUT", "/customers", json!({ "name": "clients", "limit": "1", "window": "day" })).await;
    assert_eq!((status, &put["id"], &put["name"]), (200, &json!(id), &json!("clients")));
    assert_eq!((&put["at_limit"], put.get("per")), (&json!("block"), None), "all of it is another");

    let raise = json!({ "amount": "0.5", "until": "2099-01-01", "reason": "launch" });
    let (status, raised) = call("POST", "/clients/increases", raise).await;
    assert_eq!(
        (status, &raised["in_force"], &raised["by"]),
        (201, &json!(true), &json!("admin")),
        "{raised}"
    );
    let (_, shown) = call("GET", "/clients", Value::Null).await;
    assert_eq!((&shown["limit_now"], &shown["increases"][0]), (&json!("1.50"), &raised));
    let increase = format!("/clients/increases/{}", raised["id"].as_str().expect("an id"));
    assert_eq!(call("DELETE", &increase, Value::Null).await.0, 204);
    assert_eq!(call("DELETE", &increase, Value::Null).await.0, 404);

    let resolve = json!({ "node": 1, "spent": "0", "reason": "bill" });
    assert_eq!(call("POST", "/clients/reconcile", resolve).await.0, 404, "nothing is uncertain");
    let journal =
        admin(&gateway, "GET", "/api/v1/journal/req_01k5qz6v8h3m9x2c7r4t0w1y5b", &Value::Null).await;
    assert_eq!((journal.status, journal.json()), (200, json!({ "entries": [] })));

    assert_eq!(call("DELETE", "/clients", Value::Null).await, (204, Value::Null));
    for (method, path) in [("GET", "/clients"), ("DELETE", "/clients"), ("GET", "/clients/accounts")] {
        assert_eq!(call(method, path, Value::Null).await.0, 404, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_answered_whole_and_only_to_who_may_ask() {
    let (_upstream, gateway) = gateway("").await;
    let body = json!({ "name": "x", "limit": "-1", "window": "moon", "selector": { "key": ["nobody"] } });
    let answer = admin(&gateway, "POST", "/api/v1/budgets", &body).await;
    let members: Vec<Value> = answer.json()["error"]["mistakes"]
        .as_array()
        .expect("mistakes")
        .iter()
        .map(|mistake| mistake["member"].clone())
        .collect();
    assert_eq!((answer.status, members), (400, vec![json!("window"), json!("selector"), json!("limit")]));
    for (path, body, part) in [
        ("/api/v1/budgets", json!({ "nam": "x" }), "`nam`"),
        ("/api/v1/budgets", json!({ "limit": 0.5 }), "dollars as text"),
        ("/api/v1/keys", json!({ "name": "x", "colour": "red" }), "`colour`"),
        ("/api/v1/keys", json!({ "name": "lg-x" }), "begin with key_ or lg-"),
        ("/api/v1/budgets/x/increases", json!({}), "no budget"),
    ] {
        let answer = admin(&gateway, "POST", path, &body).await;
        let message = answer.json()["error"]["message"].to_string();
        assert!((400..=404).contains(&answer.status) && message.contains(part), "{path} {body}: {message}");
    }
    let token = format!("Bearer {}", gateway.key());
    for (method, path) in [
        (Method::POST, "/api/v1/budgets"),
        (Method::DELETE, "/api/v1/budgets/x"),
        (Method::POST, "/api/v1/keys"),
        (Method::PATCH, "/api/v1/keys/tests"),
        (Method::POST, "/api/v1/keys/tests/rotate"),
        (Method::GET, "/api/v1/journal/req_01k5qz6v8h3m9x2c7r4t0w1y5b"),
    ] {
        let answer =
            gateway.send(method.clone(), path, &[("authorization", &token)], Bytes::from("{}")).await;
        assert_eq!(answer.status, 401, "{method} {path}");
    }
}

#[tokio::test]
async fn a_key_is_made_changed_renewed_and_taken_back() {
    let (_upstream, gateway) = gateway("").await;
    let call = async |method: &str, path: &str, body: Value| {
        let answer = admin(&gateway, method, &format!("/api/v1/keys{path}"), &body).await;
        (answer.status, answer.header("cache-control").to_owned(), answer.json())
    };
    let opens = async |secret: &str, expected: u16| {
        eventually(PATIENCE, &format!("the key gets {expected}"), || async {
            (gateway.get("/v1/models", secret).await.ok()?.status == expected).then_some(())
        })
        .await;
    };
    let draft = json!({ "name": "app", "models": ["demo/*"], "metadata": { "team": "care", "note": "n" } });
    let (status, cached, made) = call("POST", "", draft.clone()).await;
    assert_eq!((status, &*cached, &made["state"]), (201, "no-store", &json!("active")), "{made}");
    let secret = made["key"].as_str().expect("a secret").to_owned();
    opens(&secret, 200).await;
    assert_eq!(call("POST", "", draft).await.0, 400, "the name is taken");

    let (status, _, changed) =
        call("PATCH", "/app", json!({ "metadata": { "note": null, "customer": "acme" } })).await;
    assert_eq!((status, &changed["metadata"]), (200, &json!({ "team": "care", "customer": "acme" })));
    assert_eq!((&changed["models"], changed.get("key")), (&json!(["demo/*"]), None), "the rest stays");
    assert_eq!(call("PATCH", "/app", json!({ "name": "other" })).await.0, 400);
    assert_eq!(call("PATCH", "/nobody", json!({})).await.0, 404);
    assert_eq!(call("PATCH", "/app", json!({ "expires_ms": 5 })).await.0, 400, "that is over");

    let (status, cached, renewed) = call("POST", "/app/rotate", Value::Null).await;
    assert_eq!((status, &*cached, &renewed["id"]), (200, "no-store", &made["id"]));
    let fresh = renewed["key"].as_str().expect("a secret").to_owned();
    opens(&fresh, 200).await;
    opens(&secret, 401).await;

    let (status, _, revoked) = call("DELETE", "/app", Value::Null).await;
    assert_eq!((status, &revoked["state"]), (200, &json!("revoked")));
    opens(&fresh, 401).await;
    let by_id = format!("/{}", made["id"].as_str().expect("an id"));
    assert_eq!(call("DELETE", &by_id, Value::Null).await.0, 200, "once more is once");
    assert_eq!(call("POST", "/app/rotate", Value::Null).await.0, 400);
    let (_, _, list) = call("GET", "", Value::Null).await;
    assert!(!list.to_string().contains(&fresh) && list["keys"][1]["state"] == "revoked", "{list}");
    let leak = admin(&gateway, "DELETE", &format!("/api/v1/keys/{fresh}"), &Value::Null).await;
    assert!(
        leak.status == 400 && !String::from_utf8_lossy(&leak.body).contains(&fresh),
        "the secret is repeated"
    );
}

#[tokio::test]
async fn a_key_knows_itself_and_the_budgets_that_count_it() {
    let (_upstream, gateway) = gateway("").await;
    for body in [
        json!({ "name": "care", "limit": "5", "window": "lifetime", "selector": { "team": ["care"] } }),
        json!({ "name": "customers", "limit": "2", "window": "day", "per": "customer", "at_limit": "alert" }),
        json!({ "name": "others", "limit": "1", "window": "day", "selector": { "team": ["board"] } }),
    ] {
        assert_eq!(admin(&gateway, "POST", "/api/v1/budgets", &body).await.status, 201);
    }
    let draft = json!({ "name": "app", "metadata": { "team": "care" }, "models": ["demo/*"] });
    let made = admin(&gateway, "POST", "/api/v1/keys", &draft).await.json();
    let token = format!("Bearer {}", made["key"].as_str().expect("a secret"));
    let headers =
        [("authorization", token.as_str()), ("x-lockgate-customer", "acme"), ("x-lockgate-team", "board")];
    let page = eventually(PATIENCE, "the key is known", || async {
        let answer = gateway.send(Method::GET, "/v1/key", &headers, Bytes::new()).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(
        (&page["name"], &page["hint"], &page["models"]),
        (&json!("app"), &made["hint"], &json!(["demo/*"]))
    );
    assert_eq!(page["attribution"], json!({ "team": "care" }));
    let budgets = page["budgets"].as_array().expect("budgets");
    let of = |name: &str| budgets.iter().find(|budget| budget["name"] == name).cloned().unwrap_or_default();
    assert_eq!(budgets.len(), 2, "{page}");
    assert_eq!(
        of("care"),
        json!({ "name": "care", "limit": "5.00", "spent": "0.00", "remaining": "5.00", "window": "lifetime", "at_limit": "block" })
    );
    let customers = of("customers");
    assert_eq!((&customers["value"], &customers["at_limit"]), (&json!("acme"), &json!("alert")));
    assert!(customers["resets_at"].as_str().expect("a moment").ends_with("T00:00:00Z"), "{customers}");

    for token in ["", "Bearer lg-unknown", "Bearer sk-x"] {
        let answer = gateway.send(Method::GET, "/v1/key", &[("authorization", token)], Bytes::new()).await;
        assert_eq!((answer.status, answer.header("x-lockgate-fault")), (401, "caller"), "{token:?}");
    }
}

#[tokio::test]
async fn requests_say_on_whose_behalf_they_run_or_are_refused() {
    let rules = "attribution: { from_client: [customer, user, tags], required: [customer] }\n";
    let (upstream, gateway) = gateway(rules).await;
    let token = format!("Bearer {}", gateway.key());
    let chat = async |path: &str, headers: &[(&str, &str)], body: Value| {
        let headers = [&[("authorization", token.as_str())], headers].concat();
        gateway.send(Method::POST, path, &headers, body.to_string().into()).await
    };
    let refused = chat("/v1/chat/completions", &[], ask("demo/echo", false)).await;
    assert_eq!((refused.status, refused.header("x-lockgate-error")), (400, "invalid_request"));
    assert!(
        refused.json()["error"]["message"].to_string().contains("x-lockgate-customer"),
        "{:?}",
        refused.body
    );
    let mut body = ask("demo/echo", false);
    body["max_tokens"] = json!(100);
    let refused = chat("/v1/messages", &[], body).await;
    assert_eq!((refused.status, &refused.json()["type"]), (400, &json!("error")), "in the client's dialect");
    assert_eq!(upstream.stats().requests, 0, "nobody was called");

    let mut body = ask("demo/echo", false);
    body["metadata"] = json!({ "customer": "body", "tags": "a,b", "trace": "t" });
    let headers =
        [("x-litellm-customer-id", "acme"), ("x-lockgate-user", "u1"), ("x-lockgate-team", "board")];
    let answer = chat("/v1/chat/completions", &headers, body.clone()).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let record = gateway.record(answer.id()).await;
    assert_eq!(record["attribution"], json!({ "customer": "acme", "user": "u1", "tags": ["a", "b"] }));
    let seen = upstream.stats().recent.back().expect("a request").clone();
    assert!(seen.headers.keys().all(|name| !name.as_str().starts_with("x-lockgate-")), "{:?}", seen.headers);
    let sent: Value = serde_json::from_slice(&seen.body).expect("JSON");
    assert_eq!(sent["metadata"], body["metadata"], "the body goes on as it came");
}
