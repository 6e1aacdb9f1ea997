//! `tidy`: the rules of the house that a program can check.

mod links;
mod rules;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::generate;
use crate::run::{self, Failure, Outcome};

/// A file of the project: tracked by git, or new and not ignored.
struct File {
    /// From the project's folder, with `/`.
    path: String,
    /// `None` if it is not text.
    text: Option<String>,
}

/// What a rule found.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// Must be put right.
    Wrong(String),
    /// Should be thought about.
    Warning(String),
}

/// All rules, and that generated files are as generated.
pub(crate) fn run() -> Outcome {
    rules()?;
    generate::check()
}

/// All rules on all files.
pub(crate) fn rules() -> Outcome {
    let files = project_files()?;
    let mut findings: Vec<Finding> = files.iter().flat_map(rules::of_file).collect();
    findings.extend(files.iter().flat_map(|f| links::check(f, |path| Path::new(path).exists())));
    let map = files.iter().find(|f| f.path == rules::MAP).and_then(|f| f.text.as_deref());
    findings.extend(rules::of_map(map, &crates()?));
    let mut wrong = Vec::new();
    for finding in findings {
        match finding {
            Finding::Warning(text) => println!("tidy: warning: {text}"),
            Finding::Wrong(text) => wrong.push(text),
        }
    }
    if wrong.is_empty() {
        println!("tidy: {} files are in order", files.len());
        return Ok(());
    }
    Err(Failure::new(format!("tidy:\n  {}", wrong.join("\n  "))))
}

fn project_files() -> Outcome<Vec<File>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    let names = run::output(Command::new("git").args(list))?;
    let paths = names.split('\0').filter(|p| !p.is_empty() && Path::new(p).is_file());
    let read = |path: &str| {
        let bytes = fs::read(path)?;
        let binary = bytes.contains(&0);
        Ok(File { path: path.to_owned(), text: String::from_utf8(bytes).ok().filter(|_| !binary) })
    };
    paths.map(read).collect()
}

/// The folders of crates/.
fn crates() -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("crates")? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
