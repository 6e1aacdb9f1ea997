//! `bench`: the gateway against the floors, and the table of docs/performance.md.

use std::fs;
use std::process::Command;

use clap::Args;

use crate::run::{self, Failure, Outcome, cargo};

#[derive(Args)]
#[command(after_help = "Example: cargo xtask bench --json --only small")]
pub(crate) struct BenchArgs {
    /// Print the figures as JSON and nothing else on standard output.
    #[arg(long)]
    json: bool,
    /// One short repetition, to see that all works; the page is not written.
    #[arg(long)]
    quick: bool,
    /// Only the cases whose name holds this; the page is not written.
    #[arg(long, value_name = "CASE")]
    only: Option<String>,
    /// Leave docs/performance.md as it is.
    #[arg(long)]
    no_write: bool,
}

const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

pub(crate) fn run(args: &BenchArgs) -> Outcome {
    // A part of the table, or one made in haste, must not take the place of the whole.
    let write = !(args.no_write || args.quick || args.only.is_some());
    // Minutes of measuring must not end in a page that cannot be written.
    let page = if write { Some(page()?) } else { None };
    // One package at a time: built together they would share features, and what is measured would not be what ships.
    for package in ["lockgate", "gateway-bench"] {
        run::status(&mut cargo(["build", "--release", "--package", package]))?;
    }
    let metadata = run::metadata()?;
    let table_file = metadata.target_directory.join("bench-table.md");
    let mut compare = Command::new(run::binary(&metadata, "release", "gateway-bench"));
    compare.args(["compare", "--json", "--table"]).arg(&table_file);
    compare.arg("--gateway-bin").arg(run::binary(&metadata, "release", "lockgate"));
    if args.quick {
        compare.arg("--quick");
    }
    if let Some(only) = &args.only {
        compare.args(["--only", only]);
    }
    let json = run::output(&mut compare)?;
    let table = fs::read_to_string(&table_file)?;
    if args.json {
        print!("{json}");
    } else {
        println!("{table}");
    }
    if let Some(page) = page {
        fs::write(PAGE, with_table(&page, &table)?)?;
        eprintln!("wrote the table of {PAGE}");
    }
    Ok(())
}

/// The page as it is, if the table can be put into it.
fn page() -> Outcome<String> {
    let page = fs::read_to_string(PAGE).map_err(|e| Failure::new(format!("{PAGE}: {e}")))?;
    with_table(&page, "").map(|_| page)
}

/// The page with what is between the markers replaced.
fn with_table(page: &str, table: &str) -> Outcome<String> {
    let parts = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)))
        .ok_or_else(|| Failure::new(format!("{PAGE} needs a line {BEGIN} and, behind it, a line {END}")))?;
    Ok(format!("{}{BEGIN}\n\n{}\n\n{END}{}", parts.0, table.trim(), parts.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = format!("# P\n{BEGIN}\nold\n{END}\nrest\n");
        let once = with_table(&page, "| new |\n").unwrap();
        assert_eq!(once, format!("# P\n{BEGIN}\n\n| new |\n\n{END}\nrest\n"));
        assert_eq!(with_table(&once, "| new |\n").unwrap(), once, "writing again changes nothing");
        assert!(with_table("no markers", "x").is_err());
        assert!(with_table(&format!("{END}{BEGIN}"), "x").is_err());
    }
}
