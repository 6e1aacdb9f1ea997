//! What is shown of budgets.

use lockgate_core::Key;
use lockgate_ledger::report::{self, AccountReport, BudgetReport, Moment};
use serde_json::json;

use super::Ledger;
use crate::command::Context;
use crate::exit::Outcome;
use crate::moment;
use crate::paint::{Paint, Tone};
use crate::table::{Cell, Column, Table, printable};
use crate::terminal::{say, say_json};

/// Show a budget: its accounts, what is spent and left, what is uncertain, when it resets, when its limit will be hit.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate budgets show customers\n  lockgate budgets show customers --value acme\n  lockgate budgets show customers --json | jq -r '.accounts[] | [.value, .spent, .left] | @tsv'\n\nWith --json one document: {\"budget\", \"accounts\": [{\"value\", \"begins_at\", \"resets_at\", \"limit\", \"spent\", \"left\", \"settled\",\n\"uncertain\", \"leased\", \"percent\", \"hits_limit_at\", \"nodes\"}]}, the budget as in `lockgate budgets list --json`.\nExit codes: 0 shown, 4 there is no such budget."
)]
pub(super) struct Show {
    /// The budget's name or id.
    #[arg(value_name = "NAME|ID")]
    budget: String,
    /// The account of this value alone.
    #[arg(long)]
    value: Option<String>,
    /// Only accounts behind this value, in the order of values.
    #[arg(long, value_name = "VALUE")]
    after: Option<String>,
    /// At most so many accounts.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

pub(super) fn run(context: &Context, args: &Show) -> Outcome {
    let ledger = Ledger::open(context)?;
    let budget = ledger.find(&args.budget)?;
    let (store, now) = (&*ledger.store, ledger.now_ms);
    let report = report::budget(store, &ledger.budgets, budget, now)?;
    let which = (args.after.as_deref(), args.value.as_deref());
    let accounts = report::accounts(store, &ledger.budgets, budget, which, args.limit, now)?;
    if context.json {
        say_json(&json!({ "budget": report, "accounts": accounts }));
        return Ok(());
    }
    page(&report, &ledger.keys);
    if !accounts.is_empty() {
        say("");
        list(&accounts);
    }
    let shown = u64::try_from(accounts.len()).unwrap_or(u64::MAX);
    if args.value.is_none() && args.after.is_none() && report.open_accounts > shown {
        say(&format!("\n{} more; --after and --limit show them.", report.open_accounts - shown));
    }
    for account in &accounts {
        for node in &account.nodes {
            let what = if node.uncertain { "left uncertain by" } else { "leased to" };
            let whose = if account.value.is_empty() {
                String::new()
            } else {
                format!("{}: ", printable(&account.value))
            };
            say(&format!("\n  {whose}{} {what} node {} ({})", node.amount, node.node, printable(&node.name)));
        }
    }
    Ok(())
}

/// A budget for people.
pub(super) fn page(report: &BudgetReport, keys: &[Key]) {
    let says = &report.says;
    let text = |text: &Option<String>| text.as_deref().map_or_else(String::new, printable);
    let fact = |name: &str, value: &str| say(&format!("  {name:<10}{value}"));
    say(&format!("{} ({})", text(&says.name), report.id));
    let each = says.per.as_ref().map_or_else(String::new, |per| format!(" for each {per}"));
    let now = if Some(report.limit_now.to_string()) == says.limit {
        String::new()
    } else {
        format!(", {} now", report.limit_now)
    };
    fact("limit", &format!("{} dollars{each}{now}", text(&says.limit)));
    fact("window", &window(report));
    fact("counts", &counts(report, keys));
    fact("at limit", &format!("{}, {}", text(&says.at_limit), text(&says.mode)));
    if let Some(soft) = &says.soft {
        fact("soft", &format!("{soft} dollars"));
    }
    if !says.thresholds.is_empty() {
        let list: Vec<String> = says.thresholds.iter().map(|percent| format!("{percent} %")).collect();
        fact("alerts", &list.join(", "));
    }
    fact("spent", &format!("{} dollars", report.spent));
    if report.uncertain != report::Dollars::default() {
        fact(
            "uncertain",
            &format!("{} dollars of it; lockgate budgets reconcile resolves that", report.uncertain),
        );
    }
    if report.leased != report::Dollars::default() {
        fact("leased", &format!("{} dollars beside it", report.leased));
    }
    for increase in &report.increases {
        let state = if increase.in_force { "until" } else { "not yet, until" };
        fact(
            "raised",
            &format!(
                "by {} {state} {} UTC by {}: {} ({})",
                increase.amount,
                moment::to_the_minute(increase.until_at.0),
                printable(&increase.by),
                printable(&increase.reason),
                increase.id
            ),
        );
    }
}

/// Budgets for people, one a line.
pub(super) fn table(reports: &[BudgetReport], keys: &[Key]) {
    let paint = Paint::detect();
    let mut table = Table::new(&[
        Column::text("NAME"),
        Column::number("LIMIT"),
        Column::number("SPENT"),
        Column::number("USED"),
        Column::text("WINDOW"),
        Column::text("RESETS (UTC)"),
        Column::text("AT LIMIT"),
        Column::text("COUNTS"),
    ]);
    let rows: Vec<[Cell; 8]> = reports
        .iter()
        .map(|report| {
            let says = &report.says;
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let percent = report.fullest.as_ref().map_or(0, |account| account.percent);
            [
                Cell::plain(&text(&says.name)),
                Cell::plain(&report.limit_now.to_string()),
                Cell::plain(&report.spent.to_string()),
                Cell::new(tone(percent), &format!("{percent} %")),
                Cell::plain(&text(&says.window)),
                Cell::plain(&report.resets_at.map_or_else(|| "-".to_owned(), minute)),
                Cell::plain(&text(&says.at_limit)),
                Cell::plain(&counts(report, keys)),
            ]
        })
        .collect();
    rows.iter().for_each(|row| table.fit(row));
    say(&table.titles(paint));
    rows.iter().for_each(|row| say(&table.line(row, paint)));
}

fn list(accounts: &[AccountReport]) {
    let paint = Paint::detect();
    let mut table = Table::new(&[
        Column::text("ACCOUNT"),
        Column::number("SPENT"),
        Column::number("LEFT"),
        Column::number("UNCERTAIN"),
        Column::number("LEASED"),
        Column::number("USED"),
        Column::text("LIMIT HIT (UTC)"),
    ]);
    let rows: Vec<[Cell; 7]> = accounts
        .iter()
        .map(|account| {
            let name = if account.value.is_empty() { "-" } else { &*account.value };
            [
                Cell::plain(name),
                Cell::plain(&account.spent.to_string()),
                Cell::plain(&account.left.to_string()),
                Cell::plain(&account.uncertain.to_string()),
                Cell::plain(&account.leased.to_string()),
                Cell::new(tone(account.percent), &format!("{} %", account.percent)),
                Cell::plain(&account.hits_limit_at.map_or_else(|| "-".to_owned(), minute)),
            ]
        })
        .collect();
    rows.iter().for_each(|row| table.fit(row));
    say(&table.titles(paint));
    rows.iter().for_each(|row| say(&table.line(row, paint)));
}

fn window(report: &BudgetReport) -> String {
    let says = &report.says;
    let zone = says.zone.as_ref().map_or_else(String::new, |zone| format!(" in {zone}"));
    let anchor = says.anchor.as_ref().map_or_else(String::new, |anchor| format!(" from {anchor}"));
    let resets = report.resets_at.map_or_else(String::new, |at| format!(", anew at {} UTC", minute(at)));
    format!("{}{anchor}{zone}{resets}", says.window.as_deref().unwrap_or_default())
}

/// What a budget counts, keys by their names.
fn counts(report: &BudgetReport, keys: &[Key]) -> String {
    let says = &report.says;
    let mut parts: Vec<String> = Vec::new();
    for (dimension, values) in &says.selector {
        let name = |value: &String| {
            let key = keys.iter().find(|key| dimension == "key" && *key.id == **value);
            printable(key.map_or(value, |key| &key.name))
        };
        parts.push(format!("{dimension} {}", values.iter().map(name).collect::<Vec<_>>().join(", ")));
    }
    let mut text = if parts.is_empty() { "everything".to_owned() } else { parts.join("; ") };
    if let Some(per) = &says.per {
        text.push_str(&format!(", each {per} by itself"));
    }
    text
}

fn tone(percent: u64) -> Tone {
    match percent {
        0..80 => Tone::Plain,
        80..100 => Tone::Doubtful,
        _ => Tone::Bad,
    }
}

fn minute(at: Moment) -> String {
    moment::to_the_minute(at.0)
}
