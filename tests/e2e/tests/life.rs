//! The life of the process: killed, stopped, reloaded, under load.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::ErrorKind::{ConnectionRefused, ConnectionReset};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lockgate_demo::{DemoUpstream, Fault, Injection, Options, Pace};
use lockgate_e2e::{Answer, Connection, Ending, Gateway, PATIENCE, ask, ask_for, eventually};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Clients that ask as fast as they are answered.
const CLIENTS: usize = 8;
/// The config's `records.flush`: what a crash can lose.
const FLUSH: Duration = Duration::from_millis(100);

async fn instant() -> DemoUpstream {
    DemoUpstream::start(Options::instant()).await.expect("an upstream")
}

fn config(upstream: &DemoUpstream, more: &str) -> String {
    let url = upstream.base_url();
    format!("providers: {{ demo: {{ type: openai-compatible, base_url: \"{url}\" }} }}\n{more}")
}

#[expect(clippy::print_stdout, reason = "what was measured is worth reading")]
fn report(line: &str) {
    println!("{line}");
}

// --- Load ---

/// Clients at work.
struct Load {
    clients: JoinSet<Seen>,
    stop: Arc<AtomicBool>,
}

/// What clients saw.
#[derive(Default)]
struct Seen {
    /// Request ids, with the time when their answer was complete.
    answered: Vec<(String, Instant)>,
    /// Texts of the answers, counted.
    texts: HashMap<String, usize>,
    /// Answers that were none, and connections that broke with a request on them.
    failed: Vec<String>,
    /// Connections that were refused: nobody took the request.
    refused: usize,
}

impl Load {
    /// `CLIENTS` clients that ask for `model` on kept connections, each until it is told to stop or there is nobody
    /// to connect to.
    fn start(gateway: &Gateway, model: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for n in 0..CLIENTS {
            let body = ask_for(model, &format!("client {n}"), false);
            let (address, stop) = (gateway.address(), Arc::clone(&stop));
            // A request is made anew each time; all that it needs from the gateway is taken here.
            let requests = gateway.chat_requests(&body);
            clients.spawn(async move {
                let mut seen = Seen::default();
                let mut connection = None;
                while !stop.load(Ordering::Relaxed) {
                    let mut open = match connection.take() {
                        Some(open) => open,
                        None => match Connection::open(address).await {
                            Ok(open) => open,
                            // A door that closes while one knocks resets; no request was taken then either.
                            Err(error) if matches!(error.kind(), ConnectionRefused | ConnectionReset) => {
                                seen.refused += 1;
                                break;
                            }
                            Err(error) => {
                                seen.failed.push(format!("connecting: {error}"));
                                break;
                            }
                        },
                    };
                    match open.send(requests()).await {
                        Ok(reply) => {
                            let answer = reply.read(PATIENCE).await;
                            let keep = answer.header("connection") != "close";
                            if !seen.note(&answer) {
                                break;
                            }
                            connection = keep.then_some(open);
                        }
                        Err(error) => {
                            seen.failed.push(format!("asking: {error}"));
                            break;
                        }
                    }
                }
                seen
            });
        }
        Self { clients, stop }
    }

    /// Waits until they have stopped by themselves.
    async fn ended(self) -> Seen {
        let mut all = Seen::default();
        for seen in self.clients.join_all().await {
            all.answered.extend(seen.answered);
            all.failed.extend(seen.failed);
            all.refused += seen.refused;
            for (text, count) in seen.texts {
                *all.texts.entry(text).or_default() += count;
            }
        }
        all
    }

    async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.ended().await
    }
}

impl Seen {
    /// Whether it was a good answer.
    fn note(&mut self, answer: &Answer) -> bool {
        let good = answer.is_finished();
        if good {
            self.answered.push((answer.id().to_owned(), Instant::now()));
            *self.texts.entry(answer.text()).or_default() += 1;
        } else {
            self.failed.push(format!("{} {:?} {:?}", answer.status, answer.ending, answer.body));
        }
        good
    }
}

/// The ids of all records, which must differ.
async fn recorded(gateway: &Gateway) -> HashSet<String> {
    let records = gateway.run_json(&["logs", "--limit", "1000000"]).await;
    let count = records.len();
    let ids: HashSet<String> =
        records.iter().filter_map(|record| record["id"].as_str()).map(str::to_owned).collect();
    assert_eq!(ids.len(), count, "a request is recorded twice");
    ids
}

// --- Killed ---

