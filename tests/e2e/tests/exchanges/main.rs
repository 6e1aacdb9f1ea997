//! Every recorded exchange in the words of every other dialect, read by the official SDKs of that dialect over a real
//! socket: one test for each dialect and SDK.
//!
//! What an answer must say is known from a reader that shares nothing with the dialects; the programs
//! (`clients/exchanges*`) tell what their SDK made of it, and what the published schema and the SDK's own strict types find
//! wrong with it.

#[cfg(test)]
mod jobs;
#[cfg(test)]
mod outcome;
#[cfg(test)]
#[path = "../../../../crates/dialect/tests/crossing/said.rs"]
mod said;
#[cfg(test)]
mod serve;
#[cfg(test)]
#[path = "../../../../crates/dialect/tests/crossing/translate.rs"]
mod translate;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use jobs::Job;
use lockgate_e2e::{docs, program};
use outcome::{Outcome, Tally};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

/// The longest that one SDK may take; some half a minute is what it needs.
const LIMIT: Duration = Duration::from_secs(900);

const HEAD: &str = "| answers in | read by | whole answers | errors | streams | in single bytes | in pieces | cut |\n\
                    |---|---|---|---|---|---|---|---|\n";

macro_rules! sdks {
    ($($test:ident: $dialect:literal in $sdk:literal, $how:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                reads($sdk, $dialect, How::$how).await;
            }
        )*
    };
}

/// How much of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Every stream also in single bytes and cut behind its events.
    All,
    /// Single bytes and cuts of a sample.
    Sampled,
    /// The same, of one exchange in twelve: the SDK reads slowly, and every schema is checked beside. All of them are
    /// read with `EXCHANGES_STEP=1` in the environment.
    Thinned,
}

sdks! {
    openai_python_reads_chat: "openai.chat" in "openai-python", Thinned;
    openai_python_reads_responses: "openai.responses" in "openai-python", Thinned;
    anthropic_python_reads_messages: "anthropic.messages" in "anthropic-python", Thinned;
    google_genai_python_reads_gemini: "gemini.generateContent" in "google-genai-python", Thinned;
    openai_node_reads_chat: "openai.chat" in "openai-node", All;
    openai_node_reads_responses: "openai.responses" in "openai-node", All;
    anthropic_node_reads_messages: "anthropic.messages" in "anthropic-node", All;
    google_genai_node_reads_gemini: "gemini.generateContent" in "google-genai-node", All;
    ai_sdk_reads_chat: "openai.chat" in "ai-sdk", Sampled;
    ai_sdk_reads_responses: "openai.responses" in "ai-sdk", Sampled;
    ai_sdk_reads_messages: "anthropic.messages" in "ai-sdk", Sampled;
    ai_sdk_reads_gemini: "gemini.generateContent" in "ai-sdk", Sampled;
}

impl How {
    const fn every(self) -> usize {
        if matches!(self, Self::Thinned) { 12 } else { 1 }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// The command that runs an SDK, or why it cannot be run here.
fn command(sdk: &str) -> Result<Command, String> {
    let is_python = sdk.ends_with("-python");
    let (needed, part, installed) = if is_python {
        ("python3", "python", ".venv/.stamp")
    } else {
        ("node", "node", "node_modules/.stamp")
    };
    let found = program(&[needed]).ok_or(format!("no {needed}"))?;
    if !folder().join(installed).exists() {
        return Err(format!("tests/e2e/clients/setup.sh {part} was not run"));
    }
    let mut command = Command::new(if is_python { folder().join(".venv/bin/python") } else { found });
    command.arg(folder().join(if is_python { "exchanges.py" } else { "exchanges.mjs" }));
    Ok(command)
}

#[expect(clippy::print_stdout, reason = "what was read is worth reading")]
async fn reads(sdk: &str, dialect: &'static str, how: How) {
    let mut command = match command(sdk) {
        Ok(command) => command,
        Err(lack) => return lockgate_testkit::skip(&format!("exchanges in {sdk}: {lack}")),
    };
    let started = Instant::now();
    let Some(jobs) = jobs::of(dialect, how == How::All, sdk.ends_with("-python"), how.every()) else {
        return;
    };
    if jobs::only().is_some() {
        for job in &jobs {
            println!("=== {}: {}\n{}", job.name, job.status, String::from_utf8_lossy(&job.body));
        }
    }
    let jobs = Arc::new(jobs);
    let prepared = started.elapsed();
    let address = serve::serve(Arc::clone(&jobs)).await;
    let mut child = command
        .args([sdk, dialect, &address])
        // No key, proxy or setting of this machine decides a result.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let mut orders = child.stdin.take().expect("its input");
    let list: String = jobs.iter().enumerate().map(|(key, job)| order(key, job)).collect();
    let orders = tokio::spawn(async move { orders.write_all(list.as_bytes()).await });
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut tally = Tally::new(&jobs);
    let told = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            tally.take(&jobs, sdk, dialect, &Outcome::of(&line));
        }
        child.wait().await.expect("the program ends")
    };
    let status = timeout(LIMIT, told).await;
    let (prepared, all) = (prepared.as_millis(), started.elapsed().as_millis());
    println!("{dialect} in {sdk}: {tally}, {all} ms of which {prepared} ms to translate");
    tally.verdict(&jobs);
    let status = status.expect("the program ends in time");
    assert!(status.success(), "{sdk}: {status}");
    orders.await.expect("the list is written").ok();
    // The table tells what the latest whole run saw; another run needs no row.
    if !jobs::complete(how.every()) || std::env::var_os("UPDATE_DOCS").is_none_or(|value| value != "1") {
        return;
    }
    let first = format!("{dialect} | {sdk} {}", tally.version);
    docs("clients.md").must_have_row("exchanges", HEAD, &first, &tally.row(&first));
}

/// What a program is told of a job: a line.
fn order(key: usize, job: &Job) -> String {
    let expected = match &job.expected {
        jobs::Expected::Same(said) => said.calls.iter().map(|(name, _)| name.as_str()).collect(),
        _ => Vec::new(),
    };
    let native = matches!(job.expected, jobs::Expected::Native);
    let (stream, sse, check) = (job.asks_stream, job.is_stream, job.check);
    let line = json!({ "key": key, "native": native, "stream": stream, "check": check, "sse": sse, "tools": expected });
    format!("{line}\n")
}
