//! What an example of a request costs, line by line.

use lockgate_catalog::cost::{Place, SearchSize, Units};
use lockgate_catalog::{Circumstances, Model, Tier, Unknown, cost};
use lockgate_config::{Counted, PriceTier};
use lockgate_core::{Clock as _, Usage};
use serde::Serialize;

use super::shown::{exact, place, price};
use crate::assemble::SystemClock;
use crate::catalogue::word;
use crate::exit::Failure;
use crate::moment::Moment;
use crate::nearest::did_you_mean;
use crate::paint::{Paint, Tone};
use crate::table::{Cell, Column, Table, printable};
use crate::terminal::say;

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// An example of a request.
#[derive(clap::Args)]
pub(super) struct Asked {
    /// What a request uses, such as input=1000,output=500; names as in the config's `prices`.
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = used)]
    usage: Vec<(Counted, u64)>,
    /// The tier that it is processed on [default: standard].
    #[arg(long, requires = "usage", value_parser = tiers())]
    tier: Option<Tier>,
    /// When it is billed, for prices by the hour: a time in UTC, or a span back from now [default: now].
    #[arg(long, requires = "usage", value_name = "WHEN", value_parser = Moment::read)]
    at: Option<Moment>,
    /// Where it has to be processed, for surcharges: us, eu or regional.
    #[arg(long, requires = "usage", value_name = "PLACE", value_parser = places())]
    place: Option<Place>,
}

/// A cost for programs.
#[derive(Debug, Serialize)]
pub(super) struct Example {
    usd: String,
    nanos: i64,
    /// Whether a rule of the trade stands in for a listed price.
    assumed: bool,
    /// The surcharge that the prices include, in thousandths.
    uplift: u16,
    lines: Vec<ExampleLine>,
}

#[derive(Debug, Serialize)]
struct ExampleLine {
    counted: &'static str,
    #[serde(skip)]
    name: &'static str,
    units: u64,
    price: String,
    per: u32,
    card: String,
    assumed: Vec<String>,
    /// Exact; only the total is rounded, once.
    usd: String,
}

fn used(text: &str) -> Result<(Counted, u64), String> {
    let (name, number) = text.split_once('=').ok_or("write NAME=NUMBER, such as input=1000")?;
    let words = || Counted::ALL.iter().map(|counted| counted.as_str());
    let counted = Counted::ALL.iter().copied().find(|counted| counted.as_str() == name);
    let counted = counted.ok_or_else(|| match did_you_mean(name, words()).as_str() {
        "" => format!(
            "\"{}\" is not counted; these are: {}",
            printable(name),
            words().collect::<Vec<_>>().join(", ")
        ),
        hint => format!("\"{}\" is not counted{hint}", printable(name)),
    })?;
    let units = number.parse().map_err(|_| format!("\"{}\" is not a whole number", printable(number)))?;
    Ok((counted, units))
}

fn tiers() -> impl TypedValueParser<Value = Tier> {
    const TIERS: [Tier; 5] = [Tier::Standard, Tier::Batch, Tier::Flex, Tier::Priority, Tier::Fast];
    PossibleValuesParser::new(PriceTier::ALL.iter().map(|tier| tier.as_str()))
        .try_map(|name| TIERS.into_iter().find(|tier| tier.name() == name).ok_or("is not a tier"))
}

fn places() -> impl TypedValueParser<Value = Place> {
    PossibleValuesParser::new(["us", "eu", "regional"]).map(|name| match name.as_str() {
        "us" => Place::Us,
        "eu" => Place::Eu,
        _ => Place::Regional,
    })
}

// === impl Asked ===

impl Asked {
    /// What the example costs; `None` if none was given.
    ///
    /// # Errors
    /// When the example contradicts itself.
    pub(super) fn cost(&self, model: &Model) -> Result<Option<Result<Example, Unknown>>, Failure> {
        if self.usage.is_empty() {
            return Ok(None);
        }
        let now = SystemClock::start().wall_ms();
        let (mut usage, mut units, mut search) = (Usage::default(), Units::default(), None);
        for (at, (counted, count)) in self.usage.iter().enumerate() {
            if self.usage.iter().take(at).any(|(other, _)| other == counted) {
                return Err(Failure::new(format!("--usage: {} is given twice", counted.as_str())));
            }
            let size = match counted {
                Counted::Search => Some(SearchSize::Medium),
                Counted::SearchSmall => Some(SearchSize::Low),
                Counted::SearchLarge => Some(SearchSize::High),
                _ => None,
            };
            if size.is_some() && search.is_some() {
                return Err(Failure::new("--usage: the searches of one request have one size"));
            }
            search = search.or(size);
            *slot(*counted, &mut usage, &mut units) = *count;
        }
        let circumstances = Circumstances {
            tier: self.tier.unwrap_or_default(),
            at_ms: self.at.map_or(now, |at| at.past(now)),
            place: self.place.unwrap_or_default(),
            search: search.unwrap_or_default(),
            units,
        };
        Ok(Some(cost(model, &usage, &circumstances).map(|cost| Example::new(&cost))))
    }
}

