//! `lockgate routes`: routes that are kept in the store beside the config file, in versions.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use lockgate_server::cabinet::Entry;
use serde_json::json;

use super::Context;
use super::kept::{Back, Drawer, Named, Versioned, Why, print};
use crate::exit::{Failure, Outcome};
use crate::kept::ROUTES;
use crate::moment;
use crate::table::{Cell, Column, Table};
use crate::terminal::{say, say_json};

/// Keep routes in the store beside the config file: every change is a version, checked before it holds.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate routes put support-bot route.json --reason 'the smaller model is good enough'\n  lockgate routes list\n  lockgate routes diff support-bot\n  lockgate routes rollback support-bot 1\n\nA route that the config file declares is changed there and nowhere else. The same is served at /api/v1/routes."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    List(List),
    Show(Show),
    Put(Put),
    Remove(Remove),
    History(History),
    Diff(Diff),
    Rollback(Rollback),
}

/// List the routes of the file and of the store.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate routes list\n  lockgate routes list --json | jq -r '.documents[] | select(.source == \"store\") | .name'\n\nWith --json one document: {\"documents\": [{\"name\", \"source\": \"file\" or \"store\", and of the store \"version\", \"at_ms\",\n\"by\", \"reason\", \"removed\", \"body\"}]}."
)]
struct List {}

/// Show a route of the store.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate routes show support-bot\n  lockgate routes show support-bot --version 1 --json | jq .body\n\nExit codes: 0 shown, 4 there is none, or no such version."
)]
struct Show {
    #[command(flatten)]
    which: Versioned,
}

/// Make the next version of a route, or a new one.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate routes put support-bot route.json\n  echo '[\"openai/gpt-5-mini\", \"groq/llama-3.3-70b\"]' | lockgate routes put support-bot -\n\nThe document is what would stand under the name in the config, as JSON: a list of targets, or {\"use\": ..., \"when\": ...}.\nIt is checked as the file is, and not kept if anything is wrong.\nExit codes: 0 kept, 1 the file declares it, 3 it has mistakes, all of which are told."
)]
struct Put {
    /// The route's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// A file with the route as JSON; `-` reads standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    why: Why,
}

/// Remove a route from the store; its versions stay.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate routes remove support-bot --reason 'replaced by support'\n\nExit codes: 0 removed, 3 another route uses it, 4 there is none."
)]
struct Remove {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    why: Why,
}

/// List the versions of a route: when, who, why.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate routes history support-bot\n  lockgate routes history support-bot --json | jq '.versions[-1]'"
)]
struct History {
    #[command(flatten)]
    named: Named,
}

/// Compare two versions of a route.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate routes diff support-bot\n  lockgate routes diff support-bot --from 1 --to 3\n\nWithout versions the newest is compared with the one before it."
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

/// Make a route say again what an earlier version says.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate routes rollback support-bot 1\n\nThat is a new version; nothing is lost.\nExit codes: 0 done, 3 the earlier version is not good any more, 4 there is none."
)]
struct Rollback {
    #[command(flatten)]
    back: Back,
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    let existing = || Drawer::existing(context, ROUTES);
    match &args.action {
        Action::List(_) => list(context),
        Action::Show(Show { which }) => existing()?.show(context, which),
        Action::Put(put) => {
            let body = text(&put.file)?;
            Drawer::made(context, ROUTES)?.put(context, &put.name, Some(body), &put.why)
        }
        Action::Remove(Remove { named, why }) => existing()?.remove(context, &named.name, why),
        Action::History(History { named }) => existing()?.history(context, &named.name),
        Action::Diff(Diff { named, from, to }) => existing()?.diff(context, &named.name, *from, *to),
        Action::Rollback(Rollback { back }) => existing()?.roll_back(context, back),
    }
}

fn list(context: &Context) -> Outcome {
    let entries = Drawer::seen(context, ROUTES)?.list()?;
    if context.json {
        let documents: Vec<_> = entries.iter().map(Entry::to_json).collect();
        say_json(&json!({ "documents": documents }));
        return Ok(());
    }
    if entries.is_empty() {
        say("There are no routes. Declare them in the config, or keep one: lockgate routes put NAME FILE");
        return Ok(());
    }
    let mut table = Table::new(&[
        Column::text("ROUTE"),
        Column::text("FROM"),
        Column::text("VERSION"),
        Column::text("SINCE (UTC)"),
        Column::text("BY"),
    ]);
    let rows: Vec<Vec<Cell>> = entries
        .iter()
        .map(|entry| match entry {
            Entry::OfFile(name) => [name, "the file", "", "", ""].map(Cell::plain).into(),
            Entry::Kept(document) => {
                let (version, since) = (document.version.to_string(), moment::to_the_minute(document.at_ms));
                [&*document.name, "the store", &version, &since, &document.by].map(Cell::plain).into()
            }
        })
        .collect();
    print(&mut table, &rows);
    Ok(())
}

/// A file's text, or that of standard input.
pub(super) fn text(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    read.map_err(|error| Failure::not_found(format!("{}: {error}", file.display())))?;
    Ok(text)
}
