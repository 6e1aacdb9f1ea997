//! What models score in benchmarks: a table whose every cell says where it comes from, when, and under which licence.
//!
//! What is shipped is `data/benchmarks.csv`, and it is little, as few results may be passed on. An operator adds others
//! from a file, and scores of evaluations of their own with the number of trials. A table is normalised by fixed points of
//! its own (its fifth and ninety-fifth percentile, or the logistic for Elo), so that what a model is worth does not depend
//! on the others it is compared with.

mod read;
mod scale;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use lockgate_core::decision::Class;

pub use read::{Mistake, from_csv, from_json, to_json};
pub use scale::{Anchors, family};

use crate::model::Day;

/// The benchmarks in force.
#[derive(Clone, Debug)]
pub struct Benchmarks {
    /// By name, sorted.
    all: Vec<Benchmark>,
    version: Arc<str>,
}

/// One benchmark with all its cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Benchmark {
    /// Its name, such as `aider-polyglot`.
    pub name: Arc<str>,
    /// The kind of work that it measures.
    pub class: Option<Class>,
    /// The unit of its values.
    pub unit: Unit,
    /// What its values mean on a scale from 0 to 1.
    pub anchors: Anchors,
    /// Its cells by the family of the model, or by `provider/model` for a cell of one endpoint.
    cells: BTreeMap<Box<str>, Cell>,
}

/// What a model scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The value in the benchmark's unit.
    pub value: f64,
    /// The number of trials, of an evaluation of one's own; `None`: published.
    pub samples: Option<u32>,
    /// How the model was set, such as `effort high`, where that is known.
    pub setting: Option<Arc<str>>,
    /// The day of the result.
    pub day: Option<Day>,
    /// Who says so.
    pub source: Arc<str>,
    /// Under which licence it may be passed on.
    pub licence: Arc<str>,
}

/// The unit of a benchmark's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Percent, 0 to 100, higher is better.
    #[default]
    Percent,
    /// A share, 0 to 1, higher is better.
    Share,
    /// An Elo rating, where 400 points more win ten games of eleven.
    Elo,
    /// A rate of errors in percent, lower is better.
    Errors,
}

/// A row of a table, as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The benchmark.
    pub benchmark: Box<str>,
    /// The model: a family, or `provider/model`.
    pub model: Box<str>,
    /// The kind of work, where the row says it.
    pub class: Option<Class>,
    /// The unit, where the row says it.
    pub unit: Option<Unit>,
    /// The cell.
    pub cell: Cell,
}

/// The table that the binary carries.
const BUILT_IN: &str = include_str!("../data/benchmarks.csv");
/// Hexadecimal digits of a version.
const VERSION: usize = 12;

const UNITS: [(Unit, &str); 4] =
    [(Unit::Percent, "percent"), (Unit::Share, "share"), (Unit::Elo, "elo"), (Unit::Errors, "errors")];

// === impl Benchmarks ===

impl Benchmarks {
    /// What the binary carries.
    pub fn built_in() -> Self {
        let rows = from_csv(BUILT_IN).expect("a test reads the embedded table whole");
        Self::of(rows)
    }

    /// A table that knows nothing.
    pub fn empty() -> Self {
        Self::of([])
    }

    /// The table of these rows. Of two for the same cell the later counts.
    pub fn of(rows: impl IntoIterator<Item = Row>) -> Self {
        let mut all: BTreeMap<Box<str>, Benchmark> = BTreeMap::new();
        let mut hasher = blake3::Hasher::new();
        for row in rows {
            hash(&row, &mut hasher);
            let benchmark = all.entry(row.benchmark.clone()).or_insert_with(|| Benchmark {
                name: Arc::from(&*row.benchmark),
                class: None,
                unit: Unit::default(),
                anchors: Anchors::default(),
                cells: BTreeMap::new(),
            });
            benchmark.class = row.class.or(benchmark.class);
            benchmark.unit = row.unit.unwrap_or(benchmark.unit);
            let model = if row.model.contains('/') { row.model } else { family(&row.model).into() };
            benchmark.cells.insert(model, row.cell);
        }
        let mut all: Vec<_> = all.into_values().collect();
        for benchmark in &mut all {
            let values: Vec<f64> = benchmark.cells.values().map(|cell| cell.value).collect();
            benchmark.anchors = Anchors::of(benchmark.unit, &values);
        }
        let version = hasher.finalize().to_hex().get(..VERSION).unwrap_or_default().into();
        Self { all, version }
    }

    /// The same with further rows, which go before what is there.
    #[must_use]
    pub fn with(&self, rows: impl IntoIterator<Item = Row>) -> Self {
        Self::of(self.rows().chain(rows))
    }

    /// Every cell as a row.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.all.iter().flat_map(|benchmark| {
            benchmark.cells.iter().map(|(model, cell)| Row {
                benchmark: Box::from(&*benchmark.name),
                model: model.clone(),
                class: benchmark.class,
                unit: Some(benchmark.unit),
                cell: cell.clone(),
            })
        })
    }

    /// Each benchmark, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Benchmark> {
        self.all.iter()
    }

    /// The benchmark of a name.
    pub fn get(&self, name: &str) -> Option<&Benchmark> {
        let at = self.all.binary_search_by(|benchmark| (*benchmark.name).cmp(name)).ok()?;
        self.all.get(at)
    }

    /// Changes when any cell does.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }
}

// === impl Benchmark ===

impl Benchmark {
    /// What a model at a provider scores: of this very endpoint, else of its family.
    pub fn cell(&self, provider: &str, model: &str) -> Option<&Cell> {
        let own = self.cells.get(&*format!("{provider}/{model}"));
        own.or_else(|| self.cells.get(&*family(model)))
    }

    /// A value between 0 and 1, growing with what it measures.
    pub fn normal(&self, value: f64) -> f64 {
        self.anchors.normal(self.unit, value)
    }

    /// How many models have a score.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

// === impl Unit ===

impl Unit {
    /// Its name in a table.
    pub fn name(self) -> &'static str {
        UNITS[self as usize].1
    }

    /// The unit of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        UNITS.iter().find(|(_, known)| *known == name).map(|(unit, _)| *unit)
    }

    /// What a value must be.
    const fn bounds(self) -> (f64, f64) {
        match self {
            Self::Percent | Self::Errors => (0.0, 100.0),
            Self::Share => (0.0, 1.0),
            Self::Elo => (-10_000.0, 10_000.0),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn hash(row: &Row, hasher: &mut blake3::Hasher) {
    let Row { benchmark, model, class, unit, cell } = row;
    let text = format!(
        "{benchmark}\0{model}\0{class:?}\0{unit:?}\0{}\0{:?}\0{:?}\0{:?}\0{}\0{}\n",
        cell.value.to_bits(),
        cell.samples,
        cell.setting,
        cell.day,
        cell.source,
        cell.licence
    );
    hasher.update(text.as_bytes());
}
