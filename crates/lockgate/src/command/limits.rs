//! `lockgate limits`: rate limits, made, looked at, removed.

use std::collections::BTreeMap;

use lockgate_core::Key;
use lockgate_ledger::rate::shelf::{self, Author, LimitReport};
use lockgate_ledger::rate::{Every, Limit, LimitDraft};
use serde_json::json;

use super::Context;
use crate::assemble::{SystemClock, limits};
use crate::existing;
use crate::exit::{Failure, Outcome};
use crate::installation::Installation;
use crate::paint::Paint;
use crate::settings::Settings;
use crate::table::{Cell, Column, Table, printable};
use crate::terminal::{say, say_json};

/// Limit how many requests and tokens pass in a time, and how many requests are under way at once.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate limits create everybody --count requests --amount 600 --every minute\n  lockgate limits create customers --count tokens --amount 100000 --every minute --per customer\n  lockgate limits create at-once --count concurrent --amount 20 --per key\n  lockgate limits list\n\nLimits of the config file are shown as well; they are changed there. A running gateway knows of a change within a second.\nEach gateway counts for itself: several let so many times the limit pass."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Create(Box<Create>),
    List(List),
    Show(Named),
    Remove(Remove),
}

/// Make a limit.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate limits create everybody --count requests --amount 600 --every minute --burst 50\n  lockgate limits create free --count tokens --amount 20000 --every hour --customer 'free-*' --per customer --json\n\nIt counts the requests that fit all dimensions that are named, each by one of its values; a value may end in *.\nWith --json the limit as in `lockgate limits list --json`.\nExit codes: 0 done, 1 there is one of this name, 2 it cannot be so."
)]
struct Create {
    /// What people call it; unique.
    name: String,
    /// What is counted: requests, input_tokens, output_tokens, tokens, or concurrent (requests that are under way).
    #[arg(long, value_name = "WHAT")]
    count: String,
    /// How much of it.
    #[arg(long, value_name = "NUMBER")]
    amount: u64,
    /// The time in which that comes back, evenly: second, minute, hour, day. Not for concurrent.
    #[arg(long, value_name = "TIME")]
    every: Option<String>,
    /// How much may pass at once after a pause; the amount, if it is not said.
    #[arg(long, value_name = "NUMBER")]
    burst: Option<u64>,
    /// Count every value of this dimension by itself: customer, user, key, team, ...
    #[arg(long, value_name = "DIMENSION", help_heading = "What it counts")]
    per: Option<String>,
    /// Count this key, by name or id. As often as you like; so for all dimensions.
    #[arg(long = "key", value_name = "NAME|ID", help_heading = "What it counts")]
    keys: Vec<String>,
    /// Count this organisation.
    #[arg(long = "organisation", value_name = "VALUE", help_heading = "What it counts")]
    organisations: Vec<String>,
    /// Count this team.
    #[arg(long = "team", value_name = "VALUE", help_heading = "What it counts")]
    teams: Vec<String>,
    /// Count this project.
    #[arg(long = "project", value_name = "VALUE", help_heading = "What it counts")]
    projects: Vec<String>,
    /// Count this customer.
    #[arg(long = "customer", value_name = "VALUE", help_heading = "What it counts")]
    customers: Vec<String>,
    /// Count this user.
    #[arg(long = "user", value_name = "VALUE", help_heading = "What it counts")]
    users: Vec<String>,
    /// Count this feature.
    #[arg(long = "feature", value_name = "VALUE", help_heading = "What it counts")]
    features: Vec<String>,
    /// Count what has this tag.
    #[arg(long = "tag", value_name = "VALUE", help_heading = "What it counts")]
    tags: Vec<String>,
    /// Count this route, or another name that is asked for.
    #[arg(long = "route", value_name = "VALUE", help_heading = "What it counts")]
    routes: Vec<String>,
}

/// List the limits, those of the config file and those that were made by commands or over the network.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate limits list\n  lockgate limits list --json | jq -r '.limits[] | [.name, .count, .amount, .every] | @tsv'\n\nWith --json one document: {\"limits\": [{\"name\", \"count\", \"amount\", \"every\", \"burst\", \"selector\", \"per\", \"source\", \"version\"}]},\nas GET /api/v1/limits answers; source is file or store."
)]
struct List {}

/// Show a limit.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate limits show customers\n  lockgate limits show customers --json\n\nWith --json the limit as in `lockgate limits list --json`.\nExit codes: 0 shown, 4 there is no such limit."
)]
struct Named {
    /// The limit's name.
    name: String,
}

/// Remove a limit that is not in the config file.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate limits remove customers\n  lockgate limits remove customers --json\n\nExit codes: 0 it is removed, 1 it is the config file's, 4 there is no such limit."
)]
struct Remove {
    /// The limit's name.
    name: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    match &args.action {
        Action::Create(create) => make(context, create),
        Action::List(_) => list(context),
        Action::Show(named) => show(context, named),
        Action::Remove(named) => remove(context, named),
    }
}

fn make(context: &Context, args: &Create) -> Outcome {
    let settings = Settings::read(context.config.as_deref())?;
    let draft = args.draft();
    // What is wrong without looking at anything is said before anything is made; which keys there are is seen only then.
    draft.limit_of_known(&[], 0).map_err(|mistakes| wrong(&mistakes))?;
    let store = Installation::open(&settings.config)?.store;
    let (keys, now) = (store.keys()?, wall_ms());
    let limit = draft.limit(&keys, now).map_err(|mistakes| wrong(&mistakes))?;
    let file = limits::of_config(&settings.config, &keys, now);
    let who = who();
    let report = shelf::put(&file, &*store, &limit, None, Author { by: &who, at_ms: now })?;
    if context.json {
        say_json(&report);
    } else {
        page(&report, &keys);
        say("\nA running gateway knows of it within a second.");
    }
    Ok(())
}

