//! The project's own tasks: `cargo xtask --help`.

mod bench;
mod ci;
mod deny;
mod floors;
mod fuzz;
mod generate;
mod lint;
mod run;
mod serve;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use run::Outcome;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The project's own tasks")]
#[command(after_help = "Example: cargo xtask serve")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the gateway and start it; what follows goes to `lockgate serve`.
    Serve(serve::ServeArgs),
    /// Run all tests; what this machine lacks is named, and what was skipped for it is listed.
    Test(test::TestArgs),
    /// Format all Rust code, or only say whether it is.
    Fmt(lint::FmtArgs),
    /// Run clippy on everything; a warning is a failure.
    #[command(after_help = "Example: cargo xtask lint")]
    Lint,
    /// Check that our crates import only what their floor allows.
    #[command(after_help = "Example: cargo xtask floors")]
    Floors,
    /// Check the rules of the house: lengths, names, links, paths, the map, generated files.
    #[command(after_help = "Example: cargo xtask tidy")]
    Tidy,
    /// Write the files that are generated from code, or only say whether they are as they should be.
    Generate(generate::GenerateArgs),
    /// Measure the gateway against the floors and write the table of docs/performance.md.
    Bench(bench::BenchArgs),
    /// Run the fuzz targets for a while.
    Fuzz(fuzz::FuzzArgs),
    /// Check licences, bans, sources and, if the database can be had, advisories of what we depend on.
    #[command(after_help = "Example: cargo xtask deny")]
    Deny,
    /// Run all checks, as CI does; stop at the first that fails.
    #[command(after_help = "Example: cargo xtask ci")]
    Ci,
}

fn main() -> ExitCode {
    let task = Cli::parse().task;
    let asked_from = std::env::current_dir();
    if let Err(error) = std::env::set_current_dir(root()) {
        eprintln!("xtask: the project's folder cannot be entered: {error}");
        return ExitCode::FAILURE;
    }
    let outcome: Outcome = match task {
        Task::Serve(args) => serve::run(&args, &asked_from.unwrap_or_else(|_| root())),
        Task::Test(args) => test::run(&args),
        Task::Fmt(args) => lint::fmt(&args),
        Task::Lint => lint::clippy(),
        Task::Floors => floors::run(),
        Task::Tidy => tidy::run(),
        Task::Generate(args) => generate::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Deny => deny::run(),
        Task::Ci => ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The project's folder. Cargo says at run time where this package is, also if the checkout has moved since the build.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| package.clone(), Path::to_path_buf)
}
