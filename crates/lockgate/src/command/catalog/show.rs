//! `lockgate catalog show`: everything that is known of one model, and what a request to it costs.

use std::num::NonZeroU32;

use lockgate_catalog::{Bucket, By, Catalog, Found, Model};
use lockgate_config::Config;
use serde::Serialize;

use super::cost::{Asked, Example};
use super::shown::{Shown, name, place, price, spans};
use super::{Context, broken};
use crate::catalogue;
use crate::command::check::count;
use crate::exit::{Failure, Outcome};
use crate::nearest::did_you_mean;
use crate::paint::{Paint, Tone};
use crate::table::printable;
use crate::terminal::{say, say_json};

/// Show all that is known of a model: limits, capabilities, every price, and where it comes from.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate catalog show anthropic/claude-sonnet-4-5\n  lockgate catalog show openai/gpt-4.1 --usage input=1000,cache_read=5000,output=500\n  lockgate catalog show openai/gpt-4.1 --usage input=1000,output=500 --tier batch --json | jq -r .cost.usd\n\nThe model is found as the gateway finds it: by its name, or by rules for snapshots, regions and paths, which is then said.\nWith --usage the cost of one request, line by line, with what was assumed; counts are tokens, or pieces of what is not tokens.\nWith --json one document: {\"provider\", \"id\", \"mode\", \"free\", \"context\", \"max_input\", \"max_output\", ..., \"prices\": [{\"tier\",\n\"above\", \"window\", \"counted\", \"usd\", \"per\", \"nanos_per_million\"}], \"windows\", \"origin\", \"found\", \"cost\"}; usd is exact text.\nExit codes: 0 shown, 1 the cost is not known, 4 there is no such model."
)]
pub(super) struct Show {
    /// The model at its provider.
    #[arg(value_name = "PROVIDER/MODEL")]
    model: String,
    /// A variant that is priced apart, such as a region or a quality.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    #[command(flatten)]
    asked: Asked,
}

/// A model for programs.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    model: Shown<'a>,
    /// How its name led to this row.
    found: String,
    version: &'a str,
    /// Whose prices these are, as a day.
    prices_of: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Example>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

pub(super) fn run(context: &Context, config: &Config, args: &Show) -> Outcome {
    let catalog = catalogue::in_force(config).map_err(|wrong| broken(&wrong))?;
    let found = match &args.variant {
        None => find(&catalog, config, &args.model)?,
        Some(variant) => Found { model: of_variant(&catalog, config, &args.model, variant)?, by: By::Name },
    };
    let cost = args.asked.cost(found.model)?;
    let (cost, unknown) = match cost {
        None => (None, None),
        Some(Ok(cost)) => (Some(cost), None),
        Some(Err(unknown)) => (None, Some(unknown.to_string())),
    };
    let failure = unknown.as_ref().map(|unknown| Failure::new(format!("the cost is unknown: {unknown}")));
    if context.json {
        say_json(&Document {
            model: Shown::new(&catalog, found.model),
            found: found.by.to_string(),
            version: catalog.version(),
            prices_of: catalog.day(),
            cost,
            unknown,
        });
    } else {
        print(&catalog, found, &args.model);
        if let Some(cost) = cost {
            cost.print(Paint::detect());
        }
    }
    failure.map_or(Ok(()), Err)
}

/// The model that a target means.
///
/// # Errors
/// Not found, with what was probably meant.
fn find<'c>(catalog: &'c Catalog, config: &Config, target: &str) -> Result<Found<'c>, Failure> {
    let Some((provider, id)) = target.split_once('/') else {
        let at: Vec<&str> = catalog
            .iter()
            .filter(|model| *model.id == *target)
            .map(|model| &*model.provider)
            .take(8)
            .collect();
        let hint = if at.is_empty() { String::new() } else { format!("; it is known at {}", at.join(", ")) };
        return Err(Failure::not_found(format!("write PROVIDER/MODEL, not \"{}\"{hint}", printable(target))));
    };
    let known = catalogue::name_of(config, provider);
    catalog.find(known, id).ok_or_else(|| {
        if catalog.models(known).next().is_none() {
            let hint = did_you_mean(known, catalog.providers());
            return Failure::not_found(format!("no provider \"{}\" is known{hint}", printable(provider)));
        }
        let hint = did_you_mean(id, catalog.models(known).map(|model| &*model.id));
        Failure::not_found(format!("no model \"{}\" of {provider} is known{hint}", printable(id)))
    })
}

