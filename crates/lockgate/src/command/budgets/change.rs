//! Limits that are raised for a while, and what was spent set right and looked up.

use lockgate_core::RequestId;
use lockgate_ledger::draft::IncreaseDraft;
use lockgate_ledger::report::uncertain::{self, Node, ReconcileDraft};
use lockgate_ledger::report::{self, IncreaseReport, Moment as At};
use serde_json::json;

use super::make::wrong;
use super::{Ledger, who};
use crate::command::Context;
use crate::exit::{Failure, Outcome};
use crate::moment::{self, Moment};
use crate::paint::Paint;
use crate::table::{Cell, Column, Table, printable};
use crate::terminal::{say, say_json};

/// Raise a budget's limit for a while. Who did it, until when and why is kept.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate budgets raise customers --by 20 --until 2027-01-01 --reason 'launch week'\n  lockgate budgets raise checkout --by 5 --until 6h --reason backlog --json\n\nFor good: lockgate budgets set NAME --limit. With --json the increase: {\"id\", \"amount\", \"from_at\", \"until_at\", \"reason\",\n\"by\", \"in_force\"}.\nExit codes: 0 done, 2 it cannot be so, 4 there is no such budget."
)]
pub(super) struct Raise {
    /// The budget's name or id.
    #[arg(value_name = "NAME|ID")]
    budget: String,
    /// By how much, in dollars. With --per each account may spend so much more.
    #[arg(long, value_name = "DOLLARS")]
    by: String,
    /// Until when: a span from now (6h, 7d) or a time in UTC (2027-01-31 is the beginning of that day).
    #[arg(long, value_name = "WHEN", value_parser = Moment::read)]
    until: Moment,
    /// From when on; without it from now on.
    #[arg(long, value_name = "WHEN", value_parser = Moment::read)]
    from: Option<Moment>,
    /// Why.
    #[arg(long)]
    reason: String,
}

/// End increases of a budget's limit before their time.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate budgets lower customers\n  lockgate budgets lower customers --increase inc_0123456789ab --json\n\nFor good: lockgate budgets set NAME --limit. With --json {\"ended\": [ID, ...]}.\nExit codes: 0 done, 4 there is no such budget or increase."
)]
pub(super) struct Lower {
    /// The budget's name or id.
    #[arg(value_name = "NAME|ID")]
    budget: String,
    /// Only this increase; without it all that are not over.
    #[arg(long, value_name = "ID")]
    increase: Option<String>,
}

/// Resolve what a node left uncertain when it died: how much of it was spent after all. The rest is free again.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate budgets show customers\n  lockgate budgets reconcile customers --node 3 --value acme --spent 0.12 --reason \"the provider's bill\"\n\nWhat a node had leased when it was killed stays charged until it is known what became of it. It is kept in the journal with\nits reason. With --json {\"budget\", \"value\", \"begins_at\", \"node\", \"uncertain\", \"spent\", \"request\"}.\nExit codes: 0 done, 4 there is no such budget, or nothing uncertain."
)]
pub(super) struct Reconcile {
    /// The budget's name or id.
    #[arg(value_name = "NAME|ID")]
    budget: String,
    /// The node, by the number or the name that `lockgate budgets show` has.
    #[arg(long)]
    node: String,
    /// The account, where the node left something on more than one.
    #[arg(long)]
    value: Option<String>,
    /// How much of it was spent, in dollars.
    #[arg(long, value_name = "DOLLARS")]
    spent: String,
    /// How that is known.
    #[arg(long)]
    reason: String,
}

/// Show what the journal has of a request: every charge and correction, and what they count on.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate budgets journal req_01k5qz6v8h3m9x2c7r4t0w1y5b\n  lockgate budgets journal $(lockgate logs --limit 1 --json | jq -r .id) --json\n\nWith --json {\"entries\": [{\"request\", \"attempt\", \"line\", \"amount\", \"at\", \"estimated\", \"price\", \"reason\", \"accounts\"}]}.\nExit codes: 0 shown, 4 the journal has nothing of this request."
)]
pub(super) struct Journal {
    /// The id of the request.
    #[arg(value_name = "REQUEST-ID", value_parser = request)]
    id: RequestId,
}

