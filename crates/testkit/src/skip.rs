//! Tests that cannot run here say so.

use std::fs::OpenOptions;
use std::io::Write;

/// Says that a test cannot run on this machine, and why: on standard error, and as a line of the file that
/// `LOCKGATE_SKIP_LOG` names, from where `cargo xtask test` lists it. The test returns after it.
///
/// # Panics
/// When `LOCKGATE_REQUIRE_ALL` is set: then nothing may be skipped. Also when the log cannot be written, as a skip that
/// nobody hears of is worse than a failure.
#[expect(clippy::print_stderr, reason = "whoever runs the tests must see it")]
pub fn skip(reason: &str) {
    assert!(std::env::var_os("LOCKGATE_REQUIRE_ALL").is_none(), "may not be skipped: {reason}");
    eprintln!("skipped: {reason}");
    let Some(path) = std::env::var_os("LOCKGATE_SKIP_LOG") else { return };
    let line = format!("{}\n", reason.replace('\n', " "));
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut log| log.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!("the log of skipped tests cannot be written: {error}");
    }
}
