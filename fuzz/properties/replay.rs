//! The committed inputs of a target, checked in the normal test run.

use std::path::Path;
use std::{fs, panic};

/// Checks every file of `fuzz/corpus/<target>`, and names all those that fail.
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let (mut read, mut failed) = (0, Vec::new());
    for entry in entries {
        let path = entry.unwrap_or_else(|e| panic!("{}: {e}", folder.display())).path();
        let data = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        read += 1;
        if panic::catch_unwind(|| check(&data)).is_err() {
            failed.push(path);
        }
    }
    assert!(read > 0, "{} is empty", folder.display());
    assert!(failed.is_empty(), "{} of {read} inputs fail: {failed:#?}", failed.len());
}