/// A variant of the model that a target means.
///
/// # Errors
/// Not found, with what was probably meant.
fn of_variant<'c>(
    catalog: &'c Catalog,
    config: &Config,
    target: &str,
    variant: &str,
) -> Result<&'c Model, Failure> {
    let (provider, id) = target.split_once('/').unwrap_or((target, ""));
    let known = catalogue::name_of(config, provider);
    catalog.variant(known, id, variant).filter(|model| model.variant.is_some()).ok_or_else(|| {
        let variants = catalog.models(known).filter(|model| *model.id == *id);
        let hint = did_you_mean(variant, variants.filter_map(|model| model.variant.as_deref()));
        Failure::not_found(format!(
            "no variant \"{}\" of {} is known{hint}",
            printable(variant),
            printable(target)
        ))
    })
}

fn print(catalog: &Catalog, found: Found<'_>, asked: &str) {
    let (model, paint) = (found.model, Paint::detect());
    let fact = |title: &str, value: &str| say(&format!("  {title:<14}{}", printable(value)));
    let list = |names: Vec<&str>| if names.is_empty() { "not known".to_owned() } else { names.join(", ") };
    say(&paint.put(Tone::Strong, &printable(&name(model))));
    if found.by != By::Name {
        fact("found", &format!("for {asked} {}", found.by));
    }
    fact("for", model.mode.name());
    fact("context", &limits(model));
    if let Some(dimensions) = model.dimensions {
        fact("dimensions", &dimensions.to_string());
    }
    fact("takes", &list(model.input.names().collect()));
    fact("gives", &list(model.output.names().collect()));
    fact("can", &list(model.capabilities.names().collect()));
    if let Some(day) = model.released {
        fact("released", &day.to_string());
    }
    if let Some(day) = model.retires {
        fact("gone from", &day.to_string());
    }
    fact("from", &origin(catalog, model));
    let variants: Vec<&str> = catalog
        .models(&model.provider)
        .filter(|other| other.id == model.id && other.variant != model.variant)
        .filter_map(|other| other.variant.as_deref())
        .collect();
    if !variants.is_empty() {
        fact("variants", &variants.join(", "));
    }
    prices(model, paint);
}

/// `1047576 tokens, input at most 900000, output at most 32768`.
fn limits(model: &Model) -> String {
    let limits = &model.limits;
    let of = |what: &str, n: Option<NonZeroU32>| n.map(|n| format!("{what} at most {n}"));
    let all = limits.context.map(|n| count(usize::try_from(n.get()).unwrap_or(usize::MAX), "token"));
    let known: Vec<String> =
        [all, of("input", limits.input), of("output", limits.output)].into_iter().flatten().collect();
    if known.is_empty() { "not known".to_owned() } else { known.join(", ") }
}

fn origin(catalog: &Catalog, model: &Model) -> String {
    let (package, source) = catalog.origin(model);
    let package = match package {
        Some((name, version)) => format!("{name} {version}"),
        None => "the config".to_owned(),
    };
    let source = source.map(|address| format!(", {address}")).unwrap_or_default();
    let day = model.origin.day.map_or_else(|| catalog.day().to_owned(), |day| day.to_string());
    if day.is_empty() { format!("{package}{source}") } else { format!("{package}, prices of {day}{source}") }
}

fn prices(model: &Model, paint: Paint) {
    let entries = model.prices.entries();
    if model.free || entries.is_empty() {
        let (tone, text) = if model.free {
            (Tone::Good, "Nothing is charged for it.")
        } else {
            (Tone::Doubtful, "No price is known, so the cost of a request is unknown.")
        };
        say(&format!("\n{}", paint.put(tone, text)));
        return;
    }
    say(&format!(
        "\n{}",
        paint.put(Tone::Strong, "Dollars per million tokens, or for one of what is not tokens")
    ));
    let shown: Vec<String> = entries.iter().map(|entry| price(entry.bucket, entry.price)).collect();
    // Points stand under each other, as sums are written.
    let whole = |text: &str| text.find('.').unwrap_or(text.len());
    let widest = shown.iter().map(|text| whole(text)).max().unwrap_or(0);
    let mut card = None;
    for (entry, text) in entries.iter().zip(&shown) {
        if card != Some(entry.card) {
            card = Some(entry.card);
            say(&format!("  {}", place(entry.card)));
        }
        let each = if entry.bucket.is_tokens() { "" } else { " each" };
        let padding = " ".repeat(widest - whole(text));
        say(&format!("    {:<26}{padding}{text}{each}", entry.bucket.name()));
    }
    for (number, window) in model.prices.windows().iter().enumerate() {
        let spans: Vec<String> = spans(window).collect();
        say(&format!("  window {number}: {} (UTC)", spans.join(", ")));
    }
    let uplift = model.uplift;
    for (place, thousandths) in
        [("the United States", uplift.us), ("the European Union", uplift.eu), ("a region", uplift.regional)]
    {
        if thousandths > 0 {
            say(&format!("  processed in {place}: {}.{} % more", thousandths / 10, thousandths % 10));
        }
    }
    if !model.is_priced() && model.prices.standard(Bucket::Input).is_some() {
        say(&paint.put(Tone::Doubtful, "  the price of output is not known"));
    }
}
