//! Budgets that come to be, and parts of them that become others.

use std::collections::BTreeMap;

use lockgate_ledger::budget::Mistake;
use lockgate_ledger::draft::{Draft, new_budget_id};
use lockgate_ledger::{Window, report};

use super::{Ledger, show, wall_ms};
use crate::command::Context;
use crate::exit::{Failure, Outcome};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::terminal::say_json;

/// Make a budget.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate budgets create everything --limit 500 --window month --zone Europe/Berlin --thresholds 50,80,100\n  lockgate budgets create free --limit 0.50 --window day --customer 'free-*' --per customer --at-limit block\n  lockgate budgets create checkout --limit 20 --window rolling:24h --key checkout --at-limit downgrade:small\n  lockgate budgets create launch --limit 1000 --window quarter --anchor 02-15 --team launch --json\n\nIt counts the requests that fit all dimensions that are named, each by one of its values; a value may end in *.\nWith --json the budget as in `lockgate budgets list --json`."
)]
pub(super) struct Create {
    /// What people call it; unique.
    name: String,
    #[command(flatten)]
    says: Says,
}

/// Change parts of a budget; the rest stays. With another window or dimension its accounts begin anew.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate budgets set customers --limit 25 --at-limit downgrade:small\n  lockgate budgets set customers --customer acme --customer 'bmw-*' --clear soft\n\nOf a dimension that is named the values given stand in place of all it had.\nWith --json the budget as in `lockgate budgets list --json`.\nExit codes: 0 done, 2 it cannot be so, 4 there is no such budget."
)]
pub(super) struct Set {
    /// The budget's name or id.
    #[arg(value_name = "NAME|ID")]
    budget: String,
    /// A new name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    says: Says,
    /// Take a part away: zone, anchor, per, soft, thresholds, or a dimension such as customer.
    #[arg(long, value_name = "PART")]
    clear: Vec<String>,
}

/// What is said of a budget.
#[derive(clap::Args)]
struct Says {
    /// How much may be spent in one window, in dollars: 50, 0.25.
    #[arg(long, value_name = "DOLLARS")]
    limit: Option<String>,
    /// When spending begins to count anew: hour, day, week, month, quarter, year, rolling:24h, rolling:7d, lifetime.
    #[arg(long, value_name = "WINDOW")]
    window: Option<String>,
    /// The time zone that a window of the calendar is read in, by its IANA name; UTC if none is named.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// When such a window begins: :15 (hour), 06:00 (day), "sun 18:00" (week), "15 06:00" (month), 04-01 (quarter, year).
    #[arg(long, value_name = "WHEN")]
    anchor: Option<String>,
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
    /// Count this route.
    #[arg(long = "route", value_name = "VALUE", help_heading = "What it counts")]
    routes: Vec<String>,
    /// Count this model: its name at the provider, or PROVIDER/MODEL.
    #[arg(long = "model", value_name = "VALUE", help_heading = "What it counts")]
    models: Vec<String>,
    /// Count this provider.
    #[arg(long = "provider", value_name = "VALUE", help_heading = "What it counts")]
    providers: Vec<String>,
    /// Give every value of this dimension an account of its own under the same limit: customer, user, key, team, ...
    #[arg(long, value_name = "DIMENSION", help_heading = "What it counts")]
    per: Option<String>,
    /// strict: a request reserves its worst case, so the limit cannot be overshot. expected: what is likely.
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// What becomes of a request that the rest cannot pay for: block, alert, throttle:10 (a minute), downgrade:ROUTE.
    #[arg(long, value_name = "WHAT")]
    at_limit: Option<String>,
    /// An amount below the limit that only raises an alert.
    #[arg(long, value_name = "DOLLARS")]
    soft: Option<String>,
    /// Percentages of the limit that raise an alert.
    #[arg(long, value_name = "PERCENT", value_delimiter = ',')]
    thresholds: Vec<u16>,
    /// When the store cannot be reached and what was leased is used up: closed refuses, open goes on and books later.
    #[arg(long, value_name = "WHAT")]
    on_outage: Option<String>,
}

