use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use lockgate_core::upstream::{Address, Reach, Timeouts};
use lockgate_core::{Segments, Speech, Upstream};
use lockgate_demo::{DemoUpstream, Fault, Options, refused_addr};
use lockgate_testkit::HandClock;

use super::*;

fn upstream(authority: &str) -> Arc<Upstream> {
    let address = Address {
        scheme: http::uri::Scheme::HTTP,
        authority: authority.parse().unwrap(),
        prefix: "/v1".into(),
        http2: Default::default(),
        ca: None,
        insecure: false,
    };
    Arc::new(Upstream {
        name: "t".into(),
        catalog: "t".into(),
        speaks: vec![Arc::new(Speech::plain("openai.chat"))],
        credentials: Vec::new(),
        reach: Reach::Network(Box::new(address)),
        timeouts: Timeouts { between_bytes: Duration::from_millis(300), ..Timeouts::default() },
        max_answer: 1 << 20,
        models: Vec::new(),
        claims: &[],
    })
}

fn call(upstream: &Arc<Upstream>, stream: bool) -> Call {
    let body = format!(
        r#"{{"model":"echo","stream":{stream},"messages":[{{"role":"user","content":"hello there"}}]}}"#
    );
    Call {
        upstream: Arc::clone(upstream),
        speech: Arc::clone(&upstream.speaks[0]),
        method: Method::POST,
        prefix: None,
        path: "/chat/completions".into(),
        headers: HeaderMap::new(),
        stream,
        body: Segments::one(Bytes::from(body)),
        first_byte: Duration::from_millis(400),
        total: Duration::from_secs(5),
    }
}

async fn read(body: lockgate_core::port::Inflow) -> Bytes {
    let mut body = Limited::new(body, 1 << 20);
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        all.extend_from_slice(frame.unwrap().data_ref().unwrap());
    }
    all.into()
}

#[tokio::test]
async fn a_connection_is_used_again_when_its_answer_was_read() {
    let server = DemoUpstream::start(Options::instant()).await.unwrap();
    let (transport, upstream) = (
        HttpTransport::new(Demo::instant(), Arc::new(HandClock::default())),
        upstream(&server.addr().to_string()),
    );
    for _ in 0..3 {
        let answer = transport.call(call(&upstream, false)).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        let body = read(answer.body).await;
        assert!(String::from_utf8_lossy(&body).contains("hello there"));
        tokio::task::yield_now().await;
    }
    assert_eq!(transport.pool.idle(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_told_apart() {
    let address = refused_addr().unwrap().to_string();
    let transport = HttpTransport::new(Demo::instant(), Arc::new(HandClock::default()));
    let Err(error) = transport.call(call(&upstream(&address), false)).await else { panic!("it answered") };
    assert_eq!(error.kind(), Kind::UpstreamUnreachable);
    assert!(!error.public().contains(&address), "the address is not the client's to know");
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let server = DemoUpstream::start(Options::instant().fault(Fault::Silence)).await.unwrap();
    let transport = HttpTransport::new(Demo::instant(), Arc::new(HandClock::default()));
    let Err(error) = transport.call(call(&upstream(&server.addr().to_string()), true)).await else {
        panic!("it answered")
    };
    assert_eq!(error.kind(), Kind::UpstreamTimeout);
}
