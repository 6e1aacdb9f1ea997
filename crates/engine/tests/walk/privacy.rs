//! What never passes from one side to the other.

use bytes::Bytes;
use lockgate_core::Kind;
use lockgate_testkit::{Play, builder};

use crate::stage::{HELLO, HELLO_STREAM, Set, Stage};

const ANSWER: &str =
    r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;

fn alone() -> Stage {
    Set::of([builder::upstream("a")]).route("both", &["a"], 0).stage()
}

#[tokio::test(start_paused = true)]
async fn the_gateways_credential_never_reaches_a_client() {
    let leak = r#"{"error":{"message":"Incorrect API key provided: sk-a-secret","code":401}}"#;
    let event = Bytes::from(format!("data: {leak}\n\n"));
    for (name, body, play) in [
        ("a refusal", HELLO, Play::json(401, leak)),
        ("a refusal of another kind", HELLO, Play::json(400, leak)),
        ("an error in a 200", HELLO, Play::json(200, leak)),
        ("an error in place of a stream", HELLO_STREAM, Play::json(200, leak)),
        ("an error event", HELLO_STREAM, Play::stream([event.clone()])),
        ("an error event without its end", HELLO_STREAM, Play::stream([event.slice(..event.len() - 2)])),
    ] {
        let stage = alone();
        stage.script.then("a", play);
        let heard = stage.ask(body.replace("a/m", "both")).await;
        assert!(heard.error.is_some(), "{name}");
        assert!(heard.status >= 400, "{name}");
        let text = String::from_utf8(heard.body.to_vec()).unwrap();
        assert!(!text.contains("sk-a-secret"), "{name}: {text}");
        assert!(text.contains("\"error\""), "{name}: still an error of the dialect: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_providers_connection_and_site_are_not_the_clients_business() {
    for (status, body) in [(200, ANSWER), (400, r#"{"error":{"message":"bad"}}"#)] {
        let stage = alone();
        let play = Play::json(status, body)
            .header("x-request-id", "provider-1")
            .header("x-ratelimit-remaining-requests", "7")
            .header("x-lockgate-target", "somebody/else")
            .header("x-lockgate-cost-usd", "0")
            .header("x-lockgate-request-id", "forged")
            .header("set-cookie", "session=1")
            .header("server", "nginx")
            .header("connection", "keep-alive")
            .header("keep-alive", "timeout=5")
            .header("strict-transport-security", "max-age=1")
            .header("alt-svc", "h3=\":443\"");
        stage.script.then("a", play);
        let heard = stage.ask(HELLO).await;
        assert_eq!((heard.status, &heard.body[..]), (status, body.as_bytes()));
        assert_eq!(heard.headers["x-request-id"], "provider-1", "what belongs to the answer passes");
        assert_eq!(heard.headers["x-ratelimit-remaining-requests"], "7");
        let kept_back = [
            "x-lockgate-cost-usd",
            "set-cookie",
            "server",
            "connection",
            "keep-alive",
            "strict-transport-security",
            "alt-svc",
        ];
        for name in kept_back {
            assert!(!heard.headers.contains_key(name), "{status}: {name}");
        }
        for name in ["x-lockgate-target", "x-lockgate-request-id"] {
            let values: Vec<_> = heard.headers.get_all(name).iter().collect();
            assert!(values.iter().all(|value| *value != "somebody/else" && *value != "forged"), "{name}");
        }
        if status == 200 {
            assert_eq!(heard.headers["x-lockgate-target"], "a/m");
            assert!(heard.headers["x-lockgate-request-id"].to_str().unwrap().starts_with("req_"));
            assert_eq!(heard.headers["x-lockgate-attempts"], "1");
            assert!(heard.headers.contains_key("x-lockgate-overhead-us"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_holds_no_content() {
    let stage = alone();
    let body = HELLO.replace("Hello", "the launch code is 0000");
    stage.script.then("a", Play::json(200, ANSWER.replace("Hi", "never say 0000")));
    assert_eq!(stage.ask(body).await.status, 200);
    let record = serde_json::to_string(&stage.record()).unwrap();
    assert!(!record.contains("0000"), "{record}");
}

#[tokio::test(start_paused = true)]
async fn what_went_wrong_inside_is_for_the_log_alone() {
    let stage = alone();
    let inside = builder::unreachable().detail("connect 10.0.0.7:443: refused");
    stage.script.then("a", Play::refuse(inside));
    let heard = stage.ask(HELLO.replace("a/m", "both")).await;
    assert_eq!(heard.error.map(|(kind, _)| kind), Some(Kind::UpstreamUnreachable));
    assert!(!String::from_utf8_lossy(&heard.body).contains("10.0.0.7"));
    assert!(stage.record().detail.unwrap().contains("10.0.0.7"));
}