pub(super) fn raise(context: &Context, args: &Raise) -> Outcome {
    let ledger = Ledger::open(context)?;
    let budget = ledger.find(&args.budget)?;
    let now = ledger.now_ms;
    let time = |moment: Moment| At(moment.coming(now)).to_string();
    let draft = IncreaseDraft {
        amount: Some(args.by.clone()),
        from: args.from.map(time),
        until: Some(time(args.until)),
        reason: Some(args.reason.clone()),
    };
    let increase = draft.increase(budget, &who(), now).map_err(|mistakes| wrong(&mistakes))?;
    ledger.store.put_increase(&increase)?;
    if context.json {
        say_json(&IncreaseReport::new(&increase, now));
    } else {
        say(&format!(
            "The limit of \"{}\" is {} dollars higher until {} UTC ({}).",
            printable(&budget.name),
            increase.amount,
            moment::to_the_minute(increase.until_ms),
            increase.id
        ));
    }
    Ok(())
}

pub(super) fn lower(context: &Context, args: &Lower) -> Outcome {
    let ledger = Ledger::open(context)?;
    let budget = ledger.find(&args.budget)?;
    let increases = ledger.budgets.increases.iter().filter(|increase| increase.budget == budget.id);
    let ended: Vec<_> = increases
        .filter(|increase| match &args.increase {
            Some(id) => *increase.id == **id,
            None => increase.until_ms > ledger.now_ms,
        })
        .map(|increase| &increase.id)
        .collect();
    if ended.is_empty() {
        return Err(Failure::not_found(format!(
            "the budget \"{}\" has no such increase",
            printable(&budget.name)
        )));
    }
    for id in &ended {
        ledger.store.remove_increase(id)?;
    }
    if context.json {
        say_json(&json!({ "ended": ended }));
    } else {
        let limit = ledger.store.budgets()?;
        let limit = budget.limit_at(&limit.increases, ledger.now_ms);
        say(&format!("The limit of \"{}\" is {limit} dollars again.", printable(&budget.name)));
    }
    Ok(())
}

pub(super) fn reconcile(context: &Context, args: &Reconcile) -> Outcome {
    let ledger = Ledger::open(context)?;
    let budget = ledger.find(&args.budget)?;
    let draft = ReconcileDraft {
        node: Some(Node::Name(args.node.clone())),
        value: args.value.clone(),
        spent: Some(args.spent.clone()),
        reason: Some(args.reason.clone()),
    };
    let (store, now) = (&*ledger.store, ledger.now_ms);
    let done = uncertain::reconcile(store, &ledger.budgets, &budget.id, &draft, &who(), now)?;
    if context.json {
        say_json(&done);
    } else {
        say(&format!(
            "Of {} dollars that were uncertain {} are settled now; the rest is free. The journal has it under {}.",
            done.uncertain, done.spent, done.request
        ));
    }
    Ok(())
}

pub(super) fn journal(context: &Context, args: &Journal) -> Outcome {
    let store = crate::existing::store(context)?;
    let entries = report::journal(&*store, args.id)?;
    if entries.is_empty() {
        return Err(Failure::not_found(format!(
            "the journal has nothing of {}: no budget counts it, or it was not charged yet",
            args.id
        )));
    }
    if context.json {
        say_json(&json!({ "entries": entries }));
        return Ok(());
    }
    let mut table = Table::new(&[
        Column::text("AT (UTC)"),
        Column::number("ATTEMPT"),
        Column::number("DOLLARS"),
        Column::text("COUNTS ON"),
        Column::text("PRICES"),
        Column::text("WHY"),
    ]);
    let rows: Vec<[Cell; 6]> = entries
        .iter()
        .map(|entry| {
            let accounts: Vec<String> = entry
                .accounts
                .iter()
                .map(|account| {
                    let name = account.name.as_ref().unwrap_or(&account.budget);
                    if account.value.is_empty() {
                        name.to_string()
                    } else {
                        format!("{name}/{}", account.value)
                    }
                })
                .collect();
            let why = entry.reason.as_deref().unwrap_or(if entry.estimated { "estimated" } else { "" });
            [
                Cell::plain(&moment::exactly(entry.at.0)),
                Cell::plain(&entry.attempt.to_string()),
                Cell::plain(&entry.amount.to_string()),
                Cell::plain(&accounts.join(", ")),
                Cell::plain(&entry.price),
                Cell::plain(why),
            ]
        })
        .collect();
    rows.iter().for_each(|row| table.fit(row));
    let paint = Paint::detect();
    say(&table.titles(paint));
    rows.iter().for_each(|row| say(&table.line(row, paint)));
    Ok(())
}

fn request(text: &str) -> Result<RequestId, String> {
    text.parse().map_err(|_| "a request id has the form req_ and 26 characters".to_owned())
}
