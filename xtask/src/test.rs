//! `test`: all tests, with what was skipped said aloud.
//!
//! A test that needs a program which the machine lacks writes one line, the reason, to the file named in
//! `LOCKGATE_SKIP_LOG` and passes; if `LOCKGATE_REQUIRE_ALL` is set, it fails instead.

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Args;

use crate::run::{self, Failure, Outcome, cargo, installed};

#[derive(Args)]
#[command(after_help = "Example: cargo xtask test --require-all payload")]
pub(crate) struct TestArgs {
    /// A test that cannot run here is a failure.
    #[arg(long)]
    pub(crate) require_all: bool,
    /// Only tests whose name holds this.
    pub(crate) filter: Option<String>,
}

/// A program that some tests need: what it is called, the names it may have, and what is not tested without it.
struct Need(&'static str, &'static [&'static str], &'static str);

const NEEDS: [Need; 6] = [
    Need("python3", &["python3"], "Python clients"),
    Need("node", &["node"], "JavaScript clients"),
    Need("npm", &["npm"], "JavaScript clients"),
    Need(
        "chromium",
        &["chromium", "chromium-browser", "google-chrome", "chrome"],
        "the dashboard in a browser",
    ),
    Need("psql", &["psql"], "the PostgreSQL store"),
    Need("redis", &["redis-server", "valkey-server"], "shared counters and cache"),
];

/// What the test runners said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

pub(crate) fn run(args: &TestArgs) -> Outcome {
    for Need(name, programs, what) in &NEEDS {
        if installed(programs).is_none() {
            println!("this machine lacks {name}: {what} may be skipped");
        }
    }
    let metadata = run::metadata()?;
    let log = metadata.target_directory.join("skipped-tests.log");
    fs::create_dir_all(&metadata.target_directory)?;
    fs::write(&log, "")?;
    // The tests from end to end start the binary.
    run::status(&mut cargo(["build", "--package", "lockgate"]))?;
    let gateway = run::binary(&metadata, "debug", "lockgate");

    let filter = args.filter.as_deref();
    let (mut tally, mut fine) = (Tally::default(), true);
    for mut command in commands(filter, installed(&["cargo-nextest"]).is_some()) {
        command.env("LOCKGATE_SKIP_LOG", &log).env("LOCKGATE_BIN", &gateway);
        if args.require_all {
            command.env("LOCKGATE_REQUIRE_ALL", "1");
        }
        fine &= run::watch(&mut command, |line| tally.count(line, filter.is_some()))?;
    }
    let skips = skips(&log)?;
    let verdict = judge(tally, fine, &skips, args.require_all);
    for reason in skips.chunk_by(|a, b| a == b) {
        println!("skipped: {} ({} tests)", reason[0], reason.len());
    }
    let skipped = tally.ignored + skips.len() as u64;
    println!("{} passed, {} failed, {skipped} skipped", tally.passed, tally.failed);
    verdict
}

/// The commands that run all tests: nextest if it is there (which knows no doc tests), else cargo's own runner.
fn commands(filter: Option<&str>, nextest: bool) -> [Command; 2] {
    let mut tests = if nextest {
        cargo(["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass"])
    } else {
        cargo(["test", "--workspace", "--tests", "--no-fail-fast"])
    };
    let mut doc_tests = cargo(["test", "--workspace", "--doc", "--no-fail-fast"]);
    for command in [&mut tests, &mut doc_tests] {
        command.args(filter);
    }
    [tests, doc_tests]
}

/// The reasons that tests gave for not running, sorted.
fn skips(log: &Path) -> Outcome<Vec<String>> {
    let mut lines: Vec<String> = fs::read_to_string(log)?.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

fn judge(tally: Tally, fine: bool, skips: &[String], require_all: bool) -> Outcome {
    if !fine || tally.failed > 0 {
        return Err(Failure::new("tests failed"));
    }
    if tally.passed == 0 {
        return Err(Failure::new("no test ran"));
    }
    if require_all && !skips.is_empty() {
        return Err(Failure::new("tests were skipped, which --require-all does not allow"));
    }
    Ok(())
}

impl Tally {
    /// Adds what a line says, if it is a runner's closing line. What a filter left out is not counted as skipped.
    fn count(&mut self, line: &str, filtered: bool) {
        let line = line.trim();
        let nextest = line.starts_with("Summary [");
        if !nextest && !line.starts_with("test result: ") {
            return;
        }
        self.passed += number_before(line, "passed");
        self.failed += number_before(line, "failed");
        self.ignored += number_before(line, "ignored");
        if nextest {
            self.failed += number_before(line, "exec failed") + number_before(line, "timed out");
            if !filtered {
                self.ignored += number_before(line, "skipped");
            }
        }
    }
}

/// The number right before a word, 0 if there is none: `3` of `3 passed`.
fn number_before(line: &str, word: &str) -> u64 {
    line.match_indices(word)
        .find_map(|(at, _)| line[..at].trim_end().rsplit([' ', '(']).next()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(lines: &[&str], filtered: bool) -> Tally {
        let mut tally = Tally::default();
        for line in lines {
            tally.count(line, filtered);
        }
        tally
    }

    #[test]
    fn closing_lines_of_both_runners_are_added() {
        let lines = [
            "     Summary [   2.104s] 12 tests run: 9 passed (1 slow, 1 leaky), 2 failed, 1 timed out, 4 skipped",
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.31s",
            "test a::b ... ok, 100 passed",
        ];
        assert_eq!(counted(&lines, false), Tally { passed: 14, failed: 3, ignored: 5 });
        assert_eq!(counted(&lines, true).ignored, 1, "what a filter left out was not skipped");
        let cancelled = ["     Summary [   0.5s] 1/2 tests run: 0 passed, 1 exec failed, 0 skipped"];
        assert_eq!(counted(&cancelled, false), Tally { passed: 0, failed: 1, ignored: 0 });
    }

    #[test]
    fn skips_fail_only_where_all_is_required() {
        let tally = Tally { passed: 1, ..Tally::default() };
        let skips = ["no node".to_owned()];
        assert!(judge(tally, true, &skips, false).is_ok());
        assert!(judge(tally, true, &skips, true).is_err());
        assert!(judge(tally, true, &[], true).is_ok());
    }

    #[test]
    fn a_run_without_a_test_or_with_a_failure_is_no_success() {
        assert!(judge(Tally::default(), true, &[], false).is_err());
        assert!(judge(Tally { passed: 1, failed: 1, ignored: 0 }, true, &[], false).is_err());
        assert!(judge(Tally { passed: 1, ..Tally::default() }, false, &[], false).is_err());
    }

    #[test]
    fn like_reasons_come_together() {
        let log = tempfile::NamedTempFile::new().unwrap();
        fs::write(log.path(), "no node\nno chromium\nno node\n").unwrap();
        assert_eq!(skips(log.path()).unwrap(), ["no chromium", "no node", "no node"]);
    }
}