fn list(context: &Context) -> Outcome {
    let (store, keys, file) = looked_at(context)?;
    let reports = shelf::list(&file, &*store)?;
    if context.json {
        say_json(&json!({ "limits": reports }));
    } else if reports.is_empty() {
        say(
            "There are no limits. Make one: lockgate limits create NAME --count requests --amount 600 --every minute",
        );
    } else {
        table(&reports, &keys);
    }
    Ok(())
}

fn show(context: &Context, args: &Named) -> Outcome {
    let (store, keys, file) = looked_at(context)?;
    let report = shelf::one(&file, &*store, &args.name)?;
    if context.json {
        say_json(&report);
    } else {
        page(&report, &keys);
    }
    Ok(())
}

fn remove(context: &Context, args: &Remove) -> Outcome {
    let (store, _, file) = looked_at(context)?;
    let who = who();
    shelf::remove(&file, &*store, &args.name, Author { by: &who, at_ms: wall_ms() })?;
    if context.json {
        say_json(&json!({ "name": args.name, "removed": true }));
    } else {
        say(&format!(
            "The limit \"{}\" is removed. A running gateway knows of it within a second.",
            printable(&args.name)
        ));
    }
    Ok(())
}

/// A store, its keys, and the limits of the config file.
type Found = (std::sync::Arc<dyn lockgate_store::Backend>, Vec<Key>, Vec<Limit>);

/// What there is of an installation that exists.
fn looked_at(context: &Context) -> Result<Found, Failure> {
    let settings = Settings::read(context.config.as_deref())?;
    let store = existing::store(context)?;
    let keys = store.keys()?;
    let file = limits::of_config(&settings.config, &keys, wall_ms());
    Ok((store, keys, file))
}

// === arguments ===

impl Create {
    fn draft(&self) -> LimitDraft {
        let dimensions = [
            ("key", &self.keys),
            ("organisation", &self.organisations),
            ("team", &self.teams),
            ("project", &self.projects),
            ("customer", &self.customers),
            ("user", &self.users),
            ("feature", &self.features),
            ("tag", &self.tags),
            ("route", &self.routes),
        ];
        let said = dimensions.into_iter().filter(|(_, values)| !values.is_empty());
        let selector: BTreeMap<_, _> =
            said.map(|(dimension, values)| (dimension.to_owned(), values.clone())).collect();
        LimitDraft {
            name: Some(self.name.clone()),
            count: Some(self.count.clone()),
            amount: Some(self.amount),
            every: self.every.clone(),
            burst: self.burst,
            selector,
            per: self.per.clone(),
        }
    }
}

/// Everything that is wrong, one a line.
fn wrong(mistakes: &[lockgate_ledger::budget::Mistake]) -> Failure {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    Failure::arguments(lines.join("\n          "))
}

fn who() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "command line".to_owned())
}

fn wall_ms() -> u64 {
    use lockgate_core::Clock as _;
    SystemClock::start().wall_ms()
}

// === what is shown ===

/// A limit for people.
fn page(report: &LimitReport, keys: &[Key]) {
    let says = &report.says;
    let fact = |name: &str, value: &str| say(&format!("  {name:<10}{value}"));
    say(&printable(says.name.as_deref().unwrap_or_default()));
    let each = says.per.as_ref().map_or_else(String::new, |per| format!(", each {per} by itself"));
    fact("lets pass", &format!("{}{each}", rate(says)));
    if let Some(burst) = says.burst {
        fact("burst", &burst.to_string());
    }
    fact("counts", &counts(says, keys));
    fact("kept in", if report.source == "file" { "the config file" } else { "the store" });
}

/// Limits for people, one a line.
fn table(reports: &[LimitReport], keys: &[Key]) {
    let paint = Paint::detect();
    let mut table = Table::new(&[
        Column::text("NAME"),
        Column::text("LETS PASS"),
        Column::text("PER"),
        Column::text("COUNTS"),
        Column::text("KEPT IN"),
    ]);
    let rows: Vec<[Cell; 5]> = reports
        .iter()
        .map(|report| {
            let says = &report.says;
            [
                Cell::plain(says.name.as_deref().unwrap_or_default()),
                Cell::plain(&rate(says)),
                Cell::plain(says.per.as_deref().unwrap_or("-")),
                Cell::plain(&counts(says, keys)),
                Cell::plain(report.source),
            ]
        })
        .collect();
    rows.iter().for_each(|row| table.fit(row));
    say(&table.titles(paint));
    rows.iter().for_each(|row| say(&table.line(row, paint)));
}

fn rate(says: &LimitDraft) -> String {
    let amount = says.amount.unwrap_or_default();
    let count = says.count.as_deref().unwrap_or_default().replace('_', " ");
    match says.every.as_deref().and_then(|every| Every::read(every).ok()) {
        Some(every) => format!("{amount} {count} {}", every.said()),
        None => format!("{amount} requests at once"),
    }
}

/// What a limit counts, keys by their names.
fn counts(says: &LimitDraft, keys: &[Key]) -> String {
    let parts: Vec<String> = says
        .selector
        .iter()
        .map(|(dimension, values)| {
            let name = |value: &String| {
                let key = keys.iter().find(|key| dimension == "key" && *key.id == **value);
                printable(key.map_or(value, |key| &key.name))
            };
            format!("{dimension} {}", values.iter().map(name).collect::<Vec<_>>().join(", "))
        })
        .collect();
    if parts.is_empty() { "everything".to_owned() } else { parts.join("; ") }
}
