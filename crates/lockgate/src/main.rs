//! The `lockgate` command: parses arguments, wires the parts, runs.

mod assemble;
mod cabinet;
mod catalogue;
mod command;
mod existing;
mod exit;
mod installation;
mod kept;
mod moment;
mod nearest;
mod notices;
mod paint;
mod reload;
mod settings;
mod table;
mod terminal;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted LLM gateway: one endpoint, one key, every model.
#[derive(Parser)]
#[command(name = "lockgate", version, after_help = exit::HELP)]
struct Cli {
    /// The config file. Without it: lockgate.yaml here, if there is one.
    #[arg(long, short, global = true, env = "LOCKGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(command::serve::Args),
    Check(command::check::Args),
    Keys(command::keys::Args),
    Budgets(command::budgets::Args),
    Limits(command::limits::Args),
    Alerts(command::alerts::Args),
    Logs(command::logs::Args),
    Explain(command::explain::Args),
    Doctor(command::doctor::Args),
    Catalog(command::catalog::Args),
    Routes(command::routes::Args),
    Evals(command::evals::Args),
    DemoUpstream(command::demo_upstream::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = command::Context { config: cli.config, json: cli.json };
    let result = match cli.command {
        Command::Serve(args) => command::serve::run(&context, &args),
        Command::Check(args) => command::check::run(&context, &args),
        Command::Keys(args) => command::keys::run(&context, &args),
        Command::Budgets(args) => command::budgets::run(&context, &args),
        Command::Limits(args) => command::limits::run(&context, &args),
        Command::Alerts(args) => command::alerts::run(&context, &args),
        Command::Logs(args) => command::logs::run(&context, &args),
        Command::Explain(args) => command::explain::run(&context, &args),
        Command::Doctor(args) => command::doctor::run(&context, &args),
        Command::Catalog(args) => command::catalog::run(&context, &args),
        Command::Routes(args) => command::routes::run(&context, &args),
        Command::Evals(args) => command::evals::run(&context, &args),
        Command::DemoUpstream(args) => command::demo_upstream::run(&context, args),
    };
    result.map_or_else(|failure| failure.report(context.json), |()| ExitCode::SUCCESS)
}
