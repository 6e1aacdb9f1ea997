//! Coding agents through the gateway, against an upstream of another dialect: each reads a file, edits it, runs a command
//! and tells what came of it.
//!
//! The model is the demo's, which plays such a session from the steps in the prompt. It speaks OpenAI chat; behind a second
//! gateway it is an upstream that speaks Anthropic messages or Gemini. An agent gets a scratch home, an otherwise empty
//! environment, and a proxy that is not there for whatever is not the gateway.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockgate_demo::{DemoUpstream, Options};
use lockgate_e2e::{Gateway, PATIENCE, docs, eventually, program};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

/// The longest that a session may take. On a machine with nothing else to do it is 2 to 15 seconds.
const LIMIT: Duration = Duration::from_secs(150);

const HEAD: &str = "| agent, its provider's dialect | version | asks in | turns | tools called | could not be carried |\n\
                    |---|---|---|---|---|---|\n";

const NOTES: &str = "The first line.\nThe colour is red, station 73514.\n";
const EDITED: &str = "The first line.\nThe colour is blue, station 73514.\n";
/// Stands in the file and not in the prompt.
const MARK: &str = "station 73514";
/// Its output stands nowhere before it ran.
const JOB: &str = "echo job $((48000 + 213)) counted $(wc -w < notes.txt) words | tee result.txt\n";
const RESULT: &str = "job 48213 counted 9 words";
/// How the demo's report begins.
const REPORT: &str = "All steps are done.";

/// A kind of agent and how it is run.
struct Agent {
    name: &'static str,
    /// The part of `setup.sh` that installs it.
    part: &'static str,
    /// Where its version is pinned: a file, and the words before and behind it.
    pin: (&'static str, &'static str, &'static str),
    /// The dialect that it asks in.
    dialect: &'static str,
    command: fn(&Place) -> Command,
}

/// Where and with what an agent works.
struct Place {
    folder: TempDir,
    /// The gateway, without a slash at the end.
    url: String,
    key: String,
    /// The name by which the agent asks for its model.
    model: &'static str,
}

/// What the provider behind the gateway speaks.
#[derive(Clone, Copy)]
enum Speaks {
    Chat,
    Anthropic,
    Gemini,
}

const CLAUDE_CODE: Agent = Agent {
    name: "claude-code",
    part: "agents",
    pin: ("agents/package.json", "\"@anthropic-ai/claude-code\": \"", "\""),
    dialect: "anthropic.messages",
    command: |place| {
        let mut command = place.command("node", &[]);
        command
            .arg(clients().join("agents/node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs"))
            .args(["--print", &place.prompt(), "--output-format", "json"])
            .args(["--allowedTools", "Read", "Edit", "Bash"])
            .env("ANTHROPIC_BASE_URL", &place.url)
            .env("ANTHROPIC_AUTH_TOKEN", &place.key)
            .env("ANTHROPIC_MODEL", place.model)
            .env("ANTHROPIC_SMALL_FAST_MODEL", place.model)
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        command
    },
};

const CODEX: Agent = Agent {
    name: "codex",
    part: "agents",
    pin: ("agents/package.json", "\"@openai/codex\": \"", "\""),
    dialect: "openai.responses",
    command: |place| {
        let provider = format!(
            "model_providers.gateway={{name=\"gateway\",base_url=\"{}/v1\",env_key=\"GATEWAY_KEY\",wire_api=\"responses\"}}",
            place.url
        );
        let mut command = place.command("node", &[]);
        command
            .arg(clients().join("agents/node_modules/@openai/codex/bin/codex.js"))
            // What it may touch is a scratch folder, and its sandbox needs rights that a container may not have.
            .args(["exec", "--json", "--skip-git-repo-check", "--sandbox", "danger-full-access"])
            .args(["--model", place.model, "-c", "model_provider=gateway", "-c", &provider, &place.prompt()])
            .env("GATEWAY_KEY", &place.key);
        command
    },
};

const GEMINI_CLI: Agent = Agent {
    name: "gemini-cli",
    part: "agents",
    pin: ("agents/package.json", "\"@google/gemini-cli\": \"", "\""),
    dialect: "gemini.generateContent",
    command: |place| {
        let settings = json!({ "security": { "auth": { "selectedType": "gemini-api-key" } } });
        place.write("home/.gemini/settings.json", &settings.to_string());
        let mut command = place.command("node", &[]);
        command
            .arg(clients().join("agents/node_modules/@google/gemini-cli/bundle/gemini.js"))
            .args(["--skip-trust", "--yolo", "--model", place.model, "--prompt", &place.prompt()])
            .env("GOOGLE_GEMINI_BASE_URL", &place.url)
            .env("GEMINI_API_KEY", &place.key);
        command
    },
};

const OPENCODE: Agent = Agent {
    name: "opencode",
    part: "agents",
    pin: ("agents/package.json", "\"opencode-linux-x64\": \"", "\""),
    dialect: "openai.chat",
    command: |place| {
        let model = format!("gateway/{}", place.model);
        let config = json!({
            "model": model,
            "small_model": model,
            "autoupdate": false,
            "share": "disabled",
            "provider": { "gateway": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "gateway",
                "options": { "baseURL": format!("{}/v1", place.url), "apiKey": place.key },
                "models": { place.model: { "name": place.model } },
            } },
        });
        place.write("project/opencode.json", &config.to_string());
        let program = clients().join("agents/node_modules/opencode-linux-x64/bin/opencode");
        let mut command = place.command(&program.to_string_lossy(), &["run", &place.prompt()]);
        command
            .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
            .env("OPENCODE_DISABLE_AUTOUPDATE", "1")
            .env("OPENCODE_DISABLE_LSP_DOWNLOAD", "1")
            .env("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1");
        command
    },
};

