//! `lockgate catalog diff`: the list of models beside another one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lockgate_catalog::diff::{Class, Difference, Report, compare, second_source};
use lockgate_config::Config;
use serde::Serialize;

use super::shown::{place, price};
use super::{Context, broken};
use crate::catalogue::{self, word};
use crate::command::check::count;
use crate::exit::{Failure, Outcome};
use crate::paint::{Paint, Tone};
use crate::table::printable;
use crate::terminal::{say, say_json};

/// Compare the prices of the list with those of a second source.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate catalog diff\n  lockgate catalog diff --all\n  lockgate catalog diff other.jsonl --json | jq -r '.differences[] | select(.class == \"unexplained\") | .id'\n\nCompared are list prices: the built-in list, or that of `catalog.file`, without what the config says of models. The second\nsource is the one that the built-in list was checked against, or FILE in the same form. A difference is explained when the\nreason is known for exactly these two figures, open when nothing settles it (the higher price counts), else unexplained.\nWith --json one document: {\"models\", \"equal\", \"only_here\", \"only_there\", \"explained\", \"open\", \"unexplained\", \"differences\":\n[{\"provider\", \"id\", \"place\", \"counted\", \"here\", \"there\", \"class\", \"reason\"}]}.\nExit codes: 0 every difference is explained or open, 1 some are unexplained."
)]
pub(super) struct Diff {
    /// The other list, in the form of the built-in one.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// List each price that is explained, not only how many for which reason.
    #[arg(long)]
    all: bool,
}

/// A comparison for programs.
#[derive(Serialize)]
struct Document<'a> {
    /// Models that both have.
    models: usize,
    /// Prices that both have and that are equal.
    equal: usize,
    only_here: usize,
    only_there: usize,
    explained: usize,
    open: usize,
    unexplained: usize,
    differences: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    provider: &'a str,
    id: &'a str,
    /// Tier, length of the prompt, window.
    place: String,
    counted: &'static str,
    here: String,
    there: String,
    class: &'static str,
    reason: Option<&'a str>,
}

pub(super) fn run(context: &Context, config: &Config, args: &Diff) -> Outcome {
    let ours = catalogue::list(config).map_err(|wrong| broken(&wrong))?;
    let (second, reasons) = second_source().map_err(|error| Failure::new(error.to_string()))?;
    let theirs = match &args.file {
        Some(file) => catalogue::read(file).map_err(|wrong| Failure::new(wrong.join("\n")))?.0,
        None => second,
    };
    let report = compare(&ours, &theirs, &reasons);
    if context.json {
        say_json(&Document::new(&report));
    } else {
        print(&report, args.all);
    }
    match report.unexplained().count() {
        0 => Ok(()),
        n => Err(Failure::new(format!("{} without an explanation", count(n, "difference")))),
    }
}

fn print(report: &Report, all: bool) {
    let paint = Paint::detect();
    let (unexplained, open) = (report.unexplained().count(), report.open().count());
    let explained = report.differences.len() - unexplained - open;
    say(&format!(
        "{} in both lists: {} equal, {explained} explained, {open} open, {unexplained} unexplained; {} only here, {} only there.",
        count(report.models, "model"),
        count(report.equal, "price"),
        report.only_ours,
        report.only_theirs
    ));
    if unexplained > 0 {
        say(&format!("\n{}", paint.put(Tone::Bad, "Unexplained")));
        report.unexplained().for_each(|difference| say(&line(difference)));
    }
    let reasons = |wanted: fn(&Class) -> Option<&str>| -> BTreeMap<&str, Vec<&Difference>> {
        let mut groups: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
        for difference in &report.differences {
            if let Some(reason) = wanted(&difference.class) {
                groups.entry(reason).or_default().push(difference);
            }
        }
        groups
    };
    let groups = [
        ("Open: nothing settles them, the higher price counts", true, reasons(open_reason)),
        ("Explained: the price here is right", all, reasons(explained_reason)),
    ];
    for (title, each, groups) in groups {
        if groups.is_empty() {
            continue;
        }
        say(&format!("\n{}", paint.put(Tone::Strong, title)));
        for (reason, differences) in groups {
            say(&format!("  {}: {}", count(differences.len(), "price"), printable(reason)));
            if each {
                differences.into_iter().for_each(|difference| say(&format!("  {}", line(difference))));
            }
        }
    }
    if explained > 0 && !all {
        say("\nWith --all each price that is explained is listed.");
    }
}

fn line(difference: &Difference) -> String {
    format!(
        "  {}/{}  {}, {}: {} here, {} there",
        printable(&difference.provider),
        printable(&difference.id),
        place(difference.card),
        difference.bucket.name(),
        price(difference.bucket, difference.ours),
        price(difference.bucket, difference.theirs),
    )
}

fn open_reason(class: &Class) -> Option<&str> {
    if let Class::Open(reason) = class { Some(reason) } else { None }
}

fn explained_reason(class: &Class) -> Option<&str> {
    if let Class::Explained(reason) = class { Some(reason) } else { None }
}

// === impl Document ===

impl<'a> Document<'a> {
    fn new(report: &'a Report) -> Self {
        let (unexplained, open) = (report.unexplained().count(), report.open().count());
        Self {
            models: report.models,
            equal: report.equal,
            only_here: report.only_ours,
            only_there: report.only_theirs,
            explained: report.differences.len() - unexplained - open,
            open,
            unexplained,
            differences: report.differences.iter().map(Shown::new).collect(),
        }
    }
}

impl<'a> Shown<'a> {
    fn new(difference: &'a Difference) -> Self {
        let (class, reason) = match &difference.class {
            Class::Explained(reason) => ("explained", Some(reason.as_str())),
            Class::Open(reason) => ("open", Some(reason.as_str())),
            Class::Unexplained => ("unexplained", None),
        };
        Self {
            provider: &difference.provider,
            id: &difference.id,
            place: place(difference.card),
            counted: word(difference.bucket),
            here: price(difference.bucket, difference.ours),
            there: price(difference.bucket, difference.theirs),
            class,
            reason,
        }
    }
}
