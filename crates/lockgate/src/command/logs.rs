//! `lockgate logs`: the records of requests, searched or followed.

mod follow;

use std::io::{self, ErrorKind, Write as _};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use lockgate_core::port::Filter;
use lockgate_core::record::{Outcome as Ending, Record};
use lockgate_core::{Clock as _, Kind, Usage};

use super::Context;
use crate::assemble::SystemClock;
use crate::existing;
use crate::exit::{Failure, Outcome};
use crate::moment::{self, Moment};
use crate::nearest::did_you_mean;
use crate::paint::{Paint, Tone};
use crate::table::{Cell, Column, Table};
use crate::terminal::say;

/// Show the latest requests, or follow them as they come.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate logs --since 1h --outcome error\n  lockgate logs --follow --customer acme\n  lockgate logs --since 2026-10-01 --until 2026-10-02 --limit 100000 --json > october-1.jsonl\n\nEverything that is given must fit. Numbers of tokens with ≈ are estimates, as the provider reported none.\nWith --json one record a line, as `lockgate explain --json` shows it.\nA request is recorded when it ends: --follow shows it then, and may miss one that took longer than an hour."
)]
pub(crate) struct Args {
    /// Arrived at this time or later: a span back from now (90s, 1h, 30d) or a time in UTC.
    #[arg(long, value_name = "WHEN", value_parser = Moment::read)]
    since: Option<Moment>,
    /// Arrived before this time.
    #[arg(long, value_name = "WHEN", value_parser = Moment::read, conflicts_with = "follow")]
    until: Option<Moment>,
    /// The id or the name of the key.
    #[arg(long, value_name = "ID|NAME")]
    key: Option<String>,
    /// The model, as asked for or as answered; may end in *.
    #[arg(long, value_name = "PATTERN")]
    model: Option<String>,
    /// The provider that answered, or was tried last.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// On behalf of this customer.
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// How it ended.
    #[arg(long, value_parser = outcomes())]
    outcome: Option<Ending>,
    /// What went wrong, such as upstream_timeout.
    #[arg(long, value_name = "KIND", hide_possible_values = true, value_parser = kinds())]
    error: Option<Kind>,
    /// At most so many of the latest [default: 50, and 10 before following].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Go on and show requests as they end, until interrupted.
    #[arg(long, short)]
    follow: bool,
}

/// Writes records in one of the two forms.
struct Printer {
    json: bool,
    paint: Paint,
    table: Table,
    titled: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    let store = existing::store(context)?;
    let clock = SystemClock::start();
    let filter = args.filter(clock.wall_ms());
    let mut printer = Printer::new(context.json);
    if args.follow {
        return follow::follow(&*store, &filter, &*clock, |records| printer.print(records));
    }
    let records = store.find(&filter)?;
    if records.is_empty() && !context.json {
        let known = store.keys()?;
        let hint = match &args.key {
            Some(named) if !known.iter().any(|key| *key.name == **named || *key.id == **named) => {
                did_you_mean(named, known.iter().map(|key| &*key.name))
            }
            _ => String::new(),
        };
        say(&format!("No request fits{hint}"));
        return Ok(());
    }
    gently(printer.print(&records)).map(drop)
}

/// A reader that has gone away, as `head` does, ends the talk without a complaint: `false`.
fn gently(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

// === arguments ===

impl Args {
    fn filter(&self, now: u64) -> Filter {
        let since = self.since.map(|moment| moment.past(now));
        let until = self.until.map(|moment| moment.past(now));
        let usual = if self.follow { 10 } else { 50 };
        Filter {
            arrived_ms: (since.is_some() || until.is_some())
                .then(|| since.unwrap_or(0)..until.unwrap_or(u64::MAX)),
            after: None,
            key: self.key.clone(),
            provider: self.provider.clone(),
            model: self.model.clone(),
            outcome: self.outcome,
            error: self.error,
            customer: self.customer.clone(),
            limit: usize::try_from(self.limit.unwrap_or(usual)).unwrap_or(usize::MAX),
            latest: true,
        }
    }
}

fn outcomes() -> impl TypedValueParser<Value = Ending> {
    PossibleValuesParser::new(Ending::ALL.iter().map(|outcome| outcome.code()))
        .try_map(|code| Ending::from_code(&code).ok_or("is not an outcome"))
}

fn kinds() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.iter().map(|kind| kind.code()))
        .try_map(|code| Kind::from_code(&code).ok_or("is not a kind of error"))
}

// === impl Printer ===

impl Printer {
    fn new(json: bool) -> Self {
        // Wide enough for most rows, as those that are followed come one by one.
        let table = Table::new(&[
            Column::text("TIME (UTC)").at_least(23),
            Column::text("KEY").at_least(10),
            Column::text("MODEL").at_least(30),
            Column::text("OUTCOME").at_least(14),
            Column::number("IN").at_least(6),
            Column::number("OUT").at_least(6),
            Column::number("FIRST ms"),
            Column::number("TOOK ms"),
            Column::text("ID"),
        ]);
        Self { json, paint: Paint::detect(), table, titled: false }
    }

    fn print(&mut self, records: &[Record]) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        if self.json {
            for record in records {
                serde_json::to_writer(&mut out, record)?;
                out.write_all(b"\n")?;
            }
            return out.flush();
        }
        let rows: Vec<[Cell; 9]> = records.iter().map(row).collect();
        for row in &rows {
            self.table.fit(row);
        }
        if !std::mem::replace(&mut self.titled, true) {
            writeln!(out, "{}", self.table.titles(self.paint))?;
        }
        for row in &rows {
            writeln!(out, "{}", self.table.line(row, self.paint))?;
        }
        out.flush()
    }
}

fn row(record: &Record) -> [Cell; 9] {
    let tokens = |count: fn(&Usage) -> u64| match &record.usage {
        Some(usage) => format!("{}{}", if usage.reported() { "" } else { "≈" }, count(usage)),
        None => "-".to_owned(),
    };
    let tone = match record.outcome {
        Ending::Ok => Tone::Good,
        Ending::Error | Ending::Broken => Tone::Bad,
        Ending::Cancelled => Tone::Doubtful,
    };
    let outcome = match record.error {
        Some(kind) => format!("{} {}", record.outcome.code(), kind.code()),
        None => record.outcome.code().to_owned(),
    };
    let first = record.first_content_us.map_or_else(|| "-".to_owned(), |us| (us / 1_000).to_string());
    [
        Cell::plain(&moment::exactly(record.id.wall_ms())),
        Cell::plain(&record.key_name),
        Cell::plain(&model(record)),
        Cell::new(tone, &outcome),
        Cell::plain(&tokens(Usage::input_total)),
        Cell::plain(&tokens(Usage::output_total)),
        Cell::plain(&first),
        Cell::plain(&(record.took_us / 1_000).to_string()),
        Cell::new(Tone::Quiet, record.id.text().as_str()),
    ]
}

/// What was asked for, and where that led unless the name says so.
fn model(record: &Record) -> String {
    match &record.target {
        Some(target) => {
            let reached = format!("{}/{}", target.provider, target.model);
            if *record.asked == *reached { reached } else { format!("{} → {reached}", record.asked) }
        }
        None => record.asked.to_string(),
    }
}
