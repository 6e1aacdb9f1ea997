use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use http_body::Body as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;

fn request(method: &str, path: &str, body: &Value) -> Request<Bytes> {
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    Request::builder().method(method).uri(path).body(body).unwrap()
}

fn ask(model: &str, stream: bool) -> Request<Bytes> {
    let body =
        json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "one two three"}]});
    request("POST", "/v1/chat/completions", &body)
}

/// The frames of a body, each with the time at which it came.
async fn frames(body: &mut Body) -> Vec<(Duration, std::io::Result<Bytes>)> {
    let start = Instant::now();
    let mut frames = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        frames.push((start.elapsed(), frame.map(|frame| frame.into_data().unwrap())));
    }
    frames
}

async fn read(demo: Demo, request: Request<Bytes>) -> (u16, Value) {
    let mut response = demo.answer(request).await;
    let frames = frames(response.body_mut()).await;
    let bytes: Vec<u8> = frames.into_iter().flat_map(|(_, frame)| frame.unwrap()).collect();
    assert_eq!(response.headers()["content-length"].to_str().unwrap(), bytes.len().to_string());
    (response.status().as_u16(), serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn any_base_is_accepted() {
    for path in
        ["/v1/chat/completions", "/openai/v1/chat/completions", "/chat/completions", "/v1/chat/completions/"]
    {
        let mut request = ask("echo", false);
        *request.uri_mut() = path.parse().unwrap();
        let (status, answer) = read(Demo::instant(), request).await;
        assert_eq!((status, &answer["choices"][0]["message"]["content"]), (200, &json!("one two three")));
    }
}

#[tokio::test]
async fn mistakes_get_errors_of_the_dialect() {
    let chat = "/v1/chat/completions";
    for (request, status, code) in [
        (request("POST", "/v1/nothing", &json!({})), 404, Value::Null),
        (request("GET", chat, &Value::Null), 405, json!("method_not_supported")),
        (request("POST", chat, &json!("x")), 400, Value::Null),
        (request("POST", chat, &json!({"model": "chat"})), 400, json!("missing_required_parameter")),
        (ask("gpt-unknown", true), 404, json!("model_not_found")),
        (ask("fault:unheard-of", true), 404, json!("model_not_found")),
        (request("GET", "/v1/models/gone", &Value::Null), 404, json!("model_not_found")),
    ] {
        let (got, answer) = read(Demo::instant(), request).await;
        assert_eq!((got, &answer["error"]["code"]), (status, &code), "{answer}");
        assert!(answer["error"]["message"].is_string() && answer["error"]["type"] == "invalid_request_error");
    }
}

#[tokio::test]
async fn models_are_listed() {
    let (_, list) = read(Demo::instant(), request("GET", "/v1/models", &Value::Null)).await;
    let names: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["chat", "echo", "think", "large"]);
    let (status, card) = read(Demo::instant(), request("GET", "/v1/models/think", &Value::Null)).await;
    assert_eq!((status, &card["id"]), (200, &json!("think")));
}

#[tokio::test(start_paused = true)]
async fn a_stream_keeps_its_pace() {
    let demo = Demo { pace: Pace { tokens_per_second: 10.0, ..Pace::default() } };
    let start = Instant::now();
    let mut response = demo.answer(ask("echo", true)).await;
    assert!(start.elapsed() < Duration::from_millis(5), "the head comes at once");
    let times: Vec<u128> =
        frames(response.body_mut()).await.iter().map(|(time, _)| time.as_millis()).collect();
    // Role, three tokens, finish, [DONE].
    for (time, expected) in times.iter().zip([120, 120, 220, 320, 420, 420]) {
        assert!((expected..expected + 10).contains(time), "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_waits_first_and_not_too_long() {
    let start = Instant::now();
    read(Demo::default(), ask("large", false)).await;
    let waited = start.elapsed().as_millis();
    assert!((520..530).contains(&waited), "{waited}");
}

#[tokio::test]
async fn faults_in_process() {
    let (status, answer) = read(Demo::instant(), ask("fault:context-length", true)).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("context_length_exceeded")));

    let mut response = Demo::instant().answer(ask("fault:close-mid-event@1", true)).await;
    assert_eq!(response.status(), 200);
    let frames = frames(response.body_mut()).await;
    // Role, one token, half an event, the error.
    assert_eq!(frames.len(), 4);
    assert!(!frames[2].1.as_ref().unwrap().ends_with(b"\n\n"));
    assert_eq!(frames[3].1.as_ref().unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test(start_paused = true)]
async fn silence_lasts() {
    let demo = Demo::instant();
    let answer =
        tokio::time::timeout(Duration::from_secs(3600), demo.answer(ask("fault:silence", true))).await;
    assert!(answer.is_err());
}
