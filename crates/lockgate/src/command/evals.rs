//! `lockgate evals`: scores of evaluations of one's own, kept in the store, in versions.

use std::path::{Path, PathBuf};

use lockgate_catalog::benchmark::{Cell as Score, Mistake, Row, family, from_csv, from_json, to_json};
use lockgate_server::cabinet::Entry;
use serde_json::json;

use super::Context;
use super::kept::{Back, Drawer, Named, Versioned, Why, print};
use super::routes::text;
use crate::exit::{Failure, Outcome};
use crate::kept::{SCORES, rows};
use crate::moment;
use crate::table::{Cell, Column, Table};
use crate::terminal::{say, say_json};

/// Bring scores of your own evaluations: routes with the strategy `score` weigh them.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate evals import my-evals.csv\n  lockgate evals set openai/gpt-5-mini my-evals 71.5 --samples 40\n  lockgate evals list\n  lockgate evals rollback my-evals 1\n\nThey go before the built-in table. A benchmark in the file of catalog.scores belongs to that file.\nThe same is served at /api/v1/scores."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Import(Import),
    List(List),
    Show(Show),
    Set(Set),
    Remove(Remove),
    History(History),
    Diff(Diff),
    Rollback(Rollback),
}

/// Keep a table of scores, in place of what was kept under its name.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate evals import my-evals.csv --reason 'run of November'\n  lockgate evals import results.json --name support\n\nA CSV begins with a line of columns: benchmark, model, value, and as wanted unit (percent, share, elo, errors), class,\nsamples, setting, date, source, licence. Without a column benchmark all rows are of the benchmark that NAME is.\nJSON is a list of objects with the same members. A model is PROVIDER/MODEL, or a model's name wherever it is served.\nExit codes: 0 kept, 1 another table has one of the scores, 3 it has mistakes, all of which are told."
)]
struct Import {
    /// The table: FILE.csv or FILE.json; `-` reads standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its name; without it that of the file.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    why: Why,
}

/// List the tables and their benchmarks.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate evals list\n  lockgate evals list --json | jq -r '.documents[].name'\n\nWith --json one document: {\"documents\": [{\"name\", \"source\": \"file\" or \"store\", and of the store \"version\", \"at_ms\",\n\"by\", \"reason\", \"removed\", \"body\"}]}; what is of the file is a benchmark, not a table."
)]
struct List {}

/// Show the scores of a table.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate evals show my-evals\n  lockgate evals show my-evals --version 1 --json | jq '.body[].model'\n\nExit codes: 0 shown, 4 there is none, or no such version."
)]
struct Show {
    #[command(flatten)]
    which: Versioned,
}

/// Set one score, and leave the others of its table as they are.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate evals set openai/gpt-5-mini my-evals 71.5 --samples 40\n  lockgate evals set llama-3.3-70b my-evals 63 --reason 'measured by hand'\n\nThe table is the one that has the name of the benchmark, unless --name says another.\nExit codes: 0 kept, 1 another table has that score, 3 it is no score."
)]
struct Set {
    /// PROVIDER/MODEL, or a model's name wherever it is served.
    #[arg(value_name = "MODEL")]
    model: String,
    /// The benchmark.
    #[arg(value_name = "BENCHMARK")]
    benchmark: String,
    /// The score in the benchmark's unit; percent where nothing is said.
    #[arg(value_name = "SCORE", allow_negative_numbers = true)]
    score: f64,
    /// The number of trials it rests on: few are drawn towards the median.
    #[arg(long, value_name = "N")]
    samples: Option<u32>,
    /// The table.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    why: Why,
}

/// Remove a table; its versions stay.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate evals remove my-evals --reason 'the questions leaked'\n\nExit codes: 0 removed, 4 there is none."
)]
struct Remove {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    why: Why,
}

/// List the versions of a table: when, who, why.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate evals history my-evals\n  lockgate evals history my-evals --json | jq '.versions[-1].by'"
)]
struct History {
    #[command(flatten)]
    named: Named,
}

/// Compare two versions of a table.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate evals diff my-evals\n  lockgate evals diff my-evals --from 1 --to 3\n\nWithout versions the newest is compared with the one before it."
)]
struct Diff {
    #[command(flatten)]
    named: Named,
    /// The earlier version.
    #[arg(long, value_name = "N")]
    from: Option<u64>,
    /// The later version.
    #[arg(long, value_name = "N")]
    to: Option<u64>,
}

/// Make a table say again what an earlier version says.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate evals rollback my-evals 1\n\nThat is a new version; nothing is lost.\nExit codes: 0 done, 4 there is none."
)]
struct Rollback {
    #[command(flatten)]
    back: Back,
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    let existing = || Drawer::existing(context, SCORES);
    match &args.action {
        Action::Import(import) => run_import(context, import),
        Action::List(_) => run_list(context),
        Action::Show(Show { which }) => existing()?.show(context, which),
        Action::Set(set) => run_set(context, set),
        Action::Remove(Remove { named, why }) => existing()?.remove(context, &named.name, why),
        Action::History(History { named }) => existing()?.history(context, &named.name),
        Action::Diff(Diff { named, from, to }) => existing()?.diff(context, &named.name, *from, *to),
        Action::Rollback(Rollback { back }) => existing()?.roll_back(context, back),
    }
}