/// It has no tools: edits are blocks in the text, and the command is the project's test. A test that fails is what makes
/// it tell the model what was said.
const AIDER: Agent = Agent {
    name: "aider",
    part: "aider",
    pin: ("requirements-aider.txt", "aider-chat==", "\n"),
    dialect: "openai.chat",
    command: |place| {
        place.write("project/job.sh", &format!("{JOB}exit 1\n"));
        let name = format!("openai/{}", place.model);
        let facts = json!({ "max_input_tokens": 100_000, "max_tokens": 10_000, "litellm_provider": "openai", "mode": "chat" });
        // A fresh cache of model facts: without one aider fetches it from the net.
        place.write(
            "home/.aider/caches/model_prices_and_context_window.json",
            &json!({ name.as_str(): facts }).to_string(),
        );
        let program = clients().join(".venv-aider/bin/aider");
        let mut command = place.command(&program.to_string_lossy(), &[]);
        command
            .args("--yes-always --no-git --no-pretty --no-fancy-input --no-check-update --no-show-release-notes".split(' '))
            .args("--no-show-model-warnings --analytics-disable --no-auto-lint --no-suggest-shell-commands".split(' '))
            .args("--no-detect-urls --disable-playwright --map-tokens 0 --edit-format diff --auto-test".split(' '))
            .args(["--test-cmd", "sh job.sh", "--model", &name, "--message", &place.prompt(), "notes.txt"])
            .env("OPENAI_API_BASE", format!("{}/v1", place.url))
            .env("OPENAI_API_KEY", &place.key)
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
        command
    },
};

