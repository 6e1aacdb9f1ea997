//! What a program tells of its SDK, compared with what is expected.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::jobs::{Expected, Form, Job};
use crate::said::{Finish, Said, alike, arguments};

/// How many kinds of failure are shown.
const SHOWN: usize = 25;

/// One line of a program.
pub(crate) struct Outcome {
    /// The job's number; `None` for the line that tells the version.
    key: Option<usize>,
    version: String,
    /// What the SDK says came, as far as it got.
    said: Said,
    /// The word for why it ended, where no reader knows it.
    strange: Option<String>,
    /// What it raised.
    error: Option<Raised>,
    /// What schemas and types find wrong.
    faults: Vec<String>,
}

struct Raised {
    class: String,
    status: Option<u64>,
    message: String,
}

/// What came of all jobs.
pub(crate) struct Tally {
    pub(crate) version: String,
    done: Vec<bool>,
    /// Failures of a kind: how many, and the first.
    failed: BTreeMap<String, (usize, String)>,
    wholes: usize,
    errors: usize,
    streams: usize,
    bytes: usize,
    pieces: usize,
    cuts: usize,
}

/// What failures of a kind have in common.
fn alike_but_for_numbers(why: &str) -> String {
    why.chars().filter(|c| !c.is_ascii_digit()).take(90).collect()
}

/// What an SDK cannot read in its own dialect: the AI SDK knows no custom tools (whose input is text) in chat completions.
fn excused(sdk: &str, dialect: &str, expected: &Expected) -> bool {
    let Expected::Same(said) = expected else { return false };
    sdk == "ai-sdk" && dialect == "openai.chat" && said.calls.iter().any(|(_, given)| given.is_string())
}

fn same_numbers(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same_numbers(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, a)| other.get(name).is_some_and(|b| same_numbers(a, b)))
        }
        _ => one == other,
    }
}

// === impl Outcome ===

impl Outcome {
    pub(crate) fn of(line: &Value) -> Self {
        let seen = &line["seen"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let finish = match seen["finish"].as_str() {
            Some("stop") => Some(Finish::Stop),
            Some("length") => Some(Finish::Length),
            Some("calls") => Some(Finish::Calls),
            Some("filter") => Some(Finish::Filter),
            Some("other") => Some(Finish::Other),
            _ => None,
        };
        let strange = seen["finish"].as_str().filter(|_| finish.is_none()).map(str::to_owned);
        let call = |call: &Value| {
            let given = match (&call["arguments"], &call["text"]) {
                (Value::String(json), _) => arguments(json),
                (_, Value::String(text)) => Value::String(text.clone()),
                _ => call["input"].clone(),
            };
            (text(&call["name"]), given)
        };
        let usage = (seen["usage"][0].as_u64(), seen["usage"][1].as_u64());
        let error = line["error"].is_object().then(|| Raised {
            class: text(&line["error"]["class"]),
            status: line["error"]["status"].as_u64(),
            message: text(&line["error"]["message"]),
        });
        Self {
            key: line["key"].as_u64().and_then(|key| usize::try_from(key).ok()),
            version: text(&line["version"]),
            said: Said {
                text: text(&seen["text"]),
                calls: seen["calls"].as_array().into_iter().flatten().map(call).collect(),
                refusal: text(&seen["refusal"]),
                finish,
                usage: usage.0.zip(usage.1),
            },
            strange,
            error,
            faults: line["faults"].as_array().into_iter().flatten().map(text).collect(),
        }
    }

    /// What is wrong with it: the SDK's view, and every fault of form.
    fn wrong(&self, job: &Job, dialect: &str) -> impl Iterator<Item = String> {
        self.differs(job, dialect).err().into_iter().chain(self.faults.iter().cloned())
    }

    /// What was seen, but for what SDKs make of arguments that broke off when the answer reached its limit: the object that
    /// was begun.
    ///
    /// A number is what it says, not how it is written: JavaScript knows no `7.0`.
    fn pieced_together(&self, expected: &Said, job: &Job) -> Said {
        let mut said = self.said.clone();
        for ((_, seen), (_, given)) in said.calls.iter_mut().zip(&expected.calls) {
            let broken = given.as_str().is_some_and(|text| text.starts_with('{'));
            if broken && seen.is_object() && job.is_stream || same_numbers(given, seen) {
                seen.clone_from(given);
            }
        }
        said
    }

    fn differs(&self, job: &Job, dialect: &str) -> Result<(), String> {
        match (&job.expected, &self.error) {
            (Expected::Native, _) => Ok(()),
            (Expected::Same(_), Some(raised)) => Err(format!("raised {raised}")),
            (Expected::Same(expected), None) => match &self.strange {
                Some(word) => Err(format!("it ended for {word:?}")),
                // A reader has a word for each of these ends.
                None if self.said.finish == Some(Finish::Other)
                    && !matches!(expected.finish, None | Some(Finish::Other)) =>
                {
                    Err(format!("finish {:?} became another", expected.finish))
                }
                None => alike(expected, &self.pieced_together(expected, job), dialect),
            },
            (Expected::Error(_) | Expected::Broken { .. }, None) => {
                Err("an error that was not raised".into())
            }
            (Expected::Error(message), Some(raised)) => {
                if raised.status != Some(u64::from(job.status)) {
                    return Err(format!("status {} raised {raised}", job.status));
                }
                raised.says(message)
            }
            (Expected::Broken { text, message }, Some(raised)) => {
                let seen = format!("{}{}", self.said.text, self.said.refusal);
                if !text.starts_with(&seen) {
                    return Err(format!("other words before the error: {seen:?}"));
                }
                raised.says(message)
            }
        }
    }
}

// === impl Raised ===

impl Raised {
    fn says(&self, message: &str) -> Result<(), String> {
        if self.message.contains(message) { Ok(()) } else { Err(format!("not {message:?} but {self}")) }
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}): {}", self.class, self.status, self.message)
    }
}

