//! Conversations over a WebSocket, with OpenAI's SDK and a plain client at one end and a scripted provider at the other.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use lockgate_e2e::{Gateway, PATIENCE, eventually, program};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(120);
const KEY: &str = "provider-key-4f9a1c";
/// One turn, by hand: 65 of text in at 4 dollars a million, 64 cached at 0.40, 3 of sound in at 32, 30 of text out at 16, 91 of
/// sound out at 64.
const TURN: i64 = 65 * 4_000 + 64 * 400 + 3 * 32_000 + 30 * 16_000 + 91 * 64_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

fn python(arguments: &[&str]) -> Command {
    let mut command = Command::new(folder().join(".venv/bin/python"));
    command.arg(folder().join("realtime.py")).args(arguments).kill_on_drop(true);
    command
}

/// The lines that a program says.
type Lines = tokio::io::Lines<BufReader<ChildStdout>>;

fn start(mut command: Command) -> (Child, Lines) {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let out = child.stdout.take().expect("its output");
    (child, BufReader::new(out).lines())
}

async fn next(lines: &mut Lines) -> Option<String> {
    timeout(LIMIT, lines.next_line()).await.expect("it says something").expect("text")
}

/// A provider of conversations, and a gateway before it; `None`, said aloud, where that cannot be.
async fn house() -> Option<(Child, Gateway)> {
    if program(&["python3"]).is_none() || !folder().join(".venv/.stamp").exists() {
        lockgate_testkit::skip("conversations: tests/e2e/clients/setup.sh python was not run");
        return None;
    }
    let mut command = python(&["serve", KEY]);
    command.stdin(Stdio::piped());
    let (provider, mut lines) = start(command);
    let port = next(&mut lines).await.expect("its port");
    let config = format!(
        "server: {{ drain: 10s }}\nproviders:\n  openai: {{ base_url: \"http://127.0.0.1:{port}/openai/v1\", api_key: \"{KEY}\" }}\n  \
         anthropic: {{ base_url: \"http://127.0.0.1:{port}/anthropic/v1\", api_key: \"{KEY}\" }}\n"
    );
    Some((provider, Gateway::start(&config).await))
}

fn clients(gateway: &Gateway, cases: &[&str]) -> Command {
    let mut command = python(cases);
    command.env("BASE_URL", format!("{}/v1", gateway.url())).env("API_KEY", gateway.key());
    for name in ["MODEL", "ECHO_MODEL", "FAULT_MODEL_PREFIX", "UNKNOWN_MODEL"] {
        command.env(name, "openai/gpt-realtime");
    }
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_passes_both_ways_and_is_booked_turn_by_turn() {
    let Some((_provider, gateway)) = house().await else { return };
    let output = timeout(LIMIT, clients(&gateway, &["-going_away"]).output());
    let output = output.await.expect("the clients end").expect("they start");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    println!("{out}");
    let records = eventually(PATIENCE, "all records", || async {
        let records = gateway.records().await;
        (records.len() >= 7).then_some(records)
    })
    .await;
    assert!(records.iter().all(|record| record["dialect"] == "openai.realtime"), "{records:#?}");
    let held: Vec<&Value> = records.iter().filter(|record| record["status"] == 101).collect();
    let costs: Vec<Option<i64>> = held.iter().map(|record| record["cost"].as_i64()).collect();
    assert_eq!(costs, [Some(TURN), Some(2 * TURN), None], "{held:#?}");
    assert!(held.iter().all(|record| record["outcome"] == "ok"), "{held:#?}");
    assert_eq!(held[1]["usage"]["audio_output"], 182);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_goes_says_so_to_both_sides() {
    let Some((_provider, mut gateway)) = house().await else { return };
    let (mut client, mut lines) = start(clients(&gateway, &["going_away"]));
    assert_eq!(next(&mut lines).await.as_deref(), Some("{\"open\": true}"));
    gateway.signal(Signal::TERM);
    assert!(gateway.ended(PATIENCE).await.success());
    let told: Value = serde_json::from_str(&next(&mut lines).await.expect("a result")).expect("JSON");
    assert_eq!(told["ok"], true, "{told}");
    assert!(client.wait().await.expect("it ends").success());
}
