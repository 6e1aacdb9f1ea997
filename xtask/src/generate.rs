//! `generate`: files that are made from code and committed, so that one can read them without building.

use std::fs;
use std::path::Path;

use clap::Args;

use crate::run::{self, Failure, Outcome, cargo};

#[derive(Args)]
#[command(after_help = "Example: cargo xtask generate --check")]
pub(crate) struct GenerateArgs {
    /// Write nothing; fail if a file is not what it would be.
    #[arg(long)]
    check: bool,
}

/// A file, and the cargo command that prints what belongs into it.
struct Generator {
    file: &'static str,
    command: &'static [&'static str],
}

/// All generated files. A new one is one entry here.
const GENERATORS: [Generator; 6] = [
    Generator {
        file: "crates/catalog/data/index.txt",
        command: &["run", "--quiet", "--package", "lockgate-catalog", "--example", "index"],
    },
    Generator {
        file: "schema/config.json",
        command: &["run", "--quiet", "--package", "lockgate-config", "--example", "generate", "--", "schema"],
    },
    Generator {
        file: "docs/reference/config.md",
        command: &[
            "run",
            "--quiet",
            "--package",
            "lockgate-config",
            "--example",
            "generate",
            "--",
            "reference",
        ],
    },
    Generator {
        file: "docs/providers.md",
        command: &["run", "--quiet", "--package", "lockgate-provider", "--example", "providers"],
    },
    Generator {
        file: "docs/reference/crossings.md",
        command: &["run", "--quiet", "--package", "lockgate-dialect", "--example", "crossings"],
    },
    Generator {
        file: "docs/reference/matrix.md",
        command: &["run", "--quiet", "--package", "lockgate-provider", "--example", "matrix"],
    },
];

pub(crate) fn run(args: &GenerateArgs) -> Outcome {
    let mut drifted = Vec::new();
    for generator in &GENERATORS {
        let fresh = run::output(&mut cargo(generator.command.iter().copied()))?;
        let there = fs::read_to_string(generator.file).unwrap_or_default();
        let Some(line) = first_difference(&there, &fresh) else { continue };
        if args.check {
            drifted.push(format!("{}:{line}", generator.file));
            continue;
        }
        if let Some(folder) = Path::new(generator.file).parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(generator.file, fresh)?;
        println!("wrote {}", generator.file);
    }
    if drifted.is_empty() {
        return Ok(());
    }
    let list = drifted.join(", ");
    Err(Failure::new(format!(
        "not as generated (first line that differs): {list}; run `cargo xtask generate`"
    )))
}

/// Fails if a committed file is not what would be generated.
pub(crate) fn check() -> Outcome {
    run(&GenerateArgs { check: true })
}

/// The number of the first line in which two texts differ, from 1; `None` if they are equal.
fn first_difference(a: &str, b: &str) -> Option<usize> {
    if a == b {
        return None;
    }
    Some(1 + a.split('\n').zip(b.split('\n')).take_while(|(a, b)| a == b).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("", "a\n"), Some(1));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
    }
}
