//! Unmodified client programs through the gateway: one test for each line of `clients/clients.txt`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lockgate_demo::{DemoUpstream, Options};
use lockgate_e2e::{Gateway, PATIENCE, docs, eventually, program};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

/// The longest that all cases of one client may take.
const LIMIT: Duration = Duration::from_secs(240);

const HEAD: &str = "| client | version | cases | ok |\n|---|---|---|---|\n";

macro_rules! clients {
    ($($name:ident $client:literal)*) => {
        const CLIENTS: &[&str] = &[$($client,)*];

        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                passes($client).await;
            }
        )*
    };
}

clients! {
    openai_python "openai-python"
    openai_responses "openai-responses"
    openai_node "openai-node"
    anthropic_python "anthropic-python"
    anthropic_node "anthropic-node"
    google_genai_python "google-genai-python"
    google_genai_node "google-genai-node"
    boto3 "boto3"
    ai_sdk "ai-sdk"
    langchain_openai "langchain-openai"
    langchain_anthropic "langchain-anthropic"
    langchain_google "langchain-google"
    pydantic_ai "pydantic-ai"
    instructor "instructor"
    llama_index "llama-index"
    litellm "litellm"
    llm "llm"
    aider "aider"
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// The lines of the list: name, script, part of the set-up.
fn list() -> Vec<[String; 3]> {
    let text = std::fs::read_to_string(folder().join("clients.txt")).expect("the list of clients");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            words.try_into().unwrap_or_else(|words| panic!("three words a line, not {words:?}"))
        })
        .collect()
}

#[test]
fn every_client_of_the_list_has_its_test() {
    let listed: Vec<String> = list().into_iter().map(|[name, ..]| name).collect();
    assert_eq!(listed, CLIENTS);
}

/// Why a client cannot run on this machine.
fn lacks(part: &str) -> Option<String> {
    let (needed, installed) = match part {
        "node" => ("node", "node_modules/.stamp"),
        "python" => ("python3", ".venv/.stamp"),
        "frameworks" => ("python3", ".venv-frameworks/.stamp"),
        "litellm" => ("python3", ".venv-litellm/.stamp"),
        "aider" => ("python3", ".venv-aider/.stamp"),
        other => panic!("clients.txt names an unknown part of the set-up: {other}"),
    };
    if program(&[needed]).is_none() {
        return Some(format!("no {needed}"));
    }
    (!folder().join(installed).exists()).then(|| format!("tests/e2e/clients/setup.sh {part} was not run"))
}

/// What the cases say of versions, each part once: one client may try several packages.
fn versions(cases: &[Value]) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in cases.iter().filter_map(|case| case["version"].as_str()).flat_map(|text| text.split(", ")) {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join(", ")
}

async fn passes(client: &str) {
    let [_, _, part] =
        list().into_iter().find(|[name, ..]| name == client).expect("the client is on the list");
    if let Some(lack) = lacks(&part) {
        lockgate_testkit::skip(&format!("{client}: {lack}"));
        return;
    }
    let upstream = DemoUpstream::start(Options::instant()).await.expect("an upstream");
    let config = format!(
        "providers: {{ demo: {{ type: openai-compatible, base_url: \"{}\", models: [chat, echo] }} }}\n",
        upstream.base_url()
    );
    let gateway = Gateway::start(&config).await;

    let mut command = Command::new("sh");
    command
        .arg(folder().join("run.sh"))
        .arg(client)
        .env("BASE_URL", format!("{}/v1", gateway.url()))
        .env("API_KEY", gateway.key())
        .env("MODEL", "demo/chat")
        .env("ECHO_MODEL", "demo/echo")
        .env("FAULT_MODEL_PREFIX", "demo/fault:")
        .env("UNKNOWN_MODEL", "no-such-model")
        .kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await.expect("the client ends").expect("the client starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let cases: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{err}")))
        .collect();
    let failed: Vec<&Value> = cases.iter().filter(|case| case["ok"] != true).collect();
    assert!(failed.is_empty() && output.status.success(), "{}: {failed:#?}\n{err}", output.status);
    assert!(cases.iter().any(|case| case["case"] == "error_auth"), "a wrong key was tried");

    // Whatever a client left behind, the provider was let go.
    eventually(PATIENCE, "no stream is left in flight", || async {
        (upstream.stats().in_flight == 0).then_some(())
    })
    .await;
    let version = versions(&cases);
    let row = format!("| {client} | {version} | {} | {} |", cases.len(), cases.len() - failed.len());
    docs("clients.md").must_have_row("clients", HEAD, client, &row);
}
