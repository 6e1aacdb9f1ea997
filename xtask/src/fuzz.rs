//! `fuzz`: the targets of fuzz/, one after the other.

use std::fs;
use std::time::Duration;

use clap::Args;

use crate::run::{self, Failure, Outcome, cargo, installed};

#[derive(Args)]
#[command(after_help = "Example: cargo xtask fuzz --minutes 10 payload")]
pub(crate) struct FuzzArgs {
    /// How long each target runs.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Only this target.
    target: Option<String>,
}

const TARGETS: &str = "fuzz/fuzz_targets";
const DICTIONARIES: &str = "fuzz/dictionaries";
/// The longest input: no branch needs more, and short ones run faster.
const LONGEST: &str = "-max_len=4096";

/// How libFuzzer names the number of executions at its end.
const EXECUTIONS: &str = "stat::number_of_executed_units:";

pub(crate) fn run(args: &FuzzArgs) -> Outcome {
    if installed(&["cargo-fuzz"]).is_none() {
        return Err(Failure::new("cargo-fuzz is not installed: cargo install --locked cargo-fuzz"));
    }
    if run::output(&mut cargo(["+nightly", "--version"])).is_err() {
        return Err(Failure::new("fuzzing needs the nightly toolchain: rustup toolchain install nightly"));
    }
    let targets = targets()?;
    let wanted: Vec<&String> =
        targets.iter().filter(|t| args.target.as_ref().is_none_or(|w| w == *t)).collect();
    if wanted.is_empty() {
        return Err(Failure::new(format!("no such target; there are: {}", targets.join(", "))));
    }
    let seconds = Duration::from_secs_f64(args.minutes.max(0.0) * 60.0).as_secs().max(1);
    let mut report = Vec::new();
    for target in wanted {
        println!("fuzz {target}: {seconds} s");
        let mut executions = None;
        let limit = format!("-max_total_time={seconds}");
        let mut command =
            cargo(["+nightly", "fuzz", "run", target, "--", &limit, LONGEST, "-print_final_stats=1"]);
        command.args(dictionary(target).map(|name| format!("-dict={DICTIONARIES}/{name}.dict")));
        let fine = run::watch(&mut command, |line| {
            executions = executed(line).or(executions);
        })?;
        let count = executions.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
        report
            .push(format!("{target}: {count} executions, {}", if fine { "no finding" } else { "A FINDING" }));
        if !fine {
            println!("{}", report.join("\n"));
            return Err(Failure::new(format!("{target} has a finding, kept under fuzz/artifacts/{target}")));
        }
    }
    println!("{}", report.join("\n"));
    Ok(())
}

/// The names of the targets: one file each.
fn targets() -> Outcome<Vec<String>> {
    let folder = fs::read_dir(TARGETS).map_err(|e| Failure::new(format!("{TARGETS}: {e}")))?;
    let mut names: Vec<String> = folder
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// The words that help a target along.
fn dictionary(target: &str) -> Option<&'static str> {
    match target {
        "config" => Some("yaml"),
        "eventstream" => None,
        "multipart" => Some("multipart"),
        "operation" | "translate_answer" | "translate_request" | "translate_stream" => Some("dialects"),
        _ => Some("json"),
    }
}

fn executed(line: &str) -> Option<u64> {
    line.trim().strip_prefix(EXECUTIONS)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_words_and_every_word_list_a_target() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let names = |folder: &str, end: &str| -> Vec<String> {
            let files = fs::read_dir(format!("{root}/{folder}")).unwrap();
            files
                .filter_map(|it| it.unwrap().file_name().to_str()?.strip_suffix(end).map(str::to_owned))
                .collect()
        };
        let lists = names(DICTIONARIES, ".dict");
        let used: Vec<_> = names(TARGETS, ".rs").iter().filter_map(|target| dictionary(target)).collect();
        assert!(used.iter().all(|name| lists.iter().any(|list| list == name)), "{used:?} of {lists:?}");
        assert!(lists.iter().all(|list| used.contains(&list.as_str())), "{used:?} of {lists:?}");
    }

    #[test]
    fn executions_are_read_from_the_final_statistics() {
        assert_eq!(executed("stat::number_of_executed_units: 123456"), Some(123_456));
        assert_eq!(executed("stat::average_exec_per_sec:     99"), None);
    }
}