fn run_import(context: &Context, args: &Import) -> Outcome {
    let text = text(&args.file)?;
    let stem = args.file.file_stem().and_then(|stem| stem.to_str()).filter(|stem| *stem != "-");
    let name = args
        .name
        .as_deref()
        .or(stem)
        .ok_or_else(|| Failure::new("what comes from standard input needs a name: --name NAME"))?;
    let read = if text.trim_start().starts_with(['[', '{']) {
        from_json(&text)
    } else {
        from_csv(&with_benchmark(&text, name))
    };
    let rows = read.map_err(|mistakes| wrong(&args.file, &mistakes))?;
    Drawer::made(context, SCORES)?.put(context, name, Some(to_json(&rows)), &args.why)
}

/// A table of one benchmark need not say which.
fn with_benchmark(text: &str, name: &str) -> String {
    let is_note = |line: &&str| line.starts_with('#') || line.trim().is_empty();
    let head = text.lines().find(|line| !is_note(line)).unwrap_or_default();
    if head.split(',').any(|column| column.trim().trim_matches('"') == "benchmark") {
        return text.to_owned();
    }
    let mut seen_head = false;
    let mut lines = text.lines().map(|line| {
        if is_note(&line) {
            return line.to_owned();
        }
        let first = if std::mem::replace(&mut seen_head, true) { name } else { "benchmark" };
        format!("{first},{line}")
    });
    lines.by_ref().collect::<Vec<_>>().join("\n")
}

fn wrong(file: &Path, mistakes: &[Mistake]) -> Failure {
    let line = |mistake: &Mistake| format!("{}:{}: {}", file.display(), mistake.line, mistake.what);
    Failure::config(mistakes.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn run_set(context: &Context, args: &Set) -> Outcome {
    let drawer = Drawer::made(context, SCORES)?;
    let name = args.name.as_deref().unwrap_or(&args.benchmark);
    let mut kept = drawer.newest(name)?.as_ref().map(rows).unwrap_or_default();
    let own = |model: &str| if model.contains('/') { model.to_owned() } else { family(model) };
    let is_same = |row: &Row| *row.benchmark == *args.benchmark && own(&row.model) == own(&args.model);
    // What the benchmark is, its other rows say.
    let like = kept.iter().find(|row| *row.benchmark == *args.benchmark).cloned();
    kept.retain(|row| !is_same(row));
    kept.push(Row {
        benchmark: args.benchmark.as_str().into(),
        model: args.model.as_str().into(),
        class: like.as_ref().and_then(|row| row.class),
        unit: like.and_then(|row| row.unit),
        cell: Score {
            value: args.score,
            samples: args.samples,
            setting: None,
            day: None,
            source: "own".into(),
            licence: "own".into(),
        },
    });
    drawer.put(context, name, Some(to_json(&kept)), &args.why)
}

fn run_list(context: &Context) -> Outcome {
    let entries = Drawer::seen(context, SCORES)?.list()?;
    if context.json {
        let documents: Vec<_> = entries.iter().map(Entry::to_json).collect();
        say_json(&json!({ "documents": documents }));
        return Ok(());
    }
    if entries.is_empty() {
        say("There are no scores of your own. Bring some: lockgate evals import FILE.csv");
        return Ok(());
    }
    let mut table = Table::new(&[
        Column::text("TABLE"),
        Column::text("BENCHMARKS"),
        Column::number("SCORES"),
        Column::text("VERSION"),
        Column::text("SINCE (UTC)"),
        Column::text("BY"),
    ]);
    let lines: Vec<Vec<Cell>> = entries
        .iter()
        .map(|entry| match entry {
            Entry::OfFile(name) => ["the file", name, "", "", "", ""].map(Cell::plain).into(),
            Entry::Kept(document) => {
                let rows = rows(document);
                let mut benchmarks: Vec<&str> = rows.iter().map(|row| &*row.benchmark).collect();
                benchmarks.sort_unstable();
                benchmarks.dedup();
                let (version, since) = (document.version.to_string(), moment::to_the_minute(document.at_ms));
                let (benchmarks, count) = (benchmarks.join(", "), rows.len().to_string());
                [&*document.name, &benchmarks, &count, &version, &since, &document.by].map(Cell::plain).into()
            }
        })
        .collect();
    print(&mut table, &lines);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_one_benchmark_is_named_as_it_is() {
        let rows = from_csv(&with_benchmark("# mine\nmodel,value\na,1\n\nb,2\n", "own")).unwrap();
        assert!(rows.iter().all(|row| &*row.benchmark == "own"));
        assert_eq!(from_json(&to_json(&rows)).unwrap(), rows);
        let text = "model,benchmark,value\na,x,1\n";
        assert_eq!(with_benchmark(text, "own"), text);
    }
}
