//! Records, one a row, written in batches.

use lockgate_core::port::{Filter, RecordStore};
use lockgate_core::{Error, Kind, Money, Record, RequestId};
use tokio_postgres::Row;

use super::Postgres;
use super::link::{Outcome, Step};
use super::value::{Columns as _, Value};
use crate::place::{column, joined, split};
use crate::shape::{self, Own, write_body};
use crate::{damaged, detail, filter};

/// The columns in the order of [`Batch::values`], and of what [`read`] reads but for the sums of tokens.
const COLUMNS: &str = "at, rest, key, key_name, customer, asked, provider, model, outcome, error, status, cost, took_us, \
    first_us, body, detail";
/// Records that one statement writes.
const ROWS: usize = 1_000;
/// Rows that one step of forgetting deletes at most.
const PORTION: i64 = 10_000;

impl RecordStore for Postgres {
    /// Connects.
    fn warm_up(&self) -> Result<(), Error> {
        self.records.read(&self.target, async |step: Step<'_>| step.run("").await)
    }

    fn append(&self, records: &[Box<Record>]) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        // In the order of their ids, so that they come to the same few pages. Of two with the same id the first counts.
        let mut ordered: Vec<&Record> = records.iter().map(|record| &**record).collect();
        ordered.sort_by_key(|record| record.id);
        ordered.dedup_by_key(|record| record.id);
        self.records.write(&self.target, async |step: Step<'_>| {
            for rows in ordered.chunks(ROWS) {
                Batch::of(rows).insert(step).await?;
            }
            Ok(())
        })
    }

    fn find(&self, wanted: &Filter) -> Result<Vec<Record>, Error> {
        let (sql, values) = question(wanted);
        let mut records: Vec<Record> = self.reads.read(&self.target, async |step: Step<'_>| {
            step.query(&sql, &values).await?.iter().map(read).collect()
        })?;
        if wanted.latest {
            records.reverse();
        }
        Ok(records)
    }

    fn get(&self, id: RequestId) -> Result<Option<Record>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM record WHERE at = $1 AND rest = $2");
        let (at, rest) = split(id);
        self.reads.read(&self.target, async |step: Step<'_>| {
            step.first(&sql, &[at.into(), rest.into()]).await?.as_ref().map(read).transpose()
        })
    }

    fn forget_before(&self, wall_ms: u64) -> Result<u64, Error> {
        let before = i64::try_from(wall_ms).unwrap_or(i64::MAX);
        let sql = "DELETE FROM record WHERE (at, rest) IN
            (SELECT at, rest FROM record WHERE at < $1 ORDER BY at, rest LIMIT $2)";
        let mut forgotten = 0;
        // In portions, so that the writing of new records waits for one portion only.
        loop {
            let values = [before.into(), PORTION.into()];
            let count =
                self.records.write(&self.target, async |step: Step<'_>| step.execute(sql, &values).await)?;
            forgotten += count;
            if count < PORTION.cast_unsigned() {
                return Ok(forgotten);
            }
        }
    }
}

// === writing ===

/// Rows as columns.
struct Batch<'a> {
    records: &'a [&'a Record],
    rests: Vec<[u8; 10]>,
    bodies: Vec<Vec<u8>>,
    details: Vec<Vec<u8>>,
}