pub(super) fn create(context: &Context, args: &Create) -> Outcome {
    let settings = Settings::read(context.config.as_deref())?;
    let mut draft = Draft { name: Some(args.name.clone()), ..Draft::default() };
    args.says.put_into(&mut draft);
    // What is wrong without looking at anything is said before anything is made; which keys there are is seen only then.
    let mut blind = draft.clone();
    blind.selector.remove("key");
    let id = new_budget_id();
    blind.budget(&id, &[], 0).map_err(|mistakes| wrong(&mistakes))?;
    let store = Installation::open(&settings.config)?.store;
    let keys = store.keys()?;
    let budget = draft.budget(&id, &keys, wall_ms()).map_err(|mistakes| wrong(&mistakes))?;
    let budgets = store.budgets()?;
    if report::find(&budgets, &budget.name).is_some() {
        return Err(Failure::new(format!(
            "a budget named \"{}\" exists already; change it by `lockgate budgets set`",
            crate::table::printable(&budget.name)
        )));
    }
    store.put_budget(&budget)?;
    let ledger = Ledger { budgets: store.budgets()?, keys, store, now_ms: wall_ms() };
    shown(context, &ledger, &id)
}

pub(super) fn set(context: &Context, args: &Set) -> Outcome {
    let ledger = Ledger::open(context)?;
    let before = ledger.find(&args.budget)?;
    let mut draft = Draft::of(before);
    if args.name.is_some() {
        draft.name.clone_from(&args.name);
    }
    args.says.put_into(&mut draft);
    for part in &args.clear {
        clear(&mut draft, part)?;
    }
    let budget =
        draft.budget(&before.id, &ledger.keys, ledger.now_ms).map_err(|mistakes| wrong(&mistakes))?;
    ledger.store.put_budget(&budget)?;
    let id = budget.id;
    shown(context, &ledger.again()?, &id)
}

/// Shows the budget that was made or changed.
fn shown(context: &Context, ledger: &Ledger, id: &str) -> Outcome {
    let budget = ledger.find(id)?;
    let report = report::budget(&*ledger.store, &ledger.budgets, budget, ledger.now_ms)?;
    if context.json {
        say_json(&report);
    } else {
        show::page(&report, &ledger.keys);
        crate::terminal::say("\nA running gateway knows of it within a second.");
    }
    Ok(())
}

// === arguments ===

impl Says {
    /// Puts what is said in place of what a draft says.
    fn put_into(&self, draft: &mut Draft) {
        if let Some(window) = &self.window {
            // Another window has another anchor, and not every one has a zone.
            draft.anchor = None;
            if Window::read(window, draft.zone.as_deref(), None).is_err() {
                draft.zone = None;
            }
        }
        let texts = [
            (&self.limit, &mut draft.limit),
            (&self.window, &mut draft.window),
            (&self.zone, &mut draft.zone),
            (&self.anchor, &mut draft.anchor),
            (&self.per, &mut draft.per),
            (&self.mode, &mut draft.mode),
            (&self.at_limit, &mut draft.at_limit),
            (&self.soft, &mut draft.soft),
            (&self.on_outage, &mut draft.on_outage),
        ];
        for (said, place) in texts {
            if said.is_some() {
                place.clone_from(said);
            }
        }
        if !self.thresholds.is_empty() {
            draft.thresholds.clone_from(&self.thresholds);
        }
        draft.selector.extend(self.selector());
    }

    fn selector(&self) -> BTreeMap<String, Vec<String>> {
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
            ("model", &self.models),
            ("provider", &self.providers),
        ];
        let said = dimensions.into_iter().filter(|(_, values)| !values.is_empty());
        said.map(|(dimension, values)| (dimension.to_owned(), values.clone())).collect()
    }
}

fn clear(draft: &mut Draft, part: &str) -> Result<(), Failure> {
    match part {
        "zone" => draft.zone = None,
        "anchor" => draft.anchor = None,
        "per" => draft.per = None,
        "soft" => draft.soft = None,
        "thresholds" => draft.thresholds.clear(),
        dimension if draft.selector.remove(dimension).is_some() => {}
        other => {
            return Err(Failure::arguments(format!(
                "--clear {}: the budget has no such part; there are zone, anchor, per, soft, thresholds and the dimensions that it names",
                crate::table::printable(other)
            )));
        }
    }
    Ok(())
}

/// Everything that is wrong, one a line.
pub(super) fn wrong(mistakes: &[Mistake]) -> Failure {
    let lines: Vec<String> = mistakes
        .iter()
        .map(|mistake| format!("{}: {}", mistake.member.replace('_', "-"), mistake.text))
        .collect();
    Failure::arguments(lines.join("\n          "))
}