// === the sessions ===

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claude_code_and_a_chat_provider() {
    session(&CLAUDE_CODE, "claude-sonnet-4-5", Speaks::Chat, &["Read", "Edit", "Bash"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claude_code_and_a_gemini_provider() {
    session(&CLAUDE_CODE, "claude-sonnet-4-5", Speaks::Gemini, &["Read", "Edit", "Bash"]).await;
}

/// To a model that it does not know it offers a shell and nothing else for files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codex_and_a_chat_provider() {
    session(&CODEX, "coder", Speaks::Chat, &["exec_command", "exec_command", "exec_command"]).await;
}

/// To one that it knows it offers patches too, by a tool that takes any text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codex_with_patches_and_an_anthropic_provider() {
    session(&CODEX, "gpt-5.5", Speaks::Anthropic, &["exec_command", "apply_patch", "exec_command"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gemini_cli_and_a_chat_provider() {
    session(&GEMINI_CLI, "gemini-2.5-pro", Speaks::Chat, &["read_file", "replace", "run_shell_command"])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gemini_cli_and_an_anthropic_provider() {
    session(&GEMINI_CLI, "gemini-2.5-pro", Speaks::Anthropic, &["read_file", "replace", "run_shell_command"])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opencode_and_an_anthropic_provider() {
    session(&OPENCODE, "coder", Speaks::Anthropic, &["read", "edit", "bash"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aider_and_a_gemini_provider() {
    session(&AIDER, "coder", Speaks::Gemini, &[]).await;
}

/// Runs an agent through one session and looks at what it did, at what it said, and at what the gateway remembers.
async fn session(agent: &Agent, model: &'static str, speaks: Speaks, tools: &[&str]) {
    if let Some(lack) = agent.lacks() {
        lockgate_testkit::skip(&format!("{}: {lack}", agent.name));
        return;
    }
    let demo = DemoUpstream::start(Options { keep: 64, ..Options::instant() }).await.expect("an upstream");
    let inner = Gateway::start(&chat_config(&demo, "claude-sonnet-4-5, gemini-2.5-pro")).await;
    let gateway = match speaks {
        Speaks::Chat => Gateway::start(&chat_config(&demo, model)).await,
        _ => Gateway::start_with(&chained(speaks, &inner, model), &[("INNER_KEY", inner.key())]).await,
    };
    let place = Place {
        folder: tempfile::tempdir().expect("a folder"),
        url: gateway.url().to_owned(),
        key: gateway.key().to_owned(),
        model,
    };
    place.write("home/.keep", "");
    place.write("project/notes.txt", NOTES);
    place.write("project/job.sh", JOB);

    let mut command = (agent.command)(&place);
    let output = timeout(LIMIT, command.output()).await.expect("the agent ends").expect("the agent starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let said = format!("{}\n{out:.6000}\n{err:.3000}", output.status);

    assert!(output.status.success(), "{said}");
    assert_eq!(place.read("notes.txt"), EDITED, "the file on disk: {said}");
    assert_eq!(place.read("result.txt").trim(), RESULT, "what the command left: {said}");
    let (_, report) = out.rsplit_once(REPORT).unwrap_or_else(|| panic!("no report: {said}"));
    assert!(report.contains(RESULT), "the report names what the command said: {said}");
    assert!(tools.is_empty() || report.contains(MARK), "the report names what was read: {said}");

    let called = called(&demo);
    assert_eq!(called, tools, "what the model called, and got an outcome for");
    let turns = turns(agent, &gateway, speaks, called.len() + 1).await;
    let lost: BTreeSet<&str> = turns
        .iter()
        .filter_map(|turn| turn["losses"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for tool in tools {
        let lost = lost.iter().any(|loss| loss.strip_prefix("tools.").is_some_and(|rest| rest == *tool));
        assert!(!lost, "{tool} was lost on the way and still called?");
    }

    let list = |words: Vec<&str>| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let first = format!("{}, `{}`", agent.name, speaks.dialect());
    let row = format!(
        "| {first} | {} | `{}` | {} | {} | {} |",
        agent.version(),
        agent.dialect,
        turns.len(),
        if tools.is_empty() {
            "edit block, test run".to_owned()
        } else {
            list(called.iter().map(String::as_str).collect())
        },
        if lost.is_empty() { "-".to_owned() } else { list(lost.into_iter().collect()) },
    );
    docs("clients.md").must_have_row("agents", HEAD, &first, &row);
}

/// A gateway before the demo.
fn chat_config(demo: &DemoUpstream, routes: &str) -> String {
    let routes: Vec<String> = routes.split(", ").map(|route| format!("  {route}: [demo/chat]")).collect();
    let base = demo.base_url();
    format!(
        "providers: {{ demo: {{ type: openai-compatible, base_url: \"{base}\", models: [chat] }} }}\nroutes:\n{}\n",
        routes.join("\n")
    )
}

/// A gateway before another one, whose dialect of these two its provider speaks.
fn chained(speaks: Speaks, inner: &Gateway, route: &str) -> String {
    let (kind, version, model) = match speaks {
        Speaks::Gemini => ("gemini", "v1beta", "gemini-2.5-pro"),
        _ => ("anthropic", "v1", "claude-sonnet-4-5"),
    };
    let url = inner.url();
    format!(
        "providers: {{ inner: {{ type: {kind}-compatible, base_url: \"{url}/{version}\", api_key: \"${{INNER_KEY}}\" }} }}\n\
         routes: {{ {route}: [inner/{model}] }}\n"
    )
}

/// The tools that the model called in the conversation as the provider saw it last, each call with its outcome.
fn called(demo: &DemoUpstream) -> Vec<String> {
    let recent = demo.stats().recent;
    let bodies =
        recent.iter().rev().filter_map(|request| serde_json::from_slice::<Value>(&request.body).ok());
    let mut longest: Vec<Value> = Vec::new();
    for body in bodies {
        let messages = body["messages"].as_array().cloned().unwrap_or_default();
        if messages.len() > longest.len() {
            longest = messages;
        }
    }
    let outcomes: Vec<&Value> = longest
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| &message["tool_call_id"])
        .collect();
    let calls = longest.iter().filter_map(|message| message["tool_calls"].as_array()).flatten();
    calls
        .filter(|call| outcomes.contains(&&call["id"]))
        .map(|call| {
            let name =
                [&call["function"]["name"], &call["custom"]["name"]].into_iter().find_map(Value::as_str);
            name.unwrap_or_default().to_owned()
        })
        .collect()
}

/// The records of all that the agent asked: at least so many, all well, all with usage, all translated.
async fn turns(agent: &Agent, gateway: &Gateway, speaks: Speaks, least: usize) -> Vec<Value> {
    let turns = eventually(PATIENCE, "a record of each turn", || async {
        let records = gateway.records().await;
        (records.len() >= least).then_some(records)
    })
    .await;
    for turn in &turns {
        assert_eq!((&turn["outcome"], &turn["status"]), (&json!("ok"), &json!(200)), "{turn:#}");
        assert_eq!(turn["dialect"], agent.dialect, "{turn:#}");
        let provider = if matches!(speaks, Speaks::Chat) { "demo" } else { "inner" };
        assert_eq!(turn["target"]["provider"], provider, "{turn:#}");
        let usage = &turn["usage"];
        assert_eq!(usage["source"], "reported", "{turn:#}");
        assert!(usage["input"].as_u64() > Some(100) && usage["output"].as_u64() > Some(0), "{turn:#}");
    }
    turns
}

// === impl Agent ===

impl Agent {
    /// Why it cannot run on this machine.
    fn lacks(&self) -> Option<String> {
        let needed = if self.part == "agents" { "node" } else { "python3" };
        if program(&[needed]).is_none() {
            return Some(format!("no {needed}"));
        }
        let stamp = if self.part == "agents" { "agents/node_modules/.stamp" } else { ".venv-aider/.stamp" };
        if !clients().join(stamp).exists() {
            return Some(format!("tests/e2e/clients/setup.sh {} was not run", self.part));
        }
        let own = clients().join("agents/node_modules/opencode-linux-x64");
        (self.name == "opencode" && !own.exists()).then(|| "it is pinned for Linux on x64 only".to_owned())
    }

    /// As pinned.
    fn version(&self) -> String {
        let (file, before, behind) = self.pin;
        let text = std::fs::read_to_string(clients().join(file)).expect("the pins");
        let (_, rest) = text.split_once(before).expect("the agent is pinned");
        rest.split(behind).next().unwrap_or_default().to_owned()
    }
}

// === impl Speaks ===

impl Speaks {
    fn dialect(self) -> &'static str {
        match self {
            Self::Chat => "openai.chat",
            Self::Anthropic => "anthropic.messages",
            Self::Gemini => "gemini.generateContent",
        }
    }
}

// === impl Place ===

impl Place {
    /// What the agent is asked to do. Paths are absolute, as some tools take no others; aider's blocks name files by their
    /// place in the project.
    fn prompt(&self) -> String {
        let at = |name: &str| match self.folder.path().join("project").join(name) {
            _ if self.folder.path().join("home/.aider").exists() => name.to_owned(),
            path => path.to_string_lossy().into_owned(),
        };
        let (notes, job) = (at("notes.txt"), at("job.sh"));
        format!(
            "Please take these steps, one after the other:\n1. Read `{notes}`.\n\
             2. Replace `red` with `blue` in `{notes}`.\n3. Run `sh {job}`.\nThen tell me what was done."
        )
    }

    /// A program in the project, with next to nothing in its environment.
    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.folder.path().join("project"))
            .env_clear()
            .env("HOME", self.folder.path().join("home"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .env("NO_COLOR", "1")
            // Nothing listens there.
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("NO_PROXY", "127.0.0.1,localhost")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("project").join(name)).unwrap_or_default()
    }
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}
