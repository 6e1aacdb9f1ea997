//! The first minute: the program started with nothing, and the line that it prints pasted into a shell.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use lockgate_e2e::{PATIENCE, binary};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// From the start of the process to the answer of the pasted line.
const LIMIT: Duration = Duration::from_secs(1);

/// The program as somebody starts it who has nothing but the program.
struct Bare {
    folder: TempDir,
    child: Child,
    started: Instant,
}

impl Bare {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| std::fs::File::create(folder.path().join(name)).expect("a file");
        let (out, err) = (file("out"), file("err"));
        let home = folder.path().join("home");
        std::fs::create_dir(&home).expect("a folder");
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0"]).current_dir(home).env_clear().kill_on_drop(true);
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("it starts");
        Self { folder, child, started }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("out")).unwrap_or_default()
    }

    /// The line to paste, as soon as it is there.
    async fn curl(&self) -> String {
        loop {
            let said = self.said();
            if let Some(at) = said.find("\ncurl ")
                && let Some((line, _)) = said[at + 1..].split_once("\n\n")
            {
                return line.to_owned();
            }
            assert!(self.started.elapsed() < PATIENCE, "no line to paste:\n{said}");
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Runs what is pasted, and has the answer on standard output.
async fn paste(line: &str, folder: &Path) -> Output {
    Command::new("sh").args(["-c", line]).current_dir(folder).output().await.expect("a shell")
}

#[tokio::test]
async fn the_line_that_it_prints_is_answered_within_a_second_of_the_start() {
    if lockgate_e2e::program(&["curl"]).is_none() {
        lockgate_testkit::skip("no curl: the line that the start prints was not run");
        return;
    }
    // A busy machine may be slow once or twice; the promise is of one that is not.
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let mut bare = Bare::start();
        let line = bare.curl().await;
        let printed = bare.started.elapsed();
        let output = paste(&line, bare.folder.path()).await;
        let took = bare.started.elapsed();
        println!("printed after {printed:?}, answered after {took:?}");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{line}\n{output:?}");

        let said = bare.said();
        for what in ["http://127.0.0.1:", "start page", "admin token  ", "key          lg-"] {
            assert!(said.contains(what), "{what:?} is not in\n{said}");
        }
        let home = bare.folder.path().join("home");
        let made: Vec<_> = std::fs::read_dir(&home).expect("its folder").filter_map(Result::ok).collect();
        assert!(made.iter().all(|entry| entry.file_name() == ".lockgate"), "it leaves one folder: {made:?}");
        assert!(bare.child.try_wait().is_ok_and(|ended| ended.is_none()), "it serves on");
        fastest = fastest.min(took);
        if fastest < LIMIT {
            return;
        }
    }
    panic!("the answer took {fastest:?}, limit {LIMIT:?}");
}
