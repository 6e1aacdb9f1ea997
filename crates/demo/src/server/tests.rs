use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::*;

mod faults;

/// Longest time a test listens to an answer that should end.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most bytes a test listens to.
const ENOUGH: usize = 4 * 1024 * 1024;

/// How an answer ended, seen from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// As announced.
    Complete,
    /// The connection was closed before.
    Closed,
    Reset,
    /// It had not ended when patience did.
    Unfinished,
    /// A chunk's size was no number.
    BadChunk,
}

/// An answer as a client hears it.
#[derive(Debug)]
struct Heard {
    ending: Ending,
    /// 0 without a head.
    status: u16,
    head: String,
    body: Vec<u8>,
    /// Sizes of the chunks, if it came in chunks.
    chunks: Vec<usize>,
    took: Duration,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The data of the events; what is no JSON gives null.
    fn events(&self) -> Vec<Value> {
        let text = String::from_utf8_lossy(&self.body).replace("\r\n", "\n");
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| {
            if data == "[DONE]" { json!(data) } else { serde_json::from_str(data).unwrap_or(Value::Null) }
        })
        .collect()
    }

    fn content(&self) -> String {
        self.events().iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
    }

    fn finished(&self) -> bool {
        self.events().iter().any(|event| event["choices"][0]["finish_reason"].is_string())
    }

    fn done(&self) -> bool {
        self.events().contains(&json!("[DONE]"))
    }
}

async fn upstream() -> DemoUpstream {
    DemoUpstream::start(Options::instant()).await.unwrap()
}

fn body(model: &str, stream: bool) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "one two three four"}]});
    if stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: demo\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn ask(model: &str, stream: bool, headers: &str) -> String {
    request("POST", "/v1/chat/completions", headers, &body(model, stream).to_string())
}

