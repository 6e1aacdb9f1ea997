//! Running other programs, in the ways that the tasks need.

use std::fmt;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

/// Why a task failed, as one reads it at a terminal.
#[derive(Debug)]
pub(crate) struct Failure(String);

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// A cargo command with these arguments.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("cargo");
    command.args(args);
    command
}

/// Runs it, its output going to the terminal.
pub(crate) fn status(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|e| not_started(command, &e))?;
    if status.success() { Ok(()) } else { Err(failed(command, &status.to_string())) }
}

/// Runs it and gives what it printed; its messages go to the terminal.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|e| not_started(command, &e))?;
    if !output.status.success() {
        return Err(failed(command, &output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(|_| failed(command, "its output is not UTF-8"))
}

/// Runs it, passes each line of its output and its messages on as it comes, and shows each, without colours, to
/// `on_line`. Says whether it succeeded.
pub(crate) fn watch(command: &mut Command, mut on_line: impl FnMut(&str) + Send) -> Outcome<bool> {
    if io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| not_started(command, &e))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // Both pipes are read at once: a program that waits for one while we wait for the other would hang.
    let seen = std::sync::Mutex::new(&mut on_line);
    let pass_on = |pipe: Option<Box<dyn Read + Send>>, mut to: Box<dyn Write + Send>| {
        for line in pipe.into_iter().flat_map(|p| BufReader::new(p).split(b'\n')).map_while(Result::ok) {
            // A terminal that is gone is no reason to stop counting.
            let _ = to.write_all(&[&line[..], b"\n"].concat());
            if let Ok(mut on_line) = seen.lock() {
                on_line(&without_colours(&String::from_utf8_lossy(&line)));
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(out.map(|p| Box::new(p) as _), Box::new(io::stdout())));
        pass_on(err.map(|p| Box::new(p) as _), Box::new(io::stderr()));
    });
    Ok(child.wait()?.success())
}

/// Whether a program of one of these names can be started; gives the first.
pub(crate) fn installed(names: &[&'static str]) -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    names.iter().copied().find(|name| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// The workspace as cargo sees it.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

/// One of our packages.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

pub(crate) fn metadata() -> Outcome<Metadata> {
    let text = output(&mut cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
    Ok(serde_json::from_str(&text)?)
}

/// Where cargo puts a binary of ours.
pub(crate) fn binary(metadata: &Metadata, profile_folder: &str, name: &str) -> PathBuf {
    metadata.target_directory.join(profile_folder).join(name)
}

fn not_started(command: &Command, error: &io::Error) -> Failure {
    Failure(format!("{} could not be started: {error}", command.get_program().display()))
}

fn failed(command: &Command, why: &str) -> Failure {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|w| w.to_string_lossy())
        .collect();
    Failure(format!("`{}` failed: {why}", words.join(" ")))
}

/// The line less its terminal escapes (`ESC [ ... letter`).
fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, escape)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = escape.find(|c: char| c.is_ascii_alphabetic()).map_or(escape.len(), |i| i + 1);
        rest = &escape[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(without_colours("\u{1b}[32;1m  Summary\u{1b}[0m [1s] é"), "  Summary [1s] é");
        assert_eq!(without_colours("cut \u{1b}[3"), "cut ");
    }

    #[test]
    fn both_outputs_are_watched() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        assert!(!watch(&mut command, |l| lines.push(l.to_owned())).unwrap());
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
    }

    #[test]
    fn a_failure_names_the_command() {
        let failure = status(&mut Command::new("false")).unwrap_err();
        assert!(failure.to_string().starts_with("`false` failed"), "{failure}");
        assert!(installed(&["no-such-program", "sh"]) == Some("sh"));
    }
}