/// A folder that no disk holds up, where the system has such a place. A disk that is slow to sync makes the writer wait,
/// and what comes meanwhile waits in memory; the interval of the config is what the program adds to that.
fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_only_the_records_of_the_last_flush() {
    /// A busy machine writes a batch a little later.
    const SLACK: Duration = Duration::from_millis(150);
    let upstream = instant().await;
    let folder = in_memory();
    let mut gateway = Gateway::start_in(folder, &config(&upstream, "records: { flush: 100ms }\n"), &[]).await;
    let load = Load::start(&gateway, "demo/echo");
    sleep(Duration::from_millis(1_500)).await;
    gateway.signal(Signal::KILL);
    let killed = Instant::now();
    gateway.ended(PATIENCE).await;
    let seen = load.ended().await;

    gateway.restart().await;
    let recorded = recorded(&gateway).await;
    let lost: Vec<Duration> = seen
        .answered
        .iter()
        .filter(|(id, _)| !recorded.contains(id))
        .map(|(_, at)| killed.saturating_duration_since(*at))
        .collect();
    let oldest = lost.iter().max().copied().unwrap_or_default();
    report(&format!(
        "kill -9: of {} answered requests {} are not recorded; the oldest was answered {oldest:?} before",
        seen.answered.len(),
        lost.len()
    ));
    assert!(seen.answered.len() > 100, "only {} requests were answered", seen.answered.len());
    assert!(oldest <= FLUSH + SLACK, "a record was lost {oldest:?} after its answer");
    let answer = gateway.chat(&ask("demo/echo", false)).await;
    assert!(answer.is_finished(), "it serves again: {answer:?}");
}

// --- Stopped ---

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_breaks_no_answer_and_loses_no_record() {
    let pace = Pace { first_token: Duration::from_millis(20), tokens_per_second: 30.0, ..Pace::default() };
    let slow = DemoUpstream::start(Options { pace, ..Options::default() }).await.expect("an upstream");
    let quick = instant().await;
    let provider = |upstream: &DemoUpstream| {
        format!("{{ type: openai-compatible, base_url: \"{}\" }}", upstream.base_url())
    };
    let text = format!("providers: {{ slow: {}, quick: {} }}\n", provider(&slow), provider(&quick));
    let mut gateway = Gateway::start(&text).await;
    let mut streams = JoinSet::new();
    for _ in 0..CLIENTS {
        let reply = gateway.open_chat(&ask("slow/chat", true)).await.expect("a stream");
        streams.spawn(reply.read(PATIENCE));
    }
    let load = Load::start(&gateway, "quick/echo");
    sleep(Duration::from_millis(300)).await;
    gateway.signal(Signal::TERM);
    let asked = Instant::now();
    let status = gateway.ended(PATIENCE).await;
    let took = asked.elapsed();
    let mut seen = load.ended().await;
    let short = seen.answered.len();
    for answer in streams.join_all().await {
        seen.note(&answer);
    }
    report(&format!(
        "SIGTERM: {short} requests and {} streams answered, {} clients found the door closed, ended after {took:?}",
        seen.answered.len() - short,
        seen.refused
    ));
    assert!(status.success(), "{status}");
    assert!(seen.failed.is_empty(), "{:?}", seen.failed);
    assert_eq!(seen.refused, CLIENTS, "all clients went on until the door was closed");
    assert!(took < Duration::from_secs(20), "well within the drain limit of 30 s: {took:?}");

    let recorded = recorded(&gateway).await;
    let lost = seen.answered.iter().filter(|(id, _)| !recorded.contains(id)).count();
    assert_eq!(lost, 0, "of {} records", seen.answered.len());
}

#[tokio::test]
async fn a_stream_longer_than_the_drain_limit_is_cut() {
    let endless = Injection::from(Fault::Endless).delay(Duration::from_millis(20));
    let upstream = DemoUpstream::start(Options::instant().fault(endless)).await.expect("an upstream");
    let mut gateway = Gateway::start(&config(&upstream, "server: { drain: 2s }\n")).await;
    let reply = gateway.open_chat(&ask("demo/chat", true)).await.expect("a stream");
    let reading = tokio::spawn(reply.read(PATIENCE));
    sleep(Duration::from_millis(100)).await;
    gateway.signal(Signal::TERM);
    let asked = Instant::now();
    let status = gateway.ended(PATIENCE).await;
    let took = asked.elapsed();
    report(&format!("SIGTERM with an endless stream and a drain limit of 2 s: ended after {took:?}"));
    assert!(status.success(), "{status}");
    assert!(took >= Duration::from_millis(1_900) && took < Duration::from_millis(3_500), "{took:?}");
    let answer = reading.await.expect("the client");
    assert!(!answer.is_finished() && answer.ending != Ending::Unfinished, "{:?}", answer.ending);
    let records = gateway.run_json(&["logs"]).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["outcome"], "cancelled", "{}", records[0]);
    assert!(records[0]["usage"]["output"].as_u64() > Some(0), "{}", records[0]);
    eventually(PATIENCE, "the upstream is let go", || async {
        (upstream.stats().in_flight == 0).then_some(())
    })
    .await;
}