async fn send(upstream: &DemoUpstream, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(upstream.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn talk(upstream: &DemoUpstream, request: &str) -> Heard {
    hear(&mut send(upstream, request).await, PATIENCE).await
}

/// Listens to one answer.
async fn hear(stream: &mut TcpStream, patience: Duration) -> Heard {
    let start = Instant::now();
    let mut raw = Vec::new();
    let ending = loop {
        if is_complete(&raw) {
            break Ending::Complete;
        }
        match timeout_at(start + patience, stream.read_buf(&mut raw)).await {
            Err(_) => break Ending::Unfinished,
            Ok(Ok(0)) => break Ending::Closed,
            Ok(Err(_)) => break Ending::Reset,
            Ok(Ok(_)) if raw.len() > ENOUGH => break Ending::Unfinished,
            Ok(Ok(_)) => {}
        }
    };
    let took = start.elapsed();
    let Some(end) = memchr::memmem::find(&raw, b"\r\n\r\n") else {
        return Heard { ending, status: 0, head: String::new(), body: Vec::new(), chunks: Vec::new(), took };
    };
    let head = String::from_utf8(raw[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let rest = &raw[end + 4..];
    let mut heard = Heard { ending, status, head, body: rest.to_vec(), chunks: Vec::new(), took };
    if heard.head.contains("transfer-encoding: chunked") {
        heard.body.clear();
        let mut rest = rest;
        while let Some(end) = memchr::memmem::find(rest, b"\r\n") {
            let Ok(size) = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16) else {
                heard.ending = Ending::BadChunk;
                break;
            };
            let data = &rest[end + 2..];
            heard.body.extend_from_slice(&data[..size.min(data.len())]);
            heard.chunks.extend((size > 0).then_some(size));
            rest = data.get(size + 2..).unwrap_or_default();
        }
    }
    heard
}

fn is_complete(raw: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(raw, b"\r\n\r\n") else { return false };
    let head = std::str::from_utf8(&raw[..end]).unwrap();
    match head.split("content-length: ").nth(1) {
        None => raw.ends_with(b"\r\n0\r\n\r\n"),
        Some(length) => raw.len() - end - 4 >= length.split("\r\n").next().unwrap().parse().unwrap(),
    }
}

/// Waits until the condition holds, at most five seconds.
async fn eventually(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(5), "it never came true");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let upstream = upstream().await;
    let two = ask("echo", false, "").repeat(2);
    let mut stream = send(&upstream, &two).await;
    let (first, mut rest) = (hear_exact(&mut stream).await, Vec::new());
    assert!(first.contains("one two three four"));
    stream.write_all(ask("echo", true, "connection: close\r\n").as_bytes()).await.unwrap();
    stream.read_to_end(&mut rest).await.unwrap();
    let rest = String::from_utf8(rest).unwrap();
    assert!(
        rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"),
        "{rest}"
    );
    let stats = upstream.stats();
    assert_eq!((stats.connections, stats.requests, stats.cancelled.len()), (1, 3, 0));
}

/// One answer with a length, and not a byte more.
async fn hear_exact(stream: &mut TcpStream) -> String {
    let mut raw = Vec::new();
    while !is_complete(&raw) {
        raw.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(raw).unwrap()
}

#[tokio::test]
async fn later_orders_override_earlier_ones() {
    let upstream = DemoUpstream::start(Options::instant().fault(Fault::Status500)).await.unwrap();
    let status = async |model: &str, headers: &str| talk(&upstream, &ask(model, false, headers)).await.status;
    assert_eq!(status("echo", "").await, 500);
    assert_eq!(talk(&upstream, &request("POST", "/control?fault=status-503", "", "")).await.status, 200);
    assert_eq!(status("echo", "").await, 503);
    assert_eq!(status("echo", "x-demo-fault: status-401\r\n").await, 401);
    assert_eq!(status("echo", "x-demo-fault: none\r\n").await, 200);
    assert_eq!(status("fault:status-409", "x-demo-fault: status-401\r\n").await, 409);
    assert_eq!(status("echo", "x-demo-fault: nonsense\r\n").await, 400);
    assert_eq!(talk(&upstream, &request("POST", "/control?fault=nonsense", "", "")).await.status, 400);
    assert_eq!(
        talk(&upstream, &request("GET", "/v1/models", "", "")).await.status,
        200,
        "GET is never struck"
    );
    upstream.heal();
    assert_eq!(status("echo", "").await, 200);
    assert_eq!(
        talk(&upstream, &request("POST", "/control?fault=status-504&count=1", "", "")).await.status,
        200
    );
    assert_eq!((status("echo", "").await, status("echo", "").await), (504, 200));
    upstream.set_fault(Injection::from(Fault::Status529).rate(0.5));
    assert_eq!((status("echo", "").await, status("echo", "").await), (200, 529));
    let stats = upstream.stats();
    assert_eq!((stats.faults["status-503"], stats.faults["status-529"]), (1, 1));
}

#[tokio::test]
async fn what_was_asked_can_be_inspected() {
    let upstream = upstream().await;
    talk(&upstream, &ask("echo", false, "Authorization: Bearer k\r\n")).await;
    let stats = upstream.stats();
    let seen = stats.recent.back().unwrap();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(seen.headers["authorization"], "Bearer k");
    assert_eq!(serde_json::from_slice::<Value>(&seen.body).unwrap(), body("echo", false));
    let told = talk(&upstream, &request("GET", "/stats", "", "")).await.json();
    assert_eq!((&told["requests"], &told["by_path"]["/v1/chat/completions"]), (&json!(1), &json!(1)));
    let list = talk(&upstream, &request("GET", "/control", "", "")).await.json();
    assert_eq!(list["faults"].as_array().unwrap().len(), Fault::ALL.len());
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_stream_is_noticed() {
    let upstream = DemoUpstream::start(Options::default()).await.unwrap();
    let mut stream = send(&upstream, &ask("large", true, "")).await;
    stream.read_u8().await.unwrap();
    eventually(|| upstream.stats().in_flight == 1).await;
    let left = Instant::now();
    drop(stream);
    eventually(|| upstream.stats().in_flight == 0).await;
    let stats = upstream.stats();
    let cancelled = &stats.cancelled[0];
    assert!(cancelled.at - left < Duration::from_millis(100), "{:?}", cancelled.at - left);
    assert!(cancelled.head_sent && cancelled.path == "/v1/chat/completions");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_noticed() {
    let upstream = upstream().await;
    let stream = send(&upstream, &ask("fault:silence", true, "")).await;
    eventually(|| upstream.stats().in_flight == 1).await;
    drop(stream);
    eventually(|| upstream.stats().cancelled.len() == 1).await;
    assert!(!upstream.stats().cancelled[0].head_sent);
}

#[tokio::test]
async fn dropping_it_ends_everything() {
    let upstream = upstream().await;
    let address = upstream.addr();
    let mut stream = send(&upstream, &ask("fault:endless;delay_ms=5", true, "")).await;
    stream.read_u8().await.unwrap();
    drop(upstream);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
    assert!(TcpStream::connect(address).await.is_err());
    assert!(TcpStream::connect(refused_addr().unwrap()).await.is_err());
}

#[tokio::test]
async fn nonsense_is_answered_and_cut_off() {
    let upstream = upstream().await;
    let heard = talk(&upstream, "what is this\r\n\r\n").await;
    assert_eq!((heard.status, heard.ending), (400, Ending::Complete));
    assert_eq!(upstream.stats().requests, 0);
}
