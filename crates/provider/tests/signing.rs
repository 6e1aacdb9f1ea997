//! Signed calls over real sockets: what the signature says is what the server gets, and a token is fetched over the same
//! transport.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use lockgate_config::{Known, load};
use lockgate_core::port::{Answer, Call, Transport};
use lockgate_core::{Error, Kind, Segments, Upstream};
use lockgate_demo::Demo;
use lockgate_provider::{HttpTransport, compile};
use lockgate_testkit::HandClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const KEY_FILE: &str = include_str!("fixtures/TEST-KEY-service-account.json");

/// What the server does with a path: status, further head lines, body.
type Script = fn(path: &str, nth: usize) -> (u16, &'static str, String);

/// A server on a free port of this machine that keeps what it is sent.
struct Server {
    address: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

#[derive(Clone)]
struct Heard {
    line: String,
    head: String,
    body: String,
}

impl Server {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let (kept, count) = (Arc::clone(&heard), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&kept), Arc::clone(&count), script));
            }
        });
        Self { address, heard }
    }

    fn heard(&self, path: &str) -> Vec<Heard> {
        let all = self.heard.lock().unwrap();
        all.iter().filter(|heard| heard.line.contains(path)).cloned().collect()
    }
}

async fn serve(mut socket: TcpStream, kept: Arc<Mutex<Vec<Heard>>>, count: Arc<AtomicUsize>, script: Script) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = value(&head, "content-length").unwrap().parse::<usize>().unwrap();
        while bytes.len() < end + length {
            assert!(socket.read_buf(&mut bytes).await.unwrap() > 0);
        }
        let body = String::from_utf8(bytes[end..end + length].to_vec()).unwrap();
        bytes.drain(..end + length);
        let line = head.lines().next().unwrap().to_owned();
        let (status, more, text) = script(&line, count.fetch_add(1, Ordering::SeqCst));
        kept.lock().unwrap().push(Heard { line, head, body });
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{more}content-length: {}\r\n\r\n{text}",
            text.len()
        );
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut values = head.lines().filter_map(|line| line.split_once(": ")).filter(|(n, _)| *n == name);
    let value = values.next().map(|(_, value)| value);
    assert!(values.next().is_none(), "{name} stands twice");
    value
}

fn upstream(yaml: &str, json: &str) -> Arc<Upstream> {
    let env = |name: &str| (name == "CREDENTIALS").then(|| json.to_owned());
    let (config, found) = load(yaml, &env, &Known::providers(&["vertex", "bedrock"]));
    let config = config.unwrap_or_else(|| panic!("{found:?}"));
    let none = |_: &str| None;
    Arc::new(compile(&config.providers[0], &none, &|_| Ok(Vec::new())).unwrap())
}

/// Vertex at a server, with tokens from there.
fn vertex(server: &Server) -> Arc<Upstream> {
    let json = KEY_FILE.replace("https://oauth2.googleapis.com", &format!("http://{}", server.address));
    let yaml = format!(
        "providers: {{vertex: {{base_url: 'http://{}', credentials: {{json: '${{CREDENTIALS}}'}}}}}}",
        server.address
    );
    upstream(&yaml, &json)
}

fn transport(clock: &Arc<HandClock>) -> HttpTransport {
    HttpTransport::new(Demo::instant(), Arc::clone(clock) as _)
}

async fn called(transport: &HttpTransport, upstream: &Arc<Upstream>) -> Result<String, Error> {
    let speech = Arc::clone(&upstream.speaks[0]);
    let call = Call {
        upstream: Arc::clone(upstream),
        method: http::Method::POST,
        prefix: speech.paths.prefix.as_deref().map(Arc::from),
        path: "/models/m%3A0:generateContent".into(),
        headers: http::HeaderMap::new(),
        stream: false,
        body: Segments::one(Bytes::from_static(b"{\"contents\":[]}")),
        first_byte: Duration::from_secs(5),
        total: Duration::from_secs(5),
        speech,
    };
    let Answer { body, .. } = transport.call(call).await?;
    let mut body = Limited::new(body, 1 << 20);
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        all.extend_from_slice(frame.unwrap().data_ref().unwrap());
    }
    Ok(String::from_utf8(all).unwrap())
}

