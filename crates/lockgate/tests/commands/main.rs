//! The commands as people and programs run them: the built binary, a folder of its own, no environment but what a test
//! sets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod catalog;
mod check;
mod demo_upstream;
mod doctor;
mod evals;
mod keys;
mod logs;
mod routes;

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
    ] {
        let run = place.run(args);
        assert_eq!(run.code, 4, "{args:?}");
        assert!(run.err.contains("there is no store"), "{}", run.err);
    }
    assert_eq!(place.run(&["doctor"]).code, 0);
    assert_eq!(place.run(&["check"]).code, 0);
    assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 0);
}
