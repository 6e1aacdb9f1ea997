//! `lockgate budgets`: limits on what is spent, made, changed, looked at.

mod change;
mod make;
mod show;

use std::sync::Arc;

use lockgate_core::Key;
use lockgate_ledger::port::Budgets;
use lockgate_ledger::{Budget, LedgerStore, report};
use serde_json::json;

use self::change::{Journal, Lower, Raise, Reconcile};
use self::make::{Create, Set};
use self::show::Show;
use super::Context;
use crate::assemble::SystemClock;
use crate::existing;
use crate::exit::{Failure, Outcome};
use crate::nearest::did_you_mean;
use crate::table::printable;
use crate::terminal::{say, say_json};

/// Limit what may be spent: make and change budgets, see what is spent of them.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate budgets create everything --limit 500 --window month --thresholds 50,80,100\n  lockgate budgets create customers --limit 20 --window month --per customer --soft 16\n  lockgate budgets list\n  lockgate budgets show customers\n  lockgate budgets raise customers --by 10 --until 2027-01-01 --reason launch\n\nAmounts are dollars. A running gateway knows of a change within a second."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Create(Box<Create>),
    List(List),
    Show(Show),
    Set(Box<Set>),
    Remove(Remove),
    Raise(Raise),
    Lower(Lower),
    Reconcile(Reconcile),
    Journal(Journal),
}

/// List the budgets with what is spent of them in the open window.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate budgets list\n  lockgate budgets list --json | jq -r '.budgets[] | [.name, .spent, .limit_now] | @tsv'\n\nWith --json one document: {\"budgets\": [{\"id\", \"name\", \"limit\", \"window\", \"zone\", \"anchor\", \"selector\", \"per\", \"mode\",\n\"at_limit\", \"soft\", \"thresholds\", \"on_outage\", \"limit_now\", \"spent\", \"uncertain\", \"leased\", \"open_accounts\", \"fullest\",\n\"resets_at\", \"increases\"}]}, as GET /api/v1/budgets answers. Amounts are dollars as text, so that they stay exact."
)]
struct List {}

/// Remove a budget and its increases. What was spent stays in the journal.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate budgets remove customers\n  lockgate budgets remove bud_0123456789ab --json\n\nExit codes: 0 it is removed, 4 there is no such budget."
)]
struct Remove {
    /// The budget's name or id.
    #[arg(value_name = "NAME|ID")]
    budget: String,
}

/// A ledger that is looked at, with what its budgets and keys are called.
struct Ledger {
    store: Arc<dyn LedgerStore>,
    budgets: Budgets,
    keys: Vec<Key>,
    now_ms: u64,
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    match &args.action {
        Action::Create(create) => make::create(context, create),
        Action::List(_) => list(context),
        Action::Show(show) => show::run(context, show),
        Action::Set(set) => make::set(context, set),
        Action::Remove(args) => remove(context, args),
        Action::Raise(raise) => change::raise(context, raise),
        Action::Lower(lower) => change::lower(context, lower),
        Action::Reconcile(reconcile) => change::reconcile(context, reconcile),
        Action::Journal(journal) => change::journal(context, journal),
    }
}

fn list(context: &Context) -> Outcome {
    let ledger = Ledger::open(context)?;
    let all = ledger.budgets.budgets.iter();
    let reports = all
        .map(|budget| report::budget(&*ledger.store, &ledger.budgets, budget, ledger.now_ms))
        .collect::<Result<Vec<_>, _>>()?;
    if context.json {
        say_json(&json!({ "budgets": reports }));
    } else if reports.is_empty() {
        say("There are no budgets. Make one: lockgate budgets create NAME --limit 50 --window month");
    } else {
        show::table(&reports, &ledger.keys);
    }
    Ok(())
}

fn remove(context: &Context, args: &Remove) -> Outcome {
    let ledger = Ledger::open(context)?;
    let budget = ledger.find(&args.budget)?;
    if !ledger.store.remove_budget(&budget.id)? {
        return Err(Failure::not_found(format!("the budget {} is no longer there", budget.id)));
    }
    if context.json {
        say_json(&json!({ "id": budget.id, "name": budget.name, "removed": true }));
    } else {
        say(&format!(
            "The budget \"{}\" ({}) is removed. A running gateway knows of it within a second.",
            printable(&budget.name),
            budget.id
        ));
    }
    Ok(())
}

// === impl Ledger ===

impl Ledger {
    /// That of an installation that exists.
    fn open(context: &Context) -> Result<Self, Failure> {
        let store = existing::store(context)?;
        Ok(Self { keys: store.keys()?, budgets: store.budgets()?, store, now_ms: wall_ms() })
    }

    /// The budget of this id or name.
    ///
    /// # Errors
    /// Not found, with what was probably meant.
    fn find(&self, named: &str) -> Result<&Budget, Failure> {
        report::find(&self.budgets, named).ok_or_else(|| {
            let known = self.budgets.budgets.iter().flat_map(|budget| [&*budget.name, &*budget.id]);
            Failure::not_found(format!(
                "there is no budget \"{}\"{}",
                printable(named),
                did_you_mean(named, known)
            ))
        })
    }

    /// The same with the budgets as they are now.
    fn again(self) -> Result<Self, Failure> {
        Ok(Self { budgets: self.store.budgets()?, ..self })
    }
}

/// Who acts, for the records: the user of the shell, where it says so.
fn who() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "command line".to_owned())
}

fn wall_ms() -> u64 {
    use lockgate_core::Clock as _;
    SystemClock::start().wall_ms()
}
