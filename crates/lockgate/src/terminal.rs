//! What a command says on standard output.

use std::io::{self, Write as _};

/// Writes a line. A reader that has gone away, as `head` does, ends the talk without a complaint.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n"));
}

/// Writes a value as one line of JSON.
pub(crate) fn say_json(value: &impl serde::Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        say(&text);
    }
}