impl<'a> Batch<'a> {
    fn of(records: &'a [&'a Record]) -> Self {
        let written = |write: fn(&Record, &mut Vec<u8>)| {
            let write = |record: &&Record| {
                let mut bytes = Vec::with_capacity(128);
                write(record, &mut bytes);
                bytes
            };
            records.iter().map(write).collect()
        };
        Self {
            records,
            rests: records.iter().map(|record| split(record.id).1).collect(),
            bodies: written(write_body),
            details: written(detail::write),
        }
    }

    async fn insert(&self, step: Step<'_>) -> Outcome<()> {
        let sql = format!(
            "INSERT INTO record ({COLUMNS}, input, output)
             SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bytea[], $16::bytea[],
                $17::bigint[], $18::bigint[])
             ON CONFLICT (at, rest) DO NOTHING"
        );
        step.execute(&sql, &self.values()).await.map(drop)
    }

    fn values(&self) -> [Value<'_>; 18] {
        let target = |record: &&'a Record| record.target.as_ref();
        [
            self.numbers(|record| Some(split(record.id).0)),
            self.rests.iter().map(|rest| &rest[..]).collect::<Vec<_>>().into(),
            self.texts(|record| Some(&record.key)),
            self.texts(|record| Some(&record.key_name)),
            self.texts(|record| record.attribution.customer.as_deref()),
            self.texts(|record| Some(&record.asked)),
            self.texts(|record| target(&record).map(|target| &*target.provider)),
            self.texts(|record| target(&record).map(|target| &*target.model)),
            self.texts(|record| Some(record.outcome.code())),
            self.texts(|record| record.error.map(Kind::code)),
            self.numbers(|record| Some(record.status.into())),
            self.numbers(|record| record.cost.map(Money::nanos)),
            self.numbers(|record| Some(record.took_us.into())),
            self.numbers(|record| record.first_content_us.map(i64::from)),
            self.bodies.iter().map(|body| &body[..]).collect::<Vec<_>>().into(),
            self.details.iter().map(|detail| &detail[..]).collect::<Vec<_>>().into(),
            self.numbers(|record| record.usage.as_ref().map(|usage| column(usage.input_total()))),
            self.numbers(|record| record.usage.as_ref().map(|usage| column(usage.output_total()))),
        ]
    }

    fn numbers(&self, of: impl Fn(&'a Record) -> Option<i64>) -> Value<'a> {
        self.records.iter().map(|record| of(record)).collect::<Vec<_>>().into()
    }

    fn texts(&self, of: impl Fn(&'a Record) -> Option<&'a str>) -> Value<'a> {
        self.records.iter().map(|record| of(record)).collect::<Vec<_>>().into()
    }
}

// === reading ===

/// A filter in SQL. It means what [`filter::fits`] means; the exam compares them.
fn question(wanted: &Filter) -> (String, Vec<Value<'_>>) {
    let mut asked = Question { conditions: String::from("true"), values: Vec::new() };
    if let Some(span) = &wanted.arrived_ms {
        // Times of arrival end far below the largest signed number.
        let moment = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        asked.add("at >= ?", moment(span.start));
        asked.add("at < ?", moment(span.end));
    }
    if let Some(id) = wanted.after {
        // The time first, so that the index is used; then what is left of that millisecond.
        let (at, _) = split(id);
        asked.add("at >= ?", at);
        asked.add("(at > ?", at);
        asked.go_on(" OR rest > ?)", split(id).1);
    }
    if let Some(key) = &wanted.key {
        asked.add("? IN (key, key_name)", &**key);
    }
    if let Some(provider) = &wanted.provider {
        asked.add("provider = ?", &**provider);
    }
    match wanted.model.as_deref().map(|model| (model, model.strip_suffix('*'))) {
        None => {}
        Some((model, None)) => asked.add("? IN (asked, model)", model),
        // LIKE has signs of its own.
        Some((_, Some(start))) => {
            asked.add("(starts_with(asked, ?)", start);
            asked.go_on(" OR starts_with(model, ?))", start);
        }
    }
    if let Some(outcome) = wanted.outcome {
        asked.add("outcome = ?", outcome.code());
    }
    if let Some(error) = wanted.error {
        asked.add("error = ?", error.code());
    }
    if let Some(customer) = &wanted.customer {
        asked.add("customer = ?", &**customer);
    }
    let order = if wanted.latest { "at DESC, rest DESC" } else { "at, rest" };
    let limit = i64::try_from(filter::limit(wanted)).unwrap_or(i64::MAX);
    asked.go_on(&format!(" ORDER BY {order} LIMIT ?"), limit);
    (format!("SELECT {COLUMNS} FROM record WHERE {}", asked.conditions), asked.values)
}

/// A statement as it grows.
struct Question<'a> {
    conditions: String,
    values: Vec<Value<'a>>,
}

impl<'a> Question<'a> {
    /// A further condition. The question mark stands for the value.
    fn add(&mut self, condition: &str, value: impl Into<Value<'a>>) {
        self.conditions.push_str(" AND ");
        self.go_on(condition, value);
    }

    fn go_on(&mut self, part: &str, value: impl Into<Value<'a>>) {
        self.values.push(value.into());
        self.conditions.push_str(&part.replace('?', &format!("${}", self.values.len())));
    }
}

fn read(row: &Row) -> Outcome<Record> {
    let rest = row.bytes(1)?.try_into().map_err(|_| damaged("record: half an id"))?;
    let small = |number: i64| u32::try_from(number).map_err(|_| damaged("record: a time that is none"));
    let columns = shape::Columns {
        key: row.text(2)?,
        key_name: row.text(3)?,
        customer: row.text_or_none(4)?,
        asked: row.text(5)?,
        provider: row.text_or_none(6)?,
        model: row.text_or_none(7)?,
        outcome: row.text(8)?,
        error: row.text_or_none(9)?,
        status: row.number(10)?.try_into().map_err(|_| damaged("record: a status that is none"))?,
    };
    let own = Own {
        id: joined(row.number(0)?, rest)?,
        cost: row.number_or_none(11)?.map(Money::from_nanos),
        took_us: small(row.number(12)?)?,
        first_content_us: row.number_or_none(13)?.map(small).transpose()?,
        detail: row.bytes(15)?,
    };
    Ok(columns.shape(row.bytes(14)?)?.record(&own)?)
}