fn slot<'a>(counted: Counted, usage: &'a mut Usage, units: &'a mut Units) -> &'a mut u64 {
    match counted {
        Counted::Input => &mut usage.input,
        Counted::Output => &mut usage.output,
        Counted::CacheRead => &mut usage.cache_read,
        Counted::CacheWrite => &mut usage.cache_write,
        Counted::CacheWrite1h => &mut usage.cache_write_1h,
        Counted::Reasoning => &mut usage.reasoning,
        Counted::AudioInput => &mut usage.audio_input,
        Counted::AudioOutput => &mut usage.audio_output,
        Counted::ImageInput => &mut usage.image_input,
        Counted::ImageOutput => &mut usage.image_output,
        Counted::Search | Counted::SearchSmall | Counted::SearchLarge => &mut usage.searches,
        Counted::Request => &mut units.requests,
        Counted::ImageSent => &mut units.images_sent,
        Counted::ImageMade => &mut units.images_made,
        Counted::SecondSent => &mut units.seconds_sent,
        Counted::SecondMade => &mut units.seconds_made,
        Counted::CharacterSent => &mut units.characters_sent,
        Counted::CharacterMade => &mut units.characters_made,
        Counted::Page => &mut units.pages,
    }
}

// === impl Example ===

impl Example {
    fn new(cost: &lockgate_catalog::Cost) -> Self {
        const MILLION: u32 = 1_000_000;
        let lines = cost.lines().iter().map(|line| ExampleLine {
            counted: word(line.bucket),
            name: line.bucket.name(),
            units: line.units,
            price: price(line.bucket, line.price),
            per: if line.bucket.is_tokens() { MILLION } else { 1 },
            card: place(line.card),
            assumed: line.assumed().map(|assumed| assumed.to_string()).collect(),
            usd: exact(u128::from(line.units) * u128::from(line.price.0)),
        });
        Self {
            usd: cost.total.to_string(),
            nanos: cost.total.nanos(),
            assumed: cost.is_assumed(),
            uplift: cost.uplift,
            lines: lines.collect(),
        }
    }

    pub(super) fn print(&self, paint: Paint) {
        let mut table = Table::new(&[
            Column::text("  USED"),
            Column::number("COUNT"),
            Column::number("PRICE"),
            Column::number("DOLLARS"),
            Column::text("PRICED AS"),
        ]);
        let rows: Vec<[Cell; 5]> = self.lines.iter().map(ExampleLine::row).collect();
        for row in &rows {
            table.fit(row);
        }
        say(&format!("\n{}", table.titles(paint)));
        for row in &rows {
            say(&table.line(row, paint));
        }
        if self.uplift > 0 {
            say(&format!(
                "  prices of tokens include {}.{} % for the place",
                self.uplift / 10,
                self.uplift % 10
            ));
        }
        say(&format!("  {}", paint.put(Tone::Strong, &format!("costs {} dollars", self.usd))));
    }
}

impl ExampleLine {
    fn row(&self) -> [Cell; 5] {
        let mut how = self.card.clone();
        for assumed in &self.assumed {
            how.push_str("; ");
            how.push_str(assumed);
        }
        let tone = if self.assumed.is_empty() { Tone::Quiet } else { Tone::Doubtful };
        [
            Cell::plain(&format!("  {}", self.name)),
            Cell::plain(&self.units.to_string()),
            Cell::plain(&self.price),
            Cell::plain(&self.usd),
            Cell::new(tone, &how),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::bucket;

    #[test]
    fn each_count_has_a_place_of_its_own() {
        for counted in Counted::ALL {
            let (mut usage, mut units) = (Usage::default(), Units { requests: 0, ..Units::default() });
            *slot(*counted, &mut usage, &mut units) = 7;
            let all = [
                units.requests,
                units.images_sent,
                units.images_made,
                units.seconds_sent,
                units.seconds_made,
                units.characters_sent,
                units.characters_made,
                units.pages,
            ];
            let sum: u64 = usage.counts().iter().chain(&all).sum();
            assert_eq!(sum, 7, "{counted:?}");
            assert_eq!(bucket(*counted).is_tokens(), usage.input_total() + usage.output_total() == 7);
        }
    }

    #[test]
    fn usage_is_read_by_the_words_of_the_config() {
        assert_eq!(used("cache_write_1h=20"), Ok((Counted::CacheWrite1h, 20)));
        assert!(used("inptu=1").unwrap_err().contains("did you mean \"input\"?"));
        assert!(used("xyzzy=1").unwrap_err().contains("these are: input, output"));
        assert!(used("input").unwrap_err().contains("NAME=NUMBER"));
        assert!(used("input=-1").unwrap_err().contains("not a whole number"));
    }
}