#[tokio::test]
async fn a_token_is_fetched_over_the_same_transport_and_kept() {
    let server = Server::start(|line, nth| {
        let body = if line.contains("/token") {
            format!(r#"{{"access_token":"ya29.{nth}","expires_in":3600}}"#)
        } else {
            r#"{"candidates":[]}"#.to_owned()
        };
        (200, "", body)
    })
    .await;
    let (clock, upstream) = (Arc::new(HandClock::new()), vertex(&server));
    let transport = transport(&clock);
    for _ in 0..3 {
        assert_eq!(called(&transport, &upstream).await.unwrap(), r#"{"candidates":[]}"#);
    }
    assert_eq!(server.heard("/token").len(), 1);
    let token = &server.heard("/token")[0];
    assert_eq!(token.line, "POST /token HTTP/1.1");
    assert_eq!(value(&token.head, "content-type"), Some("application/x-www-form-urlencoded"));
    assert!(token.body.contains("&assertion=eyJ"), "{}", token.body);
    let calls = server.heard("generateContent");
    assert_eq!(calls.len(), 3);
    for call in &calls {
        assert_eq!(value(&call.head, "authorization"), Some("Bearer ya29.0"));
        let path =
            "/v1/projects/test-project/locations/global/publishers/google/models/m%3A0:generateContent";
        assert_eq!(call.line, format!("POST {path} HTTP/1.1"));
    }
    clock.advance(Duration::from_secs(3_541));
    called(&transport, &upstream).await.unwrap();
    assert_eq!(server.heard("/token").len(), 2, "a minute before its end there is a new one");
}

#[tokio::test]
async fn without_a_token_the_provider_is_not_called() {
    let server = Server::start(|_, _| {
        (401, "", r#"{"error":"invalid_client","error_description":"The account is gone."}"#.to_owned())
    })
    .await;
    let transport = transport(&Arc::new(HandClock::new()));
    let error = called(&transport, &vertex(&server)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::UpstreamAuth);
    assert!(!error.public().contains("gone") && error.private().unwrap().contains("The account is gone."));
    assert!(server.heard("generateContent").is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start(|_, _| (307, "location: /elsewhere\r\n", String::new())).await;
    let transport = transport(&Arc::new(HandClock::new()));
    let error = called(&transport, &vertex(&server)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::UpstreamAuth);
    assert_eq!(server.heard("").len(), 1, "the assertion goes nowhere else");
}

#[tokio::test]
async fn an_aws_signature_says_what_the_server_gets() {
    let server = Server::start(|_, _| (200, "", "{}".to_owned())).await;
    let address = &server.address;
    let upstream = upstream(
        &format!(
            "providers: {{bedrock: {{base_url: 'http://{address}', region: us-east-1, headers: {{x-team: search}}, credentials: \
             {{access_key_id: AKIDEXAMPLE, secret_access_key: s3cr3t, session_token: t0ken}}}}}}"
        ),
        "",
    );
    let transport = transport(&Arc::new(HandClock::new()));
    called(&transport, &upstream).await.unwrap();
    let heard = &server.heard("")[0];
    assert_eq!(value(&heard.head, "host"), Some(address.as_str()), "what is signed as the host is the host");
    assert_eq!(value(&heard.head, "x-amz-date"), Some("20260101T000000Z"));
    assert_eq!(value(&heard.head, "x-amz-security-token"), Some("t0ken"));
    assert_eq!(value(&heard.head, "content-type"), Some("application/json"));
    assert_eq!(value(&heard.head, "x-team"), Some("search"));
    let authorization = value(&heard.head, "authorization").unwrap();
    let begin = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=";
    assert!(authorization.starts_with(begin), "{authorization}");
    assert!(!heard.head.contains("s3cr3t"));
}
