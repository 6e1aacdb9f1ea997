//! The commands as people and programs run them: the built binary, a folder of its own, no environment but what a test
//! sets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alerts;
mod budgets;
mod catalog;
mod check;
mod demo_upstream;
mod doctor;
mod evals;
mod keys;
mod limits;
mod logs;
mod postgres;
mod routes;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lockgate_core::RequestId;
use lockgate_store::Sqlite;
use serde_json::Value;
use tempfile::TempDir;

/// A folder to run commands in.
struct Place(TempDir);

/// What a command did.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with_config(text: &str) -> Self {
        let place = Self::new();
        std::fs::write(place.0.path().join("lockgate.yaml"), text).unwrap();
        place
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockgate"));
        command.args(args).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        // Whatever else runs on this machine must not be found by the doctor.
        command.env("LOCKGATE_LISTEN", "127.0.0.1:0");
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        finish(&mut self.command(args))
    }

    /// A command that must succeed and print one JSON document.
    fn json(&self, args: &[&str]) -> Value {
        let run = self.run(&[args, &["--json"]].concat());
        assert_eq!(run.code, 0, "{args:?}: {}", run.err);
        serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{args:?}: {e}: {}", run.out))
    }

    fn store(&self) -> Sqlite {
        Sqlite::open(&self.0.path().join(".lockgate/lockgate.db")).unwrap()
    }

    /// Whether any file here holds these bytes.
    fn holds(&self, text: &str) -> bool {
        fn search(folder: &Path, text: &[u8]) -> bool {
            std::fs::read_dir(folder).unwrap().any(|entry| {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    return search(&path, text);
                }
                std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text)
            })
        }
        search(self.0.path(), text.as_bytes())
    }
}

/// Where the pages of the guide have their gateway.
const USUAL: &str = "http://127.0.0.1:4100";
/// The admin token of the pages.
const TOKEN: &str = "pages-admin-token-0123456789";

