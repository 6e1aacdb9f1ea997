//! A provider that keeps its own bill: what it has made before whoever asked was gone.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Interval, interval};

/// Nano-dollars of a token: what the gateways' config says in dollars a million.
pub(crate) const INPUT: i64 = 10_000;
pub(crate) const OUTPUT: i64 = 100_000;
/// The longest answer that its models give, in tokens.
pub(crate) const LONGEST: u64 = 2_048;

/// The bill.
#[derive(Default)]
pub(crate) struct Bill {
    nanos: AtomicI64,
    answers: AtomicUsize,
}

/// The provider.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    pub(crate) bill: Arc<Bill>,
}

/// A stream that makes a token at each turn of its clock.
struct Tokens {
    bill: Arc<Bill>,
    clock: Interval,
    made: u64,
    wanted: u64,
    input: u64,
    ended: u8,
}

impl Bill {
    fn add(&self, input: u64, output: u64) {
        let nanos = i64::try_from(input).unwrap_or(0) * INPUT + i64::try_from(output).unwrap_or(0) * OUTPUT;
        self.nanos.fetch_add(nanos, Ordering::SeqCst);
    }

    /// What was billed, in nano-dollars.
    pub(crate) fn total(&self) -> i64 {
        self.nanos.load(Ordering::SeqCst)
    }

    /// How many answers were begun.
    pub(crate) fn answers(&self) -> usize {
        self.answers.load(Ordering::SeqCst)
    }
}

impl Provider {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let bill = Arc::new(Bill::default());
        let kept = Arc::clone(&bill);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let bill = Arc::clone(&kept);
                let service = service_fn(move |request| answer(Arc::clone(&bill), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, bill })
    }
}

async fn answer(
    bill: Arc<Bill>,
    request: http::Request<Incoming>,
) -> Result<http::Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let mut incoming = request.into_body();
    let mut body = Vec::new();
    while let Some(Ok(frame)) = incoming.frame().await {
        body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let prompt = asked["messages"][0]["content"].as_str().unwrap_or_default();
    let number = |name: &str| asked[name].as_u64();
    // The prompt begins with the length of the answer that it will get, as far as the limit lets it.
    let wanted = prompt.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(10_u64);
    let limit = number("max_completion_tokens").or_else(|| number("max_tokens")).unwrap_or(LONGEST);
    let (input, output) = (prompt.len() as u64 / 4, wanted.min(limit).min(LONGEST));
    bill.answers.fetch_add(1, Ordering::SeqCst);
    let response = http::Response::builder();
    if asked["stream"].as_bool() == Some(true) {
        bill.add(input, 0);
        let clock = interval(Duration::from_millis(2));
        let tokens = Tokens { bill, clock, made: 0, wanted: output, input, ended: 0 };
        let response = response.header("content-type", "text/event-stream");
        return Ok(response.body(UnsyncBoxBody::new(tokens)).unwrap_or_default());
    }
    // Whoever leaves meanwhile takes this future along.
    tokio::time::sleep(Duration::from_millis(5 + output / 20)).await;
    bill.add(input, output);
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "word ".repeat(output as usize)}, "finish_reason": "stop"});
    let answer = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage(input, output)});
    let body = http_body_util::Full::new(Bytes::from(answer.to_string()));
    Ok(response.header("content-type", "application/json").body(UnsyncBoxBody::new(body)).unwrap_or_default())
}

fn usage(input: u64, output: u64) -> Value {
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
}

impl Body for Tokens {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = |choices: Value, usage: Value| {
            let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": usage});
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(format!("data: {chunk}\n\n"))))))
        };
        if self.made < self.wanted {
            if self.clock.poll_tick(cx).is_pending() {
                return Poll::Pending;
            }
            self.made += 1;
            self.bill.add(0, 1);
            return event(
                json!([{"index": 0, "delta": {"content": "word "}, "finish_reason": null}]),
                Value::Null,
            );
        }
        self.ended += 1;
        match self.ended {
            1 => event(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), Value::Null),
            2 => event(json!([]), usage(self.input, self.made)),
            3 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data: [DONE]\n\n"))))),
            _ => Poll::Ready(None),
        }
    }
}