// --- Reloaded ---

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_reloads_under_load_drop_nothing() {
    const RELOADS: usize = 100;
    let upstream = instant().await;
    let with = |target: &str| config(&upstream, &format!("routes: {{ here: [demo/{target}] }}\n"));
    let gateway = Gateway::start(&with("echo")).await;
    let load = Load::start(&gateway, "here");
    let reloads = |log: &str| log.matches(" config_reloaded ").count();
    for n in 0..RELOADS {
        let before = reloads(&gateway.log());
        gateway.write_config(&with(if n % 2 == 0 { "chat" } else { "echo" }));
        gateway.signal(Signal::HUP);
        eventually(PATIENCE, "the config is in force", || async {
            (reloads(&gateway.log()) > before).then_some(())
        })
        .await;
        if n == RELOADS / 2 {
            let in_force = target_of(&gateway, "here").await;
            gateway.write_config("providers:\n  demo: { typ: openai-compatible }\n");
            gateway.signal(Signal::HUP);
            eventually(PATIENCE, "the bad config is refused", || async {
                gateway.log().contains("config_rejected").then_some(())
            })
            .await;
            assert_eq!(target_of(&gateway, "here").await, in_force, "the old config stays in force");
        }
    }
    let seen = load.stop().await;
    let log = gateway.log();
    let mut refused = log.lines().filter(|line| line.contains("config_rejected"));
    assert!(refused.any(|line| line.contains("lockgate.yaml:2:")), "line and column are named: {log}");
    report(&format!(
        "{RELOADS} reloads: {} requests answered, {} failed, {} different answers",
        seen.answered.len(),
        seen.failed.len(),
        seen.texts.len()
    ));
    assert!(seen.failed.is_empty() && seen.refused == 0, "{:?}", seen.failed);
    assert!(seen.texts.len() > CLIENTS, "both targets answered: {:?}", seen.texts.keys());
    assert!(seen.answered.len() > RELOADS, "only {} requests", seen.answered.len());
}

async fn target_of(gateway: &Gateway, model: &str) -> String {
    gateway.chat(&ask(model, false)).await.header("x-lockgate-target").to_owned()
}

#[tokio::test]
async fn keys_come_and_go_within_a_second_without_a_restart() {
    const LIMIT: Duration = Duration::from_secs(1);
    let upstream = instant().await;
    let gateway = Gateway::start(&config(&upstream, "")).await;
    let key = gateway.create_key("second").await;
    let models = async || gateway.get("/v1/models", &key).await.map_or(0, |answer| answer.status);

    let made = Instant::now();
    eventually(PATIENCE, "the new key opens the door", || async { (models().await == 200).then_some(()) })
        .await;
    let opened = made.elapsed();

    let said = gateway.run_json(&["keys", "revoke", "second"]).await;
    assert_eq!(said[0]["state"], "revoked", "{said:?}");
    let revoked = Instant::now();
    eventually(PATIENCE, "the revoked key is refused", || async { (models().await == 401).then_some(()) })
        .await;
    let closed = revoked.elapsed();
    report(&format!("a new key opens after {opened:?}, a revoked one is refused after {closed:?}"));
    assert!(opened < LIMIT && closed < LIMIT, "{opened:?}, {closed:?}");

    let mut told = String::new();
    let answer = gateway.get("/v1/models", &key).await.expect("an answer");
    let _ = write!(told, "{}", answer.json()["error"]["message"]);
    assert!(told.contains("revoked"), "{told}");
    assert!(!gateway.said().contains(&key), "a key is said nowhere");
    let list: Value = gateway.run_json(&["keys", "list", "--all"]).await.remove(0);
    assert!(!list.to_string().contains(&key), "{list}");
}
