//! Reads tables of benchmark results: CSV with a head line, or JSON.

use std::fmt;
use std::sync::Arc;

use lockgate_core::decision::Class;
use serde::Deserialize;

use super::{Cell, Row, Unit};
use crate::model::Day;

/// What is wrong with a table, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1; of JSON the place in the list, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// The columns of a table. The first three must be there.
const COLUMNS: [&str; 10] =
    ["benchmark", "model", "value", "unit", "class", "samples", "setting", "date", "source", "licence"];
/// Mistakes that are listed at most.
const MOST_MISTAKES: usize = 100;
/// The longest name.
const LONGEST: usize = 128;
/// What stands for a source or licence that is not said.
const OWN: &str = "own";

/// A row of a table before it is checked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    benchmark: String,
    model: String,
    value: Option<f64>,
    unit: Option<String>,
    class: Option<String>,
    samples: Option<u32>,
    setting: Option<String>,
    date: Option<String>,
    source: Option<String>,
    licence: Option<String>,
}

/// The rows of a CSV table: a head line with the names of columns in any order, then a row a line. Fields may be quoted.
/// Lines that begin with `#` are notes.
///
/// # Errors
/// All mistakes, up to a hundred.
pub fn from_csv(text: &str) -> Result<Vec<Row>, Vec<Mistake>> {
    let mut lines =
        lines(text).into_iter().filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
    let Some((number, head)) = lines.next() else {
        return Err(vec![Mistake {
            line: 1,
            what: format!("the table is empty: its first line names {COLUMNS:?}"),
        }]);
    };
    let head = fields(head).map_err(|what| vec![Mistake { line: number, what }])?;
    let mut mistakes = Vec::new();
    for name in &head {
        if !COLUMNS.contains(&&**name) {
            let what = format!("there is no column \"{name}\"; the columns are {}", COLUMNS.join(", "));
            mistakes.push(Mistake { line: number, what });
        }
    }
    for name in &COLUMNS[..3] {
        if !head.iter().any(|known| known == name) {
            mistakes.push(Mistake { line: number, what: format!("the column \"{name}\" is missing") });
        }
    }
    let mut rows = Vec::new();
    if mistakes.is_empty() {
        for (line, text) in lines {
            match fields(text).and_then(|fields| raw(&head, &fields)).and_then(checked) {
                Ok(row) => rows.push(row),
                Err(what) => mistakes.push(Mistake { line, what }),
            }
            if mistakes.len() >= MOST_MISTAKES {
                break;
            }
        }
    }
    if mistakes.is_empty() { Ok(rows) } else { Err(mistakes) }
}

/// The rows of a JSON table: a list of objects with the columns as members.
///
/// # Errors
/// All mistakes, up to a hundred.
pub fn from_json(text: &str) -> Result<Vec<Row>, Vec<Mistake>> {
    let list: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|error| {
        vec![Mistake { line: error.line(), what: format!("this is no list of objects in JSON: {error}") }]
    })?;
    let (mut rows, mut mistakes) = (Vec::new(), Vec::new());
    for (line, value) in (1..).zip(list) {
        let raw = serde_json::from_value::<Raw>(value).map_err(|error| error.to_string());
        match raw.and_then(checked) {
            Ok(row) => rows.push(row),
            Err(what) => mistakes.push(Mistake { line, what }),
        }
        if mistakes.len() >= MOST_MISTAKES {
            break;
        }
    }
    if mistakes.is_empty() { Ok(rows) } else { Err(mistakes) }
}

/// Rows as [`from_json`] reads them, a row a line.
pub fn to_json(rows: &[Row]) -> String {
    let row = |row: &Row| {
        let Cell { value, samples, setting, day, source, licence } = &row.cell;
        let all = serde_json::json!({
            "benchmark": row.benchmark, "model": row.model, "value": value, "samples": samples, "setting": setting,
            "unit": row.unit.map(Unit::name), "class": row.class.map(Class::code),
            "date": day.map(|day| day.to_string()), "source": source, "licence": licence,
        });
        match all {
            serde_json::Value::Object(members) => {
                serde_json::Value::Object(members.into_iter().filter(|(_, value)| !value.is_null()).collect())
                    .to_string()
            }
            other => other.to_string(),
        }
    };
    format!("[{}]", rows.iter().map(row).collect::<Vec<_>>().join(",\n"))
}

