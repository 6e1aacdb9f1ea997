//! The program under test as the system sees it.

use std::path::{Path, PathBuf};

/// The `lockgate` program: `LOCKGATE_BIN`, else the debug build beside this test.
///
/// # Panics
/// When it is not there.
pub fn binary() -> PathBuf {
    let binary =
        std::env::var_os("LOCKGATE_BIN").map_or_else(|| target().join("debug/lockgate"), PathBuf::from);
    assert!(
        binary.is_file(),
        "{} is not there: run `cargo build -p lockgate`, or set LOCKGATE_BIN",
        binary.display()
    );
    binary
}

/// A folder for what tests leave to be looked at, such as pictures; made if need be.
///
/// # Panics
/// When it cannot be made.
pub fn folder_of_results() -> PathBuf {
    let folder = target().join("e2e");
    std::fs::create_dir_all(&folder).expect("a folder for results");
    folder
}

/// Resident memory of a process in KiB; `None` where the system does not tell.
pub fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Cargo's target folder: the test's own program lies in `debug/deps` of it.
fn target() -> PathBuf {
    let this = std::env::current_exe().expect("a test knows where it is");
    this.ancestors().nth(3).map_or_else(PathBuf::new, Path::to_path_buf)
}
