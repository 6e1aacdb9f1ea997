//! `lockgate catalog list`: models with their limits and prices.

use lockgate_catalog::diff::dollars;
use lockgate_catalog::model::Capability;
use lockgate_catalog::{Bucket, Mode, Model};
use lockgate_config::{Ability, Config, Dollars, ModelMode};
use lockgate_core::money::Price;

use super::shown::{Shown, name};
use super::{Context, broken};
use crate::catalogue;
use crate::command::check::count;
use crate::exit::Outcome;
use crate::nearest::did_you_mean;
use crate::paint::{Paint, Tone};
use crate::table::{Cell, Column, Table, printable};
use crate::terminal::{say, say_json};

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// List models with their limits and prices.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate catalog list claude-sonnet\n  lockgate catalog list 'openai/gpt-4*' --mode chat --capability tools --capability vision\n  lockgate catalog list --max-input-price 0.10 --json | jq -r '.models[] | .provider + \"/\" + .id'\n\nPrices are the standard ones, in dollars per million tokens; - is not known, free costs nothing. Prices of other tiers,\nof long prompts and of what is not tokens: lockgate catalog show PROVIDER/MODEL.\nEverything that is given must fit. Sorted by provider and model.\nWith --json one document: {\"version\", \"day\", \"models\": [...]}, each model as `lockgate catalog show --json` has it."
)]
pub(super) struct List {
    /// A part of PROVIDER/MODEL, or, with *, a pattern for the whole of it.
    #[arg(value_name = "PATTERN")]
    pattern: Option<String>,
    /// What it is for.
    #[arg(long, value_name = "MODE", value_parser = modes())]
    mode: Option<Mode>,
    /// The provider.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// What it can do; several times for several.
    #[arg(long = "capability", value_name = "NAME", value_parser = capabilities())]
    capabilities: Vec<Capability>,
    /// The highest price of a million input tokens, in dollars. What has no known price does not fit.
    #[arg(long, value_name = "USD", value_parser = usd)]
    max_input_price: Option<Price>,
}

fn modes() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(ModelMode::ALL.iter().map(|mode| mode.as_str()))
        .try_map(|name| Mode::from_name(&name).ok_or("is not a mode"))
}

fn capabilities() -> impl TypedValueParser<Value = Capability> {
    PossibleValuesParser::new(Ability::ALL.iter().map(|one| one.as_str()))
        .try_map(|name| Capability::from_name(&name).ok_or("is not a capability"))
}

fn usd(text: &str) -> Result<Price, String> {
    let Dollars(nanos) = text.parse().map_err(|fault| format!("it {fault}; write dollars such as 0.50"))?;
    Ok(Price(nanos))
}

pub(super) fn run(context: &Context, config: &Config, args: &List) -> Outcome {
    let catalog = catalogue::in_force(config).map_err(|wrong| broken(&wrong))?;
    let pattern = args.pattern();
    let provider = args.provider.as_deref().map(|provider| catalogue::name_of(config, provider));
    let models: Vec<&Model> = catalog.matching(&pattern).filter(|model| args.fits(model, provider)).collect();
    if context.json {
        let models: Vec<Shown<'_>> = models.iter().map(|model| Shown::new(&catalog, model)).collect();
        say_json(
            &serde_json::json!({ "version": catalog.version(), "day": catalog.day(), "models": models }),
        );
        return Ok(());
    }
    if models.is_empty() {
        let hint = match provider {
            Some(provider) if catalog.models(provider).next().is_none() => {
                did_you_mean(provider, catalog.providers())
            }
            _ => String::new(),
        };
        say(&format!("No model fits{hint}"));
        return Ok(());
    }
    print(&models);
    let day = if catalog.day().is_empty() { String::new() } else { format!(", prices of {}", catalog.day()) };
    say(&format!("\n{}; dollars per million tokens{day}", count(models.len(), "model")));
    Ok(())
}

/// The name stands last and uncut: it is what one copies.
fn print(models: &[&Model]) {
    let paint = Paint::detect();
    let mut table = Table::new(&[
        Column::number("CONTEXT"),
        Column::number("OUTPUT"),
        Column::number("$ IN"),
        Column::number("$ OUT"),
        Column::number("$ CACHED"),
        Column::text("MODEL"),
    ]);
    let rows: Vec<[Cell; 5]> = models.iter().map(|model| row(model)).collect();
    for row in &rows {
        table.fit(row);
    }
    say(&table.titles(paint));
    for (model, row) in models.iter().zip(&rows) {
        // Padded by hand: a row without its last cell ends at the last number.
        say(&format!("{}  {}", table.line(row, paint), printable(&name(model))));
    }
}

fn row(model: &Model) -> [Cell; 5] {
    let tokens = |n: Option<std::num::NonZeroU32>| match n {
        Some(n) => Cell::plain(&n.to_string()),
        None => Cell::new(Tone::Quiet, "-"),
    };
    let price = |bucket| match model.prices.standard(bucket) {
        _ if model.free => Cell::new(Tone::Good, "free"),
        Some(price) => Cell::plain(&dollars(price)),
        None => Cell::new(Tone::Quiet, "-"),
    };
    [
        tokens(model.limits.context),
        tokens(model.limits.output),
        price(Bucket::Input),
        price(Bucket::Output),
        price(Bucket::CacheRead),
    ]
}

// === impl List ===

impl List {
    /// What is written without a `*` may stand anywhere in the name.
    fn pattern(&self) -> String {
        match &self.pattern {
            Some(pattern) if pattern.contains('*') => pattern.clone(),
            Some(part) => format!("*{part}*"),
            None => "*".to_owned(),
        }
    }

    fn fits(&self, model: &Model, provider: Option<&str>) -> bool {
        let cheap = |most: Price| {
            model.free || model.prices.standard(Bucket::Input).is_some_and(|price| price <= most)
        };
        provider.is_none_or(|provider| *model.provider == *provider)
            && self.mode.is_none_or(|mode| model.mode == mode)
            && self.capabilities.iter().all(|one| model.capabilities.has(*one))
            && self.max_input_price.is_none_or(cheap)
    }
}