fn checked(raw: Raw) -> Result<Row, String> {
    let name = |what: &str, name: &str| {
        let good = (1..=LONGEST).contains(&name.len())
            && !name.contains(|c: char| c.is_control() || c.is_whitespace());
        if good {
            Ok(())
        } else {
            Err(format!("\"{name}\" is no name of a {what}: 1 to {LONGEST} bytes without white space"))
        }
    };
    name("benchmark", &raw.benchmark)?;
    name("model", &raw.model)?;
    let unit = raw.unit.as_deref().filter(|unit| !unit.is_empty());
    let unit = unit
        .map(|name| {
            Unit::from_name(name)
                .ok_or_else(|| format!("\"{name}\" is no unit: percent, share, elo or errors"))
        })
        .transpose()?;
    let class = raw.class.as_deref().filter(|class| !class.is_empty());
    let class = class
        .map(|name| {
            let known = || Class::ALL.iter().map(|class| class.code()).collect::<Vec<_>>().join(", ");
            Class::from_code(name).ok_or_else(|| format!("\"{name}\" is no class: {}", known()))
        })
        .transpose()?;
    let value = raw.value.ok_or("the value is missing")?;
    let (least, most) = unit.unwrap_or_default().bounds();
    if !value.is_finite() || value < least || value > most {
        let unit = unit.unwrap_or_default();
        return Err(format!(
            "the value {value} is outside of {least} to {most}, which the unit {unit} can be"
        ));
    }
    if raw.samples == Some(0) {
        return Err("a score of 0 samples says nothing: leave the row out".to_owned());
    }
    let day = raw.date.as_deref().filter(|day| !day.is_empty());
    let day = day
        .map(|text| {
            Day::parse(text)
                .ok_or_else(|| format!("\"{text}\" is no date: write 2026-11-21, 2026-11 or 2026"))
        })
        .transpose()?;
    let or_own =
        |text: Option<String>| Arc::from(text.as_deref().filter(|text| !text.is_empty()).unwrap_or(OWN));
    Ok(Row {
        benchmark: raw.benchmark.into(),
        model: raw.model.into(),
        class,
        unit,
        cell: Cell {
            value,
            samples: raw.samples,
            setting: raw.setting.filter(|text| !text.is_empty()).map(Into::into),
            day,
            source: or_own(raw.source),
            licence: or_own(raw.licence),
        },
    })
}

fn raw(head: &[String], fields: &[String]) -> Result<Raw, String> {
    if head.len() != fields.len() {
        return Err(format!("the line has {} fields where the head has {}", fields.len(), head.len()));
    }
    let mut raw = Raw::default();
    for (name, value) in head.iter().zip(fields) {
        let value = value.trim();
        let text = || Some(value.to_owned());
        match name.as_str() {
            "benchmark" => raw.benchmark = value.to_owned(),
            "model" => raw.model = value.to_owned(),
            "value" => {
                raw.value = Some(value.parse().map_err(|_| format!("\"{value}\" is no number"))?);
            }
            "samples" if !value.is_empty() => {
                raw.samples =
                    Some(value.parse().map_err(|_| format!("\"{value}\" is no number of samples"))?);
            }
            "unit" => raw.unit = text(),
            "class" => raw.class = text(),
            "setting" => raw.setting = text(),
            "date" => raw.date = text(),
            "source" => raw.source = text(),
            "licence" => raw.licence = text(),
            _ => {}
        }
    }
    Ok(raw)
}

/// The lines with their numbers, from 1. A line break within quotes does not end one.
fn lines(text: &str) -> Vec<(usize, &str)> {
    let (mut lines, mut start, mut first, mut number, mut quoted) = (Vec::new(), 0, 1, 1, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' => {
                number += 1;
                if !quoted {
                    lines.push((first, text[start..at].trim_end_matches('\r')));
                    (start, first) = (at + 1, number);
                }
            }
            _ => {}
        }
    }
    lines.push((first, &text[start..]));
    lines
}

/// The fields of a line (RFC 4180).
fn fields(line: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut field, mut quoted, mut chars) =
        (Vec::new(), String::new(), false, line.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    if quoted {
        return Err("a quoted field has no end".to_owned());
    }
    fields.push(field);
    Ok(fields)
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}
