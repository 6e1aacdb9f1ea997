//! `lockgate catalog`: what is known of models and their prices, shown, compared, renewed.

mod change;
mod cost;
mod diff;
mod list;
mod show;
mod shown;
mod update;

use super::Context;
use crate::exit::{Failure, Outcome};
use crate::settings::Settings;

/// Show what is known of models and what they cost; compare and renew the list.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate catalog list gpt-4.1\n  lockgate catalog show openai/gpt-4.1 --usage input=1000,output=500\n  lockgate catalog diff\n  lockgate catalog update --from models.jsonl\n\nlist and show say what is in force: the built-in list or that of `catalog.file`, with the config's `models` over it.\nNothing here calls the network. With --json one document each; see the help of each."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    List(list::List),
    Show(show::Show),
    Diff(diff::Diff),
    Update(update::Update),
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    let settings = Settings::read(context.config.as_deref())?;
    match &args.action {
        Action::List(list) => list::run(context, &settings.config, list),
        Action::Show(show) => show::run(context, &settings.config, show),
        Action::Diff(diff) => diff::run(context, &settings.config, diff),
        Action::Update(update) => update::run(context, &settings.config, update),
    }
}

/// Mistakes of a list, one a line.
fn broken(wrong: &[String]) -> Failure {
    Failure::config(format!("the list of models cannot be used:\n{}", wrong.join("\n")))
}