impl Place {
    /// Runs the blocks of a page of the guide in their order: a `# lockgate.yaml` becomes the file, a `sh` block is executed.
    /// Where one calls the gateway, there is one from then on, with a key in `LOCKGATE_KEY`; without `curl` such blocks are
    /// skipped. The text of the page, and how many blocks ran or were skipped.
    fn run_page(&self, page: &str, env: &[(&str, &str)]) -> (String, usize) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide").join(page);
        let page = std::fs::read_to_string(path).unwrap();
        let mut gateway = None;
        let (mut open, mut ran): (Option<(&str, String)>, usize) = (None, 0);
        for line in page.lines() {
            match (&mut open, line) {
                (None, line) => open = line.strip_prefix("```").map(|kind| (kind, String::new())),
                (Some((kind, text)), "```") => {
                    if *kind == "yaml" && text.starts_with("# lockgate.yaml") {
                        std::fs::write(self.0.path().join("lockgate.yaml"), &*text).unwrap();
                    } else if *kind == "sh" {
                        self.run_block(text, env, &mut gateway);
                        ran += 1;
                    }
                    open = None;
                }
                (Some((_, text)), line) => {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        (page, ran)
    }

    fn run_block(&self, text: &str, env: &[(&str, &str)], gateway: &mut Option<Served>) {
        let calls = text.contains(USUAL);
        if calls && Command::new("curl").arg("--version").output().is_err() {
            lockgate_testkit::skip("no curl: a block of a page was not run");
            return;
        }
        if calls && gateway.is_none() {
            *gateway = Some(Served::start(self, env));
        }
        let mut shell = Command::new("sh");
        let program = Path::new(env!("CARGO_BIN_EXE_lockgate"));
        let usual = std::env::var("PATH").unwrap();
        shell.current_dir(self.0.path()).env_clear().envs(env.iter().copied());
        shell.env("PATH", format!("{}:{usual}", program.parent().unwrap().display()));
        shell.env("LOCKGATE_ADMIN_TOKEN", TOKEN);
        let mut text = text.to_owned();
        if let Some(gateway) = gateway {
            shell.env("LOCKGATE_KEY", &gateway.key);
            text = text.replace(USUAL, &gateway.url);
        }
        let run = finish(shell.args(["-ec", &text]));
        assert_eq!(run.code, 0, "{text}\n{}\n{}", run.out, run.err);
    }
}

/// A gateway that serves, with a key.
struct Served {
    url: String,
    key: String,
    _process: Started,
}

impl Served {
    fn start(place: &Place, env: &[(&str, &str)]) -> Self {
        let mut making = place.command(&["keys", "create", "--name", "pages", "--json"]);
        let made = finish(making.envs(env.iter().copied()));
        let made: Value = serde_json::from_str(&made.out).unwrap_or_else(|e| panic!("{e}: {}", made.err));
        let key = made["key"].as_str().unwrap().to_owned();
        let mut command = place.command(&["serve", "--json"]);
        command.envs(env.iter().copied()).env("LOCKGATE_ADMIN_TOKEN", TOKEN);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let process = Started(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        Self { url: said["url"].as_str().unwrap().to_owned(), key, _process: process }
    }
}

fn finish(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// Kills what was started, also when a test fails.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === every command ===

#[test]
fn every_command_has_help_with_an_example_and_takes_json() {
    let place = Place::new();
    for command in [
        &["serve"][..],
        &["check"],
        &["keys"],
        &["keys", "create"],
        &["keys", "list"],
        &["keys", "revoke"],
        &["keys", "rotate"],
        &["budgets"],
        &["budgets", "create"],
        &["budgets", "list"],
        &["budgets", "show"],
        &["budgets", "set"],
        &["budgets", "remove"],
        &["budgets", "raise"],
        &["budgets", "lower"],
        &["budgets", "reconcile"],
        &["budgets", "journal"],
        &["alerts"],
        &["alerts", "list"],
        &["alerts", "test"],
        &["logs"],
        &["explain"],
        &["doctor"],
        &["catalog"],
        &["catalog", "list"],
        &["catalog", "show"],
        &["catalog", "diff"],
        &["catalog", "update"],
        &["routes"],
        &["routes", "list"],
        &["routes", "show"],
        &["routes", "put"],
        &["routes", "remove"],
        &["routes", "history"],
        &["routes", "diff"],
        &["routes", "rollback"],
        &["evals"],
        &["evals", "import"],
        &["evals", "list"],
        &["evals", "show"],
        &["evals", "set"],
        &["evals", "remove"],
        &["evals", "history"],
        &["evals", "diff"],
        &["evals", "rollback"],
        &["demo-upstream"],
    ] {
        let help = place.run(&[command, &["--help"]].concat());
        assert_eq!(help.code, 0, "{command:?}");
        for part in ["Example:\n  lockgate ", "--json", "--config"] {
            assert!(help.out.contains(part), "{command:?} has no {part:?}");
        }
    }
}

#[test]
fn what_is_not_known_is_suggested_and_ends_with_two() {
    let place = Place::new();
    let wrong = place.run(&["explane", "x"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("explain"), "{}", wrong.err);
    let wrong = place.run(&["logs", "--error", "upstream_timeot"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("upstream_timeout"), "{}", wrong.err);
    assert_eq!(place.run(&["explain", "not-an-id"]).code, 2);
    assert_eq!(place.run(&["logs", "--since", "soon"]).code, 2);
}

#[test]
fn commands_that_look_make_nothing() {
    let place = Place::new();
    let id = RequestId::new(1).to_string();
    for args in [
        &["keys", "list"][..],
        &["logs"],
        &["explain", &id],
        &["keys", "revoke", "ci"],
        &["keys", "rotate", "ci"],
        &["budgets", "list"],
        &["budgets", "show", "b"],
        &["budgets", "set", "b", "--limit", "1"],
        &["budgets", "remove", "b"],
        &["budgets", "lower", "b"],
        &["budgets", "journal", &id],
    ] {
        let run = place.run(args);
        assert_eq!(run.code, 4, "{args:?}");
        assert!(run.err.contains("there is no store"), "{}", run.err);
    }
    assert_eq!(place.run(&["doctor"]).code, 0);
    assert_eq!(place.run(&["check"]).code, 0);
    assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 0);
}
