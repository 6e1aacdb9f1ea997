//! Clients that leave, and clients that do not read.

use std::time::Duration;

use lockgate_demo::{DemoUpstream, Fault, Options, Pace};
use lockgate_e2e::{Gateway, PATIENCE, Reply, ask, eventually, resident_kib};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// The longest time from a client's leaving until the provider knows.
const LIMIT: Duration = Duration::from_millis(100);
/// A busy machine may be slow once or twice.
const TRIES: usize = 3;

async fn gateway(upstream: &DemoUpstream) -> Gateway {
    let url = upstream.base_url();
    Gateway::start(&format!("providers: {{ demo: {{ type: openai-compatible, base_url: \"{url}\" }} }}\n"))
        .await
}

/// How long after `left` the upstream saw its `nth` cancelled request, and how many pieces it had sent.
async fn noticed(upstream: &DemoUpstream, nth: usize, left: Instant) -> (Duration, bool) {
    eventually(PATIENCE, "the upstream sees the cancel", || async move {
        let cancelled = upstream.stats().cancelled.get(nth - 1).cloned()?;
        Some((cancelled.at.saturating_duration_since(left), cancelled.head_sent))
    })
    .await
}

/// Lets a client leave until the upstream knows it in time. Returns the ids of the requests whose head came.
async fn leaves_in_time(
    what: &str,
    upstream: &DemoUpstream,
    mut leave: impl AsyncFnMut() -> (Instant, Option<String>),
) -> Vec<String> {
    let mut ids = Vec::new();
    let mut measured = Vec::new();
    for nth in 1..=TRIES {
        let (left, id) = leave().await;
        ids.extend(id);
        measured.push(noticed(upstream, nth, left).await.0);
        if measured.iter().any(|time| *time <= LIMIT) {
            break;
        }
    }
    report(&format!("{what}: the upstream knew after {measured:?}"));
    assert!(measured.iter().any(|time| *time <= LIMIT), "{what}: {measured:?}, limit {LIMIT:?}");
    ids
}

#[expect(clippy::print_stdout, reason = "what was measured is worth reading")]
fn report(line: &str) {
    println!("{line}");
}

async fn read_events(reply: &mut Reply, events: usize) {
    let mut seen = 0;
    while seen < events {
        let piece = reply.next().await.expect("the stream goes on").expect("it has not ended");
        seen += piece.windows(2).filter(|pair| pair == b"\n\n").count();
    }
}

#[tokio::test]
async fn a_client_gone_in_mid_stream_cancels_the_upstream_and_books_what_came() {
    let pace = Pace { first_token: Duration::from_millis(5), tokens_per_second: 100.0, ..Pace::default() };
    let upstream = DemoUpstream::start(Options { pace, ..Options::default() }).await.expect("an upstream");
    let gateway = gateway(&upstream).await;
    let ids = leaves_in_time("in mid-stream", &upstream, async || {
        let mut reply = gateway.open_chat(&ask("demo/large", true)).await.expect("a stream");
        read_events(&mut reply, 5).await;
        let id =
            reply.headers.get("x-lockgate-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        (reply.leave(), id)
    })
    .await;
    for id in &ids {
        let record = gateway.record(id).await;
        assert_eq!(record["outcome"], "cancelled", "{record}");
        let usage = &record["usage"];
        assert_eq!(usage["source"], "estimated", "{record}");
        assert!(usage["input"].as_u64() > Some(0) && usage["output"].as_u64() > Some(0), "{record}");
    }
    assert_eq!(upstream.stats().in_flight, 0);
}

#[tokio::test]
async fn a_client_gone_before_the_head_cancels_the_upstream_too() {
    let upstream = DemoUpstream::start(Options::instant().fault(Fault::Silence)).await.expect("an upstream");
    let gateway = gateway(&upstream).await;
    leaves_in_time("before the head", &upstream, async || {
        let body = ask("demo/chat", true);
        let mut connection = gateway.connect().await.expect("a connection");
        let request = gateway.chat_request(&body);
        let waiting = tokio::spawn(async move { connection.send(request).await.map(drop) });
        eventually(PATIENCE, "the upstream has the request", || async {
            (upstream.stats().in_flight == 1).then_some(())
        })
        .await;
        waiting.abort();
        let left = Instant::now();
        assert!(waiting.await.is_err_and(|end| end.is_cancelled()), "there was an answer");
        (left, None)
    })
    .await;
    assert!(!upstream.stats().cancelled[0].head_sent);
    let record: Value = eventually(PATIENCE, "the record", || async { gateway.records().await.pop() }).await;
    assert_eq!(record["outcome"], "cancelled", "{record}");
    assert_eq!(record["status"], 499, "{record}");
    assert_eq!(record["attempts"].as_array().map(Vec::len), Some(1), "{record}");
}

/// The provider streams as fast as it can and for ever; the client does not read. Nothing may pile up in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_holds_the_provider_back() {
    const MOST_KIB: u64 = 20 * 1024;
    let upstream = DemoUpstream::start(Options::instant().fault(Fault::Endless)).await.expect("an upstream");
    let gateway = gateway(&upstream).await;
    let Some(before) = resident_kib(gateway.pid()) else {
        // Only Linux tells; the rest of the test would prove nothing.
        return;
    };
    let mut client = TcpStream::connect(gateway.address()).await.expect("a connection");
    let body = ask("demo/chat", true).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        gateway.key(),
        body.len()
    );
    client.write_all((head + &body).as_bytes()).await.expect("the request is sent");
    let mut start = [0; 1024];
    client.read_exact(&mut start).await.expect("the answer begins");
    assert!(start.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&start));

    let mut most = before;
    let watch = Instant::now();
    while watch.elapsed() < Duration::from_secs(3) {
        sleep(Duration::from_millis(50)).await;
        most = most.max(resident_kib(gateway.pid()).unwrap_or(u64::MAX));
    }
    report(&format!("a client that does not read: {before} KiB before, {most} KiB at most"));
    assert!(most < before + MOST_KIB, "memory rose from {before} to {most} KiB");
    assert_eq!(upstream.stats().in_flight, 1, "the stream is held, not ended");
    // It goes on as soon as the client reads.
    let mut read = 0;
    while read < 32 << 20 {
        let mut piece = vec![0; 1 << 16];
        read += client.read(&mut piece).await.expect("the stream goes on");
    }
}