// === impl Tally ===

impl Tally {
    pub(crate) fn new(jobs: &[Job]) -> Self {
        Self {
            version: String::new(),
            done: vec![false; jobs.len()],
            failed: BTreeMap::new(),
            wholes: 0,
            errors: 0,
            streams: 0,
            bytes: 0,
            pieces: 0,
            cuts: 0,
        }
    }

    /// Takes a line in.
    ///
    /// # Panics
    /// When it tells of no job, or of one for the second time.
    pub(crate) fn take(&mut self, jobs: &[Job], sdk: &str, dialect: &str, outcome: &Outcome) {
        let Some(key) = outcome.key else {
            self.version.clone_from(&outcome.version);
            return;
        };
        let (job, done) = (&jobs[key], &mut self.done[key]);
        assert!(!std::mem::replace(done, true), "{sdk} told twice of {}", job.name);
        match (&job.expected, job.form) {
            (_, Form::Bytes) => self.bytes += 1,
            (_, Form::Pieces | Form::Pauses) => self.pieces += 1,
            (Expected::Native, _) => {}
            _ if job.is_cut => self.cuts += 1,
            (Expected::Error(_), _) => self.errors += 1,
            _ if job.is_stream => self.streams += 1,
            _ => self.wholes += 1,
        }
        if excused(sdk, dialect, &job.expected) {
            return;
        }
        for why in outcome.wrong(job, dialect) {
            let count = self
                .failed
                .entry(alike_but_for_numbers(&why))
                .or_insert_with(|| (0, format!("{}: {why}", job.name)));
            count.0 += 1;
        }
    }

    /// All was told and nothing failed.
    ///
    /// # Panics
    /// Otherwise, with what failed.
    pub(crate) fn verdict(&self, jobs: &[Job]) {
        let silent: Vec<&str> = (self.done.iter().zip(jobs))
            .filter(|(done, _)| !**done)
            .map(|(_, job)| job.name.as_str())
            .take(3)
            .collect();
        let mut kinds: Vec<_> = self.failed.values().collect();
        kinds.sort_by_key(|(count, _)| usize::MAX - count);
        kinds.truncate(SHOWN);
        assert!(
            kinds.is_empty(),
            "{} kinds of failure in {} answers: {kinds:#?}",
            self.failed.len(),
            jobs.len()
        );
        assert!(silent.is_empty(), "nothing was told of {silent:?}");
    }

    /// The row of the table.
    pub(crate) fn row(&self, first: &str) -> String {
        let Self { wholes, errors, streams, bytes, pieces, cuts, .. } = self;
        format!("| {first} | {wholes} | {errors} | {streams} | {bytes} | {pieces} | {cuts} |")
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} whole answers, {} errors, {} streams, {} in single bytes, {} in pieces, {} cut",
            self.wholes, self.errors, self.streams, self.bytes, self.pieces, self.cuts
        )
    }
}
